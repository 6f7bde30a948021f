"""Exact logistic regression, Firth's penalty, separation and clustered covariances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import chi2

from models.unpenalised import (
    clustered_covariance,
    fit_logistic,
    fit_or_firth,
    is_separated,
    profile_interval,
    with_intercept,
)


def table(a: int, b: int, c: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a 2x2 table: a, b events and others exposed; c, d events and others not."""
    exposed = np.repeat([1.0, 1.0, 0.0, 0.0], [a, b, c, d])
    y = np.repeat([1.0, 0.0, 1.0, 0.0], [a, b, c, d])
    return with_intercept(exposed[:, None]), y


def penalised(beta: np.ndarray, design: np.ndarray, y: np.ndarray) -> float:
    """Minus Firth's penalised log likelihood, by its definition."""
    p = expit(design @ beta)
    information = design.T @ np.diag(p * (1 - p)) @ design
    log_likelihood = (y * np.log(p) + (1 - y) * np.log(1 - p)).sum()
    return float(-log_likelihood - 0.5 * np.log(np.linalg.det(information)))


def separated(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Thirty rows that one of two columns separates."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(30, 2))
    return with_intercept(columns), (columns[:, 0] > 0.2).astype(float)


def test_maximum_likelihood_of_a_table_is_its_log_odds_ratio() -> None:
    fit = fit_logistic(*table(6, 4, 3, 9))

    assert fit.coefficients == pytest.approx([np.log(3 / 9), np.log(6 * 9 / (4 * 3))])
    # Woolf's variance of a log odds ratio.
    assert fit.covariance[1, 1] == pytest.approx(1 / 6 + 1 / 4 + 1 / 3 + 1 / 9)


@pytest.mark.parametrize("counts", [(6, 4, 3, 9), (5, 0, 3, 9), (5, 0, 0, 7)])
def test_firth_of_a_table_adds_one_half_to_every_cell(counts: tuple[int, ...]) -> None:
    a, b, c, d = counts

    fit = fit_logistic(*table(a, b, c, d), firth=True)

    expected = np.log((a + 0.5) * (d + 0.5) / ((b + 0.5) * (c + 0.5)))
    assert fit.coefficients[1] == pytest.approx(expected, abs=1e-6)


def test_firth_maximises_the_penalised_likelihood_of_separated_classes() -> None:
    design, y = separated()

    fit = fit_logistic(design, y, firth=True)
    found = minimize(
        penalised,
        np.zeros(3),
        args=(design, y),
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 10_000},
    )

    assert fit.converged
    assert fit.coefficients == pytest.approx(found.x, abs=1e-5)
    assert fit.log_likelihood == pytest.approx(-found.fun, abs=1e-9)


def test_held_coefficients_keep_the_penalty_of_all_terms() -> None:
    design, y = separated()

    fit = fit_logistic(design, y, firth=True, fixed=np.array([np.nan, 0.0, np.nan]))
    found = minimize(
        lambda free: penalised(np.array([free[0], 0.0, free[1]]), design, y),
        np.zeros(2),
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-13},
    )

    assert fit.log_likelihood == pytest.approx(-found.fun, abs=1e-9)
    assert fit.coefficients[1] == 0.0


def test_profile_interval_ends_where_the_likelihood_has_fallen_by_half_a_quantile() -> None:
    design, y = separated()
    fit = fit_logistic(design, y, firth=True)

    for end in profile_interval(fit, 1):
        held = fit_logistic(design, y, firth=True, fixed=np.array([np.nan, end, np.nan]))
        fallen = 2 * (fit.log_likelihood - held.log_likelihood)
        assert fallen == pytest.approx(chi2.ppf(0.95, 1), abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((6, 4, 3, 9), False), ((5, 0, 3, 9), True), ((5, 0, 0, 7), True)],
)
def test_separation_is_told_from_a_finite_maximum(counts: tuple[int, ...], expected: bool) -> None:
    fit = fit_logistic(*table(*counts))

    assert is_separated(fit) is expected
    assert fit_or_firth(*table(*counts)).firth is expected


def test_steep_but_overlapping_classes_are_not_separated() -> None:
    x = np.r_[np.linspace(-30, 0.2, 60), np.linspace(-0.2, 30, 60)]
    y = np.repeat([0.0, 1.0], 60)

    fit = fit_or_firth(with_intercept(x[:, None]), y)

    assert np.abs(fit.design @ fit.coefficients).max() > 8
    assert not fit.firth


def test_clustered_covariance_of_duplicated_rows_is_that_of_single_rows() -> None:
    rng = np.random.default_rng(2)
    design = with_intercept(rng.normal(size=(80, 2)))
    y = (rng.random(80) < 0.4).astype(float)
    person = np.arange(80)

    single = clustered_covariance(fit_logistic(design, y), person)
    twice = clustered_covariance(
        fit_logistic(np.vstack([design, design]), np.r_[y, y]), np.r_[person, person]
    )

    assert twice == pytest.approx(single, rel=1e-6)
