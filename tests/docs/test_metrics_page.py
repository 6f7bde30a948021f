"""Every key that ``eih evaluate`` writes is explained in docs/reference/metrics.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"
# Names that belong to a data set, not to the program: the levels of left_out and subgroups.
EXPLAINED = set(re.findall(r"`([a-z0-9_]+)`", PAGE.read_text(encoding="utf-8")))


def keys(content: Any) -> Iterator[str]:
    """Every key of nested JSON."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield name
            yield from keys(value)
    elif isinstance(content, list):
        for value in content:
            yield from keys(value)


@pytest.fixture(scope="module")
def predictions(trained: Path) -> Path:
    return trained / "response" / "train" / "predictions.parquet"


def test_every_key_of_the_evaluation_is_in_the_glossary(
    predictions: Path, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    options = ("--probability", "p_logistic", "--versus", "p_stratum", "--harm-ratio", "0.5")
    said = eih("evaluate", predictions, *options, "--by", "session_id", "--json", "-")

    found = set(keys(json.loads(said.out)))

    assert {"auc", "versus", "subgroups", "ceiling", "classification"} <= found
    assert sorted(found - EXPLAINED) == []
