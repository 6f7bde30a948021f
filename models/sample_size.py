"""How many persons a prediction model needs before it is fitted: the criteria of Riley et al.

References
----------
.. [Riley2019a] Riley, Snell, Ensor et al. Minimum sample size for developing a multivariable
   prediction model: Part I - Continuous outcomes. Stat Med 38:1262.
.. [Riley2019b] Riley, Snell, Ensor et al. Minimum sample size for developing a multivariable
   prediction model: Part II - binary and time-to-event outcomes. Stat Med 38:1276.
.. [Riley2020] Riley, Ensor, Snell et al. Calculating the sample size required for developing a
   clinical prediction model. BMJ 368:m441.
.. [Riley2021] Riley, Van Calster, Collins. A note on estimating the Cox-Snell R² from a reported
   C statistic to inform sample size calculations. Stat Med 40:859.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from scipy.special import log_expit
from scipy.stats import norm, t

SHRINKAGE = 0.9
# Largest difference of apparent and adjusted R², and half-width of the overall risk's interval.
OPTIMISM, MARGIN = 0.05, 0.05
# Residual degrees of freedom at which the residual SD is known to within 10 % [Riley2019a].
SD_FREEDOM = 234
MEAN_MARGIN = 1.1
POINTS = 20_001


@dataclass(frozen=True)
class SampleSize:
    """The least sample that meets every criterion.

    Attributes
    ----------
    criteria : mapping of '1', '2', ... to int
        Persons that each criterion asks for.
    parameters : int
    r2 : float
        Anticipated R²; that of Cox and Snell for a binary outcome.
    prevalence : float or None
        None for a continuous outcome.
    """

    criteria: Mapping[str, int]
    parameters: int
    r2: float
    prevalence: float | None = None

    @property
    def minimum_n(self) -> int:
        """Return the number of persons, one bout each, that meets every criterion."""
        return max(self.criteria.values())

    @property
    def minimum_events(self) -> int | None:
        """Return the events among them, None for a continuous outcome."""
        return None if self.prevalence is None else ceil(self.minimum_n * self.prevalence)

    def repeated(self, bouts: float, icc: float) -> dict[str, Any]:
        """Return what is needed when every person contributes several bouts.

        Bouts of a person repeat each other: their number is inflated by the design effect
        1 + (bouts - 1) * icc [Kish1965]_. The calculation treats what is gained from bouts as
        exchangeable; terms that vary between persons only gain nothing from more bouts.

        Parameters
        ----------
        bouts : float, >= 1
            Bouts per person (the mean).
        icc : float in [0, 1]
            Correlation of the outcome between two bouts of a person.

        References
        ----------
        .. [Kish1965] Kish. Survey Sampling, section 5.4.
        """
        effect = 1 + (bouts - 1) * icc
        rows = ceil(self.minimum_n * effect - 1e-9)
        return {
            "bouts_per_person": bouts,
            "icc": icc,
            "design_effect": effect,
            "minimum_bouts": rows,
            "minimum_participants": ceil(rows / bouts - 1e-9),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON contract of ``eih samplesize``."""
        return {
            "criteria": dict(self.criteria),
            "minimum_n": self.minimum_n,
            "minimum_events": self.minimum_events,
            "parameters": self.parameters,
            "r2": self.r2,
            "prevalence": self.prevalence,
        }


def largest_r2(prevalence: float) -> float:
    """Return the largest Cox-Snell R² that a binary outcome of this prevalence allows.

    Examples
    --------
    >>> round(largest_r2(0.5), 2)
    0.75
    """
    null = prevalence * np.log(prevalence) + (1 - prevalence) * np.log1p(-prevalence)
    return float(-np.expm1(2 * null))


def r2_of_c_statistic(c_statistic: float, prevalence: float) -> float:
    """Cox-Snell R² of a well calibrated model with this C statistic.

    The linear predictor is taken to be normal with one variance among events and another mean
    among others, as in [Riley2021]_; the expected log likelihood is integrated on a grid instead
    of being simulated, so that equal questions get equal answers.

    Parameters
    ----------
    c_statistic : float in [0.5, 1)
    prevalence : float in (0, 1)

    Examples
    --------
    >>> round(r2_of_c_statistic(0.7, 0.3), 3)
    0.103
    """
    _inside("C statistic", c_statistic, 0.5, 1.0, low_allowed=True)
    _inside("prevalence", prevalence, 0.0, 1.0)
    # Two unit normals ``distance`` apart: their C statistic is Phi(distance / sqrt(2)).
    distance = np.sqrt(2) * norm.ppf(c_statistic)
    x = np.linspace(-9.0, 9.0 + distance, POINTS)
    log_odds = np.log(prevalence / (1 - prevalence)) + distance * (x - distance / 2)
    events, others = norm.pdf(x, distance), norm.pdf(x)
    gained = prevalence * events * log_expit(log_odds)
    gained += (1 - prevalence) * others * log_expit(-log_odds)
    model = float(np.trapezoid(gained, x))
    null = prevalence * np.log(prevalence) + (1 - prevalence) * np.log1p(-prevalence)
    return max(0.0, float(-np.expm1(2 * (null - model))))


