"""Safety rules: what comes before any ranking, whatever a model says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from features.exercise import INTENSITY_CLASSES
from features.spec import Vector

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SafetyRule:
    """One rule of seeds/safety_rules.toml, where the keys are explained."""

    text: str
    source: str
    confidence: str
    when: Literal["screening_flag", "screening_unknown", "painful_region", "intensity_above"]
    action: Literal["block", "say", "mark", "hold"]
    flare_risk_at_least: float = 0.0
    above_class: str = ""

    def __post_init__(self) -> None:
        """Refuse a rule that could never hold as it is meant."""
        if self.when == "intensity_above" and self.above_class not in INTENSITY_CLASSES:
            raise ValueError(
                f"above_class: expected one of {', '.join(INTENSITY_CLASSES)}, found "
                f"'{self.above_class}'."
            )
        if not 0 <= self.flare_risk_at_least <= 1:
            raise ValueError("flare_risk_at_least: expected a probability.")


@dataclass(frozen=True)
class Offer:
    """What rules look at, one option for every person.

    Attributes
    ----------
    screening : ndarray of shape (n_rows,), 1 = positive, 0 = negative, NaN = unknown
    painful : ndarray of shape (n_rows,), 1 = the option loads a painful region, NaN = unknown
    intensity_class : ndarray of shape (n_rows,), ordinal, NaN = unknown
    flare_risk : ndarray of shape (n_rows,), NaN = not predicted
    """

    screening: Vector
    painful: Vector
    intensity_class: Vector
    flare_risk: Vector


def holds(rule: SafetyRule, offer: Offer) -> Flags:
    """Say of every person whether the rule holds, shape (n_rows,).

    A rule about painful regions or intensity does not hold where these, or the risk, are unknown;
    that they are is for the caller to say.

    Examples
    --------
    >>> rule = SafetyRule("", "", "", "screening_unknown", "say")
    >>> unknown = np.array([np.nan, 0.0])
    >>> holds(rule, Offer(unknown, unknown, unknown, unknown)).tolist()
    [True, False]
    """
    if rule.when == "screening_flag":
        return np.asarray(offer.screening == 1)
    if rule.when == "screening_unknown":
        return np.asarray(np.isnan(offer.screening))
    high = offer.flare_risk >= rule.flare_risk_at_least
    if rule.when == "painful_region":
        return np.asarray(high & (offer.painful == 1))
    limit = INTENSITY_CLASSES.index(rule.above_class)
    return np.asarray(high & (offer.intensity_class > limit))
