"""The contract: every way to break it is found, said in one line, and emptied."""

import numpy as np
import pandas as pd
import pytest

from features.columns import (
    CASES,
    CONDITIONS,
    MEASUREMENTS,
    MISSING_WORDS,
    MODALITIES,
)
from features.contract import Violation, check_cases, check_measurements

# The others have rules of their own, tested below.
PLAIN_NUMBERS = tuple(
    c
    for c in CASES
    if c.low is not None and c.known_at in ("screening", "baseline") and c.name != "intensity_value"
)
CATEGORIES = tuple(c for c in CASES if c.levels and c.name != "drug")


def cases(n=1, **columns):
    """A valid table of n people with one bout each; columns are added or replaced."""
    table = pd.DataFrame(
        {
            "study_id": ["study"] * n,
            "participant_id": [f"p{i}" for i in range(n)],
            "session_id": ["bout"] * n,
            "condition": ["healthy"] * n,
            "modality": ["aerobic"] * n,
        }
    )
    return table.assign(**columns)


def measurements(n=1, **columns):
    """Valid pressure thresholds: n trials before the bout of one person."""
    table = pd.DataFrame(
        {
            "study_id": ["study"] * n,
            "participant_id": ["p0"] * n,
            "session_id": ["bout"] * n,
            "measure": ["ppt"] * n,
            "site_role": ["local"] * n,
            "timepoint": ["pre"] * n,
            "trial": range(1, n + 1),
            "value": [300.0] * n,
            "unit": ["kPa"] * n,
        }
    )
    return table.assign(**columns)


def found(checked):
    """What was found: column, code and rows of every violation."""
    return {(v.column, v.code, v.rows) for v in checked.violations}


def messages(checked, where="file.csv"):
    return [v.message(where) for v in checked.violations]


# ---- a table that keeps the contract


def test_check_cases_finds_nothing_wrong_with_the_required_columns_alone():
    checked = check_cases(cases(3))

    assert checked.violations == ()
    assert not checked.bad_rows().any()


def test_check_measurements_finds_nothing_wrong_with_a_valid_table():
    checked = check_measurements(measurements(3))

    assert checked.violations == ()


def test_check_cases_types_numbers_as_float64_and_leaves_texts_as_text():
    checked = check_cases(cases(2, pcs_1=["3", "4"], age_years=[40, 50], sex=["male", "female"]))

    assert checked.table["pcs_1"].dtype == np.float64
    assert checked.table["age_years"].dtype == np.float64
    assert checked.table["pcs_1"].tolist() == [3.0, 4.0]
    assert checked.table["sex"].tolist() == ["male", "female"]


@pytest.mark.parametrize("column", PLAIN_NUMBERS, ids=lambda c: c.name)
def test_both_ends_of_a_range_are_accepted_and_a_step_beyond_is_not(column):
    values = [column.low, column.high, column.low - 1, column.high + 1]

    checked = check_cases(cases(4, **{column.name: values}))

    assert found(checked) == {(column.name, "out_of_range", (2, 3))}
    assert checked.table[column.name].isna().tolist() == [False, False, True, True]


@pytest.mark.parametrize("column", CATEGORIES, ids=lambda c: c.name)
def test_every_level_of_a_category_is_accepted_unchanged(column):
    levels = list(column.levels)

    checked = check_cases(cases(len(levels)).assign(**{column.name: levels}))

    assert checked.violations == ()
    assert checked.table[column.name].tolist() == levels


def test_a_drug_of_none_is_a_level_and_not_a_missing_value():
    checked = check_cases(cases(3, drug=["none", "saline", ""]))

    assert checked.table["drug"].tolist()[:2] == ["none", "saline"]
    assert checked.table["drug"].isna().tolist() == [False, False, True]


def test_unknown_columns_are_kept_untouched():
    extra = pd.Series(["7,5", " x ", None], dtype="object")

    checked = check_cases(cases(3, my_biomarker=extra, another=[1, 2, 3]))

    assert checked.violations == ()
    pd.testing.assert_series_equal(checked.table["my_biomarker"], extra, check_names=False)
    assert checked.table["another"].dtype == np.int64


def test_the_table_given_is_not_changed():
    table = cases(2, age_years=["40", "forty"], condition=["healthy", "tired"])
    before = table.copy(deep=True)

    check_cases(table)

    pd.testing.assert_frame_equal(table, before)


