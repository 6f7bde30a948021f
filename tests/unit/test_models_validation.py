"""Nested cross-validation: tuned inside, predicted outside, kept in order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from models.classifiers import (
    Candidate,
    FeatureRoles,
    LadderSettings,
    Learning,
    make_ladder,
)
from models.metrics import CLIP, log_loss_per_row
from models.splits import make_split_plan
from models.validation import (
    Execution,
    cross_validate,
    fit_tuned,
    predict_risk,
    setting_risks,
    without_path,
)

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


# ---- one pass for many settings


@pytest.fixture
def full_ladder():
    """Every rung with every option: splines, a regression, monotone and recalibrated trees."""
    settings = LadderSettings(
        stratum_prior_strength=(2.0, 8.0),
        logistic_c=(0.3, 0.01, 1.0, 0.1),
        xgboost_max_depth=(1, 3),
        xgboost_n_estimators=(5, 30, 12),
        logistic_spline_knots=(0, 3),
        regression_alpha=(100.0, 1.0, 10.0),
        regression_l1_ratio=(0.0, 0.5, 1.0),
        xgboost_calibration="platt",
        monotone={"c": 1},
    )
    return make_ladder(FeatureRoles(("a",), ("a", "b"), ("a", "b", "c")), settings)


@pytest.fixture
def margin(study):
    X, y, _ = study
    return np.where(y == 1, 1, -1) * np.abs(X["c"].to_numpy() + 0.5)


def test_the_path_of_a_grid_equals_a_fit_per_setting(study, full_ladder, margin):
    X, y, _ = study
    weights = np.random.default_rng(1).uniform(0.2, 2, len(y))
    for weighting in (None, weights):
        train = Learning(X, y, weighting, margin).at(np.arange(70))
        for candidate in full_ladder:
            fast = setting_risks(candidate, train, X.iloc[70:])

            plain = setting_risks(without_path(candidate), train, X.iloc[70:])

            # Trees are the same trees; a penalised model is solved to a Newton step of 1e-8.
            tolerance = 0 if candidate.name == "xgboost" else 1e-9
            np.testing.assert_allclose(fast, plain, rtol=0, atol=tolerance, err_msg=candidate.name)


def test_nested_cross_validation_by_path_chooses_and_predicts_the_same(
    study, plan, full_ladder, margin
):
    X, y, _ = study

    fast = cross_validate(X, y, plan, full_ladder, margin=margin)
    plain = cross_validate(X, y, plan, [without_path(c) for c in full_ladder], margin=margin)

    assert [c["setting"] for c in fast.chosen] == [c["setting"] for c in plain.chosen]
    pd.testing.assert_series_equal(
        fast.predictions["p_xgboost"], plain.predictions["p_xgboost"], check_exact=True
    )
    np.testing.assert_allclose(fast.predictions, plain.predictions, rtol=0, atol=1e-6)


# ---- labels per fold, unknown labels, weights


def test_labels_of_each_fold_are_used_in_that_fold_only(study, plan, ladder):
    X, y, _ = study
    per_fold = np.tile(y, (len(plan.folds), 1))
    per_fold[2] = 1 - y
    plain = cross_validate(X, y, plan, ladder).predictions

    found = cross_validate(X, per_fold, plan, ladder).predictions

    turned = (found["repeat"] == plan.folds[2].repeat) & (found["fold"] == plan.folds[2].fold)
    pd.testing.assert_frame_equal(found[~turned], plain[~turned], check_exact=True)
    assert (found.loc[turned, "p_logistic"] != plain.loc[turned, "p_logistic"]).all()


def test_labels_for_another_number_of_folds_are_refused(study, plan, ladder):
    X, y, _ = study

    with pytest.raises(ValueError, match="expected one row for each of 6 folds, found 2"):
        cross_validate(X, np.tile(y, (2, 1)), plan, ladder)


def test_a_row_without_a_label_is_predicted_but_not_learnt_from(study, plan, full_ladder, margin):
    X, y, _ = study
    unknown = np.arange(100) % 7 == 0
    partly = np.where(unknown, np.nan, y)
    other_X = X.copy()
    other_X.loc[unknown, "c"] += 5.0

    found = cross_validate(X, partly, plan, full_ladder, margin=margin).predictions
    other = cross_validate(other_X, partly, plan, full_ladder, margin=margin).predictions

    assert found.filter(like="p_").notna().all(axis=None)
    rows = ~unknown[found["row"].to_numpy()]
    pd.testing.assert_frame_equal(found[rows], other[rows], check_exact=True)


@pytest.mark.parametrize("name", ["prevalence", "stratum"])
def test_a_weight_of_two_is_the_row_twice(name, study, ladder):
    X, y, _ = study
    candidate = next(c for c in ladder if c.name == name)
    weights = np.where(np.arange(100) < 40, 2.0, 1.0)
    twice = np.concatenate([np.arange(100), np.arange(40)])
    repeated = X.iloc[twice].reset_index(drop=True)

    weighted, _ = fit_tuned(candidate, X, y, np.arange(100), (), weights=weights)
    plain, _ = fit_tuned(candidate, repeated, y[twice], np.arange(140), ())

    np.testing.assert_allclose(predict_risk(weighted, X), predict_risk(plain, X), atol=1e-12)


def test_a_weight_of_zero_is_no_row_to_learn_from(study, full_ladder, margin):
    X, y, _ = study
    weights = np.where(np.arange(100) < 30, 0.0, 1.0)
    turned = np.where(weights == 0, 1 - y, y)
    for candidate in full_ladder:
        labels = (y, turned) if candidate.learns == "class" else (y, y)
        risks = [
            predict_risk(
                fit_tuned(candidate, X, one, np.arange(100), (), weights=weights, margin=margin)[0],
                X,
            )
            for one in labels
        ]

        np.testing.assert_allclose(*risks, atol=1e-9, err_msg=candidate.name)


# ---- long runs


class Kept(dict):
    """A store in memory."""

    def load(self):
        return dict(self)

    def save(self, key, result):
        self[key] = result


class Killed(Exception):
    pass


def test_a_killed_run_goes_on_where_it_ended_and_ends_alike(study, plan, ladder):
    X, y, _ = study
    store, seen = Kept(), []

    def die(done, total):
        if done == 7:
            raise Killed

    with pytest.raises(Killed):
        cross_validate(X, y, plan, ladder, execution=Execution(store=store, progress=die))
    kept = set(store)
    found = cross_validate(
        X, y, plan, ladder, execution=Execution(store=store, progress=lambda *at: seen.append(at))
    )

    assert len(kept) == 7
    assert seen == [(done, 30) for done in range(7, 31)]
    plain = cross_validate(X, y, plan, ladder)
    pd.testing.assert_frame_equal(found.predictions, plain.predictions, check_exact=True)
    assert found.chosen == plain.chosen
