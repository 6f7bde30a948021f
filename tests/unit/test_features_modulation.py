"""CPM on every scale, temporal summation, wind-up, offset analgesia, trials: by hand."""

import numpy as np
import pandas as pd
import pytest

from features.columns import CASES_BY_NAME
from features.modulation import build_cpm, build_modulation, published_sem
from features.reference import load_reference
from features.sensitivity import build_sensitivity, mean_of_trials
from features.summation import build_summation, train_slope

NAN = float("nan")


def built(build, **columns):
    return {name: values.tolist() for name, values in build(pd.DataFrame(columns)).items()}


def same(found, expected):
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12, err_msg=name)


# ---- conditioned pain modulation


def test_cpm_of_a_threshold_is_given_on_three_scales_all_positive_for_inhibition():
    found = built(
        build_cpm,
        cpm_ppt_unconditioned_kpa=[200.0, 300.0, NAN],
        cpm_ppt_conditioned_kpa=[250.0, 240.0, 240.0],
    )

    same(
        found,
        {
            "cpm_ppt_kpa": [250 - 200, 240 - 300, NAN],
            "cpm_ppt_percent": [100 * (250 - 200) / 200, 100 * (240 - 300) / 300, NAN],
            "cpm_ppt_log_ratio": [np.log(250 / 200), np.log(240 / 300), NAN],
        },
    )


def test_cpm_of_a_rating_is_given_on_three_scales_all_positive_for_inhibition():
    found = built(
        build_cpm,
        cpm_rating_unconditioned_nrs=[6.0, 4.0, 0.0, 5.0],
        cpm_rating_conditioned_nrs=[4.5, 5.0, 1.0, 0.0],
    )

    same(
        found,
        {
            "cpm_rating_nrs": [6 - 4.5, 4 - 5, 0 - 1, 5 - 0],
            "cpm_rating_percent": [100 * 1.5 / 6, 100 * -1 / 4, NAN, 100 * 5 / 5],
            "cpm_rating_log_ratio": [np.log(6 / 4.5), np.log(4 / 5), NAN, NAN],
        },
    )


def test_a_cuff_threshold_and_a_hand_held_one_never_stand_in_for_each_other():
    cuff = {"cpm_cuff_unconditioned_kpa": [20.0], "cpm_cuff_conditioned_kpa": [25.0]}

    found = built(build_modulation, **cuff, cuff_ppt_baseline_local_kpa=[30.0])

    same(found, {"cpm_cuff_log_ratio": [np.log(25 / 20)], "cpm_cuff_kpa": [25 - 20]})
    same(found, {"cuff_ppt_baseline_local_log_kpa": [np.log(30)]})
    hand_held = [n for n in found if n.startswith(("cpm_ppt", "ppt_baseline"))]
    assert all(np.isnan(v) for n in hand_held for v in found[n] if not n.endswith("n_trials"))


def test_a_value_of_a_hand_held_algometer_is_refused_as_a_cuff_pressure():
    assert CASES_BY_NAME["cuff_ppt_baseline_local_kpa"].high < 200
    assert CASES_BY_NAME["ppt_baseline_local_kpa"].low >= 20


def test_cpm_of_a_heat_threshold_has_an_absolute_scale_only():
    found = built(build_cpm, cpm_heat_unconditioned_degc=[44.0], cpm_heat_conditioned_degc=[45.5])

    assert found["cpm_heat_degc"] == [45.5 - 44.0]
    assert [n for n in found if n.startswith("cpm_heat")] == ["cpm_heat_degc"]


def test_a_study_s_own_error_of_measurement_decides_who_is_efficient():
    found = built(
        build_cpm,
        cpm_ppt_unconditioned_kpa=[200.0, 200.0, 200.0, 200.0],
        cpm_ppt_conditioned_kpa=[231.0, 230.0, 150.0, NAN],
        cpm_ppt_sem_kpa=[30.0, 30.0, 30.0, 30.0],
    )

    np.testing.assert_array_equal(found["cpm_ppt_efficient"], [1.0, 0.0, 0.0, NAN])


def test_a_published_error_serves_its_own_paradigm_only():
    cases = pd.DataFrame(
        {
            "cpm_paradigm": ["cold_pressor", "ischaemic", "cold_pressor", None],
            "cpm_timing": ["parallel", "parallel", "sequential", "parallel"],
        }
    )

    # 0.21 kg/cm2 (Kennedy); 20.2 of 101 is 1.96 * sqrt(2) standard errors (Gehling).
    kpa, points = 0.21 * 98.0665, 20.2 / (1.96 * np.sqrt(2)) / 10
    ppt, rating = published_sem(cases, "cpm_ppt"), published_sem(cases, "cpm_rating")
    np.testing.assert_allclose(ppt, [kpa, NAN, kpa, NAN], rtol=1e-4)
    np.testing.assert_allclose(rating, [points, NAN, NAN, NAN], rtol=1e-3)


def test_efficiency_is_unknown_without_any_error_of_measurement():
    found = built(build_cpm, cpm_ppt_unconditioned_kpa=[200.0], cpm_ppt_conditioned_kpa=[400.0])

    assert np.isnan(found["cpm_ppt_efficient"]).all()


def test_paradigm_and_timing_are_kept():
    found = built(
        build_cpm, cpm_paradigm=["cuff_pressure", None], cpm_timing=["sequential", "parallel"]
    )

    np.testing.assert_array_equal(found["cpm_paradigm_cuff_pressure"], [1.0, NAN])
    np.testing.assert_array_equal(found["cpm_paradigm_cold_pressor"], [0.0, NAN])
    assert found["cpm_parallel"] == [0.0, 1.0]


