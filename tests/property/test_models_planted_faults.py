"""Planted faults: every kind of leak is refused, or shows in a number that must be one half."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from xgboost import XGBRegressor

from models.classifiers import Candidate, FeatureRoles, LadderSettings, make_ladder
from models.errors import LeakageError
from models.leakage import check_declared, check_known_at, check_no_outcome_copy, check_unfitted
from models.metrics import Judged, auc
from models.splits import make_split_plan
from models.validation import cross_validate

SEEDS = range(3)


def small_ladder(X, names):
    """The real ladder on small grids; the first column is the stratum, two are baseline."""
    columns = tuple(X.columns)
    roles = FeatureRoles(columns[:1], columns[:2], columns)
    rungs = make_ladder(roles, LadderSettings((2.0, 8.0), (0.1, 10.0), (3,), (10, 60)))
    return tuple(c for c in rungs if c.name in names)


def untuned(candidates):
    """The candidates with the last settings of their grids only."""
    return tuple(replace(c, grid=c.grid[-1:]) for c in candidates)


def constant_persons(seed, n_persons=200, n_rows=4, n_features=120):
    """Label and features are noise, drawn once per person: only the person can be recognised."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.repeat([0.0, 1.0], n_persons // 2))
    features = rng.normal(size=(n_persons, n_features))
    person = np.repeat(np.arange(n_persons), n_rows)
    X = pd.DataFrame(features[person], columns=[f"f{i}" for i in range(n_features)])
    return X, label[person], person


def responders(seed, n_persons=200, n_rows=3):
    """Two of five features tell the label; a tenth of the values is missing."""
    rng = np.random.default_rng(seed)
    trait = rng.normal(size=(n_persons, 5))
    person = np.repeat(np.arange(n_persons), n_rows)
    values = trait[person] + 0.5 * rng.normal(size=(len(person), 5))
    values[rng.random(values.shape) < 0.1] = np.nan
    risk = 1 / (1 + np.exp(-1.5 * (trait[person, 0] + trait[person, 1])))
    y = (rng.random(len(person)) < risk).astype(float)
    return pd.DataFrame(values, columns=[f"f{i}" for i in range(5)]), y, person


def permuted_over_persons(y, n_rows, seed):
    """Give every person the labels of another: the clustering stays, the signal goes."""
    blocks = y.reshape(-1, n_rows)
    return np.random.default_rng(seed).permutation(blocks).ravel()


def cross_validated_auc(X, y, persons, candidates, seed):
    """Discrimination within folds, per candidate, under a plan that splits ``persons``."""
    plan = make_split_plan(y, persons, repeats=1, folds=3, inner_folds=2, seed=seed)
    predictions = cross_validate(X, y, plan, candidates).predictions
    fold = predictions["fold"].to_numpy()
    once = np.ones((1, len(y)))
    judged = Judged(y, np.arange(len(y)), fold[None])
    return {
        c.name: auc(judged, predictions[f"p_{c.name}"].to_numpy(), once, fold)[0]
        for c in candidates
    }


def plan_of_twelve():
    """Twelve rows of six persons: two repeats, three folds, two tuning splits."""
    person = np.repeat(np.arange(6), 2)
    y = np.repeat([0.0, 1.0, 0.0, 1.0, 0.0, 1.0], 2)
    return make_split_plan(y, person, repeats=2, folds=3, inner_folds=2, seed=1), person


# ---- (1) a person on both sides


def test_audit_refuses_a_person_on_both_sides_of_an_outer_split():
    plan, person = plan_of_twelve()
    fold = plan.folds[4]
    leaky = replace(fold, train=np.append(fold.train, fold.test[0]))
    broken = replace(plan, folds=(*plan.folds[:4], leaky, *plan.folds[5:]))

    with pytest.raises(LeakageError) as caught:
        broken.audit(person)

    assert str(caught.value) == (
        "repeat 1, fold 1: expected persons on one side only, found 1 on both sides. "
        "Split persons, never rows."
    )


