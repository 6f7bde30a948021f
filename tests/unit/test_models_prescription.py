"""Rankings, safety rules, menus, contrasts and values, each on cases worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.menu import Option, offered
from features.safety import Offer, SafetyRule, holds
from models.arm_difference import Arms, Nuisance, arm_differences, scores_of, tipping_line
from models.arm_model import ArmModel, ArmRows, arm_terms, fit_arm_model, with_refits
from models.errors import NotEnoughDataError
from models.estimate import Estimate
from models.overlap import open_only, overlap_table
from models.policy_value import (
    autoc,
    doubly_robust_scores,
    mean_of_persons,
    rate,
    targeting_curve,
    targeting_table,
)
from models.prescription import rank_options
from models.within_person import Bouts, difference_by, within_person_difference

EVERY = np.ones((1, 3), dtype=bool)


def bout_table(effects: np.ndarray, noise: float = 0.0, seed: int = 1) -> Bouts:
    """Two bouts of every person; the second exercise adds the person's effect."""
    rng = np.random.default_rng(seed)
    n = len(effects)
    person = np.repeat(np.arange(n), 2)
    exercise = np.tile([0.0, 1.0], n)
    level = np.repeat(10.0 * rng.standard_normal(n), 2)
    y = level + exercise * effects[person] + noise * rng.standard_normal(2 * n)
    return Bouts(y, exercise, person, person, np.tile([1.0, 2.0], n))


# ---- ranking ---------------------------------------------------------------------------------


def test_options_whose_intervals_overlap_are_told_apart_by_their_paired_difference() -> None:
    """All move together from refit to refit, and the first is always a little better."""
    common = np.linspace(-1, 1, 41)
    draws = np.stack([common + 0.05, common, common - 0.5], axis=1)[:, None, :]
    draws = np.concatenate([np.array([[[0.05, 0.0, -0.5]]]), draws])

    found = rank_options(draws, EVERY)

    assert found.lower[0, 0] < found.upper[0, 1]
    np.testing.assert_array_equal(found.rank, [[1.0, 2.0, 3.0]])
    assert not found.tied_with_best.any()


def test_an_uncertain_option_is_tied_with_the_best_though_a_certain_one_lies_between() -> None:
    rng = np.random.default_rng(3)
    best = np.full(101, 0.5)
    between = np.full(101, 0.4)
    uncertain = 0.3 + np.concatenate([[0.0], rng.standard_normal(100)])
    draws = np.stack([best, between, uncertain], axis=1)[:, None, :]

    found = rank_options(draws, EVERY)

    np.testing.assert_array_equal(found.rank, [[1.0, 3.0, 1.0]])
    np.testing.assert_array_equal(found.tied_with_best, [[True, False, True]])


def test_options_that_may_not_be_ranked_have_no_rank_and_take_no_place() -> None:
    draws = np.repeat(np.array([[[0.9, 0.4, 0.1]]]), 30, axis=0)

    found = rank_options(draws, np.array([[False, True, True]]))

    np.testing.assert_array_equal(found.rank, [[np.nan, 1.0, 2.0]])


def test_without_refits_every_option_is_tied() -> None:
    found = rank_options(np.array([[[0.9, 0.4, 0.1]]]), EVERY)

    np.testing.assert_array_equal(found.rank, [[1.0, 1.0, 1.0]])


# ---- safety and menus ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (SafetyRule("t", "s", "c", "screening_flag", "block"), [True, False, False]),
        (SafetyRule("t", "s", "c", "screening_unknown", "say"), [False, False, True]),
        (SafetyRule("t", "s", "c", "painful_region", "mark", 0.3), [True, False, False]),
        (
            SafetyRule("t", "s", "c", "intensity_above", "hold", 0.3, "light"),
            [False, False, True],
        ),
    ],
)
def test_rule_holds_where_it_says(rule: SafetyRule, expected: list[bool]) -> None:
    offer = Offer(
        screening=np.array([1.0, 0.0, np.nan]),
        painful=np.array([1.0, 1.0, np.nan]),
        intensity_class=np.array([1.0, 3.0, 2.0]),
        flare_risk=np.array([0.3, 0.29, 0.5]),
    )

    assert holds(rule, offer).tolist() == expected


