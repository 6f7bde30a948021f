"""Cutting persons into groups: the rules' sides, the clusters' numbers, and the words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.build import SPECS
from features.columns_modulation import CPM_PARADIGMS
from features.modulation import build_modulation
from features.reference import load_reference
from features.strata import UNKNOWN, choose_marker, group_numbers, load_rules
from models.clustering import (
    choose_number,
    draw_persons,
    fit_clusters,
    jaccard_stability,
)
from models.errors import NotEnoughDataError
from models.strata import share_of, verdict

CATASTROPHISING, KINESIOPHOBIA = load_rules()["catastrophising_x_kinesiophobia"].axes
CAPACITY, SENSITISATION = load_rules()["modulation_x_sensitisation"].axes
EVERYBODY = np.arange(4)


def test_every_marker_of_the_rules_is_a_feature() -> None:
    markers = [m for rule in load_rules().values() for a in rule.axes for m in a.markers]
    names = {s.name for s in SPECS}

    used = {m.marker for m in markers} | {m.indicator for m in markers if m.indicator}
    assert used <= names
    assert all(m.confidence in "SMWA" and m.source for m in markers)
    # What has no published cut is a choice of the project, and says so.
    assert all(m.published or m.confidence == "A" for m in markers)
    clusters = load_reference("strata.toml")["clusters"]["markers"]
    assert set(clusters) <= names | {"pain_now_nrs"}


def test_published_cut_is_above_where_it_is_exclusive_and_at_where_it_is_inclusive() -> None:
    features = pd.DataFrame(
        {"pcs_total": [30.0, 30.5, 10.0, np.nan], "csi_total": [39.0, 40.0, 41.0, 10.0]}
    )

    exclusive = choose_marker(CATASTROPHISING, features)
    inclusive = choose_marker(SENSITISATION, features)

    assert exclusive is not None
    assert inclusive is not None
    np.testing.assert_array_equal(exclusive.sides(EVERYBODY), [0, 1, 0, np.nan])
    np.testing.assert_array_equal(inclusive.sides(EVERYBODY), [0, 1, 1, 0])


def test_published_cut_of_modulation_is_the_paradigms_own_error() -> None:
    gains = np.array([20.0, 21.0, -5.0, 40.0])
    cases = pd.DataFrame(
        {
            "cpm_ppt_unconditioned_kpa": np.full(4, 200.0),
            "cpm_ppt_conditioned_kpa": 200.0 + gains,
            "cpm_paradigm": ["cold_pressor"] * 4,
            "cpm_ppt_sem_kpa": [np.nan, np.nan, np.nan, 45.0],
        }
    )
    assert "cold_pressor" in CPM_PARADIGMS

    axis = choose_marker(CAPACITY, pd.DataFrame(build_modulation(cases)))

    assert axis is not None
    assert axis.published
    assert axis.marker.marker == "cpm_ppt_kpa"
    # Published: 0.21 kg/cm2 = 20.594 kPa; the last row states its laboratory's own.
    np.testing.assert_array_equal(axis.sides(EVERYBODY), [0, 1, 0, 0])
    assert np.isnan(axis.cut_of(EVERYBODY))


def test_axis_without_a_published_cut_is_cut_at_the_median_of_the_training_rows() -> None:
    axis = choose_marker(SENSITISATION, pd.DataFrame({"ts_difference_nrs": [0.0, 1.0, 2.0, 9.0]}))

    assert axis is not None
    assert not axis.published
    assert axis.cut_of(np.array([0, 1, 2])) == 1.0
    np.testing.assert_array_equal(axis.sides(np.array([0, 1, 2])), [0, 0, 1, 1])
    np.testing.assert_array_equal(axis.sides(np.array([1, 2, 3])), [0, 0, 0, 1])


def test_low_pressure_thresholds_are_the_sensitised_side() -> None:
    features = pd.DataFrame({"ppt_baseline_remote_log_kpa": [5.0, 5.5, 6.0, 6.5]})

    axis = choose_marker(SENSITISATION, features)

    assert axis is not None
    np.testing.assert_array_equal(axis.sides(EVERYBODY), [1, 1, 0, 0])


def test_axis_passes_over_a_marker_known_in_too_few_rows_and_is_none_without_another() -> None:
    few = pd.DataFrame(
        {"csi_total": [50.0, np.nan, np.nan, np.nan], "ts_difference_nrs": [0.0, 1, 2, 3]}
    )

    axis = choose_marker(SENSITISATION, few)

    assert axis is not None
    assert axis.marker.marker == "ts_difference_nrs"
    assert choose_marker(SENSITISATION, few[["csi_total"]]) is None
    assert choose_marker(SENSITISATION, pd.DataFrame({"ts_difference_nrs": [1.0] * 4})) is None


def test_medians_asked_for_are_taken_where_there_is_a_published_cut() -> None:
    features = pd.DataFrame({"pcs_total": [1.0, 2.0, 3.0, 4.0]})

    axis = choose_marker(CATASTROPHISING, features, published=False)

    assert axis is not None
    assert not axis.published
    assert axis.cut_of(EVERYBODY) == (2 + 3) / 2


def test_group_numbers_are_the_combinations_of_sides() -> None:
    features = pd.DataFrame(
        {"pcs_total": [10.0, 40, 10, 40, np.nan], "tsk17_total": [20.0, 20, 50, 50, 50]}
    )
    axes = [choose_marker(a, features) for a in (CATASTROPHISING, KINESIOPHOBIA)]

    found = group_numbers([a for a in axes if a is not None], np.arange(5))

    assert found.tolist() == [0, 1, 2, 3, UNKNOWN]
    assert load_rules()["catastrophising_x_kinesiophobia"].group_names()[1] == (
        "high catastrophising, low fear of movement"
    )


@pytest.mark.parametrize("method", ["mixture", "kmeans"])
def test_clusters_are_numbered_by_their_centres_whatever_the_order_of_persons(method: str) -> None:
    rng = np.random.default_rng(3)
    values = np.repeat([[0.0, 0.0], [9.0, 0.0], [4.0, 9.0]], 20, axis=0) + rng.normal(size=(60, 2))
    order = rng.permutation(60)

    found = fit_clusters(values, method, 3, 1)(values)
    again = fit_clusters(values[order], method, 3, 2)(values)

    assert found.tolist() == [0] * 20 + [2] * 20 + [1] * 20
    assert again.tolist() == found.tolist()


def test_number_of_clusters_needs_ten_persons_for_each_of_two() -> None:
    values = np.random.default_rng(1).normal(size=(19, 2))

    with pytest.raises(NotEnoughDataError, match="expected 20 persons .* found 19"):
        choose_number(values, "mixture", 5, 1)


def test_number_of_clusters_tries_no_more_than_the_persons_bear() -> None:
    values = np.random.default_rng(1).normal(size=(39, 2))

    assert [r["number"] for r in choose_number(values, "mixture", 5, 1).by_number] == [1, 2, 3]


def test_jaccard_similarity_is_shared_over_all_persons_of_both_clusters() -> None:
    values = np.arange(6.0)[:, None]

    def halves(rows: np.ndarray) -> np.ndarray:
        # The whole (six rows) is cut at 3; a resample at 2.
        return (rows[:, 0] >= (3 if len(rows) == 6 else 2)).astype(np.int64)

    found = jaccard_stability(values, halves, [np.array([0, 1, 2, 3, 4])])

    # Of 0 1 2 3 4: {0 1 2} against {0 1}: 2 of 3; {3 4} against {2 3 4}: 2 of 3.
    assert found.jaccard[0] == pytest.approx([2 / 3, 2 / 3])


def test_jaccard_similarity_is_unknown_where_no_person_of_a_cluster_was_drawn() -> None:
    values = np.arange(6.0)[:, None]

    found = jaccard_stability(
        values, lambda rows: (rows[:, 0] >= 5).astype(np.int64), [np.arange(5), np.arange(6)]
    )

    assert np.isnan(found.jaccard[0, 1])
    assert found.summary()[1]["jaccard"] == 1.0


def test_a_drawn_person_counts_once() -> None:
    for drawn in draw_persons(30, 5, 1):
        assert len(set(drawn.tolist())) == len(drawn) < 30


def test_share_counts_repeated_rows_of_a_person_as_one_where_they_are_all_alike() -> None:
    once = np.array([1.0, 0, 0, 1, 0, 0, 0, 0])
    alone = share_of(once, np.arange(8))
    repeated = share_of(np.repeat(once, 5), np.repeat(np.arange(8), 5))

    # p (1 - p) / variance, with persons / (persons - 1): 7 persons' worth, not 8.
    assert "effective size 7.0 of 40 rows" in repeated.method
    assert repeated.upper - repeated.lower > alone.upper - alone.lower


def test_share_of_none_and_all_keeps_an_interval() -> None:
    none, every = (share_of(np.full(10, v), np.arange(10)) for v in (0.0, 1.0))

    assert none.lower == 0.0
    assert 0.25 < none.upper < 0.45
    assert every.upper == 1.0
    assert every.lower == pytest.approx(1 - none.upper)


@pytest.mark.parametrize(
    ("linear", "spline", "expected"),
    [
        ((-0.3, -0.1), (-0.2, -0.01), "better"),
        ((-0.3, -0.1), (-0.2, 0.01), "undecided"),
        ((0.1, 0.2), (0.01, 0.2), "worse"),
        ((0.1, 0.2), (-0.01, 0.2), "undecided"),
        ((np.nan, np.nan), (-0.2, -0.1), "undecided"),
    ],
)
def test_verdict_needs_every_continuous_coding(
    linear: tuple[float, float], spline: tuple[float, float], expected: str
) -> None:
    versus = {
        name: {"log_loss_difference": {"lower": low, "upper": high}}
        for name, (low, high) in (("linear", linear), ("spline", spline))
    }

    assert verdict(versus) == expected
