"""The results table goes through every study, whether or not it has an outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import NotEnoughDataError
from pipeline import summary
from pipeline.config import Params


def test_a_study_without_an_outcome_is_a_row_with_its_reason(
    small: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(summary.study, "run", lambda params, folder: None)

    def refuse(params: object, folder: Path, output: Path) -> None:
        raise NotEnoughDataError(f"{folder}: expected an outcome, found none. Score it only.")

    monkeypatch.setattr(summary.label, "run", refuse)

    summary.results(small, tmp_path / "results.md")

    rows = (tmp_path / "results.md").read_text().splitlines()[2:]
    assert len(rows) >= 10
    assert rows[0].startswith("| demo | ")
    assert all(row.endswith("| expected an outcome, found none. |") for row in rows)
    assert len({row.count("|") for row in rows}) == 1
