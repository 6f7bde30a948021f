"""What every exercise would truly do to every simulated person: what no study can know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import ndtr

from features.simulated_people import draw_people
from features.simulated_responses import draw_responses, draw_visits
from features.simulation_parameters import Plan


def true_outcomes(plan: Plan) -> pd.DataFrame:
    """Chances of the study's persons under each exercise, had it been theirs.

    Parameters
    ----------
    plan : Plan
        See :func:`features.simulator.make_plan`.

    Returns
    -------
    DataFrame, one row per person and exercise
        ``participant_id, exercise, modality, true_response_local_log`` (log units), and the chances
        ``p_response`` and ``p_hyperalgesia`` that a measured change exceeds one standard error of
        a change in either direction.
    """
    people = draw_people(plan)
    visits = draw_visits(people, plan)
    response = plan.parameters["response"]
    noise = response["sigma"] * np.sqrt(1 - response["reliability"])
    ids = [f"P{i:04d}" for i in range(1, plan.n_participants + 1)]
    parts = []
    for place, (name, exercise) in enumerate(plan.parameters["exercise"].items()):
        forced = replace(visits, exercise=np.full_like(visits.exercise, place))
        true = draw_responses(people, forced, plan).log_change[:, 0, 0]
        parts.append(
            pd.DataFrame(
                {
                    "participant_id": ids,
                    "exercise": name,
                    "modality": exercise["modality"],
                    "true_response_local_log": true,
                    "p_response": ndtr(true / noise - 1),
                    "p_hyperalgesia": ndtr(-true / noise - 1),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
