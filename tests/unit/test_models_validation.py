"""Nested cross-validation: tuned inside, predicted outside, kept in order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from models.classifiers import Candidate, FeatureRoles, LadderSettings, make_ladder
from models.metrics import CLIP, log_loss_per_row
from models.splits import make_split_plan
from models.validation import cross_validate, fit_tuned, predict_risk

NAMES = ("prevalence", "stratum", "baseline", "logistic", "xgboost")


class Fixed(ClassifierMixin, BaseEstimator):
    """Predicts ``risk`` for everybody and remembers how many rows it saw."""

    def __init__(self, risk):
        self.risk = risk

    def fit(self, X, y):
        self.n_seen_ = len(X)
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X):
        return np.column_stack([np.full(len(X), 1 - self.risk), np.full(len(X), self.risk)])


def fixed(*risks):
    return Candidate("fixed", 0, Fixed, tuple({"risk": r} for r in risks))


@pytest.fixture
def study():
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(50), 2)
    X = pd.DataFrame(rng.normal(size=(100, 3)), columns=["a", "b", "c"])
    X["a"] = X["a"].round()
    X.loc[rng.random(100) < 0.2, "b"] = np.nan
    return X, (X["c"] + rng.normal(size=100) > 0).to_numpy(float), person


@pytest.fixture
def plan(study):
    _, y, person = study
    return make_split_plan(y, person, repeats=2, folds=3, inner_folds=2, seed=4)


@pytest.fixture
def ladder():
    settings = LadderSettings((2.0, 8.0), (0.1, 1.0), (1, 2), (5, 10))
    return make_ladder(FeatureRoles(("a",), ("a", "b"), ("a", "b", "c")), settings)


# ---- tuning


def test_tuning_takes_the_setting_with_the_smallest_mean_loss(study, plan):
    X, y, _ = study
    rows = np.arange(100)

    fitted, record = fit_tuned(fixed(0.1, 0.5, 0.9), X, y, rows, plan.final)

    assert fitted.risk == 0.5
    assert record["setting"] == 1
    assert record["losses"] == pytest.approx(
        [log_loss_per_row(y, np.full(100, r)).mean() for r in (0.1, 0.5, 0.9)]
    )


def test_ties_in_tuning_go_to_the_simpler_setting(study, plan):
    X, y, _ = study

    _, record = fit_tuned(fixed(0.9, 0.5, 0.5), X, y, np.arange(100), plan.final)

    assert record["setting"] == 1


def test_a_certain_setting_that_errs_is_dear_but_comparable(study, plan):
    X, y, _ = study

    _, record = fit_tuned(fixed(1.0, 0.5), X, y, np.arange(100), plan.final)

    assert record["setting"] == 1
    assert record["losses"][0] == pytest.approx(-np.log(CLIP) * (1 - y.mean()), rel=1e-5)


def test_without_inner_splits_the_first_setting_is_used(study):
    X, y, _ = study

    fitted, record = fit_tuned(fixed(0.9, 0.5), X, y, np.arange(100), ())

    assert (fitted.risk, record) == (0.9, {"setting": 0, "losses": []})


def test_one_setting_needs_no_tuning(study, plan):
    X, y, _ = study

    _, record = fit_tuned(fixed(0.9), X, y, np.arange(100), plan.final)

    assert record == {"setting": 0, "losses": []}


def test_the_tuned_model_is_fitted_on_exactly_the_rows_given(study, plan):
    X, y, _ = study
    fold = plan.folds[0]

    fitted, _ = fit_tuned(fixed(0.4, 0.5), X, y, fold.train, fold.inner)

    assert fitted.n_seen_ == len(fold.train)


# ---- out of fold


def test_every_candidate_predicts_every_row_of_every_repeat(study, plan, ladder):
    X, y, _ = study

    found = cross_validate(X, y, plan, ladder).predictions

    assert list(found.columns) == ["row", "repeat", "fold", *(f"p_{n}" for n in NAMES)]
    assert found["row"].tolist() == [*range(100), *range(100)]
    assert found["repeat"].tolist() == [0] * 100 + [1] * 100
    assert found.filter(like="p_").notna().all(axis=None)
    assert found.filter(like="p_").gt(0).all(axis=None)
    assert found.filter(like="p_").lt(1).all(axis=None)


def test_predictions_stand_at_the_rows_of_their_fold(study, plan, ladder):
    X, y, _ = study
    found = cross_validate(X, y, plan, ladder).predictions

    for fold in plan.folds:
        at = fold.repeat * 100 + fold.test
        assert (found.loc[at, "fold"] == fold.fold).all()
        for candidate in ladder:
            fitted, _ = fit_tuned(candidate, X, y, fold.train, fold.inner)
            np.testing.assert_array_equal(
                found.loc[at, f"p_{candidate.name}"], predict_risk(fitted, X.iloc[fold.test])
            )


def test_tuning_is_recorded_for_every_fold_and_candidate(study, plan, ladder):
    X, y, _ = study

    chosen = cross_validate(X, y, plan, ladder).chosen

    assert [(c["repeat"], c["fold"], c["candidate"]) for c in chosen] == [
        (f.repeat, f.fold, name) for f in plan.folds for name in NAMES
    ]
    sizes = {c.name: len(c.grid) for c in ladder}
    for record in chosen:
        size = sizes[record["candidate"]]
        assert len(record["losses"]) == (size if size > 1 else 0)
        assert 0 <= record["setting"] < size


def test_the_result_depends_neither_on_processes_nor_on_order(study, plan, ladder):
    X, y, _ = study
    alone = cross_validate(X, y, plan, ladder).predictions

    together = cross_validate(X, y, plan, ladder[::-1], n_jobs=2).predictions

    pd.testing.assert_frame_equal(alone, together[alone.columns], check_exact=True)


def test_neither_data_nor_candidates_are_changed(study, plan, ladder):
    X, y, _ = study
    before_X, before_y = X.copy(), y.copy()

    cross_validate(X, y, plan, ladder)

    pd.testing.assert_frame_equal(X, before_X)
    np.testing.assert_array_equal(y, before_y)