# ---- keys and missing words


def test_ids_read_as_floats_equal_ids_read_as_text():
    as_text = check_cases(cases(3, participant_id=["24", "7.5", "1000000"]))
    as_float = check_cases(cases(3, participant_id=[24.0, 7.5, 1e6]))

    assert as_float.table["participant_id"].tolist() == as_text.table["participant_id"].tolist()


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float64"])
def test_numeric_ids_of_every_type_become_the_same_text(dtype):
    checked = check_cases(cases(2, participant_id=pd.array([24, 25], dtype=dtype)))

    assert checked.table["participant_id"].tolist() == ["24", "25"]


def test_nullable_float_ids_become_text_and_a_missing_one_is_named():
    checked = check_cases(cases(2, participant_id=pd.array([24.0, None], dtype="Float64")))

    assert checked.table["participant_id"].tolist()[0] == "24"
    assert ("participant_id", "missing_value", (1,)) in found(checked)


def test_float_ids_in_a_mixed_column_become_the_same_text():
    mixed = pd.Series([24.0, "b7"], dtype="object")

    checked = check_cases(cases(2, participant_id=mixed))

    assert checked.table["participant_id"].tolist() == ["24", "b7"]


def test_text_ids_keep_leading_zeros_and_lose_outer_blanks():
    checked = check_cases(cases(2, participant_id=["007", " 12 "]))

    assert checked.table["participant_id"].tolist() == ["007", "12"]


@pytest.mark.parametrize("word", sorted(MISSING_WORDS))
def test_missing_words_are_missing_in_any_case_and_with_blanks(word):
    spellings = [word, word.upper(), f" {word} "]

    checked = check_cases(cases(3, age_years=spellings, sex=spellings, site_id=spellings))

    assert checked.violations == ()
    assert checked.table[["age_years", "sex", "site_id"]].isna().all(axis=None)


def test_a_required_value_that_is_a_missing_word_is_named():
    checked = check_cases(cases(3, condition=["healthy", "NA", None]))

    assert found(checked) == {("condition", "missing_value", (1, 2))}
    assert messages(checked) == [
        "file.csv, column 'condition': expected a value in every row, found 2 missing (rows 1, 2)."
    ]


# ---- every code


def test_a_pcs_item_of_seven_is_named_with_its_row_and_range():
    checked = check_cases(cases(3, pcs_1=["4", "7", "0"]))

    assert found(checked) == {("pcs_1", "out_of_range", (1,))}
    assert messages(checked, "cases.csv") == [
        "cases.csv, column 'pcs_1': expected whole numbers in 0 to 4, found 1 outside (row 1)."
    ]


def test_an_unknown_condition_is_named_with_the_levels():
    checked = check_cases(cases(2, condition=["healthy", "lumbago"]))

    assert found(checked) == {("condition", "unknown_level", (1,))}
    assert messages(checked, "cases.csv") == [
        "cases.csv, column 'condition': expected one of healthy, chronic_low_back_pain, "
        "knee_osteoarthritis, hip_osteoarthritis, chronic_neck_pain, whiplash, shoulder_pain, "
        "patellofemoral_pain, tendinopathy, temporomandibular_disorder, "
        "cervical_radiculopathy, lumbar_radiculopathy, painful_polyneuropathy, fibromyalgia, "
        "chronic_widespread_pain, chronic_fatigue_syndrome, rheumatoid_arthritis, other, "
        "found 1 with another word (row 1)."
    ]


def test_levels_are_case_sensitive():
    checked = check_cases(cases(1, modality=["Aerobic"]))

    assert found(checked) == {("modality", "unknown_level", (0,))}


def test_text_in_a_number_column_is_named():
    checked = check_cases(cases(3, age_years=["40", "forty", "41"]))

    assert found(checked) == {("age_years", "not_a_number", (1,))}
    assert messages(checked, "cases.csv") == [
        "cases.csv, column 'age_years': expected numbers in 10 to 110 years, "
        "found 1 that are not numbers (row 1)."
    ]
    assert checked.table["age_years"].tolist()[::2] == [40.0, 41.0]
    assert np.isnan(checked.table["age_years"][1])


