"""What devices and people report in a simulated study: thresholds and pain, noise included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.simulated_missingness import Mask, drop_out, leave_early
from features.simulated_people import (
    People,
    by_condition,
    clip_rounded,
    sigma_factor,
    to_device,
)
from features.simulated_responses import VISITS, Responses
from features.simulation_parameters import Plan, occasion_sd, trial_sd
from features.spec import Vector

KINDS = ("rest", "bout")


@dataclass(frozen=True)
class Readings:
    """Everything that is read, and what is not.

    Parameters
    ----------
    ppt_kpa : ndarray of shape (n, visit, kind, site, time, trial)
        Kind: rest, bout; site: local, remote; time: before, after.
    pain_nrs : ndarray of shape (n, visit, kind, 4), points of 10
        On arrival, before, after, a day later.
    left : ndarray of shape (n, visit, kind), bool
        Left before the readings after the bout.
    programme_kpa : ndarray of shape (n, site, time, trial)
    programme_nrs : ndarray of shape (n, 3), points of 10
        On arrival, before and after the weeks of a programme.
    programme_left : ndarray of shape (n,), bool
    """

    ppt_kpa: Vector
    pain_nrs: Vector
    left: Mask
    programme_kpa: Vector
    programme_nrs: Vector
    programme_left: Mask


def draw_readings(people: People, responses: Responses, plan: Plan) -> Readings:
    """Draw all readings of all visits, attended or not."""
    pain, flared = _draw_pain(people, responses, plan)
    left = np.zeros((*flared.shape[:2], len(KINDS)), dtype=bool)
    left[:, :, 1] = leave_early(flared[:, :, 1], plan)
    return Readings(
        ppt_kpa=_draw_pressure(people, responses, plan),
        pain_nrs=pain,
        left=left,
        programme_kpa=_programme_pressure(people, responses, plan),
        programme_nrs=_programme_pain(people, plan),
        programme_left=drop_out(flared[:, 0, 1], plan),
    )


def _draw_pressure(people: People, responses: Responses, plan: Plan) -> Vector:
    tree = plan.parameters
    n = plan.n_participants
    factor = sigma_factor(tree, people.condition)
    shared = tree["response"]["occasion_shared_by_sites"]
    one = plan.rng("occasion").standard_normal((n, VISITS, len(KINDS), 1))
    each = plan.rng("occasion of site").standard_normal((n, VISITS, len(KINDS), 2))
    occasion = np.sqrt(shared) * one + np.sqrt(1 - shared) * each
    change = occasion_sd(tree) * factor[:, None, None, None] * occasion
    change[:, :, 1] += responses.log_change
    day = tree["response"]["day_sd"] * plan.rng("day").standard_normal((n, VISITS, 1, 1))
    before = np.broadcast_to(people.log_ppt[:, None, None, :] + day, change.shape)
    level = np.stack([before, before + change], axis=4)
    return _read(level, factor, plan, "trials")


def _programme_pressure(people: People, responses: Responses, plan: Plan) -> Vector:
    """Read before and after the weeks of a programme, on two days; no rest bout is subtracted."""
    tree = plan.parameters
    days = plan.rng("programme days").standard_normal((plan.n_participants, 1, 2))
    level = people.log_ppt[:, :, None] + tree["response"]["day_sd"] * days
    level[:, :, 1] += responses.programme
    return _read(level, sigma_factor(tree, people.condition), plan, "programme trials")


def _read(level: Vector, factor: Vector, plan: Plan, step: str) -> Vector:
    """Add the noise of single trials, last axis, to log levels; kPa as the device can show."""
    trials = int(plan.parameters["response"]["trials"])
    noise = plan.rng(step).standard_normal((*level.shape, trials))
    scale = factor.reshape(-1, *[1] * level.ndim) * trial_sd(plan.parameters)
    return to_device(plan.parameters, np.exp(level[..., None] + scale * noise))


def _draw_pain(people: People, responses: Responses, plan: Plan) -> tuple[Vector, Mask]:
    """Clinical pain in points, shape (n, visit, kind, 4), and whether it flared.

    Without a flare pain moves by at most one point; with one it rises by at least two, right
    after the bout, a day later, or both. Pain before the bout is at most 8, so that it can.
    """
    flare = plan.parameters["flare"]
    rest = np.full_like(responses.flare, flare["rest_rate"])
    chance = np.stack([rest, responses.flare], axis=2)
    today = _pain_of_days(people, plan, VISITS)[:, :, None]
    arrival = clip_rounded(np.broadcast_to(today, chance.shape), 0, 8)
    # A second reading minutes later: the same pain, not the same number.
    again = 0.3 * plan.rng("pain before").standard_normal(chance.shape)
    pre = clip_rounded(today + again, 0, 8)
    calm = _choice(plan, "calm pain", (*chance.shape, 2), flare["step"]) - 1
    rise = 2 + (plan.rng("flare size").random((*chance.shape, 2)) < flare["extra_rise"]).sum(axis=3)
    moment = _choice(plan, "flare moment", chance.shape, flare["moments"])
    flared = plan.rng("flare").random(chance.shape) < chance
    flares_at = np.stack([moment != 1, moment != 0], axis=3) & flared[..., None]
    after = np.clip(pre[..., None] + np.where(flares_at, rise[..., None], calm), 0, 10)
    return np.concatenate([arrival[..., None], pre[..., None], after], axis=3), flared


def _pain_of_days(people: People, plan: Plan, n_days: int) -> Vector:
    day_sd = by_condition(plan.parameters, plan.parameters["marginals"]["pain_nrs"]["day_sd"])
    spread = plan.rng(f"pain of {n_days} days").standard_normal((plan.n_participants, n_days))
    today: Vector = people.pain_nrs[:, None] + day_sd[people.condition][:, None] * spread
    return today


def _choice(plan: Plan, step: str, shape: tuple[int, ...], chances: list[float]) -> Vector:
    """Draw 0, 1, 2 ... by the given chances."""
    bounds = np.cumsum(chances)
    lot = plan.rng(step).random(shape)
    return np.searchsorted(bounds / bounds[-1], lot, side="right").astype(np.float64)


def _programme_pain(people: People, plan: Plan) -> Vector:
    settings = plan.parameters["programme"]
    days = _pain_of_days(people, plan, 2)
    moved = plan.rng("programme pain").standard_normal(plan.n_participants)
    before = clip_rounded(days[:, 0], 0, 8)
    after = clip_rounded(days[:, 1] + settings["pain_mean"] + settings["pain_sd"] * moved, 0, 10)
    return np.column_stack([before, before, after])
