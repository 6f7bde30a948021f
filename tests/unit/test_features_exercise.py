"""Heart rates, doses, regions: by hand."""

import numpy as np
import pandas as pd
import pytest

from features.contract import check_cases
from features.exercise import build_exercise, intensity_class, relative_heart_rate
from features.reference import load_reference

NAN = float("nan")


def built(**columns):
    return {n: v.tolist() for n, v in build_exercise(pd.DataFrame(columns)).items()}


def heart_rate(bpm, **columns):
    found = built(intensity_metric=["heart_rate_bpm"], intensity_value=[bpm], **columns)
    return found["intensity_relative"][0]


# ---- heart rates


def test_a_heart_rate_with_a_resting_rate_is_a_share_of_the_reserve():
    # Age 40: 208 - 0.7 * 40 = 180. Half of the reserve between 60 and 180 is 120.
    found = heart_rate(120.0, age_years=[40.0], resting_heart_rate_bpm=[60.0])

    assert found == pytest.approx(0.5)


def test_a_heart_rate_without_a_resting_rate_is_a_share_of_the_maximum():
    # 77 % of 180 is where vigorous begins.
    assert heart_rate(0.77 * 180, age_years=[40.0]) == pytest.approx(0.6)


def test_a_measured_maximum_wins_over_one_predicted_from_age():
    found = heart_rate(
        120.0, age_years=[40.0], resting_heart_rate_bpm=[60.0], maximal_heart_rate_bpm=[160.0]
    )

    assert found == pytest.approx((120 - 60) / (160 - 60))


def test_a_heart_rate_under_a_beta_blocker_says_nothing_without_a_measured_maximum():
    known = {"age_years": [40.0], "resting_heart_rate_bpm": [60.0], "beta_blocker_use": [1.0]}

    assert np.isnan(heart_rate(120.0, **known))
    assert heart_rate(120.0, **known, maximal_heart_rate_bpm=[160.0]) == pytest.approx(0.6)


def test_a_heart_rate_of_someone_without_an_age_or_maximum_is_missing():
    assert np.isnan(heart_rate(120.0, resting_heart_rate_bpm=[60.0]))


def test_a_maximum_at_or_below_the_resting_rate_gives_no_intensity():
    rates = np.array([100.0, 100.0])

    assert np.isnan(
        relative_heart_rate(rates, np.array([90.0, 95.0]), np.array([90.0, 90.0]))
    ).all()


@pytest.mark.parametrize("share", [0.30, 0.40, 0.60, 0.90])
def test_a_class_begins_at_its_share_of_the_reserve_in_heart_rates(share):
    rate = 60 + share * (180 - 60)
    ages = {"age_years": [40.0, 40.0], "resting_heart_rate_bpm": [60.0, 60.0]}

    found = built(
        intensity_metric=["heart_rate_bpm"] * 2, intensity_value=[rate, rate - 0.1], **ages
    )

    at, below = found["intensity_class"]
    assert at == below + 1


def test_a_formula_is_named_in_the_reference_with_its_source():
    rate = load_reference("exercise_intensity.toml")["heart_rate"]

    assert rate["formula"] in rate["formulas"]
    assert all(f["source"] and f["status"] for f in rate["formulas"].values())
    tanaka, fox = rate["formulas"]["tanaka_2001"], rate["formulas"]["fox_1971"]
    assert (tanaka["intercept"], tanaka["slope"]) == (208, -0.7)
    assert (fox["intercept"], fox["slope"]) == (220, -1.0)


def test_the_boundary_on_which_editions_differ_is_stated_and_used_as_stated():
    conflict = load_reference("exercise_intensity.toml")["conflict"]

    found = built(
        intensity_metric=[conflict["metric"]] * 2,
        intensity_value=[float(conflict["from"]), float(conflict["to"])],
    )

    classes = load_reference("exercise_intensity.toml")["classes"]
    assert [classes[int(c)] for c in found["intensity_class"]] == [conflict["used"]] * 2


