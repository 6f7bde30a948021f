"""Batch prediction: lossless, independent of chunk size, and equal to the model in process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.build import build_features
from features.columns import KEYS
from models.errors import BundleError
from pipeline.artefacts import find_bundles, read_bundle
from pipeline.config import PredictParams
from pipeline.predict import PredictOptions, predict, run
from pipeline.study_folder import read_cases

Run = Callable[..., Any]


@pytest.fixture
def cases(trained: Path) -> pd.DataFrame:
    return read_cases(trained)


def test_predictions_of_training_cases_equal_the_model_in_process(
    trained: Path, cases: pd.DataFrame, tmp_path: Path, eih: Run
) -> None:
    exercise = cases[cases["modality"] != "rest"].reset_index(drop=True)
    exercise.to_csv(tmp_path / "cases.csv", index=False)
    features = build_features(exercise)

    said = eih(
        "predict",
        "--model",
        trained,
        "--input",
        tmp_path / "cases.csv",
        "--output",
        tmp_path / "out.parquet",
    )

    assert said.code == 0
    out = pd.read_parquet(tmp_path / "out.parquet")
    assert out[list(KEYS)].equals(exercise[list(KEYS)].astype(out["study_id"].dtype))
    for target in ("response", "hyperalgesia"):
        model = read_bundle(trained / target / "bundle")
        np.testing.assert_allclose(out[f"p_{target}"], model.predict(features), rtol=0, atol=1e-9)


def dirty(cases: pd.DataFrame) -> pd.DataFrame:
    """Text rows of which every fifth is broken in one of several ways."""
    texts = cases.astype("object").where(cases.notna(), "").astype(str)
    faults = [("pcs_1", "7"), ("age_years", "forty"), ("condition", "gout"), ("participant_id", "")]
    for i in range(0, len(texts), 5):
        column, value = faults[(i // 5) % len(faults)]
        texts.loc[i, column] = value
    return texts


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_every_row_is_predicted_or_rejected(
    trained: Path, cases: pd.DataFrame, tmp_path: Path, suffix: str
) -> None:
    rows = dirty(cases)
    source = tmp_path / f"cases{suffix}"
    rows.to_csv(source, index=False) if suffix == ".csv" else rows.to_parquet(source)

    summary = run(PredictParams(64), trained, source, tmp_path / "out.csv", PredictOptions())

    predicted = pd.read_csv(tmp_path / "out.csv")
    rejected = pd.read_csv(tmp_path / "out.rejects.csv")
    assert summary["rows_in"] == len(rows) == len(predicted) + len(rejected)
    assert sorted([*predicted["row"], *rejected["row"]]) == list(range(len(rows)))
    assert set(range(0, len(rows), 5)) <= set(rejected["row"])
    assert list(rejected.columns) == ["row", *KEYS, "column", "code", "reason", "value_class"]
    found = set("; ".join(rejected["code"]).split("; "))
    assert found == {
        "out_of_range",
        "not_a_number",
        "unknown_level",
        "missing_value",
        "no_exercise",
    }


def test_reasons_hold_no_values(trained: Path, cases: pd.DataFrame) -> None:
    row = dirty(cases).head(1).assign(age_years="4711-secret")

    rejects = predict(row, find_bundles(trained)).rejects

    assert rejects["reason"].str.contains("age_years: expected numbers in 10 to 110").all()
    assert not rejects["reason"].str.contains("4711|secret").any()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("chunk_rows", [1, 7, 10_000])
def test_output_bytes_do_not_depend_on_the_chunk_size(
    trained: Path, cases: pd.DataFrame, tmp_path: Path, chunk_rows: int, suffix: str
) -> None:
    source = tmp_path / "cases.csv"
    dirty(cases).head(40).to_csv(source, index=False)
    options = PredictOptions(tmp_path / "rejects.csv", explain=True)

    run(PredictParams(13), trained, source, tmp_path / f"a{suffix}", options)
    rejects = (tmp_path / "rejects.csv").read_bytes()
    run(PredictParams(chunk_rows), trained, source, tmp_path / f"b{suffix}", options)

    if suffix == ".csv":
        assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    else:  # row groups follow the chunks; the table is the same
        pd.testing.assert_frame_equal(
            pd.read_parquet(tmp_path / "a.parquet"), pd.read_parquet(tmp_path / "b.parquet")
        )
    assert (tmp_path / "rejects.csv").read_bytes() == rejects


def test_ragged_lines_are_rejected_with_their_position(
    trained: Path, cases: pd.DataFrame, tmp_path: Path
) -> None:
    source = tmp_path / "cases.csv"
    cases[cases["modality"] != "rest"].head(3).to_csv(source, index=False)
    lines = source.read_text().splitlines()
    source.write_text("\n".join([*lines[:2], "only,three,cells", *lines[2:]]) + "\n")

    summary = run(PredictParams(2), trained, source, tmp_path / "out.csv", PredictOptions())

    rejected = pd.read_csv(tmp_path / "out.rejects.csv")
    assert summary["rows_in"] == 4
    assert rejected[["row", "code"]].to_numpy().tolist() == [[1, "ragged_row"]]
    assert pd.read_csv(tmp_path / "out.csv")["row"].tolist() == [0, 2, 3]


def test_explained_rows_add_up(trained: Path, cases: pd.DataFrame) -> None:
    bundles = find_bundles(trained)

    scored = predict(cases, bundles, explain=True).predictions

    for target in bundles:
        parts = scored.filter(like=f"{target}_contribution_").sum(axis=1)
        log_odds = scored[f"{target}_baseline_log_odds"] + parts
        risk = 1 / (1 + np.exp(-log_odds))
        np.testing.assert_allclose(risk, scored[f"p_{target}"], rtol=0, atol=1e-6)


def test_a_missing_required_column_scores_nothing(
    trained: Path, cases: pd.DataFrame, tmp_path: Path, eih: Run
) -> None:
    source = tmp_path / "cases.csv"
    cases.drop(columns="modality").to_csv(source, index=False)

    said = eih("predict", "--model", trained, "--input", source, "--output", tmp_path / "out.csv")

    assert said.code == 11
    assert said.err.startswith(f"{source}, column 'modality': expected this column")
    assert [p.name for p in tmp_path.iterdir()] == ["cases.csv"]


def test_a_header_without_rows_is_an_error_and_leaves_nothing_behind(
    trained: Path, cases: pd.DataFrame, tmp_path: Path, eih: Run
) -> None:
    source = tmp_path / "cases.csv"
    cases.head(0).to_csv(source, index=False)

    said = eih("predict", "--model", trained, "--input", source, "--output", tmp_path / "out.csv")

    assert (said.code, said.err) == (11, f"{source}: expected at least one row, found none.\n")
    assert [p.name for p in tmp_path.iterdir()] == ["cases.csv"]


def test_a_damaged_bundle_is_refused(trained: Path, tmp_path: Path, eih: Run) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(trained / "response" / "bundle", folder)
    (folder / "scorer.json").write_text("{}")

    said = eih(
        "predict",
        "--model",
        folder,
        "--input",
        trained / "cases.parquet",
        "--output",
        tmp_path / "out.csv",
    )

    assert said.code == 12
    assert said.err == f"{folder}: the bundle is damaged: scorer.json was altered.\n"


def test_a_program_that_builds_features_differently_refuses_the_bundle(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubled(cases: pd.DataFrame) -> pd.DataFrame:
        return build_features(cases) * 2

    folder = trained / "response" / "train" / "candidates" / "logistic"
    monkeypatch.setattr("pipeline.artefacts.build_features", doubled)

    with pytest.raises(BundleError, match="answers the bundle's probe cases differently"):
        read_bundle(folder)


def test_another_contract_refuses_the_bundle_and_names_the_difference(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained / "response" / "bundle"
    parts = read_bundle(folder).contract
    changed = {**parts, "column age_years": "x", "feature new": "y"}
    del changed["feature bmi_kg_m2"]
    monkeypatch.setattr("pipeline.artefacts.contract_parts", lambda: changed)

    with pytest.raises(
        BundleError, match=r"\+ feature new, - feature bmi_kg_m2, ~ column age_years"
    ):
        read_bundle(folder)


def test_summary_is_written_as_json(trained: Path, tmp_path: Path, eih: Run) -> None:
    eih(
        "predict",
        "--model",
        trained,
        "--input",
        trained / "cases.parquet",
        "--output",
        tmp_path / "out.csv",
        "--json",
        tmp_path / "summary.json",
    )

    summary = json.loads((tmp_path / "summary.json").read_text())
    modality = pd.read_parquet(trained / "cases.parquet")["modality"]

    assert summary["rows_in"] == summary["predicted"] + summary["rejected"] == len(modality)
    assert summary["rejected_by_reason"] == {"no_exercise": (modality == "rest").sum()}
    assert summary["targets"] == ["hyperalgesia", "response"]
