"""The stages on a small simulated study: artefacts, their contracts and their agreement."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost

from features.columns import KEYS
from models.classifiers import make_ladder
from models.errors import LeakageError, NotEnoughDataError
from models.splits import SplitPlan
from models.validation import fit_tuned
from pipeline import report, train
from pipeline.artefacts import find_bundles, read_bundle
from pipeline.config import Params
from pipeline.dataset import feature_roles, load_dataset, usable_columns
from pipeline.train import ladder_settings

LADDER = ["prevalence", "stratum", "baseline", "logistic", "regression", "xgboost"]


def metrics(trained: Path, target: str = "response") -> dict[str, object]:
    content: dict[str, object] = json.loads(
        (trained / target / "evaluate" / "metrics.json").read_text()
    )
    return content


def test_outcome_table_holds_every_exercise_bout_with_its_error(study: Path) -> None:
    outcomes = pd.read_parquet(study / "outcomes.parquet")
    cases = pd.read_parquet(study / "cases.parquet")

    # A bout counts where it has readings after it: some people leave early, a programme ends later.
    readings = pd.read_parquet(study / "measurements.parquet")
    after = readings[(readings["measure"] == "ppt") & (readings["timepoint"] == "post")]
    exercise = cases.loc[cases["modality"] != "rest", [*KEYS]]
    observed = exercise.merge(after[[*KEYS]].drop_duplicates(), on=[*KEYS])

    assert set(outcomes["endpoint"]) == {"local_ppt", "remote_ppt"}
    assert len(observed) < len(exercise)
    assert len(outcomes) == 2 * len(observed)
    assert outcomes["sem_change"].gt(0).all()
    assert (outcomes["sem_change"] / outcomes["sem_single"]).round(9).eq(2).all()  # sqrt2 * sqrt2
    assert not (outcomes["response"] + outcomes["hyperalgesia"]).gt(1).any()


def test_splits_on_disk_are_disjoint_in_persons_and_hashed_into_the_bundle(trained: Path) -> None:
    folder = trained / "response"
    plan = SplitPlan.from_dict(json.loads((folder / "train" / "splits.json").read_text()))
    predictions = pd.read_parquet(folder / "train" / "predictions.parquet")
    first = predictions[predictions["repeat"] == 0].sort_values("row")

    plan.audit(first["participant_id"].to_numpy())

    assert read_bundle(folder / "bundle").record["split_sha256"] == plan.sha256()


def test_out_of_fold_predictions_keep_every_candidate_and_row(trained: Path) -> None:
    predictions = pd.read_parquet(trained / "response" / "train" / "predictions.parquet")

    columns = [f"p_{name}" for name in LADDER]

    assert [c for c in predictions.columns if c.startswith("p_")] == columns
    assert predictions[columns].notna().all().all()
    assert predictions[columns].ge(0).all().all()
    assert predictions[columns].le(1).all().all()


def test_metrics_report_every_candidate_with_persons_and_intervals(trained: Path) -> None:
    found = metrics(trained)

    assert list(found["candidates"]) == sorted(LADDER)  # type: ignore[call-overload]
    assert found["n_participants"] == 90
    for figures in found["candidates"].values():  # type: ignore[attr-defined]
        assert figures["auc"]["lower"] <= figures["auc"]["estimate"] <= figures["auc"]["upper"]
    assert "persons, out of fold" in found["verdict"]["sentence"]  # type: ignore[index]


def test_a_metric_that_cannot_be_computed_is_null_with_a_reason(trained: Path) -> None:
    slope = metrics(trained)["candidates"]["prevalence"]["intervals"]["slope"]  # type: ignore[index]

    assert slope["estimate"] is None
    assert slope["reason"] == "no finite maximum: the risks are constant or separate the classes"


def test_in_process_model_and_bundle_agree(trained: Path, small: Params) -> None:
    tables = (trained / "features.parquet", trained / "outcomes.parquet")
    data = load_dataset(*tables, "primary", "response", "baseline")
    columns = usable_columns(data.X)
    plan = SplitPlan.from_dict(
        json.loads((trained / "response" / "train" / "splits.json").read_text())
    )

    settings = ladder_settings(small.train, data, "response")
    for candidate in make_ladder(feature_roles(columns), settings):
        bundle = read_bundle(trained / "response" / "train" / "candidates" / candidate.name)
        fitted, _ = fit_tuned(
            candidate,
            data.X[columns],
            data.y,
            np.arange(len(data.y)),
            plan.final,
            margin=data.margin,
        )

        in_process = fitted.predict_proba(data.X[columns])[:, 1]

        # The risk of XGBoost's own pipeline has the resolution of float32.
        np.testing.assert_allclose(bundle.predict(data.X), in_process, rtol=0, atol=2e-7)


@pytest.mark.parametrize("candidate", ["logistic", "xgboost"])
def test_contributions_add_up_to_the_prediction(trained: Path, candidate: str) -> None:
    folder = trained / "response" / "explain"
    table = pd.read_parquet(folder / f"contributions_{candidate}.parquet")
    features = table.drop(columns=[*KEYS, "baseline", "log_odds"])

    total = table["baseline"] + features.sum(axis=1)

    np.testing.assert_allclose(total, table["log_odds"], rtol=0, atol=1e-5)
    assert (folder / f"beeswarm_{candidate}.png").stat().st_size > 10_000


@pytest.mark.parametrize("candidate", ["logistic", "xgboost"])
def test_explanations_say_how_far_they_move_on_other_persons(trained: Path, candidate: str) -> None:
    folder = trained / "response" / "explain"
    found = json.loads((folder / "explain.json").read_text(encoding="utf-8"))[candidate]
    importance = pd.read_csv(folder / f"importance_{candidate}.csv")
    reasons = pd.read_parquet(folder / f"reasons_{candidate}.parquet")

    assert found["refits"]["n"] == 4
    assert (importance["rank_lower"] <= importance["rank_upper"]).all()
    assert (importance["lower"] <= importance["upper"]).all()
    assert importance["rank"].is_monotonic_increasing
    assert len(reasons) == found["n_rows"]
    shares = reasons[["first_stays", "recurring", "same_direction"]]
    assert shares.stack().between(0, 1).all()
    assert found["reasons"]["first_stays"] == reasons["first_stays"].median()
    ranked = {f["family"]: f["mean_abs_log_odds"] for f in found["family_ranks"]}
    assert ranked == found["families"]
    assert list(ranked.values()) == sorted(ranked.values(), reverse=True)


def test_interactions_are_those_of_the_model_in_the_bundle(trained: Path) -> None:
    folder = trained / "response" / "explain"
    table = pd.read_csv(folder / "interactions_xgboost.csv")
    bundle = read_bundle(trained / "response" / "train" / "candidates" / "xgboost")
    rows = pd.read_parquet(folder / "contributions_xgboost.parquet")[list(KEYS)].merge(
        pd.read_parquet(trained / "features.parquet"), on=list(KEYS)
    )
    columns = list(bundle.scorer.columns)
    data = xgboost.DMatrix(rows[columns].to_numpy(dtype=float), nthread=1)

    theirs = bundle.scorer.booster.predict(data, pred_interactions=True)[:, :-1, :-1]

    assert len(table)
    for line in table.itertuples():
        i, j = columns.index(line.feature), columns.index(line.with_feature)
        both = bundle.scorer.recalibration[1] * (theirs[:, i, j] + theirs[:, j, i])
        assert line.mean_abs_log_odds == pytest.approx(np.abs(both).mean(), abs=2e-5)


def test_figures_of_persons_are_drawn_without_their_ids(trained: Path) -> None:
    folder = trained / "response" / "explain"

    drawn = {p.name for p in folder.glob("*.png")}

    persons = {f"person_{i}_{c}.png" for i in (1, 2, 3) for c in ("logistic", "xgboost")}
    others = {f"{n}_{c}.png" for n in ("importance", "dependence") for c in ("logistic", "xgboost")}
    assert persons | others | {"interaction_xgboost.png"} <= drawn


def test_training_refuses_an_outcome_among_the_features(trained: Path, tmp_path: Path) -> None:
    features = pd.read_parquet(trained / "features.parquet")
    outcomes = pd.read_parquet(trained / "outcomes.parquet")
    local = outcomes[outcomes["is_primary"]].set_index(list(KEYS))["change"]
    planted = features.set_index(list(KEYS)).assign(age_years=local).reset_index()
    planted.to_parquet(tmp_path / "features.parquet")

    with pytest.raises(
        LeakageError,
        match=r"derived from the outcome, found age_years \(after\)|"
        r"found age_years \(change_",
    ):
        train.run(
            Params().train,
            (tmp_path / "features.parquet", trained / "outcomes.parquet"),
            "response",
            tmp_path,
        )


def test_training_refuses_a_column_no_builder_declares(trained: Path, tmp_path: Path) -> None:
    features = pd.read_parquet(trained / "features.parquet")
    features.assign(pain_the_day_after=1.0).to_parquet(tmp_path / "features.parquet")

    with pytest.raises(LeakageError, match="found pain_the_day_after"):
        load_dataset(
            tmp_path / "features.parquet",
            trained / "outcomes.parquet",
            "primary",
            "response",
            "baseline",
        )


def test_a_decision_at_screening_refuses_what_is_known_at_baseline(trained: Path) -> None:
    with pytest.raises(LeakageError, match="expected values known at screening or before"):
        load_dataset(
            trained / "features.parquet",
            trained / "outcomes.parquet",
            "primary",
            "response",
            "screening",
        )


def test_a_target_with_one_class_is_not_enough_data(trained: Path, tmp_path: Path) -> None:
    outcomes = pd.read_parquet(trained / "outcomes.parquet").assign(response=0.0)
    outcomes.to_parquet(tmp_path / "outcomes.parquet")

    with pytest.raises(NotEnoughDataError, match="expected events and non-events, found 0 events"):
        load_dataset(
            trained / "features.parquet",
            tmp_path / "outcomes.parquet",
            "primary",
            "response",
            "baseline",
        )


def test_report_on_simulated_data_says_so_first_and_escapes_text(
    trained: Path, tmp_path: Path
) -> None:
    params = Params(report=report.ReportParams(title="<script>alert(1)</script>"))

    page = report.run(params.report, trained, ("response", "hyperalgesia"), tmp_path).read_text()

    body = page[page.index("<body>") :]
    header = body[body.index('<header class="top">') :]
    assert header.split("\n")[1].startswith('<p class="simulated"><strong>Simulated data')
    assert "<script>" not in page
    assert page.count("The predictors ") == 2
    assert "http://" not in page
    assert "https://" not in page


def test_bundles_of_all_targets_are_found(trained: Path) -> None:
    assert list(find_bundles(trained)) == ["hyperalgesia", "response"]
