"""Locally weighted regression, as a linear map of the outcomes that can be reweighted.

Without robustness iterations the smooth is linear in the outcomes; its neighbourhoods depend on
the risks alone. A bootstrap then needs no new neighbourhoods: resampled rows count as often as
they were drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.judged import BLOCK_SIZE, Index, Matrix, Vector

SPAN = 2 / 3
# Points closer than this share of the range to a fitted one are interpolated: the default of R's
# lowess, which the rms package relies on.
DELTA = 0.01
# Of Cleveland's published routine: weights are 1 this close to the centre and 0 this close to
# the edge of the neighbourhood (shares of its width), and a neighbourhood this narrow (a share
# of the range) has no slope.
INNER, OUTER, NARROW = 0.001, 0.999, 0.001


@dataclass(frozen=True)
class Lowess:
    """The smooth of outcomes on risks, ready for any outcomes and weights.

    Attributes
    ----------
    risk : ndarray of shape (n_rows,)
    at : ndarray of shape (n_anchors,), ascending
        Risks at which a line is fitted; between them the smooth is interpolated.
    width : ndarray of shape (n_anchors,)
        Reach of each anchor's neighbourhood: rows within it have tricube weights.
    narrow : float
        Spread of a neighbourhood up to which its mean is used instead of a line.

    References
    ----------
    .. [Cleveland1979] Cleveland. Robust locally weighted regression and smoothing scatterplots.
       J Am Stat Assoc 74:829.
    .. [Cleveland1981] Cleveland. LOWESS: a program for smoothing scatterplots by robust locally
       weighted regression. Am Stat 35:54.
    """

    risk: Vector
    at: Vector
    width: Vector
    narrow: float

    def smooth(self, y: Vector, weights: Matrix) -> Matrix:
        """Fitted values at the anchors, per weighting.

        Parameters
        ----------
        y : ndarray of shape (n_rows,)
        weights : ndarray of shape (n_weightings, n_rows), >= 0

        Returns
        -------
        ndarray of shape (n_weightings, n_anchors), NaN where no neighbour is drawn
        """
        # Anchors are taken a few at a time: rows times anchors would not fit for many rows.
        size = max(1, BLOCK_SIZE // len(self.risk))
        starts = range(0, len(self.at), size)
        return np.hstack([self._lines(slice(i, i + size), y, weights) for i in starts])

    def _lines(self, anchors: slice, y: Vector, weights: Matrix) -> Matrix:
        """Value of each anchor's weighted line at the anchor."""
        offset = self.risk[:, None] - self.at[anchors]
        kernel = _tricube(np.abs(offset), self.width[anchors])
        moment = kernel * offset
        total = weights @ kernel
        total = np.where(total > 0, total, np.nan)
        mean_x = (weights @ moment) / total
        spread = (weights @ (moment * offset)) / total - mean_x**2
        mean_y = (weights @ (kernel * y[:, None])) / total
        product = (weights @ (moment * y[:, None])) / total - mean_x * mean_y
        wide = spread > self.narrow**2
        slope = np.where(wide, product / np.where(wide, spread, 1.0), 0.0)
        fitted: Matrix = mean_y - slope * mean_x
        return fitted

    def at_risks(self, fitted: Matrix, risk: Vector) -> Matrix:
        """Interpolate fitted values to risks: NaN outside the risks that were smoothed."""
        right = np.clip(np.searchsorted(self.at, risk), 1, max(1, len(self.at) - 1))
        if len(self.at) == 1:
            values = np.repeat(fitted, len(risk), axis=1)
        else:
            share = (risk - self.at[right - 1]) / (self.at[right] - self.at[right - 1])
            values = fitted[:, right - 1] * (1 - share) + fitted[:, right] * share
        values[:, (risk < self.at[0]) | (risk > self.at[-1])] = np.nan
        return values


def make_lowess(risk: Vector, span: float = SPAN) -> Lowess:
    """Prepare the smooth on these risks, without robustness iterations.

    Parameters
    ----------
    risk : ndarray of shape (n_rows,), finite
    span : float in (0, 1], default=2/3
        Share of the rows in a neighbourhood.
    """
    x = np.sort(risk)
    n = len(x)
    size = max(min(2, n), min(n, int(span * n + 1e-7)))
    at = x[_anchors(x, DELTA * (x[-1] - x[0]))]
    # The window of ``size`` rows moves right while that brings its farther end closer; the row
    # it leaves behind is then farther than its width, so that the width alone defines it.
    left = np.searchsorted(x[: n - size] + x[size:], 2 * at, side="left")
    width = np.maximum(at - x[left], x[left + size - 1] - at)
    return Lowess(risk, at, width, NARROW * float(x[-1] - x[0]))


def _anchors(x: Vector, delta: float) -> Index:
    """Positions of the sorted risks at which a line is fitted, one for each distinct risk."""
    chosen = [0]
    last, n = 0, len(x)
    while True:
        last = int(np.searchsorted(x, x[last], side="right")) - 1
        if last >= n - 1:
            return np.array(chosen, dtype=np.int64)
        # The farthest row within reach, or else the next one.
        reach = int(np.searchsorted(x, x[last] + delta, side="right")) - 1
        last = max(last + 1, reach)
        chosen.append(last)


def _tricube(distance: Matrix, width: Vector) -> Matrix:
    scaled = distance / np.where(width > 0, width, 1.0)
    weight = np.where(distance <= INNER * width, 1.0, (1 - np.minimum(scaled, 1.0) ** 3) ** 3)
    return np.where(distance <= OUTER * width, weight, 0.0)
