"""Stage ``label``: from measurements to the outcome table and its counts."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from features.outcome import OutcomeDesign, describe_outcomes, label_outcomes
from features.reliability_summary import label_reliability
from pipeline.ceiling import with_reliability
from pipeline.config import LabelParams
from pipeline.io import write_json, write_table
from pipeline.study_folder import read_cases, read_design, read_measurements


def chosen_design(design: OutcomeDesign, params: LabelParams) -> OutcomeDesign:
    """Apply what params.yaml overrides in the study's own design."""
    changes = {k: v for k, v in asdict(params).items() if v != "study"}
    return replace(design, **changes)


def run(params: LabelParams, folder: Path, output: Path) -> dict[str, Any]:
    """Write the outcome table to ``output`` and its counts, as JSON, beside it.

    Returns
    -------
    dict with ``design``; per endpoint, persons, bouts, events and the error of measurement; and
    the reliability of the labelled change per endpoint
    """
    design = chosen_design(read_design(folder), params)
    cases, measurements = read_cases(folder), read_measurements(folder)
    labels = label_outcomes(cases, measurements, design)
    reliability = label_reliability(cases, measurements, labels, design)
    table = with_reliability(labels, reliability)
    summary = {
        "design": {**asdict(design), "reference_where": dict(design.reference_where)},
        "endpoints": describe_outcomes(table, design.endpoints),
        "reliability": reliability,
    }
    write_table(table, output)
    write_json(summary, output.with_suffix(".json"))
    return summary
