"""Ranks over refits and recurring reasons, by hand; interactions against XGBoost's own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from models.classifiers import FeatureRoles, LadderSettings, make_ladder
from models.explain import family_table, importance_table
from models.explain_refits import (
    Refits,
    explain_refits,
    family_sizes,
    feature_sizes,
    reason_stability,
    stability_summary,
    with_intervals,
)
from models.learning import Learning
from models.procedure import Procedure
from models.scorers import Contributions
from models.tree_interactions import pair_contributions
from models.tree_tables import build_tables
from models.validation import Execution

BASE = {"objective": "binary:logistic", "nthread": 1, "tree_method": "hist"}


# ---- refits of the whole procedure


def people(n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["pain", "age", "noise"])
    y = (X["pain"] * 2 + rng.logistic(size=n) > 0).to_numpy().astype(float)
    return Learning(X, y), np.arange(n) // 2


def procedure(name):
    roles = FeatureRoles(("age",), ("pain",), ("pain", "age", "noise"))
    ladder = make_ladder(roles, LadderSettings((8.0,), (0.1, 1.0), (1, 2), (10,)))
    return Procedure(tuple(c for c in ladder if c.name == name), inner_folds=3, seed=5)


@pytest.mark.parametrize("name", ["logistic", "xgboost"])
def test_a_strong_predictor_keeps_its_rank_and_noise_does_not_reach_it(name):
    learning, person = people()

    found = explain_refits(procedure(name), (learning, person), learning.X, 8, Execution())

    assert found.values.shape == (8, 120, 3)
    sizes = feature_sizes(found)  # age, noise, pain
    assert (sizes.argmax(axis=1) == 2).all()
    assert found.failures == {}


def test_refits_are_a_function_of_the_seed_and_not_of_the_processes():
    learning, person = people()
    data = (learning, person)

    one, two = (
        explain_refits(procedure("logistic"), data, learning.X.head(7), 4, Execution(jobs))
        for jobs in (1, 2)
    )

    np.testing.assert_array_equal(one.values, two.values)
    assert len(np.unique(one.values[:, 0, 0])) == 4


# ---- importance with ranks


def refits_of(*per_refit):
    return Refits(("b", "a"), np.array(per_refit, dtype=float), {})


def test_ranks_and_their_interval_by_hand():
    # Mean absolute contributions: refit 1 a 2, b 1; refit 2 a 1, b 3; the model itself a 2, b 1.
    refits = refits_of([[1, 2], [-1, -2]], [[3, 1], [3, -1]])
    original = Contributions(("b", "a"), np.array([[1.0, 2.0], [-1.0, 2.0]]), 0.0)

    table = with_intervals(importance_table(original, {}), "feature", feature_sizes(refits))

    assert table["feature"].tolist() == ["a", "b"]
    assert table["rank"].tolist() == [1, 2]
    assert table["rank_lower"].tolist() == [1, 1]
    assert table["rank_upper"].tolist() == [2, 2]
    # 5 and 95 % between the two values.
    np.testing.assert_allclose(table["lower"], [1 + 0.05 * (2 - 1), 1 + 0.05 * (3 - 1)])
    np.testing.assert_allclose(table["upper"], [1 + 0.95 * (2 - 1), 1 + 0.95 * (3 - 1)])


def test_a_familys_members_are_added_up_in_every_refit():
    refits = refits_of([[1, -1], [1, 1]])
    original = Contributions(("b", "a"), np.array([[1.0, 1.0]]), 0.0)
    families = {"a": "mood", "b": "mood"}

    sizes = family_sizes(refits, families)
    table = with_intervals(family_table(original, families), "family", sizes)

    assert sizes.tolist() == [[(0 + 2) / 2]]
    assert table["rank_upper"].tolist() == [1]


# ---- reasons


def test_recurring_reasons_by_hand():
    names = ("a", "b", "c")
    original = Contributions(names, np.array([[3.0, -2.0, 1.0], [0.0, 0.0, 0.0]]), 0.0)
    again = [
        [[3.0, -2.0, 1.0], [1.0, 0.0, 0.0]],  # as it was
        [[1.0, 2.0, 3.0], [1.0, 0.0, 0.0]],  # c, b; b the other way
        [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]],  # nothing
    ]

    found = reason_stability(original, Refits(names, np.array(again), {}), top=2)

    assert found["first_reason"].tolist() == ["a", ""]
    np.testing.assert_allclose(found["first_stays"], [1 / 3, np.nan])
    np.testing.assert_allclose(found["recurring"], [(2 + 1 + 0) / (3 * 2), np.nan])
    np.testing.assert_allclose(found["same_direction"], [(2 + 1 + 0) / (3 * 2), np.nan])


def test_columns_of_refits_are_matched_by_name():
    original = Contributions(("a", "b"), np.array([[5.0, 1.0]]), 0.0)
    swapped = refits_of([[1.0, 5.0]], [[1.0, 5.0]])

    found = reason_stability(original, swapped, top=1)

    assert found["first_stays"].tolist() == [1.0]


def test_the_summary_says_what_a_typical_person_sees():
    table = pd.DataFrame(
        {
            "first_reason": ["a", "b", ""],
            "first_stays": [0.4, 0.6, np.nan],
            "recurring": [0.5, 0.7, np.nan],
            "same_direction": [1.0, 0.9, np.nan],
        }
    )

    found = stability_summary(table, 3)

    assert found["first_stays"] == 0.5
    assert (
        "stays first in 50% of the refits, and 60% of the first 3 reasons recur"
        in (found["sentence"])
    )
    assert stability_summary(table.tail(1), 3)["sentence"].startswith("No row has a reason")


# ---- interactions


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    depth=st.integers(1, 4),
    levels=st.sampled_from([1, 3, 100]),
    missing=st.sampled_from([0.0, 0.3]),
)
def test_pair_contributions_are_those_of_xgboost(seed, depth, levels, missing):
    rng = np.random.default_rng(seed)
    X = np.round(rng.normal(size=(200, 5)) * levels) / levels
    y = (X[:, 0] * X[:, 1] + X[:, 2] + rng.normal(size=200) > 0).astype(int)
    X[rng.random(X.shape) < missing] = np.nan
    booster = xgboost.train(BASE | {"max_depth": depth}, xgboost.DMatrix(X, y), 8)

    found = pair_contributions(booster, build_tables(booster), X)

    theirs = booster.predict(xgboost.DMatrix(X), pred_interactions=True)[:, :-1, :-1]
    ours = np.zeros_like(theirs)
    for (i, j), values in found.items():
        ours[:, i, j] = values
    expected = np.triu(theirs + theirs.transpose(0, 2, 1), k=1)
    # XGBoost takes differences of float32 contributions.
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_trees_of_one_split_have_no_interactions():
    X = np.arange(40.0)[:, None] % 7
    booster = xgboost.train(
        BASE | {"max_depth": 1}, xgboost.DMatrix(X, (X[:, 0] > 3).astype(int)), 4
    )

    assert pair_contributions(booster, build_tables(booster), X) == {}
