"""Elastic net on the change: against scikit-learn, against leaving rows out, and in the ladder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import ElasticNet

from models.classifiers import FeatureRoles, LadderSettings, Learning, make_ladder, make_regression
from models.elastic_net import ElasticNetMargin, elastic_margin_path
from models.penalised import RidgeMargin, margin_path
from models.scorers import make_scorer
from models.splits import make_split_plan
from models.validation import cross_validate, predict_risk, setting_risks, without_path
from pipeline.config import Params

ALPHAS = (40.0, 4.0)


def problem(n=60, p=9, seed=0):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, p))
    margin = Z[:, 0] - 0.6 * Z[:, 1] + rng.normal(size=n) - 0.4
    return Z, margin, rng.uniform(0.2, 3, n)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.2, 0.7, 1.0])
def test_elastic_net_is_scikit_learns_optimum_at_every_penalty(l1_ratio, weighted):
    Z, margin, weights = problem()
    w = weights if weighted else None

    slopes, intercepts, _ = elastic_margin_path(Z, margin, w, ALPHAS, l1_ratio)

    for i, alpha in enumerate(ALPHAS):
        # Ours is against the weighted sum of squares, scikit-learn's against its mean.
        total = len(Z) if w is None else w.sum()
        theirs = ElasticNet(alpha=alpha / total, l1_ratio=l1_ratio, tol=1e-12, max_iter=10**6)
        theirs.fit(Z, margin, sample_weight=w)
        np.testing.assert_allclose(slopes[i], theirs.coef_, atol=1e-5)
        assert intercepts[i] == pytest.approx(theirs.intercept_, abs=1e-5)


def test_a_vanishing_l1_share_leaves_the_ridge_and_its_spread():
    Z, margin, w = problem()

    nearly = elastic_margin_path(Z, margin, w, ALPHAS, 1e-9)

    for ours, ridge in zip(nearly, margin_path(Z, margin, w, ALPHAS), strict=True):
        np.testing.assert_allclose(ours, ridge, atol=1e-5)


def test_a_larger_l1_share_keeps_fewer_terms_and_a_strong_penalty_none():
    Z, margin, _ = problem(p=30)

    kept = [
        (elastic_margin_path(Z, margin, None, [20.0], ratio)[0] != 0).sum()
        for ratio in (0.05, 0.5, 1.0)
    ]
    slopes, intercepts, spreads = elastic_margin_path(Z, margin, None, [1e6], 1.0)

    assert kept[0] > kept[1] > kept[2] >= 1
    np.testing.assert_array_equal(slopes, np.zeros((1, 30)))
    assert intercepts[0] == pytest.approx(margin.mean())
    # Left out of a mean of n, a value lies n / (n - 1) times its residual away.
    assert spreads[0] == pytest.approx(margin.std() * 60 / 59)


def test_the_spread_is_that_of_rows_left_out():
    Z, margin, _ = problem(n=80, p=6)
    left_out = []
    for i in range(80):
        others = np.delete(np.arange(80), i)
        slopes, intercepts, _ = elastic_margin_path(Z[others], margin[others], None, [6.0], 0.5)
        left_out.append(margin[i] - intercepts[0] - Z[i] @ slopes[0])

    spread = elastic_margin_path(Z, margin, None, [6.0], 0.5)[2][0]

    naive = margin - elastic_margin_path(Z, margin, None, [6.0], 0.5)[1][0]
    naive = naive - Z @ elastic_margin_path(Z, margin, None, [6.0], 0.5)[0][0]
    honest, seen = (np.sqrt(np.mean(np.square(v))) for v in (left_out, naive))
    # Exact where the same terms stay; a term that comes or goes with a row costs little.
    assert spread == pytest.approx(honest, rel=2e-3)
    assert honest > seen * 1.03


def test_a_margin_without_spread_is_no_error():
    slopes, intercepts, _ = elastic_margin_path(problem()[0], np.full(60, 0.3), None, [1.0], 0.5)

    np.testing.assert_array_equal(slopes, np.zeros((1, 9)))
    assert intercepts[0] == pytest.approx(0.3)


def test_a_scorer_says_what_the_fitted_elastic_net_says():
    Z, margin, _ = problem()
    X = pd.DataFrame(Z, columns=list("abcdefghi")).mask(
        np.random.default_rng(1).random(Z.shape) < 0.1
    )
    fitted = make_regression(tuple(X.columns), 10.0, l1_ratio=0.5).fit(X, margin)

    risk = make_scorer(fitted).probability(X)

    assert isinstance(fitted.named_steps["model"], ElasticNetMargin)
    np.testing.assert_allclose(risk, predict_risk(fitted, X), atol=1e-12)
    assert make_scorer(fitted).contributions(X).values.shape == X.shape


@pytest.fixture
def rung():
    settings = LadderSettings(
        (8.0,), (0.1,), (1,), (5,), regression_alpha=(1.0, 30.0), regression_l1_ratio=(0.0, 0.9)
    )
    columns = tuple(f"x{i}" for i in range(30))
    ladder = make_ladder(FeatureRoles(("x0",), ("x0",), columns), settings)
    return next(c for c in ladder if c.name == "regression")


def test_the_rung_tries_every_penalty_with_every_l1_share_strongest_first(rung):
    tried = [(s["alpha"], s.get("l1_ratio", 0.0)) for s in rung.grid]

    assert tried == [(30.0, 0.0), (30.0, 0.9), (1.0, 0.0), (1.0, 0.9)]
    models = [rung.make(**s).named_steps["model"] for s in rung.grid]
    assert [type(m) for m in models] == [RidgeMargin, ElasticNetMargin] * 2


def test_the_l1_share_is_chosen_inside_the_folds(rung):
    Z, margin, _ = problem(n=120, p=30)
    X = pd.DataFrame(Z, columns=[f"x{i}" for i in range(30)])
    y = (margin > 0).astype(float)
    plan = make_split_plan(y, np.arange(120), repeats=1, folds=4, inner_folds=3, seed=2)

    found = cross_validate(X, y, plan, [rung], margin=margin)
    plain = cross_validate(X, y, plan, [without_path(rung)], margin=margin)

    # Two of thirty columns matter: setting coefficients to zero predicts better.
    chosen = [rung.grid[c["setting"]].get("l1_ratio", 0.0) for c in found.chosen]
    assert chosen.count(0.9) >= 3
    assert [c["setting"] for c in found.chosen] == [c["setting"] for c in plain.chosen]
    pd.testing.assert_frame_equal(
        found.predictions, plain.predictions, check_exact=False, atol=1e-9
    )
    every = setting_risks(rung, Learning(X, y, None, margin).at(np.arange(90)), X.iloc[90:])
    assert len(np.unique(every.round(6), axis=0)) == 4


@pytest.mark.parametrize("ratios", [(), (-0.1,), (0.5, 1.5)])
def test_an_l1_share_that_is_none_is_refused(ratios):
    with pytest.raises(ValueError, match="regression_l1_ratio: expected a list of numbers from 0"):
        replace(Params().train, regression_l1_ratio=ratios)
