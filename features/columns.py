"""Every column of the two tables: type, unit, range, levels and the moment it can be known.

This is the only description of a column: checks, features, help and the data dictionary are
made from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from features.reference import load_reference
from features.units import MEASURES

KnownAt = Literal["screening", "baseline", "during", "after"]
KNOWN_AT_ORDER: tuple[KnownAt, ...] = ("screening", "baseline", "during", "after")
Kind = Literal["text", "number", "integer", "category"]

KEYS = ("study_id", "participant_id", "session_id")
CONDITIONS = (
    "healthy",
    "chronic_low_back_pain",
    "knee_osteoarthritis",
    "hip_osteoarthritis",
    "chronic_neck_pain",
    "whiplash",
    "cervical_radiculopathy",
    "fibromyalgia",
    "shoulder_pain",
    "other",
)
MODALITIES = ("aerobic", "isometric", "dynamic_resistance", "mixed", "mind_body", "rest")
REGIONS = ("upper_limb", "lower_limb", "trunk", "neck", "whole_body")
SITE_ROLES = ("local", "remote", "clinical")
TIMEPOINT_PATTERN = re.compile(r"pre|during|post|post_\d+(?:min|h|d)|week_\d+")
MISSING_WORDS = frozenset({"", "na", "nan", "n/a", "null", "none", "."})


@dataclass(frozen=True)
class Column:
    """One column of a table.

    ``low`` and ``high`` are inclusive; ``known_at`` is the moment from which the value can be
    known; ``source`` says where ranges and levels come from. A ``required`` column has to be
    there, with a value in every row unless it is ``nullable``.
    """

    name: str
    kind: Kind
    known_at: KnownAt
    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] = ()
    required: bool = False
    nullable: bool = False
    source: str = "contract"

    def expected(self) -> str:
        """Say in words which values are accepted."""
        if self.levels:
            return "one of " + ", ".join(self.levels)
        if self.kind == "text":
            return "a text"
        noun = "whole numbers" if self.kind == "integer" else "numbers"
        if self.low is None and self.high is None:
            return noun
        unit = f" {self.unit}" if self.unit else ""
        return f"{noun} in {self.low:g} to {self.high:g}{unit}"


def _instrument_columns() -> Iterable[Column]:
    for name, form in load_reference("instruments.toml").items():
        low, high, items = form["low"], form["high"], form["items"]
        for item in range(1, items + 1):
            yield Column(
                f"{name}_{item}",
                "integer",
                "baseline",
                f"{form['title']}, item {item} as answered (reversed items not yet reversed)",
                low=low,
                high=high,
                source=form["source"],
            )
        for scale, members in {**form.get("subscales", {}), "total": range(items)}.items():
            yield Column(
                f"{name}_{scale}",
                "number",
                "baseline",
                f"{form['title']}, {scale} score",
                low=low * len(members),
                high=high * len(members),
                source=form["source"],
            )


def _number(
    name: str, unit: str, low: float, high: float, description: str, known_at: KnownAt = "baseline"
) -> Column:
    return Column(name, "number", known_at, description, unit, low, high)


def _flag(name: str, description: str) -> Column:
    return Column(name, "integer", "baseline", description, "", 0, 1)


KEY_COLUMNS = (
    Column("study_id", "text", "screening", "study", required=True),
    Column("participant_id", "text", "screening", "pseudonym of the person", required=True),
    Column("session_id", "text", "screening", "the bout, unique within a person", required=True),
)

CASES: tuple[Column, ...] = (
    *KEY_COLUMNS,
    Column("site_id", "text", "screening", "laboratory"),
    Column("visit_id", "text", "screening", "the day; bouts of one visit share it"),
    Column("period", "integer", "baseline", "order of the visit", low=1, high=100),
    Column(
        "block_number", "integer", "baseline", "order of the bout in its visit", low=1, high=100
    ),
    Column("drug", "category", "baseline", "study drug", levels=("none", "saline", "naloxone")),
    _number("age_years", "years", 10, 110, "age", "screening"),
    Column("sex", "category", "screening", "sex", levels=("female", "male", "other")),
    _number("height_cm", "cm", 100, 230, "height", "screening"),
    _number("weight_kg", "kg", 25, 350, "body weight", "screening"),
    _number("bmi_kg_m2", "kg/m2", 10, 90, "body-mass index", "screening"),
    _number("physical_activity_met_min_week", "MET-min/week", 0, 30000, "habitual activity"),
    _number("fitness_w_per_kg", "W/kg", 0.1, 8, "power per body weight in a fitness test"),
    Column(
        "condition", "category", "screening", "pain condition", levels=CONDITIONS, required=True
    ),
    _number("pain_duration_months", "months", 0, 1200, "time since onset of pain", "screening"),
    _number("pain_now_nrs", "points", 0, 10, "clinical pain before the bout"),
    _flag("opioid_use", "takes an opioid"),
    *_instrument_columns(),
    _number("hads_anxiety", "points", 0, 21, "HADS anxiety score"),
    _number("hads_depression", "points", 0, 21, "HADS depression score"),
    _number("fabq_total", "points", 0, 66, "FABQ, sum of the 11 scored items (PA + W)"),
    _number("expectancy", "points", -10, 10, "expected effect of the exercise on pain, + = relief"),
    _number("cpm_ppt_unconditioned_kpa", "kPa", 20, 2000, "CPM test threshold, alone"),
    _number("cpm_ppt_conditioned_kpa", "kPa", 20, 2000, "CPM test threshold, with conditioning"),
    _number("cpm_rating_unconditioned_nrs", "points", 0, 10, "CPM test rating, alone"),
    _number("cpm_rating_conditioned_nrs", "points", 0, 10, "CPM test rating, with conditioning"),
    Column(
        "cpm_timing",
        "category",
        "baseline",
        "test stimulus during or after the conditioning stimulus",
        levels=("parallel", "sequential"),
    ),
    _number("ts_first_nrs", "points", 0, 10, "temporal summation, first rating of the train"),
    _number("ts_last_nrs", "points", 0, 10, "temporal summation, last rating of the train"),
    _number(
        "ppt_baseline_local_kpa", "kPa", 20, 2000, "threshold, block independent of the outcome"
    ),
    _number(
        "ppt_baseline_remote_kpa", "kPa", 20, 2000, "threshold, block independent of the outcome"
    ),
    Column(
        "modality", "category", "baseline", "exercise planned", levels=MODALITIES, required=True
    ),
    Column(
        "intensity_metric",
        "category",
        "baseline",
        "what intensity_value is measured in",
        levels=tuple(load_reference("exercise_intensity.toml")["metrics"]),
        source="seeds/exercise_intensity.toml",
    ),
    _number("intensity_value", "", 0, 200, "planned intensity"),
    _number("duration_min", "min", 0, 600, "planned duration of the bout"),
    _number("frequency_per_week", "1/week", 0, 21, "bouts per week of a programme"),
    _number("programme_weeks", "weeks", 0, 260, "length of a programme"),
    Column("body_region", "category", "baseline", "region exercised", levels=REGIONS),
    _flag("loads_painful_region", "the exercise loads a painful region"),
    _number("rpe_6_20", "points", 6, 20, "perceived exertion in the bout", "during"),
    _number("pain_during_nrs", "points", 0, 10, "highest pain in the bout", "during"),
    _number("time_to_failure_s", "s", 0, 7200, "time to task failure", "during"),
    _number("pain_post_24h_nrs", "points", 0, 10, "pain the day after", "after"),
)

MEASUREMENTS: tuple[Column, ...] = (
    *KEY_COLUMNS,
    Column(
        "measure", "category", "after", "what was measured", levels=tuple(MEASURES), required=True
    ),
    Column("body_site", "text", "after", "where"),
    Column(
        "site_role",
        "category",
        "after",
        "local to the exercise, remote, or clinical (the person's own pain)",
        levels=SITE_ROLES,
        required=True,
    ),
    Column("timepoint", "text", "after", "pre, during, post, post_24h, week_12 ...", required=True),
    _number("minutes_from_bout", "min", -1e5, 1e6, "minutes after the end of the bout", "after"),
    Column("trial", "integer", "after", "number of the trial", low=1, high=10000),
    Column("stimulus_level", "number", "after", "level of a calibrated stimulus", low=0, high=1e6),
    Column(
        "value",
        "number",
        "after",
        "the reading; missing where a trial was lost",
        required=True,
        nullable=True,
    ),
    Column("unit", "text", "after", "unit of the reading", required=True),
)
MEASUREMENT_KEYS = (
    *KEYS,
    "measure",
    "body_site",
    "site_role",
    "timepoint",
    "trial",
    "stimulus_level",
)
CASES_BY_NAME = {c.name: c for c in CASES}
MEASUREMENTS_BY_NAME = {c.name: c for c in MEASUREMENTS}
