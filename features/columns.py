"""Every column of the two tables: type, unit, range, levels and the moment it can be known.

This is the only description of a column: checks, features, help and the data dictionary are
made from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from features.column import Column, KnownAt
from features.columns_biology import BIOLOGY_COLUMNS
from features.columns_exercise import EXERCISE_COLUMNS, HEART_RATE, MODALITIES, REGIONS
from features.columns_history import HISTORY_COLUMNS
from features.columns_modulation import MODULATION_COLUMNS, QST_COLUMNS
from features.columns_person import CONDITION_COLUMNS, CONDITIONS, PERSON_COLUMNS
from features.instruments import INSTRUMENTS
from features.units import MEASURES

__all__ = [
    "CASES",
    "CASES_BY_NAME",
    "CONDITIONS",
    "HEART_RATE",
    "KEYS",
    "KNOWN_AT_ORDER",
    "MEASUREMENTS",
    "MEASUREMENTS_BY_NAME",
    "MEASUREMENT_KEYS",
    "MISSING_WORDS",
    "MODALITIES",
    "REGIONS",
    "SITE_ROLES",
    "TIMEPOINT_PATTERN",
    "Column",
    "KnownAt",
]

KNOWN_AT_ORDER: tuple[KnownAt, ...] = ("screening", "baseline", "during", "after")

KEYS = ("study_id", "participant_id", "session_id")
SITE_ROLES = ("local", "remote", "clinical")
TIMEPOINT_PATTERN = re.compile(r"baseline|pre|during|post|post_\d+(?:min|h|d)|week_\d+")
MISSING_WORDS = frozenset({"", "na", "nan", "n/a", "null", "none", "."})


def _instrument_columns() -> Iterable[Column]:
    for instrument in INSTRUMENTS:
        for name, item in zip(instrument.item_columns(), instrument.items, strict=True):
            number = name.rpartition("_")[2]
            yield Column(
                name,
                "integer" if item.step else "number",
                "baseline",
                f"{instrument.title}, item {number} as answered (reversed items not yet reversed)",
                low=item.low,
                high=item.high,
                source=instrument.source,
            )
        for scale in instrument.scales.values():
            yield Column(
                instrument.scale_column(scale.name),
                "number",
                "baseline",
                instrument.describe(scale.name),
                scale.unit,
                scale.low,
                scale.high,
                source=instrument.source,
            )


def _number(
    name: str, unit: str, low: float, high: float, description: str, known_at: KnownAt = "baseline"
) -> Column:
    return Column(name, "number", known_at, description, unit, low, high)


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
        "visit_day",
        "integer",
        "baseline",
        "day of the visit, counted from the person's first visit (0)",
        "days",
        low=0,
        high=36500,
    ),
    Column(
        "block_number", "integer", "baseline", "order of the bout in its visit", low=1, high=100
    ),
    Column("drug", "category", "baseline", "study drug", levels=("none", "saline", "naloxone")),
    *PERSON_COLUMNS,
    *CONDITION_COLUMNS,
    *_instrument_columns(),
    *MODULATION_COLUMNS,
    *QST_COLUMNS,
    *EXERCISE_COLUMNS,
    *BIOLOGY_COLUMNS,
    *HISTORY_COLUMNS,
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
    Column(
        "timepoint",
        "text",
        "after",
        "baseline (no reference of the outcome), pre, during, post, post_24h, week_12 ...",
        required=True,
    ),
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
