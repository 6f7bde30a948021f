"""``eih evaluate`` and ``eih samplesize``: the contract, any model's file, nothing in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipeline import evaluate
from pipeline.config import Params
from pipeline.errors import ConfigError
from pipeline.judging import Columns, read_predictions

Run = Callable[..., Any]
FEW = ("--cluster", "participant_id", "--json", "-")
KEYS = {
    "n",
    "n_participants",
    "n_events",
    "prevalence",
    "auc",
    "average_precision",
    "brier",
    "brier_scaled",
    "log_loss",
    "calibration",
    "net_benefit",
}


def predictions(n_persons: int = 60) -> pd.DataFrame:
    """Three bouts a person, two models, one repeat."""
    rng = np.random.default_rng(4)
    person = np.repeat(np.arange(n_persons), 3)
    trait = rng.normal(size=n_persons)[person]
    return pd.DataFrame(
        {
            "participant_id": [f"p{i}" for i in person],
            "y": (rng.random(len(person)) < 1 / (1 + np.exp(-trait))).astype(int),
            "p": 1 / (1 + np.exp(-trait - rng.normal(size=len(person)))),
            "p2": rng.random(len(person)),
            "sex": np.where(person % 3 == 0, "female", "male"),
        }
    )


def twice(table: pd.DataFrame) -> pd.DataFrame:
    """Two repeats of two folds, each row named."""
    rng = np.random.default_rng(1)
    first = table.assign(row=np.arange(len(table)), repeat=0)
    parts = [first, first.assign(repeat=1, p=rng.random(len(table)))]
    fold = table["participant_id"].str[1:].astype(int) % 2
    return pd.concat([p.assign(fold=fold) for p in parts], ignore_index=True)


@pytest.fixture
def judge(eih: Run, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Write a predictions file, judge it, return the JSON."""

    def run(table: pd.DataFrame, *options: str, suffix: str = ".csv") -> dict[str, Any]:
        path = tmp_path / f"predictions{suffix}"
        (table.to_parquet if suffix == ".parquet" else table.to_csv)(path, index=False)
        said = eih("evaluate", path, *FEW, *options)
        assert said.code == 0, said.err
        content: dict[str, Any] = json.loads(said.out)
        return content

    return run


Judge = Callable[..., dict[str, Any]]


# ---- the contract


def test_json_has_the_keys_of_the_contract(judge: Judge) -> None:
    found = judge(predictions(), "--versus", "p2")

    assert set(found) >= KEYS
    assert set(found["auc"]) >= {"estimate", "lower", "upper", "method"}
    assert set(found["calibration"]) == {
        "in_the_large",
        "intercept",
        "slope",
        "oe_ratio",
        "ici",
        "e50",
        "e90",
        "emax",
        "curve",
    }
    assert set(found["calibration"]["curve"][0]) == {"predicted", "observed", "lower", "upper"}
    for row in found["net_benefit"]:
        assert set(row) >= {"threshold", "model", "treat_all", "interventions_avoided"}
    assert set(found["versus"]["auc_difference"]) >= {"estimate", "lower", "upper", "p_value"}


def test_figures_are_those_of_the_file(judge: Judge) -> None:
    table = predictions()

    found = judge(table, "--versus", "p2", suffix=".parquet")

    assert (found["n"], found["n_participants"]) == (180, 60)
    assert found["n_events"] == table["y"].sum()
    assert found["auc"]["estimate"] == pytest.approx(roc_auc_score(table["y"], table["p"]))
    assert found["brier"] == pytest.approx(np.mean((table["p"] - table["y"]) ** 2))
    assert found["calibration"]["oe_ratio"] == pytest.approx(table["y"].sum() / table["p"].sum())
    assert found["versus"]["auc_difference"]["estimate"] == pytest.approx(
        roc_auc_score(table["y"], table["p"]) - roc_auc_score(table["y"], table["p2"])
    )


def test_the_method_of_the_interval_is_named_and_can_be_chosen(judge: Judge) -> None:
    methods = {
        interval: judge(predictions(), "--interval", interval)["auc"]["method"]
        for interval in ("auto", "bootstrap")
    }

    assert methods["auto"] == "clustered by person (Obuchowski 1997)"
    assert methods["bootstrap"].startswith("person-cluster bootstrap, percentile, 1000 of 1000")


