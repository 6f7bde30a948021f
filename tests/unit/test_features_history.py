"""A person's own earlier bouts: only what is known when the next begins."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.build import build_features
from features.history import days_until_known, earlier_changes, shrunken_change
from features.outcome_design import Endpoint, OutcomeDesign
from models.errors import LeakageError
from pipeline.own_history import check_delivered, with_history
from pipeline.weekly import with_weeks

DESIGN = OutcomeDesign((Endpoint("pain", "pain_nrs", "clinical", "post"),))
AGAINST = OutcomeDesign(DESIGN.endpoints, "bout", {"modality": "isometric"})
AFTER = {"a": (1, 5.0), "b": (2, 3.0), "c": (3, 1.0)}


def _study(after: dict[str, tuple[int, float]] = AFTER) -> tuple[pd.DataFrame, pd.DataFrame]:
    keys = [{"study_id": "s", "participant_id": "p", "session_id": s} for s in after]
    cases = pd.DataFrame(keys).assign(
        period=[p for p, _ in after.values()], condition="healthy", modality="aerobic"
    )
    common = {"measure": "pain_nrs", "body_site": "", "site_role": "clinical", "unit": "points"}
    rows = [
        {**key, **common, "timepoint": when, "trial": 1, "value": value}
        for key, (_, post) in zip(keys, after.values(), strict=True)
        for when, value in (("pre", 6.0), ("post", post))
    ]
    return cases, pd.DataFrame(rows)


def test_history_sees_bouts_of_earlier_periods_only() -> None:
    found = earlier_changes(*_study(), DESIGN)
    assert found["history_bouts"].tolist() == [0, 1, 2]
    np.testing.assert_allclose(
        found["history_mean_change"], [np.nan, 6 - 5, ((6 - 5) + (6 - 3)) / 2]
    )
    np.testing.assert_allclose(found["history_last_change"], [np.nan, 6 - 5, 6 - 3])


def test_history_leaves_out_bouts_of_the_same_period() -> None:
    found = earlier_changes(*_study({"a": (1, 5.0), "b": (1, 3.0)}), DESIGN)
    assert found["history_bouts"].tolist() == [0, 0]
    assert found["history_mean_change"].isna().all()


def test_history_does_not_move_when_later_outcomes_do() -> None:
    before = earlier_changes(*_study(), DESIGN)
    after = earlier_changes(*_study({**AFTER, "c": (3, 6.0)}), DESIGN)
    pd.testing.assert_frame_equal(before, after)


def _late_study(timepoint: str) -> tuple[pd.DataFrame, pd.DataFrame, OutcomeDesign]:
    cases, measurements = _study()
    late = measurements.replace({"timepoint": {"post": timepoint}})
    return cases, late, OutcomeDesign((Endpoint("pain", "pain_nrs", "clinical", timepoint),))


def test_days_until_known_are_counted_up_to_whole_days() -> None:
    found = {t: days_until_known(t) for t in ("during", "post", "post_90min", "post_2h", "week_26")}
    assert found == {"during": 0, "post": 0, "post_90min": 0, "post_2h": 1, "week_26": 26 * 7}


@pytest.mark.parametrize(("day_of_c", "n_known"), [(13, 0), (14, 0), (15, 1)])
def test_history_holds_a_follow_up_only_if_its_day_is_over_before_the_next_bout(
    day_of_c: int, n_known: int
) -> None:
    cases, late, design = _late_study("week_2")
    found = earlier_changes(cases.assign(visit_day=[0, 3, day_of_c]), late, design)
    assert found["history_bouts"].tolist() == [0, 0, n_known]
    expected = 6 - 5 if n_known else np.nan
    np.testing.assert_equal(found["history_last_change"].iloc[2], expected)


def test_history_takes_a_follow_up_as_unknown_where_a_day_is_missing() -> None:
    cases, late, design = _late_study("post_24h")
    found = earlier_changes(cases.assign(visit_day=[0, np.nan, 9]), late, design)
    assert found["history_bouts"].tolist() == [0, 0, 1]


def test_history_of_a_follow_up_without_days_is_refused() -> None:
    cases, late, design = _late_study("week_2")
    with pytest.raises(LeakageError, match=r"visit_day.*week_2 is known 14 days after its bout"):
        with_history(cases, late, design)


def test_history_of_a_follow_up_is_empty_where_nobody_has_a_second_bout() -> None:
    cases, late, design = _late_study("week_2")
    found = with_history(cases.head(1), late, design)
    assert found["history_bouts"].tolist() == [0]


def test_history_leaves_out_an_earlier_period_of_a_later_day() -> None:
    cases, measurements = _study()
    found = earlier_changes(cases.assign(visit_day=[5, 0, 9]), measurements, DESIGN)
    assert found["history_bouts"].tolist() == [0, 0, 2]


def test_history_within_a_visit_holds_what_was_read_at_the_end_of_a_bout_only() -> None:
    cases, late, design = _late_study("post_30min")
    same = cases.assign(visit_id=["v1", "v1", "v2"])
    assert earlier_changes(same, late, design)["history_bouts"].tolist() == [0, 0, 2]
    cases, measurements = _study()
    at_once = earlier_changes(cases.assign(visit_id="v1"), measurements, DESIGN)
    assert at_once["history_bouts"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(("easy_period", "n_known"), [(1, 1), (2, 0)])
def test_history_of_a_bout_against_another_waits_for_both(easy_period: int, n_known: int) -> None:
    cases, measurements = _study()
    cases = cases.assign(
        period=[1, easy_period, 2],
        modality=["aerobic", "isometric", "aerobic"],
        visit_id=["v1", "v1", "v2"],
    )
    assert earlier_changes(cases, measurements, AGAINST)["history_bouts"].iloc[2] == n_known


@pytest.mark.parametrize("visit", ["v1", None])
def test_history_leaves_out_changes_against_the_bout_that_the_next_is_compared_with(
    visit: str | None,
) -> None:
    cases, measurements = _study()
    cases = cases.assign(
        period=[2, 1, 3], modality=["aerobic", "isometric", "aerobic"], visit_id=visit
    )
    found = earlier_changes(cases, measurements, AGAINST)
    assert found["history_bouts"].tolist() == [0, 0, 0]


def test_history_that_cannot_be_told_from_the_measurements_is_a_leak() -> None:
    cases, measurements = _study()
    given = cases.drop(columns="period").assign(history_mean_change=1.0)
    with pytest.raises(LeakageError, match=r"history_mean_change.*3 rows \(first: 0\)"):
        check_delivered(given, measurements, DESIGN)
    check_delivered(cases, measurements, DESIGN)


def test_history_is_missing_without_periods() -> None:
    cases, measurements = _study()
    assert earlier_changes(cases.drop(columns="period"), measurements, DESIGN).isna().all().all()


def test_history_that_holds_the_bouts_own_change_is_a_leak() -> None:
    cases, measurements = _study()
    own = cases.assign(history_last_change=[6.0 - v for _, v in AFTER.values()])
    with pytest.raises(LeakageError, match=r"history_last_change.*earlier periods"):
        with_history(own, measurements, DESIGN)


def test_history_made_of_earlier_bouts_passes_its_own_check() -> None:
    cases, measurements = _study()
    once = with_history(cases, measurements, DESIGN)
    pd.testing.assert_frame_equal(once, with_history(once, measurements, DESIGN))


def test_features_of_history_are_missing_without_one_and_shrunken_with_it() -> None:
    cases, measurements = _study()
    names = ["history_mean_change", "history_shrunken_change"]
    assert build_features(cases)[names].isna().all().all()
    built = build_features(with_history(cases, measurements, DESIGN))
    assert 0 < built["history_shrunken_change"].iloc[2] < built["history_mean_change"].iloc[2]


def test_shrunken_change_follows_spearman_brown() -> None:
    found = shrunken_change(np.array([1.0, 3.0]), np.array([2.0, 2.0]), 0.4)
    np.testing.assert_allclose(found, [2 * 0.4, 2 * 3 * 0.4 / (1 + 2 * 0.4)])


def test_weeks_are_added_after_the_studys_own_endpoints() -> None:
    _, measurements = _study()
    late = measurements[measurements["timepoint"] == "post"]
    weeks = pd.concat(
        [measurements, late.assign(timepoint="week_6"), late.assign(timepoint="week_26")]
    )
    names = [e.name for e in with_weeks(DESIGN, weeks, "here").endpoints]
    assert names == ["pain", "change_at_week_6", "change_at_week_26"]
