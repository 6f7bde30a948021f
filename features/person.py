"""Who the person is: age, sex, body, activity, fitness."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.spec import Builder, FeatureSpec, Vector, numbers


def body_mass_index(weight_kg: Vector, height_cm: Vector) -> Vector:
    """Weight / height², kg/m2; NaN where either is missing.

    Examples
    --------
    >>> body_mass_index(np.array([81.0]), np.array([180.0]))
    array([25.])
    """
    return weight_kg / (height_cm / 100.0) ** 2


def build_person(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return the person's features. A delivered BMI wins over one computed from the body."""
    delivered = numbers(cases, "bmi_kg_m2")
    computed = body_mass_index(numbers(cases, "weight_kg"), numbers(cases, "height_cm"))
    return {
        "age_years": numbers(cases, "age_years"),
        "sex_female": _female(cases),
        "bmi_kg_m2": np.where(np.isnan(delivered), computed, delivered),
        "physical_activity_log_met_min_week": np.log1p(
            numbers(cases, "physical_activity_met_min_week")
        ),
        "fitness_w_per_kg": numbers(cases, "fitness_w_per_kg"),
    }


def _female(cases: pd.DataFrame) -> Vector:
    if "sex" not in cases.columns:
        return np.full(len(cases), np.nan)
    female, male = (cases["sex"] == "female"), (cases["sex"] == "male")
    return np.where(female | male, female.to_numpy(dtype=np.float64), np.nan)


PERSON = Builder(
    "person",
    (
        FeatureSpec("age_years", "person", "years", ("age_years",), "age", known_at="screening"),
        FeatureSpec(
            "sex_female",
            "person",
            "0/1",
            ("sex",),
            "female; missing where neither female nor male",
            known_at="screening",
        ),
        FeatureSpec(
            "bmi_kg_m2",
            "person",
            "kg/m2",
            ("bmi_kg_m2", "weight_kg", "height_cm"),
            "body-mass index",
            known_at="screening",
        ),
        FeatureSpec(
            "physical_activity_log_met_min_week",
            "person",
            "ln(1 + MET-min/week)",
            ("physical_activity_met_min_week",),
            "habitual physical activity",
        ),
        FeatureSpec(
            "fitness_w_per_kg",
            "person",
            "W/kg",
            ("fitness_w_per_kg",),
            "power per body weight in a fitness test",
        ),
    ),
    build_person,
)