def test_audit_refuses_a_person_on_both_sides_of_an_inner_split():
    plan, person = plan_of_twelve()
    fold = plan.folds[2]
    train, test = fold.inner[1]
    leaky = replace(fold, inner=(fold.inner[0], (np.append(train, test[:1]), test)))
    broken = replace(plan, folds=(*plan.folds[:2], leaky, *plan.folds[3:]))

    with pytest.raises(LeakageError) as caught:
        broken.audit(person)

    assert str(caught.value) == (
        "repeat 0, fold 2, inner split: expected persons on one side only, found 1 on both "
        "sides. Split persons, never rows."
    )


def test_audit_refuses_a_person_on_both_sides_of_a_final_tuning_split():
    plan, person = plan_of_twelve()
    everybody = np.arange(12)

    with pytest.raises(LeakageError) as caught:
        replace(plan, final=((everybody, everybody),)).audit(person)

    assert str(caught.value) == (
        "final tuning split: expected persons on one side only, found 6 on both sides. "
        "Split persons, never rows."
    )


def test_audit_refuses_tuning_on_rows_of_the_outer_test():
    plan, person = plan_of_twelve()
    fold = plan.folds[0]
    leaky = replace(fold, inner=((fold.train, fold.test),))

    with pytest.raises(LeakageError) as caught:
        replace(plan, folds=(leaky, *plan.folds[1:])).audit(person)

    assert str(caught.value) == (
        "repeat 0, fold 0, inner split: uses rows outside its outer train."
    )


@pytest.mark.parametrize("change", ["a row is missing", "a row is tested twice"])
def test_audit_refuses_a_repeat_that_does_not_test_every_row_once(change):
    plan, person = plan_of_twelve()
    fold = plan.folds[0]
    others = np.setdiff1d(np.arange(12), fold.test)
    test = fold.test[1:] if change == "a row is missing" else np.append(fold.test, fold.test[0])
    broken = replace(fold, train=others, test=test, inner=())

    with pytest.raises(LeakageError) as caught:
        replace(plan, folds=(broken, *plan.folds[1:])).audit(person)

    assert str(caught.value) == "repeat 0: expected every row to be tested once."


def test_audit_refuses_a_plan_made_for_rows_when_it_is_told_the_persons():
    _, person = plan_of_twelve()
    y = np.repeat([0.0, 1.0, 0.0, 1.0, 0.0, 1.0], 2)
    by_row = make_split_plan(y, np.arange(12), repeats=1, folds=2, inner_folds=2, seed=0)

    with pytest.raises(LeakageError, match=re.escape("Split persons, never rows.")):
        by_row.audit(person)


# ---- (2) the outcome, a later or an undeclared column among the features


def outcomes(n=60):
    rng = np.random.default_rng(5)
    change = rng.normal(size=n)
    return pd.DataFrame({"change_ratio": change, "response": (change > 0.3).astype(float)})


def honest_features(n=60):
    rng = np.random.default_rng(6)
    return pd.DataFrame({"age_years": rng.normal(50, 10, n), "female": rng.integers(0, 2, n) * 1.0})


def test_an_honest_table_passes_every_guard():
    features = honest_features()

    check_no_outcome_copy(features, outcomes())
    check_declared(features.columns, ["female", "age_years", "bmi"])
    check_known_at({"age_years": "screening", "female": "baseline"}, "baseline")


def test_an_outcome_by_name_is_refused():
    features = honest_features().assign(response=np.arange(60.0))

    with pytest.raises(LeakageError) as caught:
        check_no_outcome_copy(features, outcomes())

    assert str(caught.value) == (
        "features: expected nothing derived from the outcome, found response. Leave it out."
    )


@pytest.mark.parametrize(
    ("outcome", "transform"),
    [
        ("change_ratio", lambda v: v),
        ("response", lambda v: v),
        ("response", lambda v: 1 - v),
        ("change_ratio", lambda v: -3 * v + 7),
        ("change_ratio", np.exp),
        ("change_ratio", lambda v: v**3),
        ("change_ratio", lambda v: np.round(v, 1)),
        ("change_ratio", lambda v: np.where(np.arange(len(v)) % 3, v, np.nan)),
    ],
    ids=["copy", "label", "opposite", "linear", "exp", "cube", "rounded", "partly_missing"],
)
def test_an_outcome_under_another_name_is_refused(outcome, transform):
    # Ranks survive every monotone transform, so a rank correlation of one gives a copy away.
    truth = outcomes()
    features = honest_features().assign(score=transform(truth[outcome].to_numpy()))

    with pytest.raises(LeakageError) as caught:
        check_no_outcome_copy(features, truth)

    assert str(caught.value) == (
        f"features: expected nothing derived from the outcome, found score ({outcome}). "
        "Leave it out."
    )