def test_decimal_commas_are_named_as_such():
    checked = check_cases(cases(2, bmi_kg_m2=["24.5", "24,5"]))

    assert messages(checked, "cases.csv") == [
        "cases.csv, column 'bmi_kg_m2': expected numbers in 10 to 90 kg/m2, "
        "found 1 that are not numbers (row 1). Decimal commas: write decimal points."
    ]


def test_a_whole_number_with_decimals_is_named():
    checked = check_cases(cases(3, pcs_1=[1.0, 2.5, 3.0]))

    assert found(checked) == {("pcs_1", "not_an_integer", (1,))}
    assert messages(checked, "cases.csv") == [
        "cases.csv, column 'pcs_1': expected whole numbers in 0 to 4, "
        "found 1 with decimals (row 1)."
    ]
    assert np.isnan(checked.table["pcs_1"][1])


def test_a_value_both_outside_and_broken_is_named_once():
    checked = check_cases(cases(1, pcs_1=[7.5]))

    assert found(checked) == {("pcs_1", "out_of_range", (0,))}


@pytest.mark.parametrize("values", [[np.inf, -np.inf, 40.0], ["inf", "-Infinity", "40"]])
def test_infinities_are_out_of_range(values):
    checked = check_cases(cases(3, age_years=values))

    assert found(checked) == {("age_years", "out_of_range", (0, 1))}
    assert checked.table["age_years"].tolist()[2] == 40.0


def test_an_infinite_reading_is_out_of_range_though_its_column_has_no_bounds():
    checked = check_measurements(measurements(2, value=[np.inf, 300.0]))

    assert found(checked) == {("value", "out_of_range", (0,))}


def test_duplicate_keys_name_the_rows_that_repeat():
    table = cases(4, participant_id=["a", "b", "a", "a"])

    checked = check_cases(table)

    assert found(checked) == {("study_id, participant_id, session_id", "duplicate_key", (2, 3))}
    assert messages(checked, "cases.csv") == [
        "cases.csv, column 'study_id, participant_id, session_id': expected keys that occur once, "
        "found 2 rows that repeat an earlier row's keys (rows 2, 3)."
    ]


def test_duplicate_keys_are_found_whatever_the_type_of_the_id():
    mixed = pd.concat([cases(1, participant_id=[24.0]), cases(1, participant_id=[24])])

    checked = check_cases(mixed)

    assert [v.code for v in checked.violations] == ["duplicate_key"]


def test_duplicate_keys_are_allowed_where_each_row_stands_alone():
    checked = check_cases(cases(2, participant_id=["a", "a"]), unique=False)

    assert checked.violations == ()


def test_rows_without_a_key_are_missing_and_not_duplicates():
    checked = check_cases(cases(3, participant_id=["a", None, None]))

    assert found(checked) == {("participant_id", "missing_value", (1, 2))}


@pytest.mark.parametrize(
    ("column", "when"),
    [
        ("rpe_6_20", "during"),
        ("pain_during_nrs", "during"),
        ("time_to_failure_s", "during"),
        ("pain_post_24h_nrs", "after"),
    ],
)
def test_a_column_known_too_late_is_refused_as_a_whole(column, when):
    checked = check_cases(cases(2, **{column: [9.0, None]}))

    assert found(checked) == {(column, "known_too_late", ())}
    assert messages(checked, "cases.csv") == [
        f"cases.csv, column '{column}': expected only what is known before the bout, "
        f"found a column known {when} it. Move it to measurements, or drop it."
    ]
    assert len(checked.table_violations()) == 1


@pytest.mark.parametrize("column", [c.name for c in CASES if c.required])
def test_a_required_column_that_is_absent_is_named(column):
    checked = check_cases(cases(2).drop(columns=column))

    assert found(checked) == {(column, "missing_column", ())}
    assert messages(checked) == [
        f"file.csv, column '{column}': expected this column, found 4 other columns."
    ]


def test_optional_columns_may_be_absent_or_empty():
    checked = check_cases(cases(2, age_years=[None, None], sex=["", " "]))

    assert checked.violations == ()


def test_a_header_separated_by_semicolons_is_recognised():
    table = pd.DataFrame({"study_id;participant_id;session_id": ["study;p0;bout"]})

    checked = check_cases(table)

    assert {v.code for v in checked.violations} == {"missing_column"}
    assert messages(checked, "cases.csv")[0] == (
        "cases.csv, column 'study_id': expected this column, found 1 other columns. "
        "The header looks separated by semicolons: save it as .csv (commas) or .tsv."
    )


