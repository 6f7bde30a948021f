"""Own earlier bouts: put beside cases, learnt from, sent by a service, and their gain judged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.columns import KEYS
from features.history import HISTORY_NAMES
from models.errors import LeakageError
from pipeline import featurize, train
from pipeline.artefacts import find_bundles
from pipeline.biomarker_study import read_study_rows
from pipeline.config import BiomarkerParams, LabelParams, Params
from pipeline.errors import ConfigError
from pipeline.history_gain import run as judge_history
from pipeline.history_gain import sentence
from pipeline.own_history import with_history
from pipeline.predict import predict
from pipeline.simulate import simulate
from pipeline.study_folder import read_cases, read_design, read_measurements

FAMILIES = ("person", "condition", "exercise", "history")
QUICK = (BiomarkerParams(repeats=1, folds=3, resamples=60, rules=()), LabelParams())
BASE = ("age_years", "condition")


@pytest.fixture(scope="module")
def learnt(study: Path, small: Params, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model of the small study that has seen the history, and the features it learnt from."""
    folder = tmp_path_factory.mktemp("history") / "small"
    folder.mkdir()
    for name in ("cases.parquet", "measurements.parquet", "study.json"):
        shutil.copy(study / name, folder / name)
    chosen = replace(small.featurize, families=FAMILIES)
    featurize.run(chosen, folder, folder / "features.parquet")
    settings = replace(small.train, folds=2, logistic_c=(0.1,))
    tables = (folder / "features.parquet", study / "outcomes.parquet")
    train.run(settings, tables, "response", folder / "response")
    candidates = folder / "response" / "train" / "candidates"
    return {
        "folder": folder,
        "bundle": next(iter(find_bundles(candidates / "logistic").values())),
        "features": pd.read_parquet(folder / "features.parquet"),
    }


def as_a_service_knows(study: Path) -> pd.DataFrame:
    """Cases with the columns of the data dictionary filled from the service's own records."""
    return with_history(read_cases(study), read_measurements(study), read_design(study))


def test_a_model_learns_from_the_history(learnt: dict[str, Any]) -> None:
    assert set(HISTORY_NAMES) <= set(learnt["bundle"].feature_names)
    assert "history" in learnt["bundle"].training["blocks"]["trained"]


def test_a_prediction_with_the_history_is_that_of_the_features_made_in_training(
    learnt: dict[str, Any], study: Path
) -> None:
    said = predict(as_a_service_knows(study), {"response": learnt["bundle"]}).predictions

    features = learnt["features"].set_index(list(KEYS))
    rows = pd.MultiIndex.from_frame(said[list(KEYS)])
    expected = learnt["bundle"].predict(features.loc[rows].reset_index(drop=True))
    assert len(said) > 100
    np.testing.assert_array_equal(said["p_response"].to_numpy(), expected)


def test_a_prediction_without_the_history_says_that_the_block_is_absent(
    learnt: dict[str, Any], study: Path
) -> None:
    known = predict(as_a_service_knows(study), {"response": learnt["bundle"]}).predictions
    unknown = predict(read_cases(study), {"response": learnt["bundle"]}).predictions

    assert unknown["absent_blocks"].str.split(";").map(lambda b: "history" in b).all()
    assert not known["absent_blocks"].str.split(";").map(lambda b: "history" in b).any()
    assert unknown["p_response"].notna().all()
    assert (unknown["p_response"] != known["p_response"]).any()


