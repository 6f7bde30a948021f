"""How sure a prediction is, from training to the predictions file; and two risks at once."""

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

from models.bundle import from_files, to_files
from models.errors import BundleError
from models.uncertainty import REASONS
from pipeline import joint, report
from pipeline.artefacts import find_bundles, read_bundle
from pipeline.config import Params
from pipeline.errors import ConfigError
from pipeline.scoring import predict
from pipeline.sure_columns import agreeing
from pipeline.uncertainty import uncertainty_rules


@pytest.fixture(scope="module")
def both(study: Path, small: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The joint model of the small study."""
    folder = tmp_path_factory.mktemp("joint")
    joint.run(small, (study / "features.parquet", study / "outcomes.parquet"), folder)
    return folder


def cases_of(study: Path) -> pd.DataFrame:
    cases = pd.read_parquet(study / "cases.parquet")
    return cases[cases["modality"] != "rest"].reset_index(drop=True)


def test_every_prediction_says_how_sure_it_is(trained: Path) -> None:
    cases = cases_of(trained)

    found = predict(cases, find_bundles(trained)).predictions

    for target in ("response", "hyperalgesia"):
        lower, upper = found[f"p_{target}_lower"], found[f"p_{target}_upper"]
        assert ((lower >= 0) & (lower <= upper) & (upper <= 1)).all()
        assert set(found[f"set_{target}"]) <= {"no", "yes", "no;yes", "neither"}
        named = found[f"abstain_reasons_{target}"]
        assert ((named != "") == (found[f"abstained_{target}"] == 1)).all()
        assert {r for text in named for r in text.split(";") if r} <= set(REASONS)
    assert (found["p_response"] + found["p_hyperalgesia"] <= 1).all()


def test_a_row_alone_is_answered_as_in_a_batch_bit_for_bit(trained: Path) -> None:
    candidates = trained / "response" / "train" / "candidates"
    bundles = {n: read_bundle(candidates / n) for n in ("stratum", "logistic", "xgboost")}
    cases = cases_of(trained)
    whole = predict(cases, bundles).predictions

    alone = [predict(cases.iloc[[i]], bundles).predictions for i in range(0, len(cases), 20)]

    pd.testing.assert_frame_equal(
        pd.concat(alone, ignore_index=True),
        whole.iloc[::20].reset_index(drop=True),
        check_exact=True,
    )


def test_persons_unlike_any_of_the_study_are_abstained_from_with_the_reason(trained: Path) -> None:
    bundle = {"response": read_bundle(trained / "response" / "train" / "candidates" / "logistic")}
    cases = cases_of(trained).iloc[:3].copy()
    cases["bmi_kg_m2"] = 69.0
    bare = cases[["study_id", "participant_id", "session_id", "modality"]].assign(
        condition="cervical_radiculopathy"
    )

    far = predict(cases, bundle).predictions["abstain_reasons_response"]
    unknown = predict(bare, bundle).predictions["abstain_reasons_response"]

    assert far.str.contains("outside_training_range").all()
    assert unknown.str.contains("cell_too_small").all()
    assert unknown.str.contains("missing_block").all()


def test_what_a_bundle_stores_is_of_no_single_person(trained: Path) -> None:
    bundle = read_bundle(trained / "response" / "train" / "candidates" / "logistic")
    assert bundle.uncertainty is not None
    risks = pd.read_parquet(trained / "response" / "train" / "predictions.parquet")

    edges = np.array(bundle.uncertainty.interval.edges)

    assert len(edges) + 1 <= len(risks["participant_id"].unique()) / 5
    assert all(k >= 5 for k in bundle.uncertainty.domain.cells.values())


def test_an_altered_uncertainty_is_refused(trained: Path) -> None:
    files = to_files(read_bundle(trained / "response" / "bundle"))
    broken = json.loads(files["uncertainty.json"])
    del broken["sets"]

    altered = files | {"uncertainty.json": json.dumps(broken).encode()}

    with pytest.raises(BundleError, match=r"uncertainty\.json was altered"):
        from_files(altered, "here")


def test_evaluation_reports_coverage_of_persons_and_the_effect_of_abstention(trained: Path) -> None:
    folder = trained / "response" / "evaluate"

    found = json.loads((folder / "uncertainty.json").read_text())
    curve = pd.read_csv(folder / "plots" / "coverage_risk.csv")

    assert set(found["coverage"]) == {"no", "yes"}
    assert sum(found["sets"].values()) == pytest.approx(1.0)
    assert set(found["abstained"]) == set(REASONS)
    assert found["abstention"]["wrong_side"]["sentence"]
    assert curve.groupby("error").size().to_dict() == {"brier": 10, "wrong_side": 10}
    assert (folder / "plots" / "coverage_risk.png").exists()


def test_joint_risks_agree_in_predictions_of_the_command(
    eih: Callable[..., Any], both: Path, study: Path, tmp_path: Path
) -> None:
    said = eih(
        "predict", "--model", both, "--input", study / "cases.parquet",
        "--output", tmp_path / "out.csv",
    )  # fmt: skip

    found = pd.read_csv(tmp_path / "out.csv")

    assert said.code == 0
    assert (found["p_response"] + found["p_hyperalgesia"] < 1).all()
    assert (found["risks_adjusted"] == 0).all()
    assert "set_hyperalgesia" in found


def test_joint_model_reports_scores_and_worth(both: Path) -> None:
    found = json.loads((both / "metrics.json").read_text())
    table = pd.read_csv(both / "decision_table.csv")
    out_of_fold = pd.read_parquet(both / "predictions.parquet")

    assert sum(found["classes"].values()) + found["n_undecided"] == found["n"]
    assert found["largest_sum_of_risks"] < 1
    assert set(found["against_shares"]) == {"log_loss", "ranked_probability_score"}
    assert table["harm_of_flare"].tolist() == [0.5, 1.0, 2.0, 4.0]
    # The worse a flare, the fewer bouts are worth it.
    assert (table["share_done"].diff().dropna() <= 0).all()
    risks = out_of_fold[["p_hyperalgesia", "p_neither", "p_response"]].sum(axis=1)
    assert np.allclose(risks, 1.0)


def test_joint_command_says_what_is_wrong_with_its_harms(study: Path, tmp_path: Path) -> None:
    wrong = replace(Params(), joint=replace(Params().joint, harm_of_flare=(0.0,)))

    with pytest.raises(ConfigError, match=r"expected numbers above 0, found 0\.0"):
        joint.run(wrong, (study / "features.parquet", study / "outcomes.parquet"), tmp_path)


def test_too_few_of_a_class_leave_the_reason(study: Path, small: Params, tmp_path: Path) -> None:
    many = replace(small, train=replace(small.train, folds=60))

    found = joint.run(many, (study / "features.parquet", study / "outcomes.parquet"), tmp_path)

    assert found["not_enough_data"].startswith("expected at least 60 persons with")
    assert joint.sentence(found).startswith("joint: not enough data")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("uncertainty_level", 1.0),
        ("uncertainty_width_limit", 0.0),
        ("uncertainty_least_persons", 0),
    ],
)
def test_promises_nothing_could_keep_are_refused(name: str, value: Any, small: Params) -> None:
    with pytest.raises(ConfigError, match=f"train, {name}: expected"):
        uncertainty_rules(replace(small.train, **{name: value}))


def test_risks_above_one_are_moved_and_flagged() -> None:
    columns = {"p_response": np.array([0.9, 0.3]), "p_hyperalgesia": np.array([0.4, 0.2])}

    found = agreeing(columns)

    assert found["p_response"].tolist() == pytest.approx([0.9 - 0.15, 0.3])
    assert found["p_hyperalgesia"].tolist() == pytest.approx([0.4 - 0.15, 0.2])
    assert found["risks_adjusted"].tolist() == [1, 0]
    assert agreeing({"p_response": columns["p_response"]}).keys() == {"p_response"}


def test_the_page_shows_coverage_and_the_decision_table(
    trained: Path, both: Path, small: Params, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(trained, folder)
    shutil.copytree(both, folder / "joint")

    page = report.run(small.report, folder, small.targets, tmp_path / "page").read_text()

    assert "held by its set" in page
    assert "harm of a flare" in page
