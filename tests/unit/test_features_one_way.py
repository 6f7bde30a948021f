"""Variance components of unbalanced tables against lme4, and of balanced ones by arithmetic."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.agreement import intraclass_correlations
from features.one_way import fit_one_way
from features.resampling import draw_persons

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
ROWS = pd.read_csv(REFERENCE / "one_way_input.csv")
GOLDEN = pd.read_csv(REFERENCE / "one_way_expected.csv", comment="#", index_col="table")


def fit(table, draws=None):
    n = len(table)
    return fit_one_way(table, np.arange(n), np.ones((1, n)) if draws is None else draws)


@pytest.mark.parametrize("name", GOLDEN.index)
def test_components_match_lme4(name):
    """Golden: see one_way.R, lme4::lmer(value ~ 1 + (1 | person), REML = TRUE)."""
    own = ROWS[ROWS["table"] == name]
    table = own.pivot(index="person", columns="session", values="value").to_numpy()

    found = fit(table)

    # Both searches stop at about 1e-8 of the ratio of the components.
    assert found.between[0] == pytest.approx(GOLDEN.loc[name, "between"], rel=1e-6)
    assert found.within[0] == pytest.approx(GOLDEN.loc[name, "within"], rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("between", [0.0, 1.0])
def test_balanced_table_gives_the_one_way_icc_even_below_zero(seed, between):
    rng = np.random.default_rng(seed)
    table = between * rng.normal(size=(9, 1)) + rng.normal(size=(9, 3))

    expected = intraclass_correlations(table)["ICC(1)"].estimate

    assert fit(table).icc[0] == pytest.approx(expected, abs=1e-6)


def test_negative_component_is_kept():
    rng = np.random.default_rng(4)
    swing = rng.normal(size=(12, 1)) * np.array([1.0, -1.0]) + 0.5 * rng.normal(size=(12, 2))

    assert fit(swing).between[0] < 0


def test_drawing_a_person_twice_is_having_the_row_twice():
    rng = np.random.default_rng(6)
    table = rng.normal(size=(8, 1)) + rng.normal(size=(8, 3))
    table[2, 2] = table[5, 1] = table[5, 2] = np.nan
    times = np.array([2, 0, 1, 1, 3, 1, 0, 1])

    drawn = fit(table, times[None, :].astype(float))

    assert drawn.icc[0] == pytest.approx(fit(np.repeat(table, times, axis=0)).icc[0], abs=1e-7)


def test_rows_of_one_person_are_drawn_together():
    rng = np.random.default_rng(8)
    table = rng.normal(size=(6, 1)) + rng.normal(size=(6, 2))
    person = np.array([0, 0, 1, 1, 2, 2])

    together = fit_one_way(table, person, np.array([[2.0, 0.0, 1.0]]))

    assert together.icc[0] == pytest.approx(fit(table[[0, 1, 0, 1, 4, 5]]).icc[0], abs=1e-7)


@pytest.mark.parametrize(
    "table",
    [
        np.array([[1.0], [2.0], [3.0]]),
        np.array([[1.0, np.nan], [2.0, np.nan]]),
        np.array([[1.0, 2.0]]),
        np.array([[1.0, 1.0], [2.0, 2.0]]),
        np.empty((0, 2)),
    ],
    ids=["one session", "no second value", "one person", "no error", "nobody"],
)
def test_components_are_unknown_where_nothing_can_tell_them_apart(table):
    found = fit(table)

    assert np.isnan(found.icc).all()


def test_bootstrap_interval_holds_the_true_icc_of_an_unbalanced_table():
    rng = np.random.default_rng(11)
    covered = []
    for seed in range(60):
        table = np.sqrt(0.45) * rng.normal(size=(60, 1)) + np.sqrt(0.55) * rng.normal(size=(60, 3))
        table[:20, 1:] = np.nan
        icc = fit(table, draw_persons(60, 300, seed)).icc
        lower, upper = np.quantile(icc[1:], [0.025, 0.975])
        covered.append(lower <= 0.45 <= upper)

    # 60 intervals of nominally 95 %: SE .028, three of them below is .865.
    assert np.mean(covered) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 60)
