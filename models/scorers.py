"""What a fitted candidate has learnt, as plain numbers: enough to predict and to explain.

A scorer is made from a fitted scikit-learn pipeline, holds no pickled object, and gives the
same probabilities as the pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost
from scipy.special import expit
from sklearn.pipeline import Pipeline

from models.calibration import logit
from models.classifiers import look_up_rates, stratum_keys

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contributions:
    """Additive explanation on the log-odds scale: baseline + sum of a row's values = log-odds.

    Attributes
    ----------
    names : tuple of str
        What contributes; one column of ``values`` each.
    values : ndarray of shape (n_rows, n_names), log-odds
    baseline : float, log-odds
    """

    names: tuple[str, ...]
    values: Matrix
    baseline: float


@dataclass(frozen=True)
class ConstantScorer:
    """The same risk for everybody."""

    kind: ClassVar[str] = "constant"
    risk: float

    def probability(self, X: pd.DataFrame) -> Vector:
        """Return the risk of every row, shape (n_rows,)."""
        return np.full(len(X), self.risk)

    def log_odds(self, X: pd.DataFrame) -> Vector:
        """Return the log-odds of every row, shape (n_rows,)."""
        return logit(self.probability(X))

    def contributions(self, X: pd.DataFrame) -> Contributions:
        """Explain: nothing contributes."""
        return Contributions((), np.zeros((len(X), 0)), float(logit(np.array([self.risk]))[0]))


@dataclass(frozen=True)
class StratumScorer:
    """Shrunken event rate of each combination of ``columns``."""

    kind: ClassVar[str] = "stratum"
    columns: tuple[str, ...]
    rates: Mapping[str, float]
    default: float

    def probability(self, X: pd.DataFrame) -> Vector:
        """Return the risk of every row, shape (n_rows,)."""
        return look_up_rates(stratum_keys(X, self.columns), self.rates, self.default)

    def log_odds(self, X: pd.DataFrame) -> Vector:
        """Return the log-odds of every row, shape (n_rows,)."""
        return logit(self.probability(X))

    def contributions(self, X: pd.DataFrame) -> Contributions:
        """Explain: the stratum as a whole, against the overall rate."""
        baseline = float(logit(np.array([self.default]))[0])
        return Contributions(("stratum",), (self.log_odds(X) - baseline)[:, None], baseline)


@dataclass(frozen=True)
class LinearScorer:
    """Logistic regression on imputed, indicator-marked, standardised columns.

    ``mean``, ``scale`` and ``coefficients`` have one value per column, then one per column of
    ``indicators`` (columns whose missingness is itself a term).
    """

    kind: ClassVar[str] = "linear"
    columns: tuple[str, ...]
    fill: tuple[float, ...]
    indicators: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def _standardised(self, X: pd.DataFrame) -> Matrix:
        values = X[list(self.columns)].to_numpy(dtype=np.float64)
        missing = np.isnan(values)
        marked = missing[:, [self.columns.index(i) for i in self.indicators]]
        filled = np.where(missing, np.array(self.fill), values)
        centred = np.hstack([filled, marked]) - np.array(self.mean)
        return np.asarray(centred / np.array(self.scale), dtype=np.float64)

    def log_odds(self, X: pd.DataFrame) -> Vector:
        """Return the log-odds of every row, shape (n_rows,)."""
        # Column by column: a matrix product sums in an order that depends on the number of
        # rows, and a row's prediction must not depend on its neighbours.
        z = self._standardised(X)
        total = np.full(len(X), self.intercept)
        for column, coefficient in zip(z.T, self.coefficients, strict=True):
            total += column * coefficient
        return total

    def probability(self, X: pd.DataFrame) -> Vector:
        """Return the risk of every row, shape (n_rows,)."""
        return np.asarray(expit(self.log_odds(X)), dtype=np.float64)

    def contributions(self, X: pd.DataFrame) -> Contributions:
        """Exact SHAP values of a linear model: coefficient times distance from the mean.

        The background is the training data, whose standardised means are zero; the term that
        marks a value as missing belongs to its column.
        """
        terms = self._standardised(X) * np.array(self.coefficients)
        values = terms[:, : len(self.columns)].copy()
        for i, name in enumerate(self.indicators):
            values[:, self.columns.index(name)] += terms[:, len(self.columns) + i]
        return Contributions(self.columns, values, self.intercept)


@dataclass(frozen=True)
class BoostedScorer:
    """Boosted trees, as XGBoost's own binary format (UBJ)."""

    kind: ClassVar[str] = "boosted"
    columns: tuple[str, ...]
    ubj: bytes

    @cached_property
    def _booster(self) -> xgboost.Booster:
        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(self.ubj))
        return booster

    def _matrix(self, X: pd.DataFrame) -> Matrix:
        return X[list(self.columns)].to_numpy(dtype=np.float64)

    def probability(self, X: pd.DataFrame) -> Vector:
        """Return the risk of every row, shape (n_rows,), at XGBoost's float32 resolution."""
        risk = self._booster.inplace_predict(self._matrix(X))
        return np.asarray(risk, dtype=np.float64)

    def log_odds(self, X: pd.DataFrame) -> Vector:
        """Return the log-odds of every row, shape (n_rows,)."""
        margin = self._booster.inplace_predict(self._matrix(X), predict_type="margin")
        return np.asarray(margin, dtype=np.float64)

    def contributions(self, X: pd.DataFrame) -> Contributions:
        """Exact path-dependent TreeSHAP, from XGBoost."""
        if len(X) == 0:  # XGBoost answers an empty matrix with an array of one dimension
            return Contributions(self.columns, np.zeros((0, len(self.columns))), 0.0)
        data = xgboost.DMatrix(self._matrix(X), nthread=1)
        parts = np.asarray(self._booster.predict(data, pred_contribs=True), dtype=np.float64)
        return Contributions(self.columns, parts[:, :-1], float(parts[0, -1]))


Scorer = ConstantScorer | StratumScorer | LinearScorer | BoostedScorer
SCORERS: dict[str, type[Scorer]] = {
    s.kind: s for s in (ConstantScorer, StratumScorer, LinearScorer, BoostedScorer)
}


def make_scorer(fitted: Pipeline) -> Scorer:
    """Take out of a fitted candidate what it has learnt.

    Raises
    ------
    TypeError
        For a pipeline that is no rung of the ladder.
    """
    model = fitted.named_steps["model"]
    name = type(model).__name__
    if name == "DummyClassifier":
        return ConstantScorer(float(model.class_prior_[1]))
    if name == "StratumClassifier":
        return StratumScorer(tuple(model.columns), dict(model.rates_), model.rate_)
    columns = tuple(fitted.named_steps["select"].columns)
    if name == "LogisticRegression":
        return _linear(fitted, columns)
    if name == "XGBClassifier":
        return BoostedScorer(columns, bytes(model.get_booster().save_raw("ubj")))
    raise TypeError(f"no scorer for {name}")


def _linear(fitted: Pipeline, columns: tuple[str, ...]) -> LinearScorer:
    impute, scale = fitted.named_steps["impute"], fitted.named_steps["scale"]
    model = fitted.named_steps["model"]
    marked = [] if impute.indicator_ is None else impute.indicator_.features_
    return LinearScorer(
        columns,
        _floats(impute.statistics_),
        tuple(columns[i] for i in marked),
        _floats(scale.mean_),
        _floats(scale.scale_),
        _floats(model.coef_[0]),
        float(model.intercept_[0]),
    )


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
