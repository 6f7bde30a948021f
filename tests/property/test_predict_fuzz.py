"""Any table: no traceback, rows in = predictions + rejects, and every reject's reason is true.

The oracle below reads the contract's limits and judges cells, and what is said of them, by itself.
That every way to be wrong was among the tables is counted and checked. ``EIH_FUZZ_EXAMPLES=10000``
sets the number of tables (default: 200).
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from features.columns import CASES, CASES_BY_NAME, KEYS, MISSING_WORDS
from features.instruments import INSTRUMENTS
from features.reference import load_reference
from models.bundle import Bundle
from pipeline.artefacts import find_bundles
from pipeline.batch_input import iter_tasks
from pipeline.errors import TableError
from pipeline.predict import _chunk_scorer
from pipeline.rejects import RAGGED_ROW, VALUE_CLASSES
from pipeline.scoring import PLAIN, predict, score_batch
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
TOTALS = {i.scale_column(s.name) for i in INSTRUMENTS for s in i.scales.values()}
# Any other column that is judged by itself alone.
OTHERS = tuple(c.name for c in CASES if c.name not in {*COLUMNS, *TOTALS})
NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)", re.ASCII | re.IGNORECASE)
INTENSITY = load_reference("exercise_intensity.toml")
CODES = {*VALUE_CLASSES, "out_of_range"}
# Which code points are assigned, and so can be printed, differs between versions of Unicode; those
# of no plane in use are unassigned in all (HOSTILE has some), and a key with one is refused.
CHARACTERS = st.characters(exclude_categories=("Cs", "Cn"))
TOLERANCE = 1e-6  # of a sum of whole points that is delivered beside them
Fault = tuple[str, str]
Row = dict[str, str]

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
    "9" * 25,
    "18446744073709551615",
    "-9223372036854775809",
    "٣",
    "\u202eabc",
    "x" * 201,
    "x" * 200,
    " 3 ",
    "\u00a03\u2003",
    "\u00a0500\u00a0",
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
# Faults of every class, each of which is tried for itself as well: none depends on luck.
SURE = (
    ("condition", "n/a"),
    ("participant_id", " "),
    ("modality", ""),
    ("age_years", "forty"),
    ("age_years", "500"),
    ("pcs_3", "1.5"),
    ("sex", "?"),
    ("intensity_value", "160"),
    ("intensity_value", "-1"),
    ("intensity_metric", ""),
    ("pcs_total", "25"),
    ("pcs_total", "26.25"),
    ("modality", "rest"),
    ("session_id", "1\x07"),
    ("study_id", "s" * 201),
    # As long as a key may be, in characters: no fault.
    ("study_id", "s" * 200),
    ("study_id", "ü" * 200),
)


def good_row(number: int) -> Row:
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
    if declared.low is not None and declared.high is not None:
        ends = (declared.low, declared.high)
        beyond = (math.nextafter(ends[0], -math.inf), math.nextafter(ends[1], math.inf))
        kinds += [st.sampled_from([*ends, *beyond, ends[0] - 1, ends[1] + 1]).map(repr)] * 2
    return st.one_of(*kinds)


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Good rows with some cells replaced, and at times one that repeats another's keys."""
    found = [good_row(i) for i in range(draw(st.integers(1, 5)))]
    others = draw(st.lists(st.sampled_from(OTHERS), max_size=2, unique=True))
    for name in others:
        for row in found:
            row[name] = draw(cells(name))
    places = st.integers(0, len(found) - 1)
    for place, column in draw(st.lists(st.tuples(places, st.sampled_from(COLUMNS)), max_size=5)):
        found[place][column] = draw(cells(column))
    for place, (column, text) in draw(
        st.lists(st.tuples(places, st.sampled_from(SURE)), min_size=1, max_size=2)
    ):
        found[place][column] = text
    if draw(st.integers(0, 4)) == 0:
        found.append(dict(found[draw(places)]))
    return found


