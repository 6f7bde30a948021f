"""Stage ``study``: bring one study in, simulated or real, as cases and measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.config import StudyParams
from pipeline.io import write_json
from pipeline.pooling import ingest_all
from pipeline.reserve import reserve
from pipeline.simulate import simulate

SIMULATED = "demo"
# Of every study, so that the graph can name it: what was read and lost, or what was simulated.
REPORT = "ingest_report.json"


def run(params: StudyParams, output: Path) -> dict[str, Any]:
    """Simulate the demo study, or ingest the study whose map is named; return the report.

    A name such as ``a+b`` pools two studies. With ``reserve_baseline`` the pre-exercise trials
    are then divided between the baseline feature and the outcome.
    """
    if params.name == SIMULATED:
        report = simulate(params.participants, params.scenario, params.seed, output)
        write_json(report, output / REPORT)
    else:
        source = [Path(params.source)] if params.source else []
        report = ingest_all([params.name], source, output)
    if params.reserve_baseline == "none":
        return report
    return {**report, "reserved": reserve(output, params.reserve_baseline, output)}
