"""One pass over the resamples: outcomes that differ between repeats, curves, thresholds, groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.estimate import Estimate, Reason, bootstrap_p_value
from models.judged import Judged, bootstrap_weights, weight_blocks
from models.judgement import Settings, judge, net_benefit_differences, row_thresholds
from models.metrics import all_metrics, resample_metrics
from models.subgroups import NAMES, Cell, judge_groups

SETTINGS = Settings(n_resamples=60, seed=1, thresholds=(0.2, 0.5), harm_ratio=0.5)
# In neither: the curve's range and the threshold rest on more than the resamples.
DRAWN = ("auc", "brier", "log_loss", "average_precision", "oe_ratio", "ici", "emax")


def study(seed=0, n_persons=50, n_repeats=3):
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n_persons), 3)
    trait = rng.normal(size=n_persons)[person]
    y = (rng.random(len(person)) < 1 / (1 + np.exp(-trait))).astype(float)
    block = np.array([rng.permutation(n_persons)[person] % 4 for _ in range(n_repeats)])
    noisy = trait + rng.normal(size=(n_repeats, len(person)))
    return Judged(y, person, block), 1 / (1 + np.exp(-noisy))


def unlike(judged, seed=3):
    """Outcomes that differ between repeats, and rows that a repeat does not judge."""
    rng = np.random.default_rng(seed)
    y = np.tile(judged.y, (judged.n_repeats, 1))
    y[rng.random(y.shape) < 0.1] = np.nan
    turned = rng.random(y.shape) < 0.1
    return Judged(np.where(turned, 1 - y, y), judged.person, judged.block)


# ---- outcomes per repeat


def test_one_outcome_for_all_repeats_may_be_written_once_or_often():
    judged, risks = study()
    often = Judged(np.tile(judged.y, (3, 1)), judged.person, judged.block)

    first, second = (
        resample_metrics(j, {"m": risks}, n_resamples=20, seed=0)["m"] for j in (judged, often)
    )

    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_every_repeat_is_judged_on_its_own_outcomes_and_rows():
    judged, risks = study()
    judged = unlike(judged)
    together = all_metrics(judged, risks, np.ones((1, len(judged.person))))

    for name in DRAWN:
        each = []
        for repeat in range(3):
            rows = np.flatnonzero(~np.isnan(judged.y[repeat]))
            alone = Judged(
                judged.y[repeat, rows], judged.person[rows], judged.block[[repeat]][:, rows]
            )
            each.append(all_metrics(alone, risks[[repeat]][:, rows], np.ones((1, len(rows))))[name])
        assert together[name][0] == pytest.approx(np.mean(each)), name


def test_what_a_model_says_of_a_row_that_is_not_judged_does_not_matter():
    judged, risks = study()
    judged = unlike(judged)
    changed = np.where(np.isnan(judged.y), 0.999, risks)

    first, second = (judge(judged, r, SETTINGS) for r in (risks, changed))

    np.testing.assert_array_equal(first.metrics["auc"], second.metrics["auc"])
    np.testing.assert_array_equal(first.curve, second.curve)
    np.testing.assert_array_equal(first.net_benefit, second.net_benefit)


# ---- the resamples


def test_resamples_do_not_depend_on_how_many_are_held_in_memory(monkeypatch):
    judged, _ = study()
    at_once = bootstrap_weights(judged, 40, seed=2)
    monkeypatch.setattr("models.judged.BLOCK_SIZE", 7 * len(judged.person))

    blocks = list(weight_blocks(judged, 40, seed=2))

    assert [len(b) for b in blocks] == [7, 7, 7, 7, 7, 6]
    np.testing.assert_array_equal(np.vstack(blocks), at_once)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # 97 of 99 above zero: 2 (2 + 1) / 100.
        ([0.5] + [0.4] * 97 + [-0.1] * 2, 0.06),
        # None below: the smallest that 99 resamples can show.
        ([0.5] + [0.4] * 99, 2 * 1 / 100),
        ([0.0] + [0.0] * 99, 1.0),
        ([np.nan] + [0.4] * 99, np.nan),
        ([0.5] + [np.nan] * 60 + [0.4] * 39, np.nan),
    ],
)
def test_a_bootstrap_p_value_is_twice_the_rarer_side(values, expected):
    assert bootstrap_p_value(np.array(values)) == pytest.approx(expected, nan_ok=True)


# ---- what is reported


def test_the_curve_covers_the_risks_that_every_repeat_predicted():
    judged, risks = study()
    found = judge(judged, risks, SETTINGS)
    rows = found.curve_rows()

    assert rows[0]["predicted"] == max(r.min() for r in risks)
    assert rows[-1]["predicted"] == min(r.max() for r in risks)
    for row in rows:
        assert 0 <= row["lower"] <= row["upper"] <= 1


def test_net_benefit_is_reported_against_all_and_nobody():
    judged, risks = study()

    low, high = judge(judged, risks, SETTINGS).net_benefit_rows()

    rate = judged.y.mean()
    assert low["treat_all"] == pytest.approx(rate - (1 - rate) * 0.2 / 0.8)
    assert (low["treat_none"], high["threshold"]) == (0.0, 0.5)
    assert low["standardised"] == pytest.approx(low["model"] / rate)
    assert high["interventions_avoided"] == pytest.approx(high["model"] - high["treat_all"])
    assert low["lower"] < low["model"] < low["upper"]


def test_a_stated_harm_ratio_gives_the_threshold():
    found = judge(*study(), SETTINGS).classification()

    assert found["threshold"] == pytest.approx(0.5 / 1.5)
    assert found["threshold_from"] == "harm ratio 0.5: h / (1 + h)"
    assert found["sensitivity"].lower < found["sensitivity"].estimate < found["sensitivity"].upper


def test_without_a_harm_ratio_the_folds_give_the_threshold():
    found = judge(*study(), Settings(60, 1)).classification()

    assert 0 < found["threshold"] < 1
    assert found["threshold_from"].startswith("largest Youden index on the other folds")


@pytest.mark.parametrize("name", ["sensitivity", "specificity", "ppv", "npv", "share_flagged"])
def test_without_folds_or_harm_ratio_there_is_no_classification(name):
    judged, risks = study(n_repeats=1)
    found = judge(Judged(judged.y, judged.person, judged.block * 0), risks, Settings(60, 1))

    assert np.isnan(found.classification()[name].estimate)
    assert found.classification()[name].reason == Reason.NO_THRESHOLD


def test_predictive_values_of_nobody_and_of_everybody_say_why():
    judged, risks = study()
    low = judge(judged, 0.2 * risks, SETTINGS).classification()["ppv"]
    high = judge(judged, 0.5 + 0.4 * risks, SETTINGS).classification()["npv"]

    assert (low.reason, high.reason) == (Reason.NOBODY_FLAGGED, Reason.EVERYBODY_FLAGGED)
    assert np.isnan([low.estimate, high.estimate]).all()


def test_a_model_has_no_more_net_benefit_than_itself():
    found = judge(*study(), SETTINGS)

    for row in net_benefit_differences(found, found):
        assert (row["estimate"], row["lower"], row["upper"]) == (0, 0, 0)


def test_a_reason_has_a_code_for_programs():
    content = Estimate(np.nan, np.nan, np.nan, "m", Reason.ONE_CLASS).to_dict()

    assert content["reason"] == "only one class was observed"
    assert content["reason_code"] == "one_class"


# ---- groups


CELL = Cell(persons=20, events=5)


def groups_of(judged, risks, labels, cell=CELL):
    return {g.level: g for g in judge_groups(judged, risks, labels, cell, SETTINGS)}


def test_a_group_is_judged_as_if_it_were_the_study():
    judged, risks = study()
    labels = np.where(judged.person < 30, "a", "b").astype(object)
    rows = np.flatnonzero(labels == "a")
    alone = Judged(judged.y[rows], judged.person[rows], judged.block[:, rows])
    expected = all_metrics(alone, risks[:, rows], np.ones((1, len(rows))))

    found = groups_of(judged, risks, labels)["a"]

    assert (found.n, found.n_participants, found.n_events) == (90, 30, judged.y[rows].sum())
    for name in NAMES:
        assert found.metrics[name].estimate == pytest.approx(expected[name][0]), name
        assert found.metrics[name].lower <= found.metrics[name].upper


def test_groups_together_hold_every_row():
    judged, risks = study()
    labels = np.array(["a", "b", "missing"], dtype=object)[judged.person % 3]

    found = groups_of(judged, risks, labels)

    assert list(found) == ["a", "b", "missing"]
    assert sum(g.n for g in found.values()) == len(judged.person)


@pytest.mark.parametrize("cell", [Cell(26, 5), Cell(20, 60)])
def test_a_small_group_is_named_and_not_judged(cell):
    judged, risks = study()
    labels = np.where(judged.person < 25, "a", "b").astype(object)

    found = groups_of(judged, risks, labels, cell)

    for group in found.values():
        assert group.n == 75
        for estimate in group.metrics.values():
            assert np.isnan([estimate.estimate, estimate.lower, estimate.upper]).all()
            assert estimate.reason == Reason.SMALL_CELL


def test_few_non_events_make_a_small_group_too():
    judged, risks = study()
    y = np.where(judged.person < 25, 1.0, judged.y)
    labels = np.where(judged.person < 25, "a", "b").astype(object)

    found = groups_of(Judged(y, judged.person, judged.block), risks, labels)

    assert found["a"].metrics["auc"].reason == Reason.SMALL_CELL
    assert np.isfinite(found["b"].metrics["auc"].estimate)


def test_a_group_is_classified_at_the_thresholds_of_everybody():
    judged, risks = study()
    # Two groups of other risks: thresholds of their own would be others.
    shifted = np.where(judged.person < 25, risks * 0.5, risks)
    labels = np.where(judged.person < 25, "a", "b").astype(object)
    within_folds = replace(SETTINGS, harm_ratio=None)
    cuts = row_thresholds(judged, shifted, None)

    found = {g.level: g for g in judge_groups(judged, shifted, labels, CELL, within_folds)}

    for level, group in found.items():
        rows = labels == level
        flagged, events = shifted[:, rows] >= cuts[:, rows], judged.y[rows] == 1
        sensitivity = np.mean([f[events].mean() for f in flagged])
        assert group.classification["sensitivity"].estimate == pytest.approx(sensitivity)
        assert group.classification["ppv"].lower <= group.classification["ppv"].upper
    alone = Judged(judged.y[:75], judged.person[:75], judged.block[:, :75])
    own = judge(alone, shifted[:, :75], within_folds).classification()
    assert own["sensitivity"].estimate != found["a"].classification["sensitivity"].estimate


def test_a_group_has_its_own_net_benefit_and_a_small_one_has_the_reason():
    judged, risks = study()
    labels = np.where(judged.person < 40, "a", "b").astype(object)

    found = groups_of(judged, risks, labels)

    rows = np.flatnonzero(labels == "a")
    alone = Judged(judged.y[rows], judged.person[rows], judged.block[:, rows])
    assert found["a"].net_benefit == judge(alone, risks[:, rows], SETTINGS).net_benefit_rows()
    small = found["b"]
    assert [row["threshold"] for row in small.net_benefit] == [0.2, 0.5]
    for row in small.net_benefit:
        assert np.isnan([row["model"], row["treat_all"], row["interventions_avoided"]]).all()
        assert row["reason"] == str(Reason.SMALL_CELL)
    for estimate in small.classification.values():
        assert estimate.reason == Reason.SMALL_CELL
