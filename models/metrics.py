"""Performance of predicted risks, with intervals that resample persons, never rows.

A metric that cannot be computed is NaN and carries a reason; it is never 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.calibration import (
    calibration_errors,
    calibration_in_the_large,
    logit,
    observed_to_expected,
    recalibrate,
)
from models.discrimination import (
    Interval,
    auc,
    auc_difference,
    auc_interval,
    average_precision,
    choose_interval,
    why_not,
)
from models.estimate import (
    BOOTSTRAP,
    CROSS_VALIDATED,
    Estimate,
    Reason,
    bootstrap_p_value,
    with_interval,
)
from models.judged import Index, Judged, bootstrap_weights, weight_blocks
from models.lowess import Lowess, make_lowess
from models.threads import one_thread

__all__ = [
    "CLIP",
    "Estimate",
    "Judged",
    "Part",
    "all_metrics",
    "auc",
    "auc_versus",
    "auc_with_interval",
    "bootstrap_name",
    "bootstrap_weights",
    "brier",
    "calibration",
    "differences",
    "estimates",
    "log_loss",
    "log_loss_per_row",
    "metrics_of",
    "prepare",
    "resample",
    "resample_metrics",
    "with_interval",
]

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
# A predicted probability of exactly 0 or 1 would make the tuning loss infinite; this is the
# resolution of the float32 probabilities that boosted trees return.
CLIP = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Part:
    """One repeat of one model's predictions: only the rows it judges.

    Attributes
    ----------
    judged : Judged
        ``y`` of shape (n_judged,), ``block`` of shape (1, n_judged).
    risk : ndarray of shape (n_judged,)
    rows : ndarray of shape (n_judged,), int
        Positions of the rows among those of all repeats.
    smooth : Lowess
        Of the risks.
    repeat : int
        Which one it is.
    """

    judged: Judged
    risk: Vector
    rows: Index
    smooth: Lowess
    repeat: int = 0

    def weights(self, weights: Matrix) -> Matrix:
        """Return the weights of the part's rows."""
        return weights if len(self.rows) == weights.shape[1] else weights[:, self.rows]


def prepare(judged: Judged, risks: Matrix) -> list[Part]:
    """Divide predictions into their repeats.

    Parameters
    ----------
    judged : Judged
    risks : ndarray of shape (n_repeats, n_rows)
    """
    return [
        Part(part, risk[rows], rows, make_lowess(risk[rows]), repeat)
        for repeat, ((part, rows), risk) in enumerate(zip(judged.repeats(), risks, strict=True))
    ]


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


def _against_no_model(
    judged: Judged, weights: Matrix, own: Mapping[str, Vector]
) -> dict[str, Vector]:
    """Brier score and log loss as shares of what the event rate alone would score.

    Scaled Brier: 1 - Brier / (rate * (1 - rate)). R² of Nagelkerke [Nagelkerke1991]_ of the
    risks as they are, not refitted: it can be negative. NaN where one class is drawn.

    References
    ----------
    .. [Nagelkerke1991] Nagelkerke. A note on a general definition of the coefficient of
       determination. Biometrika 78:691.
    """
    rate = (weights @ judged.y) / weights.sum(axis=1)
    both = (rate > 0) & (rate < 1)
    rate = np.where(both, rate, 0.5)
    null_loss = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
    with np.errstate(over="ignore"):
        r2 = (1 - np.exp(2 * (own["log_loss"] - null_loss))) / (1 - np.exp(-2 * null_loss))
    scaled = 1 - own["brier"] / (rate * (1 - rate))
    return {
        "brier_scaled": np.where(both, scaled, np.nan),
        "r2_nagelkerke": np.where(both, r2, np.nan),
    }


def calibration(judged: Judged, risk: Vector, weights: Matrix, block: Index) -> dict[str, Vector]:
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


def metrics_of(part: Part, weights: Matrix, fitted: Matrix | None = None) -> dict[str, Vector]:
    """Every metric of one repeat, per weighting of all rows.

    ``fitted`` is the part's smooth under these weights, where it is known already.
    """
    judged, risk, block = part.judged, part.risk, part.judged.block[0]
    weights = part.weights(weights)
    if fitted is None:
        fitted = part.smooth.smooth(judged.y, weights)
    losses = {
        "brier": brier(judged, risk, weights),
        "log_loss": log_loss(judged, risk, weights),
    }
    return {
        "auc": auc(judged, risk, weights, block),
        "average_precision": average_precision(judged, risk, weights),
        **losses,
        **_against_no_model(judged, weights, losses),
        **calibration(judged, risk, weights, block),
        "oe_ratio": observed_to_expected(judged.y, risk, weights),
        **calibration_errors(risk, weights, part.smooth.at_risks(fitted, risk)),
    }


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
    return _mean_over_repeats(prepare(judged, risks), weights, metrics_of)


