"""The output folder of one target: which file says what was chosen, or why there is no model."""

from __future__ import annotations

from pathlib import Path

from pipeline.io import read_json

SELECTION = "selection.json"
# What the chosen model would have said of every row beside its risk, had the row been new.
UNCERTAINTY = "uncertainty.parquet"
# The key of selection.json and metrics.json that says why there is no model.
NOT_ENOUGH_DATA = "not_enough_data"
# Begins the names of figures that show one person's values.
ONE_PERSON = "person_"


def why_no_model(target_folder: Path) -> str | None:
    """Return the reason a target could not be trained, None where it was."""
    reason: str | None = read_json(target_folder / "train" / SELECTION).get(NOT_ENOUGH_DATA)
    return reason
