"""From training to the alarm: predict, its drift, outcomes, and the exit code for schedulers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.columns import KEYS
from pipeline.artefacts import read_bundle
from pipeline.simulate import simulate

Eih = Callable[..., Any]
LOGISTIC = Path("response", "train", "candidates", "logistic")


@pytest.fixture(scope="module")
def newcomers(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Exercise bouts of new people from the population that the study was drawn from."""
    folder = tmp_path_factory.mktemp("new")
    simulate(150, "base", 77, folder)
    cases = pd.read_parquet(folder / "cases.parquet")
    return cases[cases["modality"] != "rest"].reset_index(drop=True)


def predict(eih: Eih, model: Path, cases: pd.DataFrame, folder: Path, *more: Any) -> dict[str, Any]:
    cases.to_parquet(folder / "cases.parquet", index=False)
    output = folder / "predictions.csv"
    summary = folder / "summary.json"
    said = eih(
        *("predict", "--model", model, "--input", folder / "cases.parquet"),
        *("--output", output, "--json", summary, *more),
    )
    assert said.code == 0, said.err
    found: dict[str, Any] = json.loads(summary.read_text())
    return found


def outcomes_of(path: Path, shift: float, seed: int = 5) -> pd.DataFrame:
    """Outcomes that happen with the predicted risk, moved on the log-odds scale."""
    table = pd.read_csv(path)
    odds = table["p_response"] / (1 - table["p_response"]) * np.exp(shift)
    happened = np.random.default_rng(seed).random(len(table)) < odds / (1 + odds)
    return table[list(KEYS)].assign(response=happened.astype(int))


def test_a_trained_bundle_has_a_profile_and_no_persons_in_it(trained: Path) -> None:
    for target in ("response", "hyperalgesia"):
        bundle = read_bundle(trained / target / "bundle")

        assert bundle.profile is not None
        assert set(bundle.profile.features) == set(bundle.feature_names)
        assert bundle.profile.risk is not None
        assert bundle.profile.n_participants == bundle.training["n_participants"]


def test_new_people_of_the_same_population_are_no_drift(
    eih: Eih, trained: Path, newcomers: pd.DataFrame, tmp_path: Path
) -> None:
    summary = predict(eih, trained / LOGISTIC, newcomers, tmp_path)

    drift = summary["drift"]["response"]
    assert drift["drifted"] == []
    assert drift["n_rows"] == summary["predicted"]
    assert drift["n_persons"] == newcomers["participant_id"].nunique()
    assert 0.5 < drift["expected_performance"]["auc"] < 1
    said = eih(
        *("monitor", tmp_path / "predictions.csv", "--model", trained / LOGISTIC),
        *("--summary", tmp_path / "summary.json"),
    )
    assert said.code == 0, said.err


def test_older_people_without_a_questionnaire_are_drift_and_end_with_14(
    eih: Eih, trained: Path, newcomers: pd.DataFrame, tmp_path: Path
) -> None:
    older = newcomers.assign(age_years=newcomers["age_years"] + 25).drop(
        columns=[c for c in newcomers.columns if c.startswith("pcs_")]
    )
    older["age_years"] = older["age_years"].clip(upper=100)
    summary = predict(eih, trained, older, tmp_path)

    found = summary["drift"]["response"]
    said = eih(
        *("monitor", tmp_path / "predictions.csv", "--summary", tmp_path / "summary.json"),
        *("--json", tmp_path / "monitor.json"),
    )

    assert "age_years" in found["drifted"]
    assert any(n.startswith("pcs") for n in found["drifted"])
    assert said.code == 14
    assert said.err.startswith("drift: ")
    assert "response: age_years" in said.err
    # The result is there for whoever looks into the alarm.
    assert json.loads((tmp_path / "monitor.json").read_text())["exceeded"]


