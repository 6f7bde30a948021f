"""Every check fires on its planted fault and is silent on clean evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from features.build import build_features
from features.columns import KEYS
from features.contract import check_cases
from models.check_list_models import CHECKS
from models.splits import make_split_plan
from pipeline.check_detectors import STUDY_DETECTORS, TARGET_DETECTORS
from pipeline.check_evidence import Study, Target
from pipeline.config import Params

PERSONS = 60
COMMIT = "0123456789ab"


# ---- clean evidence


def make_cases() -> pd.DataFrame:
    """Sixty persons, each with an aerobic and an isometric bout; two labs, two conditions."""
    rng = np.random.default_rng(5)
    n = PERSONS
    person = np.repeat(np.arange(n), 2)
    healthy = np.arange(n) % 2 == 0
    lab = np.where(np.arange(n) % 4 < 2, "lab_1", "lab_2")
    cases = pd.DataFrame(
        {
            "study_id": "clean",
            "participant_id": [f"P{i:02d}" for i in person],
            "session_id": np.tile(["s1", "s2"], n),
            "site_id": lab[person],
            "condition": np.where(healthy, "healthy", "knee_osteoarthritis")[person],
            "age_years": rng.integers(20, 80, n).astype(float)[person],
            "height_cm": rng.integers(155, 195, n).astype(float)[person],
            "weight_kg": rng.normal(75, 10, n).round(1)[person],
            "sex": rng.choice(["female", "male"], n)[person],
            "pain_now_nrs": rng.integers(0, 8, 2 * n).astype(float),
            "expectancy": rng.integers(-10, 11, n).astype(float)[person],
            "pcs_total": rng.integers(0, 50, n).astype(float)[person],
            "tsk17_total": rng.integers(20, 60, n).astype(float)[person],
            "csi_total": rng.integers(5, 80, n).astype(float)[person],
            "hads_anxiety": rng.integers(0, 20, n).astype(float)[person],
            "hads_depression": rng.integers(0, 20, n).astype(float)[person],
            "ppt_baseline_local_kpa": rng.normal(350, 60, n).round(0)[person],
            "modality": np.tile(["aerobic", "isometric"], n),
            "duration_min": rng.integers(5, 40, 2 * n).astype(float),
        }
    )
    checked = check_cases(cases)
    assert checked.violations == ()
    return checked.table


def make_outcomes(cases: pd.DataFrame) -> pd.DataFrame:
    """Changes that nothing in the cases tells, classed beyond an error of measurement."""
    change = np.random.default_rng(6).normal(0.1, 0.2, len(cases)).round(6)
    return cases[[*KEYS]].assign(
        endpoint="local_ppt",
        measure="ppt",
        is_primary=True,
        change=change,
        threshold=0.1,
        rule="sem",
        response=(change > 0.1).astype(float),
        hyperalgesia=(change < -0.1).astype(float),
        n_rest=1.0,
        auc_ceiling=0.85,
    )


def estimate(value: float | None, lower: float | None, upper: float | None) -> dict[str, Any]:
    """A figure as evaluation writes it."""
    method = "person-cluster bootstrap, percentile, 1000 of 1000 resamples"
    reason = "" if value is not None else "only one class was observed"
    return {"estimate": value, "lower": lower, "upper": upper, "method": method, "reason": reason}


def make_metrics() -> dict[str, Any]:
    """Figures of one candidate without a fault."""
    figures = {
        "auc": estimate(0.66, 0.58, 0.74),
        "intervals": {
            "brier": estimate(0.22, 0.2, 0.24),
            "log_loss": estimate(0.63, 0.6, 0.66),
            "in_the_large": estimate(0.01, -0.2, 0.2),
            "slope": estimate(1.1, 0.6, 1.6),
            "ici": estimate(0.03, 0.02, 0.06),
        },
        "net_benefit": [{"threshold": 0.4, "model": 0.1, "treat_all": 0.05, "treat_none": 0.0}],
        "classification": {"threshold_from": "stated harm ratio"},
    }
    return {
        "n_participants": PERSONS,
        "n_left_out": 0,
        "left_out": {"no_outcome": 0, "no_probability": 0},
        "verdict": {"shown": "logistic"},
        "candidates": {"logistic": figures},
        "ceiling": {"suspicious": False, "reason": ""},
        "sample_size": {"sufficient": True, "sentence": "Large enough."},
    }


@cache
def clean() -> Target:
    """Evidence of a study and a target without any fault."""
    cases = make_cases()
    outcomes = make_outcomes(cases)
    features = pd.concat([cases[[*KEYS]], build_features(cases)], axis=1)
    design = {"rule": "sem", "sem_of": "change", "sem_source": "rest", "reference": "pre"}
    agreement = [{"rules": ["sem_change", "mdc95"], "kappa": 0.7}]
    summary = {
        "design": {**design, "change_scale": "log_ratio"},
        "rules": [{"endpoint": "local_ppt", "agreement": agreement}],
        "coupled": [],
    }
    texts = {"report.title": "Who responds to exercise with less pain"}
    study = Study(cases, features, outcomes, summary, texts, Params())
    person = np.repeat(np.arange(PERSONS), 2)
    y = outcomes["response"].to_numpy()
    plan = make_split_plan(y, person, repeats=1, folds=3, inner_folds=2, seed=1)
    fold = np.zeros(len(y), dtype=int)
    for part in plan.folds:
        fold[part.test] = part.fold
    risk = np.random.default_rng(7).uniform(0.2, 0.8, len(y))
    predictions = outcomes[[*KEYS]].assign(
        y=y, row=np.arange(len(y)), repeat=0, fold=fold, p_logistic=risk, p_xgboost=1 - risk
    )
    record = {"data_sha256": "data", "split_sha256": plan.sha256(), "git_commit": COMMIT}
    group = {"column": "sex", "level": "female", "auc": {"reason_code": ""}}
    return Target(
        study=study,
        name="response",
        selection={
            "selected": "logistic",
            "labels": "derived in every fold",
            "n_without_target": 0,
            "n_undecided": 0,
            "reliability": {"estimate": 0.7, "source": "sessions", "reason": ""},
        },
        metrics=make_metrics(),
        subgroups={"groups": [group], "columns_left_out": {}},
        predictions=predictions,
        plan=plan,
        bundles={"logistic": {"record": record}},
        refused="",
        protocols={
            "stability_logistic": {"candidate": "logistic", "classification_instability": 0.1},
            "audit": {"p_value": 0.005, "n_permutations": 199},
            "internal_external_site_id": {},
            "internal_external_condition": {},
        },
        ladder={"logistic": Pipeline([("model", LogisticRegression())])},
        data_sha256="data",
    )


# ---- planted faults, one a code


def study(**changes: Any) -> Target:
    """The clean evidence with another study."""
    return replace(clean(), study=replace(clean().study, **changes))


def cases(**columns: Any) -> Target:
    """The clean evidence with other columns of cases; features are built from them."""
    table = clean().study.cases.assign(**columns)  # type: ignore[union-attr]
    return study(cases=table, features=pd.concat([table[[*KEYS]], build_features(table)], axis=1))


def features(**columns: Any) -> Target:
    """The clean evidence with other columns of features."""
    return study(features=clean().study.features.assign(**columns))  # type: ignore[union-attr]


def without(names: list[str]) -> Target:
    """The clean evidence with columns missing from the feature table."""
    return study(features=clean().study.features.drop(columns=names))  # type: ignore[union-attr]


def outcomes(**columns: Any) -> Target:
    """The clean evidence with other columns of outcomes."""
    return study(outcomes=clean().study.outcomes.assign(**columns))  # type: ignore[union-attr]


def design(**keys: Any) -> Target:
    """The clean evidence with another outcome design."""
    summary = clean().study.summary
    return study(summary={**summary, "design": {**summary["design"], **keys}})  # type: ignore[arg-type,index,dict-item,union-attr]


def summary(**keys: Any) -> Target:
    """The clean evidence with another summary of outcomes."""
    return study(summary={**clean().study.summary, **keys})  # type: ignore[dict-item]


def selection(**keys: Any) -> Target:
    """The clean evidence with another record of training."""
    return replace(clean(), selection={**clean().selection, **keys})  # type: ignore[dict-item]


def metrics(**keys: Any) -> Target:
    """The clean evidence with other metrics."""
    return replace(clean(), metrics={**clean().metrics, **keys})  # type: ignore[dict-item]


def figures(**keys: Any) -> Target:
    """The clean evidence with other figures of the candidate shown."""
    return metrics(candidates={"logistic": {**make_metrics()["candidates"]["logistic"], **keys}})


def intervals(**keys: Any) -> Target:
    """The clean evidence with other intervals of the candidate shown."""
    own = make_metrics()["candidates"]["logistic"]["intervals"]
    return figures(intervals={**own, **keys})


def predictions(**columns: Any) -> Target:
    """The clean evidence with other columns of predictions."""
    return replace(clean(), predictions=clean().predictions.assign(**columns))  # type: ignore[arg-type,index,dict-item,union-attr]


def protocols(**results: Any) -> Target:
    """The clean evidence with other results of protocols."""
    return replace(clean(), protocols={**clean().protocols, **results})


def a_person_on_both_sides() -> Target:
    plan = clean().plan
    assert plan is not None
    first = plan.folds[0]
    leaky = replace(first, train=np.append(first.train, first.test[:1]))
    return replace(clean(), plan=replace(plan, folds=(leaky, *plan.folds[1:])))


def one_person_twice() -> Target:
    table, labels = clean().study.features, clean().study.outcomes
    assert table is not None
    assert labels is not None
    table, labels = table.copy(), labels.copy()
    measured = [c for c in table.columns if c not in KEYS]
    table.loc[[10, 11], measured] = table.loc[[4, 5], measured].to_numpy()
    labels.loc[[10, 11], "change"] = labels.loc[[4, 5], "change"].to_numpy()
    return study(features=table, outcomes=labels)


def columns_chosen_by_the_outcome() -> Target:
    """A change that the kept half of the columns tells, and the other half does not."""
    whole = clean().study.features
    assert whole is not None
    strong = ["age_years", "bmi_kg_m2", "sex_female", "expectancy", "pcs_total", "tsk17_total"]
    weak = ["csi_total", "hads_anxiety", "hads_depression", "hads_total", "pain_now_nrs"]
    weak += ["condition_healthy", "condition_knee_osteoarthritis", "modality_aerobic"]
    weak += ["modality_isometric", "condition_group_healthy", "duration_log_min"]
    weak += ["condition_group_localised_musculoskeletal", "ppt_baseline_local_log_kpa"]
    centred = whole[strong] - whole[strong].mean()
    planted = outcomes(change=(centred / centred.std()).sum(axis=1).to_numpy())
    return replace(planted, study=replace(planted.study, features=whole.drop(columns=weak)))


def half_imputed() -> pd.Series:
    weight = clean().study.cases["weight_kg"].copy()  # type: ignore[index]
    weight.iloc[:8] = np.nan
    return weight.fillna(weight.mean())


def in_lab(value: Any, other: Any) -> np.ndarray:
    """One value in the first lab, another in the second."""
    return np.where(clean().study.cases["site_id"] == "lab_1", value, other)  # type: ignore[index]


def standardised(column: str) -> pd.Series:
    values = clean().study.features[column]  # type: ignore[index]
    return (values - values.mean()) / values.std()


def record(**keys: Any) -> Target:
    """The clean evidence with another record in the bundle."""
    own = clean().bundles["logistic"]["record"]
    return replace(clean(), bundles={"logistic": {"record": {**own, **keys}}})


def fitted() -> Any:
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.tile([0, 1], 10)
    return SelectKBest(f_classif, k=1).fit(X, y)


def ladder(*steps: tuple[str, Any]) -> Target:
    return replace(clean(), ladder={"logistic": Pipeline(list(steps))})


def odd_persons() -> np.ndarray:
    return np.repeat(np.arange(PERSONS) % 2 == 1, 2)


PLANTS: dict[str, Callable[[], Target]] = {
    "EIH001": a_person_on_both_sides,
    "EIH002": one_person_twice,
    "EIH003": lambda: outcomes(threshold=0.0),
    "EIH004": lambda: selection(
        reliability={"estimate": None, "source": "none", "reason": "nobody came twice"}
    ),
    "EIH005": lambda: selection(reliability={"estimate": 0.4, "source": "sessions", "reason": ""}),
    "EIH006": lambda: metrics(ceiling={"suspicious": True, "reason": "the AUC exceeds it"}),
    "EIH007": lambda: summary(
        rules=[
            {
                "endpoint": "local_ppt",
                "agreement": [{"rules": ["sem_change", "mdc95"], "kappa": 0.3}],
            }
        ]
    ),
    "EIH008": lambda: selection(labels="as given: no outcomes_changes.parquet"),
    "EIH009": lambda: selection(n_without_target=40),
    "EIH010": lambda: design(sem_source="trials"),
    "EIH011": lambda: summary(
        coupled=[{"endpoint": "local_ppt", "column": "ppt_baseline_local_kpa"}]
    ),
    "EIH012": lambda: design(change_scale="percent"),
    "EIH013": lambda: outcomes(n_rest=0.0),
    "EIH014": lambda: outcomes(measure="pain_nrs"),
    "EIH015": lambda: without(["ppt_baseline_local_log_kpa", "pain_now_nrs"]),
    "EIH016": columns_chosen_by_the_outcome,
    "EIH017": lambda: without(["pcs_total"]),
    "EIH018": lambda: ladder(("select", fitted()), ("model", LogisticRegression())),
    "EIH019": lambda: features(age_years=standardised("age_years")),
    "EIH020": lambda: cases(weight_kg=half_imputed()),
    "EIH021": lambda: study(
        params=replace(Params(), train=replace(Params().train, decision_time="screening"))
    ),
    "EIH022": lambda: features(pain_the_day_after=1.0),
    "EIH023": lambda: replace(
        features(age_years=np.exp(clean().study.outcomes["change"])),  # type: ignore[index]
        data_sha256="",
    ),
    "EIH024": lambda: features(
        age_years=clean().study.outcomes["change"].clip(-0.3, 0.3).round(1)  # type: ignore[index]
    ),
    "EIH025": lambda: ladder(("model", LogisticRegression(class_weight="balanced"))),
    "EIH026": lambda: intervals(in_the_large=estimate(0.5, 0.2, 0.8)),
    "EIH027": lambda: intervals(slope=estimate(0.5, 0.2, 0.8)),
    "EIH028": lambda: intervals(slope=estimate(None, None, None)),
    "EIH029": lambda: figures(net_benefit=[]),
    "EIH030": lambda: figures(
        net_benefit=[{"threshold": 0.4, "model": 0.05, "treat_all": 0.05, "treat_none": 0.0}]
    ),
    "EIH031": lambda: figures(
        classification={"threshold_from": "largest Youden index on the other folds"}
    ),
    "EIH032": lambda: metrics(n_participants=2 * PERSONS),
    "EIH033": lambda: figures(
        auc={**estimate(0.66, 0.58, 0.74), "method": "bootstrap, 890 of 1000 resamples"}
    ),
    "EIH034": lambda: figures(auc=estimate(0.66, None, None)),
    "EIH035": lambda: metrics(sample_size={"sufficient": False, "sentence": "Too small."}),
    "EIH036": lambda: replace(clean(), selection={"not_enough_data": "found 2 events."}),
    "EIH037": lambda: selection(selected="xgboost"),
    "EIH038": lambda: protocols(
        stability_logistic={"candidate": "logistic", "classification_instability": 0.3}
    ),
    "EIH039": lambda: replace(clean(), protocols={}),
    "EIH040": lambda: cases(condition=in_lab("healthy", "knee_osteoarthritis")),
    "EIH041": lambda: cases(condition="healthy"),
    "EIH042": lambda: features(
        pcs_total=in_lab(clean().study.features["pcs_total"], np.nan)  # type: ignore[index]
    ),
    "EIH043": lambda: features(
        csi_total=2.0 * clean().study.features["pcs_total"] + 1.0  # type: ignore[index]
    ),
    "EIH044": lambda: study(texts={"report.title": "Catastrophising drives pain"}),
    "EIH045": lambda: study(texts={"report.title": "A validated model of response"}),
    "EIH046": lambda: cases(modality=np.where(odd_persons(), "aerobic", "isometric")),
    "EIH047": lambda: cases(
        modality=np.where(odd_persons(), "aerobic", np.tile(["aerobic", "isometric"], PERSONS))
    ),
    "EIH048": lambda: figures(auc=estimate(None, None, None)),
    "EIH049": lambda: predictions(p_logistic=np.append(np.full(2 * PERSONS - 1, 0.4), 1.0)),
    "EIH050": lambda: metrics(n_left_out=3, left_out={"no_outcome": 3, "no_probability": 0}),
    "EIH051": lambda: record(data_sha256="older"),
    "EIH052": lambda: replace(clean(), refused="made under another contract"),
    "EIH053": lambda: record(git_commit=f"{COMMIT}-dirty"),
    "EIH054": lambda: replace(
        clean(),
        subgroups={
            "groups": [{"column": "sex", "level": "male", "auc": {"reason_code": "small_cell"}}],
            "columns_left_out": {},
        },
    ),
    "EIH055": lambda: protocols(audit={"p_value": 0.2, "n_permutations": 199}),
}


def look(code: str, evidence: Target) -> list[str]:
    """What the detector of a code sees."""
    if code in STUDY_DETECTORS:
        return list(STUDY_DETECTORS[code](evidence.study))
    return list(TARGET_DETECTORS[code](evidence))


@pytest.mark.parametrize("code", CHECKS)
def test_a_check_is_silent_on_clean_evidence(code: str) -> None:
    assert look(code, clean()) == []


@pytest.mark.parametrize("code", CHECKS)
def test_a_check_fires_on_its_planted_fault(code: str) -> None:
    seen = look(code, PLANTS[code]())

    assert seen != []
    assert all(text and "\n" not in text for text in seen)


def test_every_code_has_one_detector_and_one_planted_fault() -> None:
    assert sorted([*STUDY_DETECTORS, *TARGET_DETECTORS]) == sorted(CHECKS) == sorted(PLANTS)
