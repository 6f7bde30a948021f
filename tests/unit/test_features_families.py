"""Modulation, condition, person and exercise, by hand."""

import numpy as np
import pandas as pd
import pytest

from features.columns import CONDITIONS, MODALITIES, REGIONS
from features.condition import build_condition
from features.exercise import (
    INTENSITY_CLASSES,
    build_exercise,
    intensity_class,
    relative_intensity,
)
from features.modulation import build_modulation, cpm_of_rating, cpm_of_threshold
from features.person import body_mass_index, build_person
from features.reference import load_reference
from features.spec import indicators, log_ratio, numbers
from features.summation import temporal_summation

# Where light, moderate, vigorous and near-maximal begin (Garber 2011; evidence E1). The last
# two metrics have no published class: the project's proposal.
ACSM = (
    ("percent_hrr", (30, 40, 60, 90)),
    ("percent_hrmax", (57, 64, 77, 96)),
    ("percent_vo2max", (37, 46, 64, 91)),
    ("rpe_6_20", (9, 12, 14, 18)),
    ("mets", (2, 3, 6, 8.8)),
    ("percent_1rm", (30, 50, 70, 85)),
    ("cr10", (2, 4, 6, 8)),
    ("percent_mvc", (10, 30, 60, 90)),
    ("percent_ftp", (40, 55, 75, 105)),
)


def built(build, **columns):
    return {name: values.tolist() for name, values in build(pd.DataFrame(columns)).items()}


# ---- modulation


def test_cpm_of_a_threshold_is_positive_where_the_threshold_rises():
    change = cpm_of_threshold(np.array([200.0, 200.0, 200.0]), np.array([240.0, 200.0, 160.0]))

    assert change == pytest.approx([np.log(240 / 200), 0.0, np.log(160 / 200)])
    assert change[0] > 0 > change[2]


def test_cpm_of_a_rating_is_positive_where_the_rating_falls():
    assert cpm_of_rating(np.array([6.0, 3.0]), np.array([4.5, 5.0])).tolist() == [6 - 4.5, 3 - 5]


def test_temporal_summation_is_positive_where_pain_builds_up():
    assert temporal_summation(np.array([2.0, 5.0]), np.array([5.0, 4.0])).tolist() == [5 - 2, 4 - 5]


def test_build_modulation_matches_arithmetic_by_hand():
    features = built(
        build_modulation,
        cpm_ppt_unconditioned_kpa=[250.0, 250.0, np.nan],
        cpm_ppt_conditioned_kpa=[300.0, np.nan, 300.0],
        cpm_rating_unconditioned_nrs=[6.0, 6.0, np.nan],
        cpm_rating_conditioned_nrs=[4.0, np.nan, 4.0],
        cpm_timing=["parallel", "sequential", None],
        ts_first_nrs=[1.0, 1.0, np.nan],
        ts_last_nrs=[4.0, np.nan, 4.0],
        ppt_baseline_local_kpa=[400.0, np.nan, 100.0],
        ppt_baseline_remote_kpa=[300.0, np.nan, 100.0],
    )

    nan = float("nan")
    expected = {
        "cpm_ppt_log_ratio": [np.log(300 / 250), nan, nan],
        "cpm_rating_nrs": [6.0 - 4.0, nan, nan],
        "cpm_parallel": [1.0, 0.0, nan],
        "ts_difference_nrs": [4.0 - 1.0, nan, nan],
        "ppt_baseline_local_log_kpa": [np.log(400), nan, np.log(100)],
        "ppt_baseline_remote_log_kpa": [np.log(300), nan, np.log(100)],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(features[name], values, rtol=1e-14, err_msg=name)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("top", "bottom"), [(0, 1), (1, 0), (-1, 2), (np.nan, 1), (1, np.nan)])
def test_log_ratio_is_missing_without_a_warning_where_there_is_no_logarithm(top, bottom):
    assert np.isnan(log_ratio(np.array([top], float), np.array([bottom], float))).all()


# ---- condition


@pytest.mark.parametrize("condition", CONDITIONS)
def test_one_indicator_marks_the_condition(condition):
    features = built(build_condition, condition=[condition])

    levels = [f"condition_{c}" for c in CONDITIONS]
    marked = {n for n in levels if features[n] == [1.0]}
    zero = {n for n in levels if features[n] == [0.0]}
    assert marked == {f"condition_{condition}"}
    assert len(zero) == len(CONDITIONS) - 1


def test_build_condition_matches_arithmetic_by_hand():
    features = built(
        build_condition,
        condition=["whiplash", None],
        pain_now_nrs=[3.5, np.nan],
        pain_duration_months=[24.0, np.nan],
        opioid_use=[1.0, np.nan],
    )

    assert features["condition_whiplash"][0] == 1.0
    assert features["pain_now_nrs"][0] == 3.5
    assert features["pain_duration_log_months"][0] == pytest.approx(np.log(1 + 24))
    assert features["opioid_use"][0] == 1.0
    assert all(np.isnan(values[1]) for values in features.values())


def test_a_pain_that_began_today_has_a_duration_of_zero():
    assert built(build_condition, pain_duration_months=[0.0])["pain_duration_log_months"] == [0.0]


# ---- person


def test_body_mass_index_is_weight_over_squared_height():
    assert body_mass_index(np.array([81.0]), np.array([180.0])) == pytest.approx([81 / 1.8**2])


def test_a_delivered_body_mass_index_wins_over_a_computed_one():
    features = built(
        build_person,
        bmi_kg_m2=[30.0, np.nan, np.nan],
        weight_kg=[81.0, 81.0, 81.0],
        height_cm=[180.0, 180.0, np.nan],
    )

    np.testing.assert_allclose(features["bmi_kg_m2"], [30.0, 81 / 1.8**2, np.nan])


