"""Net benefit and classification: the definitions, by counting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from models.decision import (
    classification,
    interventions_avoided,
    net_benefit,
    threshold_of_harm_ratio,
    thresholds_within_folds,
)
from models.judged import Judged

THRESHOLDS = np.array([0.05, 0.2, 0.25, 0.5, 0.8])


def sample(seed=0, n=200):
    rng = np.random.default_rng(seed)
    risk = np.round(rng.random(n), 2)
    return (rng.random(n) < risk).astype(float), risk


def once(y):
    return np.ones((1, len(y)))


@pytest.mark.parametrize("at", range(len(THRESHOLDS)))
def test_net_benefit_is_true_positives_less_false_ones_at_the_odds(at):
    y, risk = sample()
    threshold = THRESHOLDS[at]
    flagged = risk >= threshold
    true = sum(1 for o, f in zip(y, flagged, strict=True) if f and o == 1)
    false = sum(1 for o, f in zip(y, flagged, strict=True) if f and o == 0)
    odds = threshold / (1 - threshold)

    model, treat_all = net_benefit(y, risk, once(y), THRESHOLDS)

    assert model[0, at] == pytest.approx(true / 200 - false / 200 * odds, abs=1e-12)
    assert treat_all[0, at] == pytest.approx(y.mean() - (1 - y.mean()) * odds, abs=1e-12)


def test_a_risk_at_the_threshold_is_flagged():
    model, treat_all = net_benefit(
        np.array([1.0, 0.0]), np.array([0.25, 0.25]), np.ones((1, 2)), np.array([0.25])
    )

    assert model[0, 0] == treat_all[0, 0] == 1 / 2 - 1 / 2 * (0.25 / 0.75)


def test_flagging_nobody_is_worth_nothing_and_everybody_what_treating_all_is():
    y, _ = sample()

    nobody, treat_all = net_benefit(y, np.zeros(200), once(y), THRESHOLDS)
    everybody, _ = net_benefit(y, np.ones(200), once(y), THRESHOLDS)

    np.testing.assert_array_equal(nobody, 0)
    np.testing.assert_allclose(everybody, treat_all)


def test_interventions_avoided_trade_needless_action_only():
    # Ten persons, 2 events. The model flags both and 3 others: 5 needless actions spared, of 10.
    y = np.array([1.0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    risk = np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    at = np.array([0.2])

    avoided = interventions_avoided(*net_benefit(y, risk, once(y), at), at)

    assert avoided[0, 0] == pytest.approx(5 / 10)


def test_the_threshold_of_a_harm_ratio_has_it_as_odds():
    for ratio in (0.01, 0.25, 1, 4):
        threshold = threshold_of_harm_ratio(ratio)

        assert threshold / (1 - threshold) == pytest.approx(ratio)


@pytest.mark.parametrize("ratio", [0, -1, np.inf, np.nan])
def test_a_harm_ratio_is_a_number_above_zero(ratio):
    with pytest.raises(ValueError, match="harm ratio: expected a number above 0, found"):
        threshold_of_harm_ratio(ratio)


def test_classification_is_that_of_the_four_counts():
    y, risk = sample()
    flagged = risk >= 0.4
    (tn, fp), (fn, tp) = confusion_matrix(y, flagged)

    found = {n: v[0] for n, v in classification(y, flagged, once(y)).items()}

    assert found == {
        "sensitivity": pytest.approx(tp / (tp + fn)),
        "specificity": pytest.approx(tn / (tn + fp)),
        "ppv": pytest.approx(tp / (tp + fp)),
        "npv": pytest.approx(tn / (tn + fn)),
        "share_flagged": pytest.approx((tp + fp) / 200),
    }


def test_a_share_of_nobody_is_unknown():
    y = np.array([0.0, 0.0])

    found = classification(y, np.array([False, False]), once(y))

    assert np.isnan([found["sensitivity"][0], found["ppv"][0]]).all()
    assert (found["specificity"][0], found["npv"][0], found["share_flagged"][0]) == (1, 1, 0)


def folds(n=200):
    return Judged(sample()[0], np.arange(n), np.arange(n)[None] % 4)


def test_a_threshold_is_not_chosen_on_the_fold_it_is_used_in():
    judged, (y, risk) = folds(), sample()
    own = judged.block[0] == 2
    turned = np.where(own, 1 - y, y)

    before = thresholds_within_folds(judged, risk)
    after = thresholds_within_folds(Judged(turned, judged.person, judged.block), risk)

    assert (before[own] == after[own]).all()
    assert (before[~own] != after[~own]).any()


def test_a_threshold_within_folds_has_the_largest_youden_index_on_the_others():
    judged, (y, risk) = folds(), sample()
    rest = judged.block[0] != 1

    def youden(threshold):
        found = classification(y[rest], risk[rest] >= threshold, np.ones((1, rest.sum())))
        return found["sensitivity"][0] + found["specificity"][0] - 1

    chosen = thresholds_within_folds(judged, risk)[judged.block[0] == 1]

    assert len(set(chosen)) == 1
    assert youden(chosen[0]) == pytest.approx(max(youden(t) for t in np.unique(risk)))


def test_one_fold_leaves_nothing_to_choose_a_threshold_on():
    y, risk = sample()

    assert thresholds_within_folds(Judged(y, np.arange(200), np.zeros((1, 200), int)), risk) is None
