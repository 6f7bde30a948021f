"""Restricted cubic splines: smooth inside, linear beyond the outer knots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
# Quantiles at which knots are placed, by their number ([Harrell2015]_, table 2.3).
QUANTILES = {
    3: (0.10, 0.50, 0.90),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.50, 0.725, 0.95),
}


def place_knots(values: Vector, n_knots: int) -> tuple[float, ...]:
    """Knots at fixed quantiles of the known values; none where the values are too few.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), NaN = missing
    n_knots : {3, 4, 5}

    Returns
    -------
    tuple of float, increasing; empty where quantiles coincide (0/1 columns, scores with few
    levels): such a column stays linear

    References
    ----------
    .. [Harrell2015] Regression Modeling Strategies, 2nd ed., section 2.4.6.

    Examples
    --------
    >>> place_knots(np.arange(11.0), 3)
    (1.0, 5.0, 9.0)
    >>> place_knots(np.array([0.0, 1.0, 0.0, 1.0]), 3)
    ()
    """
    known = values[~np.isnan(values)]
    if len(np.unique(known)) <= n_knots:
        return ()
    knots = np.quantile(known, QUANTILES[n_knots])
    if (np.diff(knots) <= 1e-9 * max(float(np.ptp(known)), 1e-300)).any():
        return ()
    return tuple(float(k) for k in knots)


def spline_terms(values: Vector, knots: Sequence[float]) -> Matrix:
    """Nonlinear terms of a restricted cubic spline; with the values themselves, its basis.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
    knots : sequence of n_knots floats, increasing

    Returns
    -------
    ndarray of shape (n_rows, n_knots - 2), in the unit of the values ([Harrell2015]_,
    equation 2.25, divided by the square of the outer knots' distance)

    Examples
    --------
    Zero below the first knot, linear beyond the last:

    >>> terms = spline_terms(np.array([-1.0, 0.0, 3.0, 4.0, 5.0]), (0.0, 1.0, 2.0))[:, 0]
    >>> terms[:2].tolist(), bool(abs(terms[4] - 2 * terms[3] + terms[2]) < 1e-12)
    ([0.0, 0.0], True)
    """
    *first, before_last, last = knots
    scale = (last - knots[0]) ** 2

    def cubed(at: float) -> Vector:
        return np.maximum(values - at, 0.0) ** 3

    width = last - before_last
    terms = [
        cubed(k) - cubed(before_last) * (last - k) / width + cubed(last) * (before_last - k) / width
        for k in first
    ]
    return np.column_stack(terms) / scale