def test_delong_on_repeated_rows_is_null_with_a_reason(judge: Judge) -> None:
    found = judge(predictions(), "--interval", "delong")["auc"]

    assert found["estimate"] is not None
    assert (found["lower"], found["upper"]) == (None, None)
    assert found["reason_code"] == "rows_repeat"


def test_a_model_against_itself_is_a_mistake_in_the_options(eih: Run, tmp_path: Path) -> None:
    predictions().to_csv(tmp_path / "p.csv", index=False)
    options = ("--outcome", "y", "--probability", "p", "--versus", "p")

    said = eih("evaluate", str(tmp_path / "p.csv"), *options)

    assert (said.code, said.err.count("\n")) == (10, 1)
    assert "expected another column than --probability, found p." in said.err


def test_a_file_without_persons_has_one_a_row_and_says_so(eih: Run, tmp_path: Path) -> None:
    predictions()[["y", "p"]].to_csv(tmp_path / "p.csv", index=False)

    said = eih("evaluate", tmp_path / "p.csv")

    assert said.code == 0
    assert "180 persons" in said.out
    assert said.out.endswith("0 rows left out; every row is taken as one person\n")
    assert ", DeLong)" in said.out


def test_thresholds_and_harm_ratio_can_be_stated(judge: Judge) -> None:
    found = judge(predictions(), "--thresholds", "0.1,0.3", "--harm-ratio", "0.25")

    assert [r["threshold"] for r in found["net_benefit"]] == [0.1, 0.3]
    assert found["classification"]["threshold"] == pytest.approx(0.25 / 1.25)


# ---- what cannot be judged


def test_rows_that_cannot_be_judged_are_counted_by_reason(judge: Judge) -> None:
    table = predictions().astype({"y": object, "p": object})
    table.loc[[0, 1], "y"] = ["", "NA"]
    table.loc[[1, 5, 6], "p"] = ""

    found = judge(table)

    assert found["left_out"] == {"no_outcome": 2, "no_probability": 2}
    assert (found["n"], found["n_left_out"]) == (180 - 4, 4)


def test_one_class_is_null_with_a_reason_and_never_zero(judge: Judge) -> None:
    found = judge(predictions().assign(y=0))

    assert found["auc"]["estimate"] is None
    assert found["auc"]["reason_code"] == "one_class"
    for name in ("average_precision", "brier_scaled", "r2_nagelkerke", "slope", "in_the_large"):
        assert found["intervals"][name]["estimate"] is None, name
        assert found["intervals"][name]["reason_code"] == "one_class", name


def test_certain_risks_are_judged_where_they_can_be(judge: Judge) -> None:
    table = predictions()
    table.loc[table.index[table["y"] == 1][0], "p"] = 0.0

    found = judge(table)

    assert found["brier"] is not None
    assert found["log_loss"] is None
    assert found["intervals"]["log_loss"]["reason_code"] == "certain_error"
    assert found["intervals"]["slope"]["reason_code"] == "certain_risk"


@pytest.mark.parametrize(
    ("change", "options", "line"),
    [
        ({"y": 2}, (), "column 'y': expected 0 or 1, found 180 other values (first in row 0)."),
        ({"y": "yes"}, (), "column 'y': expected numbers, found 180 other values (first in row 0)"),
        ({"p": 1.2}, (), "column 'p': expected probabilities in 0 to 1, found 180 outside"),
        ({"participant_id": ""}, (), "expected a person in every row, found 180 without"),
        ({}, ("--probability", "q"), "expected the column 'q', found it missing."),
        ({}, ("--by", "height"), "subgroups: expected the column 'height', found it missing."),
        ({}, ("--by", "p2"), "column 'p2': expected groups, found 180 different values."),
        (
            {"repeat": [0] * 100 + [1] * 80},
            (),
            "expected the same rows in every repeat, found other",
        ),
        ({"row": 1}, (), "expected each row once in every repeat, found 179 twice."),
    ],
)
def test_a_bad_predictions_file_ends_with_11(
    change: dict[str, Any], options: tuple[str, ...], line: str, eih: Run, tmp_path: Path
) -> None:
    predictions().assign(**change).to_csv(tmp_path / "p.csv", index=False)

    said = eih("evaluate", tmp_path / "p.csv", *FEW, *options)

    assert said.code == 11
    assert line in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--interval", "wald"), "--interval: expected one of auto, delong, clustered, bootstrap"),
        (("--thresholds", "0.1,x"), "--thresholds: expected numbers joined by commas"),
        (("--thresholds", "0"), "thresholds: expected risks between 0 and 1, found 0.0."),
        (("--harm-ratio", "0"), "harm_ratio: expected a number above 0, found 0.0."),
    ],
)
def test_an_impossible_option_ends_with_10(
    options: tuple[str, ...], line: str, eih: Run, tmp_path: Path
) -> None:
    predictions().to_csv(tmp_path / "p.csv", index=False)

    said = eih("evaluate", tmp_path / "p.csv", *options)

    assert said.code == 10
    assert line in said.err


