"""Tables in a bundle: checked against XGBoost when made and when read, the same for any cut."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xgboost

from models import tabulated
from models.bundle import BUNDLE_FILES, Bundle, from_files, to_files
from models.classifiers import make_xgboost
from models.errors import BundleError
from models.recalibration import Recalibrated, Recalibration
from models.scorers import make_scorer
from models.tabulated import check_tables, sample_rows, score_plainly, tabulate
from models.tree_scoring import score_tables
from models.tree_tables import TABLE_FILES, build_tables

COLUMNS = ("pain", "age", "sleep", "sex")
MAPS = {
    "none": None,
    "platt": Recalibration(0.2, 0.7, 0.7),
    "beta": Recalibration(-0.1, 0.6, 1.2),
}
PLACE = "outputs/demo/response/bundle"


def people(n, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 4)), columns=list(COLUMNS))
    X["sex"] = rng.integers(0, 2, n) * 1.0
    score = X["pain"] + X["age"] * X["sex"]
    X = X.mask(rng.random(X.shape) < 0.15)
    return X, (score + rng.logistic(size=n) > 0).astype(int).to_numpy()


def scorer_of(depth=3, mapped="platt", tabulated=True):
    X, y = people(400)
    fitted = make_xgboost(COLUMNS, depth, 40).fit(X, y)
    found = MAPS[mapped]
    return make_scorer(
        fitted if found is None else Recalibrated(fitted, found), tabulated=tabulated
    )


def bundle_of(scorer):
    return Bundle(
        target="response",
        candidate="xgboost",
        scorer=scorer,
        features=tuple({"name": n} for n in COLUMNS),
        contract={},
        training={},
        record={},
    )


def resealed(files):
    """The files with a manifest that matches them."""
    content = {name: body for name, body in files.items() if name != "manifest.json"}
    manifest = {name: hashlib.sha256(body).hexdigest() for name, body in content.items()}
    return {**content, "manifest.json": json.dumps(manifest).encode()}


# ---- in the bundle


def test_a_bundle_of_shallow_trees_holds_its_tables_and_every_name_is_declared():
    files = to_files(bundle_of(scorer_of()))

    assert set(TABLE_FILES) <= set(files) == set(BUNDLE_FILES)
    assert set(TABLE_FILES) <= set(json.loads(files["manifest.json"]))


def test_the_same_training_gives_the_same_bytes():
    first, second = (to_files(bundle_of(scorer_of())) for _ in range(2))

    assert first == second


def test_a_bundle_read_again_explains_by_its_tables():
    bundle = bundle_of(scorer_of())
    X, _ = people(50, seed=1)

    read = from_files(to_files(bundle), PLACE)

    assert read.scorer.tables is not None
    np.testing.assert_array_equal(read.explain(X).values, bundle.explain(X).values)
    assert to_files(read) == to_files(bundle)


def test_a_bundle_made_before_there_were_tables_explains_by_xgboost():
    files = to_files(bundle_of(scorer_of()))
    older = resealed({n: b for n, b in files.items() if n not in TABLE_FILES})
    X, _ = people(50, seed=1)

    read = from_files(older, PLACE)

    assert read.scorer.tables is None
    np.testing.assert_allclose(
        read.explain(X).values, bundle_of(scorer_of()).explain(X).values, atol=1e-5
    )
    np.testing.assert_array_equal(read.predict(X), from_files(files, PLACE).predict(X))


def test_trees_deeper_than_four_have_no_tables_and_are_explained_by_xgboost():
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(3000, 4)), columns=list(COLUMNS))
    y = (X.to_numpy().prod(axis=1) > 0).astype(int)
    scorer = make_scorer(make_xgboost(COLUMNS, 6, 10).fit(X, y))

    risk, found = scorer.explained(X.head(40))

    assert scorer.tables is None
    assert not set(TABLE_FILES) & set(to_files(bundle_of(scorer)))
    np.testing.assert_array_equal(risk, scorer.probability(X.head(40)))
    total = found.baseline + found.values.sum(axis=1)
    np.testing.assert_allclose(total, scorer.log_odds(X.head(40)), atol=1e-5)


def test_tables_of_another_model_are_refused_with_the_place_and_the_difference():
    files = to_files(bundle_of(scorer_of(depth=3)))
    other = to_files(bundle_of(scorer_of(depth=2)))
    mixed = resealed(files | {n: other[n] for n in TABLE_FILES})

    with pytest.raises(BundleError) as caught:
        from_files(mixed, PLACE)

    assert str(caught.value).startswith(
        f"{PLACE}: expected tabulated contributions within 1e-05 log-odds of XGBoost's, found "
    )
    assert "\n" not in str(caught.value)


def test_no_scorer_is_made_of_tables_that_xgboost_contradicts(monkeypatch):
    def wrong(booster):
        tables = build_tables(booster)
        return replace(tables, baseline=tables.baseline + 1e-3)

    monkeypatch.setattr(tabulated, "build_tables", wrong)

    with pytest.raises(BundleError, match="found a difference of 0.001"):
        scorer_of()


@pytest.mark.parametrize("name", TABLE_FILES)
def test_a_bundle_that_lacks_one_table_is_refused(name):
    files = to_files(bundle_of(scorer_of()))

    with pytest.raises(BundleError, match="not a readable bundle"):
        from_files(resealed({n: b for n, b in files.items() if n != name}), PLACE)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("n_splits", lambda a: a + 6),
        ("n_splits", lambda a: a - 9),
        ("n_features", lambda a: a + 7),
        ("split_feature", lambda a: a + len(COLUMNS)),
        ("feature", lambda a: a - len(COLUMNS)),
        ("offset", lambda a: a + 10**9),
        ("offset", lambda a: a - 10**9),
        ("values", lambda a: a[:-1]),
        ("values", lambda a: a.astype(np.float64)),
        ("start", lambda a: np.concatenate([a, a])),
        ("feature", lambda a: a[:-1]),
        ("n_splits", lambda a: a[None, :]),
    ],
)
def test_tables_that_would_be_read_beyond_their_end_are_refused(name, change):
    scorer = scorer_of()
    broken = replace(scorer.tables, **{name: change(getattr(scorer.tables, name))})

    with pytest.raises(ValueError, match="tables, "):
        broken.check(len(COLUMNS))
    with pytest.raises(BundleError, match="not a readable bundle"):
        from_files(to_files(bundle_of(replace(scorer, tables=broken))), PLACE)


# ---- prediction and explanation together


@pytest.mark.parametrize("depth", [1, 3, 4])
@pytest.mark.parametrize("mapped", list(MAPS))
def test_risk_with_explanation_is_the_risk_without_to_the_last_bit(depth, mapped):
    bundle = bundle_of(scorer_of(depth, mapped))
    X, _ = people(500, seed=2)

    risk, found = bundle.predict_and_explain(X)

    np.testing.assert_array_equal(risk, bundle.predict(X))
    np.testing.assert_array_equal(found.values, bundle.explain(X).values)
    pipeline = np.asarray(bundle.scorer.booster.inplace_predict(X.to_numpy()), np.float64)
    if mapped == "none":
        np.testing.assert_allclose(risk, pipeline, atol=1e-7)


@pytest.mark.parametrize("tabulated", [True, False])
@pytest.mark.parametrize("mapped", list(MAPS))
@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_row_is_explained_alike_alone_and_among_others(mapped, size, tabulated):
    scorer = scorer_of(3, mapped, tabulated)
    X, _ = people(60, seed=2)
    risk, whole = scorer.explained(X)

    parts = [scorer.explained(X.iloc[i : i + size]) for i in range(0, len(X), size)]

    np.testing.assert_array_equal(np.concatenate([p[0] for p in parts]), risk)
    np.testing.assert_array_equal(np.vstack([p[1].values for p in parts]), whole.values)


def test_the_compiled_loop_and_numpy_add_the_same_bits():
    tables = scorer_of(4).tables
    X = people(5000, seed=4)[0].to_numpy()
    X[0], X[1], X[2] = np.inf, -np.inf, 1e300

    plain, compiled = score_plainly(tables, X), score_tables(tables, X)

    np.testing.assert_array_equal(plain[0], compiled[0])
    np.testing.assert_array_equal(plain[1], compiled[1])


@pytest.mark.parametrize("installed", [True, False])
def test_many_rows_are_scored_alike_with_and_without_numba(installed, monkeypatch):
    scorer = scorer_of()
    X, _ = people(300, seed=5)
    expected = scorer.explained(X)[1].values
    monkeypatch.setattr(tabulated, "COMPILED_ROWS", 100)
    if not installed:
        monkeypatch.setattr(tabulated, "find_spec", lambda name: None)

    np.testing.assert_array_equal(scorer.explained(X)[1].values, expected)


# ---- the sample that tables are checked on


def test_the_sample_lies_on_both_sides_of_nearly_every_threshold():
    tables = scorer_of().tables

    X = sample_rows(tables, len(COLUMNS)).astype(np.float32)

    assert np.isnan(X[0]).all()
    both = [
        (x < threshold).any() and (x >= threshold).any()
        for part in range(len(tables.n_splits))
        for x, threshold in (
            (X[:, tables.split_feature[part, i]], tables.split_threshold[part, i])
            for i in range(tables.n_splits[part])
        )
    ]
    # Drawn at random: a rare threshold may have no row below it.
    assert np.mean(both) > 0.95


def test_the_check_returns_the_largest_difference():
    scorer = scorer_of()

    assert 0 <= check_tables(scorer.tables, scorer.booster, len(COLUMNS)) < 1e-5


def test_a_model_that_cannot_be_tabulated_has_no_tables():
    X, y = people(200)
    booster = xgboost.train({"objective": "reg:squarederror"}, xgboost.DMatrix(X, y), 2)

    assert tabulate(booster, len(COLUMNS)) is None
