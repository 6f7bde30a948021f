"""What a perfect model of the person could reach against a label that carries error.

The perfect model knows everybody's true response T; the label is made from an observed change
that correlates with T by the square root of its reliability. Assumed: truth and error are normal
and independent, the error is the same for everybody, and the class is a cut of the observed
change. A mixture of strata is not normal; a simulation in the tests bounds what that does.

At a prevalence of one half everything has a closed form (Sheppard 1899):
AUC = 1/2 + 2/pi * asin(sqrt(reliability / 2)), kappa = 2/pi * asin(sqrt(reliability)), and kappa
between two noisy labels 2/pi * asin(reliability).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.integrate import cumulative_trapezoid
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal

from features.resampling import Figure, unknown
from features.spec import Vector

# Flare is a rise of clinical pain: the reliability of the endpoint's change says nothing of it.
CLASS_TARGETS = ("response", "hyperalgesia")
# True response in SD, fine enough for a step between two grid points to cost less than 1e-5.
GRID = np.linspace(-8.5, 8.5, 8501)
DENSITY = np.exp(-(GRID**2) / 2) / np.sqrt(2 * np.pi)
METHOD = "perfect model of the person, bivariate normal; limits are those of the reliability"


@dataclass(frozen=True)
class LabelShares:
    """How the label cuts the observed change.

    ``event`` is the share of bouts in the class, ``unlabelled`` the share left out between the
    class and its opposite (an indeterminate zone); the rest are non-events.
    """

    event: float
    unlabelled: float = 0.0

    def problem(self) -> str:
        """Say why no ceiling belongs to these shares; empty where one does."""
        if not np.isfinite([self.event, self.unlabelled]).all():
            return "the share of events is unknown"
        if not (self.event > 0 and self.unlabelled >= 0 and self.event + self.unlabelled < 1):
            return "only one class was observed"
        return ""


def label_shares(labels: pd.DataFrame, target: str) -> LabelShares:
    """Share of events, and of bouts with a change that the rule left without a class."""
    known = labels["change"].notna()
    n = int(known.sum())
    classes = labels.loc[known, target]
    if not n:
        return LabelShares(np.nan)
    return LabelShares(float((classes == 1).sum()) / n, float(classes.isna().sum()) / n)


def auc_ceiling(reliability: float, shares: LabelShares) -> float:
    """AUC of the true response for the noisy label.

    Parameters
    ----------
    reliability : float
        Share of the variance of the observed change that is true; below 0 counts as 0.
    shares : LabelShares

    Returns
    -------
    float in [0.5, 1]

    Examples
    --------
    At reliabilities of .20, .45 and .60 and a median split:

    >>> [round(auc_ceiling(r, LabelShares(0.5)), 3) for r in (0.20, 0.45, 0.60)]
    [0.705, 0.815, 0.869]
    """
    rho = min(max(reliability, 0.0), 1.0)
    if rho in (0.0, 1.0):
        return 0.5 + 0.5 * rho
    event, other = _class_densities(rho, shares)
    below = cumulative_trapezoid(other, GRID, initial=0)
    return float(np.trapezoid(event * below, GRID)) / (shares.event * _non_events(shares))


def kappa_ceiling(reliability: float, shares: LabelShares) -> float:
    """Cohen's kappa between the noisy label and the best cut of the true response.

    Examples
    --------
    >>> round(kappa_ceiling(0.45, LabelShares(0.5)), 3)
    0.468
    """
    rho = min(max(reliability, 0.0), 1.0)
    if rho in (0.0, 1.0):
        return rho
    event, other = (
        _upper_tail(d) / (shares.event + _non_events(shares)) for d in _class_densities(rho, shares)
    )
    prevalence = shares.event / (shares.event + _non_events(shares))
    called = event + other
    agree = event + (1 - prevalence) - other
    chance = called * prevalence + (1 - called) * (1 - prevalence)
    return float(np.max((agree - chance) / (1 - chance)))


def kappa_between_labels(reliability: float, shares: LabelShares) -> float:
    """Cohen's kappa to expect between the labels of two sessions, each with its own error.

    Only for labels without an unlabelled zone.

    Examples
    --------
    >>> round(kappa_between_labels(0.45, LabelShares(0.5)), 3)
    0.297
    """
    rho = min(max(reliability, 0.0), 1.0)
    if rho == 1.0:
        return 1.0
    cut = -ndtri(shares.event)
    both = multivariate_normal.cdf([-cut, -cut], cov=[[1, rho], [rho, 1]])
    p = shares.event
    return float((both - p**2) / (p * (1 - p)))


def ceiling(
    measure: Callable[[float, LabelShares], float], reliability: Figure, shares: LabelShares
) -> Figure:
    """Push a reliability and its limits through one of the ceilings, which all rise with it.

    Parameters
    ----------
    measure : callable
        :func:`auc_ceiling`, :func:`kappa_ceiling` or :func:`r2_ceiling`.
    reliability : Figure
    shares : LabelShares

    Returns
    -------
    Figure, NaN with the reason where the reliability is unknown or one class is absent
    """
    reason = reliability.reason if np.isnan(reliability.estimate) else shares.problem()
    if reason:
        return unknown(reason, METHOD)
    return reliability.through(lambda r: measure(r, shares), METHOD)


def in_words(reliability: Figure, auc: Figure) -> str:
    """Say what a reliability and the AUC ceiling it implies mean for any model."""
    if np.isnan(auc.estimate):
        return f"No ceiling can be stated: {auc.reason}."
    if np.isnan(auc.upper):
        return (
            f"A perfect model would reach an AUC of {auc.estimate:.2f}, give or take the unknown."
        )
    if not reliability.lower > 0:
        return (
            "This is indistinguishable from zero: no model of the person can be expected to "
            "predict it, and skill that appears all the same is chance, a leak or the state of "
            f"the day. Even at the upper limit a perfect model reaches an AUC of {auc.upper:.2f} "
            f"and explains {_percent(reliability.upper)} of the variance."
        )
    return (
        f"No model can be expected to exceed an AUC of {auc.in_words()} or to explain more than "
        f"{_percent(reliability.estimate)} of the variance against this label; an AUC above "
        f"{auc.upper:.2f} is an alarm, not a success."
    )


def _percent(reliability: float) -> str:
    return f"{100 * min(max(reliability, 0.0), 1.0):.0f} %"


def r2_ceiling(reliability: float, shares: LabelShares) -> float:
    """Share of the variance of the observed change that is true: the reliability, in [0, 1]."""
    return min(max(reliability, 0.0), 1.0)


def _non_events(shares: LabelShares) -> float:
    return 1 - shares.event - shares.unlabelled


def _class_densities(rho: float, shares: LabelShares) -> tuple[Vector, Vector]:
    """Density of the true response in events and in non-events, each times its share."""
    noise = np.sqrt(1 - rho)
    above, below = -ndtri(shares.event), ndtri(_non_events(shares))
    event = ndtr((np.sqrt(rho) * GRID - above) / noise)
    other = ndtr((below - np.sqrt(rho) * GRID) / noise)
    return event * DENSITY, other * DENSITY


def _upper_tail(density: Vector) -> Vector:
    integral = cumulative_trapezoid(density, GRID, initial=0)
    tail: Vector = integral[-1] - integral
    return tail
