"""Labels are derived in every fold from its training persons; what the stages make of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.columns import KEYS
from features.outcome import compute_changes
from models.errors import LeakageError
from models.splits import SplitPlan
from pipeline import evaluate, featurize, label, train
from pipeline.artefacts import read_bundle
from pipeline.config import LabelParams, Params
from pipeline.dataset import load_dataset
from pipeline.errors import ConfigError
from pipeline.io import read_json, read_table, write_table
from pipeline.relabel import labels_per_fold
from pipeline.study_folder import read_cases, read_design, read_measurements

POSTERIOR = LabelParams(rule="posterior")


@pytest.fixture
def copy(study: Path, tmp_path: Path) -> Path:
    """The small study's tables and features, to be changed."""
    folder = tmp_path / "study"
    folder.mkdir()
    for name in ("cases.parquet", "measurements.parquet", "study.json", "features.parquet"):
        shutil.copy(study / name, folder / name)
    return folder


def labelled(folder: Path, params: LabelParams) -> tuple[Path, Path]:
    """Label the study; return what train reads."""
    label.run(params, folder, folder / "outcomes.parquet")
    return folder / "features.parquet", folder / "outcomes.parquet"


def fold_labels(folder: Path, params: LabelParams, plan: SplitPlan, soft: bool) -> Any:
    data = load_dataset(*labelled(folder, params), "primary", "response", "baseline")
    assert data.source is not None, data.as_given
    return data, labels_per_fold(data.source, data.keys, plan, soft)


def one_split_plan(data: Any, tested: str) -> SplitPlan:
    """Plan of two folds, the first of which tests the one person."""
    person = data.keys["participant_id"].to_numpy()
    first, second = np.flatnonzero(person == tested), np.flatnonzero(person != tested)
    content = [
        {"repeat": 0, "fold": i, "train": b.tolist(), "test": a.tolist(), "inner": []}
        for i, (a, b) in enumerate(((first, second), (second, first)))
    ]
    return SplitPlan.from_dict({"n_rows": len(person), "folds": content, "final": []})


@pytest.mark.parametrize(("rule", "scale"), [("posterior", "primary"), ("mdc95", "ancova")])
def test_no_reading_of_a_test_person_changes_a_label_that_is_learnt_from(
    copy: Path, rule: Any, scale: Any
) -> None:
    params = LabelParams(rule=rule, change_scale=scale, sem_by="condition")
    tables = labelled(copy, params)
    data = load_dataset(*tables, "primary", "response", "baseline")
    tested = str(data.keys["participant_id"].iloc[0])
    plan = one_split_plan(data, tested)
    _, before = fold_labels(copy, params, plan, soft=True)

    # The planted fault: the person's rest bout swings wildly, and so do the trials.
    measurements = read_table(copy / "measurements.parquet")
    own = (measurements["participant_id"] == tested) & (measurements["measure"] == "ppt")
    wild = np.random.default_rng(0).lognormal(0, 0.8, int(own.sum()))
    measurements.loc[own, "value"] = (measurements.loc[own, "value"] * wild).clip(25, 1900)
    write_table(measurements, copy / "measurements.parquet")
    again, after = fold_labels(copy, params, plan, soft=True)

    pd.testing.assert_frame_equal(again.keys, data.keys)
    learnt = plan.folds[0].train
    np.testing.assert_array_equal(after.judged[0, learnt], before.judged[0, learnt])
    np.testing.assert_array_equal(after.fitted[0, learnt], before.fitted[0, learnt])
    # The fault is large enough to be seen where it may be: with everybody learnt from.
    others = data.keys["participant_id"].to_numpy() != tested
    assert (again.soft[others] != data.soft[others]).any()


