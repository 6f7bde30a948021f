"""Contrasts of exercises: subgroups of any kind are listed whole, and no person is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.contrast import Question, lines, run
from pipeline.errors import ConfigError


@pytest.fixture(scope="module")
def two_exercises(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bouts of two exercises of the small study, with columns nobody would subgroup by."""
    folder = tmp_path_factory.mktemp("contrast") / "two"
    folder.mkdir()
    for name in ("measurements.parquet", "study.json"):
        shutil.copy(study / name, folder / name)
    cases = pd.read_parquet(study / "cases.parquet")
    cases = cases[cases["modality"].isin(["aerobic", "isometric"])]
    person = cases["participant_id"]
    cases.assign(
        constant=1.0,
        no_number=np.nan,
        no_text=pd.Series([None] * len(cases), index=cases.index, dtype="object"),
        rare=np.where(person == person.min(), "a", "b"),
        mark=(person == person.max()).astype(float),
        half=np.where(person < "P0045", np.nan, cases["age_years"]),
        dose=np.where(cases["modality"] == "aerobic", 1_000_000.0, 1_000_001.0),
    ).to_parquet(folder / "cases.parquet")
    return folder


def parts(folder: Path, column: str) -> list[dict[str, Any]]:
    question = Question("modality", "aerobic", {}, (column,), ("local_ppt",))
    result = run(folder, question, None)
    assert all("nan" not in line for line in lines(result))
    return [p for p in result["endpoints"][0]["estimates"] if p["subgroup"]]


@pytest.mark.parametrize("column", ["constant", "no_number", "no_text"])
def test_subgroups_of_a_column_without_two_values_have_no_interaction(
    two_exercises: Path, column: str
) -> None:
    *levels, interaction = parts(two_exercises, column)

    assert len(levels) == 1
    assert np.isfinite(levels[0]["estimate"])
    assert np.isnan(interaction["estimate"])
    assert interaction["reason"]


@pytest.mark.parametrize("column", ["rare", "mark", "half", "sex", "condition"])
def test_subgroups_hold_every_person_once_with_a_reason_where_too_few(
    two_exercises: Path, column: str
) -> None:
    *levels, _ = parts(two_exercises, column)
    question = Question("modality", "aerobic", {}, (), ("local_ppt",))
    everybody = run(two_exercises, question, None)["endpoints"][0]["estimates"][0]

    assert sum(p["n_participants"] for p in levels) == everybody["n_participants"]
    assert all(p["reason"] for p in levels if p["n_participants"] < 3)


def test_interaction_counts_those_whose_property_is_known(two_exercises: Path) -> None:
    below, above, unknown, interaction = parts(two_exercises, "half")

    assert unknown["level"] == "unknown"
    assert unknown["n_participants"] > 0
    assert interaction["n_participants"] == below["n_participants"] + above["n_participants"]


def test_doses_that_differ_in_the_seventh_digit_are_two(two_exercises: Path) -> None:
    question = Question("dose", "1000000", {}, (), ("local_ppt",))

    assert run(two_exercises, question, None)["other"] == "1000001"


@pytest.mark.parametrize(
    "options",
    [
        ("--by", "participant_id", "--reference", "P0001"),
        ("--by", "age_years", "--reference", "50"),
        ("--by", "modality", "--reference", "aerobic", "--subgroups", "session_id"),
    ],
)
def test_contrast_by_a_column_of_persons_is_refused_without_its_values(
    two_exercises: Path, eih: Callable[..., Any], options: tuple[str, ...]
) -> None:
    said = eih("contrast", two_exercises, *options)

    assert said.code == 10
    assert len(said.err.strip().splitlines()) == 1
    assert "P0002" not in said.err
    ages = pd.read_parquet(two_exercises / "cases.parquet")["age_years"].dropna()
    assert not any(f" {age:g}," in said.err for age in ages)


def test_contrast_of_a_column_without_two_values_says_what_there_is(two_exercises: Path) -> None:
    with pytest.raises(ConfigError, match="found aerobic, isometric"):
        run(two_exercises, Question("modality", "walking", {}), None)