def test_a_strong_but_honest_predictor_is_not_refused():
    # The outcome's own reliability bounds an honest rank correlation near .7; this one has .95.
    truth = outcomes()
    noise = np.random.default_rng(7).normal(0, 0.3, len(truth))

    check_no_outcome_copy(honest_features().assign(score=truth["change_ratio"] + noise), truth)


@pytest.mark.parametrize("moment", ["during", "after"])
def test_a_value_known_too_late_is_refused(moment):
    with pytest.raises(LeakageError) as caught:
        check_known_at({"age_years": "screening", "rpe": moment}, "baseline")

    assert str(caught.value) == (
        f"features: expected values known at baseline or before, found rpe ({moment}). "
        "Leave it out, or declare a later decision_time."
    )


def test_a_later_decision_may_use_what_is_known_by_then():
    check_known_at({"rpe": "during", "age_years": "screening"}, "during")


def test_undeclared_columns_are_refused_by_name():
    with pytest.raises(LeakageError) as caught:
        check_declared(["age_years", "zeta", "alpha"], ["age_years"])

    assert str(caught.value) == (
        "features: expected declared columns only, found alpha, zeta. "
        "A feature comes from a builder, which says when it is known."
    )


# ---- (3) something fitted outside the fold


def imputer_fitted_on_all(X, y):
    imputer = SimpleImputer().fit(X)
    return Pipeline([("impute", imputer), ("model", LogisticRegression())])


def frozen_imputer(X, y):
    imputer = FrozenEstimator(SimpleImputer().fit(X))
    return Pipeline([("impute", imputer), ("model", LogisticRegression())])


def frozen_model(X, y):
    return FrozenEstimator(LogisticRegression().fit(X.fillna(0), y))


def calibrated_on_all(X, y):
    return CalibratedClassifierCV(LogisticRegression(), cv=2).fit(X.fillna(0), y)


def boosted_on_all(X, y):
    return XGBRegressor(n_estimators=2, n_jobs=1).fit(X, y)


@pytest.mark.parametrize(
    ("make", "culprit"),
    [
        (imputer_fitted_on_all, "SimpleImputer ('impute')"),
        (frozen_imputer, "FrozenEstimator ('impute')"),
        (frozen_model, "FrozenEstimator ('estimator')"),
        (calibrated_on_all, "CalibratedClassifierCV ('estimator')"),
        (boosted_on_all, "XGBRegressor ('estimator')"),
    ],
)
def test_cross_validation_refuses_what_was_fitted_before_the_split(make, culprit):
    X, y, person = responders(0, n_persons=20)
    plan = make_split_plan(y, person, repeats=1, folds=2, inner_folds=2, seed=0)
    fitted = make(X, y)

    with pytest.raises(LeakageError) as caught:
        cross_validate(X, y, plan, [Candidate("leaky", 1, lambda: fitted, ({},))])

    assert str(caught.value) == (
        f"{culprit}: expected an unfitted estimator, found one that was fitted before the "
        "split. Everything learnt is learnt inside the fold."
    )


def test_an_unfitted_meta_estimator_is_accepted():
    check_unfitted(CalibratedClassifierCV(LogisticRegression()))


def changed_predictions(X, altered, labels, person, make_candidates):
    """Where predictions change when person 0 is altered: in its own test folds, and elsewhere.

    ``labels`` are the labels before and after. Rows of person 0 itself are left out.
    """
    plan = make_split_plan(labels[0], person, repeats=2, folds=3, inner_folds=2, seed=3)
    before = cross_validate(X, labels[0], plan, make_candidates(X)).predictions
    after = cross_validate(altered, labels[1], plan, make_candidates(altered)).predictions
    names = [c for c in before.columns if c.startswith("p_")]
    changed = before[names].to_numpy() != after[names].to_numpy()
    tested_at = before.loc[before["row"] == 0].set_index("repeat")["fold"]
    tested = before["fold"].to_numpy() == before["repeat"].map(tested_at).to_numpy()
    others = person[before["row"].to_numpy()] != 0
    return changed[tested & others], changed[~tested]


