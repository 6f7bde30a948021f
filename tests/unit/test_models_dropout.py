"""Weights for dropout: arithmetic, recovery of a known mean, and nothing where nothing is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from models.dropout import (
    FollowUp,
    effective_size,
    is_monotone,
    observation_weights,
    shifted_mean,
    tipping_shift,
    weighted_mean,
)
from models.errors import NotEnoughDataError

KEEP_ALL = (0.0, 1.0)


def programme(n: int, seed: int, strength: float, *, come_back: bool) -> FollowUp:
    """Three waves, true means 1, 1.5 and 2; who did badly is seen less often at the next."""
    rng = np.random.default_rng(seed)
    baseline = rng.normal(size=n)
    person = rng.normal(size=n)
    values = np.array([1.0, 1.5, 2.0]) + (baseline + person)[:, None] + rng.normal(size=(n, 3))
    seen = np.ones((n, 3), dtype=bool)
    last = baseline
    for wave in range(3):
        stay = 1 / (1 + np.exp(-(1.0 + strength * last)))
        seen[:, wave] = rng.random(n) < stay
        if wave and not come_back:
            seen[:, wave] &= seen[:, wave - 1]
        last = np.where(seen[:, wave], values[:, wave] - 1.0, 0.0)
    group = np.zeros(n, dtype=np.int64)
    return FollowUp(seen, np.where(seen, values, np.nan), baseline[:, None], group)


def test_weights_are_the_inverse_share_seen_of_each_stratum() -> None:
    # Half of ten and four fifths of ten are seen: a saturated model has these probabilities.
    stratum = np.repeat([0.0, 1.0], 10)
    seen = np.array([1] * 5 + [0] * 5 + [1] * 8 + [0] * 2, dtype=bool)[:, None]
    follow_up = FollowUp(
        seen, np.where(seen, 1.0, np.nan), stratum[:, None], np.zeros(20, dtype=np.int64)
    )

    weights = observation_weights(follow_up, KEEP_ALL).weights[:, 0]

    assert weights[:5] == pytest.approx((13 / 20) / (5 / 10), abs=1e-6)
    assert weights[10:18] == pytest.approx((13 / 20) / (8 / 10), abs=1e-6)
    assert (weights[~seen[:, 0]] == 0).all()


@pytest.mark.parametrize("come_back", [False, True])
def test_weighted_means_recover_the_truth_where_dropout_depends_on_the_past(
    come_back: bool,
) -> None:
    follow_up = programme(6000, 3, 0.8, come_back=come_back)

    found = observation_weights(follow_up, KEEP_ALL)

    assert found.monotone is (not come_back)
    for wave, truth in enumerate((1.0, 1.5, 2.0)):
        weights, values = found.weights[:, wave], follow_up.values[:, wave]
        # SD of a change is 3**0.5; four standard errors at the effective number of persons.
        error = 3**0.5 / effective_size(weights) ** 0.5
        assert abs(weighted_mean(values, weights) - truth) < 4 * error
        # Those seen are better than everybody: the plain mean is off by more than that.
        assert np.nanmean(values) - truth > 4 * error


def test_weights_stay_near_one_where_dropout_is_by_chance() -> None:
    follow_up = programme(4000, 5, 0.0, come_back=True)

    weights = observation_weights(follow_up).weights

    # Coefficients are zero with standard error about 0.04: weights differ by a few percent.
    assert np.abs(weights[weights > 0] - 1).max() < 0.25
    assert weights[weights > 0].mean() == pytest.approx(1.0, abs=0.01)


def test_truncation_reports_how_many_weights_it_cut() -> None:
    follow_up = programme(1000, 7, 1.0, come_back=True)

    whole = observation_weights(follow_up, KEEP_ALL)
    cut = observation_weights(follow_up, (0.05, 0.95))

    assert whole.n_truncated.tolist() == [0, 0, 0]
    # 5 % on either side of those seen.
    expected = 0.10 * follow_up.seen.sum(axis=0)
    assert np.abs(cut.n_truncated - expected).max() <= 3
    assert (cut.weights.max(axis=0) < cut.largest).all()


def test_dropout_is_monotone_only_where_nobody_comes_back() -> None:
    assert is_monotone(np.array([[True, True], [True, False], [False, False]]))
    assert not is_monotone(np.array([[False, True]]))


def test_weights_refuse_a_wave_without_anybody() -> None:
    seen = np.array([[True, False], [True, False]])
    follow_up = FollowUp(seen, np.where(seen, 1.0, np.nan), np.zeros((2, 1)), np.zeros(2, np.int64))

    with pytest.raises(NotEnoughDataError, match="expected persons at every wave"):
        observation_weights(follow_up)


def test_tipping_shift_brings_the_limit_to_zero() -> None:
    shift = tipping_shift(0.6, 0.3)

    assert shifted_mean(0.6, 0.3, shift) == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(tipping_shift(0.6, 0.0))
