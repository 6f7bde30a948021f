"""The ladder of candidates: unfitted estimators, from the prevalence to boosted trees.

Everything learnt - imputation, scaling, strata, trees - is learnt in ``fit``, inside a fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, ndtr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from models.boosted import make_xgboost, xgboost_risks
from models.elastic_net import ElasticNetMargin, elastic_margin_path
from models.learning import Candidate, Learning, Matrix, Settings
from models.penalised import RidgeLogistic, RidgeMargin, logistic_path, margin_path
from models.standardised import SelectColumns, Standardised

__all__ = [
    "Candidate",
    "FeatureRoles",
    "LadderSettings",
    "Learning",
    "SelectColumns",
    "StratumClassifier",
    "make_ladder",
    "make_logistic",
    "make_regression",
    "make_stratum",
    "make_xgboost",
]


@dataclass(frozen=True)
class FeatureRoles:
    """Which columns each rung may use; every rung's columns contain those of the one below."""

    stratum: tuple[str, ...]
    baseline: tuple[str, ...]
    predictors: tuple[str, ...]


class StratumClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Event rate of each stratum, shrunk towards the overall rate.

    A stratum is a combination of values of ``columns``. Its rate is
    (events + prior_strength * overall) / (n + prior_strength); a stratum not seen in training
    has the overall rate. A missing value is a value of its own.

    Parameters
    ----------
    columns : sequence of str
    prior_strength : float, default=10.0
        Number of imaginary rows at the overall rate.
    """

    def __init__(self, columns: Sequence[str], prior_strength: float = 10.0) -> None:
        self.columns = columns
        self.prior_strength = prior_strength

    def fit(
        self, X: pd.DataFrame, y: npt.NDArray[Any], sample_weight: Matrix | None = None
    ) -> Self:
        """Learn the rates from 0/1 outcomes, each row counting as often as its weight says."""
        self.classes_ = np.array([0, 1])
        weight = np.ones(len(X)) if sample_weight is None else sample_weight
        self.rate_ = float(np.average(y, weights=weight))
        events = weight * np.asarray(y, float)
        keys = stratum_keys(X, self.columns).to_numpy()
        table = pd.DataFrame({"key": keys, "events": events, "n": weight})
        cells = table.groupby("key", sort=True)[["events", "n"]].sum()
        shrunk = (cells["events"] + self.prior_strength * self.rate_) / (
            cells["n"] + self.prior_strength
        )
        self.rates_ = {str(k): float(v) for k, v in shrunk.items()}
        return self

    def predict_proba(self, X: pd.DataFrame) -> Matrix:
        """Return probabilities of shape (n_rows, 2)."""
        check_is_fitted(self)
        risk = look_up_rates(stratum_keys(X, self.columns), self.rates_, self.rate_)
        return np.column_stack([1.0 - risk, risk])


def stratum_keys(X: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Name the stratum of every row: its values, in column order."""
    codes = X[list(columns)].to_numpy(dtype=np.float64)
    # Adding 0 makes a negative zero, which equals zero but is written '-0', a plain one.
    plain = np.nan_to_num(codes, nan=-1.0) + 0.0
    unique, inverse = np.unique(plain, axis=0, return_inverse=True)
    names = np.array([stratum_name(row) for row in unique.tolist()], dtype=object)
    return pd.Series(names[inverse.ravel()], index=X.index)


def stratum_name(values: Iterable[float]) -> str:
    """Name a stratum by its values, -1 for a missing one."""
    return "|".join(f"{v:g}" for v in values)


def look_up_rates(keys: pd.Series, rates: Mapping[str, float], default: float) -> Matrix:
    """Return the rate of every key, the default where it is not known."""
    # Few strata, many rows: each is looked up once.
    codes, names = pd.factorize(keys)
    return np.array([rates.get(key, default) for key in names], dtype=np.float64)[codes]


def make_prevalence() -> Pipeline:
    """The event rate, whoever asks."""
    return Pipeline([("model", DummyClassifier(strategy="prior"))])


def make_stratum(columns: Sequence[str], prior_strength: float) -> Pipeline:
    """Condition and exercise alone."""
    return Pipeline([("model", StratumClassifier(tuple(columns), prior_strength))])


def make_logistic(columns: Sequence[str], c: float, spline_knots: int = 0) -> Pipeline:
    """Ridge-penalised logistic regression on median-imputed, indicator-marked, scaled columns.

    ``spline_knots`` of 3, 4 or 5 lets every column with enough distinct values bend.
    """
    prepare = Standardised(tuple(columns), spline_knots)
    return Pipeline([("prepare", prepare), ("model", RidgeLogistic(c))])


def logistic_risks(settings: Sequence[Settings], train: Learning, X: pd.DataFrame) -> Matrix:
    """Risks under every setting of :func:`make_logistic`: one preparation, one penalty path."""
    risks = np.empty((len(settings), len(X)))
    for members, (seen, unseen) in _prepared(settings, train, X):
        penalties = [settings[i]["c"] for i in members]
        slopes, intercepts = logistic_path(seen, train.y, train.weights, penalties)
        risks[members] = expit(slopes @ unseen.T + intercepts[:, None])
    return risks


def make_regression(
    columns: Sequence[str], alpha: float, spline_knots: int = 0, l1_ratio: float = 0.0
) -> Pipeline:
    """Ridge or elastic-net regression of the change itself; its residuals make a probability."""
    prepare = Standardised(tuple(columns), spline_knots)
    model = ElasticNetMargin(alpha, l1_ratio) if l1_ratio else RidgeMargin(alpha)
    return Pipeline([("prepare", prepare), ("model", model)])


