"""Recalibration of a model's risks on predictions it made out of fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from models.calibration import logit, recalibrate
from models.metrics import CLIP
from models.penalised import logistic_path

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Recalibration:
    """logit(new) = intercept + up * ln(p) - down * ln(1 - p), with up, down >= 0.

    ``up == down`` is Platt's map, a straight line on the log-odds scale ([Platt1999]_); unequal
    slopes are beta calibration ([Kull2017]_). Both keep the order of the risks.

    References
    ----------
    .. [Platt1999] Probabilistic outputs for support vector machines. Advances in Large Margin
       Classifiers, MIT Press.
    .. [Kull2017] Beta calibration. AISTATS, PMLR 54:623.
    """

    intercept: float
    up: float
    down: float

    def log_odds(self, log_odds: Vector) -> Vector:
        """Return the recalibrated log-odds of given log-odds."""
        if self.up == self.down:
            return np.asarray(self.intercept + self.up * log_odds)
        # ln(p) = -ln(1 + e^-x) and ln(1 - p) = -ln(1 + e^x), without leaving the log scale.
        up, down = -np.logaddexp(0.0, -log_odds), -np.logaddexp(0.0, log_odds)
        return np.asarray(self.intercept + self.up * up - self.down * down)


IDENTITY = Recalibration(0.0, 1.0, 1.0)


def fit_recalibration(
    y: Vector, risk: Vector, weights: Vector | None, method: str
) -> Recalibration:
    """Learn a map from out-of-fold risks to risks that agree with what happened.

    A map that would turn the order round (the risks are noise) gives everybody the event rate
    instead: a falling map is a fit to chance. Without a finite maximum (separated classes) the
    risks stay as they are.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), 0/1
    risk : ndarray of shape (n_rows,), each predicted without its own person
    weights : ndarray of shape (n_rows,), or None
    method : {'platt', 'beta'}
    """
    w = np.ones(len(y)) if weights is None else weights
    rate = float(np.average(y, weights=w))
    if not 0 < rate < 1:
        return IDENTITY
    log_odds = logit(np.clip(risk, CLIP, 1 - CLIP))
    if method == "beta":
        found = _beta(y, log_odds, w)
        if found is not None:
            return found
    intercept, slope = (float(v[0]) for v in recalibrate(y, log_odds, w[None, :]))
    if np.isnan(slope):
        constant = np.ptp(log_odds) < 1e-9
        return _everybody(rate) if constant else IDENTITY
    return Recalibration(intercept, slope, slope) if slope > 0 else _everybody(rate)


def _everybody(rate: float) -> Recalibration:
    return Recalibration(float(logit(np.array([rate]))[0]), 0.0, 0.0)


def _beta(y: Vector, log_odds: Vector, w: Vector) -> Recalibration | None:
    """Beta calibration; None where a slope is not positive (then Platt's map is used)."""
    terms = np.column_stack([-np.logaddexp(0.0, -log_odds), np.logaddexp(0.0, log_odds)])
    # A penalty this weak moves no slope by more than rounding, but keeps a separation finite.
    slopes, intercepts = logistic_path(terms, y, w, [1e6])
    up, down = (float(s) for s in slopes[0])
    if min(up, down) <= 0 or max(up, down) > 100:
        return None
    return Recalibration(float(intercepts[0]), up, down)


def recalibrated_risk(risk: Vector, recalibration: Recalibration) -> Vector:
    """Return risks after the map; certain risks are first brought within float32 resolution."""
    return np.asarray(expit(recalibration.log_odds(logit(np.clip(risk, CLIP, 1 - CLIP)))))


class Recalibrated:
    """A fitted model and the map its risks go through.

    Attributes
    ----------
    fitted : estimator
    recalibration : Recalibration
    """

    def __init__(self, fitted: Any, recalibration: Recalibration) -> None:
        self.fitted = fitted
        self.recalibration = recalibration

    def predict_proba(self, X: pd.DataFrame) -> Matrix:
        """Return probabilities of shape (n_rows, 2)."""
        raw = self.fitted.predict_proba(X)[:, 1].astype(np.float64)
        risk = recalibrated_risk(raw, self.recalibration)
        return np.column_stack([1 - risk, risk])