Measure = Callable[[Part, Matrix], dict[str, npt.NDArray[np.float64]]]


def _mean_over_repeats(
    parts: list[Part], weights: Matrix, measure: Measure
) -> dict[str, npt.NDArray[np.float64]]:
    # A resample may leave a repeat without a judged row: its means are then NaN, as they should.
    with np.errstate(invalid="ignore", divide="ignore"):
        found = [measure(part, weights) for part in parts]
        return {name: np.mean([f[name] for f in found], axis=0) for name in found[0]}


def resample(
    judged: Judged, risks: Matrix, measure: Measure, *, n_resamples: int, seed: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Any measures of one model on the data and on each resample of its persons.

    Each resample draws persons, and is measured on one of the repeats, moved to their mean:
    repeats judge the same persons, so that their mean varies hardly less between studies than
    one of them does. Under cross-validation the deviations from the median are then widened
    (:func:`widen`).

    Parameters
    ----------
    judged : Judged
    risks : ndarray of shape (n_repeats, n_rows)
    measure : callable
        Takes a :class:`Part` and weights of shape (n_weightings, n_rows); returns a dict of
        arrays whose first axis is the weightings.
    n_resamples : int
    seed : int

    Returns
    -------
    dict of measure name to ndarray of shape (1 + n_resamples, ...); the first is the estimate
    """
    parts = prepare(judged, risks)
    own = [measure(part, np.ones((1, len(judged.person)))) for part in parts]
    estimate = {name: np.mean([f[name] for f in own], axis=0) for name in own[0]}
    found: dict[str, list[npt.NDArray[np.float64]]] = {name: [v] for name, v in estimate.items()}
    quiet = np.errstate(invalid="ignore", divide="ignore")  # infinite losses, classes not drawn
    with one_thread(), quiet:
        for weights, repeat in _draws(judged, n_resamples, seed):
            for name, values in measure(parts[repeat], weights).items():
                found[name].append(values - own[repeat][name] + estimate[name])
        spread = {name: np.concatenate(v) for name, v in found.items()}
        if judged.cross_validated():
            spread = {name: widen(v) for name, v in spread.items()}
    return spread


def _draws(judged: Judged, n_resamples: int, seed: int) -> Iterator[tuple[Matrix, int]]:
    """Yield blocks of the resamples' weights with the repeat that each is measured on."""
    as_they_are = 1  # the first row of the first block
    for block in weight_blocks(judged, n_resamples, seed):
        for repeat in range(judged.n_repeats):
            if len(drawn := block[as_they_are + repeat :: judged.n_repeats]):
                yield drawn, repeat
        as_they_are = 0


def widen(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Double the variance of the resamples about their median; the estimate stays.

    A resample weighs the persons who are judged and leaves the fold's models as they are. But
    every person also trained the models that judge the others: of a pair of persons, each is
    judged by what the other taught, and resampling sees only one of the two ways. Where the
    predictors carry nothing, the estimate is a degenerate U-statistic, a sum over pairs, and its
    variance is twice what the resamples show; where models hardly depend on who trained them, it
    is less than twice. Doubling is also the limit, for many folds, of the corrected variance
    (1/J + n_test/n_train) S² [Nadeau2003]_; [Bates2024]_ show how far intervals without such a
    correction fall short.

    References
    ----------
    .. [Nadeau2003] Nadeau, Bengio. Inference for the generalization error. Machine Learning
       52:239.
    .. [Bates2024] Bates, Hastie, Tibshirani. Cross-validation: what does it estimate and how
       well does it do it? J Am Stat Assoc 119:1434.
    """
    drawn = np.where(np.isfinite(values[1:]), values[1:], np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a figure that no resample could give
        centre = np.nanmedian(drawn, axis=0)
    return np.concatenate([values[:1], centre + np.sqrt(2.0) * (values[1:] - centre)])


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
    return {
        model: resample(judged, r, metrics_of, n_resamples=n_resamples, seed=seed)
        for model, r in risks.items()
    }


def _classes(judged: Judged) -> Iterator[int]:
    for part, _ in judged.repeats():
        yield len(np.unique(part.y))


def _reason(judged: Judged, risks: Matrix, name: str) -> Reason:
    certain = ((risks <= 0) | (risks >= 1)).any()
    if name in ("log_loss", "r2_nagelkerke") and certain and max(_classes(judged)) > 1:
        return Reason.CERTAIN_ERROR
    if name == "log_loss":
        return Reason.CERTAIN_ERROR
    if name == "oe_ratio":
        return Reason.NOTHING_EXPECTED
    if min(_classes(judged)) < 2:
        return Reason.ONE_CLASS
    if name in ("in_the_large", "intercept", "slope") and certain:
        return Reason.CERTAIN_RISK
    if name in ("intercept", "slope"):
        return Reason.NO_MAXIMUM
    return Reason.NO_FOLD_OF_BOTH_CLASSES if name == "auc" else Reason.NOT_COMPUTABLE


def estimates(judged: Judged, risks: Matrix, values: Mapping[str, Vector]) -> dict[str, Estimate]:
    """Summarise one model's :func:`resample_metrics`; ``risks`` tell why one cannot be computed."""
    return {
        name: with_interval(
            np.clip(v, *_range(name)), _reason(judged, risks, name), bootstrap_name(judged)
        )
        for name, v in values.items()
    }


def _range(name: str) -> tuple[float, float]:
    """Return the values a metric can take; widened resamples may leave them."""
    if name in ("auc", "average_precision", "brier", "ici", "e50", "e90", "emax"):
        return 0.0, 1.0
    if name in ("brier_scaled", "r2_nagelkerke"):
        return -np.inf, 1.0
    return (0.0, np.inf) if name in ("log_loss", "oe_ratio") else (-np.inf, np.inf)


def bootstrap_name(judged: Judged) -> str:
    """Return what :func:`resample` did to these data, for the method of an interval."""
    return CROSS_VALIDATED if judged.cross_validated() else BOOTSTRAP


def auc_with_interval(
    judged: Judged, risks: Matrix, values: Mapping[str, Vector], interval: Interval = "auto"
) -> Estimate:
    """AUC of one model with the interval asked for, by default the honest one for these data.

    A closed form that does not hold here is NaN with the reason; the estimate stays.

    Parameters
    ----------
    judged : Judged
    risks : ndarray of shape (n_repeats, n_rows)
    values : mapping
        The model's :func:`resample_metrics`.
    interval : {'auto', 'delong', 'clustered', 'bootstrap'}, default='auto'
        See :func:`models.discrimination.choose_interval`.
    """
    chosen = choose_interval(judged, interval)
    resampled = estimates(judged, risks, {"auc": values["auc"]})["auc"]
    if chosen == "bootstrap" or np.isnan(resampled.estimate):
        return resampled
    if refused := why_not(judged, chosen):
        return Estimate(resampled.estimate, np.nan, np.nan, chosen, refused)
    return auc_interval(judged, risks[0], chosen)


def auc_versus(
    judged: Judged,
    risks: tuple[Matrix, Matrix],
    values: tuple[Mapping[str, Vector], Mapping[str, Vector]],
    interval: Interval = "auto",
) -> Estimate:
    """Difference of two models' AUC on the same people, with interval and p value.

    Parameters
    ----------
    judged : Judged
    risks : pair of ndarray of shape (n_repeats, n_rows)
    values : pair of mappings
        The models' :func:`resample_metrics`.
    interval : {'auto', 'delong', 'clustered', 'bootstrap'}, default='auto'
    """
    chosen = choose_interval(judged, interval)
    resampled = differences(*values, bootstrap_name(judged))["auc"]
    if chosen == "bootstrap" or np.isnan(resampled.estimate):
        return resampled
    if refused := why_not(judged, chosen):
        return Estimate(resampled.estimate, np.nan, np.nan, chosen, refused, np.nan)
    return auc_difference(judged, risks[0][0], risks[1][0], chosen)


def differences(
    values: Mapping[str, Vector], reference: Mapping[str, Vector], name: str = BOOTSTRAP
) -> dict[str, Estimate]:
    """Paired differences of two models' :func:`resample_metrics`, first minus reference.

    Only discrimination and overall performance: a difference of slopes says little.
    """
    with np.errstate(invalid="ignore"):  # infinite minus infinite is unknown, and said to be
        paired = {n: values[n] - reference[n] for n in ("auc", "brier", "log_loss")}
    return {
        n: replace(with_interval(v, Reason.ONE_OF_TWO, name), p_value=bootstrap_p_value(v))
        for n, v in paired.items()
    }