def test_a_heart_rate_no_person_has_is_named_by_the_contract():
    cases = pd.DataFrame(
        {
            "study_id": "s",
            "participant_id": ["1", "2"],
            "session_id": "a",
            "condition": "healthy",
            "modality": "aerobic",
            "intensity_metric": ["heart_rate_bpm", "percent_hrr"],
            "intensity_value": [240.0, 140.0],
        }
    )

    found = check_cases(cases)

    assert [(v.column, v.code, v.rows) for v in found.violations] == [
        ("intensity_value", "out_of_range", (0, 1))
    ]
    assert found.table["intensity_value"].isna().all()


# ---- doses


def test_met_minutes_come_from_the_compendium_or_from_an_intensity_in_mets():
    found = built(
        exercise_mets=[6.0, NAN, NAN],
        intensity_metric=["percent_hrr", "mets", "percent_hrr"],
        intensity_value=[60.0, 4.0, 60.0],
        duration_min=[20.0, 30.0, 30.0],
        frequency_per_week=[3.0, 2.0, 2.0],
    )

    np.testing.assert_allclose(np.expm1(found["dose_log_met_min"]), [6 * 20, 4 * 30, NAN])
    np.testing.assert_allclose(
        np.expm1(found["dose_log_met_min_week"]), [6 * 20 * 3, 4 * 30 * 2, NAN]
    )


def test_session_load_is_the_planned_rating_times_minutes():
    found = built(
        intensity_metric=["cr10", "rpe_6_20"], intensity_value=[5.0, 14.0], duration_min=[20.0] * 2
    )

    # The 6-20 scale is another one: it gives no session load.
    np.testing.assert_allclose(np.expm1(found["dose_log_session_rpe"]), [5 * 20, NAN])


def test_isometric_impulse_is_force_times_time_times_contractions():
    found = built(
        intensity_metric=["percent_mvc", "percent_1rm"],
        intensity_value=[30.0, 30.0],
        contraction_s=[60.0, 60.0],
        sets=[2.0, 2.0],
        repetitions=[3.0, 3.0],
    )

    np.testing.assert_allclose(np.expm1(found["dose_log_impulse_mvc_s"]), [30 * 60 * 2 * 3, NAN])


def test_resistance_volume_is_sets_times_repetitions_times_load():
    found = built(
        intensity_metric=["percent_1rm", "percent_1rm"],
        intensity_value=[70.0, 70.0],
        sets=[3.0, NAN],
        repetitions=[10.0, 10.0],
        load_kg=[40.0, 40.0],
    )

    np.testing.assert_allclose(np.expm1(found["dose_log_volume_1rm"]), [3 * 10 * 70, NAN])
    np.testing.assert_allclose(np.expm1(found["dose_log_volume_kg"]), [3 * 10 * 40, NAN])


def test_a_programme_has_its_bouts_and_its_progression():
    found = built(frequency_per_week=[3.0], programme_weeks=[12.0], progression=["individual"])

    np.testing.assert_allclose(np.expm1(found["programme_log_bouts"]), [3 * 12])
    assert found["progression_individual"] == [1.0]
    assert found["progression_none"] == [0.0]


# ---- regions


@pytest.mark.parametrize(
    ("exercised", "other", "same"),
    [
        ("trunk", "trunk", 1.0),
        ("trunk", "neck", 0.0),
        ("whole_body", "neck", 1.0),
        ("neck", "whole_body", 1.0),
        (None, "neck", NAN),
        ("neck", None, NAN),
    ],
)
def test_regions_are_the_same_where_one_holds_the_other(exercised, other, same):
    found = built(body_region=[exercised], tested_region=[other], painful_region=[other])

    np.testing.assert_array_equal(found["test_site_local"], [same])
    np.testing.assert_array_equal(found["loads_painful_region"], [same])


def test_a_delivered_statement_about_the_painful_region_wins():
    found = built(body_region=["trunk"], painful_region=["trunk"], loads_painful_region=[0.0])

    assert found["loads_painful_region"] == [0.0]


def test_intensity_class_of_a_missing_intensity_is_missing():
    assert np.isnan(intensity_class(np.array([NAN]))).all()
