"""Tables behind the figures of a judged ladder, against hand counts."""

from __future__ import annotations

import numpy as np
import pytest

from models.explain import value_groups
from models.judged import Judged
from pipeline.operating_points import N_BINS, risk_histogram, threshold_table

JUDGED = Judged(np.array([1.0, 1.0, 0.0, 0.0]), np.arange(4), np.zeros((2, 4), dtype=np.int64))
RISKS = {"m": np.array([[0.9, 0.4, 0.5, 0.1], [0.9, 0.6, 0.2, 0.1]])}


def test_each_threshold_gives_the_mean_over_repeats_of_what_is_counted() -> None:
    row = threshold_table(JUDGED, RISKS, (0.5,)).iloc[0]

    # First repeat: flagged are rows 0 and 2; second: rows 0 and 1.
    assert row["sensitivity"] == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert row["specificity"] == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert row["ppv"] == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert row["npv"] == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert row["share_flagged"] == pytest.approx(2 / 4)


def test_a_share_without_a_denominator_is_unknown() -> None:
    row = threshold_table(JUDGED, RISKS, (0.95,)).iloc[0]

    assert np.isnan(row["ppv"])
    assert row["sensitivity"] == 0.0


def test_no_thresholds_give_an_empty_table_with_its_columns() -> None:
    table = threshold_table(JUDGED, RISKS, ())

    assert table.empty
    assert list(table.columns)[:2] == ["candidate", "threshold"]


def test_the_histogram_counts_every_known_risk_once_and_ends_with_the_last() -> None:
    table = risk_histogram(np.array([[0.0, 0.01, np.nan, 0.31]]))

    assert table["share"].sum() == pytest.approx(1)
    assert table["share"].iloc[0] == pytest.approx(2 / 3)
    assert table["upper"].iloc[-1] == pytest.approx(13 / N_BINS)  # 0.31 * 40 = 12.4


def test_groups_of_a_value_hold_every_known_row_and_average_its_contributions() -> None:
    values = np.repeat([1.0, 2.0, 3.0, 4.0], 25)
    contributions = np.repeat([-1.0, 0.0, 0.0, 2.0], 25)

    table = value_groups(values, contributions, n_groups=4)

    assert table["n"].sum() == 100
    assert table["value_mean"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert table["contribution_mean"].tolist() == [-1.0, 0.0, 0.0, 2.0]


def test_missing_values_are_a_group_and_small_groups_are_not_shown() -> None:
    values = np.concatenate([np.full(12, np.nan), np.arange(9.0)])

    table = value_groups(values, np.ones(21), n_groups=1)

    assert table["group"].tolist() == ["missing"]
    assert table["n"].tolist() == [12]
    assert table["value_mean"].isna().all()


def test_a_value_nobody_has_gives_one_group() -> None:
    table = value_groups(np.full(15, np.nan), np.ones(15))

    assert table["n"].tolist() == [15]
