"""Variance between and within persons where some have more sessions than others.

The model is that of compound symmetry: all sessions of a person correlate with ``rho``, which may
be negative. Where it is not, this is the one-way random-effects model. The likelihood depends on
the data through a few sums per number of sessions, so that a whole bootstrap is fitted at once.

References
----------
.. [Searle1992] Searle, Casella, McCulloch. Variance Components. Wiley, sections 3.8 and 6.6.
.. [Nelder1954] Nelder. The interpretation of negative components of variance. Biometrika 41:544.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.resampling import Codes
from features.spec import Vector

GRID = 80
GOLDEN_STEPS = 60
_GOLDEN = (np.sqrt(5) - 1) / 2
_EDGE = 1e-6


@dataclass(frozen=True)
class Components:
    """``between`` and ``within`` variance, one value per weighting; ``between`` may be negative."""

    between: Vector
    within: Vector

    @property
    def icc(self) -> Vector:
        """Share of the variance of one value that lies between persons."""
        total = self.between + self.within
        return np.where(total > 0, self.between / np.where(total > 0, total, 1), np.nan)


@dataclass(frozen=True)
class _Sums:
    """Sums over the rows with the same number of values; shape (n_weightings, n_sizes)."""

    size: Vector
    rows: Vector
    means: Vector
    squares: Vector
    within: Vector


def fit_one_way(table: Vector, person: Codes, draws: Vector) -> Components:
    """Fit by restricted maximum likelihood.

    Parameters
    ----------
    table : ndarray of shape (n_rows, k), NaN where a session is missing
        A row is a person (or a person and an exercise); rows without a value are ignored.
    person : ndarray of shape (n_rows,), int
    draws : ndarray of shape (n_weightings, n_persons)
        How often each person counts, see :func:`features.resampling.draw_persons`.

    Returns
    -------
    Components, each of shape (n_weightings,)
        NaN where no row has two values, or there is only one row.
    """
    sums = _sums(table, person, draws)
    scale = (sums.within.sum(axis=1) > 0) & (sums.rows.sum(axis=1) > 1)
    largest = float(sums.size.max(initial=0))
    n_values = (sums.rows * sums.size).sum(axis=1)
    if largest < 2:
        nothing = np.full(len(draws), np.nan)
        return Components(nothing, nothing.copy())
    low, high = -1 / (largest - 1) + _EDGE, 1 - _EDGE
    rho = _minimise(lambda r: _deviance(r, sums, n_values), low, high, len(draws))
    variance = _quadratic(rho, sums)[0] / np.where(n_values > 1, n_values - 1, np.nan)
    within = np.where(scale, variance, np.nan)
    # In units of the variance within, that between is rho / (1 - rho).
    return Components(within * rho / (1 - rho), within)


def _sums(table: Vector, person: Codes, draws: Vector) -> _Sums:
    known = np.isfinite(table)
    count = known.sum(axis=1)
    kept = count > 0
    table, known, count, person = table[kept], known[kept], count[kept], person[kept]
    centred = table - np.nanmean(table) if len(table) else table
    mean = np.where(known, centred, 0).sum(axis=1) / count
    within = (np.where(known, centred - mean[:, None], 0) ** 2).sum(axis=1)
    size, of_size = np.unique(count, return_inverse=True)

    def total(of_row: Vector) -> Vector:
        per_person = np.zeros((draws.shape[1], len(size)))
        np.add.at(per_person, (person, of_size), of_row)
        summed: Vector = draws @ per_person
        return summed

    rows = total(np.ones(len(count)))
    return _Sums(size.astype(np.float64), rows, total(mean), total(mean**2), total(within))


def _quadratic(rho: Vector, sums: _Sums) -> tuple[Vector, Vector, Vector]:
    """Residual sum of squares, row variances and information on the mean at ``rho``."""
    ratio = (rho / (1 - rho))[:, None]
    row_variance = 1 + sums.size * ratio
    precision = sums.size / row_variance
    information = (precision * sums.rows).sum(axis=1)
    with np.errstate(invalid="ignore"):  # a resample without a single value has no mean
        mean = (precision * sums.means).sum(axis=1) / information
    spread = sums.squares - 2 * mean[:, None] * sums.means + mean[:, None] ** 2 * sums.rows
    total = sums.within.sum(axis=1) + (precision * spread).sum(axis=1)
    return total, row_variance, information


def _deviance(rho: Vector, sums: _Sums, n_values: Vector) -> Vector:
    total, row_variance, information = _quadratic(rho, sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        fit: Vector = (n_values - 1) * np.log(total) + np.log(information)
    deviance: Vector = fit + (sums.rows * np.log(row_variance)).sum(axis=1)
    return deviance


def _minimise(function: Callable[[Vector], Vector], low: float, high: float, n: int) -> Vector:
    """Minimise n functions of one variable at once: a grid, then golden sections."""
    grid = np.linspace(low, high, GRID)
    values = np.stack([function(np.full(n, g)) for g in grid], axis=1)
    best = np.argmin(values, axis=1)
    left, right = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, GRID - 1)]
    for _ in range(GOLDEN_STEPS):
        inner_left = right - _GOLDEN * (right - left)
        inner_right = left + _GOLDEN * (right - left)
        go_left = function(inner_left) < function(inner_right)
        left, right = np.where(go_left, left, inner_left), np.where(go_left, inner_right, right)
    middle: Vector = (left + right) / 2
    return middle
