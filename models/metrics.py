"""Performance of predicted risks, with intervals that resample persons, never rows.

A metric that cannot be computed is NaN and carries a reason; it is never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.calibration import calibration_in_the_large, logit, recalibrate

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
# A predicted probability of exactly 0 or 1 would make the tuning loss infinite; this is the
# resolution of the float32 probabilities that boosted trees return.
CLIP = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, how it was got, and why it is NaN if it is."""

    estimate: float
    lower: float
    upper: float
    method: str
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict."""
        return asdict(self)


@dataclass(frozen=True)
class Judged:
    """What predictions are judged against.

    Attributes
    ----------
    y : ndarray of shape (n_rows,), 0/1
    person : ndarray of shape (n_rows,), int
        Number of each row's person, 0 ... n_persons - 1.
    block : ndarray of shape (n_repeats, n_rows), int
        Fold in which each row was predicted. Discrimination compares rows of one fold only:
        risks of different folds come from different models, and pooling them biases the AUC
        of weak models below 0.5. [Forman2010]_ All zeros for a single model's predictions.

    References
    ----------
    .. [Forman2010] Forman, Scholz. Apples-to-apples in cross-validation studies. SIGKDD
       Explorations 12(1):49.
    """

    y: Vector
    person: npt.NDArray[np.int64]
    block: npt.NDArray[np.int64]

    @property
    def n_persons(self) -> int:
        """Return the number of persons."""
        return int(self.person.max()) + 1


def auc(judged: Judged, risk: Vector, weights: Matrix, block: npt.NDArray[np.int64]) -> Vector:
    """Weighted area under the ROC curve over pairs of the same block; ties count one half.

    Parameters
    ----------
    judged : Judged
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
        order = rows[np.argsort(risk[rows], kind="stable")]
        starts = np.flatnonzero(np.diff(risk[order], prepend=np.nan) != 0)
        sorted_weights = weights[:, order]
        events = np.add.reduceat(sorted_weights * judged.y[order], starts, axis=1)
        others = np.add.reduceat(sorted_weights * (1 - judged.y[order]), starts, axis=1)
        below = np.cumsum(others, axis=1) - others
        won += (events * (below + 0.5 * others)).sum(axis=1)
        pairs += events.sum(axis=1) * others.sum(axis=1)
    return np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1.0), np.nan)


def _mean(per_row: Vector, weights: Matrix) -> Vector:
    # An infinite loss times a weight of zero would be NaN: leave such rows out explicitly.
    if np.isinf(per_row).any():
        infinite = weights[:, np.isinf(per_row)].sum(axis=1) > 0
        finite = weights @ np.where(np.isinf(per_row), 0.0, per_row)
        total: Vector = np.where(infinite, np.inf, finite) / weights.sum(axis=1)
        return total
    mean: Vector = (weights @ per_row) / weights.sum(axis=1)
    return mean


def log_loss_per_row(y: Vector, risk: Vector, clip: float = 0.0) -> Vector:
    """Minus the log of the probability given to what happened; infinite for a certain error.

    Examples
    --------
    >>> log_loss_per_row(np.array([1.0, 0.0]), np.array([0.5, 0.5])).round(3)
    array([0.693, 0.693])
    """
    bounded = np.clip(risk, clip, 1.0 - clip)
    with np.errstate(divide="ignore"):
        return -np.log(np.where(y == 1, bounded, 1.0 - bounded))


def brier(judged: Judged, risk: Vector, weights: Matrix) -> Vector:
    """Mean squared difference of risk and outcome, per weighting."""
    return _mean((risk - judged.y) ** 2, weights)


def log_loss(judged: Judged, risk: Vector, weights: Matrix) -> Vector:
    """Mean log loss, per weighting; infinite where a certain prediction was wrong."""
    return _mean(log_loss_per_row(judged.y, risk), weights)


def calibration(
    judged: Judged, risk: Vector, weights: Matrix, block: npt.NDArray[np.int64]
) -> dict[str, Vector]:
    """Calibration in the large, intercept and slope, per weighting.

    NaN where a risk is exactly 0 or 1 (its log-odds are infinite). A model that gives everybody
    of a fold the same risk has no slope: what varies between folds is only the events that
    happened to be left for training.
    """
    names = ("in_the_large", "intercept", "slope")
    if ((risk <= 0) | (risk >= 1)).any():
        return {name: np.full(len(weights), np.nan) for name in names}
    log_odds = logit(risk)
    intercept, slope = recalibrate(judged.y, log_odds, weights)
    if all(np.ptp(risk[block == b]) < 1e-12 for b in np.unique(block)):
        intercept, slope = np.full_like(intercept, np.nan), np.full_like(slope, np.nan)
    large = calibration_in_the_large(judged.y, log_odds, weights)
    return dict(zip(names, (large, intercept, slope), strict=True))


