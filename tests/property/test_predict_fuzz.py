"""Any table: no traceback, rows in = predictions + rejects, and every reject's reason is true.

The oracle below reads the contract's limits and judges cells by itself. ``EIH_FUZZ_EXAMPLES=10000``
sets the number of tables (default: 200).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.columns import CASES_BY_NAME, KEYS, MISSING_WORDS
from features.reference import load_reference
from models.bundle import Bundle
from pipeline.artefacts import find_bundles
from pipeline.scoring import predict, score_batch
from pipeline.watch import add_up

EXAMPLES = int(os.environ.get("EIH_FUZZ_EXAMPLES", "200"))
ITEMS = tuple(f"pcs_{i}" for i in range(1, 14))
COLUMNS = (
    *KEYS,
    "condition",
    "modality",
    "intensity_metric",
    "intensity_value",
    "sex",
    "age_years",
    "pain_now_nrs",
    *ITEMS,
    "pcs_total",
)
NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)", re.ASCII | re.IGNORECASE)
INTENSITY = load_reference("exercise_intensity.toml")
Fault = tuple[str, str]
# Which code points are assigned, and so can be printed, differs between versions of Unicode; those
# of no plane in use are unassigned in all (HOSTILE has some), and a key with one is refused.
CHARACTERS = st.characters(exclude_categories=("Cs", "Cn"))

HOSTILE = (
    "=1+1",
    "@SUM(A1)",
    "1\x002",
    "\x1b[2J",
    "a\nb",
    'a"b',
    "3,5",
    "1e400",
    "-inf",
    "1e-320",
    "0x10",
    "1_0",
    "٣",
    "\u202eabc",
    "x" * 201,
    " 3 ",
    "\u00a03\u2003",
    "\u30003",
    "3\u00a04",
    "\u200b3",
    "\ufeff3",
    "p\U00050000",
    "p\uffff",
    "p\ue000",
    "p\ud8001",
    "+2",
    "'",
)


def good_row(number: int) -> dict[str, str]:
    row = dict.fromkeys(ITEMS, "2") | {"pcs_total": "26", "age_years": "40", "sex": "female"}
    row |= {"study_id": "s", "participant_id": f"p{number}", "session_id": "1"}
    row |= {"condition": "healthy", "modality": "aerobic", "pain_now_nrs": "0"}
    return row | {"intensity_metric": "percent_hrr", "intensity_value": "60"}


def cells(column: str) -> st.SearchStrategy[str]:
    declared = CASES_BY_NAME[column]
    kinds = [
        st.sampled_from(HOSTILE),
        st.sampled_from(sorted(MISSING_WORDS)),
        st.text(CHARACTERS, max_size=6),
        st.integers(-10, 400).map(str),
        st.floats(-10, 400).map(repr),
    ]
    if declared.levels:
        kinds += [st.sampled_from(declared.levels)] * 3
    return st.one_of(*kinds)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    rows = [good_row(i) for i in range(draw(st.integers(1, 4)))]
    faults = st.tuples(st.integers(0, len(rows) - 1), st.sampled_from(COLUMNS))
    for row, column in draw(st.lists(faults, max_size=6)):
        rows[row][column] = draw(cells(column))
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype="object")


def is_missing(text: str, column: str) -> bool:
    return text.strip().lower() in MISSING_WORDS - set(CASES_BY_NAME[column].levels)


def number(text: str, column: str) -> float | None:
    # Any blank may surround a number, as it may a word; inside, only ASCII counts.
    found = NUMBER.fullmatch(text.strip())
    return None if is_missing(text, column) or not found else float(text)


def cell_fault(text: str, name: str) -> str | None:
    """Judge a single cell by its column's declaration."""
    column = CASES_BY_NAME[name]
    if is_missing(text, name):
        return "missing_value" if column.required else None
    if column.levels:
        return None if text.strip() in column.levels else "unknown_level"
    if column.kind == "text":
        return None
    value = number(text, name)
    if value is None:
        return "not_a_number"
    assert column.low is not None
    assert column.high is not None
    if not column.low <= value <= column.high:
        return "out_of_range"
    return "not_an_integer" if column.kind == "integer" and value != round(value) else None


def faults_of(row: Mapping[str, str]) -> set[Fault]:
    found = {(c, f) for c in COLUMNS if (f := cell_fault(row[c], c))}
    for key in KEYS:
        text = row[key].strip()
        if not is_missing(text, key):
            found |= {(key, "unprintable_key")} if not text.isprintable() else set()
            found |= {(key, "oversized_key")} if len(text) > 200 else set()
    if row["modality"].strip() == "rest":
        found.add(("modality", "no_exercise"))
    return found | intensity_faults(row) | total_faults(row)


