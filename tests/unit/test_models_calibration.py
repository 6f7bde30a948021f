"""Recalibration agrees with R, with scikit-learn and with arithmetic, or says NaN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from models.calibration import calibration_in_the_large, logit, recalibrate
from models.estimate import BOOTSTRAP, Reason, with_interval
from models.judged import Judged
from models.metrics import resample_metrics

REFERENCE = Path(__file__).resolve().parent.parent / "reference"
GOLDEN = pd.read_csv(REFERENCE / "calibration_glm_expected.csv", comment="#", index_col="case")
SEEDS = range(3)


def once(y):
    return np.ones((1, len(y)))


def risk_of(log_odds):
    return 1 / (1 + np.exp(-log_odds))


def overconfident(seed, n=400):
    """Log-odds twice too wide and .5 too high, with outcomes drawn from the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-0.3, 1, n)
    return (rng.random(n) < risk_of(truth)).astype(float), 2 * truth + 0.5


def table(counts):
    """Rows of a 2 x k table: ``counts`` maps log-odds to (events, others)."""
    rows = [(x, e) for x, (n1, n0) in counts.items() for e in [1.0] * n1 + [0.0] * n0]
    log_odds, y = np.array(rows).T
    return y, log_odds


# ---- golden values of R


@pytest.mark.parametrize("case", GOLDEN.index)
def test_recalibration_matches_glm_of_r(case):
    """Golden: see calibration_glm.R, glm(y ~ log_odds, binomial, weights = weight)."""
    rows = pd.read_csv(REFERENCE / "calibration_glm_input.csv").query("case == @case")
    y, log_odds = rows["y"].to_numpy(float), rows["log_odds"].to_numpy()

    intercept, slope = recalibrate(y, log_odds, rows["weight"].to_numpy(float)[None])

    assert intercept[0] == pytest.approx(GOLDEN.loc[case, "intercept"], rel=1e-6, abs=1e-6)
    assert slope[0] == pytest.approx(GOLDEN.loc[case, "slope"], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("case", GOLDEN.index)
def test_calibration_in_the_large_matches_glm_of_r(case):
    """Golden: see calibration_glm.R, glm(y ~ offset(log_odds), binomial, weights = weight)."""
    rows = pd.read_csv(REFERENCE / "calibration_glm_input.csv").query("case == @case")
    y, log_odds = rows["y"].to_numpy(float), rows["log_odds"].to_numpy()

    large = calibration_in_the_large(y, log_odds, rows["weight"].to_numpy(float)[None])

    assert large[0] == pytest.approx(GOLDEN.loc[case, "in_the_large"], abs=1e-6)


# ---- arithmetic


def test_logit_is_the_log_of_the_odds():
    np.testing.assert_allclose(
        logit(np.array([0.0, 0.25, 0.5, 0.8, 1.0])),
        [-np.inf, np.log(1 / 3), 0, np.log(4), np.inf],
        rtol=1e-15,
    )


def test_recalibration_on_two_values_is_the_log_odds_of_each():
    # Two parameters fit two groups exactly: intercept at 0, slope to the group at 1.
    y, log_odds = table({0.0: (10, 30), 1.0: (40, 20)})

    intercept, slope = recalibrate(y, log_odds, once(y))

    assert intercept[0] == pytest.approx(np.log(10 / 30), abs=1e-9)
    assert slope[0] == pytest.approx(np.log(40 / 20) - np.log(10 / 30), abs=1e-9)


@pytest.mark.parametrize("log_odds", [-30.0, -2.5, -1.0, 0.0, 1.0, 2.5, 6.0, 30.0])
@pytest.mark.parametrize("events", [5, 50, 95])
def test_in_the_large_of_one_risk_is_the_distance_of_the_log_odds(log_odds, events):
    y, constant = table({log_odds: (events, 100 - events)})

    large = calibration_in_the_large(y, constant, once(y))

    assert large[0] == pytest.approx(np.log(events / (100 - events)) - log_odds, abs=1e-8)


@pytest.mark.parametrize("distance", [3.0, 5.0, 7.0, 9.0, 20.0])
@pytest.mark.parametrize("events", [1, 2, 3])
def test_in_the_large_of_two_clumps_of_risks_makes_the_mean_risk_the_event_rate(distance, events):
    # The likelihood is flat between clumps: a full Newton step jumps from one to the other.
    y, log_odds = table({0.0: (1, 1), distance: (events - 1, 3 - events)})

    large = calibration_in_the_large(y, log_odds, once(y))

    assert np.mean(risk_of(log_odds + large)) == pytest.approx(events / 4, abs=1e-8)


def test_in_the_large_is_zero_when_the_mean_risk_is_the_event_rate():
    # Mean risk (.2 * 50 + .6 * 50) / 100 = .4, events (5 + 35) / 100 = .4.
    y, risk = table({0.2: (5, 45), 0.6: (35, 15)})

    assert calibration_in_the_large(y, logit(risk), once(y))[0] == pytest.approx(0, abs=1e-12)


# ---- other implementations, and the truth


@pytest.mark.parametrize("seed", SEEDS)
def test_recalibration_matches_unpenalised_logistic_regression(seed):
    y, log_odds = overconfident(seed)
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    fitted = model.fit(log_odds[:, None], y)

    intercept, slope = recalibrate(y, log_odds, once(y))

    assert intercept[0] == pytest.approx(fitted.intercept_[0], abs=1e-6)
    assert slope[0] == pytest.approx(fitted.coef_[0, 0], abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_recalibration_of_the_truth_is_intercept_zero_and_slope_one(seed):
    # Standard errors from the information matrix at the truth; four of them.
    n = 20_000
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-0.5, 1, n)
    y = (rng.random(n) < risk_of(log_odds)).astype(float)
    design = np.column_stack([np.ones(n), log_odds])
    curvature = risk_of(log_odds) * (1 - risk_of(log_odds))
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ (design * curvature[:, None]))))

    intercept, slope = recalibrate(y, log_odds, once(y))
    large = calibration_in_the_large(y, log_odds, once(y))

    assert abs(intercept[0]) < 4 * errors[0]
    assert abs(slope[0] - 1) < 4 * errors[1]
    assert abs(large[0]) < 4 / np.sqrt(curvature.sum())


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 0.01, 1.0, 100.0])
def test_slope_scales_with_the_spread_of_the_log_odds(scale):
    # y depends on scale * log_odds through slope / scale: the same model, written differently.
    y, log_odds = overconfident(0)
    intercept, slope = recalibrate(y, log_odds, once(y))

    scaled_intercept, scaled_slope = recalibrate(y, scale * log_odds, once(y))

    assert scaled_intercept[0] == pytest.approx(intercept[0], abs=1e-6)
    assert scaled_slope[0] == pytest.approx(slope[0] / scale, rel=1e-6)


