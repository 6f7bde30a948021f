"""The pain condition and its group, clinical pain, medication and other treatment."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.column import KnownAt
from features.columns_person import (
    COINTERVENTIONS,
    CONDITION_GROUPS,
    CONDITIONS,
    MEDICATIONS,
)
from features.reference import load_reference
from features.spec import (
    Builder,
    FeatureSpec,
    Role,
    Vector,
    indicators,
    level_codes,
    log1p,
    numbers,
    total,
)


def _groups(condition: dict[str, Vector]) -> dict[str, Vector]:
    """Membership of each group: the sum of its conditions' indicators."""
    return {
        f"condition_group_{group}": total(condition[f"condition_{m}"] for m in members)
        for group, members in CONDITION_GROUPS.items()
    }


def _nociplastic(cases: pd.DataFrame) -> Vector:
    """0 none, 1 possible, 2 probable (Kosek 2021); NaN where not graded."""
    codes = level_codes(cases, "nociplastic_grade")
    return np.where(codes < 0, np.nan, codes.astype(np.float64))


def refractory(treatments_failed: Vector) -> Vector:
    """1 where at least as many treatments failed as seeds/conditions.toml says, else 0.

    The number is this project's proposal: no accepted one was found.

    Examples
    --------
    >>> refractory(np.array([2.0, 3.0, np.nan]))
    array([ 0.,  1., nan])
    """
    least = load_reference("conditions.toml")["refractory"]["treatments_failed_at_least"]
    reached = (treatments_failed >= least).astype(np.float64)
    return np.where(np.isnan(treatments_failed), np.nan, reached)


def _treatment(cases: pd.DataFrame) -> dict[str, Vector]:
    failed = numbers(cases, "treatments_failed")
    beside = {f"cointervention_{n}": numbers(cases, f"cointervention_{n}") for n in COINTERVENTIONS}
    return {
        **{name: numbers(cases, name) for name in MEDICATIONS},
        "opioid_dose_log_mg_day": log1p(numbers(cases, "opioid_dose_mg_day")),
        "treatments_failed_log": log1p(failed),
        "refractory_pain": refractory(failed),
        **beside,
        "cointerventions": total(beside.values()),
    }


PAIN = {
    "pain_now_nrs": "clinical pain before the bout, 0-10",
    "pain_average_week_nrs": "average clinical pain of the last week, 0-10",
    "pain_worst_week_nrs": "worst clinical pain of the last week, 0-10",
}


def build_condition(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return condition and group, pain, its duration and spread, medication and treatment."""
    condition = indicators(cases, "condition")
    return {
        **condition,
        **_groups(condition),
        **{name: numbers(cases, name) for name in PAIN},
        "pain_duration_log_months": log1p(numbers(cases, "pain_duration_months")),
        "pain_areas_log": log1p(numbers(cases, "pain_areas")),
        "widespread_pain": numbers(cases, "widespread_pain"),
        "nociplastic_grade": _nociplastic(cases),
        **_treatment(cases),
    }


def _spec(
    name: str,
    unit: str,
    text: str,
    block: str,
    *,
    source: str = "",
    role: Role = "predictor",
    known_at: KnownAt = "baseline",
) -> FeatureSpec:
    return FeatureSpec(
        name, "condition", unit, (source or name,), text, role, known_at, block=block
    )


def _condition_specs() -> tuple[FeatureSpec, ...]:
    single = [
        _spec(
            f"condition_{level}",
            "0/1",
            f"condition is {level.replace('_', ' ')}",
            "condition",
            source="condition",
            role="stratum",
            known_at="screening",
        )
        for level in CONDITIONS
    ]
    # No stratum of its own: a group is a sum of strata. A penalised model pools through it.
    groups = [
        _spec(
            f"condition_group_{group}",
            "0/1",
            f"condition is of the group {group.replace('_', ' ')}",
            "condition",
            source="condition",
            known_at="screening",
        )
        for group in CONDITION_GROUPS
    ]
    return (*single, *groups)


def _pain_specs() -> tuple[FeatureSpec, ...]:
    return (
        *(_spec(name, "points", text, "pain", role="baseline") for name, text in PAIN.items()),
        _spec(
            "pain_duration_log_months",
            "ln(1 + months)",
            "time since onset of pain",
            "pain",
            source="pain_duration_months",
            known_at="screening",
        ),
        _spec(
            "pain_areas_log",
            "ln(1 + areas)",
            "painful areas on a body chart",
            "widespread_pain",
            source="pain_areas",
        ),
        _spec(
            "widespread_pain",
            "0/1",
            "pain is widespread by the study's own criterion",
            "widespread_pain",
        ),
        _spec(
            "nociplastic_grade",
            "0-2",
            "grade of nociplastic pain, 0 none, 1 possible, 2 probable",
            "widespread_pain",
        ),
    )


def _treatment_specs() -> tuple[FeatureSpec, ...]:
    names = tuple(f"cointervention_{n}" for n in COINTERVENTIONS)
    return (
        *(_spec(name, "0/1", text, "medication") for name, text in MEDICATIONS.items()),
        _spec(
            "opioid_dose_log_mg_day",
            "ln(1 + mg/day)",
            "daily opioid dose in oral morphine equivalents",
            "medication",
            source="opioid_dose_mg_day",
        ),
        _spec(
            "treatments_failed_log",
            "ln(1 + treatments)",
            "pain treatments tried without relief",
            "treatment_history",
            source="treatments_failed",
        ),
        _spec(
            "refractory_pain",
            "0/1",
            "pain refractory to treatment (number of failed treatments)",
            "treatment_history",
            source="treatments_failed",
        ),
        *(
            _spec(f"cointervention_{n}", "0/1", f"beside the exercise: {text}", "cointerventions")
            for n, text in COINTERVENTIONS.items()
        ),
        FeatureSpec(
            "cointerventions",
            "condition",
            "count",
            names,
            "treatments beside the exercise; missing where one is not known",
            block="cointerventions",
        ),
    )


CONDITION = Builder(
    "condition", (*_condition_specs(), *_pain_specs(), *_treatment_specs()), build_condition
)
