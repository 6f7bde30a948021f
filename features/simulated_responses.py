"""The visits of a simulated study and how persons truly respond, noise apart.

response = mean(condition, exercise, site) + laboratory + sigma * (sum of beta * z + u)

Figures and sources: features/simulation_parameters.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from features.exercise import INTENSITY_CLASSES, intensity_class
from features.simulated_people import Codes, People, by_condition, sigma_factor
from features.simulation_parameters import (
    Parameters,
    Plan,
    coefficients,
    condition_names,
    person_variance,
    trait_correlation,
)
from features.spec import Vector

# Two exercises, and a third visit that repeats the first one of them.
VISITS = 3


@dataclass(frozen=True)
class Visits:
    """What each person does when.

    Parameters
    ----------
    exercise : ndarray of shape (n, 3), int
        Position in ``exercise`` of the parameters; the third is the first one again.
    order : ndarray of shape (n, 3), int
        1, 2 (by lot) and 3.
    attended : ndarray of shape (n, 3), bool
        Only a share of people comes a third time.
    programme : ndarray of shape (n,), bool
        Trains the first exercise afterwards, at home.
    """

    exercise: Codes
    order: Codes
    attended: npt.NDArray[np.bool_]
    programme: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Responses:
    """True responses; axes are person, visit, site. See :class:`SimulatedStudy` for units."""

    linear: Vector  # (n,), sum of beta * z
    stratum: Vector  # (n, 3, 2), mean of condition and exercise
    laboratory: Vector  # (n,)
    log_change: Vector  # (n, 3, 2), everything together
    flare: Vector  # (n, 3), probability
    programme: Vector  # (n, 2), log change at the end of a programme


def draw_visits(people: People, plan: Plan) -> Visits:
    """Two different exercises out of those offered to the condition; their order by lot."""
    tree = plan.parameters
    n = plan.n_participants
    offered = np.array(
        [[c in e["conditions"] for e in tree["exercise"].values()] for c in condition_names(tree)]
    )
    lot = plan.rng("exercise").random((n, offered.shape[1]))
    lot = -np.log1p(-lot) / _leaning(people, tree)
    lot[~offered[people.condition]] = np.inf
    two = np.argsort(lot, axis=1, kind="stable")[:, :2]
    first = 1 + (plan.rng("order").random(n) < 0.5)
    repeats = plan.rng("repeat").random(n) < tree["sessions"]["repeat_share"]
    trains = plan.rng("programme").random(n) < tree["programme"]["share"]
    in_pain = np.array(condition_names(tree))[people.condition] != "healthy"
    return Visits(
        exercise=np.column_stack([two, two[:, 0]]),
        order=np.column_stack([first, 3 - first, np.full(n, 3)]),
        attended=np.column_stack([np.ones((n, 2), dtype=bool), repeats]),
        programme=trains & in_pain,
    )


def _leaning(people: People, tree: Parameters) -> Vector:
    """How much likelier each person gets each exercise, shape (n, n_exercises); 1 by lot.

    The earliest of exponential waiting times wins with a probability in proportion to its rate.
    With a strength above 0, more of the trait means lighter exercise: a confounded study.
    """
    rule = tree["assignment"]
    relative = np.array([e["relative"] for e in tree["exercise"].values()])
    hard = (relative - relative.mean()) / relative.std()
    trait = people.traits[rule["trait"]].to_numpy()
    leaning: Vector = np.exp(-rule["strength"] * trait[:, None] * hard)
    return leaning


def draw_responses(people: People, visits: Visits, plan: Plan) -> Responses:
    """Draw what every exercise truly does to every person, and the chance of a flare.

    The stable part u, of variance reliability - R2, is the person's everywhere, at one site and
    for one exercise, in the shares of the parameters.
    """
    tree = plan.parameters
    names = condition_names(tree)
    beta = np.array([coefficients(tree, plan.scenario, c) for c in names])[people.condition]
    r2 = np.array([person_variance(tree, plan.scenario, c) for c in names])[people.condition]
    linear = (beta * people.traits.to_numpy()).sum(axis=1) + _old_age(people, plan)
    unobserved = np.sqrt(np.maximum(tree["response"]["reliability"] - r2, 0.0))
    own = linear[:, None, None] + unobserved[:, None, None] * _stable(plan)
    own = own[:, [0, 1, 0], :]  # the third visit repeats the first exercise
    own = own + _by_modality(people, visits, tree)[:, :, None]
    of_labs = plan.rng("laboratories").standard_normal(len(tree["labs"]))
    laboratory = (tree["response"]["laboratory_sd"] * of_labs)[people.lab]
    scale = (tree["response"]["sigma"] * sigma_factor(tree, people.condition))[:, None, None]
    stratum = _mean_response(people, visits, tree)
    return Responses(
        linear=linear,
        stratum=stratum,
        laboratory=laboratory,
        log_change=stratum + laboratory[:, None, None] + scale * own,
        flare=_flare_probability(people, visits, plan, own[:, :, 0]),
        programme=_programme(own[:, 0, :], plan),
    )


def _by_modality(people: People, visits: Visits, tree: Parameters) -> Vector:
    """What a trait adds under one modality and not under another, shape (n, 3), SD units."""
    rule = tree["modality_interaction"]
    beta = np.array([rule["beta"][e["modality"]] for e in tree["exercise"].values()])
    trait = people.traits[rule["trait"]].to_numpy()
    added: Vector = trait[:, None] * beta[visits.exercise]
    return added


def _stable(plan: Plan) -> Vector:
    """Unobserved stable part of shape (n, 2 exercises, 2 sites), SD 1."""
    shares = plan.parameters["response"]
    n = plan.n_participants

    def part(name: str, *shape: int) -> Vector:
        drawn = plan.rng(f"stable {name}").standard_normal((n, *shape))
        scaled: Vector = np.sqrt(shares[f"{name}_share"]) * drawn
        return scaled

    return part("person", 1, 1) + part("site", 1, 2) + part("exercise", 2, 1)


def _programme(own: Vector, plan: Plan) -> Vector:
    """Log change at the end of a programme: partly what a bout does to the person."""
    settings, sigma = plan.parameters["programme"], plan.parameters["response"]["sigma"]
    mean = np.array([settings["mean"]["local"], settings["mean"]["remote"]])
    shared = settings["shared_with_bout"]
    new = plan.rng("programme response").standard_normal(own.shape)
    change: Vector = mean + shared * sigma * own + np.sqrt(1 - shared**2) * settings["sd"] * new
    return change


def _old_age(people: People, plan: Plan) -> Vector:
    rule = plan.parameters["old_age"]
    old = (people.table["condition"] == rule["condition"]) & (
        people.table["age_years"] >= rule["from_years"]
    )
    active = any(plan.parameters["scenarios"][plan.scenario]["beta"].values())
    return np.where(old & active, rule["beta"], 0.0)


def _mean_response(people: People, visits: Visits, tree: Parameters) -> Vector:
    """Mean of the stratum, shape (n, 3, 2), log units."""
    exercises = list(tree["exercise"].values())
    young, old = (
        np.array([[e.get(k, e["mean"])[s] for s in ("local", "remote")] for e in exercises])
        for k in ("mean", "mean_old")
    )
    # Published below 50 and from 60 years; a straight line between.
    share = np.clip((people.table["age_years"].to_numpy() - 50) / 10, 0, 1)[:, None, None]
    mean: Vector = (1 - share) * young[visits.exercise] + share * old[visits.exercise]
    return mean


def _flare_probability(people: People, visits: Visits, plan: Plan, own_local: Vector) -> Vector:
    """Probability of a flare after each exercise, shape (n, 3)."""
    tree, flare = plan.parameters, plan.parameters["flare"]
    weight = tree["scenarios"][plan.scenario]["flare_weight"]
    traits = weight * np.array([flare["traits"].get(name, 0.0) for name in tree["traits"]["names"]])
    reliability = tree["response"]["reliability"]
    # Without a stable response there is none for a flare to follow.
    response = weight * flare["response"] / np.sqrt(reliability) if reliability > 0 else 0.0
    person = (people.traits.to_numpy() @ traits)[:, None] + response * own_local
    # Person effects pull the mean probability towards one half; MacKay's approximation of a
    # normal through a logistic gives the intercept at which it is the rate.
    spread = _flare_spread(plan, traits, response)[people.condition]
    rate = by_condition(tree, flare["rate"])[people.condition]
    base = logit(rate) * np.sqrt(1 + np.pi * spread / 8)
    relative = np.array([e["relative"] for e in tree["exercise"].values()])
    vigorous = intensity_class(relative) >= INTENSITY_CLASSES.index("vigorous")
    painful = np.array([e["painful"] for e in tree["exercise"].values()])
    of_exercise = flare["painful_region"] * painful + flare["vigorous"] * vigorous
    probability: Vector = expit(base[:, None] + person + of_exercise[visits.exercise])
    return probability


def _flare_spread(plan: Plan, traits: Vector, response: float) -> Vector:
    """Variance of the persons' part of the flare model, per condition."""
    tree = plan.parameters
    spread = []
    for name in condition_names(tree):
        total = traits + response * coefficients(tree, plan.scenario, name)
        explained = float(total @ trait_correlation(tree) @ total)
        unobserved = tree["response"]["reliability"] - person_variance(tree, plan.scenario, name)
        spread.append(explained + response**2 * unobserved)
    return np.array(spread)
