"""The data dictionary in seeds/README.md is what the contract says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.columns import CASES, MEASUREMENTS
from features.dictionary import data_dictionary
from features.units import MEASURES

TEXT = data_dictionary()
COLUMNS, MEASURED = TEXT.split("## Measures and their units")
README = Path(__file__).resolve().parents[2] / "seeds" / "README.md"


def test_the_dictionary_in_the_repository_is_up_to_date() -> None:
    assert README.read_text(encoding="utf-8") == TEXT, "run 'make fix'"


def rows(text: str) -> dict[str, str]:
    """Every table row by the name in its first cell, or by each name of a numbered series."""
    named: dict[str, str] = {}
    for line in (line for line in text.splitlines() if line.startswith("| `")):
        first, *last = line.split(" | ")[0].split("`")[1::2]
        named[first] = line
        if last:
            stem, _, start = first.rpartition("_")
            end = int(last[0].rpartition("_")[2])
            named |= {f"{stem}_{n}": line for n in range(int(start), end + 1)}
    return named


@pytest.mark.parametrize("column", [*CASES, *MEASUREMENTS], ids=lambda c: c.name)
def test_every_column_is_in_the_dictionary_alone_or_in_a_numbered_series(column: Any) -> None:
    line = rows(COLUMNS)[column.name]

    assert column.known_at in line
    assert column.expected() in line


def test_the_items_of_a_form_take_one_line() -> None:
    assert "| `pcs_1` to `pcs_13` |" in TEXT
    assert "`pcs_2`" not in TEXT


def test_every_measure_is_in_the_dictionary_with_its_units() -> None:
    listed = rows(MEASURED.split("## Features")[0])

    for measure in MEASURES.values():
        assert all(unit in listed[measure.name] for unit in measure.units)


def test_the_command_writes_the_dictionary(eih: Callable[..., Any], tmp_path: Path) -> None:
    said = eih("dictionary", "--output", tmp_path / "README.md")

    assert said.code == 0
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == TEXT