# ---- weights


def test_a_weight_counts_like_so_many_copies_of_the_row():
    y, log_odds = overconfident(0, n=150)
    copies = np.random.default_rng(1).integers(0, 4, 150)
    repeated = np.repeat(np.arange(150), copies)

    weighted = [*recalibrate(y, log_odds, copies[None] * 1.0)]
    weighted += [calibration_in_the_large(y, log_odds, copies[None] * 1.0)]
    y, log_odds = y[repeated], log_odds[repeated]
    copied = [*recalibrate(y, log_odds, once(y)), calibration_in_the_large(y, log_odds, once(y))]

    np.testing.assert_allclose(np.ravel(weighted), np.ravel(copied), atol=1e-8)


def test_every_weighting_is_solved_as_if_it_were_alone():
    # Row two leaves one class and converges nowhere; the others must not notice.
    y, log_odds = overconfident(2, n=100)
    weights = np.vstack([np.ones(100), y, np.random.default_rng(0).integers(0, 3, 100)])

    together = recalibrate(y, log_odds, weights)
    large = calibration_in_the_large(y, log_odds, weights)

    for i in (0, 2):
        alone = recalibrate(y, log_odds, weights[[i]])
        assert together[0][i] == pytest.approx(alone[0][0], abs=1e-8)
        assert together[1][i] == pytest.approx(alone[1][0], abs=1e-8)
        assert large[i] == pytest.approx(
            calibration_in_the_large(y, log_odds, weights[[i]])[0], abs=1e-8
        )
    assert np.isnan([together[0][1], together[1][1], large[1]]).all()


# ---- no finite maximum


@pytest.mark.parametrize(
    "counts",
    [
        {0.3: (20, 30)},
        {-1.0: (0, 20), 1.0: (20, 0)},
        {-1.0: (0, 20), 0.0: (5, 5), 1.0: (20, 0)},
        {-1.0: (20, 0), 1.0: (0, 20)},
        {-1.0: (0, 20), 1.0: (0, 20)},
        {-1.0: (20, 0), 1.0: (20, 0)},
    ],
    ids=[
        "constant",
        "separated",
        "separated_but_one",
        "separated_wrongly",
        "no_event",
        "all_event",
    ],
)
def test_recalibration_without_a_finite_maximum_is_nan(counts):
    y, log_odds = table(counts)

    intercept, slope = recalibrate(y, log_odds, once(y))

    assert np.isnan(intercept[0])
    assert np.isnan(slope[0])


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_in_the_large_of_one_class_is_nan(rate):
    y = np.full(20, rate)

    assert np.isnan(calibration_in_the_large(y, np.linspace(-1, 1, 20), once(y))[0])


def test_in_the_large_of_separated_classes_is_finite():
    # Only the slope runs away; by symmetry the shift is zero.
    y, log_odds = table({-1.0: (0, 20), 1.0: (20, 0)})

    assert calibration_in_the_large(y, log_odds, once(y))[0] == pytest.approx(0, abs=1e-12)


# ---- how the interval of an absolute error is read


@pytest.mark.parametrize("slope", [1.0, 1.6])
def test_upper_limit_of_the_ici_holds_the_truth_where_the_lower_one_is_no_test(slope):
    """Log-odds are ``slope`` times too wide: at 1 the true ICI is 0, and no interval can hold 0."""
    upper_holds, lower = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=150)
        truth, risk = risk_of(x - 0.4), risk_of(slope * x - 0.4)
        judged = Judged((rng.random(150) < truth) * 1.0, np.arange(150), np.zeros((1, 150), int))
        values = resample_metrics(judged, {"m": risk[None]}, n_resamples=100, seed=seed)["m"]
        found = with_interval(values["ici"], Reason.NOT_COMPUTABLE, BOOTSTRAP)
        upper_holds.append(np.abs(truth - risk).mean() <= found.upper)
        lower.append(found.lower)

    # A share of .975 of 60 studies has a standard error of .02.
    assert np.mean(upper_holds) > 0.975 - 3 * 0.02
    assert min(lower) > 0
