"""Stage ``policy``: is the best exercise another for another person, and can a study tell?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.build import SPECS, contract_hash
from models.arm_model import (
    ArmModel,
    fit_arm_model,
    tune_arm_model,
    with_refits,
)
from models.domain import Uses, fit_domain
from models.errors import NotEnoughDataError
from models.harms import expected_worth
from models.overlap import cross_fitted_propensity, open_only, overlap_table
from models.policy_value import (
    doubly_robust_scores,
    mean_of_persons,
    per_person,
    rate,
    targeting_table,
)
from pipeline.artefacts import git_commit, stack_versions
from pipeline.config import Params, PolicyParams
from pipeline.dataset import feature_roles
from pipeline.design import OBSERVATIONAL, WORDING
from pipeline.errors import ConfigError
from pipeline.io import write_json, write_table
from pipeline.paths import make_folder
from pipeline.policy_rows import EXERCISE, PolicyRows, read_policy_rows
from pipeline.policy_words import METRICS, OVERLAP, TARGETING, overlap_note, verdict
from pipeline.progress import tracked
from pipeline.target_folder import NOT_ENOUGH_DATA

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
POLICY = "policy.json"
FEATURES = frozenset(s.name for s in SPECS)
HALVES = 200
# Persons further than this from the training persons are not answered for (as in train).
LEAST_PERSONS = 5


@dataclass(frozen=True)
class Said:
    """What models that have not learnt from a person say of its rows.

    Attributes
    ----------
    individual, average : ndarray of shape (n_rows, n_arms)
        Expected utility of either model; NaN where the arm is not open.
    utility : ndarray of shape (n_rows,)
        What was observed; NaN = undecided.
    designed, estimated : ndarray of shape (n_rows, n_arms)
        Propensity as the design gives it, and as the covariates predict it.
    """

    individual: Matrix
    average: Matrix
    utility: Vector
    designed: Matrix
    estimated: Matrix


def run(params: Params, folder: Path, output: Path) -> dict[str, Any]:
    """Judge whether individual recommendations beat the best exercise on average; store both.

    Parameters
    ----------
    params : Params
        Sections ``policy``, ``train`` and ``joint``.
    folder : Path
        A study after label and featurize: cases, study card, features, outcomes.
    output : Path
        Folder: gets ``metrics.json``, ``overlap.csv``, ``targeting.csv`` and ``policy.json``, which
        'eih prescribe' reads. With too little data, the reason alone.

    Returns
    -------
    dict, the content of ``metrics.json``
    """
    _check(params.policy)
    make_folder(output)
    try:
        rows = read_policy_rows(params, folder)
        said = cross_fit(rows, params.policy)
        result = judge(rows, said, params.policy)
        content = _policy(rows, params.policy, result)
    except NotEnoughDataError as error:
        result = {NOT_ENOUGH_DATA: str(error)}
        write_json(result, output / METRICS)
        for name in (POLICY, OVERLAP, TARGETING):
            (output / name).unlink(missing_ok=True)
        return result
    write_json(result, output / METRICS)
    write_table(pd.DataFrame(result["overlap"]), output / OVERLAP)
    write_table(targeting(rows, said, params.policy), output / TARGETING)
    write_json(content, output / POLICY)
    return result


def _check(settings: PolicyParams) -> None:
    positive = {
        "harm_of_flare": settings.harm_of_flare,
        "benefit_of_response": settings.benefit_of_response,
        **{f"c[{i}]": c for i, c in enumerate(settings.c)},
    }
    wrong = [name for name, value in positive.items() if not 0 < value < np.inf]
    if wrong or not settings.c:
        raise ConfigError(f"policy, {wrong[0] if wrong else 'c'}: expected numbers above 0.")
    unknown = [m for m in settings.modifiers if m not in FEATURES]
    if unknown:
        raise ConfigError(f"policy, modifiers: expected features, found '{unknown[0]}'.")
    if settings.refits < 20 or settings.least_persons < 2:
        raise ConfigError("policy: expected at least 20 refits and least_persons of at least 2.")


# ---- models that have not learnt from the person ---------------------------------------------


def cross_fit(rows: PolicyRows, settings: PolicyParams) -> Said:
    """Fit both models and both propensities on other persons, and ask them about every row."""
    shape = rows.open_arms.shape
    individual, average = np.full(shape, np.nan), np.full(shape, np.nan)
    designed = np.zeros(shape)
    utility = np.full(shape[0], np.nan)
    judged = rows.two.judged()[0]
    for fold, order in tracked(rows.folds, "policy", "folds"):
        learning = rows.learning(order)
        for target, own in ((individual, True), (average, False)):
            terms = rows.terms(fold.train, individual=own)
            c = tune_arm_model(learning, fold.inner[:2], terms, settings.c)
            model = fit_arm_model(learning.at(fold.train), terms, c)
            target[fold.test] = _utilities(rows, model, (fold.test, fold.train), settings)
        designed[fold.test] = _shares(rows, fold.train)[rows.cell[fold.test]]
        utility[fold.test] = _worth(judged[fold.test], settings)
    splits = [(fold.train, fold.test) for fold, _ in rows.folds]
    estimated = cross_fitted_propensity(_covariates(rows), rows.arm, rows.open_arms, splits)
    closed = ~rows.open_arms
    individual[closed], average[closed] = np.nan, np.nan
    return Said(individual, average, utility, open_only(designed, rows.open_arms), estimated)


def _utilities(
    rows: PolicyRows, model: ArmModel, which: tuple[Index, Index], settings: PolicyParams
) -> Matrix:
    test, train = which
    found = np.full((len(test), len(rows.arms)), np.nan)
    for arm in range(len(rows.arms)):
        X = rows.under(arm, test, train)
        p = model.probabilities(X, np.full(len(test), arm))[0]
        found[:, arm] = utility_of(p, settings.benefit_of_response, settings.harm_of_flare)
    return found


def utility_of(probabilities: Matrix, benefit: float, harm: float) -> Vector:
    """Expected utility in units of ``benefit`` from P(hyperalgesia, neither, response)."""
    worth = expected_worth(probabilities[..., 2], probabilities[..., 0], harm / benefit)
    return np.asarray(benefit * worth)


def _worth(order: Vector, settings: PolicyParams) -> Vector:
    gain = np.where(order == 2, settings.benefit_of_response, 0.0)
    loss = np.where(order == 0, settings.harm_of_flare, 0.0)
    return np.where(np.isfinite(order), gain - loss, np.nan)


def _shares(rows: PolicyRows, learnt: Index) -> Matrix:
    """Share of every arm among the bouts of every condition, shape (n_cells, n_arms)."""
    counts = np.zeros((int(rows.cell.max()) + 1, len(rows.arms)))
    np.add.at(counts, (rows.cell[learnt], rows.arm[learnt]), 1.0)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0))


def _person_columns(rows: PolicyRows) -> list[str]:
    return [c for c in rows.columns if c not in EXERCISE]


def _covariates(rows: PolicyRows) -> Matrix:
    """Person features, standardised; missing values at the mean. No outcome is looked at."""
    table = rows.X[_person_columns(rows)]
    z = (table - table.mean()) / table.std(ddof=0).where(lambda s: s > 1e-12, 1.0)
    conditions = pd.get_dummies(pd.Series(rows.cell)).to_numpy(dtype=np.float64)
    return np.column_stack([z.fillna(0.0).to_numpy(dtype=np.float64), conditions])


# ---- what it is worth ------------------------------------------------------------------------


@dataclass(frozen=True)
class Scored:
    """Rows at which there was a choice: who they are of, and their score under every arm."""

    at: Index
    person: Index
    scores: Matrix


def _scored(rows: PolicyRows, said: Said) -> Scored:
    choices = (rows.open_arms.sum(axis=1) > 1) & np.isfinite(said.utility)
    choices &= rows.open_arms[np.arange(len(rows.arm)), rows.arm]
    at = np.flatnonzero(choices)
    propensity = said.designed[at] if _designed(rows) else said.estimated[at]
    scores = doubly_robust_scores(said.utility[at], rows.arm[at], said.individual[at], propensity)
    return Scored(at, rows.two.data.person[at], scores)


def _designed(rows: PolicyRows) -> bool:
    return rows.design != OBSERVATIONAL


def judge(rows: PolicyRows, said: Said, settings: PolicyParams) -> dict[str, Any]:
    """Value of the individual rule, of the best on average, and what may be concluded."""
    scored = _scored(rows, said)
    at, person, scores = scored.at, scored.person, scored.scores
    own, best = (np.nanargmax(m[at], axis=1) for m in (said.individual, said.average))
    each = np.arange(len(at))
    against = mean_of_persons(scores[each, own] - scores[each, best], person, learnt=True)
    overlap = _overlap(rows, said, at)
    return {
        "simulated": bool(rows.card.get("simulated")),
        "study": rows.card["name"],
        "endpoint": rows.two.data.endpoint,
        "design": rows.design,
        "wording": WORDING[rows.design],
        "arm": settings.arm,
        "arms": list(rows.arms),
        "modifiers": list(rows.modifiers),
        "modifiers_left_out": [m for m in settings.modifiers if m not in rows.modifiers],
        "benefit_of_response": settings.benefit_of_response,
        "harm_of_flare": settings.harm_of_flare,
        "n": len(at),
        "n_participants": len(np.unique(person)),
        "value": {
            "individual": mean_of_persons(scores[each, own], person, learnt=True).to_dict(),
            "average_best": mean_of_persons(scores[each, best], person, learnt=True).to_dict(),
            "as_done": mean_of_persons(said.utility[at], person).to_dict(),
        },
        "share_recommended_differently": float((own != best).mean()),
        "against_average_best": against.to_dict(),
        "rate": _rates(rows, said, settings.seed),
        "individual_supported": bool(_designed(rows) and against.lower > 0),
        "verdict": verdict(designed=_designed(rows), against=against),
        "overlap": overlap.to_dict(orient="records"),
        "overlap_note": overlap_note(overlap),
    }


def _overlap(rows: PolicyRows, said: Said, at: Index) -> pd.DataFrame:
    X = rows.X[_person_columns(rows)].iloc[at].reset_index(drop=True)
    return overlap_table(X, (rows.arm[at], rows.arms), rows.cell[at], said.estimated[at])


@dataclass(frozen=True)
class Gain:
    """Of every person: predicted gain of an arm over the one best on average, and its score."""

    arm: str
    against: str
    priority: Vector
    score: Vector


def _gains(rows: PolicyRows, said: Said) -> list[Gain]:
    """Compare every arm with the one that is best on average, among those open to both."""
    scored = _scored(rows, said)
    at, person, scores = scored.at, scored.person, scored.scores
    reference = int(np.nanargmax(np.nanmean(per_person(scores, person), axis=0)))
    found = []
    for arm in (a for a in range(len(rows.arms)) if a != reference):
        both = rows.open_arms[at, arm] & rows.open_arms[at, reference]
        if not both.any():
            continue
        gain = said.individual[at, arm] - said.individual[at, reference]
        pair = np.column_stack([gain, scores[:, arm] - scores[:, reference]])[both]
        priority, worth = per_person(pair, person[both]).T
        found.append(Gain(rows.arms[arm], rows.arms[reference], priority, worth))
    return found


def _rates(rows: PolicyRows, said: Said, seed: int) -> list[dict[str, Any]]:
    """AUTOC of every arm's predicted gain over the arm that is best on average."""
    return [
        {"arm": g.arm, "against": g.against, "n_participants": len(g.score)}
        | rate(g.priority, g.score, HALVES, seed).to_dict()
        for g in _gains(rows, said)
    ]


