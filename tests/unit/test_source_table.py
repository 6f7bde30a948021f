"""Codes, labels, boxes and wide readings are mapped as the map says; the rest is refused."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ConfigError, TableError
from pipeline.source_table import SourceTable, map_column
from pipeline.study_map import BlockMap, ColumnMap, ItemMap, SetMissing, parse_study_map
from pipeline.study_tables import build_cases, build_measurements, prepare_tables

LABELS = {"sex": {"1": "Female", "2": "Male"}}


def source(**columns):
    return SourceTable("lab.csv", pd.DataFrame(columns, dtype="object"), LABELS)


@pytest.mark.parametrize(
    "values", [{"1": "female", "2": "male"}, {"Female": "female", "Male": "male"}]
)
@pytest.mark.parametrize("codes", [["1", "2", ""], [1.0, 2.0, np.nan]])
def test_values_are_mapped_by_code_or_by_label(values, codes):
    mapped = map_column(source(sex=codes), ColumnMap(("sex",), values=values))

    assert mapped[:2].tolist() == ["female", "male"]
    assert mapped.isna().tolist() == [False, False, True]


def test_labels_replace_codes_where_the_map_asks_for_them():
    mapped = map_column(source(sex=["2", "1"]), ColumnMap(("sex",), labels=True))

    assert mapped.tolist() == ["Male", "Female"]


def test_a_code_without_a_label_is_refused_with_its_row():
    message = (
        "lab.csv, column 'sex': expected codes that have a label, found 1 without one (row 1). "
        "Label the code in the file or its dictionary, or use 'values' in the study map."
    )
    with pytest.raises(TableError, match="^" + re.escape(message) + "$"):
        map_column(source(sex=["1", "3"]), ColumnMap(("sex",), labels=True))


def test_conditions_accept_code_and_label():
    table = source(sex=["1", "2", "1"])

    assert table.matches({"sex": ["1"]}).tolist() == [True, False, True]
    assert table.matches({"sex": ["Male"]}).tolist() == [False, True, False]


BOXES = {"dx___1": "fibromyalgia", "dx___2": "whiplash"}


def test_boxes_give_the_value_of_the_one_that_is_ticked():
    table = source(dx___1=["1", "0", "0", ""], dx___2=["0", "Checked", "0", ""])

    mapped = map_column(table, ColumnMap(checked=BOXES))

    assert mapped[:2].tolist() == ["fibromyalgia", "whiplash"]
    assert mapped.isna().tolist() == [False, False, True, True]


def test_two_ticked_boxes_are_refused_unless_the_map_says_what_they_mean():
    table = source(dx___1=["1"], dx___2=["1"])

    assert map_column(table, ColumnMap(checked=BOXES, several="other")).tolist() == ["other"]
    with pytest.raises(TableError, match=r"expected one box ticked, found 1 with more than one"):
        map_column(table, ColumnMap(checked=BOXES))


@pytest.mark.parametrize(
    ("columns", "advice"),
    [
        ({"ppt_pre": [1], "id": [1]}, "Is it 'ppt_pre' now?"),
        ({"id;ppt.pre": [1]}, "looks separated by semicolons: say so in 'delimiter' of the file."),
        ({"x": [1]}, "Check the map and the version of the file."),
    ],
)
def test_a_column_that_is_not_there_comes_with_the_likely_cause(columns, advice):
    with pytest.raises(TableError, match=re.escape(advice) + "$"):
        SourceTable("lab.csv", pd.DataFrame(columns)).column("ppt.pre")


@pytest.mark.parametrize(
    ("pattern", "first", "last"),
    [("pcs_{item}", "pcs_1", "pcs_13"), ("PCS{item:02}x", "PCS01x", "PCS13x")],
)
def test_item_patterns_pad_where_they_say_so(pattern, first, last):
    items = ItemMap(pattern, already_reversed=False)

    assert (items.column(1), items.column(13)) == (first, last)


def test_a_stack_is_one_block_per_column_with_its_own_constants():
    block = BlockMap(
        "f",
        constants={"measure": "ppt", "unit": "kPa"},
        stack={"a": {"timepoint": "pre"}, "b": {"timepoint": "post"}},
    )

    parts = block.parts()

    assert {s: p.constants["timepoint"] for s, p in parts.items()} == {"a": "pre", "b": "post"}
    assert {s: p.columns["value"].sources for s, p in parts.items()} == {"a": ("a",), "b": ("b",)}


# ---- a whole map -----------------------------------------------------------------------------


STUDY_KEYS = ("name", "title", "citation", "doi", "licence", "download", "folder")


def small_map(**changes):
    content = {
        "study": dict.fromkeys(STUDY_KEYS, "x"),
        "files": {"lab": {"path": "lab.csv"}},
        "cases": {
            "file": "lab",
            "rows": ["id"],
            "constants": {"session_id": "s", "condition": "healthy", "modality": "rest"},
            "columns": {"participant_id": "id"},
        },
        "measurements": [
            {
                "file": "lab",
                "constants": {
                    "measure": "ppt",
                    "unit": "kPa",
                    "site_role": "local",
                    "timepoint": "pre",
                },
                "stack": {"ppt1": {"trial": 1}, "ppt2": {"trial": 2}},
            }
        ],
    }
    return content | changes


def apply(content, table):
    study_map = parse_study_map("x", content)
    sources, emptied = prepare_tables(study_map, {"lab": table}, {"lab": "lab.csv"})
    cases = build_cases(study_map, sources)
    return cases, build_measurements(study_map, sources, cases), emptied


TABLE = pd.DataFrame(
    {"id": ["a", "b"], "ppt1": ["300", "-99"], "ppt2": ["310", "999"], "note": ["-99", ""]},
    dtype="object",
)


def test_codes_of_a_pattern_of_columns_become_missing_and_are_named():
    rule = {"file": "lab", "columns": ["ppt*"], "codes": [-99, 999], "reason": "not done"}

    _, blocks, emptied = apply(small_map(set_missing=[rule]), TABLE)

    assert [b.table["value"].tolist() for b in blocks] == [["300"], ["310"]]
    assert (emptied[0].columns, emptied[0].values) == (("ppt1", "ppt2"), 2)
    assert emptied[0].row_numbers == (1,)


@pytest.mark.parametrize("slip", ["301", "-100"])
def test_values_outside_bounds_become_missing_and_the_bounds_stay(slip):
    rule = {"file": "lab", "columns": ["ppt1"], "outside": [-99, 300], "reason": "slip"}

    _, blocks, emptied = apply(small_map(set_missing=[rule]), TABLE.assign(ppt1=["300", slip]))

    assert blocks[0].table["value"].tolist() == ["300"]
    assert emptied[0].row_numbers == (1,)


def test_numbered_rows_serve_as_persons_where_there_is_no_identifier():
    content = small_map(files={"lab": {"path": "lab.csv", "number_rows": "row"}})
    content["cases"] |= {"rows": ["row"], "columns": {"participant_id": "row"}}

    cases, _, _ = apply(content, TABLE.drop(columns="id"))

    assert cases["participant_id"].tolist() == [1, 2]


def test_a_name_for_numbered_rows_that_is_taken_is_refused():
    content = small_map(files={"lab": {"path": "lab.csv", "number_rows": "note"}})

    with pytest.raises(TableError, match="expected no column 'note'"):
        apply(content, TABLE)


def test_events_of_one_file_are_joined_under_their_prefixes():
    long = pd.DataFrame(
        {
            "id": ["a", "a", "b", "b"],
            "event": ["screening", "visit", "screening", "visit"],
            "age": ["30", "", "40", ""],
            "ppt1": ["", "300", "", "310"],
            "ppt2": ["", "320", "", "330"],
        },
        dtype="object",
    )
    content = small_map()
    content["cases"] |= {
        "where": {"event": "visit"},
        "join": [{"file": "lab", "on": "id", "where": {"event": "screening"}, "prefix": "first"}],
        "columns": {"participant_id": "id", "age_years": "first.age"},
    }

    cases, _, _ = apply(content, long)

    assert cases["age_years"].tolist() == ["30", "40"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": {"value": "ppt1"}}, "expected 'value' in columns or a stack, found both."),
        ({"stack": {"ppt1": {"unit": "kPa"}}}, ".stack.ppt1: 'unit' is in constants too."),
        ({"stack": {}}, "expected 'value' in columns, found none."),
        ({"stack": {"ppt1": {"tral": 1}}}, ".constants: 'tral' is not a column to map."),
    ],
)
def test_a_faulty_stack_is_refused(change, message):
    content = small_map()
    content["measurements"][0] |= change

    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_study_map("x", content)


def test_an_outcome_and_a_reason_for_none_exclude_each_other():
    content = small_map(outcome={"reference": "pre"})
    content["study"]["no_outcome"] = "no exercise"

    with pytest.raises(ConfigError, match=re.escape("[outcome] or study.no_outcome, found both")):
        parse_study_map("x", content)


def test_places_left_to_fill_in_are_all_named():
    content = small_map()
    content["study"]["title"] = "FILL IN: a title"
    content["measurements"][0]["constants"]["site_role"] = "FILL IN: where"

    with pytest.raises(ConfigError) as caught:
        parse_study_map("x", content)
    assert str(caught.value) == (
        "study map 'x': expected every place marked FILL IN to be filled in or deleted, found 2 "
        "left (study.title, measurements 1.constants.site_role)."
    )


def test_bounds_the_wrong_way_round_are_refused():
    rule = {"file": "lab", "columns": ["ppt1"], "outside": [5, 1], "reason": "slip"}

    with pytest.raises(ConfigError, match="expected low before high"):
        parse_study_map("x", small_map(set_missing=[rule]))


def test_a_rule_without_rows_codes_or_bounds_empties_the_column():
    rule = SetMissing("lab", ("note",), "withdrawn")

    assert (rule.where, rule.codes, rule.outside) == ({}, (), None)
    _, _, emptied = apply(
        small_map(set_missing=[{"file": "lab", "columns": ["note"], "reason": "withdrawn"}]), TABLE
    )
    assert emptied[0].values == 1
