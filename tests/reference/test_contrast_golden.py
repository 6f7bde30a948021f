"""Differences between exercises against R (within_person.R) and against econml."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.arm_difference import Arms, cross_fit, doubly_robust
from models.within_person import Bouts, within_person_difference

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bouts() -> Bouts:
    table = pd.read_csv(HERE / "within_person_input.csv")
    y, exercise, period = (table[c].to_numpy(np.float64) for c in ("y", "exercise", "period"))
    person = table["person"].to_numpy(np.int64)
    return Bouts(y, exercise, person, person, period)


@pytest.mark.parametrize("what", ["paired_t", "fixed_effects"])
def test_difference_within_persons_equals_r(bouts: Bouts, what: str) -> None:
    """Balanced bouts: the paired t test; with periods: fixed effects, sandwich by person."""
    expected = pd.read_csv(HERE / "within_person_expected.csv").set_index("what").loc[what]

    found = within_person_difference(bouts, adjust_period=what == "fixed_effects")

    for name in ("estimate", "lower", "upper"):
        assert getattr(found, name) == pytest.approx(expected[name], abs=1e-10)


def test_difference_within_persons_is_that_of_a_mixed_model_where_bouts_are_balanced(
    bouts: Bouts,
) -> None:
    expected = pd.read_csv(HERE / "within_person_expected.csv").set_index("what")

    found = within_person_difference(bouts, adjust_period=True)

    assert found.estimate == pytest.approx(expected.loc["mixed_model", "estimate"], abs=1e-6)


def test_doubly_robust_difference_equals_econml() -> None:
    """The same folds, the same ridge per arm, the share of arm 1 as propensity."""
    table = pd.read_csv(HERE / "double_robust_input.csv")
    expected = pd.read_csv(HERE / "double_robust_expected.csv").iloc[0]
    columns = (table["y"].to_numpy(np.float64), table["arm"].to_numpy(np.float64))
    arms = Arms(*columns, table[["x1", "x2", "x3"]].to_numpy(np.float64))
    folds = [np.flatnonzero(table["fold"] == k) for k in range(4)]

    found = doubly_robust(arms, cross_fit(arms, folds))

    assert found.estimate == pytest.approx(expected["difference"], abs=1e-8)
    error = (found.upper - found.estimate) / 1.959963984540054
    assert error == pytest.approx(expected["standard_error"], rel=1e-6)