def test_a_file_without_a_row_to_judge_ends_with_13(eih: Run, tmp_path: Path) -> None:
    predictions().assign(y="").to_csv(tmp_path / "p.csv", index=False)

    assert eih("evaluate", tmp_path / "p.csv").code == 13


# ---- repeats


def test_repeats_are_lined_up_by_row_whatever_their_order(judge: Judge) -> None:
    table = twice(predictions())
    shuffled = table.sample(frac=1, random_state=0)

    assert judge(table) == judge(shuffled)


def test_repeats_in_other_orders_without_row_names_are_refused(eih: Run, tmp_path: Path) -> None:
    table = twice(predictions()).drop(columns="row")
    table.iloc[180:] = table.iloc[180:].sample(frac=1, random_state=0).to_numpy()
    table.to_csv(tmp_path / "p.csv", index=False)

    said = eih("evaluate", tmp_path / "p.csv", *FEW)

    assert said.code == 11
    assert "expected the rows in the same order in every repeat, found other persons." in said.err


def test_outcomes_may_differ_between_repeats_and_be_missing_in_one(tmp_path: Path) -> None:
    table = twice(predictions()).astype({"y": float})
    table.loc[[0, 180 + 7], "y"] = np.nan
    table.loc[180 + 3, "y"] = 1 - table.loc[3, "y"]
    table.to_parquet(tmp_path / "p.parquet")

    read = read_predictions(tmp_path / "p.parquet", Columns(), ["p"])

    assert read.judged.y.shape == (2, 180)
    assert np.isnan(read.judged.y[0, 0])
    assert np.isnan(read.judged.y[1, 7])
    assert read.judged.y[1, 3] == 1 - read.judged.y[0, 3]
    assert read.left_out == {"no_outcome": 2, "no_probability": 0}


def test_outcomes_alike_in_every_repeat_are_held_once(tmp_path: Path) -> None:
    twice(predictions()).to_parquet(tmp_path / "p.parquet")

    read = read_predictions(tmp_path / "p.parquet", Columns(), ["p"])

    assert read.judged.y.shape == (180,)
    assert read.risks["p"].shape == (2, 180)
    assert set(np.unique(read.judged.block)) == {0, 1}


# ---- subgroups


def test_subgroups_are_judged_with_their_own_persons(judge: Judge) -> None:
    table = predictions()

    found = {g["level"]: g for g in judge(table, "--by", "sex")["subgroups"]}

    men = table[table["sex"] == "male"]
    assert found["male"]["n_participants"] == men["participant_id"].nunique()
    assert found["male"]["auc"]["estimate"] == pytest.approx(roc_auc_score(men["y"], men["p"]))
    assert found["male"]["auc"]["lower"] < found["male"]["auc"]["estimate"]
    assert all(row["model"] is not None for row in found["male"]["net_benefit"])
    assert set(found["male"]["classification"]) >= {"sensitivity", "specificity", "ppv", "npv"}


def test_a_missing_level_is_a_group_and_a_small_one_says_so(judge: Judge) -> None:
    table = predictions()
    table.loc[table["participant_id"].isin(["p0", "p3"]), "sex"] = ""

    found = {g["level"]: g for g in judge(table, "--by", "sex")["subgroups"]}

    assert found["missing"]["n"] == 6
    assert found["missing"]["auc"]["estimate"] is None
    assert found["missing"]["auc"]["reason_code"] == "small_cell"


