"""Candidates and scorers: the same probabilities, row by row, and contributions that add up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shap
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier

from models.calibration import logit
from models.classifiers import (
    FeatureRoles,
    LadderSettings,
    StratumClassifier,
    make_ladder,
    make_logistic,
    make_regression,
    make_stratum,
    make_xgboost,
)
from models.errors import LeakageError
from models.explain import check_additivity, family_table, importance_table
from models.leakage import check_unfitted
from models.recalibration import Recalibrated, Recalibration
from models.scorers import (
    BoostedScorer,
    ConstantScorer,
    Contributions,
    LinearScorer,
    MarginScorer,
    StratumScorer,
    make_scorer,
)

RUNGS = ("prevalence", "stratum", "baseline", "logistic", "xgboost")
# Rungs with options: a regression of the change, bent columns, recalibrated trees.
VARIANTS = ("regression", "splined", "platt", "beta")
EVERY = (*RUNGS, *VARIANTS)
TREES = ("xgboost", "platt", "beta")
KINDS = {
    "regression": MarginScorer,
    "splined": LinearScorer,
    "platt": BoostedScorer,
    "beta": BoostedScorer,
    "prevalence": ConstantScorer,
    "stratum": StratumScorer,
    "baseline": LinearScorer,
    "logistic": LinearScorer,
    "xgboost": BoostedScorer,
}
ROLES = FeatureRoles(
    ("condition", "exercise"),
    ("condition", "exercise", "pain"),
    ("condition", "exercise", "pain", "age", "cpm", "never_known", *(f"x{i}" for i in range(24))),
)
# XGBoost computes in float32: a contribution is one of about a hundred float32 sums.
FLOAT32 = 1e-5


def people(seed=0, n=250):
    """Strata, informative columns with missing values, one column nobody has, and noise."""
    rng = np.random.default_rng(seed)
    noise = {f"x{i}": rng.normal(size=n) for i in range(24)}
    X = pd.DataFrame(
        {
            "condition": rng.integers(0, 3, n) * 1.0,
            "exercise": rng.integers(0, 2, n) * 1.0,
            "pain": rng.uniform(0, 10, n),
            "age": rng.normal(50, 12, n),
            "cpm": rng.normal(size=n),
            "never_known": np.nan,
            **noise,
        }
    )
    log_odds = X["pain"] / 3 - 2 + X["cpm"] - 0.5 * X["condition"]
    y = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int)
    for name in ("exercise", "pain", "cpm", "x3"):
        X.loc[rng.random(n) < 0.15, name] = np.nan
    return X[list(ROLES.predictors)], y


def ladder(depth=(2,)):
    return {c.name: c for c in make_ladder(ROLES, LadderSettings((8.0,), (0.1,), depth, (30, 60)))}


@pytest.fixture(scope="module")
def fitted():
    X, y = people()
    models = {name: c.make(**c.grid[-1]).fit(X, y) for name, c in ladder().items()}
    margin = y - 0.5 + np.random.default_rng(2).normal(0, 0.5, len(y))
    return models | {
        "regression": make_regression(ROLES.predictors, 30.0).fit(X, margin),
        "splined": make_logistic(ROLES.predictors, 0.1, spline_knots=4).fit(X, y),
        "platt": Recalibrated(models["xgboost"], Recalibration(0.3, 0.7, 0.7)),
        "beta": Recalibrated(models["xgboost"], Recalibration(-0.2, 0.6, 1.3)),
    }


def strange_rows():
    """Rows no model was trained on: all missing, unseen strata, far away, missing elsewhere."""
    X = people(seed=9, n=8)[0]
    X.iloc[0] = np.nan
    X.loc[1, ["condition", "exercise"]] = 77.0
    X.loc[2, ["condition", "exercise"]] = [1.0, np.nan]
    X.iloc[3] = 1e6
    X.iloc[4] = -1e6
    X.loc[5, ["age", "x0", "x1"]] = np.nan
    X.loc[6, "never_known"] = 3.0
    return X


# ---- what every candidate promises


@pytest.mark.parametrize("name", EVERY)
def test_a_candidate_gives_probabilities_of_both_classes(name, fitted):
    X, _ = people(seed=1)

    proba = fitted[name].predict_proba(X)

    assert proba.shape == (len(X), 2)
    assert ((proba >= 0) & (proba <= 1)).all()
    # float32 in the trees.
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("name", RUNGS)
def test_every_setting_of_a_grid_can_be_made_cloned_and_fitted(name):
    X, y = people(n=80)

    for settings in ladder(depth=(1, 3))[name].grid:
        made = ladder()[name].make(**settings)
        fitted_clone = clone(made).fit(X, y)

        assert repr(fitted_clone.get_params()) == repr(made.get_params())


@pytest.mark.parametrize("name", RUNGS)
def test_fitting_changes_no_parameter(name):
    X, y = people(n=80)
    candidate = ladder()[name]
    estimator = candidate.make(**candidate.grid[0])
    before = {k: repr(v) for k, v in estimator.get_params().items() if not hasattr(v, "fit")}

    estimator.fit(X, y)

    after = {k: repr(v) for k, v in estimator.get_params().items() if not hasattr(v, "fit")}
    assert {k: v for k, v in after.items() if k != "steps"} == {
        k: v for k, v in before.items() if k != "steps"
    }


@pytest.mark.parametrize("name", RUNGS)
def test_fitting_twice_gives_the_same_model(name):
    X, y = people()
    candidate = ladder()[name]

    first, second = (
        candidate.make(**candidate.grid[0]).fit(X, y).predict_proba(X) for _ in range(2)
    )

    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", RUNGS)
def test_a_candidate_is_unfitted_until_it_is_fitted(name, fitted):
    candidate = ladder()[name]

    check_unfitted(candidate.make(**candidate.grid[0]))

    with pytest.raises(LeakageError, match="expected an unfitted estimator"):
        check_unfitted(fitted[name])


def test_the_ladder_goes_up():
    rungs = make_ladder(ROLES, LadderSettings((2.0, 8.0), (0.1, 1.0), (1, 3), (40, 120)))

    assert [c.name for c in rungs] == list(RUNGS)
    assert [c.rung for c in rungs] == [0, 1, 2, 3, 5]
    assert [len(c.grid) for c in rungs] == [1, 2, 2, 2, 2 * 2]
    assert [s["c"] for s in rungs[3].grid] == [0.1, 1.0]
    assert [(s["max_depth"], s["n_estimators"]) for s in rungs[4].grid] == [
        (1, 40),
        (1, 120),
        (3, 40),
        (3, 120),
    ]


def test_a_rung_sees_its_own_columns_only():
    X, y = people()
    candidate = ladder()["baseline"]
    model = candidate.make(**candidate.grid[0]).fit(X, y)

    other = X.copy()
    other[[c for c in X.columns if c not in ROLES.baseline]] = 5.0

    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(other))


# ---- strata by hand


def test_stratum_rates_are_shrunk_towards_the_overall_rate():
    # 3 of 8 rows have an event. Stratum 0|0 has 3 of 4, stratum 1|0 has 0 of 3, one is missing.
    X = pd.DataFrame({"a": [0, 0, 0, 0, 1, 1, 1, np.nan], "b": 0.0})
    y = np.array([1, 1, 1, 0, 0, 0, 0, 0])

    risk = StratumClassifier(("a", "b"), prior_strength=2.0).fit(X, y).predict_proba(X)[:, 1]

    overall = 3 / 8
    expected = [(3 + 2 * overall) / (4 + 2)] * 4 + [(0 + 2 * overall) / (3 + 2)] * 3
    np.testing.assert_allclose(risk, [*expected, (0 + 2 * overall) / (1 + 2)], rtol=1e-15)


def test_an_unseen_stratum_has_the_overall_rate():
    X = pd.DataFrame({"a": [0.0, 0.0, 1.0, 1.0]})
    model = StratumClassifier(("a",), prior_strength=1.0).fit(X, np.array([1, 1, 1, 0]))

    risk = model.predict_proba(pd.DataFrame({"a": [5.0, np.nan]}))[:, 1]

    assert risk.tolist() == [3 / 4, 3 / 4]


def test_a_missing_value_is_a_stratum_of_its_own():
    X = pd.DataFrame({"a": [0.0] * 10 + [np.nan] * 10})
    y = np.repeat([0, 1], 10)

    risk = StratumClassifier(("a",), prior_strength=0.0).fit(X, y).predict_proba(X)[:, 1]

    assert risk.tolist() == [0.0] * 10 + [1.0] * 10


# ---- scorers say what pipelines say


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("rows", ["training", "new", "strange"])
def test_a_scorer_gives_the_pipelines_probability(name, rows, fitted):
    table = {"training": people()[0], "new": people(3)[0], "strange": strange_rows()}[rows]
    scorer = make_scorer(fitted[name])

    risk = scorer.probability(table)

    assert isinstance(scorer, KINDS[name])
    # The pipeline's risk has the resolution of float32, the scorer's its log-odds.
    tolerance = 2e-7 if name in TREES else 1e-12
    np.testing.assert_allclose(
        risk, fitted[name].predict_proba(table)[:, 1], rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("name", EVERY)
def test_log_odds_are_those_of_the_probability(name, fitted):
    scorer = make_scorer(fitted[name])
    X, _ = people(seed=3)

    np.testing.assert_allclose(scorer.log_odds(X), logit(scorer.probability(X)), atol=1e-9)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_a_row_is_predicted_alike_alone_and_among_others(name, size, fitted):
    scorer = make_scorer(fitted[name])
    X = pd.concat([people(seed=3)[0], strange_rows()], ignore_index=True)
    whole = scorer.probability(X)

    parts = [scorer.probability(X.iloc[i : i + size]) for i in range(0, len(X), size)]

    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("name", EVERY)
def test_a_prediction_depends_neither_on_the_order_of_rows_nor_of_columns(name, fitted):
    scorer = make_scorer(fitted[name])
    X, _ = people(seed=3)
    order = np.random.default_rng(0).permutation(len(X))

    shuffled = scorer.probability(X[X.columns[::-1]].iloc[order])

    np.testing.assert_array_equal(shuffled, scorer.probability(X)[order])


@pytest.mark.parametrize("name", EVERY)
def test_no_rows_in_no_rows_out(name, fitted):
    scorer = make_scorer(fitted[name])
    empty = people()[0].iloc[:0]

    found = scorer.contributions(empty)

    assert scorer.probability(empty).shape == (0,)
    assert scorer.log_odds(empty).shape == (0,)
    assert found.values.shape == (0, len(found.names))


@pytest.mark.parametrize("name", EVERY)
def test_a_scorer_changes_nothing_in_its_table(name, fitted):
    X = strange_rows()
    before = X.copy()

    make_scorer(fitted[name]).probability(X)
    make_scorer(fitted[name]).contributions(X)

    pd.testing.assert_frame_equal(X, before)


@pytest.mark.filterwarnings("error")
def test_a_linear_scorer_is_sure_far_away_without_noise():
    scorer = LinearScorer(("a",), (0.0,), (), (0.0,), (1.0,), (1.0,), 0.0)

    risk = scorer.probability(pd.DataFrame({"a": [-800.0, 0.0, 800.0]}))

    assert risk.tolist() == [0.0, 0.5, 1.0]


def test_a_pipeline_that_is_no_rung_has_no_scorer():
    X, y = people(n=40)
    columns = list(ROLES.stratum)
    forest = make_logistic(columns, 1.0).set_params(model=RandomForestClassifier(2)).fit(X, y)

    with pytest.raises(TypeError) as caught:
        make_scorer(forest)

    assert str(caught.value) == "no scorer for RandomForestClassifier"


# ---- contributions


def test_contributions_of_a_bent_column_are_summed_over_its_terms(fitted):
    # What a column adds is a function of that column alone: rows that differ in it only differ
    # by its contribution only, and by just that.
    scorer = make_scorer(fitted["splined"])
    X = people()[0].iloc[[0, 0]].reset_index(drop=True)
    X.loc[1, "pain"] = 9.5

    values = scorer.contributions(X).values
    log_odds = scorer.log_odds(X)

    changed = list(scorer.columns).index("pain")
    moved = values[1] - values[0]
    assert moved[changed] == pytest.approx(log_odds[1] - log_odds[0], abs=1e-12)
    assert not np.delete(moved, changed).any()
    assert "pain" in scorer.spline_columns
    assert "exercise" not in scorer.spline_columns


@pytest.mark.parametrize("name", EVERY)
def test_contributions_of_a_row_are_those_of_it_alone_to_the_last_bit(name, fitted):
    scorer = make_scorer(fitted[name])
    X = strange_rows()
    explain = (
        scorer.explained if hasattr(scorer, "explained") else lambda t: (0, scorer.contributions(t))
    )

    whole = explain(X)[1].values

    alone = [explain(X.iloc[[row]])[1].values[0] for row in range(len(X))]
    np.testing.assert_array_equal(whole, np.stack(alone))


@pytest.mark.parametrize("name", ["regression", "beta"])
def test_stretched_contributions_keep_sign_and_share(name, fitted):
    # One factor a row, and a positive one: what weighs most stays what weighs most.
    scorer = make_scorer(fitted[name])
    X, _ = people(seed=4)
    raw = (
        scorer.terms_by_column(X)
        if name == "regression"
        else make_scorer(fitted["xgboost"]).contributions(X).values
    )

    found = scorer.contributions(X).values

    shares = np.abs(raw) / np.abs(raw).sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(np.sign(found), np.sign(raw))
    np.testing.assert_allclose(
        np.abs(found) / np.abs(found).sum(axis=1, keepdims=True), shares, atol=1e-9
    )


def test_platt_scaled_contributions_are_those_of_the_trees_times_the_slope(fitted):
    X, _ = people(seed=4)
    raw = make_scorer(fitted["xgboost"]).contributions(X)

    found = make_scorer(fitted["platt"]).contributions(X)

    np.testing.assert_allclose(found.values, 0.7 * raw.values, rtol=1e-12)
    assert found.baseline == pytest.approx(0.3 + 0.7 * raw.baseline, abs=1e-12)


def test_a_recalibrated_model_that_is_no_tree_has_no_scorer(fitted):
    with pytest.raises(TypeError, match="no scorer for a recalibrated LinearScorer"):
        make_scorer(Recalibrated(fitted["logistic"], Recalibration(0.0, 2.0, 2.0)))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("rows", ["training", "strange"])
def test_contributions_add_up_to_the_log_odds(name, rows, fitted):
    table = people()[0] if rows == "training" else strange_rows()
    scorer = make_scorer(fitted[name])

    found = scorer.contributions(table)

    total = found.baseline + found.values.sum(axis=1)
    # Relative, too: far away the linear log-odds are themselves of the order 1e5.
    np.testing.assert_allclose(
        total,
        scorer.log_odds(table),
        rtol=1e-12,
        atol=FLOAT32 if name in TREES else 1e-9,
    )
    check_additivity(found, scorer.log_odds(table))


def test_linear_contributions_are_coefficient_times_distance_from_the_mean(fitted):
    # SHAP values of a linear model with independent features have this closed form.
    X, _ = people()
    steps = fitted["logistic"].named_steps
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    filled = impute.fit_transform(X[list(ROLES.predictors)])
    slope = steps["model"].coef_[0] / steps["prepare"].scale_
    terms = slope * (filled - filled.mean(axis=0))
    columns = list(ROLES.predictors)
    for position, source in enumerate(impute.indicator_.features_):
        terms[:, source] += terms[:, len(columns) + position]

    found = make_scorer(fitted["logistic"]).contributions(X)

    assert found.names == tuple(columns)
    np.testing.assert_allclose(found.values, terms[:, : len(columns)], atol=1e-9)
    np.testing.assert_allclose(found.values.mean(axis=0), 0, atol=1e-9)


def test_linear_baseline_is_the_log_odds_of_the_average_row(fitted):
    scorer = make_scorer(fitted["logistic"])

    assert scorer.contributions(people()[0]).baseline == pytest.approx(
        scorer.log_odds(people()[0]).mean(), abs=1e-9
    )


def test_stratum_contributes_as_a_whole(fitted):
    scorer = make_scorer(fitted["stratum"])
    X, y = people()

    found = scorer.contributions(X)

    assert found.names == ("stratum",)
    assert found.baseline == pytest.approx(np.log(y.mean() / (1 - y.mean())))


def test_nothing_contributes_to_the_prevalence(fitted):
    found = make_scorer(fitted["prevalence"]).contributions(people()[0])

    assert found.names == ()
    assert found.values.shape == (250, 0)


def test_tree_contributions_are_those_of_shap(fitted):
    X, _ = people()
    model = fitted["xgboost"].named_steps["model"]
    explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")

    found = make_scorer(fitted["xgboost"]).contributions(X)

    np.testing.assert_allclose(
        found.values, explainer.shap_values(X.to_numpy()), rtol=0, atol=FLOAT32
    )
    assert found.baseline == pytest.approx(float(explainer.expected_value), abs=FLOAT32)


def test_shap_reads_the_trees_of_the_installed_xgboost():
    X, y = people(n=60)

    explanation = shap.TreeExplainer(XGBClassifier(n_estimators=3, n_jobs=1).fit(X, y))(X)

    assert explanation.values.shape == X.shape


def test_an_explanation_of_another_model_is_refused(fitted):
    X, _ = people()
    found = make_scorer(fitted["logistic"]).contributions(X)

    with pytest.raises(ArithmeticError, match="contributions miss the prediction by up to"):
        check_additivity(found, make_scorer(fitted["baseline"]).log_odds(X))


def test_importance_is_the_mean_absolute_contribution():
    found = Contributions(("a", "b"), np.array([[1.0, -4.0], [-3.0, 2.0]]), 0.0)

    table = importance_table(found, {"b": "pain"})

    assert table.to_dict("list") == {
        "feature": ["b", "a"],
        "family": ["pain", "a"],
        "mean_abs_log_odds": [(4 + 2) / 2, (1 + 3) / 2],
        "share": [3 / (3 + 2), 2 / (3 + 2)],
    }


def test_a_family_adds_up_its_members_before_the_absolute_value():
    # a and b cancel in the first row and add up in the second.
    found = Contributions(("a", "b", "c"), np.array([[1.0, -1.0, 0.5], [1.0, 1.0, -0.5]]), 0.0)

    table = family_table(found, {"a": "mood", "b": "mood"})

    assert table.to_dict("list") == {
        "family": ["mood", "c"],
        "mean_abs_log_odds": [(0 + 2) / 2, (0.5 + 0.5) / 2],
    }


@pytest.mark.parametrize(
    "make", [make_logistic, make_stratum, lambda columns, s: make_xgboost(columns, 2, 5)]
)
def test_a_missing_column_is_an_error_not_a_guess(make):
    X, y = people(n=60)
    scorer = make_scorer(make(["condition", "exercise"], 1.0).fit(X, y))

    with pytest.raises(KeyError, match="exercise"):
        scorer.probability(X.drop(columns="exercise"))


def test_every_candidate_is_a_pipeline(fitted):
    assert {type(fitted[name]) for name in RUNGS} == {Pipeline}
