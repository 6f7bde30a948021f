"""Intraclass correlations of a complete table, with exact intervals.

Rows are persons, columns are sessions, raters or trials. The six forms differ in what counts
as error and in how many columns a decision will rest on:

============  ==================================================  =========================
``ICC(1)``    columns are not the same for every person           one value
``ICC(A,1)``  absolute agreement: a shift of a column is error    one value
``ICC(C,1)``  consistency: a shift of a column is no error        one value
``ICC(1,k)``  as ICC(1)                                           the mean of the k columns
``ICC(A,k)``  as ICC(A,1)                                         the mean of the k columns
``ICC(C,k)``  as ICC(C,1)                                         the mean of the k columns
============  ==================================================  =========================

References
----------
.. [McGraw1996] McGraw, Wong. Forming inferences about some intraclass correlation coefficients.
   Psychological Methods 1:30, tables 4 and 7 (with the correction in 1:390).
.. [Shrout1979] Shrout, Fleiss. Intraclass correlations: uses in assessing rater reliability.
   Psychological Bulletin 86:420.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from features.resampling import Figure, unknown
from features.spec import Vector

FORMS = ("ICC(1)", "ICC(A,1)", "ICC(C,1)", "ICC(1,k)", "ICC(A,k)", "ICC(C,k)")
ONE_WAY = "exact F interval, one-way (McGraw & Wong 1996)"
CONSISTENCY = "exact F interval, two-way (McGraw & Wong 1996)"
ABSOLUTE = "F interval with Satterthwaite df, two-way (McGraw & Wong 1996)"


@dataclass(frozen=True)
class MeanSquares:
    """Analysis of variance of a complete table of ``n`` rows and ``k`` columns.

    ``rows``, ``columns`` and ``error`` are the mean squares of the two-way table; ``within`` is
    that within rows, columns and error together.
    """

    n: int
    k: int
    rows: float
    columns: float
    error: float
    within: float


def mean_squares(table: Vector) -> MeanSquares:
    """Two-way analysis of variance of a complete table.

    Parameters
    ----------
    table : ndarray of shape (n, k), n >= 2 and k >= 2, finite
    """
    n, k = table.shape
    centred = table - table.mean()
    by_row, by_column = centred.mean(axis=1), centred.mean(axis=0)
    residual = centred - by_row[:, None] - by_column
    columns, error = n * float((by_column**2).sum()), float((residual**2).sum())
    return MeanSquares(
        n=n,
        k=k,
        rows=k * float((by_row**2).sum()) / (n - 1),
        columns=columns / (k - 1),
        error=error / ((n - 1) * (k - 1)),
        within=(columns + error) / (n * (k - 1)),
    )


def intraclass_correlations(table: Vector, confidence: float = 0.95) -> dict[str, Figure]:
    """All six intraclass correlations of a complete table.

    Parameters
    ----------
    table : ndarray of shape (n, k), any unit
        Complete: rows with a missing cell are the caller's decision (see
        :func:`features.sessions.complete_rows`).
    confidence : float, default=0.95

    Returns
    -------
    dict of form (:data:`FORMS`) to Figure; an estimate may be negative (rows differ less than
    chance would make them), and is NaN with a reason where the table is too small or does not
    vary

    Raises
    ------
    ValueError
        For a table with missing or infinite cells.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> scores = rng.normal(size=(30, 1)) + 0.5 * rng.normal(size=(30, 2))
    >>> round(intraclass_correlations(scores)["ICC(A,1)"].estimate, 2)
    0.83
    """
    if not np.isfinite(table).all():
        raise ValueError("expected a complete table, found missing or infinite cells")
    if min(table.shape) < 2:
        reason = f"{table.shape[0]} rows and {table.shape[1]} columns; at least 2 of both needed"
        return {form: unknown(reason) for form in FORMS}
    ms = mean_squares(table)
    # Rounding leaves the mean squares of equal values a few ulp from zero.
    zero = 1e-24 * max(float(np.abs(table).max()), 1e-150) ** 2
    tail = (1 - confidence) / 2
    single = {
        "ICC(1)": _ratio(ms, ms.within, zero, (ms.n * (ms.k - 1), tail), ONE_WAY),
        "ICC(A,1)": _absolute(ms, zero, tail),
        "ICC(C,1)": _ratio(ms, ms.error, zero, ((ms.n - 1) * (ms.k - 1), tail), CONSISTENCY),
    }
    return single | {
        f[:-2] + "k)" if "," in f else "ICC(1,k)": _stepped_up(v, ms.k) for f, v in single.items()
    }


def _degenerate(ms: MeanSquares, error: float, zero: float, method: str) -> Figure | None:
    if error > zero:
        return None
    if ms.rows <= zero:
        return unknown("no value differs from another", method)
    return Figure(1.0, np.nan, np.nan, method, "no error: the interval has no degrees of freedom")


def _ratio(
    ms: MeanSquares, error: float, zero: float, freedom_and_tail: tuple[int, float], method: str
) -> Figure:
    """Forms that depend on the data through one ratio of mean squares only."""
    degenerate = _degenerate(ms, error, zero, method)
    if degenerate:
        return degenerate
    freedom, tail = freedom_and_tail
    f = ms.rows / error
    low = f / stats.f.isf(tail, ms.n - 1, freedom)
    high = f * stats.f.isf(tail, freedom, ms.n - 1)
    estimate, lower, upper = ((x - 1) / (x + ms.k - 1) for x in (f, low, high))
    return Figure(float(estimate), float(lower), float(upper), method)


def _absolute(ms: MeanSquares, zero: float, tail: float) -> Figure:
    degenerate = _degenerate(ms, ms.error, zero, ABSOLUTE)
    if degenerate and ms.columns <= zero:
        return degenerate
    n, k = ms.n, ms.k
    spread = k * ms.columns + (k * n - k - n) * ms.error
    if spread + n * ms.rows <= zero:
        return unknown("no variance is left to be shared", ABSOLUTE)
    rho = n * (ms.rows - ms.error) / (spread + n * ms.rows)
    if degenerate:
        return Figure(rho, np.nan, np.nan, ABSOLUTE, degenerate.reason)
    a = k * rho / (n * (1 - rho)) * ms.columns
    b = (1 + k * rho * (n - 1) / (n * (1 - rho))) * ms.error
    freedom = (a + b) ** 2 / (a**2 / (k - 1) + b**2 / ((n - 1) * (k - 1)))
    # Far below zero hardly a degree of freedom is left: low is then infinite, and high is 0.
    low, high = stats.f.isf(tail, n - 1, freedom), stats.f.isf(tail, freedom, n - 1)
    lower = n * (ms.rows / low - ms.error) / (spread + n * ms.rows / low)
    upper = n * (high * ms.rows - ms.error) / (spread + n * high * ms.rows)
    return Figure(float(rho), float(lower), float(upper), ABSOLUTE)


def _stepped_up(single: Figure, k: int) -> Figure:
    """Form of the mean of k values: Spearman-Brown, which maps the limits exactly too."""
    lowest = min((r for r in (single.lower, single.estimate) if np.isfinite(r)), default=0.0)
    if 1 + (k - 1) * lowest <= 0:
        return unknown(
            "values of a row cancel: their mean has no variance to be shared", single.method
        )
    estimate, lower, upper = (
        k * r / (1 + (k - 1) * r) for r in (single.estimate, single.lower, single.upper)
    )
    return Figure(estimate, lower, upper, single.method, single.reason)
