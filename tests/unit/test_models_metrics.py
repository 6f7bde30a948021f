"""Performance figures: equal to brute force, NaN with a reason, intervals over persons."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from models.calibration import logit, recalibrate
from models.metrics import (
    CLIP,
    Judged,
    all_metrics,
    auc,
    bootstrap_weights,
    brier,
    differences,
    estimates,
    log_loss,
    log_loss_per_row,
    resample_metrics,
    with_interval,
)

SEEDS = range(3)
METRICS = ("auc", "brier", "log_loss", "in_the_large", "intercept", "slope")


def study(seed=0, n_persons=60, n_repeats=1, n_folds=3):
    """Correlated rows of persons, informative risks with ties, and the folds of each repeat."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n_persons), rng.integers(1, 5, n_persons))
    trait = rng.normal(size=n_persons)[person]
    y = (rng.random(len(person)) < 1 / (1 + np.exp(-trait))).astype(float)
    block = np.array([rng.permutation(n_persons)[person] % n_folds for _ in range(n_repeats)])
    noisy = trait + rng.normal(size=(n_repeats, len(person)))
    return Judged(y, person, block), np.round(1 / (1 + np.exp(-noisy)), 2).clip(0.01, 0.99)


def once(judged):
    return np.ones((1, len(judged.y)))


def value(metric, judged, risk):
    return metric(judged, risk, once(judged))[0]


def summary(judged, risks, n_resamples=50):
    values = resample_metrics(judged, {"model": risks}, n_resamples=n_resamples, seed=0)["model"]
    return estimates(judged, risks, values)


def repeated(judged, risks, times):
    return Judged(
        np.repeat(judged.y, times),
        np.repeat(judged.person, times),
        np.repeat(judged.block, times, axis=1),
    ), np.repeat(risks, times, axis=1)


# ---- discrimination


@pytest.mark.parametrize("seed", SEEDS)
def test_auc_of_one_fold_is_that_of_scikit_learn(seed):
    judged, risks = study(seed)

    found = auc(judged, risks[0], once(judged), np.zeros(len(judged.y), int))

    assert found[0] == pytest.approx(roc_auc_score(judged.y, risks[0]), abs=1e-12)


def test_auc_compares_rows_of_one_fold_only():
    # Fold 0 has one pair, .2 over .1, won. Fold 1 has events at .7 and .8 against others at .8
    # and .9: three pairs lost, one tied.
    y = np.array([0, 1, 1, 1, 0, 0.0])
    risk = np.array([0.1, 0.2, 0.7, 0.8, 0.8, 0.9])
    block = np.array([0, 0, 1, 1, 1, 1])
    judged = Judged(y, np.arange(6), block[None])

    found = auc(judged, risk, once(judged), block)

    assert found[0] == pytest.approx((1 + 0 + 0 + 0 + 0.5) / (1 + 4))


@pytest.mark.parametrize("seed", SEEDS)
def test_auc_over_folds_is_the_pair_weighted_mean_of_the_folds(seed):
    judged, risks = study(seed, n_folds=4)
    block, risk = judged.block[0], risks[0]
    won, pairs = 0.0, 0
    for i in np.flatnonzero(judged.y == 1):
        for j in np.flatnonzero((judged.y == 0) & (block == block[i])):
            won += 1.0 * (risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j])
            pairs += 1

    found = auc(judged, risk, once(judged), block)

    assert found[0] == pytest.approx(won / pairs, abs=1e-12)


def test_a_fold_with_one_class_has_no_pairs_and_no_say():
    judged = Judged(np.array([0, 1, 1, 1.0]), np.arange(4), np.array([[0, 0, 1, 1]]))

    found = auc(judged, np.array([0.2, 0.4, 0.1, 0.3]), once(judged), judged.block[0])

    assert found[0] == 1.0