def test_labels_of_a_fold_are_those_of_a_study_of_its_training_persons(copy: Path) -> None:
    tables = labelled(copy, POSTERIOR)
    data = load_dataset(*tables, "primary", "response", "baseline")
    plan = one_split_plan(data, str(data.keys["participant_id"].iloc[0]))
    _, labels = fold_labels(copy, POSTERIOR, plan, soft=True)
    persons = data.keys.iloc[plan.folds[0].train]["participant_id"].unique()

    for name in ("cases", "measurements"):
        table = read_table(copy / f"{name}.parquet")
        write_table(table[table["participant_id"].isin(persons)], copy / f"{name}.parquet")
    alone = load_dataset(*labelled(copy, POSTERIOR), "primary", "response", "baseline")

    np.testing.assert_array_equal(labels.judged[0, plan.folds[0].train], alone.y)
    np.testing.assert_allclose(labels.fitted[0, plan.folds[0].train], alone.soft, rtol=1e-9)
    assert np.abs(data.soft[plan.folds[0].train] - alone.soft).max() > 1e-4


@pytest.mark.parametrize("target", ["response", "hyperalgesia"])
def test_the_margin_of_a_fold_has_the_sign_of_its_hard_label(study: Path, target: str) -> None:
    tables = (study / "features.parquet", study / "outcomes.parquet")
    data = load_dataset(*tables, "primary", target, "baseline")
    plan = one_split_plan(data, str(data.keys["participant_id"].iloc[0]))
    assert data.source is not None

    labels = labels_per_fold(data.source, data.keys, plan, soft=False)

    assert labels.margin is not None
    np.testing.assert_array_equal((labels.margin[0] > 0).astype(float), labels.judged[0])
    everybody = data.source.labels(data.keys, None, soft=False)[2]
    assert (labels.margin[0] != everybody).all()


def test_train_judges_every_row_by_the_label_of_its_fold(copy: Path, small: Params) -> None:
    tables = labelled(copy, POSTERIOR)
    settings = replace(small.train, repeats=2)
    train.run(settings, tables, "response", copy / "response")

    predictions = read_table(copy / "response" / "train" / "predictions.parquet")
    plan = SplitPlan.from_dict(read_json(copy / "response" / "train" / "splits.json"))
    data = load_dataset(*tables, "primary", "response", "baseline")
    assert data.source is not None
    labels = labels_per_fold(data.source, data.keys, plan, soft=False)
    for fold, own in zip(plan.folds, labels.judged, strict=True):
        at = fold.repeat * plan.n_rows + fold.test
        np.testing.assert_array_equal(predictions["y"].to_numpy()[at], own[fold.test])
    assert predictions["y"].isna().any()
    assert predictions.filter(like="p_").notna().all(axis=None)
    selection = read_json(copy / "response" / "train" / "selection.json")
    assert selection["labels"] == "derived in every fold"
    assert selection["n_undecided"] == int(np.isnan(data.y).sum()) > 0


def test_undecided_rows_are_predicted_and_left_out_of_the_judgement(
    copy: Path, small: Params
) -> None:
    train.run(small.train, labelled(copy, POSTERIOR), "response", copy / "response")
    predictions = copy / "response" / "train" / "predictions.parquet"

    metrics = evaluate.run_ladder(small.evaluate, predictions, copy / "evaluate")

    known = read_table(predictions)["y"].notna()
    assert metrics["n"] == int(known.sum()) < len(known)
    assert metrics["n_left_out"] == int((~known).sum())


def test_soft_labels_are_learnt_from_and_hard_ones_judged_by(copy: Path, small: Params) -> None:
    tables = labelled(copy, POSTERIOR)

    train.run(replace(small.train, soft_labels=True), tables, "response", copy / "soft")
    train.run(small.train, tables, "response", copy / "hard")

    soft, hard = (
        read_table(copy / name / "train" / "predictions.parquet") for name in ("soft", "hard")
    )
    np.testing.assert_array_equal(soft["y"], hard["y"])
    assert (soft["p_logistic"] != hard["p_logistic"]).all()
    bundles = [read_bundle(copy / name / "bundle") for name in ("soft", "hard")]
    assert [b.record["soft_labels"] for b in bundles] == [True, False]
    assert bundles[0].training["n_rows"] > bundles[1].training["n_rows"]


