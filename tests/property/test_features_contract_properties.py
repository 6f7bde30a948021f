"""What holds of the contract for any table."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.columns import CASES, MEASUREMENTS, MISSING_WORDS
from features.contract import check_cases, check_measurements
from features.units import MEASURES, likely_unit

FEW = settings(max_examples=15, deadline=None, derandomize=True, database=None)
# An intensity has a rule of its own.
NUMBERS = tuple(c for c in CASES if c.kind in ("number", "integer") and c.name != "intensity_value")
CATEGORIES = tuple(c for c in CASES if c.levels)

# No level, unit, range or count contains it.
sentinel_texts = st.text("qxzQXZ", min_size=6, max_size=12)
# Beyond every range of cases, and with digits no message contains by itself.
sentinel_numbers = st.integers(10_000_000, 99_999_999).filter(lambda n: n % 1000)

# Cells as a careless file holds them: good, missing, broken.
case_rows = st.fixed_dictionaries(
    {
        "participant_id": st.sampled_from(["1", "2", "x", ""]),
        "condition": st.sampled_from(["healthy", "whiplash", "tired", "NA"]),
        "modality": st.sampled_from(["aerobic", "rest", "ballet"]),
        "age_years": st.sampled_from(["40", "41.5", "5", "40,5", "old", "inf", ".", ""]),
        "pcs_1": st.sampled_from(["0", "4", "7", "2.5", "n/a"]),
        "sex": st.sampled_from(["female", "male", "F", None]),
        "intensity_metric": st.sampled_from(["cr10", "mets", "vigour", None]),
        "intensity_value": st.sampled_from(["0.5", "5", "60", "300", None]),
        "note": st.sampled_from(["7,5", "", None]),
    }
)
measurement_rows = st.fixed_dictionaries(
    {
        "measure": st.sampled_from(["ppt", "heat_threshold", "pain_nrs", "mood"]),
        "site_role": st.sampled_from(["local", "remote", "near", None]),
        "timepoint": st.sampled_from(["pre", "post", "week_12", "later"]),
        "value": st.sampled_from(["3", "45", "300", "110", "9999", "x", "inf", None]),
        "unit": st.sampled_from(["kPa", "kgf/cm2", "degC", "degF", "0-10", "stone", None]),
    }
)


def cases_of(rows):
    return pd.DataFrame(rows, dtype="object").assign(study_id="s", session_id="a")


def measurements_of(rows):
    keys = {"study_id": "s", "participant_id": "1", "session_id": "a"}
    # Trials are numbered, so that no two rows share their keys.
    return pd.DataFrame(rows, dtype="object").assign(**keys, trial=range(1, len(rows) + 1))


def valid_cases(n):
    return pd.DataFrame(
        {
            "study_id": "s",
            "participant_id": [str(i) for i in range(n)],
            "session_id": "a",
            "condition": "healthy",
            "modality": "aerobic",
        }
    )


def valid_measurement(**columns):
    row = {
        "study_id": "s",
        "participant_id": "1",
        "session_id": "a",
        "measure": "ppt",
        "site_role": "local",
        "timepoint": "pre",
        "trial": 1,
        "value": 300.0,
        "unit": "kPa",
    }
    return pd.DataFrame([row | columns], dtype="object")


def assert_unsaid(checked, secret):
    assert checked.violations
    for violation in checked.violations:
        assert str(secret) not in violation.message("table.csv")
        assert str(secret) not in str(asdict(violation))


# ---- a message never repeats what a participant answered


@FEW
@given(column=st.sampled_from(NUMBERS), secret=sentinel_texts)
def test_a_text_in_a_number_column_is_never_repeated(column, secret):
    checked = check_cases(valid_cases(2).assign(**{column.name: ["", secret]}))

    assert_unsaid(checked, secret)


@FEW
@given(column=st.sampled_from(NUMBERS), secret=sentinel_numbers, as_text=st.booleans())
def test_a_number_out_of_range_is_never_repeated(column, secret, as_text):
    value = str(secret) if as_text else secret

    checked = check_cases(valid_cases(2).assign(**{column.name: [None, value]}))

    assert_unsaid(checked, secret)


@FEW
@given(column=st.sampled_from(CATEGORIES), secret=sentinel_texts)
def test_an_unknown_level_is_never_repeated(column, secret):
    checked = check_cases(valid_cases(1).assign(**{column.name: [secret]}))

    assert_unsaid(checked, secret)


@FEW
@given(secret=sentinel_texts | sentinel_numbers.map(str))
def test_a_duplicate_key_is_never_repeated(secret):
    checked = check_cases(valid_cases(2).assign(participant_id=[secret, secret]))

    assert [v.code for v in checked.violations] == ["duplicate_key"]
    assert_unsaid(checked, secret)


@FEW
@given(
    column=st.sampled_from(["measure", "site_role", "timepoint", "unit", "value", "trial"]),
    secret=sentinel_texts,
)
def test_a_text_of_a_measurement_is_never_repeated(column, secret):
    checked = check_measurements(valid_measurement(**{column: secret}))

    assert_unsaid(checked, secret)


@FEW
@given(
    secret=sentinel_numbers,
    measure=st.sampled_from([n for n, m in MEASURES.items() if m.high < 1e7]),
)
def test_an_implausible_reading_is_never_repeated(secret, measure):
    unit = MEASURES[measure].unit

    checked = check_measurements(valid_measurement(measure=measure, unit=unit, value=secret))

    assert_unsaid(checked, secret)


# ---- typing


@FEW
@given(column=st.sampled_from(NUMBERS), data=st.data())
def test_good_numbers_survive_between_bad_ones(column, data):
    numbers = (
        st.integers(int(column.low), int(column.high)).map(float)
        if column.kind == "integer"
        else st.floats(column.low, column.high)
    )
    broken = st.sampled_from(["abc", "1,5", "-inf", str(column.high + 1), "", "NA"])
    cells = data.draw(st.lists(numbers | broken, min_size=1, max_size=8))
    expected = [c if isinstance(c, float) else np.nan for c in cells]

    as_text = check_cases(valid_cases(len(cells)).assign(**{column.name: [str(c) for c in cells]}))
    mixed = pd.Series(cells, dtype="object")
    as_object = check_cases(valid_cases(len(cells)).assign(**{column.name: mixed}))

    for checked in (as_text, as_object):
        typed = checked.table[column.name]
        assert typed.dtype == np.float64
        np.testing.assert_array_equal(typed, expected)


@FEW
@given(st.lists(st.sampled_from(sorted(MISSING_WORDS)), min_size=1, max_size=4), st.data())
def test_every_missing_word_is_missing_in_every_optional_column(words, data):
    column = data.draw(st.sampled_from([c for c in CASES if not c.required]))
    late = column.known_at in ("during", "after")

    checked = check_cases(valid_cases(len(words)).assign(**{column.name: words}))

    assert checked.table[column.name].isna().all()
    assert [v.code for v in checked.violations] == (["known_too_late"] if late else [])


@FEW
@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=6))
def test_ids_read_as_whole_floats_equal_their_text(numbers):
    whole = [float(int(n)) for n in numbers]
    texts = [str(int(n)) for n in numbers]
    table = valid_cases(len(numbers))

    as_float = check_cases(table.assign(participant_id=whole))
    as_text = check_cases(table.assign(participant_id=texts))

    assert as_float.table["participant_id"].tolist() == texts
    assert as_float.violations == as_text.violations


# ---- idempotence, order, extra columns

CHECKS = (
    pytest.param(lambda t: check_cases(t, unique=False), case_rows, cases_of, id="cases"),
    pytest.param(check_measurements, measurement_rows, measurements_of, id="measurements"),
)


@pytest.mark.parametrize(("check", "rows", "make"), CHECKS)
@FEW
@given(data=st.data())
def test_a_checked_table_is_not_changed_by_a_second_check(check, rows, make, data):
    once = check(make(data.draw(st.lists(rows, min_size=1, max_size=6)))).table

    twice = check(once).table

    pd.testing.assert_frame_equal(twice, once)


@pytest.mark.parametrize(("check", "rows", "make"), CHECKS)
@FEW
@given(data=st.data())
def test_what_a_check_leaves_is_within_the_contract(check, rows, make, data):
    columns = CASES if make is cases_of else MEASUREMENTS

    table = check(make(data.draw(st.lists(rows, min_size=1, max_size=6)))).table

    for column in columns:
        if column.name in table and column.levels:
            assert table[column.name].dropna().isin(column.levels).all()
        elif column.name in table and column.low is not None:
            assert table[column.name].dropna().between(column.low, column.high).all()


@pytest.mark.parametrize(("check", "rows", "make"), CHECKS)
@FEW
@given(data=st.data())
def test_permuted_rows_permute_the_rows_of_violations(check, rows, make, data):
    table = make(data.draw(st.lists(rows, min_size=1, max_size=6)))
    order = data.draw(st.permutations(range(len(table))))

    def said(checked, original):
        return {
            (v.column, v.code, v.expected, v.found, v.cause, frozenset(map(original, v.rows)))
            for v in checked.violations
            # Which of two broken keys repeats the other depends on their order.
            if v.code != "duplicate_key"
        }

    straight = said(check(table), lambda r: r)
    permuted = said(check(table.iloc[order]), lambda r: order[r])

    assert permuted == straight


@FEW
@given(rows=st.lists(case_rows, min_size=1, max_size=6))
def test_rows_without_a_violation_pass_a_check_of_their_own(rows):
    table = cases_of(rows)
    checked = check_cases(table, unique=False)

    kept = table[~checked.bad_rows()]

    assert all(not v.rows for v in check_cases(kept, unique=False).violations)


@FEW
@given(rows=st.lists(case_rows, min_size=1, max_size=6), extra=st.text(min_size=1, max_size=8))
def test_columns_the_contract_does_not_know_are_kept(rows, extra):
    table = cases_of(rows)
    name = f"my {extra}"

    checked = check_cases(table.assign(**{name: range(len(table))})).table

    assert checked["note"].tolist() == table["note"].tolist()
    assert checked[name].tolist() == list(range(len(table)))
    assert list(checked.columns) == [*table.columns, name]


# ---- units

MEASURE_UNITS = tuple(
    (n, u) for n, m in MEASURES.items() for u in dict.fromkeys((m.unit, *m.units))
)


@FEW
@given(pair=st.sampled_from(MEASURE_UNITS), value=st.floats(-1e4, 1e4))
def test_a_conversion_can_be_undone(pair, value):
    name, unit = pair
    factor, offset = MEASURES[name].conversion(unit)

    canonical = factor * value + offset
    back = (canonical - offset) / factor

    # Rounding is that of the larger of the two terms, seen through the factor.
    assert back == pytest.approx(value, rel=1e-12, abs=1e-12 * (1 + abs(offset) / factor))


@FEW
@given(pair=st.sampled_from(MEASURE_UNITS), share=st.floats(0.001, 0.999))
def test_a_plausible_reading_passes_in_every_unit(pair, share):
    name, unit = pair
    measure = MEASURES[name]
    factor, offset = measure.conversion(unit)
    canonical = measure.low + share * (measure.high - measure.low)
    table = valid_measurement(measure=name, unit=unit, value=(canonical - offset) / factor)

    checked = check_measurements(table)

    assert checked.violations == ()
    assert checked.table["value"][0] == pytest.approx(canonical, rel=1e-9, abs=1e-9)
    assert checked.table["unit"][0] == measure.unit


@FEW
@given(pair=st.sampled_from(MEASURE_UNITS), median=st.floats(0.01, 1e6))
def test_a_guessed_unit_makes_the_median_typical(pair, median):
    name, declared = pair
    measure = MEASURES[name]

    guess = likely_unit(measure, declared, median)

    if guess is not None:
        factor, offset = measure.conversion(guess)
        assert guess != declared
        assert measure.typical[0] <= factor * median + offset <= measure.typical[1]
