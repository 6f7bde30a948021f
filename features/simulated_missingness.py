"""What is missing from a simulated study, by three mechanisms whose rates are parameters.

Completely at random: single values. At random given pain: whole forms, the more often the more
pain was reported. Not at random: the readings after a bout, the more often when pain flared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.simulation_parameters import Plan
from features.spec import Vector

Mask = npt.NDArray[np.bool_]
# Columns that are lost together when a single value of a person is.
TOGETHER = (
    ("age_years",),
    ("sex",),
    ("height_cm", "weight_kg", "bmi_kg_m2"),
    ("pain_duration_months",),
    ("opioid_use",),
    ("physical_activity_met_min_week",),
    ("expectancy",),
    ("cpm_ppt_unconditioned_kpa", "cpm_ppt_conditioned_kpa"),
    ("ts_first_nrs", "ts_last_nrs"),
    ("ppt_baseline_local_kpa",),
    ("ppt_baseline_remote_kpa",),
)
FORMS = ("pcs_", "tsk17_", "hads_")
# Sent home to be filled in, and not always sent back.
RETURNED = (("hads_",), ("physical_activity_met_min_week",))


def lose_at_random(persons: pd.DataFrame, pain_reported: Vector, plan: Plan) -> pd.DataFrame:
    """Blank values of persons, completely at random and at random given reported pain.

    Parameters
    ----------
    persons : DataFrame of shape (n, any)
    pain_reported : ndarray of shape (n,), points of 10, NaN where it was not reported
    plan : Plan

    Returns
    -------
    DataFrame, a copy
    """
    items = [(c,) for c in persons.columns if c.startswith(FORMS)]
    holed = punch_holes(persons, (*TOGETHER, *items), plan, "persons")
    rule = plan.parameters["missing"]["at_random"]
    chance = np.clip(rule["at_no_pain"] + rule["per_point"] * pain_reported, 0, 1)
    lot = plan.rng("forms").random((len(persons), len(RETURNED)))
    # A comparison with NaN is false: without a report of pain no form is lost.
    lost = lot < chance[:, None]
    columns = {
        name: holed[name].mask(lost[:, i])
        for i, starts in enumerate(RETURNED)
        for name in holed.columns
        if name.startswith(starts)
    }
    return holed.assign(**columns)


def punch_holes(
    table: pd.DataFrame, groups: Sequence[Sequence[str]], plan: Plan, step: str
) -> pd.DataFrame:
    """Blank values completely at random; the columns of a group go together.

    Returns
    -------
    DataFrame, a copy
    """
    rate = plan.parameters["missing"]["completely_at_random"]["rate"]
    blank = plan.rng(f"missing {step}").random((len(table), len(groups))) < rate
    holed = {
        name: table[name].mask(blank[:, i]) for i, group in enumerate(groups) for name in group
    }
    return table.assign(**holed)


def leave_early(flared: Mask, plan: Plan) -> Mask:
    """Say who leaves before the readings after a bout; more often those whose pain flared."""
    rule = plan.parameters["missing"]["not_at_random"]
    chance = np.where(flared, rule["with_flare"], rule["without_flare"])
    leaves: Mask = plan.rng("leave early").random(flared.shape) < chance
    return leaves


def drop_out(flared: Mask, plan: Plan) -> Mask:
    """Say whose programme ends without a measurement; more often after a flare at the bout."""
    rule = plan.parameters["programme"]
    chance = np.where(flared, rule["dropout_flare"], rule["dropout"])
    drops: Mask = plan.rng("drop out").random(flared.shape) < chance
    return drops
