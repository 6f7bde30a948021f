"""Groups of conditions, treatment, and markers below their detection limit: by hand."""

import numpy as np
import pandas as pd
import pytest

from features.biology import build_biology, with_detection_limit
from features.build import BUILDERS
from features.columns import CASES_BY_NAME, CONDITIONS
from features.columns_biology import MARKERS
from features.columns_person import CONDITION_GROUPS
from features.condition import build_condition
from features.person import build_person
from pipeline.config import Params

NAN = float("nan")


def built(build, **columns):
    return {n: v.tolist() for n, v in build(pd.DataFrame(columns)).items()}


# ---- condition


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_is_in_one_group(condition):
    found = built(build_condition, condition=[condition])

    groups = {g: found[f"condition_group_{g}"] for g in CONDITION_GROUPS}
    assert [g for g, v in groups.items() if v == [1.0]] == [
        g for g, members in CONDITION_GROUPS.items() if condition in members
    ]
    assert sum(v[0] for v in groups.values()) == 1.0


def test_the_group_of_an_unknown_condition_is_missing():
    found = built(build_condition, condition=["fibromyalgia", None])

    np.testing.assert_array_equal(found["condition_group_widespread_nociplastic"], [1.0, NAN])


def test_pain_and_its_spread_are_features():
    found = built(
        build_condition,
        pain_average_week_nrs=[5.0],
        pain_worst_week_nrs=[8.0],
        pain_areas=[11.0],
        widespread_pain=[1.0],
        nociplastic_grade=["probable"],
    )

    assert found["pain_average_week_nrs"] == [5.0]
    assert found["pain_worst_week_nrs"] == [8.0]
    assert found["pain_areas_log"] == [np.log1p(11)]
    assert found["widespread_pain"] == [1.0]
    assert found["nociplastic_grade"] == [2.0]


def test_grades_are_ordered():
    found = built(build_condition, nociplastic_grade=["none", "possible", "probable", None])

    np.testing.assert_array_equal(found["nociplastic_grade"], [0, 1, 2, NAN])


def test_medication_and_failed_treatments_are_features():
    found = built(
        build_condition,
        opioid_use=[1.0, NAN],
        nsaid_use=[0.0, 1.0],
        opioid_dose_mg_day=[40.0, 0.0],
        treatments_failed=[3.0, 2.0],
    )

    np.testing.assert_array_equal(found["opioid_use"], [1, NAN])
    assert found["nsaid_use"] == [0.0, 1.0]
    np.testing.assert_allclose(found["opioid_dose_log_mg_day"], [np.log1p(40), 0])
    assert found["refractory_pain"] == [1.0, 0.0]


def test_treatments_beside_the_exercise_are_counted_where_all_are_known():
    names = ("pain_education", "psychological_therapy", "manual_therapy", "medication")
    known = {f"cointervention_{n}": [1.0, 0.0] for n in names}
    known["cointervention_medication"] = [0.0, NAN]

    found = built(build_condition, **known)

    np.testing.assert_array_equal(found["cointerventions"], [3, NAN])
    assert found["cointervention_pain_education"] == [1.0, 0.0]


# ---- person


def test_activity_sleep_and_fitness_are_features():
    found = built(
        build_person,
        steps_per_day=[8000.0],
        sedentary_h_day=[9.0],
        sleep_h_night=[6.5],
        sleep_quality_nrs=[4.0],
        vo2max_ml_kg_min=[38.0],
        grip_strength_kg=[41.0],
    )

    assert found["steps_log_per_day"] == [np.log1p(8000)]
    assert [found[n][0] for n in ("sedentary_h_day", "sleep_h_night", "sleep_quality_nrs")] == [
        9.0,
        6.5,
        4.0,
    ]
    assert found["vo2max_ml_kg_min"] == [38.0]
    assert found["grip_strength_kg"] == [41.0]


# ---- biology


def test_the_family_is_off_unless_it_is_asked_for():
    assert "biology" in BUILDERS
    assert "biology" not in Params().featurize.families


def test_a_value_below_the_limit_is_the_limit_over_the_root_of_two_and_flagged():
    value, below = with_detection_limit(
        np.array([0.2, 0.5, 3.0, NAN, NAN, 0.0]),
        np.array([0.5, 0.5, NAN, 0.5, NAN, 0.5]),
        np.array([NAN, 0.0, NAN, 1.0, 1.0, NAN]),
    )

    substitute = 0.5 / np.sqrt(2)
    np.testing.assert_allclose(value, [substitute, 0.5, 3.0, substitute, NAN, substitute])
    np.testing.assert_array_equal(below, [1, 0, 0, 1, 1, 1])


def test_nothing_known_is_neither_above_nor_below_the_limit():
    value, below = with_detection_limit(np.array([NAN]), np.array([0.5]), np.array([NAN]))

    assert np.isnan(value).all()
    assert np.isnan(below).all()


def test_a_marker_is_a_logarithm_with_its_unit_in_the_name():
    found = built(
        build_biology,
        il6_pg_ml=[1.5, 0.1],
        il6_lod_pg_ml=[0.2, 0.2],
        resting_systolic_mmhg=[128.0, 140.0],
        hrv_rmssd_ms=[35.0, 64.0],
    )

    np.testing.assert_allclose(found["il6_log_pg_ml"], [np.log(1.5), np.log(0.2 / np.sqrt(2))])
    assert found["il6_below_lod"] == [0.0, 1.0]
    assert found["resting_systolic_mmhg"] == [128.0, 140.0]
    np.testing.assert_allclose(found["hrv_rmssd_log_ms"], np.log([35, 64]))


def test_a_marker_reported_as_zero_without_a_limit_is_missing():
    assert np.isnan(built(build_biology, tnf_pg_ml=[0.0])["tnf_log_pg_ml"]).all()


@pytest.mark.parametrize("marker", MARKERS, ids=lambda m: m.name)
def test_every_marker_declares_unit_range_and_where_it_comes_from(marker):
    column = CASES_BY_NAME[marker.column]

    assert column.unit == marker.unit
    assert column.low < column.high
    assert "unverified" in column.source or "verified" in column.source
    if marker.lod:
        assert CASES_BY_NAME[marker.lod_column].unit == marker.unit
        assert CASES_BY_NAME[marker.flag_column].high == 1
