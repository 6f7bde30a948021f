"""eih biomarker: the JSON contract, new columns, refusals, panels, tables; the RCT's example."""

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
from pipeline.biomarker import Question, Written, run, run_endpoints
from pipeline.biomarker_reliability import Reliability, known_reliability
from pipeline.config import BiomarkerParams, LabelParams

ROOT = Path(__file__).resolve().parents[2]
QUICK = BiomarkerParams(repeats=1, folds=3, resamples=60, rules=("sem_change", "mdc95"))
QUICK_PARAMS = (QUICK, LabelParams())
BASE = ("age_years", "sex", "condition")


@pytest.fixture(scope="module")
def with_markers(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study with columns of its own: true, noise, proxy, and made of the outcome."""
    folder = tmp_path_factory.mktemp("markers") / "small"
    folder.mkdir()
    for name in ("measurements.parquet", "study.json"):
        shutil.copy(study / name, folder / name)
    cases = pd.read_parquet(study / "cases.parquet")
    outcomes = pd.read_parquet(study / "outcomes.parquet")
    primary = outcomes.loc[outcomes["is_primary"], [*KEYS, "change", "reference"]]
    known = cases[list(KEYS)].merge(primary, on=list(KEYS), how="left")
    rng = np.random.default_rng(1)
    change = known["change"].fillna(0.0).to_numpy()
    cases["panel_true"] = change / change.std() + rng.normal(size=len(cases))
    cases["panel_noise"] = rng.normal(size=len(cases))
    cases["panel_proxy"] = 3 - 2 * cases["age_years"]
    cases["panel_pre"] = 0.1 * known["reference"].to_numpy() + 5
    cases["panel_group"] = np.where(cases["panel_noise"] > 0, "high", "low")
    cases.to_parquet(folder / "cases.parquet")
    return folder


@pytest.fixture(scope="module")
def judged(with_markers: Path) -> dict[str, Any]:
    asked = ("panel_true", "panel_noise", "panel_proxy", "panel_group")
    question = Question(candidates=asked, base=BASE, reliability={"panel_true": 0.6})
    return run(QUICK_PARAMS, with_markers, question)


def of(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in result["candidates"] if c["name"] == name)


def test_a_true_marker_that_no_contract_declares_is_found(judged: dict[str, Any]) -> None:
    found = of(judged, "panel_true")

    assert found["test"]["p_holm"] < 0.001
    assert found["auc_difference"]["lower"] > 0
    assert found["change"]["r2_difference"]["lower"] > 0
    assert "not declared" in found["note"]


def test_a_linear_proxy_of_the_base_adds_nothing(judged: dict[str, Any]) -> None:
    found = of(judged, "panel_proxy")

    assert found["likelihood_ratio"]["df"] == 0
    assert found["auc_difference"]["estimate"] == pytest.approx(0, abs=1e-9)
    assert found["coefficients"] == []


def test_noise_is_not_said_to_be_associated(judged: dict[str, Any]) -> None:
    assert "is not shown to be associated" in of(judged, "panel_noise")["sentence"]


def test_categories_become_indicators(judged: dict[str, Any]) -> None:
    assert of(judged, "panel_group")["columns"] == ["panel_group=low"]


def test_every_candidate_is_counted_and_simulation_is_said(judged: dict[str, Any]) -> None:
    assert judged["n_candidates_tried"] == 4
    assert all(c["sentence"].startswith("Simulated data: ") for c in judged["candidates"])
    # Four tests: the smallest p value counts four times.
    p = sorted(c["test"]["p_value"] for c in judged["candidates"])
    assert min(c["test"]["p_holm"] for c in judged["candidates"]) == pytest.approx(4 * p[0])


def test_figures_are_repeated_under_rules_and_ladder_members(judged: dict[str, Any]) -> None:
    rows = of(judged, "panel_true")["robustness"]

    assert {(r["rule"], r["learner"]) for r in rows} >= {
        ("study", "unpenalised"),
        ("sem_change", "unpenalised"),
        ("study", "logistic"),
        ("study", "xgboost"),
    }
    own = next(r for r in rows if (r["rule"], r["learner"]) == ("study", "unpenalised"))
    assert own["auc_difference"] == of(judged, "panel_true")["auc_difference"]


def test_a_stated_reliability_gives_the_disattenuated_association(judged: dict[str, Any]) -> None:
    found = of(judged, "panel_true")["attenuation"]

    assert abs(found["disattenuated"]) > abs(found["per_sd"])
    assert "no reliability" in of(judged, "panel_noise")["attenuation"]["reason"]


def test_reliability_is_read_from_the_studys_own_records(
    eih: Callable[..., Any], with_markers: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(with_markers, folder)
    assert eih("reliability", folder, "--json", folder / "reliability.json").code == 0

    found = known_reliability({"panel_true": 0.6}, folder)

    record = json.loads((folder / "reliability.json").read_text())["ppt/remote"]
    icc = record["single_value"]["sessions"]["forms"]["ICC(A,1)"]["estimate"]
    assert found["ppt_baseline_remote_log_kpa"].value == icc
    assert "different visits" in found["ppt_baseline_remote_log_kpa"].source
    assert found["panel_true"] == Reliability(0.6, "stated")
    # What is stated goes over what was found.
    stated = known_reliability({"ppt_baseline_remote_log_kpa": 0.5}, folder)
    assert stated["ppt_baseline_remote_log_kpa"] == Reliability(0.5, "stated")


def test_attenuation_names_where_the_reliability_is_from(
    with_markers: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(with_markers, folder)
    forms = {"ICC(A,1)": {"estimate": 0.8}}
    records = {"ppt/remote": {"single_value": {"sessions": {"forms": forms}}}}
    (folder / "reliability.json").write_text(json.dumps(records), encoding="utf-8")
    question = Question(candidates=("ppt_baseline_remote_log_kpa",), base=("age_years",))

    found = run(QUICK_PARAMS, folder, question)["candidates"][0]["attenuation"]

    assert found["reliability"] == 0.8
    assert found["source"].startswith("reliability.json: ICC(A,1)")


def test_bouts_of_several_modalities_are_a_crossover_contrast(judged: dict[str, Any]) -> None:
    found = of(judged, "panel_true")["best"]
    differs = of(judged, "panel_true")["interactions"]["exercise"].get("p_value", 1.0) < 0.05

    assert found["contrast"] == "crossover"
    assert found["category"] == ("predictive of response" if differs else "prognostic")


def test_a_harm_makes_a_safety_marker(with_markers: Path) -> None:
    question = Question("hyperalgesia", ("panel_noise",), BASE)

    found = run(QUICK_PARAMS, with_markers, question)["candidates"][0]

    assert found["best"]["category"] == "safety"


@pytest.mark.parametrize("role", ["candidate", "base"])
def test_a_column_made_of_the_outcomes_reference_is_refused(
    eih: Callable[..., Any], with_markers: Path, role: str
) -> None:
    names = {"candidate": "panel_noise", "base": "age_years", role: "panel_pre"}

    said = eih(
        "biomarker", with_markers, "--candidate", names["candidate"], "--base", names["base"]
    )

    assert said.code == 11
    assert "panel_pre" in said.err
    assert "the change refers to" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("no_such_marker", 10, "found none of that name"),
        ("participant_id", 10, "a column of cases that is no key"),
        ("csi_9", 11, "did not measure it"),
    ],
)
def test_a_marker_that_is_not_there_is_named(
    eih: Callable[..., Any], with_markers: Path, name: str, code: int, words: str
) -> None:
    said = eih("biomarker", with_markers, "--candidate", name, "--base", "age_years")

    assert said.code == code
    assert words in said.err


@pytest.mark.parametrize("stated", ["panel_noise", "panel_noise=high", "panel_noise=1.2"])
def test_an_impossible_reliability_is_a_configuration_error(
    eih: Callable[..., Any], with_markers: Path, stated: str
) -> None:
    said = eih("biomarker", with_markers, "--candidate", "panel_noise", "--reliability", stated)

    assert said.code == 10
    assert "reliability" in said.err


def test_the_panel_leaves_out_what_a_study_lacks_and_writes_its_tables(
    study: Path, tmp_path: Path
) -> None:
    settings = replace(QUICK, candidates=("pcs_total", "csi9_total", "modulation"))

    written = Written(tmp_path / "out", tmp_path / "page.md")
    result = run_endpoints((settings, LabelParams()), study, Question(), ("primary",), written)[0]

    tried = [c["name"] for c in result["candidates"]]
    assert sorted(tried + [s["name"] for s in result["skipped"]]) == sorted(settings.candidates)
    table = pd.read_csv(tmp_path / "out" / "biomarker.csv")
    assert list(table["name"]) == tried
    assert (tmp_path / "out" / "forest.png").stat().st_size > 1000
    assert {"rule", "learner", "auc_difference_lower"} <= set(
        pd.read_csv(tmp_path / "out" / "robustness.csv").columns
    )
    assert (tmp_path / "page.md").read_text(encoding="utf-8").startswith("# Simulated data")


def test_the_command_prints_the_json_contract(
    eih: Callable[..., Any], with_markers: Path, tmp_path: Path
) -> None:
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    section = params.index("\nbiomarker:")
    quick = params[:section] + params[section:].replace("repeats: 3", "repeats: 1", 1)
    quick = quick.replace("resamples: 500\n  thresholds", "resamples: 50\n  thresholds")
    quick = quick.replace("[sem_change, sem_single, mdc95, posterior]", "[mdc95]")
    (tmp_path / "params.yaml").write_text(quick, encoding="utf-8")

    said = eih(
        "biomarker", with_markers, "--candidate", "panel_true", "--base", ",".join(BASE),
        "--params", tmp_path / "params.yaml", "--json", "-",
    )  # fmt: skip

    assert said.code == 0, said.err
    found = json.loads(said.out)["candidates"][0]
    assert found["name"] == "panel_true"
    assert {"estimate", "lower", "upper"} <= set(found["auc_difference"])
    assert {"statistic", "df", "p_value"} <= set(found["likelihood_ratio"])


def test_too_little_data_is_recorded_where_asked(study: Path, tmp_path: Path) -> None:
    few = replace(QUICK, folds=60)
    written = Written(tmp_path, record_too_few=True)

    result = run_endpoints((few, LabelParams()), study, Question(), ("primary",), written)[0]

    assert "60 folds" in result["not_enough_data"]
    assert json.loads((tmp_path / "biomarker.json").read_text())["candidates"] == []


@pytest.mark.realdata
@pytest.mark.slow
def test_the_example_of_the_rct_is_what_the_command_prints(
    eih: Callable[..., Any],
    real_study: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_study("cervical_radiculopathy_exercise_rct")
    example = (ROOT / "docs" / "examples" / "biomarker_rct.md").read_text(encoding="utf-8")
    commands = [line[2:].split()[1:] for line in example.splitlines() if line.startswith("$ ")]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs" / "examples").mkdir(parents=True)

    for arguments in commands:
        assert eih(*arguments).code == 0

    made = (tmp_path / "docs" / "examples" / "biomarker_rct.md").read_text(encoding="utf-8")
    assert made == example
