"""One model of three ordered classes, and decisions from two risks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import NotEnoughDataError
from models.harms import TwoRisks, coherent, decision_table
from models.ordinal import (
    class_probabilities,
    fit_ordinal,
    ranked_probability_score,
    tune_ordinal,
)
from models.scorers import make_scorer

REFERENCE = Path(__file__).resolve().parent.parent / "reference"
COLUMNS = ("a", "b", "c", "d")


def golden() -> tuple[pd.DataFrame, np.ndarray]:
    table = pd.read_csv(REFERENCE / "ordinal_penalised_input.csv")
    return table[list(COLUMNS)], table["order"].to_numpy(dtype=np.float64)


@pytest.mark.parametrize("row", range(3))
def test_penalised_proportional_odds_match_rms(row: int) -> None:
    """rms::lrm with a penalty, see tests/reference/ordinal_penalised.R."""
    X, order = golden()
    expected = pd.read_csv(REFERENCE / "ordinal_penalised_expected.csv").iloc[row]

    found = fit_ordinal(X, order, COLUMNS, float(expected["c"]))

    assert found.cuts == pytest.approx((expected["cut_low"], expected["cut_high"]), abs=1e-6)
    assert found.coefficients == pytest.approx(
        expected[["a", "b", "c_", "d"]].to_numpy(dtype=float), abs=1e-6
    )


@given(
    st.floats(-700, 700),
    st.floats(-30, 30),
    st.floats(1e-9, 60),
)
def test_risks_of_both_ends_never_add_up_to_more_than_one(
    predictor: float, cut: float, gap: float
) -> None:
    # The cuts are in order, and the logistic function rises.
    found = class_probabilities(np.array([predictor]), (cut, cut + gap))[0]

    assert found[0] + found[2] <= 1
    assert (found >= 0).all()


def test_either_side_as_a_bundle_scorer_says_what_the_model_says() -> None:
    X, order = golden()
    model = fit_ordinal(X, order, COLUMNS, 0.1)
    whole = model.probabilities(X)

    response, hyperalgesia = (
        make_scorer(model.side(name)).probability(X) for name in ("response", "hyperalgesia")
    )

    assert response == pytest.approx(whole[:, 2], abs=1e-12)
    assert hyperalgesia == pytest.approx(whole[:, 0], abs=1e-12)


def test_a_class_without_a_row_is_named() -> None:
    X, order = golden()

    with pytest.raises(NotEnoughDataError, match="found no row of hyperalgesia among 240"):
        fit_ordinal(X, np.maximum(order, 1.0), COLUMNS, 1.0)


def test_tuning_learns_nothing_from_rows_without_a_class() -> None:
    X, order = golden()
    halves = (np.arange(120), np.arange(120, 240))
    splits = (halves, halves[::-1])
    some = np.where(np.arange(240) % 5 == 0, np.nan, order)
    spoilt = X.copy()
    spoilt.loc[np.isnan(some), "a"] = 1e6

    found = tune_ordinal(X, some, splits, (COLUMNS, (0.01, 1.0)))
    other = tune_ordinal(spoilt, some, splits, (COLUMNS, (0.01, 1.0)))

    assert np.array_equal(found.coefficients, other.coefficients)


def test_ranked_probability_score_counts_how_far_off_an_answer_is() -> None:
    sure_of_response = np.array([[0.0, 0.0, 1.0]] * 3)

    found = ranked_probability_score(sure_of_response, np.array([0.0, 1.0, 2.0]))

    assert found.tolist() == [1.0, 0.5, 0.0]


@given(st.floats(0, 1), st.floats(0, 1))
def test_coherent_risks_err_less_whatever_happens(first: float, second: float) -> None:
    # Projection onto a convex set brings a point nearer to every point of the set; what can
    # happen (one, the other, neither) lies in it.
    a, b = (float(p[0]) for p in coherent(np.array([first]), np.array([second])))

    assert 0 <= a <= 1
    assert 0 <= b <= 1
    assert a + b <= 1
    for x, y in ((1, 0), (0, 1), (0, 0)):
        before = (first - x) ** 2 + (second - y) ** 2
        assert (a - x) ** 2 + (b - y) ** 2 <= before + 1e-12
    if first + second <= 1:
        assert (a, b) == (first, second)


def test_decision_table_counts_worth_in_units_of_a_response() -> None:
    # Three bouts: a response, a flare, neither. The risks see the flare coming.
    two = TwoRisks(
        response=np.array([1.0, 0.0, 0.0]),
        hyperalgesia=np.array([0.0, 1.0, 0.0]),
        p_response=np.array([0.6, 0.2, 0.3]),
        p_hyperalgesia=np.array([0.1, 0.5, 0.1]),
        weights=np.ones((50, 3)),
    )

    mild, severe = decision_table(two, (0.1, 2.0))

    assert mild["share_done"]["estimate"] == 1.0
    assert mild["against_all"]["estimate"] == 0.0
    assert mild["all"]["estimate"] == pytest.approx((1 - 0.1) / 3)
    assert severe["share_done"]["estimate"] == pytest.approx(2 / 3)
    assert severe["by_risks"]["estimate"] == pytest.approx(1 / 3)
    assert severe["against_all"]["estimate"] == pytest.approx(1 / 3 - (1 - 2) / 3)