@pytest.mark.parametrize(("mark", "word"), [("\t", "tabs"), ("|", "bars"), (",", "commas")])
def test_a_header_separated_otherwise_is_recognised(mark, word):
    checked = check_cases(pd.DataFrame({f"study_id{mark}participant_id": ["x"]}))

    assert all(f"separated by {word}:" in m for m in messages(checked))


def test_an_empty_table_is_refused_with_its_missing_columns():
    checked = check_cases(pd.DataFrame())

    assert found(checked) == {
        ("", "empty_table", ()),
        *((c.name, "missing_column", ()) for c in CASES if c.required),
    }
    assert messages(checked, "cases.csv")[0] == (
        "cases.csv: expected at least one row, found none."
    )


@pytest.mark.parametrize("check", [check_cases, check_measurements])
def test_a_header_without_rows_is_refused(check):
    table = (cases(2) if check is check_cases else measurements(2)).head(0)

    checked = check(table)

    assert found(checked) == {("", "empty_table", ())}
    assert len(checked.table) == 0


# ---- intensity


@pytest.mark.parametrize(
    ("metric", "low", "high"),
    [
        ("percent_hrr", 0, 120),
        ("percent_hrmax", 0, 120),
        ("percent_vo2max", 0, 130),
        ("rpe_6_20", 6, 20),
        ("mets", 1, 25),
        ("percent_1rm", 0, 110),
        ("cr10", 0, 10),
        ("percent_mvc", 0, 110),
        ("percent_ftp", 0, 180),
    ],
)
def test_an_intensity_outside_the_range_of_its_metric_is_named(metric, low, high):
    values = [low, high, high + 0.5]
    below = [low - 0.5] if low else []
    table = cases(len(values + below), intensity_metric=metric, intensity_value=values + below)

    checked = check_cases(table)

    bad = tuple(range(2, len(table)))
    assert found(checked) == {("intensity_value", "out_of_range", bad)}


def test_an_intensity_its_metric_cannot_take_is_said_in_full():
    checked = check_cases(cases(1, intensity_metric=["rpe_6_20"], intensity_value=[60]))

    assert messages(checked, "cases.csv") == [
        "cases.csv, column 'intensity_value': expected values its intensity_metric can take, "
        "found 1 outside (row 0)."
    ]


def test_an_intensity_without_its_metric_is_named():
    table = cases(3, intensity_metric=["percent_hrr", None, None], intensity_value=[60, 60, None])

    checked = check_cases(table)

    assert found(checked) == {("intensity_value", "missing_metric", (1,))}
    assert messages(checked, "cases.csv") == [
        "cases.csv, column 'intensity_value': expected an intensity_metric, "
        "found 1 without one (row 1)."
    ]


def test_an_intensity_without_any_column_of_metrics_is_named():
    checked = check_cases(cases(2, intensity_value=[60, None]))

    assert found(checked) == {("intensity_value", "missing_metric", (0,))}


def test_an_intensity_that_breaks_the_contract_is_emptied():
    table = cases(3, intensity_metric=["rpe_6_20", None, "cr10"], intensity_value=[60, 60, 5])

    checked = check_cases(table)

    assert checked.table["intensity_value"].isna().tolist() == [True, True, False]


def test_an_unknown_metric_is_one_fault_and_not_two():
    checked = check_cases(cases(1, intensity_metric=["percent_fun"], intensity_value=[60]))

    assert found(checked) == {("intensity_metric", "unknown_level", (0,))}


# ---- all at once, rows, order


def test_all_violations_of_cases_are_listed_at_once():
    table = cases(
        5,
        participant_id=["a", "a", "c", "d", "e"],
        modality=["aerobic", "aerobic", "ballet", "aerobic", None],
        age_years=["forty", "40", "5", "1e999", "40,5"],
        pcs_1=[0, 1, 2.5, 5, -1],
        intensity_metric=["percent_hrr", None, "cr10", "percent_hrr", "percent_hrr"],
        intensity_value=[60, 60, 11, 60, 60],
        rpe_6_20=12,
    ).drop(columns="condition")

    checked = check_cases(table)

    assert found(checked) == {
        ("condition", "missing_column", ()),
        ("modality", "unknown_level", (2,)),
        ("modality", "missing_value", (4,)),
        ("age_years", "not_a_number", (0, 4)),
        ("age_years", "out_of_range", (2, 3)),
        ("pcs_1", "out_of_range", (3, 4)),
        ("pcs_1", "not_an_integer", (2,)),
        ("intensity_value", "missing_metric", (1,)),
        ("intensity_value", "out_of_range", (2,)),
        ("rpe_6_20", "known_too_late", ()),
        ("study_id, participant_id, session_id", "duplicate_key", (1,)),
    }
    assert len(checked.violations) == 11