def test_rule_without_a_known_class_is_refused() -> None:
    with pytest.raises(ValueError, match="above_class: expected one of"):
        SafetyRule("t", "s", "c", "intensity_above", "hold", 0.3, "brisk")


def option(**changes: object) -> Option:
    """A walk."""
    base: dict[str, object] = {
        "label": "walk", "modality": "aerobic", "source": "s", "body_region": "lower_limb",
        "duration_min": 20.0,
    }  # fmt: skip
    return Option(**(base | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality": "swim"}, "modality: expected one of"),
        ({"modality": "rest"}, "expected an exercise"),
        ({"intensity_value": 50.0}, "together"),
        ({"duration_min": 900.0}, "duration_min: expected numbers in 0 to 600 min, found 900"),
        ({"cointerventions": ("magnets",)}, "cointerventions: expected"),
    ],
)
def test_option_that_no_case_could_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        option(**changes)


def test_option_replaces_the_exercise_and_keeps_the_person() -> None:
    cases = pd.DataFrame(
        {
            "condition": ["healthy", "knee_osteoarthritis"],
            "modality": ["isometric", "isometric"],
            "sets": [3.0, 3.0],
            "frequency_per_week": [2.0, 2.0],
            "resting_heart_rate_bpm": [60.0, 70.0],
        }
    )

    found = offered(cases, option(cointerventions=("pain_education",)))

    assert found["modality"].tolist() == ["aerobic", "aerobic"]
    assert not {"sets", "frequency_per_week"} & set(found.columns)
    assert found["resting_heart_rate_bpm"].tolist() == [60.0, 70.0]
    assert found["cointervention_pain_education"].tolist() == [1.0, 1.0]
    np.testing.assert_array_equal(found["loads_painful_region"], [0.0, np.nan])


# ---- within persons --------------------------------------------------------------------------


def test_difference_within_persons_forgets_how_persons_differ() -> None:
    effects = np.array([1.0, 2.0, 3.0, 6.0])

    found = within_person_difference(bout_table(effects))

    assert found.estimate == pytest.approx((1 + 2 + 3 + 6) / 4)
    assert found.upper - found.estimate == pytest.approx(
        3.182446 * effects.std(ddof=1) / 4**0.5, rel=1e-6
    )


def test_persons_who_did_one_exercise_only_tell_nothing() -> None:
    bouts = bout_table(np.array([1.0, 2.0, 3.0]))
    more = Bouts(
        np.append(bouts.y, 99.0), np.append(bouts.exercise, 1.0), np.append(bouts.person, 3),
        np.append(bouts.stratum, 3), np.append(bouts.period, 1.0),
    )  # fmt: skip

    assert within_person_difference(more).estimate == pytest.approx(2.0)


def test_two_persons_are_too_few_for_a_difference() -> None:
    with pytest.raises(NotEnoughDataError, match="at least 3 persons"):
        within_person_difference(bout_table(np.array([1.0, 2.0])))


def test_difference_that_the_period_explains_alone_is_not_given() -> None:
    """Everybody did the second exercise second: order and exercise are one thing."""
    found = within_person_difference(bout_table(np.arange(5.0)), adjust_period=True)

    assert np.isnan(found.estimate)


def test_slope_of_the_difference_is_found() -> None:
    modifier = np.linspace(-2, 2, 9)

    found = difference_by(bout_table(1.0 + 0.5 * modifier), np.repeat(modifier, 2))

    assert found.estimate == pytest.approx(0.5)


# ---- arms ------------------------------------------------------------------------------------


