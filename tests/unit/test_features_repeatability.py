"""SEM, MDC, limits of agreement and kappa by arithmetic and against psych."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from features.repeatability import (
    bland_altman,
    clustered_kappa,
    cohen_kappa,
    mdc95,
    within_person_sd,
)

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
CLASSES = pd.read_csv(REFERENCE / "kappa_input.csv")
GOLDEN = pd.read_csv(REFERENCE / "kappa_expected.csv", comment="#", index_col="table")
FIRST = np.array([310.0, 250.0, 420.0, 385.0])
SECOND = np.array([330.0, 240.0, 440.0, 375.0])


def classes(name):
    own = CLASSES[CLASSES["table"] == name]
    return own["first"].to_numpy(dtype=float), own["second"].to_numpy(dtype=float)


def test_mdc_is_the_difference_of_two_values_that_error_alone_rarely_makes():
    assert mdc95(30.0) == pytest.approx(1.959964 * np.sqrt(2) * 30, rel=1e-6)
    assert mdc95(30.0, n_persons=16) == pytest.approx(mdc95(30.0) / 4)


def test_within_person_sd_pools_squared_differences():
    found = within_person_sd(np.column_stack([FIRST, SECOND]))

    squares = (20**2 + 10**2 + 20**2 + 10**2) / 2
    assert found.estimate == pytest.approx(np.sqrt(squares / 4))
    assert found.lower == pytest.approx(np.sqrt(squares / stats.chi2.ppf(0.975, 4)))
    assert found.upper == pytest.approx(np.sqrt(squares / stats.chi2.ppf(0.025, 4)))


def test_within_person_sd_of_one_person_is_unknown():
    found = within_person_sd(np.array([[1.0, 2.0]]))

    assert np.isnan(found.estimate)
    assert found.reason == "fewer than 2 persons or 2 values of each"


def test_bland_altman_by_hand():
    found = bland_altman(FIRST, SECOND)

    difference = np.array([20, -10, 20, -10])
    sd, t, z = difference.std(ddof=1), stats.t.ppf(0.975, 3), stats.norm.ppf(0.975)
    assert found.bias.estimate == 5
    assert found.bias.upper == pytest.approx(5 + t * sd / 2)
    assert found.lower_limit.estimate == pytest.approx(5 - z * sd)
    assert found.upper_limit.upper == pytest.approx(
        5 + z * sd + t * sd * np.sqrt(1 / 4 + z**2 / (2 * 3))
    )


def test_bland_altman_of_one_person_is_unknown():
    found = bland_altman(FIRST[:1], SECOND[:1])

    assert np.isnan(found.bias.estimate)
    assert found.upper_limit.reason == "fewer than 2 persons"


def test_limits_of_agreement_cover_their_own_limits_as_often_as_they_say():
    rng = np.random.default_rng(3)
    true_limit = stats.norm.ppf(0.975) * np.sqrt(2)
    hits = []
    for _ in range(400):
        found = bland_altman(rng.normal(size=30), rng.normal(size=30)).upper_limit
        hits.append(found.lower <= true_limit <= found.upper)

    # 400 intervals of nominally 95 %: three standard errors are .033.
    assert abs(np.mean(hits) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 400)


@pytest.mark.parametrize("name", GOLDEN.index)
def test_kappa_and_its_limits_match_psych(name):
    """Golden: see icc.R, psych::cohen.kappa."""
    found = cohen_kappa(*classes(name))

    assert (found.estimate, found.lower, found.upper) == pytest.approx(
        tuple(GOLDEN.loc[name, ["estimate", "lower", "upper"]]), abs=1e-6
    )


def test_kappa_of_one_class_is_unknown_not_perfect():
    ones = np.ones(10)

    assert np.isnan(cohen_kappa(ones, ones).estimate)
    assert cohen_kappa(ones, ones).reason == "fewer than two classes occur"
    assert np.isnan(clustered_kappa(ones, ones, np.ones((30, 10))).estimate)


def test_clustered_kappa_has_the_estimate_of_the_plain_one():
    first, second = classes("fair")
    rng = np.random.default_rng(5)
    drawn = rng.multinomial(len(first), np.full(len(first), 1 / len(first)), size=800)

    found = clustered_kappa(first, second, np.vstack([np.ones((1, len(first))), drawn]))

    plain = cohen_kappa(first, second)
    assert found.estimate == pytest.approx(plain.estimate)
    # With one pair a person both intervals aim at the same; they agree to a fifth of their width.
    width = plain.upper - plain.lower
    assert abs(found.lower - plain.lower) < width / 5
    assert abs(found.upper - plain.upper) < width / 5


def test_clustered_kappa_is_wider_where_a_persons_pairs_repeat():
    first, second = (np.repeat(x, 4) for x in classes("fair"))
    n = len(first) // 4
    rng = np.random.default_rng(5)
    drawn = np.repeat(rng.multinomial(n, np.full(n, 1 / n), size=500), 4, axis=1)

    found = clustered_kappa(first, second, np.vstack([np.ones((1, 4 * n)), drawn]))

    naive = cohen_kappa(first, second)
    # Four copies of a pair tell as much as one: the naive interval is half as wide as it should be.
    assert found.upper - found.lower > 1.6 * (naive.upper - naive.lower)
