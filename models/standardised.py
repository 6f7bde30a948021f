"""Named columns as a standardised matrix: median-imputed, missingness marked, splines if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from models.splines import place_knots, spline_terms

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


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


class Standardised(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Impute by the median, mark what was missing, add spline terms, scale to mean 0 and SD 1.

    The same values as scikit-learn's ``SimpleImputer(add_indicator=True)`` and
    ``StandardScaler``, in one pass over plain arrays: a nested cross-validation does it
    thousands of times on a few hundred rows.

    Parameters
    ----------
    columns : sequence of str
    spline_knots : {0, 3, 4, 5}, default=0
        Knots of a restricted cubic spline of every column with enough distinct values; 0 keeps
        columns linear.

    Attributes
    ----------
    fill_ : ndarray of shape (n_columns,)
        Median of the known values; 0 for a column that is missing throughout.
    indicators_ : tuple of str
        Columns with missing values in training: their missingness is a term of its own.
    knots_ : dict of str to tuple of float
        Knots of every column that is splined.
    mean_, scale_ : ndarray of shape (n_terms,)
        Terms are ordered: columns, indicators, spline terms column by column.
    """

    def __init__(self, columns: Sequence[str], spline_knots: int = 0) -> None:
        self.columns = columns
        self.spline_knots = spline_knots

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Learn medians, knots, means and spreads from a frame with the columns."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: pd.DataFrame, y: object = None, **_: Any) -> Matrix:
        """Learn, and return the terms of the same rows, shape (n_rows, n_terms)."""
        values = X[list(self.columns)].to_numpy(dtype=np.float64)
        missing = np.isnan(values)
        self.fill_ = _medians(values, missing)
        some = missing.any(axis=0)
        self.indicators_ = tuple(c for c, m in zip(self.columns, some, strict=True) if m)
        self.knots_ = self._knots(values)
        terms = expand(values, self.columns, (self.fill_, self.indicators_, self.knots_))
        self.mean_ = terms.mean(axis=0)
        spread = terms.std(axis=0)
        # A constant column differs from its mean by rounding only; it carries nothing.
        constant = spread <= 10 * np.finfo(float).eps * np.maximum(np.abs(self.mean_), 1e-300)
        self.scale_ = np.where(constant, 1.0, spread)
        return np.asarray((terms - self.mean_) / self.scale_)

    def transform(self, X: pd.DataFrame) -> Matrix:
        """Return the terms of other rows, shape (n_rows, n_terms)."""
        values = X[list(self.columns)].to_numpy(dtype=np.float64)
        terms = expand(values, self.columns, (self.fill_, self.indicators_, self.knots_))
        return np.asarray((terms - self.mean_) / self.scale_)

    def _knots(self, values: Matrix) -> dict[str, tuple[float, ...]]:
        if not self.spline_knots:
            return {}
        placed = {
            name: place_knots(values[:, i], self.spline_knots)
            for i, name in enumerate(self.columns)
        }
        return {name: knots for name, knots in placed.items() if knots}


def expand(
    values: Matrix,
    columns: Sequence[str],
    learnt: tuple[Vector, Sequence[str], dict[str, tuple[float, ...]]],
) -> Matrix:
    """Terms before scaling: filled columns, missingness of ``indicators``, spline terms.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns), NaN = missing
    columns : sequence of str
    learnt : (fill, indicators, knots)
        As the attributes of :class:`Standardised`.
    """
    fill, indicators, knots = learnt
    position = {name: i for i, name in enumerate(columns)}
    missing = np.isnan(values)
    filled = np.where(missing, fill, values)
    parts = [filled, missing[:, [position[i] for i in indicators]].astype(np.float64)]
    parts += [spline_terms(filled[:, position[name]], at) for name, at in knots.items()]
    return np.hstack(parts)


def _medians(values: Matrix, missing: npt.NDArray[np.bool_]) -> Vector:
    """Median of each column's known values; missing values sort last."""
    known = (~missing).sum(axis=0)
    ordered = np.sort(values, axis=0)
    column = np.arange(values.shape[1])
    low = ordered[np.maximum(known - 1, 0) // 2, column]
    high = ordered[np.minimum(known // 2, len(values) - 1), column]
    return np.where(known > 0, (low + high) / 2, 0.0)