def binary_sample_size(
    parameters: int, prevalence: float, r2: float, shrinkage: float = SHRINKAGE
) -> SampleSize:
    """Criteria for a binary outcome [Riley2019b]_.

    '1': the expected shrinkage of the coefficients is at least ``shrinkage``; '2': apparent and
    adjusted R² of Nagelkerke differ by at most 0.05; '3': the overall risk is known to +-0.05.

    Parameters
    ----------
    parameters : int, > 0
        Coefficients considered, before any selection.
    prevalence : float in (0, 1)
    r2 : float
        Anticipated Cox-Snell R², below the largest possible one.
    shrinkage : float in (0, 1), default=0.9

    Examples
    --------
    The example of the R package pmsampsize:

    >>> binary_sample_size(24, 0.174, 0.288).criteria
    {'1': 623, '2': 662, '3': 221}
    """
    _inside("prevalence", prevalence, 0.0, 1.0)
    _inside("shrinkage", shrinkage, 0.0, 1.0)
    largest = largest_r2(prevalence)
    _inside("R² (Cox-Snell)", r2, 0.0, min(largest, shrinkage))
    _positive("parameters", parameters)
    second = r2 / (r2 + OPTIMISM * largest)
    criteria = {
        "1": _for_shrinkage(parameters, r2, shrinkage),
        "2": _for_shrinkage(parameters, r2, second),
        "3": ceil((1.96 / MARGIN) ** 2 * prevalence * (1 - prevalence)),
    }
    return SampleSize(criteria, parameters, r2, prevalence)


def _for_shrinkage(parameters: int, r2: float, shrinkage: float) -> int:
    return ceil(float(parameters / ((shrinkage - 1) * np.log1p(-r2 / shrinkage))))


def continuous_sample_size(
    parameters: int, r2: float, mean: float, sd: float, shrinkage: float = SHRINKAGE
) -> SampleSize:
    """Criteria for a continuous outcome [Riley2019a]_.

    '1': the expected shrinkage is at least ``shrinkage``; '2': apparent and adjusted R² differ by
    at most 0.05; '3': the residual SD is known to within 10 %; '4': the mean is known to within
    10 % of itself.

    Parameters
    ----------
    parameters : int, > 0
    r2 : float in (0, 1)
        Anticipated adjusted R².
    mean, sd : float
        Of the outcome; ``mean`` not zero (a change that averages zero has no relative margin).
    shrinkage : float in (0, 1), default=0.9

    Examples
    --------
    The example of the R package pmsampsize:

    >>> continuous_sample_size(25, 0.2, 1.9, 0.6).criteria
    {'1': 918, '2': 401, '3': 259, '4': 259}
    """
    _inside("R²", r2, 0.0, 1.0)
    _inside("shrinkage", shrinkage, 0.0, 1.0)
    _positive("parameters", parameters)
    _positive("standard deviation", sd)
    _positive("absolute mean", abs(mean))
    known_sd = SD_FREEDOM + parameters
    least = parameters + 2
    criteria = {
        "1": _first(lambda n: _expected_shrinkage(n, parameters, r2) >= shrinkage, least),
        "2": ceil(1 + parameters * (1 - r2) / OPTIMISM - 1e-9),
        "3": known_sd,
        "4": _first(
            lambda n: _mean_margin(n, parameters, r2, sd / abs(mean)) <= MEAN_MARGIN, known_sd
        ),
    }
    return SampleSize(criteria, parameters, r2)


def _expected_shrinkage(n: int, parameters: int, r2: float) -> float:
    """Shrinkage expected of n persons, from the apparent R² that goes with an adjusted one."""
    apparent = (r2 * (n - parameters - 1) + parameters) / (n - 1)
    return float(1 + (parameters - 2) / (n * np.log1p(-apparent)))


def _mean_margin(n: int, parameters: int, r2: float, variation: float) -> float:
    """Upper limit of the mean's interval over the mean."""
    quantile = float(t.ppf(0.975, n - parameters - 1))
    return 1 + quantile * variation * float(np.sqrt((1 - r2) / n))


