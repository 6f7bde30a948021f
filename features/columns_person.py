"""Columns of the person and of the pain condition."""

from __future__ import annotations

from features.column import Column, choice, count, flag, number
from features.reference import load_reference

CONDITION_GROUPS: dict[str, tuple[str, ...]] = {
    name: tuple(group["conditions"])
    for name, group in load_reference("conditions.toml")["groups"].items()
}
CONDITIONS = tuple(c for members in CONDITION_GROUPS.values() for c in members)
NOCIPLASTIC_GRADES = ("none", "possible", "probable")
MEDICATIONS = {
    "opioid_use": "takes an opioid",
    "antidepressant_use": "takes an antidepressant",
    "anticonvulsant_use": "takes an anticonvulsant (gabapentinoids included)",
    "nsaid_use": "takes a non-steroidal anti-inflammatory drug",
    "paracetamol_use": "takes paracetamol",
    "muscle_relaxant_use": "takes a muscle relaxant",
    "beta_blocker_use": "takes a beta blocker: heart rates predicted from age do not hold",
}
COINTERVENTIONS = {
    "pain_education": "pain education",
    "psychological_therapy": "psychological therapy",
    "manual_therapy": "manual therapy",
    "medication": "a medication started or changed",
}
_PLAUSIBLE = "plausibility limits of this project, not norms"

PERSON_COLUMNS: tuple[Column, ...] = (
    number("age_years", "years", (10, 110), "age", known_at="screening"),
    Column("sex", "category", "screening", "sex", levels=("female", "male", "other")),
    Column(
        "screening_flag",
        "integer",
        "screening",
        "pre-exercise screen: 1 = any answer yes, 0 = all no; missing = unknown",
        low=0,
        high=1,
        source="this project's own column, after a PAR-Q-like form; no feature",
    ),
    number("height_cm", "cm", (100, 230), "height", known_at="screening"),
    number("weight_kg", "kg", (25, 350), "body weight", known_at="screening"),
    number("bmi_kg_m2", "kg/m2", (10, 90), "body-mass index", known_at="screening"),
    number("physical_activity_met_min_week", "MET-min/week", (0, 30000), "habitual activity"),
    number("steps_per_day", "1/day", (0, 60000), "habitual steps", source=_PLAUSIBLE),
    number("sedentary_h_day", "h/day", (0, 24), "time sitting or lying awake", source=_PLAUSIBLE),
    number("sleep_h_night", "h/night", (0, 20), "usual time asleep", source=_PLAUSIBLE),
    number("sleep_quality_nrs", "points", (0, 10), "sleep quality, + = better", source=_PLAUSIBLE),
    number("fitness_w_per_kg", "W/kg", (0.1, 8), "power per body weight in a fitness test"),
    number("vo2max_ml_kg_min", "mL/kg/min", (5, 100), "maximal oxygen uptake", source=_PLAUSIBLE),
    number("grip_strength_kg", "kg", (0, 120), "maximal grip strength", source=_PLAUSIBLE),
)

CONDITION_COLUMNS: tuple[Column, ...] = (
    Column(
        "condition",
        "category",
        "screening",
        "pain condition",
        levels=CONDITIONS,
        required=True,
        source="seeds/conditions.toml",
    ),
    number(
        "pain_duration_months",
        "months",
        (0, 1200),
        "time since onset of pain",
        known_at="screening",
    ),
    number("pain_now_nrs", "points", (0, 10), "clinical pain before the bout"),
    number("pain_average_week_nrs", "points", (0, 10), "average clinical pain of the last week"),
    number("pain_worst_week_nrs", "points", (0, 10), "worst clinical pain of the last week"),
    count("pain_areas", (0, 45), "painful areas on a body chart", source=_PLAUSIBLE),
    flag("widespread_pain", "pain is widespread by the study's own criterion"),
    choice(
        "nociplastic_grade",
        NOCIPLASTIC_GRADES,
        "clinical grade of nociplastic pain",
        source="Kosek 2021, as described in PMC8347369",
    ),
    *(flag(name, text) for name, text in MEDICATIONS.items()),
    number(
        "opioid_dose_mg_day",
        "mg oral morphine/day",
        (0, 3000),
        "daily opioid dose in oral morphine equivalents",
        source=_PLAUSIBLE,
    ),
    count("treatments_failed", (0, 50), "pain treatments tried without relief", source=_PLAUSIBLE),
    *(
        flag(f"cointervention_{name}", f"beside the exercise: {text}")
        for name, text in COINTERVENTIONS.items()
    ),
)