def test_every_published_error_names_a_source_and_whether_it_was_read():
    for entry in load_reference("modulation.toml")["cpm_sem"]:
        assert entry["source"]
        assert entry["status"] in ("verified", "unverified")


# ---- temporal summation


def train(*rows):
    """Columns of whole trains, one row a person."""
    return {f"ts_rating_{i}": [float(r[i - 1]) for r in rows] for i in range(1, len(rows[0]) + 1)}


def test_a_train_gives_difference_peak_and_slope():
    found = built(build_summation, **train((2, 3, 4, 7, 6), (5, 5, 5, 5, 5)))

    same(
        found,
        {
            "ts_difference_nrs": [6 - 2, 0],
            "ts_peak_difference_nrs": [7 - 2, 0],
            # Centred: sum of (x - 3) * y over sum of (x - 3)**2 = 10.
            "ts_slope_nrs": [(-2 * 2 - 3 + 7 + 2 * 6) / 10, 0],
            "ts_last_first_ratio": [6 / 2, 1],
        },
    )


def test_the_last_rating_given_ends_a_train():
    found = built(build_summation, **train((1, 2, 4, np.nan), (1, np.nan, np.nan, np.nan)))

    np.testing.assert_array_equal(found["ts_difference_nrs"], [4 - 1, NAN])
    np.testing.assert_array_equal(found["ts_peak_difference_nrs"], [4 - 1, NAN])


def test_delivered_ends_win_over_the_train():
    found = built(build_summation, **train((1, 2, 4)), ts_first_nrs=[2.0], ts_last_nrs=[7.0])

    assert found["ts_difference_nrs"] == [7 - 2]


@pytest.mark.parametrize(("n", "known"), [(2, False), (3, True)])
def test_a_slope_needs_three_ratings(n, known):
    ratings = [np.array([float(i)]) for i in range(n)]

    assert np.isfinite(train_slope(ratings)).all() == known


def test_a_ratio_over_a_rating_of_zero_is_missing_and_flagged_and_the_difference_stays():
    found = built(
        build_summation,
        ts_single_nrs=[2.0, 0.0, NAN],
        ts_train_nrs=[5.0, 3.0, 3.0],
        ts_first_nrs=[0.0, 1.0, NAN],
        ts_last_nrs=[4.0, 3.0, 3.0],
    )

    same(
        found,
        {
            "ts_windup_ratio": [5 / 2, NAN, NAN],
            "ts_windup_log_ratio": [np.log(5 / 2), NAN, NAN],
            "ts_windup_undefined": [0, 1, NAN],
            "ts_last_first_ratio": [NAN, 3, NAN],
            "ts_last_first_undefined": [1, 0, NAN],
            "ts_difference_nrs": [4 - 0, 3 - 1, NAN],
        },
    )


# ---- offset analgesia


def test_offset_analgesia_is_the_depression_after_the_small_step_down():
    found = built(
        build_summation,
        oa_t1_nrs=[5.0, 5.0],
        oa_t2_nrs=[8.0, 0.0],
        oa_t3_nrs=[2.0, 1.0],
        oa_constant_t3_nrs=[6.0, NAN],
    )

    same(
        found,
        {
            "oa_nrs": [8 - 2, 0 - 1],
            "oa_percent": [100 * (8 - 2) / 8, NAN],
            "oa_same_temperature_nrs": [5 - 2, 5 - 1],
            "oa_controlled_nrs": [6 - 2, NAN],
        },
    )


# ---- thresholds and their trials


def test_trials_give_their_mean_its_standard_error_and_their_number():
    mean, error, n = mean_of_trials(
        [np.array([300.0, 300.0, NAN]), np.array([330.0, NAN, NAN]), np.array([360.0, NAN, NAN])]
    )

    spread = np.sqrt((30**2 + 0 + 30**2) / 2)
    np.testing.assert_allclose(mean, [330.0, 300.0, NAN])
    np.testing.assert_allclose(error, [spread / np.sqrt(3), NAN, NAN])
    assert n.tolist() == [3.0, 1.0, 0.0]


def test_the_mean_of_trials_stands_in_for_a_threshold_that_was_not_delivered():
    found = built(
        build_sensitivity,
        ppt_baseline_local_kpa=[NAN, 350.0],
        ppt_baseline_local_1_kpa=[300.0, 300.0],
        ppt_baseline_local_2_kpa=[340.0, 340.0],
        ppt_baseline_n_trials=[5.0, 5.0],
        ppt_baseline_remote_kpa=[400.0, NAN],
    )

    same(
        found,
        {
            "ppt_baseline_local_log_kpa": [np.log((300 + 340) / 2), np.log(350)],
            "ppt_baseline_local_se_kpa": [20.0, 20.0],
            "ppt_baseline_local_n_trials": [2, 2],
            # A mean without its trials: the number stated for it, and none where there is no mean.
            "ppt_baseline_remote_n_trials": [5, NAN],
            "ppt_baseline_remote_se_kpa": [NAN, NAN],
        },
    )


def test_how_a_threshold_was_measured_is_kept():
    found = built(
        build_sensitivity, ppt_tip_area_cm2=[1.0], ppt_ramp_kpa_s=[50.0], ppt_cutoff_kpa=[1000.0]
    )

    assert found["ppt_tip_area_cm2"] == [1.0]
    assert found["ppt_ramp_kpa_s"] == [50.0]
    assert found["ppt_cutoff_kpa"] == [1000.0]