def test_all_violations_of_measurements_are_listed_at_once():
    table = measurements(
        7,
        measure=["ppt", "mood", "ppt", "ppt", "ppt", "ppt", "ppt"],
        site_role=["local", "local", "near", "local", "local", "local", None],
        timepoint=["pre", "pre", "pre", "later", "pre", "pre", "pre"],
        trial=[1, 2, 3, 4, 0, 1, 7],
        value=[300.0, 300.0, 300.0, 300.0, 300.0, 4.0, 300.0],
        unit=["kPa", "kPa", "stone", "kPa", "kPa", "kPa", ""],
    )

    checked = check_measurements(table)

    keys = "study_id, participant_id, session_id, measure, site_role, timepoint, trial"
    assert found(checked) == {
        ("measure", "unknown_level", (1,)),
        ("site_role", "unknown_level", (2,)),
        ("site_role", "missing_value", (6,)),
        ("timepoint", "unknown_level", (3,)),
        ("trial", "out_of_range", (4,)),
        ("value", "out_of_range", (5,)),
        ("unit", "unknown_unit", (2,)),
        ("unit", "missing_value", (6,)),
        (keys, "duplicate_key", (5,)),
    }


@pytest.mark.parametrize("index", [[7, 7, 7], ["x", "y", "z"], [2, 1, 0]])
def test_rows_are_positions_whatever_the_index(index):
    table = cases(3, age_years=[40, 40, 5]).set_axis(index, axis=0)
    readings = measurements(3, value=[300.0, 300.0, 4000.0]).set_axis(index, axis=0)

    assert found(check_cases(table)) == {("age_years", "out_of_range", (2,))}
    assert found(check_measurements(readings)) == {("value", "out_of_range", (2,))}
    assert check_cases(table).table.index.tolist() == [0, 1, 2]


def test_a_message_names_five_rows_and_counts_the_rest():
    checked = check_cases(cases(8, age_years=[5] * 7 + [40]))

    assert messages(checked, "cases.csv") == [
        "cases.csv, column 'age_years': expected numbers in 10 to 110 years, "
        "found 7 outside (rows 0, 1, 2, 3, 4 and 2 more)."
    ]


def test_bad_rows_are_the_rows_of_any_violation():
    checked = check_cases(cases(4, age_years=[5, 40, 40, 40], sex=["male", "x", "male", "male"]))

    assert checked.bad_rows().tolist() == [True, True, False, False]


def test_a_violation_without_column_or_rows_names_the_table_alone():
    violation = Violation("", "empty_table", (), "at least one row", "none")

    assert violation.message("a.csv") == "a.csv: expected at least one row, found none."


# ---- types that come from other files than CSV


def test_categories_are_read_like_texts():
    checked = check_cases(
        cases(2, sex=pd.Categorical(["male", "x"]), pcs_1=pd.Categorical(["1", "y"]))
    )

    assert found(checked) == {("sex", "unknown_level", (1,)), ("pcs_1", "not_a_number", (1,))}


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float32"])
def test_numbers_of_every_type_become_float64(dtype):
    checked = check_cases(cases(3, age_years=pd.array([40, 5, None], dtype=dtype)))

    assert found(checked) == {("age_years", "out_of_range", (1,))}
    assert checked.table["age_years"].dtype == np.float64
    assert checked.table["age_years"].isna().tolist() == [False, True, True]


def test_a_column_that_occurs_twice_is_a_violation():
    table = pd.concat([cases(1), cases(1)[["condition"]]], axis=1)

    checked = check_cases(table)

    assert [v.column for v in checked.violations] == ["condition"]


# ---- measurements


