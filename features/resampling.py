"""Figures with their interval, and the resampling of persons where no exact interval exists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.spec import Vector

Codes = npt.NDArray[np.int64]
# Half the resamples, and at least this many, have to be computable for an interval.
LEAST_RESAMPLES = 20


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval, how it was got, and why it is NaN if it is."""

    estimate: float
    lower: float
    upper: float
    method: str
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict."""
        return asdict(self)

    def in_words(self) -> str:
        """Return estimate and limits with two decimals."""
        return f"{self.estimate:.2f} ({self.lower:.2f} to {self.upper:.2f})"

    def through(self, rising: Callable[[float], float], method: str = "") -> Figure:
        """Return the figure of a rising function of the quantity: the limits map onto its limits.

        A limit that is NaN stays so.
        """
        values = (self.estimate, self.lower, self.upper)
        estimate, lower, upper = (rising(v) if np.isfinite(v) else np.nan for v in values)
        return Figure(estimate, lower, upper, method or self.method, self.reason)


def unknown(reason: str, method: str = "none") -> Figure:
    """Return a figure that could not be computed: NaN, with the reason."""
    return Figure(np.nan, np.nan, np.nan, method, reason)


def person_codes(table: pd.DataFrame) -> Codes:
    """Number the persons of a table 0 ... n - 1, row by row."""
    return np.asarray(
        table.groupby(["study_id", "participant_id"], sort=True).ngroup(), dtype=np.int64
    )


def draw_persons(n_persons: int, n_resamples: int, seed: int) -> Vector:
    """How often each person is drawn when persons are drawn with replacement.

    Returns
    -------
    ndarray of shape (1 + n_resamples, n_persons); the first row is the sample as it is
    """
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_persons, np.full(n_persons, 1 / n_persons), size=n_resamples)
    return np.vstack([np.ones((1, n_persons)), counts.astype(np.float64)])


def bootstrap_figure(values: Vector, what: str, reason: str) -> Figure:
    """Summarise a statistic: its first value is the estimate, the rest its person bootstrap.

    Parameters
    ----------
    values : ndarray of shape (1 + n_resamples,), NaN where a resample cannot be computed
    what : str
        The statistic, for the record of the method.
    reason : str
        Why the estimate is NaN, if it is.
    """
    resampled = values[1:]
    usable = resampled[np.isfinite(resampled)]
    method = (
        f"{what}; person-cluster bootstrap, percentile, {len(usable)} of {len(resampled)} resamples"
    )
    if not np.isfinite(values[0]):
        return unknown(reason, method)
    estimate = float(values[0])
    if len(usable) < max(LEAST_RESAMPLES, 0.5 * len(resampled)):
        return Figure(estimate, np.nan, np.nan, method, "too few resamples can be computed")
    lower, upper = np.quantile(usable, [0.025, 0.975])
    return Figure(estimate, float(lower), float(upper), method)


def person_sums(values: Vector, person: Codes, draws: Vector) -> Vector:
    """Sum of the rows' values, every row as often as its person is drawn.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), finite
    person : ndarray of shape (n_rows,), int
    draws : ndarray of shape (n_weightings, n_persons)

    Returns
    -------
    ndarray of shape (n_weightings,)
    """
    # Summed per person first: a matrix of weightings by rows would not fit a large study.
    sums: Vector = draws @ np.bincount(person, weights=values, minlength=draws.shape[1])
    return sums


def pooled_variance(
    values: Vector, person: Codes, draws: Vector, group: Codes | None = None
) -> Vector:
    """Variance within groups, pooled over them, per weighting of the persons.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), finite
    person : ndarray of shape (n_rows,), int
    draws : ndarray of shape (n_weightings, n_persons)
        From :func:`draw_persons`.
    group : ndarray of shape (n_rows,), int, optional
        Default: one group, which gives the ordinary variance.

    Returns
    -------
    ndarray of shape (n_weightings,), NaN without a degree of freedom

    Notes
    -----
    The means of the groups stay those of the sample in every weighting: a resample of a small
    group repeats its members, and a mean of its own would sit too close to them.

    Examples
    --------
    >>> values, person = np.array([1.0, 3.0, 7.0]), np.array([0, 1, 2])
    >>> pooled_variance(values, person, np.ones((1, 3)))
    array([9.33333333])
    >>> pooled_variance(values, person, np.ones((1, 3)), group=np.array([0, 0, 1]))
    array([2.])
    """
    if not len(values):
        return np.full(len(draws), np.nan)
    codes = np.zeros(len(values), dtype=np.int64) if group is None else group
    _, codes = np.unique(codes, return_inverse=True)
    size = np.bincount(codes)
    residual = values - (np.bincount(codes, weights=values) / size)[codes]
    freedom = len(values) - len(size)
    total = person_sums(np.ones(len(values)), person, draws)
    usable = (total > 0) & (freedom > 0)
    scale = len(values) / (freedom or 1) / np.where(usable, total, 1)
    return np.where(usable, person_sums(residual**2, person, draws) * scale, np.nan)
