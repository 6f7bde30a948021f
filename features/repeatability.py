"""Error of measurement in the unit of the measurement: SEM, MDC, limits of agreement, kappa.

References
----------
.. [Bland1986] Bland, Altman. Statistical methods for assessing agreement between two methods of
   clinical measurement. Lancet 327:307; repeatability and intervals: Stat Methods Med Res 1999,
   8:135.
.. [Weir2005] Weir. Quantifying test-retest reliability using the intraclass correlation
   coefficient and the SEM. J Strength Cond Res 19:231.
.. [Fleiss1969] Fleiss, Cohen, Everitt. Large sample standard errors of kappa and weighted kappa.
   Psychological Bulletin 72:323.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from features.agreement import mean_squares
from features.resampling import Figure, bootstrap_figure, unknown
from features.spec import Vector

Z95 = float(stats.norm.ppf(0.975))


def mdc95(sem: float, n_persons: int = 1) -> float:
    """Smallest difference of two values that exceeds error with 95 % confidence.

    1.96 * sqrt(2) * SEM for one person; for the mean of a group the error, and with it the
    difference, shrinks by the square root of its size. [Weir2005]_

    Examples
    --------
    >>> round(mdc95(10.0), 1), round(mdc95(10.0, n_persons=25), 1)
    (27.7, 5.5)
    """
    return float(Z95 * np.sqrt(2) * sem / np.sqrt(n_persons))


def within_person_sd(table: Vector) -> Figure:
    """Standard error of measurement of one value: the SD within persons.

    A shift of all persons between sessions counts as error. Times 1.96 * sqrt(2) it is the
    coefficient of repeatability, which is the MDC95 under its older name. [Bland1986]_

    Parameters
    ----------
    table : ndarray of shape (n, k), complete

    Returns
    -------
    Figure, with the exact chi-square interval for equal, normal errors
    """
    method = "SD within persons, chi-square interval"
    if min(table.shape) < 2:
        return unknown("fewer than 2 persons or 2 values of each", method)
    ms = mean_squares(table)
    freedom = ms.n * (ms.k - 1)
    lower, upper = (
        float(np.sqrt(ms.within * freedom / stats.chi2.isf(tail, freedom)))
        for tail in (0.025, 0.975)
    )
    return Figure(float(np.sqrt(ms.within)), lower, upper, method)


@dataclass(frozen=True)
class BlandAltman:
    """Differences of two sessions, second minus first: bias and 95 % limits of agreement."""

    bias: Figure
    lower_limit: Figure
    upper_limit: Figure

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as a dict."""
        return {name: getattr(self, name).to_dict() for name in self.__dataclass_fields__}


def bland_altman(first: Vector, second: Vector) -> BlandAltman:
    """Bias and limits of agreement, each with its 95 % interval.

    Parameters
    ----------
    first, second : ndarray of shape (n,), finite, same unit

    Notes
    -----
    The standard error of a limit is SD * sqrt(1/n + 1.96² / (2(n - 1))). [Bland1986]_
    """
    method = "t interval (Bland & Altman 1999)"
    n = len(first)
    if n < 2:
        nothing = unknown("fewer than 2 persons", method)
        return BlandAltman(nothing, nothing, nothing)
    difference = second - first
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    t = stats.t.ppf(0.975, n - 1)
    half_bias = float(t * sd / np.sqrt(n))
    half_limit = float(t * sd * np.sqrt(1 / n + Z95**2 / (2 * (n - 1))))
    low, high = bias - Z95 * sd, bias + Z95 * sd
    return BlandAltman(
        Figure(bias, bias - half_bias, bias + half_bias, method),
        Figure(low, low - half_limit, low + half_limit, method),
        Figure(high, high - half_limit, high + half_limit, method),
    )


def cohen_kappa(first: Vector, second: Vector) -> Figure:
    """Agreement of two classifications beyond chance, unweighted, for independent pairs.

    Parameters
    ----------
    first, second : ndarray of shape (n,), class codes, finite

    Returns
    -------
    Figure, NaN with a reason where only one class occurs; the limits (of the large-sample normal
    interval [Fleiss1969]_) may pass 1

    Examples
    --------
    >>> a, b = np.array([1.0, 1, 0, 0, 1, 0]), np.array([1.0, 1, 0, 0, 0, 1])
    >>> round(cohen_kappa(a, b).estimate, 3)
    0.333
    """
    method = "large-sample interval (Fleiss, Cohen & Everitt 1969)"
    levels = np.unique(np.concatenate([first, second]))
    if len(levels) < 2:
        return unknown("fewer than two classes occur", method)
    p = (first[:, None] == levels).T.astype(float) @ (second[:, None] == levels) / len(first)
    rows, columns, agreed = p.sum(axis=1), p.sum(axis=0), np.diag(p)
    observed, chance = agreed.sum(), float(rows @ columns)
    kappa = (observed - chance) / (1 - chance)
    of_agreed = (agreed * (1 - (rows + columns) * (1 - kappa)) ** 2).sum()
    marginal = (columns[:, None] + rows[None, :]) ** 2
    off = (1 - kappa) ** 2 * ((p * marginal).sum() - (agreed * np.diag(marginal)).sum())
    variance = of_agreed + off - (kappa - chance * (1 - kappa)) ** 2
    half = Z95 * np.sqrt(max(variance, 0.0) / (len(first) * (1 - chance) ** 2))
    return Figure(float(kappa), float(kappa - half), float(kappa + half), method)


def clustered_kappa(first: Vector, second: Vector, weights: Vector) -> Figure:
    """Cohen's kappa where a person has several pairs: the interval resamples persons.

    Parameters
    ----------
    first, second : ndarray of shape (n,), class codes, finite
    weights : ndarray of shape (1 + n_resamples, n)
        How often each pair counts; the first row is the data as they are.
    """
    reason = "fewer than two classes occur"
    levels = np.unique(np.concatenate([first, second]))
    one, two = ((x[:, None] == levels).astype(float) for x in (first, second))
    n = weights.sum(axis=1)
    safe = np.where(n > 0, n, 1)
    observed = (weights @ (first == second)) / safe
    chance = ((weights @ one) * (weights @ two)).sum(axis=1) / safe**2
    usable = (n > 0) & (chance < 1 - 1e-12)
    kappa = np.where(usable, (observed - chance) / np.where(usable, 1 - chance, 1), np.nan)
    return bootstrap_figure(kappa, "Cohen's kappa", reason)
