"""Sample sizes: the published examples, the simulation of the R², the design effect."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.sample_size import (
    Available,
    binary_sample_size,
    continuous_sample_size,
    largest_r2,
    outcome_icc,
    r2_of_c_statistic,
    sample_size_verdict,
)

REFERENCE = Path(__file__).resolve().parent.parent / "reference"
SIMULATED = pd.read_csv(REFERENCE / "c_statistic_r2_expected.csv")

# ---- published


@pytest.mark.parametrize(
    ("parameters", "prevalence", "r2", "criteria", "events"),
    [
        # Example of the R package pmsampsize (Riley et al. 2019, Part II), version 1.1.3.
        (24, 0.174, 0.288, {"1": 623, "2": 662, "3": 221}, 116),
        # pmsampsize's table for C .75, 30 parameters, prevalence .47 (it made R² .1845 of C).
        (30, 0.47, 0.1845, {"1": 1308, "2": 709, "3": 383}, 615),
    ],
)
def test_binary_criteria_are_the_published_ones(parameters, prevalence, r2, criteria, events):
    found = binary_sample_size(parameters, prevalence, r2)

    assert found.criteria == criteria
    assert found.minimum_n == max(criteria.values())
    assert found.minimum_events == events


def test_continuous_criteria_are_the_published_ones():
    # Example of pmsampsize (Riley et al. 2019, Part I): FEV1, mean 1.9, SD .6, 25 parameters.
    found = continuous_sample_size(25, 0.2, 1.9, 0.6)

    assert found.criteria == {"1": 918, "2": 401, "3": 234 + 25, "4": 259}
    assert found.minimum_events is None


@pytest.mark.parametrize(
    ("c_statistic", "parameters", "prevalence", "published"),
    # pmsampsize 1.1.3, whose R² comes from one simulation of a million.
    [(0.78, 30, 0.2, 1556), (0.75, 30, 0.47, 1308), (0.89, 24, 0.174, 662)],
)
def test_a_c_statistic_leads_to_the_published_size_within_one_percent(
    c_statistic, parameters, prevalence, published
):
    found = binary_sample_size(
        parameters, prevalence, r2_of_c_statistic(c_statistic, prevalence)
    ).minimum_n

    assert found == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize("row", list(SIMULATED.itertuples(index=False)), ids=str)
def test_r2_of_a_c_statistic_is_that_of_the_simulation(row):
    """Golden: c_statistic_r2.R, 2,000,000 draws.

    Four standard errors of the simulated R², about sqrt(4 R² / 2e6) each, below 1 % from C .70 up.
    """
    error = 4 * np.sqrt(4 * row.r2 / 2e6)

    assert r2_of_c_statistic(row.c_statistic, row.prevalence) == pytest.approx(row.r2, abs=error)
    assert row.c_statistic < 0.7 or error < 0.02 * row.r2


# ---- definitions


def test_criteria_meet_their_definitions_at_the_size_and_not_below():
    # Shrinkage 1 + P / (n ln(1 - R²/S)) at the size; the overall risk's half-width 1.96 SE.
    found = binary_sample_size(10, 0.3, 0.1)

    def shrinkage(n):
        return 1 + 10 / (n * np.log(1 - 0.1 / 0.9))

    def half_width(n):
        return 1.96 * np.sqrt(0.3 * 0.7 / n)

    assert shrinkage(found.criteria["1"]) >= 0.9 > shrinkage(found.criteria["1"] - 1)
    assert half_width(found.criteria["3"]) <= 0.05 < half_width(found.criteria["3"] - 1)


def test_the_largest_r2_is_that_of_a_perfect_model():
    # A likelihood of 1 against that of the rate: 1 - (.3^.3 * .7^.7)^2.
    assert largest_r2(0.3) == pytest.approx(1 - (0.3**0.3 * 0.7**0.7) ** 2)


def test_a_c_statistic_of_one_half_explains_nothing_and_more_explains_more():
    values = [r2_of_c_statistic(c, 0.3) for c in (0.5, 0.6, 0.7, 0.8, 0.9, 0.999)]

    assert values[0] == pytest.approx(0, abs=1e-9)
    assert np.all(np.diff(values) > 0)
    assert values[-1] < largest_r2(0.3)


def test_the_r2_is_the_same_for_the_event_and_its_opposite():
    assert r2_of_c_statistic(0.7, 0.2) == pytest.approx(r2_of_c_statistic(0.7, 0.8), rel=1e-9)


# ---- repeated bouts


def test_bouts_that_tell_nothing_new_leave_the_number_of_persons():
    size = binary_sample_size(10, 0.3, 0.1)

    found = size.repeated(4, 1.0)

    assert found["design_effect"] == 1 + (4 - 1) * 1
    assert found["minimum_participants"] == size.minimum_n


def test_independent_bouts_divide_the_number_of_persons():
    size = binary_sample_size(10, 0.3, 0.1)

    assert size.repeated(4, 0.0)["minimum_participants"] == -(-size.minimum_n // 4)


def test_correlated_bouts_lie_between():
    size = binary_sample_size(24, 0.174, 0.288)

    found = size.repeated(3, 0.4)

    assert found["design_effect"] == pytest.approx(1 + 2 * 0.4)
    assert found["minimum_bouts"] == 1192  # 662 * 1.8 = 1191.6
    assert found["minimum_participants"] == 398  # 1192 / 3 = 397.3


def test_the_correlation_of_bouts_is_recovered():
    # Persons' means have variance .5, bouts about them .5: ICC .5; its standard error with 2,000
    # persons of 3 bouts is about .015.
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(2000), 3)
    y = np.sqrt(0.5) * (rng.normal(size=2000)[person] + rng.normal(size=6000))

    assert outcome_icc(y, person) == pytest.approx(0.5, abs=4 * 0.015)


@pytest.mark.parametrize(
    ("y", "person"), [([0, 1, 1], [0, 1, 2]), ([1, 1, 1, 1], [0, 0, 1, 1]), ([0, 1], [0, 0])]
)
def test_a_correlation_that_cannot_be_had_is_unknown(y, person):
    assert np.isnan(outcome_icc(np.array(y, float), np.array(person)))


# ---- the verdict


def test_a_verdict_counts_persons_not_bouts():
    few, many = (
        sample_size_verdict(Available(n, 4 * n, 0.3 * 4 * n, 1.0), 10, 0.7) for n in (250, 850)
    )

    assert (few["sufficient"], many["sufficient"]) == (False, True)
    assert few["required"]["with_repeated_bouts"]["minimum_participants"] == 820
    assert few["sentence"] == (
        "Too small for 10 parameters without a penalty: 250 persons with 1000 bouts and 300 events "
        "(30.0 per parameter); 820 persons with 3280 bouts would be needed (Riley criteria, C "
        "statistic 0.70 anticipated, design effect 4.00)."
    )
    assert many["sentence"].startswith("Large enough for 10 parameters")


def test_a_verdict_without_repeated_bouts_needs_no_correlation():
    found = sample_size_verdict(Available(100, 100, 30, float("nan")), 10, 0.7)

    assert found["required"]["with_repeated_bouts"]["design_effect"] == 1


# ---- what cannot be asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 0.0, 0.1), "prevalence: expected a value between 0 and 1, found 0.0."),
        ((10, 0.3, 0.8), "R² (Cox-Snell): expected a value between 0 and 0.7053, found 0.8."),
        ((0, 0.3, 0.1), "parameters: expected a number above 0, found 0."),
        ((10, 0.3, 0.1, 1.0), "shrinkage: expected a value between 0 and 1, found 1.0."),
    ],
)
def test_an_impossible_question_says_what_was_expected(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        binary_sample_size(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 0.3, 0.0, 1.0), "absolute mean: expected a number above 0, found 0.0."),
        ((10, 1.0, 1.0, 1.0), "R²: expected a value between 0 and 1, found 1.0."),
        ((10, 0.3, 1.0, 0.0), "standard deviation: expected a number above 0, found 0.0."),
    ],
)
def test_an_impossible_continuous_question_says_what_was_expected(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        continuous_sample_size(*arguments)
