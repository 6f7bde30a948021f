"""A study map is applied to tables exactly as it says; what it cannot map is refused."""

from __future__ import annotations

import copy
import re
import tomllib

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import TableError
from pipeline.study_map import parse_study_map
from pipeline.study_tables import build_cases, build_measurements, prepare_tables

MAP = tomllib.loads(
    """
    [study]
    name = "small"
    title = "A small study"
    citation = "Nobody 2020"
    doi = "10.0/0"
    licence = "none"
    download = "https://example.org/small"
    folder = "small_study"

    [files.trials]
    path = "trials.csv"
    [files.forms]
    path = "forms.csv"

    [[derive]]
    file = "trials"
    column = "work"
    from = "sum"
    difference_within = ["who", "day"]
    ordered_by = "block"

    [[set_missing]]
    file = "trials"
    where = { who = 2, block = [2, 3] }
    columns = ["work"]
    reason = "lost log"

    [cases]
    file = "trials"
    where = { who = [1, 2] }
    rows = ["who", "day", "block"]
    constants = { condition = "healthy", modality = "aerobic" }
    [[cases.join]]
    file = "forms"
    on = "who"
    [cases.columns]
    participant_id = "who"
    session_id = ["day", "block"]
    [cases.columns.sex]
    from = "sex"
    values = { 0 = "male", 1 = "female" }
    [cases.columns.pain_now_nrs]
    from = "forms.pain_mm"
    scale = "1/10"
    [cases.columns.expectancy]
    from = "forms.hope"
    scale = "10/3"
    offset = "-40/3"
    [cases.extra]
    self_efficacy = "forms.efficacy"

    [[measurements]]
    file = "trials"
    where = { kind = "heat" }
    columns = { value = "rating", trial = "trial" }
    [measurements.constants]
    measure = "pain_rating_heat"
    site_role = "remote"
    timepoint = "post"
    unit = "0-10"

    [[measurements]]
    file = "trials"
    distinct = true
    columns = { value = "work" }
    [measurements.constants]
    measure = "exercise_work"
    site_role = "clinical"
    timepoint = "during"
    unit = "W*s"

    [outcome]
    reference = "pre"
    """
)


def make_trials():
    """Two persons x one day x two blocks x two trials, and a third person who is no case."""
    rows = [
        (who, "1", block, trial, kind)
        for who in ("1", "2", "3")
        for block in ("1", "2")
        for trial, kind in (("1", "heat"), ("2", "pressure"))
    ]
    table = pd.DataFrame(rows, columns=["who", "day", "block", "trial", "kind"], dtype="object")
    table["sex"] = table["who"].map({"1": "0.0", "2": "1", "3": "0"})
    table["sum"] = [
        str(100 * int(b) + 7 * int(w)) for w, b in zip(table.who, table.block, strict=True)
    ]
    table["rating"] = [str(i % 10) for i in range(len(table))]
    return table


def make_forms():
    return pd.DataFrame(
        {
            "who": ["2", "1.0"],
            "pain_mm": ["30", "70"],
            "hope": ["7", "4"],
            "efficacy": ["12", ""],
        }
    )


def apply_map(content, trials=None, forms=None):
    study_map = parse_study_map("small", content)
    tables = {
        "trials": make_trials() if trials is None else trials,
        "forms": make_forms() if forms is None else forms,
    }
    names = {key: f"{key}.csv" for key in tables}
    sources, emptied = prepare_tables(study_map, tables, names)
    cases = build_cases(study_map, sources)
    return cases, build_measurements(study_map, sources, cases), emptied


@pytest.fixture
def content():
    return copy.deepcopy(MAP)


# ---- applying --------------------------------------------------------------------------------


def test_cases_are_one_row_per_distinct_rows_at_their_first_position(content):
    cases, _, _ = apply_map(content)

    assert cases.index.tolist() == [0, 2, 4, 6]
    assert cases["participant_id"].tolist() == ["1", "1", "2", "2"]
    assert cases["session_id"].tolist() == ["1-1", "1-2", "1-1", "1-2"]
    assert set(cases["study_id"]) == {"small"}
    assert set(cases["condition"]) == {"healthy"}


def test_value_maps_read_numeric_text_as_the_number(content):
    cases, _, _ = apply_map(content)

    assert cases["sex"].tolist() == ["male", "male", "female", "female"]


def test_linear_conversion_keeps_the_ends_of_the_scale(content):
    cases, _, _ = apply_map(content)

    assert cases["pain_now_nrs"].tolist() == [7.0, 7.0, 3.0, 3.0]
    assert cases["expectancy"].tolist() == [0.0, 0.0, 10.0, 10.0]  # (7 - 4) * 10 / 3


def test_joined_file_is_matched_by_key_not_by_position(content):
    cases, _, _ = apply_map(content)

    assert cases["self_efficacy"].iloc[[2, 3]].tolist() == [12.0, 12.0]
    assert cases["self_efficacy"].iloc[[0, 1]].isna().all()


@pytest.mark.parametrize("wanted", [1, 1.0, "1", "1.0", [1, 9]])
def test_where_compares_numeric_text_and_numbers_as_equal(content, wanted):
    content["cases"]["where"] = {"who": wanted}
    content["measurements"] = content["measurements"][:1]

    for typed in (make_trials(), make_trials().astype({"who": float})):
        cases, blocks, _ = apply_map(content, trials=typed)
        assert len(cases) == 2
        assert blocks[0].no_case == 4


