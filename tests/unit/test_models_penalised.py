"""Preparation, splines, penalised solvers and recalibration, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, ndtr
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.calibration import logit
from models.penalised import RidgeLogistic, RidgeMargin, logistic_path, margin_path
from models.recalibration import IDENTITY, Recalibration, fit_recalibration
from models.splines import place_knots, spline_terms
from models.standardised import Standardised


def table(seed=0, n=80):
    """Columns with and without missing values, a constant one, and one nobody has."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(5, 3, size=(n, 4)), columns=["a", "b", "c", "d"])
    X.loc[rng.random(n) < 0.3, "b"] = np.nan
    X.loc[rng.random(n) < 0.1, "d"] = np.nan
    return X.assign(constant=0.1, never=np.nan)


def problem(seed=0, n=90, p=12):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, p))
    y = (rng.random(n) < expit(Z[:, 0] - 0.5)).astype(float)
    return Z, y, rng.uniform(0.1, 3, n)


def test_standardised_values_are_those_of_imputer_and_scaler():
    X, other = table(), table(seed=1)
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    theirs = make_pipeline(impute, StandardScaler()).fit(X)
    ours = Standardised(tuple(X.columns)).fit(X)

    for rows in (X, other):
        np.testing.assert_allclose(ours.transform(rows), theirs.transform(rows), atol=1e-12)
    np.testing.assert_array_equal(ours.fit_transform(X), ours.transform(X))


def test_spline_is_linear_outside_and_smooth_at_its_knots():
    knots = (1.0, 2.0, 4.0, 7.0)
    outside = np.array([-3.0, -1.0, 1.0, 7.0, 8.0, 9.0, 20.0])

    below = spline_terms(outside[:3], knots)
    above = spline_terms(outside[3:6], knots)

    np.testing.assert_array_equal(below, np.zeros((3, 2)))
    np.testing.assert_allclose(above[2] - above[1], above[1] - above[0], rtol=1e-12)
    step = 1e-4
    for knot in knots:
        near = spline_terms(knot + step * np.array([-1.0, 0.0, 1.0]), knots)
        # Second derivatives are finite and change continuously: the third difference vanishes.
        assert np.abs(near[2] - 2 * near[1] + near[0]).max() < 1e-6


def test_spline_term_is_harrells_formula():
    # knots 0, 1, 3 at x = 2: [2³ - (2-1)³ (3-0)/(3-1) + 0] / (3-0)²
    assert spline_terms(np.array([2.0]), (0.0, 1.0, 3.0))[0, 0] == pytest.approx(
        (2**3 - 1**3 * 3 / 2) / 3**2
    )


def test_few_levels_place_no_knots():
    assert place_knots(np.array([0.0, 1.0] * 20), 3) == ()
    assert place_knots(np.full(9, np.nan), 4) == ()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(90, 12), (40, 60)], ids=["more_rows", "more_terms"])
def test_logistic_path_is_scikit_learns_optimum_at_every_penalty(weighted, shape):
    Z, y, weights = problem(n=shape[0], p=shape[1])
    w = weights if weighted else None
    penalties = [0.3, 0.003, 30.0]

    slopes, intercepts = logistic_path(Z, y, w, penalties)

    for i, c in enumerate(penalties):
        theirs = LogisticRegression(C=c, tol=1e-12, max_iter=10000, solver="newton-cholesky")
        theirs.fit(Z, y, sample_weight=w)
        np.testing.assert_allclose(
            expit(Z @ slopes[i] + intercepts[i]), theirs.predict_proba(Z)[:, 1], atol=1e-6
        )


def test_a_single_penalty_gives_what_the_path_gives():
    Z, y, w = problem()
    slopes, intercepts = logistic_path(Z, y, w, [0.01, 0.1, 1.0])

    alone = RidgeLogistic(0.1).fit(Z, y, sample_weight=w)

    np.testing.assert_allclose(alone.coef_[0], slopes[1], atol=1e-10)
    assert alone.intercept_[0] == pytest.approx(intercepts[1], abs=1e-10)


def test_logistic_path_survives_separated_classes():
    Z = np.linspace(-1, 1, 20)[:, None]

    slopes, _ = logistic_path(Z, (Z[:, 0] > 0).astype(float), None, [1.0, 1e6])

    assert np.isfinite(slopes).all()
    assert slopes[1, 0] > slopes[0, 0] > 0