@pytest.mark.parametrize(
    "timepoint", ["pre", "during", "post", "post_15min", "post_24h", "post_7d", "week_12"]
)
def test_timepoint_words_are_accepted(timepoint):
    checked = check_measurements(measurements(1, timepoint=[timepoint]))

    assert checked.violations == ()
    assert checked.table["timepoint"].tolist() == [timepoint]


@pytest.mark.parametrize(
    "timepoint",
    ["Pre", "before", "post_", "post_h", "post_24", "post_24hours", "week_", "week12", "pre\npost"],
)
def test_other_timepoint_words_are_named_and_emptied(timepoint):
    checked = check_measurements(measurements(2, timepoint=[timepoint, "pre"]))

    assert messages(checked, "m.csv") == [
        "m.csv, column 'timepoint': expected baseline, pre, during, post, "
        "post_<n>min|h|d or week_<n>, "
        "found 1 with another word (row 0)."
    ]
    assert checked.table["timepoint"].isna().tolist() == [True, False]


def test_thresholds_in_kgf_declared_as_kpa_are_named_with_the_likely_unit():
    checked = check_measurements(measurements(3, value=[3.1, 4.2, 5.3]))

    assert found(checked) == {("value", "out_of_range", (0, 1, 2))}
    assert messages(checked, "m.csv") == [
        "m.csv, column 'value': expected ppt declared in kPa to lie in 20 to 2000 kPa, "
        "found 3 outside (rows 0, 1, 2). "
        "The values look like kgf/cm2: correct the declared unit."
    ]
    assert checked.table["value"].isna().all()


def test_an_unknown_unit_is_named_with_the_units_of_the_measure():
    checked = check_measurements(measurements(2, measure="pain_nrs", unit=["stars", "mm"], value=5))

    assert found(checked) == {("unit", "unknown_unit", (0,))}
    assert messages(checked, "m.csv") == [
        "m.csv, column 'unit': expected a unit of pain_nrs: 0-10, 0-100, mm, "
        "found 1 with another one (row 0)."
    ]
    assert np.isnan(checked.table["value"][0])
    assert checked.table["value"][1] == pytest.approx(5 / 10)


def test_measurements_are_converted_to_the_canonical_unit_of_their_measure():
    table = measurements(
        4,
        measure=["ppt", "ppt", "heat_threshold", "pain_rating_heat"],
        value=[3.0, 300.0, 110.0, 56.0],
        unit=["kgf/cm2", "kPa", "degF", "1-101"],
    )

    checked = check_measurements(table)

    assert checked.violations == ()
    assert checked.table["value"].tolist() == pytest.approx(
        [3.0 * 98.0665, 300.0, (110.0 - 32) * 5 / 9, 56.0 - 1]
    )
    assert checked.table["unit"].tolist() == ["kPa", "kPa", "degC", "0-100"]


def test_a_lost_trial_has_no_value_and_breaks_nothing():
    checked = check_measurements(measurements(2, value=[None, 300.0]))

    assert checked.violations == ()
    assert checked.table["value"].isna().tolist() == [True, False]


@pytest.mark.parametrize("key", ["measure", "site_role", "timepoint", "trial", "body_site"])
def test_measurements_that_differ_in_any_key_are_no_duplicates(key):
    other = {
        "measure": ["ppt", "pressure_tolerance"],
        "site_role": ["local", "remote"],
        "timepoint": ["pre", "post"],
        "trial": [1, 2],
        "body_site": ["arm", "leg"],
    }
    equal = measurements(2, trial=[1, 1])

    different = check_measurements(equal.assign(**{key: other[key]}))

    assert [v.code for v in check_measurements(equal).violations] == ["duplicate_key"]
    assert different.violations == ()


@pytest.mark.parametrize("column", [c.name for c in MEASUREMENTS if c.required])
def test_a_required_column_of_measurements_that_is_absent_is_named(column):
    checked = check_measurements(measurements(2).drop(columns=column))

    assert (column, "missing_column", ()) in found(checked)


def test_measurements_without_a_column_of_values_are_refused():
    checked = check_measurements(measurements(2).drop(columns="value"))

    assert ("value", "missing_column", ()) in found(checked)


def test_a_missing_column_does_not_hide_other_faults_of_measurements():
    table = measurements(2, timepoint=["later", "pre"], unit=["kPa", "stone"])

    checked = check_measurements(table.drop(columns="site_role"))

    assert {v.code for v in checked.violations} == {
        "missing_column",
        "unknown_level",
        "unknown_unit",
    }


