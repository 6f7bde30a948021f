"""Two nested logistic models of the same rows: the base set, and the base set with a marker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import NotEnoughDataError
from models.unpenalised import (
    Fit,
    clustered_covariance,
    fit_logistic,
    fit_or_firth,
    with_intercept,
)

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
# A column that leaves less than this share of itself is a linear function of those before it.
RANK_TOLERANCE = 1e-8


@dataclass(frozen=True)
class Nested:
    """Rows on which the marker and the base set are known, and the outcome.

    Attributes
    ----------
    y : ndarray of shape (n_rows,), 0/1
    base : ndarray of shape (n_rows, n_base)
    added : ndarray of shape (n_rows, n_added)
    person : ndarray of shape (n_rows,), int
    """

    y: Vector
    base: Matrix
    added: Matrix
    person: Index

    @property
    def repeats(self) -> bool:
        """Return whether a person has several rows."""
        return len(np.unique(self.person)) < len(self.person)

    @property
    def n_persons(self) -> int:
        """Return the number of persons."""
        return len(np.unique(self.person))

    def at(self, rows: npt.NDArray[np.bool_]) -> Nested:
        """Return these rows only."""
        return Nested(self.y[rows], self.base[rows], self.added[rows], self.person[rows])


def independent_columns(columns: Matrix, given: Matrix) -> list[int]:
    """Positions of the columns that are no linear function of ``given`` and those before them.

    Examples
    --------
    >>> x = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 0.0, 3.0], [0.0, 1.0, 0.0]])
    >>> independent_columns(x, np.ones((4, 1)))
    [0, 2]
    """
    kept: list[int] = []
    basis = np.linalg.qr(given)[0] if given.shape[1] else np.empty((len(columns), 0))
    for at, column in enumerate(columns.T):
        centred = column - column.mean()
        size = float(np.linalg.norm(centred))
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        if size > 0 and np.linalg.norm(rest) > RANK_TOLERANCE * size:
            kept.append(at)
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
    return kept


def reduced(nested: Nested) -> Nested:
    """Leave out columns that are constant or a linear function of the others; the base goes first.

    Raises
    ------
    NotEnoughDataError
        With one class, or fewer rows than coefficients allow.
    """
    ones = np.ones((len(nested.y), 1))
    base = nested.base[:, independent_columns(nested.base, ones)]
    added = nested.added[:, independent_columns(nested.added, np.column_stack([ones, base]))]
    terms = 1 + base.shape[1] + added.shape[1]
    events = int(nested.y.sum())
    smaller = min(events, len(nested.y) - events)
    if smaller < 2 or nested.n_persons < terms + 3:
        raise NotEnoughDataError(
            f"expected two events and two others at least, and more than {terms + 2} persons for "
            f"{terms} coefficients, found {events} events in {len(nested.y)} rows of "
            f"{nested.n_persons} persons."
        )
    return Nested(nested.y, base, added, nested.person)


@dataclass(frozen=True)
class Fits:
    """The two nested models, the model without predictors, and the covariance to judge by."""

    base: Fit
    full: Fit
    null_log_likelihood: float
    covariance: Matrix
    added: Index


def fit_nested(nested: Nested) -> Fits:
    """Fit both models; both with Firth's penalty where the classes of either are separated.

    Parameters
    ----------
    nested : Nested
        As :func:`reduced` leaves it.
    """
    narrow = with_intercept(nested.base)
    wide = np.column_stack([narrow, nested.added])
    added = np.arange(narrow.shape[1], wide.shape[1])
    full = fit_or_firth(wide, nested.y)
    held = _held(wide.shape[1], added)
    if full.firth:
        base = fit_logistic(wide, nested.y, firth=True, fixed=held)
        null = fit_logistic(
            wide, nested.y, firth=True, fixed=_held(wide.shape[1], np.arange(1, wide.shape[1]))
        )
    else:
        base = fit_logistic(narrow, nested.y)
        null = fit_logistic(narrow[:, :1], nested.y)
    covariance = clustered_covariance(full, nested.person) if nested.repeats else full.covariance
    return Fits(base, full, null.log_likelihood, covariance, added)


def _held(n_terms: int, at: Index) -> Vector:
    fixed = np.full(n_terms, np.nan)
    fixed[at] = 0.0
    return fixed
