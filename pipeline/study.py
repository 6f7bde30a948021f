"""Stage ``study``: bring one study in, simulated or real, as cases and measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.config import StudyParams
from pipeline.pooling import ingest_all
from pipeline.simulate import simulate

SIMULATED = "demo"


def run(params: StudyParams, output: Path) -> dict[str, Any]:
    """Simulate the demo study, or ingest the study whose map is named; return the report.

    A name such as ``a+b`` pools two studies.
    """
    if params.name == SIMULATED:
        return simulate(params.participants, params.scenario, params.seed, output)
    return ingest_all([params.name], [Path(params.source)] if params.source else [], output)
