"""A simulated study: persons, bouts, readings, and the truth that made them.

Simulated data show what the software does, not that EIH is predictable. The model is

    change = mean(condition, exercise, site) + laboratory + sigma * (sum of beta * z + u) + noise

with u a stable property of the person and noise made of what makes it in a laboratory: the
occasion of each bout, and the trials of its four blocks (pre, post, and those of the rest
bout). Figures, sources and the arithmetic of the noise are in seeds/simulator.toml.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.columns import KEYS
from features.reference import load_reference
from features.simulated_people import (
    People,
    clip_rounded,
    draw_people,
    parameters,
    punch_holes,
    sigma_factor,
    to_device,
)
from features.simulated_responses import Bouts, Responses, draw_bouts, draw_responses
from features.spec import Vector
from features.units import KPA_PER_UNIT

SESSIONS = ("rest", "bout_1", "bout_2")
SITES = ("local", "remote")
STUDY_ID = "simulated"
# The model knows no anatomy: one level per person and role, whatever the muscle.
BODY_SITES = {"local": "exercised_muscle", "remote": "remote_muscle"}


@dataclass(frozen=True)
class SimulatedStudy:
    """Two tables as a study delivers them, and the truth, which no study knows.

    Parameters
    ----------
    cases : DataFrame, one row per participant and bout
        Columns of :data:`features.columns.CASES`.
    measurements : DataFrame, one row per trial
        Columns of :data:`features.columns.MEASUREMENTS`; pressures in the unit of the
        laboratory.
    truth : DataFrame, one row per participant and bout
        Keys, ``true_response_local_log`` and ``true_response_remote_log`` (log units, without
        noise; 0 for rest), ``linear_predictor`` (sum of beta * z, in units of sigma; 0 for
        rest) and ``p_flare`` (probability).
    """

    cases: pd.DataFrame
    measurements: pd.DataFrame
    truth: pd.DataFrame


def simulate_study(n_participants: int, scenario: str, seed: int) -> SimulatedStudy:
    """Simulate a crossover study: every person rests once and exercises twice.

    Parameters
    ----------
    n_participants : int, >= 1
    scenario : {'base', 'pessimistic', 'optimistic', 'null'}
        How much persons' traits predict: of the variance of one observed change .13, .04, .36
        or nothing. The means by condition and exercise are the same in all.
    seed : int, >= 0
        The same seed gives the same tables; two scenarios with one seed have the same persons.

    Returns
    -------
    SimulatedStudy

    Raises
    ------
    ValueError
        For an unknown scenario, or a number of participants or a seed that is impossible.

    Examples
    --------
    >>> study = simulate_study(2, "base", seed=1)
    >>> study.cases[["participant_id", "session_id"]].to_numpy().tolist()[:3]
    [['P0001', 'rest'], ['P0001', 'bout_1'], ['P0001', 'bout_2']]
    """
    check_request(n_participants, scenario, seed)
    # One stream a step: a change in one step leaves the numbers of the others alone.
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(6)]
    people = draw_people(n_participants, streams[0])
    bouts = draw_bouts(people, streams[1])
    responses = draw_responses(people, bouts, scenario, streams[2])
    pressure = _pressure_table(people, _draw_readings(people, bouts, responses, streams[3]))
    pain = _draw_pain(people, responses.flare, streams[4])
    keys = _keys(n_participants)
    return SimulatedStudy(
        cases=_cases(people, bouts, pain[:, :, 0], keys, streams[5]),
        measurements=_with_keys(keys, pd.concat([pressure, _pain_table(pain[:, :, 1:])])),
        truth=_truth(responses, keys),
    )


def check_request(n_participants: int, scenario: str, seed: int) -> None:
    """Raise ValueError, in one line, unless :func:`simulate_study` can serve the request."""
    known = parameters()["scenarios"]
    if scenario not in known:
        raise ValueError(f"scenario: expected one of {', '.join(known)}, found '{scenario}'.")
    if n_participants < 1:
        raise ValueError(f"n_participants: expected at least 1, found {n_participants}.")
    if seed < 0:
        raise ValueError(f"seed: expected 0 or more, found {seed}.")


def occasion_sd() -> float:
    """SD of the noise of one bout that is not trial noise, log units.

    What remains of the noise of a change when the trials of its four blocks are taken out; half
    of it comes from the bout, half from the rest bout.

    Examples
    --------
    >>> round(occasion_sd(), 3)
    0.034
    """
    settings = parameters()["response"]
    noise = settings["sigma"] ** 2 * (1 - settings["reliability"])
    trials = 4 * settings["trial_sd"] ** 2 / settings["trials"]
    return float(np.sqrt((noise - trials) / 2))


def _draw_readings(
    people: People, bouts: Bouts, responses: Responses, rng: np.random.Generator
) -> Vector:
    """Readings in kPa; axes are person, bout (rest first), site, timepoint, trial."""
    settings = parameters()["response"]
    n = len(people.condition)
    factor = sigma_factor(people.condition)
    shared = settings["occasion_shared_by_sites"]
    occasion = np.sqrt(shared) * rng.standard_normal((n, 3, 1)) + np.sqrt(
        1 - shared
    ) * rng.standard_normal((n, 3, 2))
    change = occasion_sd() * factor[:, None, None] * occasion
    change[:, 1:] += responses.log_change
    day = settings["day_sd"] * rng.standard_normal((n, 3))
    day = np.take_along_axis(day, bouts.period - 1, axis=1)
    before = people.log_ppt[:, None, :] + day[:, :, None]
    level = np.stack([before, before + change], axis=3)
    trials = rng.standard_normal((*level.shape, settings["trials"]))
    noise = settings["trial_sd"] * factor[:, None, None, None, None] * trials
    return to_device(np.exp(level[..., None] + noise))


def _pressure_table(people: People, readings_kpa: Vector) -> pd.DataFrame:
    """Readings as the laboratory's device shows them: its unit, its resolution."""
    labs = parameters()["labs"]
    factor = np.array([KPA_PER_UNIT[lab["unit"]] for lab in labs])[people.lab]
    step = np.array([lab["resolution"] for lab in labs])[people.lab]
    shape = readings_kpa.shape
    axes = (slice(None), *[None] * (len(shape) - 1))
    shown = np.rint(readings_kpa / (factor * step)[axes]) * step[axes]
    person, bout, site, time, trial = (a.ravel() for a in np.indices(shape))
    return pd.DataFrame(
        {
            "row": person * len(SESSIONS) + bout,
            "measure": "ppt",
            "body_site": np.array([BODY_SITES[s] for s in SITES])[site],
            "site_role": np.array(SITES)[site],
            "timepoint": np.array(["pre", "post"])[time],
            "trial": trial + 1,
            # Multiples of .05 and .1 are not exact in binary: show what the display shows.
            "value": shown.ravel().round(2),
            "unit": np.array([lab["unit"] for lab in labs])[people.lab[person]],
        }
    )


