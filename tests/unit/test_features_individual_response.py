"""SD of individual response: by arithmetic, with a sentence for each case."""

import numpy as np
import pytest

from features.individual_response import Changes, individual_response, not_estimable
from features.resampling import draw_persons


def changes(values, group=None):
    n = len(values)
    return Changes(
        np.asarray(values, dtype=float),
        np.arange(n),
        np.zeros(n, dtype=np.int64) if group is None else np.asarray(group),
    )


def simulated(sd_response, sd_exercise_error, sd_rest, n=200, seed=1):
    rng = np.random.default_rng(seed)
    own = sd_response * rng.normal(size=n)
    return individual_response(
        changes(own + sd_exercise_error * rng.normal(size=n)),
        changes(sd_rest * rng.normal(size=n)),
        draw_persons(n, 400, seed),
    )


def test_variance_is_that_after_exercise_minus_that_after_rest():
    exercise, rest = [10.0, 30.0, 50.0, 20.0], [5.0, -5.0, 0.0, 10.0]

    found = individual_response(changes(exercise), changes(rest), np.ones((1, 4)))

    variance = np.var(exercise, ddof=1) - np.var(rest, ddof=1)
    assert found.variance.estimate == pytest.approx(variance)
    assert found.sd.estimate == pytest.approx(np.sqrt(variance))
    assert "without an interval it tells nothing" in found.sentence


def test_a_negative_variance_is_kept_and_its_root_carries_the_sign():
    found = individual_response(
        changes([1.0, 2.0, 3.0]), changes([-9.0, 0.0, 9.0]), np.ones((1, 3))
    )

    assert found.variance.estimate == pytest.approx(1 - 81)
    assert found.sd.estimate == pytest.approx(-np.sqrt(80))


def test_a_difference_between_two_exercises_is_no_individual_response():
    group = [0, 0, 1, 1]

    found = individual_response(
        changes([10.0, 12.0, 90.0, 92.0], group), changes([1.0, 2.0, 3.0, 4.0]), np.ones((1, 4))
    )

    within = (2 * 1**2 + 2 * 1**2) / (4 - 2)
    assert found.variance.estimate == pytest.approx(within - np.var([1, 2, 3, 4], ddof=1))


@pytest.mark.parametrize(
    ("true_sd", "exercise_error", "rest_error", "said"),
    [
        (20.0, 20.0, 20.0, "people differ in their response in this data set"),
        (0.0, 20.0, 20.0, "the interval includes zero"),
        (0.0, 20.0, 40.0, "A negative variance is no individual response"),
    ],
    ids=["true differences", "error alone", "rest noisier"],
)
def test_sentence_says_which_of_the_three_cases_it_is(true_sd, exercise_error, rest_error, said):
    found = simulated(true_sd, exercise_error, rest_error)

    assert said in found.sentence
    assert found.sd.lower < found.sd.estimate < found.sd.upper


def test_interval_holds_the_true_variance():
    hits = [
        found.lower <= 20.0**2 <= found.upper
        for seed in range(60)
        for found in [simulated(20.0, 25.0, 25.0, n=60, seed=seed).variance]
    ]

    # 60 intervals of nominally 95 %: SE .028, three of them below is .865.
    assert np.mean(hits) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 60)


def test_too_few_bouts_are_a_reason_not_a_zero():
    found = individual_response(changes([1.0, 2.0, 3.0]), changes([1.0]), np.ones((1, 3)))

    assert np.isnan(found.sd.estimate)
    assert found.sd.reason == "fewer than 3 bouts of quiet rest, or of exercise"
    assert not_estimable("why").sentence.endswith("cannot be estimated: why.")