def regression_risks(settings: Sequence[Settings], train: Learning, X: pd.DataFrame) -> Matrix:
    """Risks under every setting of :func:`make_regression`: one decomposition for all ridges."""
    risks = np.empty((len(settings), len(X)))
    for members, (seen, unseen) in _prepared(settings, train, X):
        ratios = [settings[i].get("l1_ratio", 0.0) for i in members]
        for ratio in dict.fromkeys(ratios):
            those = [i for i, r in zip(members, ratios, strict=True) if r == ratio]
            alphas = [settings[i]["alpha"] for i in those]
            slopes, intercepts, spreads = _margin_path(seen, train, alphas, ratio)
            predicted = slopes @ unseen.T + intercepts[:, None]
            risks[those] = ndtr(predicted / np.maximum(spreads, 1e-12)[:, None])
    return risks


def _margin_path(
    seen: Matrix, train: Learning, alphas: Sequence[float], l1_ratio: float
) -> tuple[Matrix, Matrix, Matrix]:
    margin = train.target("margin")
    if l1_ratio == 0:
        return margin_path(seen, margin, train.weights, alphas)
    return elastic_margin_path(seen, margin, train.weights, alphas, l1_ratio)


def _prepared(
    settings: Sequence[Settings], train: Learning, X: pd.DataFrame
) -> list[tuple[list[int], tuple[Matrix, Matrix]]]:
    """Prepare the rows once for all settings that share columns and knots."""
    groups: dict[tuple[tuple[str, ...], int], list[int]] = {}
    for i, one in enumerate(settings):
        key = (tuple(one["columns"]), int(one.get("spline_knots", 0)))
        groups.setdefault(key, []).append(i)
    prepared = []
    for (columns, knots), members in groups.items():
        prepare = Standardised(columns, knots)
        seen = prepare.fit_transform(train.X)
        prepared.append((members, (seen, prepare.transform(X))))
    return prepared


@dataclass(frozen=True)
class LadderSettings:
    """The values tried for each rung's settings (params.yaml, section train).

    Without ``regression_alpha`` there is no rung ``regression`` (an outcome that is no cut
    change has no margin to regress). ``monotone`` gives signs of columns for this target.
    """

    stratum_prior_strength: tuple[float, ...]
    logistic_c: tuple[float, ...]
    xgboost_max_depth: tuple[int, ...]
    xgboost_n_estimators: tuple[int, ...]
    logistic_spline_knots: tuple[int, ...] = (0,)
    regression_alpha: tuple[float, ...] = ()
    regression_l1_ratio: tuple[float, ...] = (0.0,)
    xgboost_calibration: Literal["none", "platt", "beta"] = "none"
    monotone: Mapping[str, int] = field(default_factory=dict)


def make_ladder(roles: FeatureRoles, settings: LadderSettings) -> tuple[Candidate, ...]:
    """Return the rungs, simplest first.

    prevalence, stratum, baseline, logistic, regression (where there is a margin), xgboost. A
    rung for which the study has no column (one condition and one exercise make no strata) is
    the prevalence under that rung's name.
    """
    strengths = [{"prior_strength": s} for s in settings.stratum_prior_strength]
    penalties = [{"c": c} for c in settings.logistic_c]
    rungs = [
        Candidate("prevalence", 0, make_prevalence, ({},)),
        _rung("stratum", 1, make_stratum, (roles.stratum, strengths)),
        _with(_rung("baseline", 2, make_logistic, (roles.baseline, penalties)), logistic_risks),
        _logistic(roles, settings),
    ]
    if settings.regression_alpha:
        rungs.append(_regression(roles, settings))
    return (*rungs, _xgboost(roles, settings))


def _logistic(roles: FeatureRoles, settings: LadderSettings) -> Candidate:
    grid: list[Settings] = [
        {"c": c} | ({"spline_knots": knots} if knots else {})
        for knots, c in product(settings.logistic_spline_knots, settings.logistic_c)
    ]
    return _with(_rung("logistic", 3, make_logistic, (roles.predictors, grid)), logistic_risks)


def _regression(roles: FeatureRoles, settings: LadderSettings) -> Candidate:
    # The strongest penalty is the simplest model.
    penalties = sorted(settings.regression_alpha, reverse=True)
    grid: list[Settings] = [
        {"alpha": alpha} | ({"l1_ratio": ratio} if ratio else {})
        for alpha, ratio in product(penalties, settings.regression_l1_ratio)
    ]
    rung = _rung("regression", 4, make_regression, (roles.predictors, grid))
    return replace(_with(rung, regression_risks), learns="margin" if roles.predictors else "class")


def _xgboost(roles: FeatureRoles, settings: LadderSettings) -> Candidate:
    signs = tuple(settings.monotone.get(c, 0) for c in roles.predictors)
    common: Settings = {"monotone": signs} if any(signs) else {}
    trees = [
        {"max_depth": d, "n_estimators": n, **common}
        for d, n in product(settings.xgboost_max_depth, settings.xgboost_n_estimators)
    ]
    rung = _rung("xgboost", 5, make_xgboost, (roles.predictors, trees))
    return replace(_with(rung, xgboost_risks), calibrate=settings.xgboost_calibration)


def _with(candidate: Candidate, path: Any) -> Candidate:
    """Give a rung its path; a rung without columns is the prevalence and needs none."""
    return replace(candidate, path=path) if candidate.grid != ({},) else candidate


def _rung(
    name: str,
    rung: int,
    make: Callable[..., Pipeline],
    what: tuple[tuple[str, ...], Sequence[Settings]],
) -> Candidate:
    columns, grid = what
    if not columns:
        return Candidate(name, rung, make_prevalence, ({},))
    return Candidate(name, rung, make, tuple({"columns": columns, **s} for s in grid))