def arms_with_dropout(n: int, seed: int) -> Arms:
    """True difference 1; who does badly and has a high covariate drops out of arm 1."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 1))
    arm = np.repeat([0.0, 1.0], n // 2)
    y = arm - 2.0 * X[:, 0] + rng.standard_normal(n)
    leaves = (arm == 1) & (rng.random(n) < 1 / (1 + np.exp(-2 * X[:, 0])))
    return Arms(np.where(leaves, np.nan, y), arm, X)


def test_weighting_and_double_robustness_undo_dropout_that_the_covariate_explains() -> None:
    found = arm_differences(arms_with_dropout(4000, 5), folds=5, seed=1)

    # The standard error of a mean of 4000 with an SD of about 3 is .05; three of them.
    assert found["complete_case"].estimate > 1.5
    assert found["weighted"].estimate == pytest.approx(1.0, abs=0.3)
    assert found["doubly_robust"].estimate == pytest.approx(1.0, abs=0.15)


def test_score_of_a_person_is_the_models_answer_plus_what_it_missed() -> None:
    arms = Arms(np.array([3.0, np.nan]), np.array([1.0, 1.0]), np.zeros((2, 1)))
    nuisance = Nuisance(np.array([[1.0, 2.0], [1.0, 2.0]]), np.full((2, 2), 0.8), 0.5)

    np.testing.assert_allclose(scores_of(arms, nuisance), [1 + (3 - 2) / (0.8 * 0.5), 1.0])


def test_tipping_line_falls_by_delta_times_the_share_missing() -> None:
    arms = Arms(np.array([1.0, 1.0, np.nan, 1.0]), np.array([0.0, 0.0, 1.0, 1.0]), np.zeros((4, 1)))

    rows = tipping_line(arms, Estimate(1.0, 0.2, 1.8, ""), (0.0, 1.0))

    assert [r["estimate"] for r in rows] == [1.0, 1.0 - 1 / 2]
    assert [r["excludes_zero"] for r in rows] == [True, False]


# ---- model of arms ---------------------------------------------------------------------------


def rows_of(n: int, seed: int) -> ArmRows:
    """Arm 1 is better for those with x above 0, arm 0 for the others."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    arm = rng.integers(0, 2, n)
    latent = np.where(arm == 1, 1.5, -1.5) * x + rng.logistic(size=n)
    order = np.digitize(latent, [-1.0, 1.0]).astype(np.float64)
    return ArmRows(pd.DataFrame({"x": x}), arm, order, np.arange(n))


def test_products_of_arm_and_person_let_the_best_arm_differ() -> None:
    rows = rows_of(600, 2)
    new = pd.DataFrame({"x": [-1.0, 1.0, np.nan]})

    def gain(modifiers: tuple[str, ...]) -> np.ndarray:
        model = fit_arm_model(rows, arm_terms(rows.X, ("a", "b"), ("x",), modifiers), 1.0)
        p = [model.probabilities(new, np.full(3, k))[0, :, 2] for k in (0, 1)]
        return p[1] - p[0]

    assert gain(("x",))[0] < -0.2 < 0.2 < gain(("x",))[1]
    # Without products the log-odds differ alike in everybody.
    assert np.sign(gain(())[0]) == np.sign(gain(())[1]) == np.sign(gain(())[2])


def test_arm_model_survives_its_record() -> None:
    rows = rows_of(80, 4)
    model = fit_arm_model(rows, arm_terms(rows.X, ("a", "b"), ("x",), ("x",)), 0.1)
    model = with_refits(model, rows, 0.1, (20, 1))

    back = ArmModel.from_dict(model.to_dict())

    arm = np.zeros(80, dtype=np.int64)
    np.testing.assert_array_equal(back.probabilities(rows.X, arm), model.probabilities(rows.X, arm))
    with pytest.raises(ValueError, match="coefficients of every term"):
        ArmModel.from_dict(model.to_dict() | {"modifiers": []})


# ---- value and overlap -----------------------------------------------------------------------


def test_mean_of_scores_is_the_mean_of_the_arm_when_the_model_says_nothing() -> None:
    y, arm = np.array([1.0, 2.0, 3.0, 6.0]), np.array([0, 0, 1, 1])

    scores = doubly_robust_scores(y, arm, np.zeros((4, 2)), np.full((4, 2), 0.5))

    np.testing.assert_allclose(scores.mean(axis=0), [(1 + 2) / 2, (3 + 6) / 2])


def test_persons_count_once_however_many_rows_they_have() -> None:
    found = mean_of_persons(np.array([0.0, 0.0, 0.0, 3.0, 6.0]), np.array([0, 0, 0, 1, 2]))

    assert found.estimate == pytest.approx((0 + 3 + 6) / 3)