def test_soft_labels_without_probabilities_are_a_configuration_error(
    study: Path, tmp_path: Path, small: Params
) -> None:
    bare = read_table(study / "outcomes.parquet").drop(columns=["response_probability", "class"])
    write_table(bare, tmp_path / "outcomes.parquet")
    tables = (study / "features.parquet", tmp_path / "outcomes.parquet")

    with pytest.raises(ConfigError, match="^train, soft_labels: expected an outcome table with"):
        train.run(replace(small.train, soft_labels=True), tables, "response", tmp_path / "out")


# ---- labels as given


def test_labels_without_their_changes_are_taken_as_given_and_said_to_be(
    study: Path, tmp_path: Path, small: Params
) -> None:
    shutil.copy(study / "outcomes.parquet", tmp_path / "mine.parquet")

    tables = (study / "features.parquet", tmp_path / "mine.parquet")
    train.run(small.train, tables, "response", tmp_path / "response")

    said = read_json(tmp_path / "response" / "train" / "selection.json")["labels"]
    assert said == "as given: no mine_changes.parquet with mine.json beside mine.parquet"


def test_edited_labels_are_taken_as_given(copy: Path) -> None:
    tables = labelled(copy, LabelParams())
    outcomes = read_table(tables[1])
    write_table(outcomes.assign(response=1 - outcomes["response"]), tables[1])

    data = load_dataset(*tables, "primary", "response", "baseline")

    assert data.source is None
    assert data.as_given == "outcomes_changes.parquet does not give the labels of outcomes.parquet"
    assert np.isfinite(data.y).all()


def test_a_flare_rests_on_no_estimated_error(study: Path) -> None:
    tables = (study / "features.parquet", study / "outcomes.parquet")

    data = load_dataset(*tables, "primary", "flare", "baseline")

    assert (data.source, data.as_given) == (None, "'flare' rests on no estimated error")


# ---- the label stage's other outputs


def test_label_writes_every_rule_side_by_side(copy: Path, eih: Callable[..., Any]) -> None:
    said = eih("label", copy, "--output", copy / "outcomes.parquet", "--rules")

    rules = read_table(copy / "outcomes_rules.csv")
    summary = read_json(copy / "outcomes.json")
    assert said.code == 0
    assert "noise alone" in said.out
    assert "sem_change and posterior: same class" in said.out
    assert list(rules.filter(like="class_")) == [
        f"class_{r}" for r in ("sem_change", "sem_single", "mdc95", "posterior")
    ]
    local = summary["rules"][0]
    assert local["endpoint"] == "local_ppt"
    counted = (rules.query("endpoint == 'local_ppt'")["class_mdc95"] == "hypoalgesia").sum()
    assert local["rules"]["mdc95"]["n_hypoalgesia"] == counted
    assert local["rules"]["mdc95"]["noise_hypoalgesia"] == pytest.approx(0.025, abs=1e-4)


def test_an_impossible_certainty_is_a_configuration_error(copy: Path) -> None:
    with pytest.raises(ConfigError, match="^params, label, certainty: expected more than 0.5"):
        label.run(LabelParams(certainty=0.4), copy, copy / "outcomes.parquet")


# ---- coupling


def coupled(folder: Path, trials: list[int]) -> None:
    """Make the baseline predictor the mean of some of the outcome's own pre trials."""
    measurements = read_table(folder / "measurements.parquet")
    own = measurements.query("measure == 'ppt' and site_role == 'local' and timepoint == 'pre'")
    mean = own[own["trial"].isin(trials)].groupby(list(KEYS))["value"].mean()
    cases = read_table(folder / "cases.parquet").drop(columns="ppt_baseline_local_kpa")
    joined = cases.join(mean.rename("ppt_baseline_local_kpa"), on=list(KEYS))
    write_table(joined, folder / "cases.parquet")
    featurize.run(Params().featurize, folder, folder / "features.parquet")


