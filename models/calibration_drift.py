"""Has calibration gone since training? Observed against predicted, with the persons' resamples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.calibration import observed_to_expected
from models.discrimination import auc
from models.estimate import bootstrap_p_value
from models.judged import Judged, Matrix, Vector
from models.metrics import Part, brier, calibration, estimates, resample

JUDGED = ("in_the_large", "slope", "oe_ratio")


@dataclass(frozen=True)
class CalibrationLimits:
    """When a departure from perfect calibration is called drift.

    Attributes
    ----------
    in_the_large : float
        Largest size, on the log-odds scale (0 is perfect).
    slope : float
        Largest distance of the slope from 1.
    oe_ratio : float
        Largest observed / expected, and its inverse the smallest.
    alpha : float
        Probability that a calibrated model shows any of the three.
    """

    in_the_large: float = 0.4
    slope: float = 0.3
    oe_ratio: float = 1.25
    alpha: float = 0.01


def calibration_drift(
    judged: Judged, risk: Vector, limits: CalibrationLimits, n_resamples: int, seed: int
) -> dict[str, Any]:
    """Judge one model's risks against the outcomes that have come in.

    A departure is drift where it is both larger than its limit and unlikely by chance: the
    two-sided p value of the person-cluster bootstrap is below ``alpha`` / 3 (Bonferroni). Where
    only one class was observed resamples hold nothing else: then the p value is twice the
    probability of that under the risks themselves, one row per person counted.

    Parameters
    ----------
    judged : Judged
        Of one model: one repeat.
    risk : ndarray of shape (n_rows,)
    limits : CalibrationLimits
    n_resamples, seed : int

    Returns
    -------
    dict with ``figures`` (each an estimate with its interval, limit aside from NaN's reason) and
    ``drifted`` (names)
    """
    risks = risk[None, :]
    values = resample(judged, risks, _measure, n_resamples=n_resamples, seed=seed)
    found = estimates(judged, risks, values)
    one_class = _probability_of_one_class(judged, risk)
    departure = {
        "in_the_large": (values["in_the_large"], limits.in_the_large, np.nan),
        "slope": (values["slope"] - 1, limits.slope, np.nan),
        "oe_ratio": (_log(values["oe_ratio"]), float(np.log(limits.oe_ratio)), one_class),
    }
    drifted = []
    for name, (off, limit, known) in departure.items():
        chance = bootstrap_p_value(off) if np.isnan(known) else known
        if abs(off[0]) > limit and chance < limits.alpha / len(JUDGED):
            drifted.append(name)
    return {"figures": {n: e.to_dict() for n, e in found.items()}, "drifted": drifted}


def _log(ratio: Vector) -> Vector:
    # No event at all is as far from what was expected as can be.
    with np.errstate(divide="ignore"):
        return np.log(ratio)


def _probability_of_one_class(judged: Judged, risk: Vector) -> float:
    """Two-sided p value of having seen one class only; NaN where both were."""
    if 0 < judged.y.mean() < 1:
        return float("nan")
    seen = risk if judged.y[0] == 1 else 1 - risk
    with np.errstate(divide="ignore"):
        mean_log = float(np.log(seen).mean())
    return float(min(1.0, 2 * np.exp(mean_log * judged.n_persons)))


def _measure(part: Part, weights: Matrix) -> dict[str, npt.NDArray[np.float64]]:
    judged, block = part.judged, part.judged.block[0]
    drawn = part.weights(weights)
    return {
        **calibration(judged, part.risk, drawn, block),
        "oe_ratio": observed_to_expected(judged.y, part.risk, drawn),
        "brier": brier(judged, part.risk, drawn),
        "auc": auc(judged, part.risk, drawn, block),
    }
