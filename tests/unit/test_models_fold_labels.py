"""Labels per fold and soft labels: what is learnt from, what is judged, what stays out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.classifiers import Candidate, FeatureRoles, LadderSettings, make_ladder
from models.errors import NotEnoughDataError
from models.fold_labels import double, first_copies, judged_labels, learnable
from models.splits import SplitPlan, make_split_plan
from models.validation import cross_validate, fit_tuned, predict_risk

SETTINGS = LadderSettings((2.0, 8.0), (0.1, 1.0), (1, 2), (5, 10))


@pytest.fixture
def study():
    rng = np.random.default_rng(5)
    person = np.repeat(np.arange(40), 2)
    X = pd.DataFrame(rng.normal(size=(80, 3)), columns=["a", "b", "c"])
    X["a"] = X["a"].round()
    return X, (X["c"] + rng.normal(size=80) > 0).to_numpy(float), person


@pytest.fixture
def plan(study):
    _, y, person = study
    return make_split_plan(y, person, repeats=2, folds=3, inner_folds=2, seed=4)


@pytest.fixture
def ladder():
    return make_ladder(FeatureRoles(("a",), ("a", "b"), ("a", "b", "c")), SETTINGS)


def risks(found):
    return found.predictions.filter(like="p_")


# ---- labels per fold


def test_the_same_labels_in_every_fold_predict_as_one_row_of_labels(study, plan, ladder):
    X, y, _ = study

    once = cross_validate(X, y, plan, ladder)
    per_fold = cross_validate(X, np.tile(y, (len(plan.folds), 1)), plan, ladder)

    pd.testing.assert_frame_equal(once.predictions, per_fold.predictions, check_exact=True)


def test_a_fold_learns_from_its_own_labels_only(study, plan, ladder):
    X, y, _ = study
    labels = np.tile(y, (len(plan.folds), 1))
    labels[2] = 1 - labels[2]
    changed = plan.folds[2]

    before = risks(cross_validate(X, y, plan, ladder))
    after = risks(cross_validate(X, labels, plan, ladder))

    rows = changed.repeat * plan.n_rows + changed.test
    others = np.setdiff1d(np.arange(len(before)), rows)
    pd.testing.assert_frame_equal(before.loc[others], after.loc[others], check_exact=True)
    assert (before.loc[rows, "p_logistic"] != after.loc[rows, "p_logistic"]).all()


def test_a_row_without_a_label_is_predicted_but_not_learnt_from(study, plan, ladder):
    X, y, _ = study
    fold = plan.folds[0]
    labels = np.tile(y, (len(plan.folds), 1))
    hidden = fold.train[:9]
    labels[0, hidden] = np.nan
    kept = np.setdiff1d(fold.train, hidden)
    inner = [(np.setdiff1d(a, hidden), np.setdiff1d(b, hidden)) for a, b in fold.inner]

    found = risks(cross_validate(X, labels, plan, ladder))

    assert found.notna().all(axis=None)
    for candidate in ladder:
        fitted, _ = fit_tuned(candidate, X, y, kept, inner)
        np.testing.assert_array_equal(
            found.loc[fold.test, f"p_{candidate.name}"], predict_risk(fitted, X.iloc[fold.test])
        )


def test_rows_are_judged_by_the_labels_of_the_fold_that_tests_them(study, plan):
    labels = np.arange(len(plan.folds))[:, None] * np.ones((1, plan.n_rows))

    judged = judged_labels(labels, plan)

    assert judged.shape == (plan.n_repeats, plan.n_rows)
    for position, fold in enumerate(plan.folds):
        assert (judged[fold.repeat, fold.test] == position).all()


def test_one_class_in_the_training_rows_of_a_fold_is_too_little(study, plan):
    _, y, _ = study
    labels = np.tile(y, (len(plan.folds), 1))
    labels[1] = np.where(labels[1] == 1, np.nan, labels[1])

    with pytest.raises(NotEnoughDataError, match="^repeat 0, fold 1: expected events and non"):
        learnable(plan, labels, y)


def test_tuning_splits_that_learn_one_class_only_are_left_out(study, plan):
    _, y, _ = study
    labels = np.tile(y, (len(plan.folds), 1))
    train, _ = plan.folds[2].inner[0]
    labels[2, train] = 1.0

    usable = learnable(plan, labels, y)

    assert len(usable.folds[2].inner) == len(plan.folds[2].inner) - 1
    assert all(
        len(a.inner) == len(b.inner)
        for i, (a, b) in enumerate(zip(usable.folds, plan.folds, strict=True))
        if i != 2
    )
    assert len(usable.final) == len(plan.final)


# ---- soft labels


def fit_soft(candidate, settings, X, soft):
    """Fit one setting to soft labels by the rows that stand for them."""
    one = Candidate(candidate.name, candidate.rung, candidate.make, (settings,))
    fold = {"repeat": 0, "fold": 0, "train": [], "test": [], "inner": []}
    rows = double(X, soft, SplitPlan.from_dict({"n_rows": len(X), "folds": [fold], "final": []}))
    everything = np.arange(2 * len(X))
    return fit_tuned(one, rows.X, rows.y, everything, (), weights=rows.weights)[0]


@pytest.mark.parametrize("name", ["prevalence", "stratum", "baseline", "logistic", "xgboost"])
def test_hard_labels_given_as_soft_ones_fit_the_same_model(study, ladder, name):
    X, y, _ = study
    candidate = next(c for c in ladder if c.name == name)
    hard = candidate.make(**candidate.grid[0]).fit(X, y.astype(int))

    soft = fit_soft(candidate, candidate.grid[0], X, y)

    np.testing.assert_allclose(predict_risk(soft, X), predict_risk(hard, X), atol=1e-5)


@pytest.mark.parametrize("name", ["prevalence", "logistic"])
def test_a_soft_label_counts_as_its_share_of_an_event(study, ladder, name):
    """Every row as three quarters of an event is as three events and one non-event each."""
    X, _, _ = study
    candidate = next(c for c in ladder if c.name == name)

    soft = fit_soft(candidate, candidate.grid[0], X, np.full(80, 0.75))

    # A ridge towards zero leaves the intercept free: the mean risk is the share.
    assert predict_risk(soft, X).mean() == pytest.approx(3 / (3 + 1), abs=1e-4)


def test_the_stratum_rate_counts_rows_by_their_weight(ladder):
    X = pd.DataFrame({"a": [0.0, 0.0, 1.0]})
    settings = {"columns": ("a",), "prior_strength": 2.0}

    fitted = fit_soft(ladder[1], settings, X, np.array([1, 0.5, 0.0]))

    overall = (1 + 0.5 + 0) / 3
    expected = [(1.5 + 2 * overall) / (2 + 2)] * 2 + [(0 + 2 * overall) / (1 + 2)]
    np.testing.assert_allclose(predict_risk(fitted, X), expected)


def test_tuning_minimises_the_expected_loss_of_soft_labels(study, plan):
    X, _, _ = study

    class Fixed:
        def __init__(self, risk):
            self.risk = risk

        def get_params(self, deep=True):
            return {"risk": self.risk}

        def fit(self, X, y, sample_weight=None):
            return self

        def predict_proba(self, X):
            return np.column_stack([np.full(len(X), 1 - self.risk), np.full(len(X), self.risk)])

    candidate = Candidate("fixed", 0, Fixed, tuple({"risk": r} for r in (0.1, 0.3, 0.5)))
    rows = double(X, np.full(80, 0.3), plan)

    _, record = fit_tuned(
        candidate, rows.X, rows.y, np.arange(160), rows.plan.final, weights=rows.weights
    )

    assert record["setting"] == 1
    assert record["losses"] == pytest.approx(
        [-(0.3 * np.log(r) + 0.7 * np.log(1 - r)) for r in (0.1, 0.3, 0.5)]
    )


def test_every_single_row_is_predicted_once_from_doubled_rows(study, plan, ladder):
    X, y, person = study
    soft = np.where(y == 1, 0.8, 0.1)
    soft[:3] = np.nan
    rows = double(X, soft, plan)
    for fold in rows.plan.folds:
        assert not set(person[fold.test]) & set(person[fold.train % 80])

    found = cross_validate(rows.X, rows.y, rows.plan, ladder, weights=rows.weights)

    single = first_copies(found.predictions, 80)
    assert single["row"].tolist() == [*range(80), *range(80)]
    assert single.filter(like="p_").notna().all(axis=None)
