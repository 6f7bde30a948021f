"""Agreement of predicted risks with what happened: intercept, slope, O:E, the smooth curve."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
MAX_STEPS = 50
TOLERANCE = 1e-10


def logit(risk: Vector) -> Vector:
    """ln(p / (1 - p)); infinite at 0 and 1."""
    with np.errstate(divide="ignore"):
        return np.log(risk) - np.log1p(-risk)


def recalibrate(y: Vector, log_odds: Vector, weights: Matrix) -> tuple[Vector, Vector]:
    """Logistic recalibration of y on the log-odds, intercept and slope fitted together.

    Maximum likelihood by Newton's method, for many weightings of the same rows at once (the
    bootstrap). Where there is no finite maximum - one class only, log-odds that do not vary or
    that separate the classes - both are NaN.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), 0/1
    log_odds : ndarray of shape (n_rows,), finite
    weights : ndarray of shape (n_weightings, n_rows), >= 0

    Returns
    -------
    intercept, slope : ndarray of shape (n_weightings,)

    References
    ----------
    .. [Cox1958] Two further applications of a model for binary regression. Biometrika 45:562.
    """
    center = float(np.mean(log_odds))
    # In units of its own spread: steps are then of order one whatever the scale of the risks.
    spread = float(np.std(log_odds))
    if not spread > 1e-12 * max(1.0, abs(center)):
        return np.full(len(weights), np.nan), np.full(len(weights), np.nan)
    x = (log_odds - center) / spread
    total = weights.sum(axis=1)
    rate = np.clip((weights @ y) / total, 1e-9, 1 - 1e-9)
    a, b = logit(rate), np.zeros(len(weights))
    done = np.zeros(len(weights), dtype=bool)
    for _ in range(MAX_STEPS):
        step_a, step_b, ok = _newton_step(y, x, weights, a, b)
        a, b = a + np.where(ok, step_a, 0.0), b + np.where(ok, step_b, 0.0)
        done = ok & (np.abs(step_a) < TOLERANCE) & (np.abs(step_b) < TOLERANCE)
        if (done | ~ok).all():
            break
    # A slope this steep on this spread is a separation on its way to infinity.
    runaway = np.abs(b) * (np.ptp(x) if len(x) else 0.0) > 500
    bad = ~done | runaway
    slope = b / spread
    return np.where(bad, np.nan, a - slope * center), np.where(bad, np.nan, slope)


def _newton_step(
    y: Vector, x: Vector, weights: Matrix, a: Vector, b: Vector
) -> tuple[Vector, Vector, npt.NDArray[np.bool_]]:
    with np.errstate(over="ignore"):
        p = 1.0 / (1.0 + np.exp(-(a[:, None] + b[:, None] * x)))
    residual = weights * (y - p)
    curvature = weights * p * (1.0 - p)
    g0, g1 = residual.sum(axis=1), residual @ x
    h00, h01, h11 = curvature.sum(axis=1), curvature @ x, curvature @ (x * x)
    determinant = h00 * h11 - h01 * h01
    ok = determinant > 1e-12 * np.maximum(h00 * h11, 1e-300)
    safe = np.where(ok, determinant, 1.0)
    step_a = np.clip((h11 * g0 - h01 * g1) / safe, -5, 5)
    step_b = np.clip((h00 * g1 - h01 * g0) / safe, -5, 5)
    return step_a, step_b, ok


def calibration_in_the_large(y: Vector, log_odds: Vector, weights: Matrix) -> Vector:
    """Intercept of the recalibration with the slope held at 1, per weighting; NaN with one class.

    Parameters
    ----------
    y, log_odds, weights
        As in :func:`recalibrate`.
    """
    total = weights.sum(axis=1)
    rate = (weights @ y) / total
    wanted = logit(np.clip(rate, 1e-9, 1 - 1e-9))
    # The root lies between the shifts that lift the smallest and the largest risk to the rate;
    # a Newton step that leaves the bracket (risks near 0 and 1 are flat) is replaced by its half.
    low, high = wanted - log_odds.max(), wanted - log_odds.min()
    a = wanted - (weights @ log_odds) / total
    for _ in range(MAX_STEPS * 2):
        with np.errstate(over="ignore"):
            p = 1.0 / (1.0 + np.exp(-(a[:, None] + log_odds)))
        gradient = (weights * (y - p)).sum(axis=1)
        curvature = (weights * p * (1.0 - p)).sum(axis=1)
        low, high = np.where(gradient > 0, a, low), np.where(gradient < 0, a, high)
        proposed = a + gradient / np.maximum(curvature, 1e-300)
        inside = (proposed >= low) & (proposed <= high)
        step = np.where(inside, proposed, (low + high) / 2) - a
        a = a + step
        if np.nanmax(np.abs(step)) < TOLERANCE:
            break
    return np.where((rate > 0) & (rate < 1), a, np.nan)


def observed_to_expected(y: Vector, risk: Vector, weights: Matrix) -> Vector:
    """Events that happened over events that were predicted, per weighting; NaN if none were."""
    expected = weights @ risk
    return np.where(expected > 0, (weights @ y) / np.where(expected > 0, expected, 1.0), np.nan)


def calibration_errors(risk: Vector, weights: Matrix, curve: Matrix) -> dict[str, Vector]:
    """Distance of the risks from the smooth calibration curve: mean, median, 90 % and largest.

    ICI, E50, E90 and Emax [Austin2019]_ of the lowess curve, as ``val.prob`` of the R package
    rms has them (its Eavg is the ICI). In a resample the curve is that of the rows drawn, in the
    neighbourhoods of the data.

    Parameters
    ----------
    risk : ndarray of shape (n_rows,)
    weights : ndarray of shape (n_weightings, n_rows), whole numbers >= 0
    curve : ndarray of shape (n_weightings, n_rows)
        Share of events at each row's risk, from :class:`models.lowess.Lowess`.

    References
    ----------
    .. [Austin2019] Austin, Steyerberg. The Integrated Calibration Index (ICI) and related metrics
       for quantifying the calibration of logistic regression models. Stat Med 38:4051.
    """
    error = np.abs(curve - risk)
    mean = (weights * error).sum(axis=1) / weights.sum(axis=1)
    half, most, largest = _drawn_quantiles(error, weights, (0.5, 0.9, 1.0))
    return {"ici": mean, "e50": half, "e90": most, "emax": largest}


def _drawn_quantiles(values: Matrix, weights: Matrix, shares: tuple[float, ...]) -> list[Vector]:
    """Quantiles of each row's values, each counted as often as drawn (type 7 of R, numpy's own)."""
    order = np.argsort(values, axis=1)
    ranked = np.take_along_axis(values, order, axis=1)
    reached = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    found = []
    for share in shares:
        place = (reached[:, -1] - 1) * share
        below = np.floor(place)
        low, high = (
            np.take_along_axis(ranked, _position(reached, at)[:, None], axis=1)[:, 0]
            for at in (below, np.minimum(below + 1, reached[:, -1] - 1))
        )
        found.append(low + (place - below) * (high - low))
    return found


def _position(reached: Matrix, at: Vector) -> npt.NDArray[np.intp]:
    """First position whose cumulative count exceeds ``at``, per row of ``reached``."""
    return np.asarray((reached <= at[:, None]).sum(axis=1), dtype=np.intp)