def as_table(found: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame(list(found), dtype="object")


# ---- the oracle


def is_missing(text: str, column: str) -> bool:
    return text.strip().lower() in MISSING_WORDS - set(CASES_BY_NAME[column].levels)


def number(text: str, column: str) -> float | None:
    # Any blank may surround a number, as it may a word; inside, only ASCII counts.
    found = NUMBER.fullmatch(text.strip())
    return None if is_missing(text, column) or not found else float(text.strip())


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
    found = {(c, f) for c in row if (f := cell_fault(row[c], c))}
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
    """Whether the delivered total lies outside what its items, 0 to 4 each, leave possible."""
    total = number(row["pcs_total"], "pcs_total")
    if total is None or cell_fault(row["pcs_total"], "pcs_total"):
        return set()
    answers = [number(row[i], i) for i in ITEMS if not cell_fault(row[i], i)]
    known = [a for a in answers if a is not None]
    low, high = sum(known), sum(known) + 4 * (len(ITEMS) - len(known))
    if not known or low - TOLERANCE <= total <= high + TOLERANCE:
        return set()
    return {("pcs_total", "total_disagrees")}


def value_class(text: str, fault: Fault) -> str:
    """Say what a value is, by looking at it."""
    column, code = fault
    value, declared = number(text, column), CASES_BY_NAME[column]
    if code == "out_of_range":
        assert value is not None
        assert declared.low is not None
        assert declared.high is not None
        if declared.low <= value <= declared.high:
            return "out of its metric's range"
        return "below range" if value < declared.low else "above range"
    return {
        "missing_value": "missing",
        "not_a_number": "text where a number is expected",
        "not_an_integer": "decimals where a whole number is expected",
        "unknown_level": "unknown word",
        "missing_metric": "number without its metric",
        "total_disagrees": "score that its items contradict",
        "no_exercise": "rest",
        "unprintable_key": "control or invisible characters",
        "oversized_key": "too long a text",
    }[code]


def judge(
    found: Mapping[int, Row], predictions: pd.DataFrame, rejects: pd.DataFrame, targets: list[str]
) -> Counter[Fault]:
    """Hold predictions and rejects against the rows; return what was wrong with these."""
    seen = Counter[Fault]()
    assert sorted([*predictions["row"], *rejects["row"]]) == sorted(found)
    for said in rejects.to_dict("records"):
        row = found[said["row"]]
        columns, codes, kinds = (said[n].split("; ") for n in ("column", "code", "value_class"))
        listed = list(zip(columns, codes, strict=True))
        assert sorted(listed) == sorted(faults_of(row))
        for fault, kind in zip(listed, kinds, strict=True):
            assert kind == value_class(row[fault[0]], fault)
            assert f"{fault[0]}: expected " in said["reason"]
            seen[fault[1], kind] += 1
    for scored in predictions.to_dict("records"):
        row = found[scored["row"]]
        assert faults_of(row) == set(), [ascii(row[k]) for k in KEYS]
        assert [scored[k] for k in KEYS] == [row[k].strip() for k in KEYS]
        assert all(0 <= scored[f"p_{target}"] <= 1 for target in targets)
    return seen


class Model:
    """Bundles that hypothesis does not spell out in a report."""

    def __init__(self, bundles: Mapping[str, Bundle]) -> None:
        self.bundles = bundles


@pytest.fixture(scope="module")
def model(trained: Path) -> Model:
    return Model(find_bundles(trained))


def often(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


def with_sure_faults(test: Callable[..., None]) -> Callable[..., None]:
    for column, text in SURE:
        test = example(found=[good_row(0), good_row(1) | {column: text}])(test)
    # Nothing else of the column is out of the ordinary.
    return example(found=[good_row(0) | {"study_id": "p\ud8001"}])(test)


def check_all_were_seen(seen: Mapping[Hashable, int], expected: set[str]) -> None:
    """Every class of fault was among the tables, and in a long run often."""
    assert {str(s[0] if isinstance(s, tuple) else s) for s in seen} == expected
    assert min(seen.values()) >= EXAMPLES // 500


@pytest.mark.slow
def test_every_row_is_scored_or_rejected_for_exactly_what_is_wrong_with_it(model: Model) -> None:
    seen = Counter[Fault]()

    @with_sure_faults
    @often(EXAMPLES)
    @given(found=rows())
    def check(found: list[Row]) -> None:
        scored = predict(as_table(found), model.bundles)
        asked = dict(enumerate(found))
        seen.update(judge(asked, scored.predictions, scored.rejects, list(model.bundles)))

    check()

    check_all_were_seen(seen, CODES)
    ranges = {kind for code, kind in seen if code == "out_of_range"}
    assert ranges == {"below range", "above range", "out of its metric's range"}


@pytest.mark.slow
@often(max(EXAMPLES // 4, 50))
@given(found=rows(), cut=st.integers(0, 5))
def test_a_row_is_judged_and_scored_alike_whatever_its_neighbours(
    model: Model, found: list[Row], cut: int
) -> None:
    score, table = score_batch(model.bundles), as_table(found)

    whole = score(table)
    parts = [score(t) for t in (table.iloc[:cut], table.iloc[cut:]) if len(t)]

    for i, expected in enumerate((whole.predictions, whole.rejects)):
        got = [r for tables in parts for r in tables[i].to_pylist()]
        assert got == expected.to_pylist()
    assert add_up(p.watched for p in parts).to_dict() == add_up([whole.watched]).to_dict()


# ---- files


@dataclass(frozen=True)
class File:
    """A file's bytes, the rows in it (None: cells that cannot be assigned), and its header."""

    suffix: str
    content: bytes
    rows: dict[int, Row | None]
    header: tuple[str, ...]


def in_files(text: str) -> str:
    """A file holds no lone surrogate."""
    return text.encode("utf-8", "replace").decode("utf-8")


@st.composite
def files(draw: st.DrawFn) -> File:
    """Rows as delimited text or Parquet; at times ragged, or with a column too few or too many."""
    found = [{k: in_files(v) for k, v in row.items()} for row in draw(rows())]
    header = list(found[0])
    change = draw(st.sampled_from(["", "", "", "", "drop", "repeat", "foreign"]))
    if change == "drop":
        header.remove(draw(st.sampled_from(["study_id", "condition", "modality"])))
    header += {"repeat": ["age_years"], "foreign": ["notes"]}.get(change, [])
    lines = [[row.get(name, "x") for name in header] for row in found]
    suffix = draw(st.sampled_from([".csv", ".tsv", ".parquet"]))
    if suffix == ".parquet":
        if change == "repeat":
            header, lines = header[:-1], [line[:-1] for line in lines]
        buffer = io.BytesIO()
        pd.DataFrame(lines, columns=header, dtype="str").to_parquet(
            buffer, row_group_size=draw(st.integers(1, 3))
        )
        return File(suffix, buffer.getvalue(), dict(enumerate(found)), tuple(header))
    known: dict[int, Row | None] = dict(enumerate(found))
    for place in draw(st.lists(st.integers(0, len(lines) - 1), max_size=1)):
        lines[place] = draw(st.sampled_from([lines[place][:-1], [*lines[place], "x"]]))
        known[place] = None
    text = io.StringIO()
    if draw(st.booleans()):
        text.write("\ufeff")
    writers = [
        csv.writer(
            text,
            delimiter="," if suffix == ".csv" else "\t",
            quoting=csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL,
            lineterminator=end,
        )
        for every in (True, False)
        for end in ("\n", "\r\n")
    ]
    for line in [header, *lines]:
        # A carriage return that is not quoted ends a line.
        quoting = writers[:2] if any("\r" in cell for cell in line) else writers
        draw(st.sampled_from(quoting)).writerow(line)
        text.write(draw(st.sampled_from(["", "", "", "\n"])))
    return File(suffix, text.getvalue().encode(), known, tuple(header))


@pytest.mark.slow
def test_every_row_of_a_file_is_scored_or_rejected_whatever_its_form(model: Model) -> None:
    score = _chunk_scorer(model.bundles, PLAIN)
    seen = Counter[str]()

    def tables_of(path: Path, chunk_rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        tasks = iter_tasks([path], chunk_rows)
        scored = [score(chunk) for task in tasks for chunk in task.chunks(chunk_rows)]
        predictions, rejects = (
            pd.concat([s[i].to_pandas() for s in scored], ignore_index=True) for i in (0, 1)
        )
        return predictions, rejects

    @often(EXAMPLES // 4)
    @given(file=files(), chunk_rows=st.integers(1, 6))
    def check(file: File, chunk_rows: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"in{file.suffix}"
            path.write_bytes(file.content)
            required = {c.name for c in CASES if c.required}
            repeated = len(set(file.header)) < len(file.header)
            if repeated or not required <= set(file.header):
                expected = "once" if repeated else "expected this column"
                with pytest.raises(TableError, match=expected):
                    tables_of(path, chunk_rows)
                seen["repeated column" if repeated else "missing column"] += 1
                return
            predictions, rejects = tables_of(path, chunk_rows)
        ragged = {r for r, row in file.rows.items() if row is None}
        found = {r: row for r, row in file.rows.items() if row is not None}
        is_ragged = rejects["code"] == RAGGED_ROW
        assert set(rejects.loc[is_ragged, "row"]) == ragged
        assert rejects["row"].is_monotonic_increasing
        assert predictions["row"].is_monotonic_increasing
        faults = judge(found, predictions, rejects[~is_ragged], list(model.bundles))
        seen.update({RAGGED_ROW: len(ragged)} | Counter(code for code, _ in faults.elements()))

    check()

    if EXAMPLES >= 2000:  # fewer may miss one by chance
        check_all_were_seen(seen, CODES | {RAGGED_ROW, "missing column", "repeated column"})


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
    assert {code for _, code in faults_of(row | broken)} == CODES - {"total_disagrees"}
    assert faults_of(row | {"pcs_total": "3"}) == {("pcs_total", "total_disagrees")}
    # Without one item of 2 points, 24 to 28 are possible.
    for total, faults in (("24", 0), ("28", 0), ("23", 1), ("29", 1)):
        assert len(faults_of(row | {"pcs_1": "", "pcs_total": total})) == faults
