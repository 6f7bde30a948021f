"""Tool ``reliability``: how reliable a study's outcomes are, and the ceiling for any model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from features.outcome import label_outcomes
from features.reliability_summary import summarise_reliability
from pipeline.config import LabelParams
from pipeline.label import chosen_design
from pipeline.study_folder import read_card, read_cases, read_design, read_measurements

SIMULATED = (
    "Simulated data: this shows what the software does, not how reliable the response to exercise "
    "is."
)


def run(params: LabelParams, folder: Path) -> dict[str, dict[str, Any]]:
    """Summarise the reliability of every endpoint of a study.

    Parameters
    ----------
    params : LabelParams
        The responder rule: classes and ceilings depend on it.
    folder : Path
        With ``cases`` and ``measurements``.

    Returns
    -------
    dict of '<measure>/<site_role>' to the record of
        :func:`features.reliability_summary.summarise_reliability`
    """
    design = chosen_design(read_design(folder), params)
    cases, measurements = read_cases(folder), read_measurements(folder)
    labels = label_outcomes(cases, measurements, design)
    return summarise_reliability(cases, measurements, labels, design)


def describe(records: dict[str, dict[str, Any]], folder: Path) -> list[str]:
    """Return the sentences of every record; of simulated data, that first."""
    first = [SIMULATED] if read_card(folder)["study"].get("simulated") else []
    return first + [sentence for record in records.values() for sentence in record["sentences"]]