def targeting(rows: PolicyRows, said: Said, settings: PolicyParams) -> pd.DataFrame:
    """Tabulate the curves under which the areas of :func:`judge` lie, one per arm.

    Returns
    -------
    DataFrame with ``arm, against, share, estimate, lower, upper``
    """
    names = ["arm", "against", "share", "estimate", "lower", "upper"]
    found = [
        targeting_table(g.priority, g.score, HALVES, settings.seed).assign(
            arm=g.arm, against=g.against
        )
        for g in _gains(rows, said)
    ]
    kept = [f for f in found if len(f)]
    return pd.concat(kept, ignore_index=True)[names] if kept else pd.DataFrame(columns=names)


# ---- what is stored --------------------------------------------------------------------------


def _policy(rows: PolicyRows, settings: PolicyParams, result: dict[str, Any]) -> dict[str, Any]:
    """Both models learnt from everybody, with refits; where they have learnt; and the verdict."""
    everybody = np.arange(len(rows.arm))
    learning = rows.learning(rows.two.final)
    models = {}
    for name, individual in (("individual", True), ("average", False)):
        terms = rows.terms(everybody, individual=individual)
        c = tune_arm_model(learning, rows.two.plan.final[:2], terms, settings.c)
        known = learning.at(everybody)
        model = fit_arm_model(known, terms, c)
        refitted = with_refits(model, known, c, (settings.refits, settings.seed))
        models[name] = {"c": c, **refitted.to_dict()}
    domain = fit_domain(rows.X, rows.two.data.person, _uses(rows), LEAST_PERSONS)
    said = {k: v for k, v in result.items() if k not in ("value", "rate", "overlap")}
    return {
        **said,
        "models": models,
        "domain": domain.to_dict(),
        "varied_features": list(rows.X.columns),
        "constant_features": _constants(rows.two.data.X),
        "contract_hash": contract_hash(),
        "data_sha256": rows.two.data.sha256(),
        "split_sha256": rows.two.plan.sha256(),
        "git_commit": git_commit(),
        "versions": stack_versions(),
    }


def _constants(X: pd.DataFrame) -> dict[str, float]:
    """Value of every feature that was known and alike in all bouts."""
    alike = [c for c in X.columns if X[c].nunique() == 1]
    return {c: float(X[c].dropna().iloc[0]) for c in alike}


def _uses(rows: PolicyRows) -> Uses:
    """Cells are condition and kind of exercise, as for any prediction; no block is required."""
    stratum = feature_roles(list(rows.X.columns)).stratum
    return Uses(tuple(rows.X.columns), tuple(c for c in stratum if c != "intensity_class"), {})
