"""Discrimination: AUC and average precision, and the closed-form variances of the AUC.

DeLong's variance holds for one row per person; Obuchowski's for rows that repeat within persons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from models.estimate import Estimate, Reason, unknown
from models.judged import Index, Judged, Matrix, Vector

Interval = Literal["auto", "delong", "clustered", "bootstrap"]
DELONG = "DeLong"
CLUSTERED = "clustered by person (Obuchowski 1997)"


def auc(judged: Judged, risk: Vector, weights: Matrix, block: Index) -> Vector:
    """Weighted area under the ROC curve over pairs of the same block; ties count one half.

    Parameters
    ----------
    judged : Judged
        Of one repeat: ``y`` of shape (n_rows,), without NaN.
    risk : ndarray of shape (n_rows,)
    weights : ndarray of shape (n_weightings, n_rows)
    block : ndarray of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_weightings,), NaN where no block holds both classes
    """
    won = np.zeros(len(weights))
    pairs = np.zeros(len(weights))
    for name in np.unique(block):
        rows = np.flatnonzero(block == name)
        events, others = _by_value(judged.y, risk, weights, rows)
        below = np.cumsum(others, axis=1) - others
        won += (events * (below + 0.5 * others)).sum(axis=1)
        pairs += events.sum(axis=1) * others.sum(axis=1)
    return np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1.0), np.nan)


def _by_value(y: Vector, risk: Vector, weights: Matrix, rows: Index) -> tuple[Matrix, Matrix]:
    """Weights of events and of others at each distinct risk of ``rows``, in ascending order."""
    order = rows[np.argsort(risk[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(risk[order], prepend=np.nan) != 0)
    sorted_weights = weights[:, order]
    of_events = sorted_weights * y[order]
    if len(starts) < len(order):
        of_events = np.add.reduceat(of_events, starts, axis=1)
        sorted_weights = np.add.reduceat(sorted_weights, starts, axis=1)
    return of_events, sorted_weights - of_events


def average_precision(judged: Judged, risk: Vector, weights: Matrix) -> Vector:
    """Precision averaged over the events, per weighting: the step sum, without interpolation.

    NaN where only one class is drawn.

    Parameters
    ----------
    judged, risk, weights
        As in :func:`auc`.
    """
    events, others = _by_value(judged.y, risk, weights, np.arange(len(risk)))
    caught = np.cumsum(events[:, ::-1], axis=1)
    flagged = caught + np.cumsum(others[:, ::-1], axis=1)
    total = caught[:, -1]
    precision = np.divide(caught, flagged, out=np.zeros_like(caught), where=flagged > 0)
    both = (total > 0) & (flagged[:, -1] > total)
    value: Vector = (events[:, ::-1] * precision).sum(axis=1) / np.where(total > 0, total, 1.0)
    return np.where(both, value, np.nan)


@dataclass(frozen=True)
class Placements:
    """Of each row, the share of the other class that it is ranked rightly against.

    The mean over the events, and over the others, is the AUC; ties count one half.

    Attributes
    ----------
    value : ndarray of shape (n_rows,)
    is_event : ndarray of shape (n_rows,), bool
    person : ndarray of shape (n_rows,), int
    """

    value: Vector
    is_event: npt.NDArray[np.bool_]
    person: Index

    @property
    def auc(self) -> float:
        """Return the AUC."""
        return float(self.value[self.is_event].mean())


def placements(y: Vector, risk: Vector, person: Index) -> Placements:
    """Place every row among those of the other class, by midranks [Sun2014]_.

    References
    ----------
    .. [Sun2014] Sun, Xu. Fast implementation of DeLong's algorithm for comparing the areas under
       correlated receiver operating characteristic curves. IEEE Signal Process Lett 21:1389.
    """
    is_event = y == 1
    overall = rankdata(risk)
    value = np.empty(len(risk))
    n_events, n_others = int(is_event.sum()), int((~is_event).sum())
    value[is_event] = (overall[is_event] - rankdata(risk[is_event])) / n_others
    value[~is_event] = 1 - (overall[~is_event] - rankdata(risk[~is_event])) / n_events
    return Placements(value, is_event, person)


def clustered_variance(placed: Placements) -> float:
    """Variance of an AUC, or of a difference of two, whose rows cluster in persons.

    Obuchowski's estimator: the components of DeLong [DeLong1988]_, summed within persons, with
    the covariance of a person's events and others [Obuchowski1997]_. With one row per person it
    is DeLong's variance. NaN with fewer than two persons of a class.

    Parameters
    ----------
    placed : Placements
        Of one model; or, for a difference, with the difference of two models' values.

    References
    ----------
    .. [DeLong1988] DeLong, DeLong, Clarke-Pearson. Comparing the areas under two or more
       correlated receiver operating characteristic curves. Biometrics 44:837.
    .. [Obuchowski1997] Obuchowski. Nonparametric analysis of clustered ROC curve data. Biometrics
       53:567.
    """
    number = np.unique(placed.person, return_inverse=True)[1]
    n_clusters = int(number.max()) + 1
    sums, rows, clusters = [], [], []
    for of_class in (placed.is_event, ~placed.is_event):
        centred = np.where(of_class, placed.value - placed.auc, 0.0)
        sums.append(np.bincount(number, weights=centred, minlength=n_clusters))
        rows.append(int(of_class.sum()))
        clusters.append(len(np.unique(number[of_class])))
    if min(clusters) < 2:
        return float("nan")
    own = sum(
        n / (n - 1) * (s**2).sum() / m**2 for s, m, n in zip(sums, rows, clusters, strict=True)
    )
    shared = n_clusters / (n_clusters - 1) * (sums[0] * sums[1]).sum() / (rows[0] * rows[1])
    return float(own + 2 * shared)


def choose_interval(judged: Judged, wanted: Interval) -> Interval:
    """Return the interval that is honest for these data where none was asked for.

    One model's predictions: DeLong's for one row per person, Obuchowski's where rows repeat.
    Predictions of several models (cross-validation) have no closed form: the bootstrap.
    """
    if wanted != "auto":
        return wanted
    if not judged.one_model():
        return "bootstrap"
    return "clustered" if judged.rows_repeat() else "delong"


def why_not(judged: Judged, interval: Interval) -> Reason | None:
    """Return why a closed form may not be used on these data, None where it may."""
    if not judged.one_model():
        return Reason.FOLDS_OR_REPEATS
    if interval == "delong" and judged.rows_repeat():
        return Reason.ROWS_REPEAT
    return None


def auc_interval(judged: Judged, risk: Vector, interval: Interval) -> Estimate:
    """AUC with the interval of its closed-form variance, within 0 to 1.

    Parameters
    ----------
    judged : Judged
        Of one model.
    risk : ndarray of shape (n_rows,)
    interval : 'delong' or 'clustered'
    """
    part, rows = next(judged.repeats())
    if len(np.unique(part.y)) < 2:
        return unknown(Reason.ONE_CLASS)
    placed = placements(part.y, risk[rows], part.person)
    found = _normal(placed.auc, placed, interval)
    return Estimate(
        found.estimate, max(found.lower, 0.0), min(found.upper, 1.0), found.method, found.reason
    )


def auc_difference(judged: Judged, risk: Vector, other: Vector, interval: Interval) -> Estimate:
    """Difference of two models' AUC on the same rows, with interval and p value.

    Two models of the same ranking differ by zero for certain: p is then 1.

    Parameters
    ----------
    judged : Judged
        Of one model each.
    risk, other : ndarray of shape (n_rows,)
    interval : 'delong' or 'clustered'
    """
    part, rows = next(judged.repeats())
    if len(np.unique(part.y)) < 2:
        return unknown(Reason.ONE_CLASS)
    first = placements(part.y, risk[rows], part.person)
    second = placements(part.y, other[rows], part.person)
    paired = Placements(first.value - second.value, first.is_event, first.person)
    if not np.abs(paired.value).max() > 0:
        return Estimate(0.0, 0.0, 0.0, _name(interval), p_value=1.0)
    found = _normal(paired.auc, paired, interval)
    z = 1.0 / _half_width(paired) * abs(paired.auc) * float(norm.ppf(0.975))
    return Estimate(
        found.estimate,
        found.lower,
        found.upper,
        found.method,
        found.reason,
        float(2 * norm.sf(z)),
    )


def _half_width(placed: Placements) -> float:
    return float(norm.ppf(0.975) * np.sqrt(clustered_variance(placed)))


def _normal(estimate: float, placed: Placements, interval: Interval) -> Estimate:
    half = _half_width(placed)
    reason = Reason.TOO_FEW_OF_A_CLASS if np.isnan(half) else Reason.NO_VARIANCE
    # Rounding leaves a variance of about 1e-34 where it is zero.
    if not half > 1e-12:
        return Estimate(estimate, np.nan, np.nan, _name(interval), reason)
    return Estimate(estimate, estimate - half, estimate + half, _name(interval))


def _name(interval: Interval) -> str:
    return DELONG if interval == "delong" else CLUSTERED