def test_constant_risks_have_an_auc_of_one_half_whatever_the_folds_level():
    # Levels differ by fold, as those of a prevalence model do; compared across folds they would
    # rank rows by what was left for training.
    judged, _ = study(0)
    risk = np.array([0.3, 0.5, 0.4])[judged.block[0]]

    assert auc(judged, risk, once(judged), judged.block[0])[0] == 0.5


# ---- overall performance


@pytest.mark.parametrize("seed", SEEDS)
def test_brier_and_log_loss_are_those_of_scikit_learn(seed):
    judged, risks = study(seed)

    assert value(brier, judged, risks[0]) == pytest.approx(
        brier_score_loss(judged.y, risks[0]), abs=1e-12
    )
    assert value(log_loss, judged, risks[0]) == pytest.approx(
        sklearn_log_loss(judged.y, risks[0]), abs=1e-12
    )


def test_calibration_figures_are_those_of_recalibration():
    judged, risks = study(0)
    intercept, slope = recalibrate(judged.y, logit(risks[0]), once(judged))

    found = summary(judged, risks)

    assert found["intercept"].estimate == pytest.approx(intercept[0], abs=1e-9)
    assert found["slope"].estimate == pytest.approx(slope[0], abs=1e-9)


def test_a_metric_is_the_mean_over_repeats_of_its_values():
    judged, risks = study(1, n_repeats=3)

    together = all_metrics(judged, risks, once(judged))

    for name in METRICS:
        each = [
            all_metrics(
                Judged(judged.y, judged.person, judged.block[[r]]), risks[[r]], once(judged)
            )
            for r in range(3)
        ]
        assert together[name][0] == pytest.approx(np.mean([e[name][0] for e in each])), name


def test_a_certain_error_loses_infinitely_much():
    judged = Judged(np.array([1.0, 0.0]), np.arange(2), np.zeros((1, 2), int))

    assert value(log_loss, judged, np.array([0.0, 0.5])) == np.inf
    assert value(log_loss, judged, np.array([1.0, 1.0])) == np.inf


def test_certainty_that_is_right_loses_nothing():
    judged = Judged(np.array([1.0, 0.0]), np.arange(2), np.zeros((1, 2), int))

    assert value(log_loss, judged, np.array([1.0, 0.0])) == 0.0


def test_a_certain_error_of_a_person_not_drawn_does_not_count():
    judged = Judged(np.array([1.0, 0.0]), np.arange(2), np.zeros((1, 2), int))
    weights = np.array([[0.0, 2.0], [1.0, 1.0]])

    found = log_loss(judged, np.array([0.0, 0.5]), weights)

    np.testing.assert_allclose(found, [np.log(2), np.inf])


def test_clipping_bounds_the_loss_on_both_sides():
    found = log_loss_per_row(np.array([1.0, 0.0]), np.array([0.0, 1.0]), CLIP)

    np.testing.assert_allclose(found, [23 * np.log(2)] * 2, rtol=1e-6)


# ---- what cannot be computed


def assert_unknown(found, reason):
    assert np.isnan([found.estimate, found.lower, found.upper]).all()
    assert found.reason == reason


@pytest.mark.parametrize("outcome", [0.0, 1.0])
@pytest.mark.parametrize("name", ["auc", "in_the_large", "intercept", "slope"])
def test_one_observed_class_leaves_nothing_to_compare(name, outcome):
    judged, risks = study(0)
    judged = Judged(np.full(len(judged.y), outcome), judged.person, judged.block)

    assert_unknown(summary(judged, risks)[name], "only one class was observed")


def test_one_observed_class_still_has_a_brier_score_and_a_log_loss():
    judged, risks = study(0)
    judged = Judged(np.zeros(len(judged.y)), judged.person, judged.block)

    found = summary(judged, risks)

    assert found["brier"].estimate == pytest.approx(np.mean(risks**2))
    assert found["log_loss"].estimate == pytest.approx(-np.mean(np.log(1 - risks)))


