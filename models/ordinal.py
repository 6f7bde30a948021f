"""Hyperalgesia, neither, hypoalgesia in one model: their risks cannot contradict each other.

Proportional odds with a ridge penalty: one linear predictor, two cuts. P(response) and
P(hyperalgesia) are two ends of the same scale, so that they add up to at most one in every row;
two models of one class each do not know of each other.

References
----------
.. [McCullagh1980] McCullagh. Regression models for ordinal data. Journal of the Royal
   Statistical Society B 42:109.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.pipeline import Pipeline

from models.errors import NotEnoughDataError
from models.penalised import RidgeLogistic
from models.splits import Split
from models.standardised import Standardised

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
# The classes in their order: 0, 1, 2.
CLASSES = ("hyperalgesia", "neither", "response")
# Gradient per row at which the search ends; probabilities are then right to about 1e-6.
GRADIENT_TOLERANCE = 1e-9
# Keeps the probability of a class above zero in the logarithm.
SMALLEST = 1e-12


@dataclass(frozen=True)
class Ordinal:
    """A fitted proportional-odds model.

    Attributes
    ----------
    prepare : Standardised
    coefficients : ndarray of shape (n_terms,)
        On the standardised terms; positive: more hypoalgesia.
    cuts : (float, float), ascending
    """

    prepare: Standardised
    coefficients: Vector
    cuts: tuple[float, float]

    def probabilities(self, X: pd.DataFrame) -> Matrix:
        """Probability of every class, shape (n_rows, 3); rows add up to one."""
        predictor = self.prepare.transform(X) @ self.coefficients
        return class_probabilities(predictor, self.cuts)

    def side(self, name: str) -> Pipeline:
        """Return one end of the scale as the logistic model that it is.

        Parameters
        ----------
        name : {'response', 'hyperalgesia'}
        """
        sign, cut = (1.0, -self.cuts[1]) if name == "response" else (-1.0, self.cuts[0])
        model = RidgeLogistic()
        model.classes_ = np.array([0, 1])
        model.coef_, model.intercept_ = sign * self.coefficients[None, :], np.array([cut])
        return Pipeline([("prepare", self.prepare), ("model", model)])


def class_probabilities(predictor: Vector, cuts: tuple[float, float]) -> Matrix:
    """Probability of the three classes, shape (n_rows, 3).

    Parameters
    ----------
    predictor : ndarray of shape (n_rows,)
    cuts : (float, float), ascending

    Examples
    --------
    >>> class_probabilities(np.array([0.0]), (-1.0, 1.0)).round(3)
    array([[0.269, 0.462, 0.269]])
    """
    low, high = expit(cuts[0] - predictor), expit(predictor - cuts[1])
    # Rounding may leave less than nothing between two ends that are all there is.
    return np.column_stack([low, np.maximum(1.0 - low - high, 0.0), high])


def fit_ordinal(X: pd.DataFrame, order: Vector, columns: Sequence[str], c: float) -> Ordinal:
    """Fit by penalised maximum likelihood: log loss plus ||coefficients||² / (2 C).

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features), NaN = missing
    order : ndarray of shape (n_rows,), 0, 1 or 2
    columns : sequence of str
    c : float, > 0
        Small means strong.

    Raises
    ------
    NotEnoughDataError
        Without a row of each class.
    """
    counts = np.bincount(order.astype(np.int64), minlength=3)
    if counts.min() == 0:
        lacking = ", ".join(n for n, k in zip(CLASSES, counts, strict=True) if k == 0)
        raise NotEnoughDataError(
            f"expected rows of {', '.join(CLASSES)}, found no row of {lacking} among {len(order)}."
        )
    prepare = Standardised(tuple(columns))
    coefficients, cuts = fit_terms(prepare.fit_transform(X), order, c)
    return Ordinal(prepare, coefficients, cuts)


def fit_terms(Z: Matrix, order: Vector, c: float) -> tuple[Vector, tuple[float, float]]:
    """Coefficients and cuts on standardised terms; see :func:`fit_ordinal`.

    The upper cut is the lower one plus an exponential, so that they cannot cross.
    """
    counts = np.bincount(order.astype(np.int64), minlength=3) / len(order)
    below = np.log(counts[0] / (1 - counts[0]))
    above = np.log((1 - counts[2]) / counts[2])
    start = np.concatenate([[below, np.log(above - below)], np.zeros(Z.shape[1])])
    found = minimize(
        _loss,
        start,
        args=(Z, order, c),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-15, "gtol": GRADIENT_TOLERANCE},
    )
    low = float(found.x[0])
    return np.asarray(found.x[2:]), (low, low + float(np.exp(found.x[1])))


def _loss(values: Vector, Z: Matrix, order: Vector, c: float) -> tuple[float, Vector]:
    """Penalised log loss per row and its gradient."""
    low, gap, beta = values[0], np.exp(values[1]), values[2:]
    predictor = Z @ beta
    below, above = expit(low - predictor), expit(predictor - low - gap)
    middle = np.maximum(1.0 - below - above, SMALLEST)
    slope_low, slope_high = below * (1 - below), above * (1 - above)
    first, last = order == 0, order == 2
    chosen = np.where(first, below, np.where(last, above, middle))
    loss = -np.log(np.maximum(chosen, SMALLEST)).sum() + beta @ beta / (2 * c)
    # Derivative of minus the log of the row's probability by either cut.
    by_low = np.where(first, below - 1, np.where(last, 0.0, slope_low / middle))
    by_high = np.where(first, 0.0, np.where(last, 1 - above, -slope_high / middle))
    gradient = np.concatenate(
        [
            [(by_low + by_high).sum(), gap * by_high.sum()],
            -(Z.T @ (by_low + by_high)) + beta / c,
        ]
    )
    return float(loss / len(order)), gradient / len(order)


def tune_ordinal(
    X: pd.DataFrame,
    order: Vector,
    splits: Sequence[Split],
    what: tuple[Sequence[str], Sequence[float]],
) -> Ordinal:
    """Choose the penalty by the log loss over the tuning splits, then fit on all known rows.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features)
    order : ndarray of shape (n_rows,), 0, 1, 2; NaN = nothing is learnt from the row
    splits : sequence of (train, test)
        Positions in ``X``; splits that lack a class in training are left out.
    what : (columns, penalties)
        Of equally good penalties the strongest is taken.
    """
    columns, grid = what
    usable = [
        (train[np.isfinite(order[train])], test[np.isfinite(order[test])]) for train, test in splits
    ]
    usable = [s for s in usable if len(np.unique(order[s[0]])) == 3 and len(s[1])]
    ordered = sorted(grid)
    losses = [
        sum(
            log_loss(
                fit_ordinal(X.iloc[a], order[a], columns, c).probabilities(X.iloc[b]), order[b]
            ).sum()
            for a, b in usable
        )
        for c in ordered
    ]
    known = np.flatnonzero(np.isfinite(order))
    return fit_ordinal(X.iloc[known], order[known], columns, ordered[int(np.argmin(losses))])


def log_loss(probabilities: Matrix, order: Vector) -> Vector:
    """Minus the log of the probability of what happened, shape (n_rows,)."""
    chosen = probabilities[np.arange(len(order)), order.astype(np.int64)]
    return np.asarray(-np.log(np.maximum(chosen, SMALLEST)))


def ranked_probability_score(probabilities: Matrix, order: Vector) -> Vector:
    """Mean squared error of the cumulative probabilities [Epstein1969]_, shape (n_rows,).

    Of two wrong answers the one that is further off is worse.

    References
    ----------
    .. [Epstein1969] Epstein. A scoring system for probability forecasts of ranked categories.
       Journal of Applied Meteorology 8:985.

    Examples
    --------
    >>> ranked_probability_score(np.array([[0.2, 0.5, 0.3]]), np.array([2.0]))
    array([0.265])
    """
    said = np.cumsum(probabilities, axis=1)[:, :2]
    happened = order[:, None] <= np.array([0.0, 1.0])
    return np.asarray(((said - happened) ** 2).mean(axis=1))