def test_sex_is_missing_where_it_is_neither_female_nor_male():
    features = built(build_person, sex=["female", "male", "other", None])

    np.testing.assert_array_equal(features["sex_female"], [1.0, 0.0, np.nan, np.nan])


def test_build_person_matches_arithmetic_by_hand():
    features = built(
        build_person,
        age_years=[44.0, np.nan],
        physical_activity_met_min_week=[600.0, np.nan],
        fitness_w_per_kg=[2.5, np.nan],
    )

    nan = float("nan")
    np.testing.assert_array_equal(features["age_years"], [44.0, nan])
    np.testing.assert_allclose(
        features["physical_activity_log_met_min_week"], [np.log(1 + 600), nan]
    )
    np.testing.assert_array_equal(features["fitness_w_per_kg"], [2.5, nan])
    assert np.isnan(features["sex_female"]).all()
    assert np.isnan(features["bmi_kg_m2"]).all()


# ---- exercise


def test_every_metric_of_the_reference_is_tested_here():
    assert [m for m, _ in ACSM] == list(load_reference("exercise_intensity.toml")["metrics"])


@pytest.mark.parametrize(("metric", "bounds"), ACSM)
def test_a_class_begins_at_the_same_relative_intensity_in_every_metric(metric, bounds):
    relative = relative_intensity(np.array(bounds, float), metric)

    assert relative == pytest.approx([0.30, 0.40, 0.60, 0.90], abs=1e-12)


@pytest.mark.parametrize(("metric", "bounds"), ACSM)
def test_a_boundary_belongs_to_the_higher_class(metric, bounds):
    at = np.array(bounds, float)

    assert intensity_class(relative_intensity(at, metric)).tolist() == [1, 2, 3, 4]
    assert intensity_class(relative_intensity(at - 0.01, metric)).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("metric", "bounds"), ACSM)
def test_intensity_is_linear_between_two_boundaries(metric, bounds):
    middle = np.array([(bounds[1] + bounds[2]) / 2])

    assert relative_intensity(middle, metric) == pytest.approx([(0.40 + 0.60) / 2])


@pytest.mark.parametrize(
    ("metric", "rest", "top"),
    [
        ("percent_hrr", 0, 100),
        ("percent_hrmax", 0, 100),
        ("percent_vo2max", 0, 100),
        ("rpe_6_20", 6, 20),
        ("mets", 1, 15),
        ("percent_1rm", 0, 100),
        ("cr10", 0, 10),
        ("percent_mvc", 0, 100),
        ("percent_ftp", 0, 130),
    ],
)
def test_relative_intensity_runs_from_rest_to_the_top_and_stays_there(metric, rest, top):
    limit = load_reference("exercise_intensity.toml")["metrics"][metric]["limit"]

    relative = relative_intensity(np.array([rest, top, limit], float), metric)

    assert relative.tolist() == [0.0, 1.0, 1.0]


def test_intensity_classes_are_those_of_the_acsm():
    assert INTENSITY_CLASSES == ("very_light", "light", "moderate", "vigorous", "near_maximal")
    assert np.isnan(intensity_class(np.array([np.nan]))).all()


def test_each_row_is_read_in_its_own_metric():
    features = built(
        build_exercise,
        intensity_metric=["percent_hrr", "rpe_6_20", None, "cr10"],
        intensity_value=[60.0, 14.0, 60.0, np.nan],
    )

    np.testing.assert_allclose(features["intensity_relative"], [0.6, 0.6, np.nan, np.nan])
    np.testing.assert_array_equal(features["intensity_class"], [3, 3, np.nan, np.nan])


def test_an_intensity_without_any_metric_is_missing():
    features = built(build_exercise, intensity_value=[60.0])

    assert np.isnan(features["intensity_relative"]).all()


def test_build_exercise_matches_arithmetic_by_hand():
    features = built(
        build_exercise,
        modality=["isometric"],
        duration_min=[20.0],
        frequency_per_week=[3.0],
        programme_weeks=[12.0],
        body_region=["trunk"],
        loads_painful_region=[0.0],
    )

    assert features["modality_isometric"] == [1.0]
    assert features["modality_aerobic"] == [0.0]
    assert features["duration_log_min"] == pytest.approx([np.log(1 + 20)])
    assert features["frequency_per_week"] == [3.0]
    assert features["programme_weeks"] == [12.0]
    assert features["body_region_trunk"] == [1.0]
    assert features["loads_painful_region"] == [0.0]


@pytest.mark.parametrize(
    ("build", "column", "levels"),
    [
        (build_condition, "condition", CONDITIONS),
        (build_exercise, "modality", MODALITIES),
        (build_exercise, "body_region", REGIONS),
    ],
)
def test_indicators_sum_to_one_or_are_all_missing(build, column, levels):
    table = pd.DataFrame({column: [*levels, None]})

    features = build(table)
    matrix = np.column_stack([features[f"{column}_{level}"] for level in levels])

    assert matrix[:-1].tolist() == np.eye(len(levels)).tolist()
    assert np.isnan(matrix[-1]).all()


def test_indicators_of_an_absent_column_are_all_missing():
    columns = indicators(pd.DataFrame(index=range(2)), "modality")

    assert list(columns) == [f"modality_{m}" for m in MODALITIES]
    assert all(np.isnan(v).all() and v.shape == (2,) for v in columns.values())


def test_numbers_refuses_a_column_the_contract_does_not_know():
    with pytest.raises(KeyError, match="age_yaers"):
        numbers(pd.DataFrame({"age_yaers": [1.0]}), "age_yaers")


def test_numbers_of_an_absent_column_are_missing():
    assert np.isnan(numbers(pd.DataFrame(index=range(3)), "age_years")).tolist() == [True] * 3
