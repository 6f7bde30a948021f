"""Whatever happens after a bout began, or is known only later, its history stays as it was."""

from __future__ import annotations

from random import Random

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from features.history import earlier_changes
from features.outcome_design import Endpoint, OutcomeDesign

DAYS = {"post": 0, "post_24h": 1, "post_3d": 3, "week_1": 7}


@st.composite
def timelines(draw: st.DrawFn) -> tuple[pd.DataFrame, str, list[float]]:
    """Draw one person's bouts (period and day, in any order), when outcomes are read, and them."""
    n = draw(st.integers(2, 6))
    periods = draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))
    gaps = draw(st.lists(st.integers(0, 6), min_size=4, max_size=4))
    day = np.cumsum(gaps)
    after = draw(st.lists(st.integers(0, 10).map(float), min_size=n, max_size=n))
    cases = pd.DataFrame(
        {
            "study_id": "s",
            "participant_id": "p",
            "session_id": [f"b{i}" for i in range(n)],
            "period": periods,
            "visit_day": [int(day[p - 1]) for p in periods],
            "modality": "aerobic",
        }
    )
    return cases, draw(st.sampled_from(list(DAYS))), after


def history(cases: pd.DataFrame, timepoint: str, after: list[float]) -> pd.DataFrame:
    keys = cases[["study_id", "participant_id", "session_id"]]
    readings = [
        keys.assign(timepoint="pre", value=5.0),
        keys.assign(timepoint=timepoint, value=after),
    ]
    measurements = pd.concat(readings, ignore_index=True).assign(
        measure="pain_nrs", body_site="", site_role="clinical", trial=1, unit="points"
    )
    design = OutcomeDesign((Endpoint("pain", "pain_nrs", "clinical", timepoint),))
    return earlier_changes(cases, measurements, design)


def known(cases: pd.DataFrame, timepoint: str, bout: int) -> list[int]:
    """Bouts of earlier periods whose outcome was there on a day before this bout."""
    period, day = cases["period"].tolist(), cases["visit_day"].tolist()
    lag = DAYS[timepoint]
    return [
        i
        for i in range(len(cases))
        if period[i] < period[bout] and (lag == 0 or day[i] + lag < day[bout])
    ]


@settings(max_examples=20, deadline=None)
@given(timelines(), st.data())
def test_history_moves_with_what_was_known_and_with_nothing_else(
    drawn: tuple[pd.DataFrame, str, list[float]], data: st.DataObject
) -> None:
    cases, timepoint, after = drawn
    bout = data.draw(st.integers(0, len(cases) - 1))
    earlier = known(cases, timepoint, bout)

    later_moved = [v if i in earlier else 10.0 - v + 0.5 for i, v in enumerate(after)]
    before = history(cases, timepoint, after).iloc[bout]
    moved = history(cases, timepoint, later_moved).iloc[bout]

    pd.testing.assert_series_equal(before, moved)
    assert before["history_bouts"] == len(earlier)
    if earlier:
        changes = [5.0 - after[i] for i in earlier]
        np.testing.assert_allclose(before["history_mean_change"], np.mean(changes))


@settings(max_examples=8, deadline=None)
@given(timelines(), st.randoms(use_true_random=False))
def test_history_does_not_depend_on_the_order_of_the_rows(
    drawn: tuple[pd.DataFrame, str, list[float]], random: Random
) -> None:
    cases, timepoint, after = drawn
    order = list(range(len(cases)))
    random.shuffle(order)

    straight = history(cases, timepoint, after)
    shuffled = history(cases.iloc[order], timepoint, [after[i] for i in order])

    pd.testing.assert_frame_equal(shuffled.sort_index(), straight)