def test_outcomes_as_predicted_are_no_drift_and_others_are(
    eih: Eih, trained: Path, newcomers: pd.DataFrame, tmp_path: Path
) -> None:
    predict(eih, trained / LOGISTIC, newcomers, tmp_path)
    predictions = tmp_path / "predictions.csv"
    for shift, code in ((0.0, 0), (1.5, 14)):
        outcomes = outcomes_of(predictions, shift)
        outcomes.iloc[3:].to_csv(tmp_path / "outcomes.csv", index=False)

        said = eih("monitor", predictions, tmp_path / "outcomes.csv", "--json", "-")

        assert said.code == code, said.err
        result = json.loads(said.out)
        assert result["join"] == {
            "matched": len(outcomes) - 3,
            "without_outcome": 3,
            "without_prediction": 0,
        }
        found = result["targets"]["response"]["calibration"]
        assert ("oe_ratio" in found["drifted"]) == (code == 14)
        assert found["n_participants"] <= newcomers["participant_id"].nunique()
        figures = found["figures"]
        assert figures["oe_ratio"]["lower"] < figures["oe_ratio"]["estimate"]
        assert "person-cluster bootstrap" in figures["slope"]["method"]


def test_resumed_or_cut_otherwise_the_drift_is_the_same(
    eih: Eih, trained: Path, newcomers: pd.DataFrame, tmp_path: Path
) -> None:
    found = []
    for rows in (7, 100_000):
        params = (Path(__file__).parents[2] / "params.yaml").read_text()
        (tmp_path / "params.yaml").write_text(
            params.replace("chunk_rows: 0", f"chunk_rows: {rows}")
        )
        assert f"chunk_rows: {rows}" in (tmp_path / "params.yaml").read_text()
        found.append(
            predict(eih, trained, newcomers, tmp_path, "--params", tmp_path / "params.yaml")
        )

    assert found[0]["drift"] == found[1]["drift"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--max-oe", "0.5"], 10, "--max-oe: expected a ratio of 1 or more, found 0.5."),
        (["--max-psi", "-1"], 10, "--max-psi: expected a number of 0 or more, found -1.0."),
        (["--alpha", "0"], 10, "--alpha: expected a probability of 0.0001 to 1, found 0.0."),
    ],
)
def test_impossible_limits_are_refused(
    eih: Eih, tmp_path: Path, options: list[str], code: int, message: str
) -> None:
    table = tmp_path / "p.csv"
    table.write_text("study_id,participant_id,session_id,p_response\ns,p,1,0.5\n")

    said = eih("monitor", table, *options)

    assert (said.code, said.err) == (code, message + "\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("study_id,participant_id,session_id\ns,p,1\n", "expected a column p_<target>, found none"),
        ("study_id,participant_id,p_response\ns,p,.5\n", "the column 'session_id', found it"),
        ("study_id,participant_id,session_id,p_response\ns,p,1,7\n", r"in 0 to 1, found 1 other"),
        ("study_id,participant_id,session_id,p_response\ns,p\n", "row 0: expected as many cells"),
        ("study_id,participant_id,session_id,p_response\n", "at least one row, found none"),
    ],
)
def test_predictions_that_are_none_are_refused_without_their_values(
    eih: Eih, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "p.csv").write_text(content)

    said = eih("monitor", tmp_path / "p.csv")

    assert said.code == 11
    assert message in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ("s,p,1,1\ns,p,1,0\n", "expected one outcome per bout, found 1 keys again"),
        ("s,p,1,0.5\n", "expected 0 or 1, found 1 other values"),
        ("s,p,1,yes\n", "expected 0 or 1, found 1 other values"),
    ],
)
def test_outcomes_that_are_none_are_refused(
    eih: Eih, tmp_path: Path, outcomes: str, message: str
) -> None:
    header = "study_id,participant_id,session_id,"
    (tmp_path / "p.csv").write_text(f"{header}p_response\ns,p,1,.5\n")
    (tmp_path / "o.csv").write_text(f"{header}response\n{outcomes}")

    said = eih("monitor", tmp_path / "p.csv", tmp_path / "o.csv")

    assert (said.code, message in said.err) == (11, True)