def intensity_faults(row: Mapping[str, str]) -> set[Fault]:
    value, metric = number(row["intensity_value"], "intensity_value"), row["intensity_metric"]
    if value is None or cell_fault(row["intensity_value"], "intensity_value"):
        return set()
    if is_missing(metric, "intensity_metric"):
        return {("intensity_value", "missing_metric")}
    if cell_fault(metric, "intensity_metric"):
        return set()
    rate = INTENSITY["heart_rate"]
    limits = {n: (m["value"][0], m["limit"]) for n, m in INTENSITY["metrics"].items()}
    limits["heart_rate_bpm"] = (rate["low"], rate["high"])
    low, high = limits[metric.strip()]
    return set() if low <= value <= high else {("intensity_value", "out_of_range")}


def total_faults(row: Mapping[str, str]) -> set[Fault]:
    total = number(row["pcs_total"], "pcs_total")
    if total is None or cell_fault(row["pcs_total"], "pcs_total"):
        return set()
    answers = [number(row[i], i) if not cell_fault(row[i], i) else None for i in ITEMS]
    known = [a for a in answers if a is not None]
    if len(known) < len(ITEMS):
        return set()
    return set() if abs(sum(known) - total) <= 0.5 else {("pcs_total", "total_disagrees")}


def value_class_is_true(text: str, column: str, kind: str) -> bool:
    value = number(text, column)
    declared = CASES_BY_NAME[column]
    if kind == "above range":
        return value is not None and declared.high is not None and value > declared.high
    if kind == "below range":
        return value is not None and declared.low is not None and value < declared.low
    if kind == "missing":
        return is_missing(text, column)
    if kind == "text where a number is expected":
        return value is None
    return True


class Model:
    """Bundles that hypothesis does not spell out in a report."""

    def __init__(self, bundles: Mapping[str, Bundle]) -> None:
        self.bundles = bundles


@pytest.fixture(scope="module")
def model(trained: Path) -> Model:
    return Model(find_bundles(trained))


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(table=tables())
def test_every_row_is_scored_or_rejected_for_exactly_what_is_wrong_with_it(
    model: Model, table: pd.DataFrame
) -> None:
    scored = predict(table, model.bundles)

    rejects = scored.rejects.set_index("row")
    assert sorted([*scored.predictions["row"], *rejects.index]) == list(range(len(table)))
    for position, row in enumerate(table.to_dict("records")):
        expected = faults_of(row)
        if position not in rejects.index:
            assert expected == set(), [ascii(row[k]) for k in KEYS]
            continue
        said = rejects.loc[position]
        columns, codes = said["column"].split("; "), said["code"].split("; ")
        found = set(zip(columns, codes, strict=True))
        incomplete = {("pcs_total", "total_disagrees")} - expected
        assert found - incomplete == expected
        kinds = said["value_class"].split("; ")
        for column, kind in zip(columns, kinds, strict=True):
            assert value_class_is_true(row[column], column, kind)
    for target in model.bundles:
        assert scored.predictions[f"p_{target}"].between(0, 1).all()


@pytest.mark.slow
@settings(
    max_examples=max(EXAMPLES // 4, 50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(table=tables(), cut=st.integers(0, 4))
def test_a_row_is_judged_and_scored_alike_whatever_its_neighbours(
    model: Model, table: pd.DataFrame, cut: int
) -> None:
    score = score_batch(model.bundles)

    whole = score(table)
    parts = [score(t) for t in (table.iloc[:cut], table.iloc[cut:]) if len(t)]

    for i, expected in enumerate((whole.predictions, whole.rejects)):
        rows = [r for tables in parts for r in tables[i].to_pylist()]
        assert rows == expected.to_pylist()
    assert add_up(p.watched for p in parts).to_dict() == add_up([whole.watched]).to_dict()


def test_the_oracle_itself_sees_every_class_of_fault() -> None:
    row = good_row(0)
    broken = {
        "age_years": "500",
        "pcs_1": "1.5",
        "sex": "?",
        "condition": "",
        "modality": "rest",
        "pain_now_nrs": "much",
        "study_id": "\x1b",
        "session_id": "x" * 201,
        "intensity_metric": "",
    }

    assert faults_of(row) == set()
    assert {code for _, code in faults_of(row | broken)} == {
        "out_of_range",
        "not_an_integer",
        "unknown_level",
        "missing_value",
        "no_exercise",
        "not_a_number",
        "unprintable_key",
        "oversized_key",
        "missing_metric",
    }
    assert faults_of(row | {"pcs_total": "3"}) == {("pcs_total", "total_disagrees")}
    assert np.isfinite(number("60", "intensity_value") or np.nan)
