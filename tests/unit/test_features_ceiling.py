"""What a perfect model could reach: closed forms, published figures and simulation."""

import numpy as np
import pandas as pd
import pytest

from features.ceiling import (
    LabelShares,
    auc_ceiling,
    ceiling,
    in_words,
    kappa_between_labels,
    kappa_ceiling,
    label_shares,
    r2_ceiling,
)
from features.resampling import Figure, unknown

HALF = LabelShares(0.5)
RELIABILITIES = (0.05, 0.20, 0.33, 0.45, 0.60, 0.90)


def observed(reliability, n, seed):
    """True responses and observed changes, both of variance 1."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=n)
    return true, np.sqrt(reliability) * true + np.sqrt(1 - reliability) * rng.normal(size=n)


def rank_auc(score, event):
    rank = np.argsort(np.argsort(score))[event]
    n_events = event.sum()
    return (rank.sum() - n_events * (n_events - 1) / 2) / (n_events * (~event).sum())


@pytest.mark.parametrize(
    ("reliability", "quoted"), [(0.20, 0.70), (0.33, 0.77), (0.45, 0.82), (0.60, 0.87)]
)
def test_auc_ceiling_of_a_median_split_is_the_published_one(reliability, quoted):
    # The figures of the evidence base come from a simulation and are rounded: .815 became .82.
    assert auc_ceiling(reliability, HALF) == pytest.approx(quoted, abs=0.006)


@pytest.mark.parametrize("reliability", RELIABILITIES)
def test_ceilings_of_a_median_split_equal_their_closed_forms(reliability):
    root = np.sqrt(reliability)

    assert auc_ceiling(reliability, HALF) == pytest.approx(
        0.5 + 2 / np.pi * np.arcsin(root / np.sqrt(2)), abs=1e-5
    )
    assert kappa_ceiling(reliability, HALF) == pytest.approx(2 / np.pi * np.arcsin(root), abs=1e-5)
    assert kappa_between_labels(reliability, HALF) == pytest.approx(
        2 / np.pi * np.arcsin(reliability), abs=1e-5
    )


@pytest.mark.parametrize(("reliability", "quoted"), [(0.20, 0.13), (0.45, 0.30), (0.57, 0.39)])
def test_kappa_between_sessions_is_the_published_one(reliability, quoted):
    assert round(kappa_between_labels(reliability, HALF), 2) == quoted


@pytest.mark.parametrize("share", [0.5, 0.3, 0.16, 0.024])
@pytest.mark.parametrize("reliability", [0.2, 0.45, 0.6])
def test_auc_ceiling_equals_the_auc_of_simulated_true_responses(reliability, share):
    n = 200_000
    true, change = observed(reliability, n, seed=1)
    event = change > np.quantile(change, 1 - share)

    found = rank_auc(true, event)

    # The SE of an AUC is at most sqrt(AUC (1 - AUC) / min(events, non-events)).
    error = np.sqrt(found * (1 - found) / event.sum())
    assert auc_ceiling(reliability, LabelShares(share)) == pytest.approx(found, abs=3 * error)


def test_auc_ceiling_rises_where_uncertain_bouts_are_left_out():
    n = 200_000
    true, change = observed(0.45, n, seed=2)
    event, other = change > np.quantile(change, 0.7), change < np.quantile(change, 0.4)
    kept = event | other

    found = rank_auc(true[kept], event[kept])

    error = np.sqrt(found * (1 - found) / event.sum())
    assert auc_ceiling(0.45, LabelShares(0.3, unlabelled=0.3)) == pytest.approx(
        found, abs=3 * error
    )
    assert found > auc_ceiling(0.45, LabelShares(0.3 / 0.7))


def test_kappa_ceiling_equals_the_best_cut_of_simulated_true_responses():
    true, change = observed(0.45, 200_000, seed=3)
    event = change > np.quantile(change, 0.75)
    kappas = []
    for cut in np.linspace(-1, 3, 81):
        called = true > cut
        agreed = np.mean(called == event)
        chance = called.mean() * event.mean() + (1 - called.mean()) * (1 - event.mean())
        kappas.append((agreed - chance) / (1 - chance))

    # SE of a kappa of .44 with 200,000 pairs is below .0025.
    assert kappa_ceiling(0.45, LabelShares(0.25)) == pytest.approx(max(kappas), abs=0.0075)


def test_ceiling_of_a_mixture_of_strata_is_close_to_the_normal_one():
    rng = np.random.default_rng(4)
    n = 200_000
    stratum = rng.choice([-0.04, 0.0, 0.06, 0.15], size=n)
    true = stratum + 0.094 * rng.normal(size=n)
    change = true + 0.104 * rng.normal(size=n)
    event = change > 0.104
    reliability = np.corrcoef(true, change)[0, 1] ** 2

    # Assumption bounded: strata apart by half the spread of responses move it by less than .01.
    assert auc_ceiling(reliability, LabelShares(event.mean())) == pytest.approx(
        rank_auc(true, event), abs=0.01
    )


@pytest.mark.parametrize(("reliability", "auc", "rest"), [(-0.3, 0.5, 0.0), (0, 0.5, 0), (1, 1, 1)])
def test_ceilings_at_and_beyond_the_ends_of_reliability(reliability, auc, rest):
    assert auc_ceiling(reliability, HALF) == auc
    assert kappa_ceiling(reliability, HALF) == rest
    assert r2_ceiling(reliability, HALF) == rest
    assert kappa_between_labels(max(reliability, 0), HALF) == pytest.approx(rest, abs=1e-6)


def test_limits_of_a_ceiling_are_the_ceilings_of_the_limits():
    found = ceiling(auc_ceiling, Figure(0.45, -0.1, 0.7, "somehow"), LabelShares(0.3))

    assert found.lower == 0.5
    assert found.estimate == auc_ceiling(0.45, LabelShares(0.3))
    assert found.upper == auc_ceiling(0.7, LabelShares(0.3))


def test_ceiling_is_unknown_for_the_reason_the_reliability_is():
    found = ceiling(auc_ceiling, unknown("nothing is repeated"), HALF)

    assert np.isnan([found.estimate, found.lower, found.upper]).all()
    assert found.reason == "nothing is repeated"


def test_ceiling_keeps_its_estimate_where_the_reliability_has_no_interval():
    found = ceiling(auc_ceiling, Figure(0.45, np.nan, np.nan, "somehow", "too few"), HALF)

    assert found.estimate == auc_ceiling(0.45, HALF)
    assert np.isnan(found.upper)
    assert found.reason == "too few"


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        (LabelShares(0.0), "only one class was observed"),
        (LabelShares(1.0), "only one class was observed"),
        (LabelShares(0.4, 0.6), "only one class was observed"),
        (LabelShares(np.nan), "the share of events is unknown"),
    ],
)
def test_ceiling_needs_both_classes(shares, reason):
    assert ceiling(auc_ceiling, Figure(0.4, 0.2, 0.6, "somehow"), shares).reason == reason


def test_label_shares_count_bouts_with_a_change_only():
    labels = pd.DataFrame(
        {"change": [0.3, 0.1, -0.2, 0.0, np.nan], "response": [1, np.nan, 0, 0, np.nan]}
    )

    assert label_shares(labels, "response") == LabelShares(1 / 4, 1 / 4)
    assert np.isnan(label_shares(labels.iloc[4:], "response").event)


@pytest.mark.parametrize(
    ("reliability", "said"),
    [
        (
            (0.45, 0.2, 0.6),
            "No model can be expected to exceed an AUC of 0.81 (0.70 to 0.87) or to",
        ),
        ((0.45, 0.2, 0.6), "explain more than 45 % of the variance"),
        ((0.01, -0.1, 0.2), "indistinguishable from zero: no model of the person can be expected"),
        ((0.01, -0.1, 0.2), "a perfect model reaches an AUC of 0.70 and explains 20 %"),
        ((-0.2, -0.4, -0.1), "reaches an AUC of 0.50 and explains 0 % of the variance"),
        ((0.45, np.nan, np.nan), "A perfect model would reach an AUC of 0.81, give or take"),
    ],
)
def test_words_say_what_a_reliability_means_for_any_model(reliability, said):
    figure = Figure(*reliability, "somehow")

    assert said in in_words(figure, ceiling(auc_ceiling, figure, HALF))


def test_words_give_the_reason_where_nothing_can_be_said():
    nothing = unknown("nothing is repeated")

    assert in_words(nothing, ceiling(auc_ceiling, nothing, HALF)) == (
        "No ceiling can be stated: nothing is repeated."
    )
