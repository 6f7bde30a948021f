"""A study trains and predicts with what it has, and every prediction says what it lacked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.blocks import group_by_block
from features.build import SPECS
from pipeline import featurize, train
from pipeline.artefacts import find_bundles
from pipeline.config import Params, PredictParams
from pipeline.predict import PredictOptions, run
from pipeline.study_folder import read_cases

Run = Callable[..., Any]
CPM = ("cpm_",)
QUESTIONNAIRES = ("pcs_", "tsk", "hads", "fabq", "expectancy", "csi")


def without(cases: pd.DataFrame, prefixes: tuple[str, ...]) -> pd.DataFrame:
    return cases.drop(columns=[c for c in cases.columns if c.startswith(prefixes)])


@pytest.fixture
def retrained(study: Path, small: Params, tmp_path: Path) -> Callable[[tuple[str, ...]], Path]:
    """Train one target of the small study without some of its columns."""

    def make(prefixes: tuple[str, ...]) -> Path:
        folder = tmp_path / "poor"
        folder.mkdir()
        without(read_cases(study), prefixes).to_parquet(folder / "cases.parquet")
        featurize.run(small.featurize, folder, folder / "features.parquet")
        settings = replace(small.train, folds=2, logistic_c=(0.1,))
        tables = (folder / "features.parquet", study / "outcomes.parquet")
        train.run(settings, tables, "response", folder / "response")
        return folder

    return make


@pytest.mark.parametrize(
    ("prefixes", "absent", "still_there"),
    [
        (CPM, {"cpm"}, {"pcs", "baseline_sensitivity"}),
        (QUESTIONNAIRES, {"pcs", "tsk17"}, {"cpm", "condition"}),
    ],
    ids=["without CPM", "without questionnaires"],
)
def test_a_study_without_a_block_trains_predicts_and_says_so(
    retrained: Callable[[tuple[str, ...]], Path],
    prefixes: tuple[str, ...],
    absent: set[str],
    still_there: set[str],
    study: Path,
    tmp_path: Path,
) -> None:
    folder = retrained(prefixes)

    bundle = find_bundles(folder)["response"]
    blocks = bundle.training["blocks"]
    assert absent <= set(blocks["absent"])
    assert still_there <= set(blocks["trained"])
    cases = read_cases(study)
    exercise = without(cases[cases["modality"] != "rest"], prefixes)
    exercise.to_parquet(tmp_path / "new.parquet")
    out = tmp_path / "out.parquet"
    summary = run(PredictParams(), folder, tmp_path / "new.parquet", out, PredictOptions())
    predicted = pd.read_parquet(out)
    assert summary["predicted"] == len(exercise)
    assert predicted["p_response"].between(0, 1).all()
    # The model never had the block: the row lacks nothing it was trained with.
    assert not predicted["absent_blocks"].str.split(";").map(set(absent).intersection).any()


def test_a_prediction_names_the_blocks_its_model_was_trained_with_and_the_row_lacks(
    trained: Path, eih: Run, tmp_path: Path
) -> None:
    cases = read_cases(trained)
    rows = cases[cases["modality"] != "rest"].head(4).reset_index(drop=True)
    rows.loc[1, [c for c in rows.columns if c.startswith("cpm_")]] = np.nan
    rows.loc[2, [c for c in rows.columns if c.startswith(("cpm_", "pcs_"))]] = np.nan
    rows.to_csv(tmp_path / "rows.csv", index=False)
    whole = {b for m in find_bundles(trained).values() for b in m.training["blocks"]["trained"]}

    said = eih(
        "predict", "--model", trained, "--input", tmp_path / "rows.csv",
        "--output", tmp_path / "out.csv",
    )  # fmt: skip

    assert said.code == 0
    named = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)["absent_blocks"]
    lacked = [set(text.split(";")) - {""} for text in named]
    assert {"cpm", "pcs"} <= whole
    assert "cpm" in lacked[1]
    assert {"cpm", "pcs"} <= lacked[2]
    assert all(names <= whole for names in lacked)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_absent_blocks_are_the_same_bytes_for_any_chunk_size(
    trained: Path, tmp_path: Path, suffix: str
) -> None:
    cases = read_cases(trained)
    cases = cases[cases["modality"] != "rest"].head(40).reset_index(drop=True)
    cases.loc[::3, [c for c in cases.columns if c.startswith("pcs_")]] = np.nan
    source = tmp_path / "cases.parquet"
    cases.to_parquet(source)
    written = []

    for chunk_rows in (1, 7, 1000):
        out = tmp_path / f"out{chunk_rows}{suffix}"
        run(PredictParams(chunk_rows), trained, source, out, PredictOptions())
        written.append(out)

    frames = [
        pd.read_csv(p, keep_default_na=False) if suffix == ".csv" else pd.read_parquet(p)
        for p in written
    ]
    assert (frames[0]["absent_blocks"].str.contains("pcs")).any()
    assert all(f.equals(frames[0]) for f in frames)
    if suffix == ".csv":
        assert len({p.read_bytes() for p in written}) == 1


def test_a_bundle_records_what_the_study_had_of_every_block(trained: Path) -> None:
    content = json.loads((trained / "response" / "bundle" / "bundle.json").read_text())

    record = content["training"]["blocks"]
    named = [b for names in record.values() for b in names]
    families = group_by_block(s for s in SPECS if s.family not in ("biology", "history"))
    assert sorted(named) == sorted(families)
    assert {"pcs", "cpm", "condition"} <= set(record["trained"])
    assert {"qst", "offset_analgesia"} <= set(record["absent"])


def test_models_learn_neither_another_scale_of_a_predictor_nor_how_well_it_was_measured(
    trained: Path,
) -> None:
    roles = {s.name: s.role for s in SPECS}
    table = pd.read_parquet(trained / "features.parquet")

    for bundle in find_bundles(trained).values():
        learnt = {roles[n] for n in bundle.feature_names}
        assert learnt <= {"stratum", "baseline", "predictor"}
    assert {"cpm_ppt_percent", "cpm_ppt_kpa", "ppt_baseline_local_se_kpa"} <= set(table.columns)
