"""``eih reliability`` and the ceiling that travels from the outcome table to the report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.ceiling import LabelShares, auc_ceiling
from features.outcome import label_outcomes
from features.reliability_summary import label_reliability
from pipeline import evaluate, report, train
from pipeline.ceiling import judge_ceiling, reliability_record, with_reliability
from pipeline.config import Params
from pipeline.dataset import load_dataset
from pipeline.reliability import SIMULATED
from pipeline.simulate import simulate
from pipeline.study_folder import read_cases, read_design, read_measurements

Run = Callable[..., Any]
SOUND = {
    "estimate": 0.45,
    "lower": 0.30,
    "upper": 0.58,
    "source": "sessions",
    "method": "somehow",
    "reason": "",
    "unlabelled": 0.0,
}


def content(path: Path) -> Any:
    return json.loads(path.read_text())


# ---- the tool ----------------------------------------------------------------------------------


def test_reliability_prints_json_with_the_promised_keys_per_measure_and_site(
    study: Path, eih: Run
) -> None:
    said = eih("reliability", study, "--json", "-")

    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert list(found) == ["ppt/local", "ppt/remote"]
    for entry in found.values():
        assert {"estimate", "lower", "upper", "model"} <= set(entry["icc"])
        assert entry["source"] in ("sessions", "rest")
        for name in ("sem", "mdc95", "sd_individual_response", "auc_ceiling"):
            assert isinstance(entry[name], float)
        assert entry["single_value"]["rest"]["icc"]["estimate"] > entry["icc"]["estimate"]


def test_reliability_says_what_it_means_for_any_model(study: Path, eih: Run) -> None:
    lines = eih("reliability", study).out.splitlines()

    assert lines[0] == SIMULATED
    assert sum(line.startswith("ppt/") for line in lines) == 2
    assert sum("No model can be expected to exceed an AUC of" in line for line in lines) == 2
    assert sum("SD of individual response" in line for line in lines) == 2


def test_reliability_of_a_folder_without_tables_ends_with_11(tmp_path: Path, eih: Run) -> None:
    said = eih("reliability", tmp_path)

    assert said.code == 11
    assert said.err.count("\n") == 1


def test_reliability_finds_the_share_of_variance_that_the_simulator_made_true(
    tmp_path: Path,
) -> None:
    simulate(500, "base", 21, tmp_path)
    cases, measurements = read_cases(tmp_path), read_measurements(tmp_path)
    design = read_design(tmp_path)
    labels = label_outcomes(cases, measurements, design)
    truth = pd.read_parquet(tmp_path / "truth" / "truth.parquet")
    joined = labels.merge(truth, on=["study_id", "participant_id", "session_id"])

    found = label_reliability(cases, measurements, labels, design)

    for site in ("local", "remote"):
        own = joined[joined["endpoint"] == f"{site}_ppt"]
        true = own["change"].corr(own[f"true_response_{site}_log"]) ** 2
        figure = found[f"{site}_ppt"]
        # Half the width of the 95 % interval is about two standard errors: three of them.
        half = (figure["upper"] - figure["lower"]) / 2
        assert figure["estimate"] == pytest.approx(true, abs=1.5 * half)


# ---- beside every result -----------------------------------------------------------------------


def test_outcome_table_carries_reliability_and_the_ceiling_it_implies(study: Path) -> None:
    outcomes = pd.read_parquet(study / "outcomes.parquet")

    for _, own in outcomes.groupby("endpoint"):
        row = own.iloc[0]
        assert own["reliability"].nunique() == 1
        assert row["reliability_lower"] < row["reliability"] < row["reliability_upper"]
        assert row["auc_ceiling"] == pytest.approx(
            auc_ceiling(row["reliability"], LabelShares(own["response"].mean()))
        )


@pytest.mark.parametrize("target", ["response", "hyperalgesia"])
def test_ladder_metrics_carry_the_ceiling_with_its_interval(trained: Path, target: str) -> None:
    metrics = content(trained / target / "evaluate" / "metrics.json")
    outcomes = pd.read_parquet(trained / "outcomes.parquet")
    row = outcomes[outcomes["is_primary"]].iloc[0]

    found = metrics["ceiling"]

    assert (found["suspicious"], found["reason"]) == (False, "")
    assert found["auc"]["upper"] == pytest.approx(
        auc_ceiling(row["reliability_upper"], LabelShares(metrics["prevalence"]))
    )
    assert found["r2"]["estimate"] == pytest.approx(row["reliability"])
    assert 0 < found["kappa"]["lower"] < found["kappa"]["upper"] < 1
    assert metrics["verdict"]["sentence"].endswith(found["sentence"])


def test_report_shows_the_ceiling_beside_the_candidates(
    trained: Path, small: Params, tmp_path: Path
) -> None:
    page = report.run(small.report, trained, small.targets, tmp_path).read_text()
    upper = content(trained / "response" / "evaluate" / "metrics.json")["ceiling"]["auc"]["upper"]

    rows = re.findall(r"<tr[^>]*><th scope=.row.[^>]*>ceiling</th>.*?</tr>", page, re.DOTALL)
    assert len(rows) == 2
    assert f"{upper:.3f}" in rows[0]
    assert "Reliability of the outcome." in page


def test_a_leak_above_the_ceiling_is_flagged_in_metrics_verdict_and_report(
    trained: Path, small: Params, tmp_path: Path
) -> None:
    """Planted fault: a predictor that knows the noise of the label, not only the person."""
    outcomes = pd.read_parquet(trained / "outcomes.parquet")
    primary = outcomes[outcomes["is_primary"]].reset_index(drop=True)
    leak = primary[["study_id", "participant_id", "session_id"]].assign(
        expectancy=primary["change"] + 0.05 * np.random.default_rng(1).normal(size=len(primary)),
        condition_healthy=0.0,
    )
    leak.to_parquet(tmp_path / "features.parquet")
    tables = (tmp_path / "features.parquet", trained / "outcomes.parquet")
    train.run(small.train, tables, "response", tmp_path / "response")

    metrics = evaluate.run_ladder(
        replace(small.evaluate, resamples=50),
        tmp_path / "response" / "train" / "predictions.parquet",
        tmp_path / "response" / "evaluate",
    )

    found = metrics["ceiling"]
    assert found["suspicious"]
    assert "'logistic' (0.9" in found["reason"]
    assert found["reason"].endswith(f"the upper limit of the ceiling, {found['auc']['upper']:.2f}")
    assert "SUSPICIOUS" in metrics["verdict"]["sentence"]


def test_a_single_models_judgement_carries_the_ceiling_of_its_training_run(
    trained: Path, tmp_path: Path, eih: Run
) -> None:
    predictions = trained / "response" / "train" / "predictions.parquet"
    elsewhere = tmp_path / "predictions.parquet"
    elsewhere.write_bytes(predictions.read_bytes())

    own, foreign = (
        json.loads(eih("evaluate", path, "--probability", "p_logistic", "--json", "-").out)
        for path in (predictions, elsewhere)
    )

    metrics = content(trained / "response" / "evaluate" / "metrics.json")
    assert own["ceiling"]["auc"] == metrics["ceiling"]["auc"]
    assert foreign["ceiling"]["reason"] == "no reliability of the outcome is known"
    assert not foreign["ceiling"]["suspicious"]


# ---- the judgement itself ----------------------------------------------------------------------


def test_result_at_the_upper_limit_is_no_alarm_and_one_above_it_is() -> None:
    limit = judge_ceiling(SOUND, 0.3, {})["auc"]["upper"]

    at = judge_ceiling(SOUND, 0.3, {"logistic": limit})
    above = judge_ceiling(SOUND, 0.3, {"logistic": limit + 0.001, "stratum": 0.6})

    assert not at["suspicious"]
    assert above["suspicious"]
    assert above["reason"].startswith("the AUC of 'logistic' (")
    assert "stratum" not in above["reason"]


def test_unknown_reliability_raises_no_alarm_and_says_why() -> None:
    nothing = dict.fromkeys(("estimate", "lower", "upper"), None)
    record = {**SOUND, **nothing, "source": "none", "reason": "nothing is repeated"}

    found = judge_ceiling(record, 0.3, {"logistic": 0.99})

    assert not found["suspicious"]
    assert np.isnan(found["auc"]["estimate"])
    assert found["reason"] == "nothing is repeated"
    assert found["sentence"] == "No ceiling can be stated: nothing is repeated."


def test_reliability_without_an_interval_raises_no_alarm() -> None:
    found = judge_ceiling({**SOUND, "upper": None}, 0.3, {"logistic": 0.99})

    assert not found["suspicious"]
    assert found["reason"] == "the reliability has no interval"


def test_auc_that_could_not_be_computed_raises_no_alarm() -> None:
    assert not judge_ceiling(SOUND, 0.3, {"prevalence": float("nan")})["suspicious"]


def test_bouts_left_without_a_class_raise_the_ceiling() -> None:
    plain, gap = (judge_ceiling({**SOUND, "unlabelled": u}, 0.3, {}) for u in (0.0, 0.4))

    assert gap["auc"]["upper"] > plain["auc"]["upper"]


def test_selection_of_an_older_training_run_states_no_ceiling() -> None:
    found = judge_ceiling(None, 0.3, {"logistic": 0.99})

    assert (found["suspicious"], found["reason"]) == (
        False,
        "no reliability of the outcome is known",
    )


def test_flare_has_no_ceiling_from_the_reliability_of_another_measure(study: Path) -> None:
    outcomes = pd.read_parquet(study / "outcomes.parquet")

    found = reliability_record(outcomes, "flare")

    assert np.isnan(found["estimate"])
    assert found["reason"] == "'flare' is no class of the change, whose reliability is known"


def test_outcome_table_from_elsewhere_is_trained_without_a_ceiling(
    study: Path, tmp_path: Path
) -> None:
    outcomes = pd.read_parquet(study / "outcomes.parquet")
    bare = outcomes.drop(columns=[c for c in outcomes if c.startswith("reliability")])
    bare.to_parquet(tmp_path / "outcomes.parquet")

    data = load_dataset(
        study / "features.parquet", tmp_path / "outcomes.parquet", "primary", "response", "baseline"
    )

    assert data.reliability["reason"] == "the outcome table carries no reliability"


def test_reliability_of_one_class_only_leaves_the_ceiling_unknown(study: Path) -> None:
    outcomes = pd.read_parquet(study / "outcomes.parquet").assign(response=0.0)
    known = dict.fromkeys(outcomes["endpoint"].unique(), SOUND)

    found = with_reliability(outcomes, known)

    assert found["auc_ceiling"].isna().all()
    assert (found["reliability"] == 0.45).all()