def _draw_pain(people: People, p_flare: Vector, rng: np.random.Generator) -> Vector:
    """Clinical pain in points, shape (n, 3, 4): on arrival, pre, post, a day later.

    Without a flare pain moves by at most one point; with one it rises by at least two, right
    after the bout, a day later, or both. Pain before the bout is at most 8, so that it can.
    """
    flare = parameters()["flare"]
    day_sd = np.array(parameters()["marginals"]["pain_nrs"]["day_sd"])[people.condition]
    today = people.pain_nrs[:, None] + day_sd[:, None] * rng.standard_normal(p_flare.shape)
    arrival = clip_rounded(today, 0, 8)
    # A second reading minutes later: the same pain, not the same number.
    pre = clip_rounded(today + 0.3 * rng.standard_normal(p_flare.shape), 0, 8)
    calm = rng.choice([-1, 0, 1], size=(*p_flare.shape, 2), p=flare["step"])
    rise = 2 + rng.binomial(2, flare["extra_rise"], size=p_flare.shape)
    moment = rng.choice(3, size=p_flare.shape, p=flare["moments"])
    has_flare = rng.random(p_flare.shape) < p_flare
    flares_at = np.stack([moment != 1, moment != 0], axis=2) & has_flare[:, :, None]
    after = np.clip(pre[:, :, None] + np.where(flares_at, rise[:, :, None], calm), 0, 10)
    return np.concatenate([arrival[:, :, None], pre[:, :, None], after], axis=2)


def _pain_table(pain_nrs: Vector) -> pd.DataFrame:
    person, bout, time = (a.ravel() for a in np.indices(pain_nrs.shape))
    return pd.DataFrame(
        {
            "row": person * len(SESSIONS) + bout,
            "measure": "pain_nrs",
            "body_site": "own_pain",
            "site_role": "clinical",
            "timepoint": np.array(["pre", "post", "post_24h"])[time],
            "trial": 1,
            "value": pain_nrs.ravel(),
            "unit": "0-10",
        }
    )