@pytest.mark.parametrize("trials", [[1, 2, 3], [1], [2, 3]])
def test_a_baseline_made_of_the_outcome_s_own_trials_is_refused(
    copy: Path, eih: Callable[..., Any], trials: list[int]
) -> None:
    coupled(copy, trials)

    told = eih("label", copy, "--output", copy / "outcomes.parquet", "--rules")
    refused = eih(
        "train", "--features", copy / "features.parquet", "--outcomes", copy / "outcomes.parquet",
        "--target", "response", "--output", copy / "response",
    )  # fmt: skip

    assert "'ppt_baseline_local_kpa' is made of the reference trials of 'local_ppt'" in told.out
    assert refused.code == 11
    assert refused.err.count("\n") == 1
    assert "ppt_baseline_local_log_kpa (ppt_baseline_local_kpa)" in refused.err
    assert "made of its reference trials: it predicts their noise" in refused.err


def test_the_other_endpoint_may_use_the_column(copy: Path) -> None:
    coupled(copy, [1, 2, 3])
    tables = labelled(copy, LabelParams())

    with pytest.raises(LeakageError, match="independent of the outcome 'local_ppt'"):
        load_dataset(*tables, "local_ppt", "response", "baseline")
    assert len(load_dataset(*tables, "remote_ppt", "response", "baseline").y) > 0


def test_an_independent_block_is_not_taken_for_a_coupled_one(study: Path) -> None:
    assert read_json(study / "outcomes.json")["coupled"] == []


# ---- trials divided between predictor and outcome


def without_baseline(folder: Path) -> None:
    cases = read_table(folder / "cases.parquet")
    columns = ["ppt_baseline_local_kpa", "ppt_baseline_remote_kpa"]
    write_table(cases.drop(columns=columns), folder / "cases.parquet")


def test_reserved_trials_are_the_feature_and_no_part_of_the_outcome(
    copy: Path, eih: Callable[..., Any]
) -> None:
    without_baseline(copy)

    said = eih("reserve", copy, "--trials", "even", "--output", copy)

    assert said.code == 0, said.err
    design, measurements = read_design(copy), read_measurements(copy)
    cases = read_cases(copy)
    before = measurements.query("measure == 'ppt' and site_role == 'local'")
    feature = before.query("timepoint == 'baseline'").groupby(list(KEYS))["value"].mean()
    reference = before.query("timepoint == 'pre'").groupby(list(KEYS))["value"].mean()
    row = cases.set_index(list(KEYS))["ppt_baseline_local_kpa"]
    np.testing.assert_allclose(row.loc[feature.index], feature)
    changes = compute_changes(cases, measurements, design).query("endpoint == 'local_ppt'")
    own = changes.set_index(list(KEYS))["reference"]
    np.testing.assert_allclose(own, reference.loc[own.index])
    assert set(before.query("timepoint == 'baseline'")["trial"]) == {2}
    assert read_json(copy / "study.json")["reserved_baseline"]["trials"] == "even"
    assert label.run(LabelParams(), copy, copy / "outcomes.parquet")["coupled"] == []


def test_a_study_with_a_block_of_its_own_needs_no_reserve(
    copy: Path, eih: Callable[..., Any]
) -> None:
    said = eih("reserve", copy, "--output", copy)

    assert said.code == 11
    assert "column 'ppt_baseline_local_kpa': expected no baseline before trials" in said.err


def test_single_trials_leave_nothing_to_reserve(copy: Path, eih: Callable[..., Any]) -> None:
    without_baseline(copy)
    measurements = read_table(copy / "measurements.parquet")
    write_table(measurements[measurements["trial"] == 1], copy / "measurements.parquet")

    said = eih("reserve", copy, "--output", copy)

    assert said.code == 11
    assert "expected bouts with two or more trials" in said.err
