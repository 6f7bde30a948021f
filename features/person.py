"""Who the person is: age, sex, body, activity, sleep, fitness."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.spec import Builder, FeatureSpec, Vector, delivered_or, log1p, nothing, numbers


def body_mass_index(weight_kg: Vector, height_cm: Vector) -> Vector:
    """Weight / height², kg/m2; NaN where either is missing.

    Examples
    --------
    >>> body_mass_index(np.array([81.0]), np.array([180.0]))
    array([25.])
    """
    return weight_kg / (height_cm / 100.0) ** 2


# Columns taken as they are, and columns whose logarithm is taken, with their blocks.
PLAIN = {
    "sedentary_h_day": ("h/day", "time sitting or lying awake", "activity"),
    "sleep_h_night": ("h/night", "usual time asleep", "sleep"),
    "sleep_quality_nrs": ("points", "sleep quality, + = better", "sleep"),
    "fitness_w_per_kg": ("W/kg", "power per body weight in a fitness test", "fitness"),
    "vo2max_ml_kg_min": ("mL/kg/min", "maximal oxygen uptake", "fitness"),
    "grip_strength_kg": ("kg", "maximal grip strength", "fitness"),
}


def build_person(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return the person's features. A delivered BMI wins over one computed from the body."""
    computed = body_mass_index(numbers(cases, "weight_kg"), numbers(cases, "height_cm"))
    return {
        "age_years": numbers(cases, "age_years"),
        "sex_female": _female(cases),
        "bmi_kg_m2": delivered_or(numbers(cases, "bmi_kg_m2"), computed),
        "physical_activity_log_met_min_week": log1p(
            numbers(cases, "physical_activity_met_min_week")
        ),
        "steps_log_per_day": log1p(numbers(cases, "steps_per_day")),
        **{name: numbers(cases, name) for name in PLAIN},
    }


def _female(cases: pd.DataFrame) -> Vector:
    if "sex" not in cases.columns:
        return nothing(len(cases))
    female, male = (cases["sex"] == "female"), (cases["sex"] == "male")
    return np.where(female | male, female.to_numpy(dtype=np.float64), np.nan)


PERSON = Builder(
    "person",
    (
        FeatureSpec(
            "age_years",
            "person",
            "years",
            ("age_years",),
            "age",
            known_at="screening",
            block="person",
        ),
        FeatureSpec(
            "sex_female",
            "person",
            "0/1",
            ("sex",),
            "female; missing where neither female nor male",
            known_at="screening",
            block="person",
        ),
        FeatureSpec(
            "bmi_kg_m2",
            "person",
            "kg/m2",
            ("bmi_kg_m2", "weight_kg", "height_cm"),
            "body-mass index",
            known_at="screening",
            block="body",
        ),
        FeatureSpec(
            "physical_activity_log_met_min_week",
            "person",
            "ln(1 + MET-min/week)",
            ("physical_activity_met_min_week",),
            "habitual physical activity",
            block="activity",
        ),
        FeatureSpec(
            "steps_log_per_day",
            "person",
            "ln(1 + steps)",
            ("steps_per_day",),
            "habitual steps",
            block="activity",
        ),
        *(
            FeatureSpec(name, "person", unit, (name,), text, block=block)
            for name, (unit, text, block) in PLAIN.items()
        ),
    ),
    build_person,
)