def test_margin_path_is_ridge_with_leave_one_out_spread():
    Z, _, w = problem(n=40, p=6)
    margin = Z[:, 0] + np.random.default_rng(5).normal(size=40)

    slopes, intercepts, spreads = margin_path(Z, margin, w, [4.0])

    theirs = Ridge(alpha=4.0).fit(Z, margin, sample_weight=w)
    np.testing.assert_allclose(slopes[0], theirs.coef_, atol=1e-9)
    assert intercepts[0] == pytest.approx(theirs.intercept_, abs=1e-9)
    plain, _, spread = margin_path(Z, margin, None, [4.0])
    left_out = []
    for i in range(40):
        others = np.delete(np.arange(40), i)
        # The penalty is on standardised columns of all rows: centring moves by one row only.
        fitted = Ridge(alpha=4.0).fit(Z[others], margin[others])
        left_out.append(margin[i] - fitted.predict(Z[[i]])[0])
    assert spread[0] == pytest.approx(np.sqrt(np.mean(np.square(left_out))), rel=1e-9)
    assert spreads[0] > 0
    assert plain.shape == (1, 6)


def test_regression_recovers_the_probability_of_a_normal_margin():
    rng = np.random.default_rng(3)
    Z = rng.normal(size=(4000, 2))
    margin = 0.5 * Z[:, 0] - 0.3 + rng.normal(0, 2, 4000)

    risk = RidgeMargin(1e-6).fit(Z, margin).predict_proba(Z)[:, 1]

    # Standard error of the predictor: 2 * sqrt(3 / 4000) = .055, of the risk at most
    # .055 / 2 * .4 = .011 on average; the largest of 4000 rows lies within five of them.
    np.testing.assert_allclose(risk, ndtr((0.5 * Z[:, 0] - 0.3) / 2), atol=5 * 0.011)


def test_recalibration_learns_the_map_it_was_given():
    rng = np.random.default_rng(4)
    x = rng.normal(0, 2, 20000)
    y = (rng.random(20000) < expit(0.4 + 0.5 * x)).astype(float)

    platt = fit_recalibration(y, expit(x), None, "platt")
    beta = fit_recalibration(y, expit(x), None, "beta")

    # Standard errors at n = 20,000: .016 for the intercept, .010 for the slope.
    assert platt.intercept == pytest.approx(0.4, abs=4 * 0.016)
    assert platt.up == platt.down == pytest.approx(0.5, abs=4 * 0.010)
    grid = np.linspace(-4, 4, 9)
    np.testing.assert_allclose(expit(beta.log_odds(grid)), expit(0.4 + 0.5 * grid), atol=0.03)


@pytest.mark.parametrize("method", ["platt", "beta"])
def test_a_map_that_would_turn_the_order_round_gives_everybody_the_event_rate(method):
    x = np.linspace(-2, 2, 40)
    y = np.where(np.arange(40) % 5 == 0, x > 0, x < 0).astype(float)

    found = fit_recalibration(y, expit(x), None, method)

    np.testing.assert_allclose(expit(found.log_odds(x)), y.mean(), atol=1e-12)


@pytest.mark.parametrize("method", ["platt", "beta"])
def test_a_recalibration_without_a_finite_maximum_changes_nothing(method):
    x = np.linspace(-1, 1, 20)

    assert fit_recalibration((x > 0).astype(float), expit(x), None, "platt") == IDENTITY
    assert fit_recalibration(np.ones(20), expit(x), None, method) == IDENTITY


def test_equal_risks_are_moved_to_the_event_rate():
    y = np.array([1.0, 0.0, 0.0, 0.0])

    found = fit_recalibration(y, np.full(4, 0.9), None, "platt")

    assert expit(found.log_odds(logit(np.full(4, 0.9)))).tolist() == pytest.approx([0.25] * 4)


def test_the_identity_map_is_exact():
    x = np.array([-30.0, -1.0, 0.0, 2.0, 30.0])

    np.testing.assert_array_equal(Recalibration(0.0, 1.0, 1.0).log_odds(x), x)
