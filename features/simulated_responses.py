"""The bouts of a simulated study and how persons truly respond to them, noise apart.

    response = mean(condition, exercise, site) + laboratory + sigma * (sum of beta * z + u)

Figures and sources are in seeds/simulator.toml.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from features.exercise import INTENSITY_CLASSES, intensity_class
from features.simulated_people import (
    Codes,
    People,
    parameters,
    sigma_factor,
    trait_correlation,
)
from features.spec import Vector


@dataclass(frozen=True)
class Bouts:
    """Exercise of the two bouts, shape (n, 2), and the visit of all three, shape (n, 3)."""

    exercise: Codes
    period: Codes


@dataclass(frozen=True)
class Responses:
    """True responses; axes are person, exercise bout, site."""

    linear: Vector  # (n,), sum of beta * z
    log_change: Vector  # (n, 2, 2)
    flare: Vector  # (n, 3), probability, rest first


def person_variance(scenario: str, condition: str) -> float:
    """Share of the variance of an observed change that the traits explain within a condition.

    Parameters
    ----------
    scenario, condition : str
        Names in seeds/simulator.toml.

    Returns
    -------
    float, unitless in [0, 1]
        R2 = beta' R beta, with R the correlation matrix of the traits.
    """
    beta = _coefficients(scenario, condition)
    return float(beta @ trait_correlation() @ beta)


def _coefficients(scenario: str, condition: str) -> Vector:
    """Coefficients per SD of the traits within a condition, interactions included."""
    settings = parameters()
    own = dict(settings["scenarios"][scenario]["beta"])
    if own:
        for term in settings["interactions"]:
            if term["condition"] == condition:
                own[term["trait"]] = own.get(term["trait"], 0.0) + term["beta"]
    return np.array([own.get(name, 0.0) for name in settings["correlation"]["variables"]])


def draw_bouts(people: People, rng: np.random.Generator) -> Bouts:
    """Two different exercises out of those offered to the condition; order of visits by lot."""
    settings = parameters()
    names = settings["conditions"]
    offered = np.array([[c in e["conditions"] for e in settings["exercise"]] for c in names])
    lot = rng.random((len(people.condition), offered.shape[1]))
    lot[~offered[people.condition]] = np.inf
    period = rng.permuted(np.tile([1, 2, 3], (len(people.condition), 1)), axis=1)
    return Bouts(np.argsort(lot, axis=1)[:, :2], period)


def draw_responses(
    people: People, bouts: Bouts, scenario: str, rng: np.random.Generator
) -> Responses:
    """Draw what every exercise truly does to every person, and the chance of a flare.

    The stable part u, of variance reliability - R2, is the person's everywhere, at one site and
    for one exercise, in the shares of seeds/simulator.toml.
    """
    settings = parameters()["response"]
    names = parameters()["conditions"]
    n = len(people.condition)
    beta = np.array([_coefficients(scenario, name) for name in names])[people.condition]
    r2 = np.array([person_variance(scenario, name) for name in names])[people.condition]
    linear = (beta * people.traits.to_numpy()).sum(axis=1) + _old_age(people, scenario)
    stable = (
        np.sqrt(settings["person_share"]) * rng.standard_normal((n, 1, 1))
        + np.sqrt(settings["site_share"]) * rng.standard_normal((n, 1, 2))
        + np.sqrt(settings["exercise_share"]) * rng.standard_normal((n, 2, 1))
    )
    own = linear[:, None, None] + np.sqrt(settings["reliability"] - r2)[:, None, None] * stable
    laboratory = settings["laboratory_sd"] * rng.standard_normal(len(parameters()["labs"]))
    scale = settings["sigma"] * sigma_factor(people.condition)
    log_change = _mean_response(people, bouts) + scale[:, None, None] * own
    flare = _flare_probability(people, bouts, scenario, own[:, :, 0])
    return Responses(linear, log_change + laboratory[people.lab][:, None, None], flare)


def _old_age(people: People, scenario: str) -> Vector:
    settings = parameters()
    rule = settings["old_age"]
    old = (people.table["condition"] == rule["condition"]) & (
        people.table["age_years"] >= rule["from_years"]
    )
    active = bool(settings["scenarios"][scenario]["beta"])
    return np.where(old & active, rule["beta"], 0.0)


def _mean_response(people: People, bouts: Bouts) -> Vector:
    """Mean of the stratum, shape (n, 2, 2), log units."""
    exercises = parameters()["exercise"]
    young = np.array([e["mean"] for e in exercises], dtype=np.float64)
    old = np.array([e.get("mean_old", e["mean"]) for e in exercises], dtype=np.float64)
    # Published below 50 and from 60 years; a straight line between.
    share = np.clip((people.table["age_years"].to_numpy() - 50) / 10, 0, 1)[:, None, None]
    mean: Vector = (1 - share) * young[bouts.exercise] + share * old[bouts.exercise]
    return mean


def _flare_probability(people: People, bouts: Bouts, scenario: str, own_local: Vector) -> Vector:
    """Probability of a flare after rest and after each exercise, shape (n, 3)."""
    settings, flare = parameters(), parameters()["flare"]
    weight = settings["scenarios"][scenario]["flare_weight"]
    names = settings["correlation"]["variables"]
    traits = weight * np.array([flare["traits"].get(name, 0.0) for name in names])
    response = weight * flare["response"] / np.sqrt(settings["response"]["reliability"])
    person = (people.traits.to_numpy() @ traits)[:, None] + response * own_local
    # Person effects pull the mean probability towards one half; MacKay's approximation of a
    # normal through a logistic gives the intercept at which it is the rate.
    spread = _flare_spread(scenario, traits, response)[people.condition]
    base = logit(np.array(flare["rate"]))[people.condition] * np.sqrt(1 + np.pi * spread / 8)
    relative = np.array([e["relative"] for e in settings["exercise"]])
    vigorous = intensity_class(relative) >= INTENSITY_CLASSES.index("vigorous")
    painful = np.array([e["painful"] for e in settings["exercise"]])
    of_exercise = flare["painful_region"] * painful + flare["vigorous"] * vigorous
    after = expit(base[:, None] + person + of_exercise[bouts.exercise])
    return np.column_stack([np.full(len(base), flare["rest_rate"]), after])


def _flare_spread(scenario: str, traits: Vector, response: float) -> Vector:
    """Variance of the persons' part of the flare model, per condition."""
    spread = []
    for name in parameters()["conditions"]:
        total = traits + response * _coefficients(scenario, name)
        explained = float(total @ trait_correlation() @ total)
        unobserved = parameters()["response"]["reliability"] - person_variance(scenario, name)
        spread.append(explained + response**2 * unobserved)
    return np.array(spread)