def test_difference_starts_from_zero_and_follows_the_order_not_the_file(content):
    del content["set_missing"]

    _, blocks, _ = apply_map(content, trials=make_trials().iloc[::-1])

    work = blocks[1].table.set_index(["participant_id", "session_id"])["value"]
    assert work.to_dict() == {
        ("1", "1-1"): 107,
        ("1", "1-2"): 100,
        ("2", "1-1"): 114,
        ("2", "1-2"): 100,
    }


def test_difference_is_missing_on_both_sides_of_a_missing_sum(content):
    del content["set_missing"]
    trials = make_trials()
    trials.loc[(trials.who == "1") & (trials.block == "1"), "sum"] = "NA"

    _, blocks, _ = apply_map(content, trials=trials)

    assert "1" not in set(blocks[1].table["participant_id"])


def test_set_missing_empties_derived_values_and_counts_them(content):
    _, blocks, emptied = apply_map(content)

    assert (emptied[0].rows, emptied[0].values, emptied[0].reason) == (2, 2, "lost log")
    assert blocks[1].no_value == 1
    assert len(blocks[1].table) == 3


def test_set_missing_counts_only_values_that_were_there(content):
    trials = make_trials()
    trials.loc[(trials.who == "2") & (trials.block == "2"), "sum"] = "NA"

    _, _, emptied = apply_map(content, trials=trials)

    assert (emptied[0].rows, emptied[0].values) == (2, 0)


def test_rows_left_out_of_a_block_are_counted_by_reason(content):
    trials = make_trials()
    trials.loc[0, "rating"] = "NA"

    _, (heat, work), _ = apply_map(content, trials=trials)

    assert (heat.rows_read, heat.not_selected, heat.no_value, heat.no_case) == (12, 6, 1, 2)
    assert heat.table.index.tolist() == [2, 4, 6]
    assert (work.repeated, work.no_value, work.no_case, len(work.table)) == (6, 1, 2, 3)


def make_items(n_items=17):
    items = pd.DataFrame({f"t{i}": ["1", ""] for i in range(1, n_items + 1)})
    return make_forms().assign(**items, stored_total=["99", "40"])


def test_items_stored_reversed_are_unreversed_and_totals_used_only_without_items(content):
    content["cases"]["items"] = {
        "tsk17": {
            "pattern": "forms.t{item}",
            "already_reversed": True,
            "total": "forms.stored_total",
        }
    }

    cases, _, _ = apply_map(content, forms=make_items())

    first, second = cases[cases.participant_id == "1"].iloc[0], cases.iloc[2]
    assert second["tsk17_1"] == 1
    assert second["tsk17_4"] == 1 + 4 - 1
    assert np.isnan(second["tsk17_total"])
    assert np.isnan(first["tsk17_1"])
    assert first["tsk17_total"] == 40


def test_items_stored_as_answered_stay(content):
    content["cases"]["items"] = {"tsk17": {"pattern": "forms.t{item}", "already_reversed": False}}

    cases, _, _ = apply_map(content, forms=make_items())

    assert cases["tsk17_4"].iloc[2] == 1
    assert "tsk17_total" not in cases


# ---- refusals of the tables ------------------------------------------------------------------


def with_cell(column, row, value):
    trials = make_trials()
    trials.loc[row, column] = value
    return trials


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        (
            make_trials().drop(columns="rating"),
            "trials.csv: expected the column 'rating' that the study map names, found 8 others. "
            "Check the map and the version of the file.",
        ),
        (
            with_cell("sex", [1, 4], "7"),
            "trials.csv, column 'sex': expected one of 0, 1, found 2 with another value "
            "(rows 1, 4). Add it to 'values' in the study map.",
        ),
        (
            with_cell("sex", 5, "0"),
            "trials.csv, column 'sex': expected one value per who, day, block, found 1 that differ "
            "from the first (row 5). Check which columns tell the rows apart.",
        ),
        (
            with_cell("sum", 3, "5"),
            "trials.csv, column 'sum': expected one value per who, day, block, found 1 that differ "
            "from the first (row 3). Check which columns tell the rows apart.",
        ),
        (
            with_cell("sum", [2, 3], "many"),
            "trials.csv, column 'sum': expected numbers, found 2 that are not numbers (rows 2, 3).",
        ),
    ],
)
def test_table_faults_name_file_column_and_rows(content, trials, message):
    with pytest.raises(TableError, match="^" + re.escape(message) + "$"):
        apply_map(content, trials=trials)


def test_distinct_refuses_rows_that_differ_in_value_only(content):
    content["measurements"][1]["columns"]["value"] = "rating"

    keys = "participant_id, session_id, measure, site_role, timepoint, unit"
    message = (
        f"trials.csv, column 'value': expected one value per {keys}, found 6 that differ from the "
        "first (rows 1, 3, 5, 7, 9 and 1 more). Check which columns tell the rows apart."
    )
    with pytest.raises(TableError, match="^" + re.escape(message) + "$"):
        apply_map(content)


def test_join_refuses_a_file_with_repeated_keys(content):
    forms = pd.concat([make_forms(), make_forms().iloc[:1]])

    message = (
        "forms.csv, column 'who': expected keys that occur once, found 1 that repeat a row's "
        "(row 2)."
    )
    with pytest.raises(TableError, match="^" + re.escape(message) + "$"):
        apply_map(content, forms=forms)


def test_block_refuses_keys_that_are_never_those_of_cases(content):
    content["measurements"][0]["constants"]["session_id"] = "only"

    message = (
        "trials.csv, measurements 1 (pain_rating_heat): expected participant_id and session_id of "
        "cases, found none in 6 rows. Map them as in [cases]."
    )
    with pytest.raises(TableError, match="^" + re.escape(message) + "$"):
        apply_map(content)
