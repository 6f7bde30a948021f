"""Markers of known strength: found as often as promised, noise at its level, proxies never."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, ncx2

from models.biomarker import compare
from models.incremental import Draws, Trial, increments, out_of_fold, r2_difference, summarise
from models.linear_increment import linear_increment
from models.nested import Nested, fit_nested
from models.score_test import score_test
from models.splits import make_split_plan

N_STUDIES = 1000
N_BASE = 4


def draw(
    rng: np.random.Generator, n: int, bouts: int, effect: float, proxy: bool = False
) -> Nested:
    """A study: base columns and marker of the person, a lasting person effect, bouts.

    A proxy is a base column with noise: it is associated with the outcome, and adds nothing.
    """
    person = np.repeat(np.arange(n), bouts)
    base = rng.normal(size=(n, N_BASE))
    marker = base[:, 0] + 0.5 * rng.normal(size=n) if proxy else rng.normal(size=n)
    lasting = rng.normal(size=n) if bouts > 1 else np.zeros(n)
    eta = (-0.4 + 0.8 * base[:, 0] + effect * marker + lasting)[person]
    y = (rng.random(len(person)) < 1 / (1 + np.exp(-eta))).astype(float)
    return Nested(y, base[person], marker[person][:, None], person)


def p_values(seed: int, n: int, bouts: int, effect: float, proxy: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(N_STUDIES):
        data = draw(rng, n, bouts, effect, proxy)
        found.append(score_test(data.y, data.base, data.added, data.person).p_value)
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "bouts"), [(60, 1), (60, 2), (100, 4)])
@pytest.mark.parametrize("proxy", [False, True], ids=["noise", "proxy"])
def test_what_adds_nothing_is_called_at_its_level(n: int, bouts: int, proxy: bool) -> None:
    share = np.mean(p_values(99 + proxy, n, bouts, 0.0, proxy) < 0.05)

    # 5 % + 2 standard errors of a share of 5 % in N_STUDIES; half of it at least: not asleep.
    assert 0.025 <= share <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / N_STUDIES)


@pytest.mark.slow
def test_the_plain_likelihood_ratio_would_call_too_much_where_bouts_repeat() -> None:
    rng = np.random.default_rng(22)
    called = []
    for _ in range(N_STUDIES // 4):
        data = draw(rng, 100, 4, 0.0)
        ratio = compare(data, fit_nested(data))["likelihood_ratio"]
        called.append(ratio["p_value_independent_rows"] < 0.05)

    # What the level is held against: 12 to 17 % where it is looked for.
    assert np.mean(called) > 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(called))


@pytest.mark.slow
def test_a_real_marker_is_found_at_the_promised_rate() -> None:
    n, effect = 150, 0.5
    rng = np.random.default_rng(12)
    # The noncentrality of one study of n persons, from one of 200,000.
    large = draw(rng, 200_000, 1, effect)
    per_person = (compare(large, fit_nested(large))["likelihood_ratio"]["statistic"] - 1) / 200_000
    promised = ncx2.sf(chi2.ppf(0.95, 1), 1, per_person * n)

    found = np.mean(p_values(13, n, 1, effect) < 0.05)

    assert 0.6 < promised < 0.95
    # Three standard errors of the share, and 2 % for the asymptotic promise at 150 persons.
    assert found == pytest.approx(promised, abs=3 * np.sqrt(0.25 / N_STUDIES) + 0.02)


def trial_of(data: Nested, seed: int = 3) -> Trial:
    plan = make_split_plan(data.y, data.person, repeats=2, folds=5, inner_folds=2, seed=seed)
    both = np.column_stack([data.base, data.added])
    labels = np.broadcast_to(data.y, (len(plan.folds), len(data.y)))
    known = np.ones(len(data.y), dtype=bool)
    return Trial(data.base, both, labels, known, data.person, plan)


DRAWS = Draws(200, 5, (0.3, 0.5))


def test_a_strong_marker_improves_every_figure_out_of_fold() -> None:
    trial = trial_of(draw(np.random.default_rng(14), 300, 2, 1.5))

    judged, base, full = out_of_fold(trial, "unpenalised")
    found = increments(judged, (base, full), DRAWS)

    assert summarise(found["auc"])["lower"] > 0
    assert summarise(found["brier"])["upper"] < 0
    assert summarise(found["log_loss"])["upper"] < 0
    assert summarise(found["net_benefit"][:, 1])["lower"] > 0


@pytest.mark.parametrize("learner", ["unpenalised", "logistic", "xgboost"])
def test_a_constant_column_changes_no_prediction(learner: str) -> None:
    data = draw(np.random.default_rng(15), 80, 2, 0.5)
    trial = trial_of(Nested(data.y, data.base, np.ones_like(data.added), data.person))

    judged, base, full = out_of_fold(trial, learner)

    assert full == pytest.approx(base, abs=1e-7)
    assert increments(judged, (base, full), DRAWS)["brier"] == pytest.approx(0, abs=1e-7)


def test_r2_of_the_change_rises_by_what_the_marker_explains() -> None:
    data = draw(np.random.default_rng(16), 1500, 1, 1.0)
    rng = np.random.default_rng(17)
    change = data.base[:, 0] + data.added[:, 0] + rng.normal(size=1500)

    found = r2_difference(trial_of(data), change, DRAWS)

    # Of a variance of 3, the marker explains 1; standard error about 0.02, four of them.
    assert found["estimate"] == pytest.approx(1 / 3, abs=0.08)
    assert found["lower"] < 1 / 3 < found["upper"]


def test_r2_is_unaffected_by_the_scale_of_the_change() -> None:
    data = draw(np.random.default_rng(18), 100, 1, 1.0)
    change = data.base[:, 0] + np.random.default_rng(19).normal(size=100)

    one = r2_difference(trial_of(data), change, DRAWS)
    other = r2_difference(trial_of(data), 10 * change + 3, DRAWS)

    assert other["estimate"] == pytest.approx(one["estimate"], abs=1e-9)
    assert other["upper"] == pytest.approx(one["upper"], abs=1e-6)


def test_rows_of_a_person_are_never_on_both_sides() -> None:
    data = draw(np.random.default_rng(20), 60, 3, 1.0)
    # A marker that is the person's number in noise-free form: only rows of the same person help.
    outcome_of_person = np.random.default_rng(21).integers(0, 2, 60).astype(float)
    leaky = Nested(
        outcome_of_person[data.person],
        data.base,
        np.eye(60)[data.person][:, :20],
        data.person,
    )

    judged, base, full = out_of_fold(trial_of(leaky), "logistic")

    gained = increments(judged, (base, full), DRAWS)["auc"][0]
    # A person seen in training would give an AUC near 1; unseen, the columns are all zero.
    assert gained < 0.1


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(0.01, 100.0),
    shift=st.floats(-50.0, 50.0),
    seed=st.integers(0, 1000),
    bouts=st.integers(1, 3),
)
def test_tests_do_not_depend_on_units_or_on_the_order_of_rows(
    scale: float, shift: float, seed: int, bouts: int
) -> None:
    rng = np.random.default_rng(seed)
    data = draw(rng, 60, bouts, 0.5)
    order = rng.permutation(len(data.y))
    changed = Nested(
        data.y[order],
        data.base[order] * scale + shift,
        data.added[order] * scale + shift,
        data.person[order] * 7,
    )

    one = compare(data, fit_nested(data))
    other = compare(changed, fit_nested(changed))

    for test in ("test", "likelihood_ratio", "wald"):
        assert other[test]["statistic"] == pytest.approx(one[test]["statistic"], abs=1e-5)
        assert other[test]["p_value"] == pytest.approx(one[test]["p_value"], abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_marker_never_lowers_the_fitted_likelihood_or_r2(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = draw(rng, 50, 2, 0.0)

    test = compare(data, fit_nested(data))
    found = linear_increment(rng.normal(size=len(data.y)), data)

    assert test["likelihood_ratio"]["statistic"] >= 0
    assert 0 <= test["adequacy"]["base"] <= 1 + 1e-9
    assert found["r2_increment"] >= -1e-12