def _keys(n_participants: int) -> pd.DataFrame:
    width = max(4, len(str(n_participants)))
    persons = np.array([f"P{i:0{width}d}" for i in range(1, n_participants + 1)])
    return pd.DataFrame(
        {
            "study_id": STUDY_ID,
            "participant_id": np.repeat(persons, len(SESSIONS)),
            "session_id": np.tile(SESSIONS, n_participants),
        }
    )


def _with_keys(keys: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Put the keys of ``row`` in front; rows in the order of bouts."""
    table = table.sort_values("row", kind="stable", ignore_index=True)
    bouts = keys.iloc[table.pop("row").to_numpy()].reset_index(drop=True)
    return pd.concat([bouts, table], axis=1)


def _cases(
    people: People,
    bouts: Bouts,
    pain_now_nrs: Vector,
    keys: pd.DataFrame,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Person columns, with their missing values, beside those of the bout."""
    labs = parameters()["labs"]
    persons = people.table.assign(site_id=np.array([lab["name"] for lab in labs])[people.lab])
    items = [[c] for c in persons.columns if c.startswith(("pcs_", "tsk17_"))]
    persons = punch_holes(persons, [*parameters()["missing"]["groups"], *items], rng)
    timing = pd.Series([lab["cpm_timing"] or None for lab in labs], dtype="str")
    persons["cpm_timing"] = timing.iloc[people.lab].to_numpy()
    cpm = [c for c in persons.columns if c.startswith("cpm_ppt_")]
    persons.loc[persons["cpm_timing"].isna(), cpm] = np.nan
    repeated = persons.iloc[np.repeat(np.arange(len(persons)), len(SESSIONS))]
    now = punch_holes(pd.DataFrame({"pain_now_nrs": pain_now_nrs.ravel()}), [["pain_now_nrs"]], rng)
    visits = pd.DataFrame({"period": bouts.period.ravel()})
    visits["visit_id"] = "visit_" + visits["period"].astype(str)
    parts = [keys, visits, repeated.reset_index(drop=True), now, _exercise_columns(people, bouts)]
    return pd.concat(parts, axis=1)


def _exercise_columns(people: People, bouts: Bouts) -> pd.DataFrame:
    """What is planned, rest first; the metric of aerobic intensity is the laboratory's."""
    settings = parameters()
    exercises = [*settings["exercise"], {"modality": "rest", "painful": 0, **settings["rest"]}]
    rest = np.full((len(people.lab), 1), len(settings["exercise"]))
    exercise = np.concatenate([rest, bouts.exercise], axis=1).ravel()
    of_lab = [[_intensity(e, lab) for e in exercises] for lab in settings["labs"]]
    metric = np.array([[m for m, _ in row] for row in of_lab], dtype=object)
    value = np.array([[v for _, v in row] for row in of_lab])
    lab = np.repeat(people.lab, len(SESSIONS))
    plan = pd.DataFrame(
        {
            "modality": [e["modality"] for e in exercises],
            "duration_min": [float(e["duration_min"]) for e in exercises],
            "body_region": pd.Series([e.get("body_region") for e in exercises], dtype="str"),
            "loads_painful_region": [float(e["painful"]) for e in exercises],
        }
    )
    table = plan.iloc[exercise].reset_index(drop=True)
    table["intensity_metric"] = pd.Series(metric[lab, exercise], dtype="str")
    table["intensity_value"] = value[lab, exercise]
    return table


def _intensity(exercise: dict[str, Any], lab: dict[str, Any]) -> tuple[str | None, float]:
    """Metric and value of an exercise in a laboratory, through the ACSM boundaries."""
    if "relative" not in exercise:
        return None, np.nan
    metric = parameters()["metrics"].get(exercise["modality"], lab["aerobic_metric"])
    scale = load_reference("exercise_intensity.toml")
    points = scale["metrics"][metric]["value"]
    return metric, float(np.rint(np.interp(exercise["relative"], scale["relative"], points)))


def _truth(responses: Responses, keys: pd.DataFrame) -> pd.DataFrame:
    n = len(responses.linear)
    response = np.concatenate([np.zeros((n, 1, 2)), responses.log_change], axis=1)
    linear = np.where(np.tile([False, True, True], n), np.repeat(responses.linear, 3), 0.0)
    return keys[list(KEYS)].assign(
        true_response_local_log=response[:, :, 0].ravel(),
        true_response_remote_log=response[:, :, 1].ravel(),
        linear_predictor=linear,
        p_flare=responses.flare.ravel(),
    )