def test_training_reports_subgroups_with_their_columns_left_out(trained: Path) -> None:
    folder = trained / "response" / "evaluate"
    content = json.loads((folder / "subgroups.json").read_text())
    table = pd.read_csv(folder / "subgroups.csv")
    metrics = json.loads((folder / "metrics.json").read_text())

    columns = {g["column"] for g in content["groups"]}

    assert columns | set(content["columns_left_out"]) == {"sex", "age_band", "condition", "site_id"}
    assert {"sex", "age_band", "condition"} <= columns
    for column in columns:
        groups = [g for g in content["groups"] if g["column"] == column]
        of_one = [g for g in groups if g["model"] == groups[0]["model"]]
        assert sum(g["n"] for g in of_one) == metrics["n"], column
    assert len(table) == len(content["groups"])
    small = table[table["n_participants"] < 20]
    assert len(small) > 0
    assert small["auc"].isna().all()
    assert small["auc_reason"].eq("small_cell").all()
    assert small["sensitivity_reason"].eq("small_cell").all()
    assert table.loc[table["n_participants"] >= 50, "sensitivity"].between(0, 1).all()


def test_a_prediction_without_its_case_is_an_error(trained: Path, tmp_path: Path, eih: Run) -> None:
    pd.read_parquet(trained / "cases.parquet").iloc[5:].to_parquet(tmp_path / "cases.parquet")

    said = eih(
        "evaluate",
        trained / "response" / "train" / "predictions.parquet",
        "--probability",
        "p_logistic",
        "--by",
        "sex",
        "--cases",
        tmp_path / "cases.parquet",
    )

    assert said.code == 11
    assert "expected a case for every judged row, found none for" in said.err


# ---- sample size


def test_training_reports_a_verdict_on_the_sample_size(trained: Path) -> None:
    metrics = json.loads((trained / "response" / "evaluate" / "metrics.json").read_text())
    scorer = trained / "response" / "train" / "candidates" / "logistic" / "scorer.json"
    found = metrics["sample_size"]

    assert found["parameters"] == len(json.loads(scorer.read_text())["coefficients"])
    assert found["available"]["participants"] == metrics["n_participants"] == 90
    assert found["sufficient"] is False
    assert found["sentence"].startswith("Too small for ")


def test_an_anticipation_that_is_impossible_ends_with_the_key(trained: Path) -> None:
    params = replace(Params().evaluate, resamples=20, anticipated_c_statistic=0.5)

    with pytest.raises(ConfigError, match="evaluate, anticipated_c_statistic: R² "):
        evaluate.run_ladder(
            params, trained / "response" / "train" / "predictions.parquet", trained / "spare"
        )


def test_samplesize_gives_the_contract(eih: Run) -> None:
    said = eih(
        "samplesize",
        *("--outcome", "binary", "--prevalence", "0.174", "--r2", "0.288"),
        *("--parameters", "24", "--bouts", "3", "--icc", "0.4", "--json", "-"),
    )

    found = json.loads(said.out)
    assert found["criteria"] == {"1": 623, "2": 662, "3": 221}
    assert (found["minimum_n"], found["minimum_events"]) == (662, 116)
    assert found["with_repeated_bouts"]["minimum_participants"] == 398


def test_samplesize_says_its_result_in_a_line(eih: Run) -> None:
    said = eih(
        "samplesize",
        *("--outcome", "continuous", "--r2", "0.2", "--mean", "1.9", "--sd", "0.6"),
        *("--parameters", "25"),
    )

    assert said.out == (
        "918 persons (criterion 1: 918, criterion 2: 401, criterion 3: 259, criterion 4: 259)\n"
    )


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--outcome", "ordinal"), "--outcome: expected binary or continuous, found 'ordinal'."),
        (
            ("--outcome", "binary"),
            "--prevalence: expected a value for a binary outcome, found none",
        ),
        (("--outcome", "binary", "--prevalence", "0.3"), "found neither."),
        (
            ("--outcome", "binary", "--prevalence", "0.3", "--r2", "0.1", "--c-statistic", "0.7"),
            "found both.",
        ),
        (("--outcome", "continuous", "--r2", "0.2"), "--mean: expected a value"),
        (("--outcome", "binary", "--bouts", "0.5"), "--bouts and --icc: expected at least 1"),
        (
            ("--outcome", "binary", "--prevalence", "1.3", "--c-statistic", "0.7"),
            "prevalence: expected a value between 0 and 1, found 1.3.",
        ),
    ],
)
def test_an_impossible_question_of_samplesize_ends_with_10(
    options: tuple[str, ...], line: str, eih: Run
) -> None:
    said = eih("samplesize", "--parameters", "10", *options)

    assert said.code == 10
    assert line in said.err
    assert said.err.count("\n") == 1