@pytest.mark.parametrize("name", ["in_the_large", "intercept", "slope"])
@pytest.mark.parametrize("risk", [0.0, 1.0])
def test_a_certain_prediction_has_no_log_odds(name, risk):
    judged, risks = study(0)
    risks[0, 0] = risk

    assert_unknown(summary(judged, risks)[name], "a risk of exactly 0 or 1 was predicted")


def test_an_infinite_log_loss_is_unknown_and_says_why():
    judged, risks = study(0)
    risks[0, np.flatnonzero(judged.y == 1)[0]] = 0.0

    found = summary(judged, risks)["log_loss"]

    assert np.isnan([found.estimate, found.lower, found.upper]).all()
    assert found.reason.startswith("a risk of exactly 0 or 1 was predicted")


def test_an_infinite_log_loss_is_not_blamed_on_the_one_class():
    judged, risks = study(0)
    judged = Judged(np.ones(len(judged.y)), judged.person, judged.block)
    risks[0, 0] = 0.0

    found = summary(judged, risks)["log_loss"]

    assert found.reason.startswith("a risk of exactly 0 or 1 was predicted")


@pytest.mark.parametrize("name", ["intercept", "slope"])
def test_risks_that_differ_only_between_folds_have_no_slope(name):
    judged, _ = study(0)
    risks = np.array([0.3, 0.5, 0.4])[judged.block]

    assert_unknown(
        summary(judged, risks)[name],
        "no finite maximum: the risks are constant or separate the classes",
    )


@pytest.mark.parametrize("name", ["intercept", "slope"])
def test_risks_that_separate_the_classes_have_no_slope(name):
    judged, _ = study(0)
    risks = np.where(judged.y == 1, 0.6, 0.4)[None]

    found = summary(judged, risks)

    assert_unknown(found[name], "no finite maximum: the risks are constant or separate the classes")
    assert found["auc"].estimate == 1.0


def test_auc_without_a_fold_of_both_classes_is_unknown():
    judged, risks = study(0)
    judged = Judged(judged.y, judged.person, judged.y.astype(int)[None])

    assert_unknown(summary(judged, risks)["auc"], "no fold holds both classes")


def test_an_interval_of_too_few_resamples_is_unknown_but_the_estimate_stays():
    values = np.array([0.7] + [0.6] * 49 + [np.nan] * 51)

    found = with_interval(values, "not used")

    assert found.estimate == 0.7
    assert np.isnan([found.lower, found.upper]).all()
    assert found.reason == "too few resamples can be computed"
    assert found.method == "person-cluster bootstrap, percentile, 49 of 100 resamples"


def test_an_interval_is_the_middle_95_percent_of_the_resamples():
    values = np.concatenate([[0.5], np.linspace(0, 1, 1001)])

    found = with_interval(values, "not used")

    assert (found.lower, found.upper) == (pytest.approx(0.025), pytest.approx(0.975))
    assert found.reason == ""


def test_an_estimate_is_plain_content():
    found = with_interval(np.full(101, 0.5), "not used").to_dict()

    assert found == {
        "estimate": 0.5,
        "lower": 0.5,
        "upper": 0.5,
        "method": "person-cluster bootstrap, percentile, 100 of 100 resamples",
        "reason": "",
        "reason_code": "",
    }


# ---- the bootstrap


def test_bootstrap_draws_whole_persons():
    judged, _ = study(0)

    weights = bootstrap_weights(judged, 200, seed=1)

    for person in range(judged.n_persons):
        rows = weights[:, judged.person == person]
        assert (rows == rows[:, :1]).all()


def test_bootstrap_draws_as_many_persons_as_there_are():
    judged, _ = study(0)
    first_row = np.unique(judged.person, return_index=True)[1]
    sizes = np.bincount(judged.person)

    weights = bootstrap_weights(judged, 200, seed=1)
    draws = weights[:, first_row]

    assert (draws.sum(axis=1) == judged.n_persons).all()
    np.testing.assert_array_equal(weights.sum(axis=1), draws @ sizes)
    assert (weights == np.round(weights)).all()


