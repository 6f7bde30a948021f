"""A simulated study: persons, bouts, readings, and the truth that made them.

Simulated data show what the software does, not that EIH is predictable. The model is

    change = mean(condition, exercise, site) + laboratory + sigma * (sum of beta * z + u) + noise

with u a stable property of the person and noise made of what makes it in a laboratory: the
occasion of each bout, and the trials of its four blocks (pre, post, and those of the rest bout
of the same visit). Figures and sources are in seeds/evidence, the plan is in
seeds/simulator.toml; features/simulation_parameters.py reads both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from features.simulated_people import draw_people
from features.simulated_readings import draw_readings
from features.simulated_responses import draw_responses, draw_visits
from features.simulated_tables import cases_table, measurements_table, session_rows, truth_table
from features.simulation_parameters import Plan, check_scenario, simulation_parameters


@dataclass(frozen=True)
class SimulatedStudy:
    """Two tables as a study delivers them, and the truth, which no study knows.

    Parameters
    ----------
    cases : DataFrame, one row per participant and session
        Columns of :data:`features.columns.CASES`.
    measurements : DataFrame, one row per trial
        Columns of :data:`features.columns.MEASUREMENTS`; pressures in the unit of the
        laboratory.
    truth : DataFrame, one row per participant and session
        Keys, ``true_response_local_log`` and ``true_response_remote_log`` (log units, without
        noise; 0 for rest), of which ``stratum_mean_local_log``, ``stratum_mean_remote_log`` and
        ``laboratory_log`` are no property of the person; ``linear_predictor`` (sum of beta * z,
        in units of sigma; 0 for rest) and ``p_flare`` (probability; NaN for a programme).
    """

    cases: pd.DataFrame
    measurements: pd.DataFrame
    truth: pd.DataFrame


def simulate_study(
    n_participants: int, scenario: str, seed: int, overrides: Mapping[str, Any] | None = None
) -> SimulatedStudy:
    """Simulate a crossover study with quiet rest before every bout.

    Every person comes twice, for two different exercises; a share comes a third time and repeats
    the first exercise, so that reliability can be estimated; some people in pain then train at
    home for weeks.

    Parameters
    ----------
    n_participants : int, >= 1
    scenario : {'base', 'pessimistic', 'optimistic', 'null'}
        How much persons' traits predict: of the variance of one observed change .13, .04, .36
        or nothing. The means by condition and exercise are the same in all.
    seed : int, >= 0
        The same seed gives the same tables; two scenarios with one seed have the same persons,
        and a person's data do not depend on how many people follow.
    overrides : mapping of dotted path to value, optional
        Parameters other than the published, see
        :func:`features.simulation_parameters.simulation_parameters`.

    Returns
    -------
    SimulatedStudy

    Raises
    ------
    ValueError
        In one line: an unknown scenario or parameter, values that cannot be true together, or a
        number of participants or a seed that is impossible.

    Examples
    --------
    >>> study = simulate_study(2, "base", seed=1)
    >>> study.cases[["participant_id", "session_id"]].to_numpy().tolist()[:3]
    [['P0001', 'rest_1'], ['P0001', 'bout_1'], ['P0001', 'rest_2']]
    """
    plan = make_plan(n_participants, scenario, seed, overrides)
    people = draw_people(plan)
    visits = draw_visits(people, plan)
    responses = draw_responses(people, visits, plan)
    readings = draw_readings(people, responses, plan)
    rows = session_rows(visits)
    return SimulatedStudy(
        cases=cases_table(people, visits, readings, plan, rows),
        measurements=measurements_table(people, readings, plan.parameters, rows),
        truth=truth_table(responses, plan.parameters, rows),
    )


def make_plan(
    n_participants: int, scenario: str, seed: int, overrides: Mapping[str, Any] | None = None
) -> Plan:
    """Return the plan of a study, or raise ValueError as :func:`simulate_study` does."""
    if n_participants < 1:
        raise ValueError(f"n_participants: expected at least 1, found {n_participants}.")
    if seed < 0:
        raise ValueError(f"seed: expected 0 or more, found {seed}.")
    tree = simulation_parameters(overrides)
    check_scenario(tree, scenario)
    return Plan(n_participants, scenario, seed, tree)
