"""The files that belong to an outcome table, under its name, beside it."""

from __future__ import annotations

from pathlib import Path

# What a validation derives the labels of each fold from.
CHANGES = "_changes.parquet"
# Every bout's class under every rule.
RULES = "_rules.csv"


def beside(outcomes: Path, ending: str) -> Path:
    """Return a companion of an outcome table.

    Examples
    --------
    >>> beside(Path("outcomes.parquet"), RULES).as_posix()
    'outcomes_rules.csv'
    """
    return outcomes.with_name(outcomes.stem + ending)
