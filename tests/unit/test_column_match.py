"""Columns of an unknown table are recognised by name and range, or left with the reason."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.column_match import match_columns
from pipeline.column_values import normalise
from pipeline.source_table import SourceTable

RNG = np.random.default_rng(4)
PEOPLE = 20


def match(labels=None, **columns):
    table = pd.DataFrame({"id": range(PEOPLE), **columns})
    return match_columns(SourceTable("lab.csv", table, labels or {}))


def guesses(matches):
    return {g.target: g for g in matches.guesses}


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("PPT Quad.Pre", "ppt_quad_pre"),
        ("ageYears", "age_years"),
        ("Größe (cm)", "groesse_cm"),
        ("PCS_01", "pcs_01"),
        ("PPTMastoid", "ppt_mastoid"),
    ],
)
def test_names_are_normalised(name, normal):
    assert normalise(name) == normal


@pytest.mark.parametrize(
    ("name", "values", "target", "scale", "confidence"),
    [
        ("Alter", [40.0] * PEOPLE, "age_years", None, "high"),
        ("height", [1.7] * PEOPLE, "height_cm", 100, "medium"),
        ("height_m", [1.7] * PEOPLE, "height_cm", 100, "high"),
        ("height", [170.0] * PEOPLE, "height_cm", None, "high"),
        ("weight (lbs)", [160.0] * PEOPLE, "weight_kg", 0.45359237, "high"),
        ("VAS pain", [64.0] * PEOPLE, "pain_now_nrs", 0.1, "medium"),
        ("pain_duration_years", [4.0] * PEOPLE, "pain_duration_months", 12, "high"),
        ("weight", [70.0] * (PEOPLE - 1) + [8.0], "weight_kg", None, "low"),
        ("cpm_ppt_pre", [4.0] * PEOPLE, "cpm_ppt_unconditioned_kpa", 98.0665, "medium"),
        ("PCS total", [30.0] * PEOPLE, "pcs_total", None, "high"),
        ("PainCatastriphizingScale", [30.0] * PEOPLE, "pcs_total", None, "high"),
    ],
)
def test_numbers_are_recognised_with_their_unit(name, values, target, scale, confidence):
    guess = guesses(match(**{name: values}))[target]

    assert (guess.source, guess.scale, guess.confidence) == (name, scale, confidence)


def test_a_column_named_like_another_but_out_of_its_range_is_not_taken():
    matches = match(age=[1990.0] * PEOPLE, pcs_total=[90.0] * PEOPLE)

    assert guesses(matches).keys() == {"participant_id"}
    assert matches.unmatched["age"].startswith("named like age_years, but the values are not")
    assert matches.unmatched["pcs_total"].startswith("named like pcs_total, but the values")


def test_the_better_name_is_taken_and_the_other_one_is_said_not_to_be():
    matches = match(age=[40.0] * PEOPLE, alter=[41.0] * PEOPLE)

    assert guesses(matches)["age_years"].source == "age"
    assert "alter" in matches.unmatched


def test_words_of_a_category_are_mapped_and_unknown_codes_left_open():
    values = guesses(match(Geschlecht=["w", "m"] * (PEOPLE // 2)))["sex"].values
    assert values == {"w": "female", "m": "male"}

    guess = guesses(match(sex=[1, 2] * (PEOPLE // 2)))["sex"]
    assert set(guess.values.values()) == {"FILL IN: one of female, male, other"}
    assert guess.confidence == "low"


def test_labels_of_a_file_tell_what_codes_mean():
    labels = {"sex": {"1": "Woman", "2": "Man"}}

    guess = guesses(match(labels, sex=[1.0, 2.0] * (PEOPLE // 2)))["sex"]

    assert (guess.values, guess.confidence) == ({"1": "female", "2": "male"}, "high")


def test_free_text_is_no_category():
    matches = match(diagnosis=[f"text {i}" for i in range(PEOPLE)])

    assert (
        matches.unmatched["diagnosis"] == f"named like condition, but with {PEOPLE} distinct values"
    )


def items(form, n_items, low, high):
    return {form(i): RNG.integers(low, high + 1, PEOPLE) for i in range(1, n_items + 1)}


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        (lambda i: f"pcs_{i}", "pcs_{item}"),
        (lambda i: f"PCS {i}", "PCS {item}"),
        (lambda i: f"pcs{i:02d}", "pcs{item:02}"),
        (lambda i: f"PCS_item{i}", "PCS_item{item}"),
        (lambda i: f"painCat.q{i:02d}", "painCat.q{item:02}"),
    ],
)
def test_a_battery_of_items_is_recognised_however_it_is_numbered(form, pattern):
    matches = match(**items(form, 13, 0, 4))

    assert [(b.instrument, b.pattern) for b in matches.batteries] == [("pcs", pattern)]
    assert len(matches.batteries[0].sources) == 13


@pytest.mark.parametrize(("n_items", "instrument"), [(17, "tsk17"), (11, "tsk11")])
def test_the_number_of_items_tells_the_form(n_items, instrument):
    matches = match(**items(lambda i: f"TSK{i}", n_items, 1, 4))

    assert [b.instrument for b in matches.batteries] == [instrument]


@pytest.mark.parametrize(
    ("n_items", "low", "high", "remark"),
    [(13, 1, 5, "a shifted form?"), (5, 0, 4, "a short form?"), (12, 0, 4, "a short form?")],
)
def test_a_shifted_or_short_battery_is_not_taken_and_the_reason_is_given(
    n_items, low, high, remark
):
    columns = items(lambda i: f"pcs_{i}", n_items, low, high)
    columns["pcs_1"] = [low, high] * (PEOPLE // 2)

    matches = match(**columns)

    assert matches.batteries == ()
    assert all(matches.unmatched[name].endswith(remark) for name in columns)


def ppt(median):
    return median * np.linspace(0.8, 1.2, PEOPLE)


@pytest.mark.parametrize(
    ("name", "median", "unit", "how"),
    [
        ("ppt_pre", 350, "kPa", "only (medium)"),
        ("ppt_pre", 4, "kgf/cm2", "(low)"),
        ("ppt_pre_kg", 4, "kgf/cm2", "by the name"),
        ("ppt_pre_kpa", 4, "kgf/cm2", "not in kPa as the name says (low: check the device)"),
        ("ppt_pre", 40, "N/cm2", "(low)"),
    ],
)
def test_the_unit_of_a_reading_is_told_by_name_and_range(name, median, unit, how):
    reading = match(**{name: ppt(median)}).readings[0]

    assert (reading.measure, reading.unit) == ("ppt", unit)
    assert how in reading.why


@pytest.mark.parametrize(
    ("name", "constants"),
    [
        (
            "PPT quad local pre 2",
            {"timepoint": "pre", "site_role": "local", "body_site": "quadriceps", "trial": 2},
        ),
        ("ppt3_after_remote", {"timepoint": "post", "site_role": "remote", "trial": 3}),
        (
            "PPTPosteriorIliac_T0_local",
            {"timepoint": "pre", "site_role": "local", "body_site": "posterior_iliac"},
        ),
    ],
)
def test_a_name_tells_when_where_and_which_trial(name, constants):
    assert match(**{name: ppt(300)}).readings[0].constants == constants


def test_what_a_name_does_not_tell_is_left_to_fill_in():
    constants = match(ppt=ppt(300)).readings[0].constants

    assert {k for k, v in constants.items() if v.startswith("FILL IN")} == {
        "timepoint",
        "site_role",
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ppt_vas", "of something else too"),
        ("ppt_change", "of something else too"),
        ("pain_vigilance", "'vigilance' is not known"),
        ("heat_threshold", "typical of it in no unit"),
    ],
)
def test_a_column_that_only_sounds_like_a_reading_is_left_with_the_reason(name, reason):
    matches = match(**{name: ppt(3)})

    assert matches.readings == ()
    assert matches.unmatched[name].endswith(reason)
