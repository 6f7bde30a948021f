"""Which candidate is used, and the sentence that says whether predictors help."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics import Estimate
from models.selection import clustered_standard_error, select_candidate, verdict

METHOD = "person-cluster bootstrap"


def constant_risks(y, risk):
    """One repeat that gives what happened the probability ``risk``."""
    return np.where(y == 1, risk, 1 - risk)[None]


def difference(estimate, lower, upper):
    return Estimate(estimate, lower, upper, METHOD)


# ---- the standard error


def test_clustered_standard_error_is_the_sandwich_over_persons():
    rng = np.random.default_rng(0)
    values, person = rng.normal(size=30), rng.permutation(np.repeat(np.arange(10), 3))
    sums = [sum(v - values.mean() for v in values[person == p]) for p in range(10)]

    found = clustered_standard_error(values, person)

    assert found == pytest.approx(np.sqrt(10 / (10 - 1) * sum(s * s for s in sums)) / 30)


def test_clustered_standard_error_of_single_rows_is_the_usual_one():
    values = np.array([1.0, 2.0, 4.0, 9.0])

    found = clustered_standard_error(values, np.arange(4))

    assert found == pytest.approx(values.std(ddof=1) / np.sqrt(4))


def test_clustered_standard_error_of_one_person_is_unknown():
    assert np.isnan(clustered_standard_error(np.array([1.0, 2.0]), np.array([0, 0])))


# ---- the one-standard-error rule


def hand_example():
    """Four persons; ``best`` loses ln 2 twice and ln 1.25 twice, so that its SE is known."""
    y = np.array([1.0, 1.0, 0.0, 0.0])
    best = np.array([[0.5, 0.8, 0.5, 0.2]])
    losses = np.log([2, 1 / 0.8, 2, 1 / 0.8])
    return y, best, losses.mean(), losses.std(ddof=1) / np.sqrt(4)


def test_losses_and_standard_error_are_those_of_the_hand_example():
    y, best, loss, error = hand_example()

    chosen = select_candidate(y, np.arange(4), {"half": np.full((1, 4), 0.5), "best": best})

    assert chosen.log_loss == pytest.approx({"half": np.log(2), "best": loss})
    assert chosen.standard_error == pytest.approx(error)
    assert chosen.best == "best"


@pytest.mark.parametrize(("excess", "selected"), [(0.99, "simple"), (1.01, "best")])
def test_the_simplest_within_one_standard_error_is_selected(excess, selected):
    y, best, loss, error = hand_example()
    simple = constant_risks(y, np.exp(-(loss + excess * error)))

    chosen = select_candidate(y, np.arange(4), {"simple": simple, "best": best})

    assert (chosen.selected, chosen.best) == (selected, "best")


def test_the_simplest_is_selected_even_if_a_middle_one_is_nearer():
    y, best, loss, error = hand_example()
    risks = {
        "simplest": constant_risks(y, np.exp(-(loss + 0.9 * error))),
        "middle": constant_risks(y, np.exp(-(loss + 0.1 * error))),
        "best": best,
    }

    assert select_candidate(y, np.arange(4), risks).selected == "simplest"


def test_a_more_complex_candidate_is_never_selected_over_the_best():
    y, best, loss, error = hand_example()
    worse = constant_risks(y, np.exp(-(loss + 0.1 * error)))

    assert select_candidate(y, np.arange(4), {"best": best, "complex": worse}).selected == "best"


def test_rows_of_one_person_count_as_one_for_the_standard_error():
    y, best, _, error = hand_example()
    risks = {"best": np.repeat(best, 5, axis=1)}

    chosen = select_candidate(np.repeat(y, 5), np.repeat(np.arange(4), 5), risks)

    assert chosen.standard_error == pytest.approx(error)


def test_losses_are_means_over_repeats_not_losses_of_mean_risks():
    # Repeats of .9 and .1 for a thing that happened: (ln 1/.9 + ln 1/.1) / 2, not ln 1/.5.
    y = np.ones(2)
    risks = {"unstable": np.array([[0.9, 0.9], [0.1, 0.1]])}

    chosen = select_candidate(y, np.arange(2), risks)

    assert chosen.log_loss["unstable"] == pytest.approx((np.log(1 / 0.9) + np.log(1 / 0.1)) / 2)


def test_a_certain_error_is_costly_but_finite():
    # The resolution of float32 bounds the loss: -ln(2 ** -23).
    y = np.array([1.0, 0.0])
    risks = {"certain": np.array([[0.0, 0.0]])}

    chosen = select_candidate(y, np.arange(2), risks)

    assert chosen.log_loss["certain"] == pytest.approx(23 * np.log(2) / 2, abs=1e-6)


def test_selection_is_plain_content():
    y, best, loss, error = hand_example()

    content = select_candidate(y, np.arange(4), {"best": best}).to_dict()

    assert content == {
        "selected": "best",
        "best": "best",
        "log_loss": {"best": pytest.approx(loss)},
        "standard_error": pytest.approx(error),
    }


# ---- the sentence

HELPS = difference(-0.05, -0.08, -0.02)
UNSURE = difference(-0.01, -0.03, 0.01)
HARMS = difference(0.04, 0.01, 0.07)


def test_promoted_predictors_are_said_to_improve():
    said = verdict("logistic", {"logistic": HELPS}, {"logistic": HELPS}, 120)

    assert (said["promoted"], said["shown"]) == (True, "logistic")
    assert said["sentence"] == (
        "The predictors improve on condition and exercise alone in this data set (log loss of "
        "'logistic' minus that of condition and exercise alone -0.0500, 95 % interval -0.0800 "
        "to -0.0200, 120 persons, out of fold). They add to pain and sensitivity before the "
        "bout (log loss of 'logistic' minus that of baseline -0.0500, 95 % interval -0.0800 "
        "to -0.0200)."
    )
    assert said["opening"] == said["sentence"].partition(" (")[0]


def test_predictors_that_do_not_add_to_the_baseline_are_not_promoted():
    said = verdict("xgboost", {"xgboost": HELPS}, {"xgboost": UNSURE}, 120)

    assert not said["promoted"]
    assert said["opening"] == (
        "The predictors have not been shown to help beyond pain and sensitivity before the bout"
    )
    assert said["sentence"].endswith(
        "They have not been shown to add to pain and sensitivity before the bout (log loss of "
        "'xgboost' minus that of baseline -0.0100, 95 % interval -0.0300 to +0.0100)."
    )


def test_an_interval_that_holds_zero_shows_nothing():
    said = verdict("logistic", {"logistic": UNSURE}, {"logistic": UNSURE}, 60)

    assert (said["promoted"], said["shown"]) == (False, "logistic")
    assert said["sentence"] == (
        "The predictors have not been shown to help (log loss of 'logistic' minus that of "
        "condition and exercise alone -0.0100, 95 % interval -0.0300 to +0.0100, 60 persons, "
        "out of fold). They have not been shown to add to pain and sensitivity before the "
        "bout (log loss of 'logistic' minus that of baseline -0.0100, 95 % interval -0.0300 "
        "to +0.0100)."
    )
    assert said["opening"] == said["sentence"].partition(" (")[0]


def test_worse_predictors_are_called_worse():
    said = verdict("prevalence", {"logistic": HARMS}, {"logistic": HARMS}, 60)

    assert (said["promoted"], said["shown"]) == (False, "logistic")
    assert said["sentence"] == (
        "The predictors have not been shown to help; they predict worse (log loss of "
        "'logistic' minus that of condition and exercise alone +0.0400, 95 % interval +0.0100 "
        "to +0.0700, 60 persons, out of fold). They have not been shown to add to pain and "
        "sensitivity before the bout (log loss of 'logistic' minus that of baseline +0.0400, "
        "95 % interval +0.0100 to +0.0700)."
    )
    assert said["opening"] == said["sentence"].partition(" (")[0]


def test_a_selected_comparator_is_named_even_when_predictors_beat_the_stratum():
    said = verdict(
        "baseline", {"logistic": UNSURE, "xgboost": HELPS}, {"logistic": HARMS, "xgboost": HARMS}, 9
    )

    assert (said["promoted"], said["shown"]) == (False, "xgboost")
    assert said["sentence"] == (
        "The predictors have not been shown to help: 'baseline' is as good within one "
        "standard error (log loss of 'xgboost' minus that of condition and exercise alone "
        "-0.0500, 95 % interval -0.0800 to -0.0200, 9 persons, out of fold). They have not "
        "been shown to add to pain and sensitivity before the bout (log loss of 'xgboost' "
        "minus that of baseline +0.0400, 95 % interval +0.0100 to +0.0700)."
    )
    assert said["opening"] == said["sentence"].partition(" (")[0]


def test_a_difference_that_cannot_be_computed_promotes_nothing():
    unknown = difference(np.nan, np.nan, np.nan)

    said = verdict(
        "stratum",
        {"logistic": unknown, "xgboost": UNSURE},
        {"logistic": HELPS, "xgboost": UNSURE},
        9,
    )

    assert (said["promoted"], said["shown"]) == (False, "xgboost")