def test_bootstrap_starts_with_the_data_as_they_are():
    judged, _ = study(0)

    weights = bootstrap_weights(judged, 10, seed=1)

    assert weights.shape == (1 + 10, len(judged.y))
    assert (weights[0] == 1).all()


def test_bootstrap_depends_on_its_seed_alone():
    judged, _ = study(0)

    first, again, other = (bootstrap_weights(judged, 50, seed=s) for s in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert (first[1:] != other[1:]).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_interval_contains_the_estimate(seed):
    judged, risks = study(seed, n_repeats=2)

    found = summary(judged, risks, n_resamples=300)

    for name in METRICS:
        assert found[name].lower < found[name].estimate < found[name].upper, name


def test_copies_of_every_row_tell_nothing_new():
    # Persons are drawn, not rows: five copies of a row belong to the same person, and the same
    # seed draws the same persons. Intervals agree to rounding, not only to Monte Carlo error.
    judged, risks = study(0)
    once_only = summary(judged, risks, n_resamples=200)

    copied = summary(*repeated(judged, risks, 5), n_resamples=200)

    for name in METRICS:
        for side in ("estimate", "lower", "upper"):
            assert getattr(copied[name], side) == pytest.approx(
                getattr(once_only[name], side), abs=1e-7
            ), name


def test_copies_of_every_row_would_fool_an_interval_over_rows():
    # The same copies as persons of their own: sqrt(5) = 2.2 times narrower.
    judged, risks = study(0)
    copied, copied_risks = repeated(judged, risks, 5)
    by_row = Judged(copied.y, np.arange(len(copied.y)), copied.block)

    honest = summary(copied, copied_risks, n_resamples=200)["brier"]
    fooled = summary(by_row, copied_risks, n_resamples=200)["brier"]

    assert fooled.upper - fooled.lower < (honest.upper - honest.lower) / 1.5


# ---- differences


def test_a_model_differs_from_itself_by_nothing():
    judged, risks = study(0)
    values = resample_metrics(judged, {"a": risks, "b": risks}, n_resamples=100, seed=0)

    found = differences(values["a"], values["b"])

    assert set(found) == {"auc", "brier", "log_loss"}
    for name, estimate in found.items():
        assert (estimate.estimate, estimate.lower, estimate.upper) == (0, 0, 0), name


def test_a_difference_is_paired():
    # One model is the other, .01 worse in every row's loss: persons cancel, the width vanishes.
    judged, risks = study(0)
    values = resample_metrics(judged, {"a": risks}, n_resamples=100, seed=0)["a"]
    worse = values | {"log_loss": values["log_loss"] + 0.01}

    found = differences(worse, values)["log_loss"]

    assert (found.estimate, found.lower, found.upper) == (pytest.approx(0.01),) * 3


def test_a_difference_has_the_sign_of_first_minus_reference():
    judged, risks = study(0)
    useless = np.full_like(risks, judged.y.mean())
    values = resample_metrics(judged, {"a": risks, "b": useless}, n_resamples=100, seed=0)

    found = differences(values["a"], values["b"])

    assert found["auc"].lower > 0
    assert found["brier"].estimate == pytest.approx(
        np.mean((risks[0] - judged.y) ** 2) - np.mean((useless[0] - judged.y) ** 2)
    )


@pytest.mark.filterwarnings("error")
def test_a_difference_of_infinite_losses_is_unknown_without_noise():
    judged, risks = study(0)
    risks[0, np.flatnonzero(judged.y == 1)[0]] = 0.0
    values = resample_metrics(judged, {"a": risks, "b": risks}, n_resamples=50, seed=0)

    found = differences(values["a"], values["b"])["log_loss"]

    assert_unknown(found, "one of the two cannot be computed")


def test_the_reason_of_every_unknown_figure_is_a_sentence_fragment():
    judged, risks = study(0)
    judged = Judged(np.zeros(len(judged.y)), judged.person, judged.block)

    for name, found in summary(judged, risks).items():
        assert bool(re.match("[a-z]", found.reason)) == np.isnan(found.estimate), name
