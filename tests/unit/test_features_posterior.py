"""Shrinkage by hand: what error, trials, sessions and the other persons do to one change."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from features.posterior import Bouts, merge_small_groups, shrink


def people(n, tau, error, seed=0, mean=0.0):
    """One bout each: true changes of SD ``tau`` about ``mean``, measured with SD ``error``."""
    rng = np.random.default_rng(seed)
    true = mean + tau * rng.standard_normal(n)
    return true, Bouts(
        change=true + error * rng.standard_normal(n),
        error_own=np.full(n, error**2),
        error_shared=np.zeros(n),
        person=np.arange(n),
        group=np.zeros(n, dtype=int),
        shared=np.zeros(n, dtype=int),
        learn=np.ones(n, dtype=bool),
    )


def test_with_many_persons_the_posterior_is_the_conjugate_normal_one():
    tau, error, mean = 0.09, 0.10, 0.05
    _, bouts = people(4000, tau, error, mean=mean)

    found, sd = shrink(bouts).moments()

    reliability = tau**2 / (tau**2 + error**2)
    # tau^2 + error^2 is known within sqrt(2 / 4000) = 2.2 %, which moves the reliability (.45) by
    # .012 and a change of at most four SDs (.54) by .007; the SD follows it by half.
    np.testing.assert_allclose(found, mean + reliability * (bouts.change - mean), atol=0.014)
    np.testing.assert_allclose(sd, tau * math.sqrt(1 - reliability), rtol=0.06)


def test_without_any_true_spread_everybody_is_shrunk_to_the_mean():
    _, bouts = people(2000, 0.0, 0.1, mean=0.2)

    found, sd = shrink(bouts).moments()

    assert np.abs(found - 0.2).max() < 0.05
    assert sd.max() < 0.04


def test_a_small_study_without_visible_spread_is_not_certain_that_there_is_none():
    _, bouts = people(20, 0.0, 0.1, seed=3)

    found = shrink(bouts)

    assert (found.tau[found.weight > 0.01]).max() > 0.03
    assert found.moments()[1].min() > 0.02


def test_two_bouts_of_a_person_are_more_certain_than_one():
    rng = np.random.default_rng(4)
    person = np.repeat(np.arange(400), 2)
    true = np.repeat(0.1 * rng.standard_normal(400), 2)
    bouts = Bouts(
        change=true + 0.1 * rng.standard_normal(800),
        error_own=np.full(800, 0.01),
        error_shared=np.zeros(800),
        person=person,
        group=np.zeros(800, dtype=int),
        shared=np.zeros(800, dtype=int),
        learn=np.ones(800, dtype=bool),
    )
    alone = np.ones(800, dtype=bool)
    alone[1] = False  # the first person keeps one bout only
    single = replace(bouts, **{n: getattr(bouts, n)[alone] for n in bouts.__dataclass_fields__})

    both, one = shrink(bouts).moments(), shrink(single).moments()

    # Error variance .01 and true variance .01: sqrt(.01 / 2) of one bout, sqrt(.01 / 3) of two.
    assert one[1][0] == pytest.approx(math.sqrt(0.01 / 2), rel=0.1)
    assert both[1][0] == pytest.approx(math.sqrt(0.01 / 3), rel=0.1)


def test_an_error_that_bouts_share_is_not_taken_for_agreement():
    """Two changes minus the same noisy rest bout agree although nothing is true of either."""
    rng = np.random.default_rng(5)
    n = 1500
    rest = np.repeat(0.1 * rng.standard_normal(n), 2)
    bouts = Bouts(
        change=0.05 * rng.standard_normal(2 * n) - rest,
        error_own=np.full(2 * n, 0.05**2),
        error_shared=np.full(2 * n, 0.1**2),
        person=np.repeat(np.arange(n), 2),
        group=np.zeros(2 * n, dtype=int),
        shared=np.zeros(2 * n, dtype=int),
        learn=np.ones(2 * n, dtype=bool),
    )

    aware = shrink(bouts)
    unaware = shrink(
        replace(bouts, error_own=np.full(2 * n, 0.05**2 + 0.1**2), error_shared=np.zeros(2 * n))
    )

    assert aware.weight @ aware.tau < 0.03
    assert unaware.weight @ unaware.tau > 0.05


def test_persons_outside_the_training_set_teach_nothing():
    _, bouts = people(60, 0.1, 0.1)
    learn = np.arange(60) < 40
    wild = bouts.change.copy()
    wild[40:] = 5.0
    before = shrink(replace(bouts, learn=learn))

    after = shrink(replace(bouts, change=wild, learn=learn))

    np.testing.assert_allclose(after.moments()[0][:40], before.moments()[0][:40], rtol=1e-12)
    np.testing.assert_allclose(after.group_mean, before.group_mean, rtol=1e-12)


def test_groups_are_shrunk_to_their_own_mean():
    _, healthy = people(200, 0.03, 0.1, mean=0.3)
    _, pain = people(200, 0.03, 0.1, seed=1, mean=-0.2)
    both = {
        n: np.concatenate([getattr(healthy, n), getattr(pain, n)])
        for n in healthy.__dataclass_fields__
    }
    both["person"], both["group"] = np.arange(400), np.repeat([0, 1], 200)

    mean, _ = shrink(Bouts(**both)).moments()

    assert np.abs(mean[:200] - 0.3).max() < 0.15
    assert np.abs(mean[200:] + 0.2).max() < 0.15


def test_probabilities_are_the_mixture_s_tails():
    _, bouts = people(50, 0.1, 0.1)
    found = shrink(bouts)
    zero = np.zeros(50)

    np.testing.assert_allclose(found.above(zero) + found.below(zero), 1.0)
    assert (found.above(zero + 0.1) < found.above(zero)).all()


def test_identical_trials_do_not_make_a_perfect_measurement():
    _, bouts = people(30, 0.1, 0.1)

    mean, sd = shrink(replace(bouts, error_own=np.zeros(30))).moments()

    assert np.isfinite(mean).all()
    assert np.isfinite(sd).all()


def test_one_person_is_too_few_to_learn_from():
    _, bouts = people(5, 0.1, 0.1)

    with pytest.raises(ValueError, match="at least two persons"):
        shrink(replace(bouts, learn=np.arange(5) == 0))


def test_small_groups_are_put_together_and_large_ones_are_not():
    group = np.repeat([0, 1, 2, 3], [20, 6, 7, 30])

    merged = merge_small_groups(group, np.arange(63), np.ones(63, dtype=bool))

    assert len(set(merged[:20])) == 1
    assert set(merged[20:26]) == set(merged[26:33])
    assert len(set(merged)) == 3


@pytest.mark.parametrize("side", [1, -1])
def test_the_share_of_noise_beyond_delta_is_what_simulation_gives(side):
    """Persons whose true change is zero, in a study where others truly respond."""
    tau, error, delta, certainty = 0.1, 0.1, 0.03, 0.8
    _, bouts = people(3000, tau, error, mean=0.05)
    _, nobody = people(3000, 0.0, error, seed=9)
    both = {
        n: np.concatenate([getattr(bouts, n), getattr(nobody, n)])
        for n in bouts.__dataclass_fields__
    }
    both["person"], both["learn"] = np.arange(6000), np.arange(6000) < 3000
    found = shrink(Bouts(**both))
    probability = (
        found.above(np.full(6000, delta)) if side > 0 else found.below(np.full(6000, -delta))
    )

    expected = found.noise_share(np.full(6000, delta), certainty, side)[0]

    # Standard error of a share of .1 in 3000: .0055, four times: .022.
    assert (probability[3000:] >= certainty).mean() == pytest.approx(expected, abs=0.022)
    assert expected > 0.005
