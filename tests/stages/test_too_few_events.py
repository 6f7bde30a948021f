"""A target without enough events is recorded, and every later stage says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline import evaluate, explain, report, train
from pipeline.artefacts import find_bundles
from pipeline.config import Params
from pipeline.errors import TableError
from pipeline.io import read_json, write_json

REASON = "expected at least 5 persons with and 5 without an event for 5 folds, found 2 and 88."


@pytest.fixture
def rare(study: Path, tmp_path: Path) -> Path:
    """Outcomes of the small study in which two people have an event."""
    outcomes = pd.read_parquet(study / "outcomes.parquet")
    few = sorted(outcomes["participant_id"].unique())[:2]
    outcomes["response"] = outcomes["participant_id"].isin(few).astype(float)
    outcomes.to_parquet(tmp_path / "outcomes.parquet")
    return tmp_path


def test_train_ends_with_13_unless_told_to_record_it(
    study: Path, rare: Path, eih: Callable[..., Any]
) -> None:
    command = (
        "train",
        "--features",
        study / "features.parquet",
        "--outcomes",
        rare / "outcomes.parquet",
        "--target",
        "response",
        "--output",
        rare / "response",
    )

    refused, recorded = eih(*command), eih(*command, "--record-too-few")

    assert (refused.code, refused.err) == (13, f"{REASON}\n")
    assert recorded.code == 0
    assert read_json(rare / "response" / "train" / "selection.json") == {"not_enough_data": REASON}


def test_later_stages_pass_the_reason_on(study: Path, rare: Path) -> None:
    folder = rare / "response"
    tables = (study / "features.parquet", rare / "outcomes.parquet")
    train.run_or_record(Params().train, tables, "response", folder)

    metrics = evaluate.run_ladder(
        Params().evaluate, folder / "train" / "predictions.parquet", folder / "evaluate"
    )
    explained = explain.run(Params().explain, folder, tables[0], folder / "explain")

    assert metrics == {"not_enough_data": REASON}
    assert explained == {}
    write_json({"study": {}, "outcome": {}}, rare / "study.json")
    write_json(read_json(study / "outcomes.json"), rare / "outcomes.json")
    page = report.run(replace(Params().report, title="t"), rare, ("response",), rare / "report")
    assert f"Not enough data: {REASON}" in page.read_text(encoding="utf-8")
    with pytest.raises(TableError, match="found neither"):
        find_bundles(rare)
