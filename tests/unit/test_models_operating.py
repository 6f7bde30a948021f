"""Rates, bias and coverage over studies whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from models.operating import AucRecord, Rate, summarise_auc, summarise_runs


def test_the_interval_of_a_rate_is_the_exact_one():
    lower, upper = Rate(7, 200).interval

    # Clopper-Pearson by its definition in quantiles of the beta distribution.
    assert lower == pytest.approx(beta.ppf(0.025, 7, 194))
    assert upper == pytest.approx(beta.ppf(0.975, 8, 193))


def test_a_rate_of_nothing_is_unknown():
    assert np.isnan(Rate(0, 0).estimate)
    assert np.isnan(Rate(0, 0).interval).all()


def test_bias_is_the_mean_distance_from_each_study_s_own_truth():
    found = summarise_auc([AucRecord(0.60, 0.5, 0.7, 0.58), AucRecord(0.70, 0.6, 0.8, 0.64)])

    assert found["bias"] == pytest.approx((0.02 + 0.06) / 2)
    assert found["bias_standard_error"] == pytest.approx(0.04 / np.sqrt(2) / np.sqrt(2))
    assert found["mean_true"] == pytest.approx(0.61)


def test_coverage_asks_for_this_model_s_truth_and_for_the_procedure_s():
    # The second interval holds the mean truth, .60, but not its own, .70.
    records = [AucRecord(0.5, 0.4, 0.7, 0.5), AucRecord(0.6, 0.5, 0.65, 0.7)]

    found = summarise_auc(records)

    assert found["coverage_conditional"]["successes"] == 1
    assert found["coverage_procedure"]["successes"] == 2


def test_a_study_whose_interval_is_unknown_is_left_out_and_counted():
    records = [AucRecord(0.5, np.nan, np.nan, 0.5), AucRecord(0.6, 0.5, 0.7, 0.6)]

    found = summarise_auc(records)

    assert (found["n"], found["n_left_out"]) == (1, 1)
    assert found["coverage_conditional"]["n"] == 1


def test_no_study_at_all_gives_counts_and_no_figures():
    assert summarise_auc([]) == {"n": 0, "n_left_out": 0}


@pytest.mark.parametrize("seed", range(3))
def test_an_honest_interval_covers_and_a_narrow_one_does_not(seed):
    rng = np.random.default_rng(seed)
    n, sd = 2000, 0.05
    estimate = 0.65 + sd * rng.standard_normal(n)
    honest, narrow = (
        summarise_auc([AucRecord(e, e - z * sd, e + z * sd, 0.65) for e in estimate])
        for z in (1.96, 1.28)
    )

    # Standard error of a coverage of .95 in 2,000 studies: .005; of .80: .009.
    assert honest["coverage_conditional"]["estimate"] == pytest.approx(0.95, abs=4 * 0.005)
    assert narrow["coverage_conditional"]["estimate"] == pytest.approx(0.80, abs=4 * 0.009)


def test_studies_without_enough_data_are_counted_and_no_denominator():
    auc = {"logistic": {"estimate": 0.6, "lower": 0.5, "upper": 0.7, "true": 0.6}}
    runs = [
        {"seed": 0, "promoted": True, "selected": "logistic", "auc": auc},
        {"seed": 1, "promoted": False, "selected": "stratum", "auc": auc},
        {"seed": 2, "not_enough_data": "expected 5 persons"},
    ]

    found = summarise_runs(runs)

    assert (found["n_runs"], found["n_not_enough_data"]) == (3, 1)
    assert (found["promoted"]["successes"], found["promoted"]["n"]) == (1, 2)
    assert found["selected"] == {"logistic": 1, "stratum": 1}
    assert found["auc"]["logistic"]["n"] == 2