def test_a_first_bout_is_told_from_a_history_that_was_not_sent(
    learnt: dict[str, Any], study: Path
) -> None:
    first = read_cases(study).query("modality != 'rest'").head(1)
    told = first.assign(history_bouts=0.0)

    said = [predict(c, {"response": learnt["bundle"]}).predictions for c in (first, told)]

    assert ["history" in s["absent_blocks"].iloc[0].split(";") for s in said] == [True, False]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_cases_with_a_history_are_predicted_as_if_it_had_been_made_there(
    suffix: str, learnt: dict[str, Any], study: Path, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    made = tmp_path / f"cases.{suffix}"
    said = eih("history", study, "--output", made, "--json", "-")
    assert said.code == 0
    told = json.loads(said.out)
    assert (told["measure"], told["timepoint"], told["scale"]) == ("ppt", "post", "log_ratio")
    model = learnt["folder"] / "response" / "train" / "candidates" / "logistic"

    out = tmp_path / "said.parquet"
    assert eih("predict", "--model", model, "--input", made, "--output", out).code == 0

    whole = predict(as_a_service_knows(study), {"response": learnt["bundle"]}).predictions
    found = pd.read_parquet(out).merge(whole, on=list(KEYS), suffixes=("", "_whole"))
    assert len(found) == len(whole)
    # Text holds the shortest digits that read back as the same number.
    np.testing.assert_array_equal(found["p_response"], found["p_response_whole"])


def test_history_of_a_bout_still_to_come_needs_no_measurement_of_it(
    study: Path, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    folder = tmp_path / "next"
    folder.mkdir()
    for name in ("cases.parquet", "measurements.parquet", "study.json"):
        shutil.copy(study / name, folder / name)
    cases = read_cases(study)
    measured = read_measurements(study)
    last = cases[cases["modality"] != "rest"].groupby("participant_id")["period"].idxmax()
    due = cases.loc[last, list(KEYS)]
    kept = measured.merge(due, on=list(KEYS), how="left", indicator="_from")
    kept[kept.pop("_from") == "left_only"].to_parquet(folder / "measurements.parquet")

    assert eih("history", folder, "--output", tmp_path / "made.parquet").code == 0

    made = pd.read_parquet(tmp_path / "made.parquet").merge(due, on=list(KEYS))
    before = as_a_service_knows(study).merge(due, on=list(KEYS))
    assert (before["history_bouts"] > 0).sum() > 20
    pd.testing.assert_frame_equal(made[list(HISTORY_NAMES)], before[list(HISTORY_NAMES)])


def test_featurize_refuses_a_history_that_holds_the_bouts_own_change(
    study: Path, small: Params, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    folder = tmp_path / "leaky"
    folder.mkdir()
    for name in ("measurements.parquet", "study.json"):
        shutil.copy(study / name, folder / name)
    outcomes = pd.read_parquet(study / "outcomes.parquet")
    own = outcomes.loc[outcomes["is_primary"], [*KEYS, "change_log_ratio"]]
    cases = read_cases(study).merge(own, on=list(KEYS), how="left")
    cases.rename(columns={"change_log_ratio": "history_last_change"}).to_parquet(
        folder / "cases.parquet"
    )

    for command in (["history-gain"], ["biomarker", "--candidate", "history_last_change"]):
        said = eih(command[0], folder, *command[1:])
        assert said.code == 11
        assert "history_last_change" in said.err
        assert "earlier periods" in said.err


def test_history_gain_judges_bouts_that_follow_another(study: Path) -> None:
    found = judge_history(QUICK, study, "response", BASE)

    rows = read_study_rows(QUICK, study, "response")
    assert found["n_bouts"] + found["n_bouts_without_history"] == len(rows.cases)
    whole = as_a_service_knows(study).merge(rows.cases[list(KEYS)], on=list(KEYS))
    assert found["n_bouts"] == (whole["history_bouts"] > 0).sum()
    assert found["mean_earlier_bouts"] == pytest.approx(
        whole.loc[whole["history_bouts"] > 0, "history_bouts"].mean()
    )
    assert found["sentence"].startswith("Simulated data. local_ppt, response: ")


def test_history_gain_finds_a_stable_response_and_none_where_there_is_none(
    tmp_path: Path,
) -> None:
    differences = {}
    for reliability in (0.95, 0.0):
        folder = tmp_path / f"r{reliability}"
        simulate(250, "null", 5, folder, {"response.reliability": reliability})
        differences[reliability] = judge_history(QUICK, folder, "response", BASE)["history"][
            "log_loss_difference"
        ]

    # Interval over persons: the stable one lies below no gain, the other does not.
    assert differences[0.95]["upper"] < 0
    assert differences[0.0]["upper"] > 0


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ((-0.05, -0.09, -0.01), "improve the prediction of the next"),
        ((0.05, 0.01, 0.09), "make the prediction of the next worse"),
        ((-0.01, -0.05, 0.03), "have not been shown to help predict the next"),
    ],
)
def test_history_gain_says_what_the_interval_allows(
    interval: tuple[float, float, float], words: str
) -> None:
    difference = dict(zip(("estimate", "lower", "upper"), interval, strict=True))
    record = {
        "log_loss_difference": difference,
        "auc_difference": difference,
        "n": 9,
        "n_participants": 5,
        "n_left_out": 2,
    }
    about = {"endpoint": "e", "target": "response"}

    said = sentence({**about, "simulated": False, "history": record})

    assert words in said
    assert "9 bouts of 5 persons; 2 more lack" in said


def test_history_gain_counts_the_bouts_its_figures_are_of(study: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gaps"
    shutil.copytree(study, folder)
    cases = read_cases(study)
    cases.assign(age_years=cases["age_years"].mask(cases["participant_id"] < "P0030")).to_parquet(
        folder / "cases.parquet"
    )

    found = judge_history(QUICK, folder, "response", ("age_years",))

    left = found["history"]["n_left_out"]
    assert 0 < left < found["n_bouts"]
    assert f"{found['n_bouts'] - left} bouts of" in found["sentence"]
    assert f"; {left} more lack" in found["sentence"]


def test_history_gain_refuses_a_base_set_that_holds_the_outcome(
    study: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "leak"
    shutil.copytree(study, folder)
    rows = read_study_rows(QUICK, study, "response")
    own = rows.cases[list(KEYS)].assign(smuggled=rows.change)
    read_cases(study).merge(own, on=list(KEYS), how="left").to_parquet(folder / "cases.parquet")

    with pytest.raises(LeakageError, match="smuggled"):
        judge_history(QUICK, folder, "response", ("smuggled",))


@pytest.mark.parametrize("name", ["history", "history_last_change", "history_shrunken_change"])
def test_history_gain_refuses_a_base_set_that_holds_the_history(study: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="without a history"):
        judge_history(QUICK, study, "response", (name,))


def test_history_gain_refuses_a_study_of_one_bout_a_person(
    study: Path, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    folder = tmp_path / "once"
    folder.mkdir()
    for name in ("measurements.parquet", "study.json"):
        shutil.copy(study / name, folder / name)
    cases = read_cases(study)
    bouts = cases[cases["modality"] != "rest"].sort_values("period")
    kept = pd.concat([bouts.drop_duplicates("participant_id"), cases[cases["modality"] == "rest"]])
    kept.to_parquet(folder / "cases.parquet")
    measured = read_measurements(study).merge(kept[list(KEYS)], on=list(KEYS))
    measured.to_parquet(folder / "measurements.parquet")

    said = eih("history-gain", folder)

    assert said.code == 13
    assert "bouts that follow an earlier one" in said.err