def with_person_extreme(X, person):
    altered = X.copy()
    altered.loc[person == 0] = 1e6
    return altered


@pytest.mark.parametrize("fault", ["values", "labels"])
def test_a_person_never_changes_predictions_of_the_folds_that_test_it(fault):
    # In the fold that tests a person nothing may be learnt from it: not by imputation, scaling,
    # tuning or fitting. Everywhere else it is training data, and may and must change something.
    X, y, person = responders(1, n_persons=45)
    X.insert(0, "exercise", np.arange(len(X)) % 4.0)
    altered = with_person_extreme(X, person) if fault == "values" else X
    other_y = y.copy()
    if fault == "labels":
        other_y[person == 0] = 1 - y[person == 0]

    same_folds, other_folds = changed_predictions(
        X,
        altered,
        (y, other_y),
        person,
        lambda table: small_ladder(table, ("stratum", "baseline", "logistic", "xgboost")),
    )

    assert not same_folds.any()
    assert other_folds.any(axis=0).all()


def test_the_same_check_finds_a_scaler_that_hides_its_knowledge_of_all_rows():
    # Nothing in this pipeline looks fitted: what it knows of all rows sits in a closure.
    X, y, person = responders(1, n_persons=45)

    def leaky(table):
        mean, spread = table.mean(), table.std()

        def make():
            scale = FunctionTransformer(lambda rows: (rows.fillna(mean) - mean) / spread)
            return Pipeline([("scale", scale), ("model", LogisticRegression())])

        return [Candidate("leaky", 1, make, ({},))]

    same_folds, _ = changed_predictions(X, with_person_extreme(X, person), (y, y), person, leaky)

    assert same_folds.any()


# ---- (4) features that only recognise a person


def test_features_that_only_recognise_a_person_are_worth_nothing_by_person():
    # 200 persons, half with an event, in three folds of m = 33 of each class: the Mann-Whitney
    # standard error of the mean of three folds is sqrt((2 m + 1) / (12 m²) / 3) = .041. Folds
    # share training persons, which raises it to .051 (the SD over 300 simulated data sets);
    # the mean over three data sets has .051 / sqrt(3) = .029.
    standard_error = 0.051 / np.sqrt(len(SEEDS))

    found = pd.DataFrame(
        cross_validated_auc(X, y, person, untuned(small_ladder(X, ("logistic", "xgboost"))), seed)
        for seed in SEEDS
        for X, y, person in [constant_persons(seed)]
    )

    assert set(found) == {"logistic", "xgboost"}
    assert (abs(found.mean() - 0.5) < 3 * standard_error).all(), found


def test_the_same_features_look_excellent_when_rows_are_split():
    # A row of the same person in training gives its label away: the test above can fail.
    X, y, _ = constant_persons(0)

    found = cross_validated_auc(
        X, y, np.arange(len(y)), untuned(small_ladder(X, ("logistic", "xgboost"))), seed=0
    )

    assert found["logistic"] > 0.9
    assert found["xgboost"] > 0.9


# ---- (5) permuted labels


def test_real_signal_is_found():
    X, y, person = responders(0)

    found = cross_validated_auc(X, y, person, small_ladder(X, ("logistic", "xgboost")), seed=0)

    # The true risks have an AUC near .84; .70 is six standard errors (.023) below what is found.
    assert found["logistic"] > 0.7
    assert found["xgboost"] > 0.7


def test_labels_permuted_over_persons_are_not_predicted():
    # Labels go from person to person, so persons stay the unit. Were a person's three labels
    # one, the standard error would be that of the test above; as they differ, it is smaller.
    standard_error = 0.051 / np.sqrt(len(SEEDS))

    found = pd.DataFrame(
        cross_validated_auc(
            X,
            permuted_over_persons(y, 3, seed + 100),
            person,
            small_ladder(X, ("logistic", "xgboost")),
            seed,
        )
        for seed in SEEDS
        for X, y, person in [responders(seed)]
    )

    assert (abs(found.mean() - 0.5) < 3 * standard_error).all(), found