def test_rules_that_never_differ_differ_by_exactly_nothing() -> None:
    found = mean_of_persons(np.zeros(6), np.arange(6))

    assert (found.estimate, found.lower, found.upper) == (0.0, 0.0, 0.0)


def test_targeting_curve_ends_at_zero_and_ties_share_their_score() -> None:
    curve = targeting_curve(np.array([1.0, 1.0, 0.0]), np.array([4.0, 0.0, -1.0]))

    np.testing.assert_allclose(curve, [2.0 - 1.0, 2.0 - 1.0, 0.0])


def test_interval_of_a_worthless_priority_holds_zero_as_often_as_promised() -> None:
    rng = np.random.default_rng(8)
    found = [rate(rng.standard_normal(150), rng.standard_normal(150), 60, s) for s in range(200)]
    inside = np.mean([f.lower <= 0 <= f.upper for f in found])

    # A share of .95 of 200 has a standard error of .015; the error itself is one of 60 halves.
    assert inside == pytest.approx(0.95, abs=0.05)
    assert autoc(np.arange(5.0), np.arange(5.0)) > 0


def test_targeting_table_reads_the_curve_at_shares_of_the_persons() -> None:
    priority, score = np.arange(20.0), np.r_[np.zeros(10), np.full(10, 2.0)]

    table = targeting_table(priority, score, 20, 1).set_index("share")

    assert list(table.index) == [k / 20 for k in range(1, 21)]
    # The first ten persons by priority gain 2, all gain 1 on average.
    assert table.loc[0.05, "estimate"] == table.loc[0.5, "estimate"] == 2.0 - 1.0
    assert table.loc[0.75, "estimate"] == pytest.approx(10 * 2 / 15 - 1.0)
    assert table.loc[1.0, ["estimate", "lower", "upper"]].tolist() == [0.0, 0.0, 0.0]


def test_targeting_interval_of_a_worthless_priority_holds_zero_as_often_as_promised() -> None:
    rng = np.random.default_rng(9)
    found = [
        targeting_table(rng.standard_normal(150), rng.standard_normal(150), 60, s)
        for s in range(200)
    ]

    inside = [((t["lower"] <= 0) & (t["upper"] >= 0)).to_numpy()[9] for t in found]

    # At half of the persons; a share of .95 of 200 has a standard error of .015.
    assert np.mean(inside) == pytest.approx(0.95, abs=0.05)


@pytest.mark.parametrize("priority", [np.zeros(20), np.arange(9.0)])
def test_targeting_table_is_empty_where_nobody_comes_first_or_few_are_there(
    priority: np.ndarray,
) -> None:
    assert targeting_table(priority, np.ones(len(priority)), 20, 1).empty
    assert rate(priority, np.ones(len(priority)), 20, 1).reason


def test_overlap_names_the_covariate_by_which_the_sick_were_spared() -> None:
    rng = np.random.default_rng(6)
    pain = rng.standard_normal(400)
    arm = (rng.random(400) < 1 / (1 + np.exp(1.5 * pain))).astype(np.int64)
    X = pd.DataFrame({"age": rng.standard_normal(400), "pain": pain})
    spread = open_only(np.full((400, 2), 0.5), np.ones((400, 2), dtype=bool))

    def table(of: np.ndarray) -> pd.DataFrame:
        cell = np.zeros(400, dtype=np.int64)
        return overlap_table(X, (of, ("light", "hard")), cell, spread).set_index("arm")

    spared, by_lot = table(arm), table(rng.integers(0, 2, 400))
    assert spared.loc["hard", "covariate"] == "pain"
    assert spared.loc["hard", "standardised_difference"] < -0.5
    assert spared["imbalanced"].all()
    assert not by_lot["imbalanced"].any()


def test_effective_number_is_the_number_where_weights_are_equal() -> None:
    arm = np.array([0, 0, 1, 1, 1])
    X = pd.DataFrame({"x": np.arange(5.0)})

    found = overlap_table(X, (arm, ("a", "b")), np.zeros(5, dtype=np.int64), np.full((5, 2), 0.5))

    assert found["effective_n"].tolist() == [2.0, 3.0]
