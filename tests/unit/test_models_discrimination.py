"""AUC and average precision: equal to brute force; variances that know who is who."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from models.discrimination import (
    CLUSTERED,
    DELONG,
    Placements,
    auc_difference,
    auc_interval,
    average_precision,
    choose_interval,
    clustered_variance,
    placements,
)
from models.estimate import Reason
from models.judged import Judged
from models.metrics import auc_versus, auc_with_interval, resample_metrics

SEEDS = range(3)


def one_model(y, person=None):
    person = np.arange(len(y)) if person is None else person
    return Judged(np.asarray(y, float), np.asarray(person), np.zeros((1, len(y)), int))


def sample(seed, n=80, digits=1):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-truth))).astype(float)
    return y, np.round(1 / (1 + np.exp(-truth - rng.normal(size=n))), digits)


def clustered_sample(rng, n_persons=60, bouts=8):
    """Rows of persons who differ: outcome and risk both follow the person."""
    person = np.repeat(np.arange(n_persons), bouts)
    trait = 1.5 * rng.normal(size=n_persons)[person]
    y = (rng.random(len(person)) < 1 / (1 + np.exp(-trait))).astype(float)
    risk = 1 / (1 + np.exp(-(trait + 1.5 * rng.normal(size=n_persons)[person])))
    return y, risk, person


# ---- average precision


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("digits", [1, 6])
def test_average_precision_is_that_of_scikit_learn(seed, digits):
    y, risk = sample(seed, digits=digits)

    found = average_precision(one_model(y), risk, np.ones((1, len(y))))

    assert found[0] == pytest.approx(average_precision_score(y, risk), abs=1e-12)


def test_average_precision_counts_a_row_as_often_as_it_is_drawn():
    y, risk = sample(0)
    copies = np.random.default_rng(5).integers(0, 4, len(y))

    found = average_precision(one_model(y), risk, copies[None] * 1.0)

    assert found[0] == pytest.approx(
        average_precision_score(np.repeat(y, copies), np.repeat(risk, copies)), abs=1e-12
    )


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_average_precision_of_one_class_is_unknown(outcome):
    found = average_precision(one_model(np.full(4, outcome)), np.arange(4) / 4, np.ones((1, 4)))

    assert np.isnan(found[0])


# ---- placements and variances


@pytest.mark.parametrize("seed", SEEDS)
def test_placements_are_the_shares_of_the_other_class_ranked_rightly(seed):
    y, risk = sample(seed)
    placed = placements(y, risk, np.arange(len(y)))

    for i in range(len(y)):
        others = risk[y != y[i]]
        above = others < risk[i] if y[i] == 1 else others > risk[i]
        assert placed.value[i] == pytest.approx(np.mean(above + 0.5 * (others == risk[i])))
    assert placed.auc == pytest.approx(roc_auc_score(y, risk))
    assert placed.value[y == 0].mean() == pytest.approx(placed.auc)


def test_variance_of_a_table_small_enough_to_do_by_hand():
    # Events at .9 and .4, others at .1 and .6. Placements: events 1 and 1/2, others 1 and 1/2;
    # AUC 3/4. DeLong: ((1/4)^2 + (1/4)^2) / 1 / 2 for each class.
    y, risk = np.array([1.0, 1, 0, 0]), np.array([0.9, 0.4, 0.1, 0.6])

    found = clustered_variance(placements(y, risk, np.arange(4)))

    assert found == pytest.approx(2 * ((1 / 4) ** 2 + (1 / 4) ** 2) / 1 / 2)


def test_clustered_variance_of_a_table_small_enough_to_do_by_hand():
    # The same table; the second event and the second other belong to one person. Three persons,
    # two of each class. Own parts as before: each class has two persons with one row.
    # Shared: 3 / 2 * (-1/4 * -1/4) / (2 * 2), twice.
    y, risk = np.array([1.0, 1, 0, 0]), np.array([0.9, 0.4, 0.1, 0.6])

    found = clustered_variance(placements(y, risk, np.array([0, 1, 2, 1])))

    assert found == pytest.approx(2 / 16 + 2 * 3 / 2 * (1 / 16) / 4)


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_of_a_persons_rows_tell_nothing_new(copies):
    y, risk = sample(1)
    person = np.arange(len(y))
    once = clustered_variance(placements(y, risk, person))

    many = clustered_variance(
        placements(np.repeat(y, copies), np.repeat(risk, copies), np.repeat(person, copies))
    )

    assert many == pytest.approx(once, rel=1e-12)


def test_clustered_interval_covers_the_truth_where_delong_does_not():
    # Rows of a person share outcome and risk. 300 studies: the standard error of a share of .95
    # is sqrt(.95 * .05 / 300) = .0126; three of them, and the estimator's own small-sample lack
    # of about .02, bound the coverage from below. DeLong's falls short by more than the error.
    rng = np.random.default_rng(0)
    big = clustered_sample(rng, n_persons=20_000)
    truth = roc_auc_score(big[0], big[1])
    covered = {"clustered": 0, "delong": 0}
    for _ in range(300):
        y, risk, person = clustered_sample(rng)
        for interval in covered:
            rows = person if interval == "clustered" else np.arange(len(y))
            found = auc_interval(one_model(y, rows), risk, interval)
            covered[interval] += found.lower <= truth <= found.upper

    assert covered["clustered"] / 300 > 0.95 - 3 * 0.0126 - 0.02
    assert covered["delong"] / 300 < 0.95 - 3 * 0.0126


# ---- which interval


def values_of(judged, risk):
    return resample_metrics(judged, {"m": risk}, n_resamples=60, seed=0)["m"]


def test_default_interval_depends_on_what_is_judged():
    y, risk = sample(0)
    rows = one_model(y)
    repeated = one_model(y, np.arange(len(y)) // 2)
    folds = Judged(y, np.arange(len(y)), np.arange(len(y))[None] % 2)

    methods = [
        auc_with_interval(j, risk[None], values_of(j, risk[None])).method
        for j in (rows, repeated, folds)
    ]

    assert methods[:2] == [DELONG, CLUSTERED]
    assert methods[2].startswith("person-cluster bootstrap")
    assert choose_interval(folds, "delong") == "delong"


@pytest.mark.parametrize(
    ("person", "block", "reason"),
    [
        (np.arange(80) // 2, np.zeros(80, int), Reason.ROWS_REPEAT),
        (np.arange(80), np.arange(80) % 2, Reason.FOLDS_OR_REPEATS),
    ],
)
def test_delong_where_it_does_not_hold_is_refused_with_the_reason(person, block, reason):
    y, risk = sample(0)
    judged = Judged(y, person, block[None])
    values = values_of(judged, risk[None])

    found = auc_with_interval(judged, risk[None], values, "delong")
    paired = auc_versus(judged, (risk[None], risk[None]), (values, values), "delong")

    assert found.estimate == values["auc"][0]
    assert np.isnan([found.lower, found.upper, paired.lower, paired.p_value]).all()
    assert (found.reason, paired.reason) == (reason, reason)


@pytest.mark.parametrize(
    ("y", "risk", "reason"),
    [
        ([1, 1, 0, 0], [0.9, 0.8, 0.1, 0.2], Reason.NO_VARIANCE),
        ([1, 1, 0, 0], [0.5, 0.5, 0.5, 0.5], Reason.NO_VARIANCE),
        ([1, 0, 0, 0], [0.5, 0.6, 0.1, 0.2], Reason.TOO_FEW_OF_A_CLASS),
    ],
)
def test_an_interval_that_cannot_be_had_says_why_and_keeps_the_estimate(y, risk, reason):
    found = auc_interval(one_model(y), np.array(risk), "delong")

    assert found.estimate == pytest.approx(roc_auc_score(y, risk))
    assert np.isnan([found.lower, found.upper]).all()
    assert found.reason == reason


def test_auc_of_one_class_is_unknown_and_so_is_a_difference():
    judged, risk = one_model(np.ones(4)), np.arange(4) / 4

    for found in (
        auc_interval(judged, risk, "delong"),
        auc_difference(judged, risk, risk, "delong"),
    ):
        assert np.isnan(found.estimate)
        assert found.reason == Reason.ONE_CLASS


# ---- differences


def test_two_models_of_one_ranking_do_not_differ():
    y, risk = sample(0)

    found = auc_difference(one_model(y), risk, risk**2, "delong")

    assert (found.estimate, found.lower, found.upper, found.p_value) == (0, 0, 0, 1)


def test_a_difference_turns_its_sign_with_the_order_of_the_models():
    y, risk = sample(0)
    _, other = sample(9)

    there = auc_difference(one_model(y), risk, other, "delong")
    back = auc_difference(one_model(y), other, risk, "delong")

    assert there.estimate == pytest.approx(-back.estimate)
    assert there.lower == pytest.approx(-back.upper)
    assert there.p_value == pytest.approx(back.p_value)


def test_closed_form_and_bootstrap_agree_on_the_width():
    # Two estimates of one standard error: they agree to within a tenth on 400 persons.
    y, risk = sample(2, n=400, digits=6)
    judged = one_model(y)
    values = resample_metrics(judged, {"m": risk[None]}, n_resamples=2000, seed=0)["m"]
    closed, drawn = (
        auc_with_interval(judged, risk[None], values, i) for i in ("delong", "bootstrap")
    )

    assert drawn.upper - drawn.lower == pytest.approx(closed.upper - closed.lower, rel=0.1)


def test_difference_of_placements_is_judged_like_one():
    y, risk = sample(0)
    _, other = sample(9)
    first, second = (placements(y, r, np.arange(len(y))) for r in (risk, other))

    paired = Placements(first.value - second.value, first.is_event, first.person)

    assert paired.auc == pytest.approx(first.auc - second.auc)
