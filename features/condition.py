"""The pain condition and clinical pain before the bout."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.columns import CONDITIONS
from features.spec import Builder, FeatureSpec, Vector, indicators, numbers


def build_condition(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return condition indicators, pain, its duration and opioid use."""
    return indicators(cases, "condition") | {
        "pain_now_nrs": numbers(cases, "pain_now_nrs"),
        "pain_duration_log_months": np.log1p(numbers(cases, "pain_duration_months")),
        "opioid_use": numbers(cases, "opioid_use"),
    }


CONDITION = Builder(
    "condition",
    (
        *(
            FeatureSpec(
                f"condition_{level}",
                "condition",
                "0/1",
                ("condition",),
                f"condition is {level.replace('_', ' ')}",
                role="stratum",
                known_at="screening",
            )
            for level in CONDITIONS
        ),
        FeatureSpec(
            "pain_now_nrs",
            "condition",
            "points",
            ("pain_now_nrs",),
            "clinical pain before the bout, 0-10",
            role="baseline",
        ),
        FeatureSpec(
            "pain_duration_log_months",
            "condition",
            "ln(1 + months)",
            ("pain_duration_months",),
            "time since onset of pain",
            known_at="screening",
        ),
        FeatureSpec("opioid_use", "condition", "0/1", ("opioid_use",), "takes an opioid"),
    ),
    build_condition,
)
