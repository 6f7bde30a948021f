"""Many candidates, one sample: p values that count how many were tried."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


def holm(p_values: Vector) -> Vector:
    """Adjust p values so that one false finding in the whole panel is unlikely [Holm1979]_.

    NaN stays NaN and does not count as tried.

    References
    ----------
    .. [Holm1979] Holm. A simple sequentially rejective multiple test procedure. Scand J Stat 6:65.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(4).tolist()
    [0.03, 0.06, 0.06]
    """

    def adjust(ordered: Vector) -> Vector:
        factors = np.arange(len(ordered), 0, -1)
        return np.asarray(np.maximum.accumulate(ordered * factors))

    return _adjusted(p_values, adjust)


def benjamini_hochberg(p_values: Vector) -> Vector:
    """Adjust p values to the share of false findings among those called [Benjamini1995]_.

    NaN stays NaN and does not count as tried.

    References
    ----------
    .. [Benjamini1995] Benjamini, Hochberg. Controlling the false discovery rate. JRSS B 57:289.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(4).tolist()
    [0.03, 0.04, 0.04]
    """

    def adjust(ordered: Vector) -> Vector:
        factors = len(ordered) / np.arange(1, len(ordered) + 1)
        return np.asarray(np.minimum.accumulate((ordered * factors)[::-1])[::-1])

    return _adjusted(p_values, adjust)


def _adjusted(p_values: Vector, adjust: Callable[[Vector], Vector]) -> Vector:
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    result = np.full(len(p_values), np.nan)
    result[order] = np.minimum(adjust(p_values[order]), 1.0)
    return result