def all_metrics(judged: Judged, risks: Matrix, weights: Matrix) -> dict[str, Vector]:
    """Every metric per weighting, each the mean over the repeats of its value per repeat.

    Repeats are not averaged before judging: the mean of several models is a better model than
    the one that will be used.

    Parameters
    ----------
    judged : Judged
    risks : ndarray of shape (n_repeats, n_rows)
    weights : ndarray of shape (n_weightings, n_rows)
    """
    per_repeat = [
        {
            "auc": auc(judged, risk, weights, block),
            "brier": brier(judged, risk, weights),
            "log_loss": log_loss(judged, risk, weights),
            **calibration(judged, risk, weights, block),
        }
        for risk, block in zip(risks, judged.block, strict=True)
    ]
    return {name: np.mean([r[name] for r in per_repeat], axis=0) for name in per_repeat[0]}


def bootstrap_weights(judged: Judged, n_resamples: int, seed: int) -> Matrix:
    """How often each row is drawn when persons are drawn with replacement.

    Returns
    -------
    ndarray of shape (1 + n_resamples, n_rows); the first row is the data as they are
    """
    rng = np.random.default_rng(seed)
    n = judged.n_persons
    counts = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)
    drawn = counts[:, judged.person].astype(np.float64)
    return np.vstack([np.ones((1, len(judged.y))), drawn])


def with_interval(values: Vector, reason: str) -> Estimate:
    """Summarise a metric's values: the first is the estimate, the rest its bootstrap."""
    estimate, resampled = float(values[0]), values[1:]
    usable = resampled[np.isfinite(resampled)]
    method = f"person-cluster bootstrap, percentile, {len(usable)} of {len(resampled)} resamples"
    if not np.isfinite(estimate):
        return Estimate(np.nan, np.nan, np.nan, method, reason)
    if len(usable) < max(20, 0.5 * len(resampled)):
        return Estimate(estimate, np.nan, np.nan, method, "too few resamples can be computed")
    lower, upper = np.quantile(usable, [0.025, 0.975])
    return Estimate(estimate, float(lower), float(upper), method)


def _reason(judged: Judged, risks: Matrix, name: str) -> str:
    certain = ((risks <= 0) | (risks >= 1)).any()
    if name == "log_loss" and certain:
        return "a risk of exactly 0 or 1 was predicted and did not happen"
    if judged.y.min() == judged.y.max():
        return "only one class was observed"
    if name in ("in_the_large", "intercept", "slope") and certain:
        return "a risk of exactly 0 or 1 was predicted"
    if name in ("intercept", "slope"):
        return "no finite maximum: the risks are constant or separate the classes"
    return "no fold holds both classes"


def resample_metrics(
    judged: Judged, risks: Mapping[str, Matrix], *, n_resamples: int, seed: int
) -> dict[str, dict[str, Vector]]:
    """Every metric of every model, on the data and on each resample of its persons.

    All models see the same resamples, so that differences of their values are paired.

    Parameters
    ----------
    judged : Judged
    risks : mapping of model name to ndarray of shape (n_repeats, n_rows)
    n_resamples : int
    seed : int

    Returns
    -------
    dict of model name to dict of metric name to ndarray of shape (1 + n_resamples,)
    """
    weights = bootstrap_weights(judged, n_resamples, seed)
    return {model: all_metrics(judged, r, weights) for model, r in risks.items()}


def estimates(judged: Judged, risks: Matrix, values: Mapping[str, Vector]) -> dict[str, Estimate]:
    """Summarise one model's :func:`resample_metrics`; ``risks`` tell why one cannot be computed."""
    return {name: with_interval(v, _reason(judged, risks, name)) for name, v in values.items()}


def differences(
    values: Mapping[str, Vector], reference: Mapping[str, Vector]
) -> dict[str, Estimate]:
    """Paired differences of two models' :func:`resample_metrics`, first minus reference.

    Only discrimination and overall performance: a difference of slopes says little.
    """
    reason = "one of the two cannot be computed"
    with np.errstate(invalid="ignore"):  # infinite minus infinite is unknown, and said to be
        return {
            name: with_interval(values[name] - reference[name], reason)
            for name in ("auc", "brier", "log_loss")
        }
