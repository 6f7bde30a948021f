"""The folder of one study: which file holds what, and how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from features.outcome_design import OutcomeDesign
from features.units import MEASURES
from models.errors import NotEnoughDataError
from pipeline.config import build
from pipeline.errors import ConfigError, TableError
from pipeline.io import read_checked, read_json

CASES = "cases.parquet"
MEASUREMENTS = "measurements.parquet"
CARD = "study.json"
SUFFIXES = (".parquet", ".csv", ".tsv")
# A study that comes as two plain tables, without a card, is read with the standard design.
STANDARD_OUTCOME: dict[str, Any] = {
    "reference": "pre",
    "subtract_rest": True,
    "sem_source": "rest",
    "endpoints": [
        {"name": "local_ppt", "measure": "ppt", "site_role": "local", "timepoint": "post"},
        {"name": "remote_ppt", "measure": "ppt", "site_role": "remote", "timepoint": "post"},
    ],
}


def _table_path(folder: Path, name: str) -> Path:
    """Find ``cases`` or ``measurements`` as parquet, csv or tsv."""
    stem = Path(name).stem
    found = [p for p in (folder / f"{stem}{s}" for s in SUFFIXES) if p.exists()]
    if not found:
        raise TableError(
            f"{folder}: expected {stem}.parquet, {stem}.csv or {stem}.tsv, found none. "
            "Make a study with 'eih simulate' or 'eih ingest'."
        )
    return found[0]


def has_table(folder: Path, stem: str) -> bool:
    """Return whether the folder holds ``cases`` or ``measurements`` in a readable form."""
    return any((folder / f"{stem}{suffix}").exists() for suffix in SUFFIXES)


def read_cases(folder: Path) -> pd.DataFrame:
    """Read and check the study's ``cases``."""
    return read_checked(_table_path(folder, CASES), "cases")


def read_measurements(folder: Path) -> pd.DataFrame:
    """Read and check the study's ``measurements``."""
    return read_checked(_table_path(folder, MEASUREMENTS), "measurements")


def read_card(folder: Path) -> dict[str, Any]:
    """Return the study card: ``study`` (what it is) and ``outcome`` (how it is judged)."""
    path = folder / CARD
    if not path.exists():
        study = {"name": folder.name, "title": folder.name, "simulated": False}
        return {"study": study, "outcome": STANDARD_OUTCOME}
    card: dict[str, Any] = read_json(path)
    return card


def outcome_design(content: Mapping[str, Any], where: str) -> OutcomeDesign:
    """Read the ``outcome`` section of a study card; keys left out take their defaults."""
    design: OutcomeDesign = build(OutcomeDesign, content, f"{where}, outcome")
    if not design.endpoints:
        raise ConfigError(f"{where}, outcome: expected at least one endpoint, found none.")
    measures = [name for name, measure in MEASURES.items() if measure.less_pain]
    for endpoint in design.endpoints:
        if endpoint.measure not in measures:
            raise ConfigError(
                f"{where}, outcome, endpoint '{endpoint.name}': expected a measure of pain "
                f"({', '.join(measures)}), found '{endpoint.measure}'."
            )
    return design


def read_design(folder: Path) -> OutcomeDesign:
    """Return the study's outcome design.

    Raises
    ------
    NotEnoughDataError
        For a study that says it holds no outcome of exercise.
    """
    card = read_card(folder)
    reason = card["study"].get("no_outcome", "")
    if reason:
        raise NotEnoughDataError(
            f"{folder}: expected a study with an outcome of exercise, found {reason}. It can be "
            "described, scored and turned into features, not labelled or trained on."
        )
    return outcome_design(card.get("outcome", {}), str(folder / CARD))
