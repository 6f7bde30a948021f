"""Everything that is said of a model's predictions, from one pass over the persons' resamples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.decision import (
    CLASSIFICATION,
    classification,
    interventions_avoided,
    net_benefit,
    threshold_of_harm_ratio,
    thresholds_within_folds,
)
from models.discrimination import Interval
from models.estimate import Estimate, Reason, with_interval
from models.judged import Judged, Matrix, Vector
from models.metrics import (
    Part,
    auc_with_interval,
    bootstrap_name,
    estimates,
    metrics_of,
    resample,
)

GRID_POINTS = 41
NO_REASON: Mapping[str, Reason] = {
    "sensitivity": Reason.ONE_CLASS,
    "specificity": Reason.ONE_CLASS,
    "ppv": Reason.NOBODY_FLAGGED,
    "npv": Reason.EVERYBODY_FLAGGED,
}


@dataclass(frozen=True)
class Settings:
    """How predictions are judged.

    Attributes
    ----------
    n_resamples, seed : int
        Of the bootstrap over persons.
    thresholds : tuple of float, in (0, 1)
        At which net benefit is reported; declared before looking.
    harm_ratio : float or None
        Gives the threshold of the classification; None: chosen within the folds.
    interval : {'auto', 'delong', 'clustered', 'bootstrap'}
        Of the AUC.
    """

    n_resamples: int
    seed: int
    thresholds: tuple[float, ...] = ()
    harm_ratio: float | None = None
    interval: Interval = "auto"


@dataclass(frozen=True)
class Judgement:
    """One model's figures on the data (first) and on each resample of its persons.

    Attributes
    ----------
    judged : Judged
    risks : ndarray of shape (n_repeats, n_rows)
    settings : Settings
    grid : ndarray of shape (n_points,)
        Risks at which the calibration curve is reported: those that every repeat predicted.
    metrics : dict of str to ndarray of shape (1 + n_resamples,)
    classified : dict of str to ndarray of shape (1 + n_resamples,)
        Sensitivity and the like, and the ``threshold`` they rest on.
    curve : ndarray of shape (1 + n_resamples, n_points)
    net_benefit, treat_all : ndarray of shape (1 + n_resamples, n_thresholds)
    """

    judged: Judged
    risks: Matrix
    settings: Settings
    grid: Vector
    metrics: dict[str, Vector]
    classified: dict[str, Vector]
    curve: Matrix
    net_benefit: Matrix
    treat_all: Matrix

    def estimates(self) -> dict[str, Estimate]:
        """Return every metric with its bootstrap interval."""
        return estimates(self.judged, self.risks, self.metrics)

    def auc(self) -> Estimate:
        """Return the AUC with the interval that was asked for."""
        return auc_with_interval(self.judged, self.risks, self.metrics, self.settings.interval)

    def classification(self) -> dict[str, Any]:
        """Return the threshold, where it comes from, and the figures at it."""
        threshold = float(self.classified["threshold"][0])
        missing = {} if np.isfinite(threshold) else dict.fromkeys(CLASSIFICATION, _no_cut(self))
        reasons = {**NO_REASON, **missing}
        # Widened resamples of a share can leave 0 to 1.
        within = {name: np.clip(self.classified[name], 0.0, 1.0) for name in CLASSIFICATION}
        return {
            "threshold": threshold,
            "threshold_from": _threshold_from(self.settings, threshold),
            **{
                name: self._interval(values, reasons.get(name, Reason.NOT_COMPUTABLE))
                for name, values in within.items()
            },
        }

    def _interval(self, values: Vector, reason: Reason) -> Estimate:
        return with_interval(values, reason, bootstrap_name(self.judged))

    def curve_rows(self) -> list[dict[str, float]]:
        """Return the smooth calibration curve with its pointwise 95 % interval.

        A line fitted near 0 or 1 can leave them; what is reported is kept between.
        """
        within = np.clip(self.curve, 0.0, 1.0)
        points = [self._interval(v, Reason.NOT_COMPUTABLE) for v in within.T]
        return [
            {"predicted": float(x), "observed": p.estimate, "lower": p.lower, "upper": p.upper}
            for x, p in zip(self.grid, points, strict=True)
        ]

    def net_benefit_rows(self) -> list[dict[str, Any]]:
        """Return net benefit at each declared threshold, against acting on all and on nobody."""
        rows = []
        prevalence = self.judged.prevalence
        thresholds = np.array(self.settings.thresholds)
        avoided = interventions_avoided(self.net_benefit[:1], self.treat_all[:1], thresholds)[0]
        for at, threshold in enumerate(self.settings.thresholds):
            found = self._interval(self.net_benefit[:, at], Reason.NOT_COMPUTABLE)
            rows.append(
                {
                    "threshold": threshold,
                    "model": found.estimate,
                    "lower": found.lower,
                    "upper": found.upper,
                    "treat_all": float(self.treat_all[0, at]),
                    "treat_none": 0.0,
                    "standardised": found.estimate / prevalence if prevalence > 0 else np.nan,
                    "interventions_avoided": float(avoided[at]),
                    "reason": "" if prevalence > 0 else str(Reason.ONE_CLASS),
                }
            )
        return rows


def no_net_benefit_rows(settings: Settings, reason: Reason) -> list[dict[str, Any]]:
    """Return the rows of :meth:`Judgement.net_benefit_rows` where nothing can be said."""
    names = ("model", "lower", "upper", "treat_all", "standardised", "interventions_avoided")
    empty = dict.fromkeys(names, np.nan)
    return [{"threshold": t, **empty, "reason": str(reason)} for t in settings.thresholds]


def _threshold_from(settings: Settings, threshold: float) -> str:
    if settings.harm_ratio is not None:
        return f"harm ratio {settings.harm_ratio:g}: h / (1 + h)"
    if np.isfinite(threshold):
        return "largest Youden index on the other folds (the mean over rows is shown)"
    return ""


def _no_cut(judgement: Judgement) -> Reason:
    one_fold = min(len(np.unique(b)) for b in judgement.judged.block) < 2
    return Reason.NO_THRESHOLD if one_fold else Reason.ONE_CLASS


def judge(
    judged: Judged, risks: Matrix, settings: Settings, cuts: Matrix | None = None
) -> Judgement:
    """Judge one model's predictions.

    The same settings draw the same persons for every model: differences are paired.

    Parameters
    ----------
    judged : Judged
    risks : ndarray of shape (n_repeats, n_rows)
    settings : Settings
    cuts : ndarray of shape (n_repeats, n_rows), optional
        The threshold of each row, see :func:`row_thresholds`; by default those of these rows.
    """
    cuts = row_thresholds(judged, risks, settings.harm_ratio) if cuts is None else cuts
    grid = _grid(judged, risks)
    thresholds = np.array(settings.thresholds, dtype=np.float64)

    def measure(part: Part, weights: Matrix) -> dict[str, npt.NDArray[np.float64]]:
        drawn = part.weights(weights)
        y, smooth = part.judged.y, part.smooth
        fitted = smooth.smooth(y, drawn)
        model, treat_all = net_benefit(y, part.risk, drawn, thresholds)
        return {
            **metrics_of(part, weights, fitted),
            **_classify(part, drawn, cuts[part.repeat, part.rows]),
            "curve": smooth.at_risks(fitted, grid),
            "net_benefit": model,
            "treat_all": treat_all,
        }

    values = resample(judged, risks, measure, n_resamples=settings.n_resamples, seed=settings.seed)
    classified = {n: values.pop(n) for n in ("threshold", *CLASSIFICATION)}
    arrays = (values.pop("curve"), values.pop("net_benefit"), values.pop("treat_all"))
    return Judgement(judged, risks, settings, grid, values, classified, *arrays)


def _grid(judged: Judged, risks: Matrix) -> Vector:
    """Evenly spaced risks within the range that every repeat predicted."""
    ranges = [
        (risk[rows].min(), risk[rows].max())
        for (_, rows), risk in zip(judged.repeats(), risks, strict=True)
    ]
    low, high = max(r[0] for r in ranges), min(r[1] for r in ranges)
    return np.linspace(low, high, GRID_POINTS) if low < high else np.array([low])


def row_thresholds(judged: Judged, risks: Matrix, harm_ratio: float | None) -> Matrix:
    """Threshold of each row in each repeat: of the harm ratio, or chosen on the other folds.

    Parameters
    ----------
    judged : Judged
    risks : ndarray of shape (n_repeats, n_rows)
    harm_ratio : float or None

    Returns
    -------
    ndarray of shape (n_repeats, n_rows), NaN where there is none
    """
    cuts = np.full(risks.shape, np.nan)
    for repeat, (part, rows) in enumerate(judged.repeats()):
        if harm_ratio is not None:
            cuts[repeat, rows] = threshold_of_harm_ratio(harm_ratio)
        elif (found := thresholds_within_folds(part, risks[repeat, rows])) is not None:
            cuts[repeat, rows] = found
    return cuts


def _classify(part: Part, drawn: Matrix, cut: Vector) -> dict[str, Vector]:
    if np.isnan(cut).any():
        return {n: np.full(len(drawn), np.nan) for n in ("threshold", *CLASSIFICATION)}
    found = classification(part.judged.y, part.risk >= cut, drawn)
    return {"threshold": np.full(len(drawn), float(cut.mean())), **found}


def net_benefit_differences(first: Judgement, second: Judgement) -> list[dict[str, Any]]:
    """Paired difference of two models' net benefit at each declared threshold."""
    paired = first.net_benefit - second.net_benefit
    name = bootstrap_name(first.judged)
    return [
        {"threshold": t, **with_interval(paired[:, at], Reason.ONE_OF_TWO, name).to_dict()}
        for at, t in enumerate(first.settings.thresholds)
    ]
