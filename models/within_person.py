"""The difference between two exercises within persons who did both.

A person's own bouts are compared: whatever is the person's (fitness, sex, sensitivity) cancels,
known or not. What changes with time does not, so that the order of the bouts is a term.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from models.errors import NotEnoughDataError
from models.estimate import Estimate, Reason, unknown

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
METHOD = "within persons, cluster-robust by person, t distribution"


@dataclass(frozen=True)
class Bouts:
    """Bouts of persons under one of two exercises.

    Attributes
    ----------
    y : ndarray of shape (n_rows,)
        Outcome, positive = less pain.
    exercise : ndarray of shape (n_rows,), 0 = reference, 1 = the other
    person : ndarray of shape (n_rows,), int
    stratum : ndarray of shape (n_rows,), int
        What bouts are compared within: a person's visit, or the person.
    period : ndarray of shape (n_rows,)
        Order of the bout within the stratum; NaN where it is not known.
    """

    y: Vector
    exercise: Vector
    person: Index
    stratum: Index
    period: Vector

    def at(self, rows: npt.NDArray[np.bool_]) -> Bouts:
        """Return some of the rows."""
        return Bouts(
            *(getattr(self, n)[rows] for n in ("y", "exercise", "person", "stratum", "period"))
        )

    def compared(self) -> Bouts:
        """Return the rows of strata that hold both exercises: no others can tell anything."""
        known = self.at(np.isfinite(self.y))
        both = np.intersect1d(
            known.stratum[known.exercise == 0], known.stratum[known.exercise == 1]
        )
        return known.at(np.isin(known.stratum, both))


def within_person_difference(bouts: Bouts, *, adjust_period: bool = False) -> Estimate:
    """Mean difference of the exercise from the reference, each person against itself.

    Least squares with an intercept for every stratum, and where asked one for every period but
    the first. The variance is the sandwich clustered by person with G / (G - 1), and the interval
    that of t with G - 1 degrees of freedom for G persons; with one bout of each exercise this is
    the paired t test [Cameron2015]_.

    Parameters
    ----------
    bouts : Bouts
    adjust_period : bool, default=False

    Raises
    ------
    NotEnoughDataError
        With fewer than three persons who did both.

    References
    ----------
    .. [Cameron2015] Cameron, Miller. A practitioner's guide to cluster-robust inference. Journal
       of Human Resources 50:317, section II.

    Examples
    --------
    >>> y = np.array([1.0, 3.0, 2.0, 5.0, 0.0, 1.0])
    >>> bout = np.array([0.0, 1.0] * 3)
    >>> who = np.repeat(np.arange(3), 2)
    >>> within_person_difference(Bouts(y, bout, who, who, np.full(6, np.nan))).estimate
    2.0
    """
    return _fit(bouts.compared(), [], adjust_period)


def difference_by(bouts: Bouts, modifier: Vector, *, adjust_period: bool = False) -> Estimate:
    """How much the difference changes with one unit of a property of the person.

    Parameters
    ----------
    bouts : Bouts
    modifier : ndarray of shape (n_rows,)
        NaN rows are left out.
    """
    known = np.isfinite(modifier)
    kept = Bouts(bouts.y, bouts.exercise, bouts.person, bouts.stratum, bouts.period).at(known)
    marked = Bouts(modifier[known], kept.exercise, kept.person, kept.stratum, kept.period)
    usable = np.isin(kept.stratum, kept.compared().stratum) & np.isfinite(kept.y)
    compared, values = kept.at(usable), marked.at(usable).y
    if len(values) == 0 or np.ptp(values) == 0:
        return unknown(Reason.NOT_COMPUTABLE, METHOD)
    return _fit(compared, [compared.exercise * (values - values.mean())], adjust_period, which=1)


def _fit(bouts: Bouts, extra: list[Vector], adjust_period: bool, which: int = 0) -> Estimate:
    n_persons = len(np.unique(bouts.person))
    if n_persons < 3:
        raise NotEnoughDataError(
            f"expected at least 3 persons with bouts of both exercises, found {n_persons}."
        )
    terms = [bouts.exercise, *extra]
    if adjust_period:
        levels = np.unique(bouts.period[np.isfinite(bouts.period)])
        terms += [(bouts.period == level).astype(np.float64) for level in levels[1:]]
    Z = _within(np.column_stack(terms), bouts.stratum)
    y = _within(bouts.y[:, None], bouts.stratum)[:, 0]
    inverse = np.linalg.pinv(Z.T @ Z)
    beta = inverse @ Z.T @ y
    if abs((inverse @ Z.T @ Z)[which, which] - 1) > 1e-6:
        return unknown(Reason.NOT_COMPUTABLE, METHOD)
    score = Z * (y - Z @ beta)[:, None]
    _, cluster = np.unique(bouts.person, return_inverse=True)
    sums = np.zeros((n_persons, Z.shape[1]))
    np.add.at(sums, cluster, score)
    variance = inverse @ (sums.T @ sums) @ inverse * n_persons / (n_persons - 1)
    return t_interval(float(beta[which]), float(np.sqrt(variance[which, which])), n_persons - 1)


def t_interval(estimate: float, error: float, freedom: float, method: str = METHOD) -> Estimate:
    """Return an estimate with its 95 % interval and p value by the t distribution."""
    if not error > 0:
        return Estimate(estimate, np.nan, np.nan, method, Reason.NO_VARIANCE)
    half = float(student.ppf(0.975, freedom)) * error
    p = float(2 * student.sf(abs(estimate / error), freedom))
    return Estimate(estimate, estimate - half, estimate + half, method, p_value=p)


def _within(values: Matrix, stratum: Index) -> Matrix:
    """Take the mean of its stratum from every row."""
    _, code, size = np.unique(stratum, return_inverse=True, return_counts=True)
    sums = np.zeros((len(size), values.shape[1]))
    np.add.at(sums, code, values)
    return np.asarray(values - (sums / size[:, None])[code])