def _first(enough: Any, start: int) -> int:
    """Return the first whole number from ``start`` that is enough; ``enough`` stays true."""
    step = 1
    while not enough(start + step - 1):
        step *= 2
        if step > 2**40:
            raise ValueError("sample size: expected a finite one, found none below 10^12.")
    low, high = start + step // 2 - 1, start + step - 1
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high if step > 1 else start


def _inside(name: str, value: float, low: float, high: float, *, low_allowed: bool = False) -> None:
    if not (low < value < high or (low_allowed and value == low)):
        raise ValueError(f"{name}: expected a value between {low:g} and {high:.4g}, found {value}.")


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name}: expected a number above 0, found {value}.")


def outcome_icc(y: Any, person: Any) -> float:
    """Correlation of the outcome between two bouts of a person: one-way analysis of variance.

    Within 0 to 1 (a negative estimate is taken as none); NaN where nobody has two bouts or the
    outcome does not vary.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), 0/1 or continuous
    person : ndarray of shape (n_rows,), int

    References
    ----------
    .. [Donner1986] Donner. A review of inference procedures for the intraclass correlation
       coefficient in the one-way random effects model. Int Stat Rev 54:67.

    Examples
    --------
    Bouts that always agree:

    >>> outcome_icc(np.array([1.0, 1, 0, 0, 0, 0]), np.array([0, 0, 1, 1, 2, 2]))
    1.0
    """
    _, number, sizes = np.unique(person, return_inverse=True, return_counts=True)
    n, k = len(y), len(sizes)
    if n == k or k < 2 or np.ptp(y) == 0:
        return float("nan")
    means = np.bincount(number, weights=y) / sizes
    within = float(((y - means[number]) ** 2).sum()) / (n - k)
    between = float((sizes * (means - y.mean()) ** 2).sum()) / (k - 1)
    usual = (n - (sizes**2).sum() / n) / (k - 1)
    return float(np.clip((between - within) / (between + (usual - 1) * within), 0.0, 1.0))


@dataclass(frozen=True)
class Available:
    """The sample at hand: persons, bouts, bouts with the event, and the outcome's correlation."""

    n_participants: int
    n_bouts: int
    n_events: float
    icc: float


def sample_size_verdict(at_hand: Available, parameters: int, c_statistic: float) -> dict[str, Any]:
    """Compare the sample at hand with what the criteria ask of a model of this size.

    Parameters
    ----------
    at_hand : Available
        ``icc`` NaN where nobody has two bouts; the design effect is then 1.
    parameters : int
        Coefficients of the model, before any penalty.
    c_statistic : float
        Anticipated, from earlier evidence, not from these data: a model's own C statistic is
        optimistic.

    Returns
    -------
    dict with what is ``available`` and ``required``, ``sufficient`` and the ``sentence``
    """
    prevalence = at_hand.n_events / at_hand.n_bouts
    available = {
        "participants": at_hand.n_participants,
        "bouts": at_hand.n_bouts,
        "events": at_hand.n_events,
        "events_per_parameter": at_hand.n_events / parameters,
    }
    r2 = r2_of_c_statistic(c_statistic, prevalence)
    size = binary_sample_size(parameters, prevalence, r2)
    icc = 0.0 if np.isnan(at_hand.icc) else at_hand.icc
    needed = size.repeated(at_hand.n_bouts / at_hand.n_participants, icc)
    sufficient = at_hand.n_participants >= needed["minimum_participants"]
    return {
        "parameters": parameters,
        "anticipated_c_statistic": c_statistic,
        "available": available,
        "required": size.to_dict() | {"with_repeated_bouts": needed},
        "sufficient": sufficient,
        "sentence": _sentence(available, needed, (parameters, c_statistic), sufficient),
    }


def _sentence(
    available: Mapping[str, Any],
    needed: Mapping[str, Any],
    about: tuple[int, float],
    sufficient: bool,
) -> str:
    opening = "Large enough" if sufficient else "Too small"
    return (
        f"{opening} for {about[0]} parameters without a penalty: "
        f"{available['participants']} persons with {available['bouts']} bouts and "
        f"{available['events']:.0f} events ({available['events_per_parameter']:.1f} per "
        f"parameter); {needed['minimum_participants']} persons with "
        f"{needed['minimum_bouts']} bouts would be needed (Riley criteria, C statistic "
        f"{about[1]:.2f} anticipated, design effect {needed['design_effect']:.2f})."
    )
