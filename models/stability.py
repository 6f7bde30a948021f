"""How much a model's answers would move had other persons of the same kind been in the data.

Every model of the bootstrap predicts the original rows; each row's spread of risks is its
instability. Nothing here says whether the answers are right.

References
----------
.. [Riley2023] Riley, Collins. Stability of clinical prediction models developed using
   statistical or machine learning methods. Biometrical Journal 65:2200302.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from models.bootstrap import Resampled
from models.calibration import logit
from models.learning import Matrix, Vector
from models.metrics import CLIP
from models.penalised import logistic_path
from models.splines import place_knots, spline_terms

# Weak enough to move no curve visibly, strong enough to keep a separated one finite.
WEAK_C = 1e3
GRID = np.round(np.linspace(0.02, 0.98, 49), 2)


@dataclass(frozen=True)
class Stability:
    """Instability of a procedure's predictions.

    Attributes
    ----------
    rows : DataFrame of shape (n_rows, 5)
        ``risk`` (of the original model), ``mape`` (mean absolute difference of the resamples'
        risks from it), ``lower``, ``upper`` (2.5 and 97.5 % of the risks), ``class_changes``
        (share of resamples on the other side of the threshold).
    curves : DataFrame
        Calibration of every resample's model on the original rows: ``risk, original, lower,
        median, upper`` (5, 50 and 95 % of the curves at that risk), NaN where fewer than half
        of the models give such risks.
    summary : dict
        ``mape`` (mean over rows), ``mape_p90``, ``mape_max``, ``interval_width_median``,
        ``classification_instability``, ``threshold``, and ``calibration_slope`` and ``ici`` of
        the resamples' models (median, 5 and 95 %).
    """

    rows: pd.DataFrame
    curves: pd.DataFrame
    summary: dict[str, Any]


def measure_stability(run: Resampled, threshold: float) -> Stability:
    """Summarise how predictions, classes and calibration vary over the resamples.

    Parameters
    ----------
    run : Resampled
        With a few hundred resamples; [Riley2023]_ ask for at least 200.
    threshold : float, in (0, 1)
        The risk from which a person would be treated differently.
    """
    rows = _rows(run, threshold)
    curves, slopes, errors = _calibration(run)
    summary = {
        "mape": float(rows["mape"].mean()),
        "mape_p90": float(rows["mape"].quantile(0.9)),
        "mape_max": float(rows["mape"].max()),
        "interval_width_median": float((rows["upper"] - rows["lower"]).median()),
        "classification_instability": float(rows["class_changes"].mean()),
        "threshold": threshold,
        "calibration_slope": _spread(slopes),
        "ici": _spread(errors),
    }
    return Stability(rows, curves, summary)


def _rows(run: Resampled, threshold: float) -> pd.DataFrame:
    lower, upper = np.quantile(run.risks, [0.025, 0.975], axis=0)
    other_side = (run.risks >= threshold) != (run.original >= threshold)
    return pd.DataFrame(
        {
            "risk": run.original,
            "mape": np.abs(run.risks - run.original).mean(axis=0),
            "lower": lower,
            "upper": upper,
            "class_changes": other_side.mean(axis=0),
        }
    )


def _calibration(run: Resampled) -> tuple[pd.DataFrame, Vector, Vector]:
    """Curves on :data:`GRID`; slope and integrated calibration index of every model."""
    found = [calibration_spline(run.y, risk) for risk in run.risks]
    curves = np.array([curve for curve, _, _ in found])
    covered = np.isfinite(curves).mean(axis=0) >= 0.5
    quantiles = np.full((3, len(GRID)), np.nan)
    quantiles[:, covered] = np.nanquantile(curves[:, covered], [0.05, 0.5, 0.95], axis=0)
    table = pd.DataFrame(
        {
            "risk": GRID,
            "original": calibration_spline(run.y, run.original)[0],
            "lower": quantiles[0],
            "median": quantiles[1],
            "upper": quantiles[2],
        }
    )
    return table, np.array([f[1] for f in found]), np.array([f[2] for f in found])


def calibration_spline(y: Vector, risk: Vector) -> tuple[Vector, float, float]:
    """Observed share by predicted risk: logistic regression on a spline of the log-odds.

    Three knots; a straight line where risks take too few values for a spline.

    Returns
    -------
    curve : ndarray of shape (len(GRID),), NaN outside the range of the risks
    slope : float, of the straight recalibration; NaN for constant risks
    ici : float, mean absolute difference of curve and risk over the rows
    """
    x = logit(np.clip(risk, CLIP, 1 - CLIP))
    if np.ptp(x) < 1e-9:
        inside = np.abs(GRID - risk[0]) < 0.01
        curve = np.where(inside, y.mean(), np.nan)
        return curve, float("nan"), float(abs(y.mean() - risk.mean()))
    knots = place_knots(x, 3)
    terms = _terms(x, knots)
    middle, scale = terms.mean(axis=0), terms.std(axis=0)
    slopes, intercepts = logistic_path((terms - middle) / scale, y, None, [WEAK_C])

    def observed(log_odds: Vector) -> Vector:
        z = (_terms(log_odds, knots) - middle) / scale
        return np.asarray(expit(z @ slopes[0] + intercepts[0]))

    inside = (risk.min() <= GRID) & (risk.max() >= GRID)
    curve = np.where(inside, observed(logit(GRID)), np.nan)
    straight, _ = logistic_path(((x - x.mean()) / x.std())[:, None], y, None, [WEAK_C])
    return curve, float(straight[0, 0] / x.std()), float(np.abs(observed(x) - risk).mean())


def _terms(x: Vector, knots: tuple[float, ...]) -> Matrix:
    return np.column_stack([x, spline_terms(x, knots)]) if knots else x[:, None]


def _spread(values: Vector) -> dict[str, float]:
    """Median and 5 and 95 % of what could be computed."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return {"median": np.nan, "lower": np.nan, "upper": np.nan}
    lower, median, upper = np.quantile(known, [0.05, 0.5, 0.95])
    return {"median": float(median), "lower": float(lower), "upper": float(upper)}
