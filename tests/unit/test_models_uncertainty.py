"""Sets, intervals, domain and abstention on small examples worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression

from models.conformal import fit_sets
from models.domain import Domain, Uses, fit_domain
from models.errors import NotEnoughDataError
from models.feature_columns import FeatureColumns
from models.judged import Judged
from models.selective import NOBODY, Resamples, abstention_effect, coverage_risk
from models.splits import make_split_plan
from models.uncertainty import (
    Calibration,
    Rules,
    Uncertainty,
    cross_answers,
    fit_uncertainty,
    fold_levels,
)
from models.venn_abers import VennAbers, fit_venn_abers


def test_threshold_is_the_quantile_over_persons_with_one_more_at_infinity() -> None:
    # Nine persons of class 1 with strangeness .1 ... .9: nine of ten weights reach .9.
    risk = 1 - np.arange(1, 10) / 10

    found = fit_sets(np.ones(9), risk, np.arange(9), level=0.9)
    lower = fit_sets(np.ones(9), risk, np.arange(9), level=0.8)

    assert found.thresholds[1] == pytest.approx(0.9)
    assert lower.thresholds[1] == pytest.approx(0.8)
    assert found.n_persons == (0, 9)


def test_a_class_of_too_few_persons_is_never_left_out() -> None:
    # Eight persons and the new one: the largest has 8/9 < .9 of the weight.
    found = fit_sets(np.ones(8), np.full(8, 0.9), np.arange(8), level=0.9)

    assert found.thresholds == (None, None)
    assert found.contains(np.array([0.0, 1.0])).all()


def test_many_bouts_of_one_person_weigh_as_much_as_one() -> None:
    y, risk = np.ones(9), 1 - np.arange(1, 10) / 10
    many = np.concatenate([risk, np.full(100, 0.0)])
    person = np.concatenate([np.arange(9), np.full(100, 9)])

    found = fit_sets(np.ones(109), many, person, level=0.8)
    once = fit_sets(np.append(y, 1.0), np.append(risk, 0.0), np.arange(10), level=0.8)

    assert found.thresholds == once.thresholds


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 8))
def test_venn_abers_steps_are_isotonic_regression_with_the_row_added(
    seed: int, n: int, n_values: int
) -> None:
    # One row per person and steps of single risks: the definition, refitted for every row.
    rng = np.random.default_rng(seed)
    risk = rng.choice(np.linspace(0.1, 0.9, n_values), size=n)
    y = (rng.random(n) < risk).astype(np.float64)

    found = fit_venn_abers(y, risk, np.arange(n), least_persons=1)

    for value in np.unique(risk):
        for label, said in zip((0.0, 1.0), found.interval(np.array([value])), strict=True):
            order = np.argsort(np.append(risk, value), kind="stable")
            labels = np.append(y, label)[order]
            # Ties share one value: average them first.
            codes = np.unique(np.append(risk, value)[order], return_inverse=True)[1]
            count = np.bincount(codes).astype(np.float64)
            rates = isotonic_regression(np.bincount(codes, labels) / count, sample_weight=count)
            expected = rates[np.searchsorted(np.unique(risk), value)]
            assert said[0] == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_venn_abers_probabilities_rise_and_are_in_order(seed: int, n: int) -> None:
    # Adding an event lifts an isotonic fit everywhere, adding a non-event lowers it.
    rng = np.random.default_rng(seed)
    risk, person = rng.random(n), rng.integers(0, 20, n)
    found = fit_venn_abers((rng.random(n) < 0.4).astype(np.float64), risk, person)

    lower, upper = found.interval(np.sort(np.append(rng.random(50), risk)))

    assert (lower <= upper).all()
    assert (np.diff(lower) >= 0).all()
    assert (np.diff(upper) >= 0).all()
    assert lower.min() >= 0
    assert upper.max() <= 1


def test_every_step_rests_on_several_persons() -> None:
    rng = np.random.default_rng(0)
    risk = rng.random(400)
    y = (rng.random(400) < risk).astype(np.float64)

    found = fit_venn_abers(y, risk, np.repeat(np.arange(100), 4), least_persons=25)

    step = np.searchsorted(found.edges, risk, side="right")
    assert all(
        len(np.unique(np.repeat(np.arange(100), 4)[step == k])) >= 25
        for k in range(len(found.lower))
    )
    assert not np.isin(found.edges, risk).any()


def test_venn_abers_refuses_steps_that_do_not_fit_their_edges() -> None:
    with pytest.raises(ValueError, match="one more than their ascending edges"):
        VennAbers.from_dict({"edges": [0.5, 0.2], "lower": [0, 0, 0], "upper": [1, 1, 1]})


def table(n_rows: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n_rows, 3)), columns=["a", "b", "c"])
    X["b"] = 0.9 * X["a"] + 0.3 * X["b"]
    X["cell"] = (np.arange(n_rows) % 50 == 0).astype(float)
    X.loc[np.arange(n_rows) % 3 == 0, "c"] = np.nan
    return X


USES = Uses(("a", "b", "c"), ("cell",), {"first": ("a", "b"), "second": ("c",)})


def learnt(least_persons: int = 10) -> Domain:
    X = table()
    return fit_domain(X, np.arange(len(X)) // 2, USES, least_persons)


def test_domain_names_what_is_strange_about_a_row() -> None:
    usual = {"a": 0.0, "b": 0.0, "c": 0.0, "cell": 0.0}
    rows = pd.DataFrame(
        [
            usual,
            usual | {"a": 9.0, "b": 8.0},
            usual | {"a": 2.0, "b": -2.0},
            usual | {"cell": 1.0},
            usual | {"cell": 7.0},
            usual | {"a": np.nan, "b": np.nan},
            usual | {"c": np.nan},
        ]
    )
    domain = learnt()

    assert domain.outside(rows).tolist() == [False, True, False, False, False, False, False]
    # Each value is usual, the two together are not.
    assert (domain.distance(rows) > 1).tolist() == [False, True, True, *[False] * 4]
    # Six rows of six persons are in cell 1: fewer than ten.
    assert domain.in_small_cell(rows).tolist() == [False] * 3 + [True, True] + [False] * 2
    # A third of the training rows lack the second block: its absence is known.
    assert domain.lacks_block(rows).tolist() == [False] * 5 + [True, False]
    assert learnt(least_persons=5).in_small_cell(rows).tolist()[3:5] == [False, True]


def test_one_in_a_hundred_new_persons_is_further_away_than_the_reference() -> None:
    # 20 000 new rows: SE of the share .0007; the reference itself rests on 150 persons, whose
    # 99th percentile lies between their 97th and largest.
    share = float((learnt().distance(table(20_000, seed=1)) > 1).mean())

    assert 0.001 < share < 0.03


@given(st.integers(0, 299), st.integers(1, 200))
def test_a_row_is_answered_alone_as_among_others_bit_for_bit(row: int, before: int) -> None:
    X = table()
    found = UNCERTAIN
    risk = RISK

    whole = found.answer(risk, X)
    start = max(0, row - before)
    part = found.answer(risk[start : row + 1], X.iloc[start : row + 1])

    assert part.distance[-1] == whole.distance[row]
    assert part.lower[-1] == whole.lower[row]
    assert part.upper[-1] == whole.upper[row]
    assert part.set_names.shown[-1] == whole.set_names.shown[row]
    assert part.reason_texts.shown[-1] == whole.reason_texts.shown[row]


RISK = np.random.default_rng(3).random(300)
LABEL = (np.random.default_rng(4).random(300) < RISK).astype(np.float64)
PERSON = np.arange(300) // 2
UNCERTAIN = fit_uncertainty(
    Calibration(LABEL[None], RISK[None], None, PERSON, table()), USES, Rules()
)


def test_what_is_stored_says_the_same_when_read() -> None:
    text = json.dumps(UNCERTAIN.to_dict(), sort_keys=True, allow_nan=False)

    assert Uncertainty.from_dict(json.loads(text)) == UNCERTAIN


def test_reasons_are_named_in_their_order() -> None:
    strange = pd.DataFrame([{"a": 99.0, "b": np.nan, "c": 0.0, "cell": 5.0}])

    found = UNCERTAIN.answer(np.array([0.5]), strange)

    assert found.reason_texts.shown.tolist() == ["outside_training_range;cell_too_small"]
    assert found.abstained.tolist() == [True]


def test_equal_domains_of_the_same_rows_are_worked_out_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Domain] = []
    distance = Domain.distance
    monkeypatch.setattr(Domain, "distance", lambda d, X: asked.append(d) or distance(d, X))
    rows = FeatureColumns(table()[:5])
    again, other = Domain.from_dict(learnt().to_dict()), learnt(least_persons=200)

    found = [domain.place(rows) for domain in (learnt(), again, other)]

    assert len(asked) == 2
    assert found[0] is found[1]
    assert found[0].in_small_cell.sum() < found[2].in_small_cell.sum()


def test_too_wide_an_interval_is_a_reason() -> None:
    few = slice(0, 12)
    data = Calibration(LABEL[None, few], RISK[None, few], None, PERSON[few], table()[few])

    found = fit_uncertainty(data, Uses((), (), {}), Rules(width_limit=0.05))

    answers = found.answer(np.array([0.5]), table()[:1])
    assert answers.upper[0] - answers.lower[0] > 0.05
    assert answers.reason_texts.shown.tolist() == ["interval_too_wide"]


def test_without_a_judged_row_nothing_is_calibrated() -> None:
    data = Calibration(np.full((1, 300), np.nan), RISK[None], None, PERSON, table())

    with pytest.raises(NotEnoughDataError, match="expected out-of-fold risks with a label"):
        fit_uncertainty(data, USES, Rules())


def test_levels_of_fold_models_do_not_make_the_event_rate_look_strange() -> None:
    # A model that says the event rate of its training rows: lower where the fold holds more
    # events. Taken as they are, these risks would leave a class out for most persons.
    y = (np.arange(300) % 10 < 3).astype(np.float64)
    plan = make_split_plan(y, np.arange(300), repeats=1, folds=7, inner_folds=2, seed=1)
    level = fold_levels(y[None], plan)

    def held(levels: np.ndarray | None) -> np.ndarray:
        data = Calibration(y[None], level, levels, np.arange(300), table())
        sets = fit_uncertainty(data, Uses((), (), {}), Rules()).sets
        return sets.contains(np.array([y.mean() - 1e-9, y.mean() + 1e-9]))

    assert len(np.unique(level)) > 1
    moved = Calibration(y[None], level, level, np.arange(300), table()).rows(
        np.ones((1, 300), dtype=bool)
    )[1]
    assert np.ptp(moved) < 1e-12
    assert np.ptp(level) > 1e-4
    assert held(level).any(axis=0).all()


def test_answers_of_a_fold_do_not_depend_on_its_labels() -> None:
    plan = make_split_plan(LABEL, PERSON, repeats=1, folds=4, inner_folds=2, seed=2)
    test = plan.folds[0].test
    other = LABEL.copy()
    other[test] = 1 - other[test]

    def answered(y: np.ndarray) -> tuple[list[str], list[float]]:
        data = Calibration(y[None], RISK[None], None, PERSON, table())
        found = cross_answers(data, plan, USES, Rules())[0]
        return found.set_names.shown[test].tolist(), found.lower[test].tolist()

    assert answered(LABEL) == answered(other)


def test_coverage_risk_ends_at_the_error_of_everybody() -> None:
    judged = Judged(LABEL, PERSON, np.zeros((1, 300), dtype=np.int64))
    rows = Resamples(judged, RISK[None], 50, 0)

    curve = coverage_risk(rows).set_index(["error", "share"])["estimate"]

    assert curve["wrong_side", 1.0] == pytest.approx(((RISK >= 0.5) != (LABEL == 1)).mean())
    assert curve["brier", 1.0] == pytest.approx(((RISK - LABEL) ** 2).mean())
    # Calibrated risks: the most certain tenth errs least.
    assert curve["wrong_side", 0.1] < curve["wrong_side", 1.0]


def test_equal_certainty_makes_a_flat_curve() -> None:
    judged = Judged(LABEL, PERSON, np.zeros((1, 300), dtype=np.int64))

    curve = coverage_risk(Resamples(judged, np.full((1, 300), 0.3), 50, 0))

    wrong = curve.loc[curve["error"] == "wrong_side", "estimate"]
    assert wrong.to_numpy() == pytest.approx(np.full(10, LABEL.mean()))


def test_abstention_of_nobody_is_no_gain() -> None:
    judged = Judged(LABEL, PERSON, np.zeros((1, 300), dtype=np.int64))

    found = abstention_effect(Resamples(judged, RISK[None], 50, 0), np.zeros((1, 300), dtype=bool))

    assert found["brier"]["sentence"] == NOBODY
    assert found["share_answered"]["estimate"] == 1.0
