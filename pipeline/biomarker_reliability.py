"""How reliable a marker is: stated, or what ``eih reliability`` found of the same measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.columns_modulation import SITES
from pipeline.errors import ConfigError
from pipeline.io import read_json

# What `eih reliability STUDY --json STUDY/reliability.json` leaves in a study's folder.
RECORDS = "reliability.json"
STATED = "stated"
# Per repetition: the form that is the reliability of one block before the bout, and what the
# repetition leaves out. Different visits see most of what varies.
REPETITIONS = {
    "sessions": ("ICC(A,1)", "blocks of different visits"),
    "rest": ("ICC(A,1)", "blocks minutes apart, before and after rest: an upper bound"),
    "trials": ("ICC(A,k)", "trials of one block: an upper bound"),
}
# Thresholds of a block of their own are measured as the blocks that outcomes refer to.
MEASURED_AS = {
    column: f"ppt/{site}"
    for site in SITES
    for column in (f"ppt_baseline_{site}_kpa", f"ppt_baseline_{site}_log_kpa")
}


@dataclass(frozen=True)
class Reliability:
    """A marker's reliability in (0, 1], and where it is from."""

    value: float
    source: str


def read_reliability(stated: Sequence[str]) -> dict[str, float]:
    """Read ``name=0.7``.

    Raises
    ------
    ConfigError
        For other texts, or a reliability outside 0 to 1.
    """
    found = {}
    for text in stated:
        name, _, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise ConfigError(f"reliability: expected name=0.7, found '{text}'.") from None
        if not 0 < found[name] <= 1:
            raise ConfigError(f"reliability of '{name}': expected above 0 to 1, found {value}.")
    return found


def known_reliability(stated: Mapping[str, float], folder: Path) -> dict[str, Reliability]:
    """Return the reliability of markers by name: as stated, else from the study's own records.

    Parameters
    ----------
    stated : mapping of marker to reliability
    folder : Path
        A study; its ``reliability.json`` is read where there is one.
    """
    path = folder / RECORDS
    records = read_json(path) if path.exists() else {}
    measured = {name: _of_block(records.get(key, {})) for name, key in MEASURED_AS.items()}
    own = {name: found for name, found in measured.items() if found is not None}
    return own | {name: Reliability(value, STATED) for name, value in stated.items()}


def _of_block(record: Mapping[str, Any]) -> Reliability | None:
    """Reliability of one block, by the repetition that sees most; None where none is positive."""
    for repetition, (form, words) in REPETITIONS.items():
        figure = record.get("single_value", {}).get(repetition, {}).get("forms", {}).get(form, {})
        value = figure.get("estimate")
        if value is not None and 0 < value <= 1:
            return Reliability(float(value), f"{RECORDS}: {form} of {words}")
    return None
