"""Alpha and omega against R (consistency.R), and what they do where they cannot be computed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.psychometrics import (
    complete_rows,
    cronbach_alpha,
    mcdonald_omega,
    one_factor,
    share_at,
)

HERE = Path(__file__).parent
EXPECTED = pd.read_csv(HERE / "consistency_expected.csv").set_index("form")
FORMS = tuple(EXPECTED.index)


@pytest.fixture(scope="module")
def forms():
    long = pd.read_csv(HERE / "consistency_input.csv")
    return {
        name: part.pivot(index="row", columns="item", values="answer").to_numpy()
        for name, part in long.groupby("form")
    }


@pytest.mark.parametrize("form", FORMS)
def test_alpha_equals_psych(forms, form):
    known = complete_rows(forms[form])

    assert len(known) == EXPECTED.loc[form, "n_complete"]
    assert cronbach_alpha(forms[form]).value == pytest.approx(
        EXPECTED.loc[form, "alpha"], abs=1e-12
    )


@pytest.mark.parametrize("form", FORMS)
def test_omega_equals_the_maximum_likelihood_solution_of_factanal(forms, form):
    omega = mcdonald_omega(forms[form])

    assert omega.value == pytest.approx(EXPECTED.loc[form, "omega_raw"], abs=1e-8)
    assert omega.reason == ""


@pytest.mark.parametrize("form", FORMS)
def test_the_standardised_solution_equals_factanal_and_psych(forms, form):
    loadings, unique = one_factor(np.corrcoef(complete_rows(forms[form]), rowvar=False))
    omega = loadings.sum() ** 2 / (loadings.sum() ** 2 + unique.sum())

    assert omega == pytest.approx(EXPECTED.loc[form, "omega_std"], abs=1e-8)
    # psych::fa stops its optimiser earlier.
    assert omega == pytest.approx(EXPECTED.loc[form, "omega_fa"], abs=1e-6)


def test_one_factor_recovers_an_exact_model():
    loadings = np.array([0.9, 0.8, 0.7, 0.6, -0.3])
    correlation = np.outer(loadings, loadings)
    np.fill_diagonal(correlation, 1.0)

    found, unique = one_factor(correlation)

    np.testing.assert_allclose(found, loadings, atol=1e-6)
    np.testing.assert_allclose(unique, 1 - loadings**2, atol=1e-6)


def test_alpha_of_parallel_items_is_the_formula_of_spearman_and_brown():
    # k items of variance 1 and correlation r: alpha = k r / (1 + (k - 1) r).
    rng = np.random.default_rng(0)
    raw = rng.standard_normal((50, 4))
    white = np.linalg.qr(raw - raw.mean(axis=0))[0] * np.sqrt(49)
    r = 0.4
    points = white @ np.linalg.cholesky(np.full((4, 4), r) + (1 - r) * np.eye(4)).T

    assert cronbach_alpha(points).value == pytest.approx(4 * r / (1 + 3 * r))


@pytest.mark.parametrize(
    ("points", "alpha", "omega"),
    [
        (np.zeros((20, 1)), "needs 2 items", "needs 3 items"),
        (np.array([[0.0, 0], [1, 2], [2, 1]]), "", "needs 3 items"),
        (np.eye(4)[:2], "needs 3 complete rows", "needs 6 complete rows"),
        (np.c_[np.arange(20.0), np.ones((20, 3))], "same answer", "same answer"),
        (np.tile(np.arange(20.0), (3, 1)).T, "", "linear combinations"),
    ],
    ids=["one item", "two items", "two rows", "constant item", "copied item"],
)
def test_what_cannot_be_computed_is_missing_with_its_reason(points, alpha, omega):
    for found, reason in ((cronbach_alpha(points), alpha), (mcdonald_omega(points), omega)):
        assert reason in found.reason
        assert np.isnan(found.value) == bool(reason)


def test_a_heywood_case_keeps_its_value_and_says_so():
    rng = np.random.default_rng(1)
    first = rng.standard_normal(60)
    noise = rng.standard_normal((60, 3))
    # Two items nearly the same, the others hardly related: no unique variance is left.
    points = np.c_[first, first + 0.01 * noise[:, 0], noise[:, 1:] + 0.2 * first[:, None]]

    found = mcdonald_omega(points)

    assert 0 < found.value < 1
    assert "Heywood" in found.reason


def test_the_share_at_an_end_counts_known_scores():
    scores = np.array([0.0, 0.0, 3.0, 52.0, np.nan])

    assert share_at(scores, 0) == 2 / 4
    assert share_at(scores, 52) == 1 / 4
    assert np.isnan(share_at(np.array([np.nan]), 0))