@pytest.mark.parametrize(
    "bad", [{"timepoint": ["before", "after"]}, {"trial": [0, -1]}, {"site_role": ["x", "y"]}]
)
def test_rows_with_a_broken_key_are_not_called_duplicates(bad):
    checked = check_measurements(measurements(2, trial=[1, 1]).assign(**bad))

    assert "duplicate_key" not in {v.code for v in checked.violations}


def test_a_value_without_a_unit_is_emptied():
    checked = check_measurements(measurements(2, unit=["kPa", None], value=[300.0, 4.0]))

    assert found(checked) == {("unit", "missing_value", (1,))}
    assert checked.table["value"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("measure", "unit", "values"),
    [
        ("ppt", "kPa", [110.0, 120.0, 115.0, 125.0, 5.0]),
        ("pain_nrs", "0-10", [5.0, 4.0, 3.0, 4.0, 12.0]),
    ],
)
def test_one_wild_value_does_not_put_the_declared_unit_in_doubt(measure, unit, values):
    table = measurements(5, measure=measure, unit=unit, value=values)

    checked = check_measurements(table)

    assert found(checked) == {("value", "out_of_range", (4,))}
    assert "look like" not in messages(checked)[0]


# ---- the columns themselves


@pytest.mark.parametrize("columns", [CASES, MEASUREMENTS], ids=["cases", "measurements"])
def test_columns_are_described_once_and_completely(columns):
    names = [c.name for c in columns]

    assert len(set(names)) == len(names)
    assert all(c.description for c in columns)
    assert all(c.levels for c in columns if c.kind == "category")
    assert all((c.low is None) == (c.high is None) for c in columns)
    assert all(c.low < c.high for c in columns if c.low is not None)


def test_conditions_and_modalities_are_those_of_the_contract():
    levels = {c.name: c.levels for c in CASES}

    assert levels["condition"] == CONDITIONS
    assert levels["modality"] == MODALITIES


# ---- blanks, texts that no file can hold, and two ways of the same check


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\u2003", "\u3000"])
def test_a_blank_around_a_number_is_no_part_of_it(blank):
    checked = check_cases(cases(age_years=pd.Series([f"{blank}40{blank}"], dtype="object")))

    assert checked.violations == ()
    assert checked.table["age_years"].tolist() == [40.0]


@pytest.mark.parametrize("text", ["4\u00a00", "\u200b40", "\ufeff40", "٤٠"])
def test_other_characters_in_a_number_make_it_a_text(text):
    checked = check_cases(cases(age_years=pd.Series([text], dtype="object")))

    assert found(checked) == {("age_years", "not_a_number", (0,))}


@pytest.mark.parametrize("column", ["age_years", "pcs_1", "sex", "participant_id"])
def test_a_lone_surrogate_is_judged_as_any_other_text(column):
    table = cases(n=2, age_years="40", pcs_1="1", sex="female").astype("object")
    table.loc[1, column] = "\ud800"

    checked = check_cases(table)

    assert {v.rows for v in checked.violations} <= {(1,)}
    assert bool(checked.violations) == (column != "participant_id")


def test_texts_of_arrow_are_read_as_those_of_python():
    ids = [" p1 ", "NA", "", "\tunknown", "p\u00a01", "\u00a0p2", None, "P1"]
    for rows in (ids, [i for i in ids if i is None or i.isascii()]):
        table = cases(len(rows)).assign(participant_id=rows)
        as_objects = table.astype({"participant_id": "object"})
        assert isinstance(table["participant_id"].dtype, pd.StringDtype)

        one, other = (check_cases(t, unique=False) for t in (table, as_objects))

        assert one.violations == other.violations
        pd.testing.assert_series_equal(
            one.table["participant_id"].astype("object"),
            other.table["participant_id"].astype("object"),
        )


def test_categories_as_codes_hold_the_same_words():
    table = cases(4, sex=["female", " male ", "?", None], modality="aerobic")

    words, codes = (check_cases(table, categorical=c) for c in (False, True))

    assert codes.violations == words.violations
    assert isinstance(codes.table["sex"].dtype, pd.CategoricalDtype)
    for name in words.table:
        pd.testing.assert_series_equal(
            codes.table[name].astype(words.table[name].dtype), words.table[name]
        )
