"""The ladder of candidates: unfitted estimators, from the prevalence to boosted trees.

Everything learnt - imputation, scaling, strata, trees - is learnt in ``fit``, inside a fold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from xgboost import XGBClassifier

Matrix = npt.NDArray[np.float64]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class FeatureRoles:
    """Which columns each rung may use; every rung's columns contain those of the one below."""

    stratum: tuple[str, ...]
    baseline: tuple[str, ...]
    predictors: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """One rung of the ladder.

    ``make(**settings)`` returns an unfitted estimator; ``grid`` lists the settings tried, the
    simplest first (ties in tuning go to the earlier one). ``rung`` orders by complexity.
    """

    name: str
    rung: int
    make: Callable[..., Any]
    grid: tuple[Settings, ...]


class SelectColumns(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Keep named columns of a frame, as an array in the given order.

    Parameters
    ----------
    columns : sequence of str
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = columns

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Remember how many columns came in."""
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> Matrix:
        """Return the columns as an array of shape (n_rows, n_columns)."""
        return X[list(self.columns)].to_numpy(dtype=np.float64)


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
        self, X: pd.DataFrame, y: npt.NDArray[Any], sample_weight: npt.NDArray[Any] | None = None
    ) -> Self:
        """Learn the rates from 0/1 outcomes, each row counting as often as its weight says."""
        self.classes_ = np.array([0, 1])
        weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
        events = np.asarray(y, float) * weight
        self.rate_ = float(events.sum() / weight.sum())
        table = pd.DataFrame(
            {"key": stratum_keys(X, self.columns), "events": events, "weight": weight}
        )
        cells = table.groupby("key", sort=True)[["events", "weight"]].sum()
        shrunk = (cells["events"] + self.prior_strength * self.rate_) / (
            cells["weight"] + self.prior_strength
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
    # Adding 0 turns -0 into 0: the two are one value, but two names.
    codes = np.nan_to_num(codes, nan=-1.0) + 0.0
    unique, inverse = np.unique(codes, axis=0, return_inverse=True)
    names = np.array(["|".join(f"{v:g}" for v in row) for row in unique], dtype=object)
    return pd.Series(names[inverse.ravel()], index=X.index)


def look_up_rates(keys: pd.Series, rates: Mapping[str, float], default: float) -> Matrix:
    """Return the rate of every key, the default where it is not known."""
    return np.array([rates.get(key, default) for key in keys], dtype=np.float64)


def make_prevalence() -> Pipeline:
    """The event rate, whoever asks."""
    return Pipeline([("model", DummyClassifier(strategy="prior"))])


def make_stratum(columns: Sequence[str], prior_strength: float) -> Pipeline:
    """Condition and exercise alone."""
    return Pipeline([("model", StratumClassifier(tuple(columns), prior_strength))])


def make_logistic(columns: Sequence[str], c: float) -> Pipeline:
    """Ridge-penalised logistic regression on median-imputed, indicator-marked, scaled columns."""
    return Pipeline(
        [
            ("select", SelectColumns(tuple(columns))),
            (
                "impute",
                SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
            ),
            ("scale", StandardScaler()),
            ("model", LogisticRegression(C=c, max_iter=2000)),
        ]
    )


def make_xgboost(columns: Sequence[str], max_depth: int, n_estimators: int) -> Pipeline:
    """Shallow, slowly learning trees; missing values go down a learnt side of each split.

    One thread: parallel folds are faster than parallel trees at these sizes. No row or column
    sampling, so that a fit is a function of its data alone.
    """
    return Pipeline(
        [
            ("select", SelectColumns(tuple(columns))),
            (
                "model",
                XGBClassifier(
                    max_depth=max_depth,
                    n_estimators=n_estimators,
                    learning_rate=0.05,
                    min_child_weight=5.0,
                    reg_lambda=5.0,
                    tree_method="hist",
                    n_jobs=1,
                ),
            ),
        ]
    )


@dataclass(frozen=True)
class LadderSettings:
    """The values tried for each rung's settings (params.yaml, section train)."""

    stratum_prior_strength: tuple[float, ...]
    logistic_c: tuple[float, ...]
    xgboost_max_depth: tuple[int, ...]
    xgboost_n_estimators: tuple[int, ...]


def make_ladder(roles: FeatureRoles, settings: LadderSettings) -> tuple[Candidate, ...]:
    """Return the rungs, simplest first: prevalence, stratum, baseline, logistic, xgboost.

    A rung for which the study has no column (one condition and one exercise make no strata)
    is the prevalence under that rung's name.
    """
    strengths = [{"prior_strength": s} for s in settings.stratum_prior_strength]
    penalties = [{"c": c} for c in settings.logistic_c]
    trees = [
        {"max_depth": d, "n_estimators": n}
        for d, n in product(settings.xgboost_max_depth, settings.xgboost_n_estimators)
    ]
    return (
        Candidate("prevalence", 0, make_prevalence, ({},)),
        _rung("stratum", 1, make_stratum, (roles.stratum, strengths)),
        _rung("baseline", 2, make_logistic, (roles.baseline, penalties)),
        _rung("logistic", 3, make_logistic, (roles.predictors, penalties)),
        _rung("xgboost", 4, make_xgboost, (roles.predictors, trees)),
    )


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
