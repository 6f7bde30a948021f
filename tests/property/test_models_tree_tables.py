"""Tabulated contributions are XGBoost's own, whatever the trees look like."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.scorers import BoostedScorer
from models.tabulated import tabulate
from models.tree_scoring import score_tables
from models.tree_tables import NotTabulated, TreeTables, build_tables

# XGBoost sums a contribution over the trees in float32.
FLOAT32 = 1e-5
BASE = {"objective": "binary:logistic", "nthread": 1, "tree_method": "hist"}


def rows(rng, n, n_columns, missing, levels):
    """Columns with missing values; few levels make the same feature split a path twice."""
    X = rng.normal(size=(n, n_columns))
    if levels:
        X = np.round(X * levels) / levels
    X[rng.random(X.shape) < missing] = np.nan
    return X


def trained(X, y, rounds, **changes):
    return xgboost.train(BASE | changes, xgboost.DMatrix(X, y), rounds)


def assert_equal_to_xgboost(booster, X):
    tables = tabulate(booster, X.shape[1])
    log_odds, contributions = score_tables(tables, X)
    theirs = booster.predict(xgboost.DMatrix(X), pred_contribs=True)
    margin = booster.predict(xgboost.DMatrix(X), output_margin=True)

    np.testing.assert_allclose(contributions.T, theirs[:, :-1], atol=FLOAT32)
    np.testing.assert_allclose(tables.baseline[0], theirs[0, -1], atol=FLOAT32)
    np.testing.assert_array_equal(log_odds, margin)
    total = tables.baseline[0] + contributions.sum(axis=0, dtype=np.float64)
    np.testing.assert_allclose(total, margin, atol=FLOAT32 * max(1.0, np.abs(margin).max()))


@settings(max_examples=60, deadline=None)
@example(64098, 1, 11, 0.0, 0, 0.0, 1)  # the logarithms of C and numpy differ in the last bit
@given(
    seed=st.integers(0, 10**6),
    depth=st.integers(1, 4),
    n_columns=st.integers(1, 12),
    missing=st.sampled_from([0.0, 0.1, 0.6]),
    levels=st.sampled_from([0, 1, 3]),
    gamma=st.sampled_from([0.0, 2.0]),
    rounds=st.integers(1, 12),
)
def test_contributions_are_those_of_xgboost(seed, depth, n_columns, missing, levels, gamma, rounds):
    rng = np.random.default_rng(seed)
    X = rows(rng, 300, n_columns, missing, levels)
    y = (np.nan_to_num(X[:, 0]) + rng.normal(size=300) > rng.normal()).astype(int)
    booster = trained(X, y, rounds, max_depth=depth, gamma=gamma, min_child_weight=0.1)

    unseen = rows(rng, 200, n_columns, missing, levels)
    unseen[:3] = [[np.nan], [np.inf], [-1e30]]

    assert_equal_to_xgboost(booster, np.vstack([X, np.nan_to_num(unseen, nan=np.nan, posinf=1e30)]))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    depth=st.integers(1, 6),
    missing=st.sampled_from([0.0, 0.3]),
    codes=st.booleans(),
    gamma=st.sampled_from([0.0, 1.0, 1e6]),
    base_score=st.sampled_from([None, 0.05, 0.7]),
)
def test_a_scorer_of_any_depth_explains_as_xgboost_does(
    seed, depth, missing, codes, gamma, base_score
):
    # Codes of categories (condition, region) are a few whole numbers, often asked about twice.
    rng = np.random.default_rng(seed)
    X = rows(rng, 400, 5, missing, 0)
    X[:, :2] = rng.integers(0, 6, (400, 2)) if codes else X[:, :2]
    y = (np.nan_to_num(X[:, 0] * X[:, 1]) + rng.normal(size=400) > rng.normal()).astype(int)
    changes = {} if base_score is None else {"base_score": base_score}
    booster = trained(X, y, 5, max_depth=depth, gamma=gamma, min_child_weight=0.1, **changes)
    names = tuple("abcde")
    ubj = bytes(booster.save_raw("ubj"))
    scorer = BoostedScorer(names, ubj, tables=tabulate(booster, 5))
    frame = pd.DataFrame(X, columns=list(names))

    risk, found = scorer.explained(frame)

    theirs = booster.predict(xgboost.DMatrix(X), pred_contribs=True)
    margin = booster.predict(xgboost.DMatrix(X), output_margin=True)
    np.testing.assert_allclose(found.values, theirs[:, :-1], atol=FLOAT32)
    np.testing.assert_allclose(found.baseline, theirs[0, -1], atol=FLOAT32)
    np.testing.assert_array_equal(risk, scorer.probability(frame))
    total = found.baseline + found.values.sum(axis=1)
    np.testing.assert_allclose(total, margin, atol=FLOAT32 * max(1.0, np.abs(margin).max()))


@pytest.mark.parametrize("label", [0, 1])
def test_a_model_of_one_class_is_left_to_xgboost(label):
    X = np.arange(40.0)[:, None]

    with pytest.raises(NotTabulated, match="base score is certain"):
        build_tables(trained(X, np.full(40, label), 2, max_depth=1))


def test_a_model_of_several_outputs_is_left_to_xgboost():
    # Its base scores are a list, one an output.
    rng = np.random.default_rng(6)
    X = rng.normal(size=(200, 3))
    y = (X[:, :2] > 0).astype(int)

    with pytest.raises(NotTabulated, match="several outputs"):
        build_tables(trained(X, y, 3, max_depth=2))


def test_a_feature_asked_twice_along_a_path_is_one_player():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(400, 1))
    y = ((X[:, 0] > 0.3) & (X[:, 0] < 0.6)).astype(int)

    assert_equal_to_xgboost(trained(X, y, 20, max_depth=4, eta=0.5), X)


def test_trees_of_one_leaf_move_the_baseline_and_nothing_else():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 3)), rng.integers(0, 2, 100)

    booster = trained(X, y, 3, max_depth=3, gamma=1e6)

    assert build_tables(booster).n_splits.tolist() == [0, 0, 0]
    assert_equal_to_xgboost(booster, X)


@pytest.mark.parametrize("base_score", [0.02, 0.5, 0.9])
def test_the_base_score_is_read_in_the_form_it_is_stored_in(base_score):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 4))

    assert_equal_to_xgboost(
        trained(X, (X[:, 0] > 0).astype(int), 5, max_depth=2, base_score=base_score), X
    )


def test_a_value_on_a_threshold_goes_right_as_in_xgboost():
    X = np.array([[0.0], [0.0], [1.0], [1.0], [np.nan]])
    booster = trained(X, np.array([0, 0, 1, 1, 0]), 4, max_depth=1, min_child_weight=0)
    threshold = float(build_tables(booster).split_threshold[0, 0])

    steps = np.float32([threshold, np.nextafter(np.float32(threshold), np.float32(-1))])

    assert_equal_to_xgboost(booster, np.vstack([steps[:, None], X]))


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_the_result_does_not_depend_on_threads_or_on_how_rows_are_cut(n_threads):
    rng = np.random.default_rng(2)
    X = rows(rng, 20_000, 6, 0.2, 0)
    booster = trained(X, (np.nan_to_num(X[:, 1]) > 0).astype(int), 20, max_depth=3)
    tables = build_tables(booster)

    log_odds, contributions = score_tables(tables, X, n_threads)
    parts = [score_tables(tables, X[i : i + 777]) for i in range(0, len(X), 777)]

    np.testing.assert_array_equal(log_odds, np.concatenate([p[0] for p in parts]))
    np.testing.assert_array_equal(contributions, np.hstack([p[1] for p in parts]))


def test_no_rows_have_no_contributions():
    X = np.array([[0.0], [1.0]])
    tables = build_tables(trained(X, np.array([0, 1]), 2, max_depth=1, min_child_weight=0))

    log_odds, contributions = score_tables(tables, X[:0])

    assert log_odds.shape == (0,)
    assert contributions.shape == (1, 0)


def test_tables_go_through_files_without_a_change():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200, 3))
    tables = build_tables(trained(X, (X[:, 0] > 0).astype(int), 5, max_depth=4))

    again = TreeTables.from_files(tables.to_files())

    assert again.to_files() == tables.to_files()
    assert np.array_equal(score_tables(again, X)[1], score_tables(tables, X)[1])


def test_a_file_that_would_have_to_be_unpickled_is_refused():
    files = build_tables(
        trained(np.array([[0.0], [1.0]]), np.array([0, 1]), 1, max_depth=1)
    ).to_files()
    objects = io.BytesIO()
    np.save(objects, np.array([{}]), allow_pickle=True)

    for content, said in ((b"\x80\x04\x95" * 9, "magic"), (objects.getvalue(), "plain array")):
        with pytest.raises(ValueError, match=said):
            TreeTables.from_files(files | {"tables_values.npy": content})


@pytest.mark.filterwarnings("ignore:.*booster=dart:UserWarning")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"max_depth": 6}, "trees deeper than four"),
        (
            {"max_depth": 2, "booster": "dart", "one_drop": 1},
            "a 'dart' model|a model that weights its trees",
        ),
        ({"max_depth": 2, "objective": "reg:squarederror"}, "objective 'reg:squarederror'"),
    ],
)
def test_what_cannot_be_tabulated_says_why(changes, reason):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(600, 5))
    y = (X.prod(axis=1) + X[:, 0] > 0).astype(int)

    with pytest.raises(NotTabulated, match=reason):
        build_tables(trained(X, y, 3, min_child_weight=0.1, **changes))


def test_categorical_splits_are_left_to_xgboost():
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 6, (300, 1)).astype(float)
    data = xgboost.DMatrix(
        codes,
        np.isin(codes[:, 0], [1, 4]).astype(int),
        feature_types=["c"],
        enable_categorical=True,
    )
    booster = xgboost.train(BASE | {"max_depth": 2}, data, 3)

    with pytest.raises(NotTabulated, match="categorical"):
        build_tables(booster)
