"""A person's own earlier bouts: only what is known when the next begins."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.build import build_features
from features.history import earlier_changes, shrunken_change
from features.outcome_design import Endpoint, OutcomeDesign
from models.errors import LeakageError
from pipeline.history import with_history
from pipeline.weekly import with_weeks

DESIGN = OutcomeDesign((Endpoint("pain", "pain_nrs", "clinical", "post"),))
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
