"""Protocols on data whose answer is known: noise is worth nothing, and leaks are named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from models.audit import judge_permutations
from models.bootstrap import draw_counts, resample_procedure
from models.check_tables import chosen_by_outcome
from models.classifiers import FeatureRoles, LadderSettings, make_ladder
from models.errors import LeakageError, NotEnoughDataError
from models.internal_external import judge_settings
from models.judged import Judged
from models.leakage import (
    check_blind_to_outcome,
    check_no_duplicated_persons,
    duplicated_persons,
)
from models.learning import Candidate, Learning
from models.meta_analysis import pool
from models.metrics import all_metrics
from models.optimism import correct, headline, performance, plus_632
from models.procedure import Procedure
from models.protocol_plans import Protocol, learning_curve, leave_setting_out, permuted, temporal
from models.splits import make_split_plan
from models.stability import calibration_spline, measure_stability
from models.validation import Execution, cross_validate

PROTOCOL = Protocol(folds=5, inner_folds=3, seed=3)


def noise(seed, n=60, p=200):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, p)), columns=[f"x{i}" for i in range(p)])
    return X, rng.permutation(np.repeat([0.0, 1.0], n // 2))


def signal(seed, n_persons=80, n_rows=2):
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n_persons), n_rows)
    X = pd.DataFrame(rng.normal(size=(len(person), 4)), columns=list("abcd"))
    X["s"] = (np.arange(len(person)) % 3).astype(float)
    risk = 1 / (1 + np.exp(-1.2 * X["a"] + 0.5))
    return X, (rng.random(len(person)) < risk).to_numpy(float), person


def rungs(X, names, **settings):
    columns = tuple(X.columns)
    grid = LadderSettings((8.0,), (0.001, 0.01, 0.1), (2,), (15, 40), **settings)
    ladder = make_ladder(FeatureRoles(columns[-1:], columns[-2:], columns), grid)
    return tuple(c for c in ladder if c.name in names)


def bootstrap(X, y, person, names, n_resamples, **settings):
    procedure = Procedure(rungs(X, names, **settings), 3, seed=5)
    return resample_procedure(procedure, Learning(X, y), person, n_resamples, Execution())


# ---- noise


@pytest.mark.parametrize("name", ["logistic", "xgboost"])
def test_two_hundred_noise_columns_are_worth_nothing_after_correction(name):
    # 60 persons, 30 of each class: one data set's Mann-Whitney SE is sqrt(61 / (12 * 900)) = .075,
    # averaged over 4 data sets .038. Correlated out-of-bag persons add nothing to that bound.
    standard_error = 0.075 / np.sqrt(4)
    quoted, plain = [], []
    for seed in range(4):
        X, y = noise(seed)
        run = bootstrap(X, y, np.arange(60), (name,), 20)
        found = correct(run)
        head = headline(name, found)
        quoted.append(head["auc"])
        plain.append(found["auc"].corrected)
        assert head["method"] == ".632+"

    assert abs(np.mean(quoted) - 0.5) < 3 * standard_error
    if name == "logistic":
        # The plain correction is what must not be quoted here: it is far from one half.
        assert np.mean(plain) > 0.5 + 5 * standard_error


def test_nested_cross_validation_of_two_hundred_noise_columns_gives_one_half():
    standard_error = 0.075 / np.sqrt(6)
    found = []
    for seed in range(6):
        X, y = noise(seed)
        plan = make_split_plan(y, np.arange(60), repeats=1, folds=5, inner_folds=3, seed=seed)
        predicted = cross_validate(X, y, plan, rungs(X, ("logistic",))).predictions
        judged = Judged(y, np.arange(60), predicted["fold"].to_numpy()[None, :])
        risk = predicted["p_logistic"].to_numpy()[None, :]
        found.append(all_metrics(judged, risk, np.ones((1, 60)))["auc"][0])

    # Folds of 12 compare 6 with 6: the SE of a mean over five is .075 * sqrt(36 * 25 / ...) < .09.
    assert abs(np.mean(found) - 0.5) < 3 * max(standard_error, 0.09 / np.sqrt(6))


def test_selection_before_the_split_makes_noise_look_predictive_and_is_refused():
    X, y = noise(0, p=1000)

    def best_ten(table, outcome):
        chosen = SelectKBest(f_classif, k=10).fit(table, outcome).get_support()
        return list(table.columns[chosen])

    selected = X[best_ten(X, y)]
    plan = make_split_plan(y, np.arange(60), repeats=1, folds=5, inner_folds=3, seed=0)
    risk = cross_validate(selected, y, plan, rungs(selected, ("logistic",))).predictions
    assert performance(y, risk["p_logistic"].to_numpy(), np.ones((1, 60)))["auc"][0] > 0.8

    with pytest.raises(LeakageError) as caught:
        check_blind_to_outcome(best_ten, X, y, "columns")
    assert str(caught.value) == (
        "columns: expected a choice made without the outcome, found one that changes when "
        "outcomes are shuffled. Choose inside the fold, as a step of the pipeline."
    )
    assert caught.value.code == "EIH016"
    # Where only its result is seen, the choice shows in what was left out.
    assert len(list(chosen_by_outcome(X, selected.columns, y))) == 1
    fitted = SelectKBest(f_classif, k=10).fit(X, y)
    leaky = Candidate(
        "leaky", 1, lambda: Pipeline([("select", fitted), ("model", LogisticRegression())]), ({},)
    )
    with pytest.raises(
        LeakageError, match="SelectKBest \\('select'\\): expected an unfitted"
    ) as late:
        cross_validate(X, y, plan, [leaky])
    assert late.value.code == "EIH018"


def test_a_choice_that_looks_at_features_only_is_accepted():
    X, y = noise(0)

    check_blind_to_outcome(lambda table, _: list(table.columns[table.std() > 1]), X, y, "columns")


# ---- one person under two names


def test_a_duplicated_person_is_named_by_rows():
    X, y, person = signal(1)
    values = X.assign(y=y)
    values.iloc[100:102] = values.iloc[6:8].to_numpy()

    with pytest.raises(LeakageError) as caught:
        check_no_duplicated_persons(values, person)

    assert caught.value.code == "EIH002"
    assert duplicated_persons(values, person) == [(6, 100)]
    assert str(caught.value) == (
        "rows 6 and 100: expected every person once, found 1 pairs of participants with the same "
        "features and outcomes. Give one person one participant_id."
    )


def test_persons_who_share_coarse_values_are_no_duplicates():
    rng = np.random.default_rng(0)
    coarse = pd.DataFrame(rng.integers(0, 7, size=(400, 2)), columns=["a", "b"]).astype(float)

    assert duplicated_persons(coarse, np.arange(400)) == []
    assert duplicated_persons(coarse[["a"]].round(-1), np.arange(400)) == []


def test_different_persons_with_missing_values_are_no_duplicates():
    X, y, person = signal(2)
    X.loc[::3] = np.nan

    assert duplicated_persons(X.assign(y=y), person) == []


# ---- bootstrap


def test_a_resample_draws_persons_whole_and_as_many_as_there_are():
    person = np.repeat(np.arange(30), 3)

    counts = draw_counts(person, 1, 4)

    assert counts.reshape(30, 3).std(axis=1).max() == 0
    assert counts[::3].sum() == 30
    np.testing.assert_array_equal(counts, draw_counts(person, 1, 4))
    assert (counts != draw_counts(person, 1, 5)).any()


def test_apparent_performance_of_a_resample_is_that_on_its_own_rows():
    X, y, person = signal(3)
    run = bootstrap(X, y, person, ("logistic",), 3)

    for risk, counts in zip(run.risks, run.counts, strict=True):
        rows = np.repeat(np.arange(len(y)), counts.astype(int))
        drawn = performance(y[rows], risk[rows], np.ones((1, len(rows))))
        weighted = performance(y, risk, counts[None, :])
        for name, value in drawn.items():
            assert weighted[name][0] == pytest.approx(value[0], abs=1e-9), name


def test_a_resample_that_cannot_be_fitted_is_counted_not_dropped_in_silence():
    # Two persons with an event among 40: about one resample in eight draws neither.
    X, _, _ = signal(4, n_persons=40, n_rows=1)
    y = np.zeros(40)
    y[:2] = 1

    run = bootstrap(X, y, np.arange(40), ("logistic",), 60)

    missing = [b for b in range(60) if draw_counts(np.arange(40), 5, b)[:2].sum() == 0]
    assert run.failures == {"only one class was drawn": len(missing)}
    assert len(run.risks) == 60 - len(missing) > 30
    assert run.summary()["n_successful"] == len(run.risks)
    assert correct(run)["auc"].n == len(run.risks)


def test_selection_is_repeated_in_every_resample():
    X, y, person = signal(5)

    run = bootstrap(X, y, person, ("prevalence", "stratum", "logistic"), 12)

    assert sum(run.chosen.values()) == 12
    assert set(run.chosen) <= {"prevalence", "stratum", "logistic"}
    assert run.chosen["logistic"] > 6


def test_too_few_resamples_that_can_be_fitted_are_refused():
    X, _, _ = signal(4, n_persons=30, n_rows=1)
    y = np.zeros(30)

    with pytest.raises(NotEnoughDataError, match="only one class was drawn"):
        bootstrap(X, y, np.arange(30), ("logistic",), 5)


def test_plus_632_by_hand():
    # R = (.2 - .1) / (.5 - .1) = .25, w = .632 / (1 - .368 * .25); both directions alike.
    w = 0.632 / (1 - 0.368 * 0.25)
    assert plus_632(0.1, 0.2, 0.5) == pytest.approx((1 - w) * 0.1 + w * 0.2)
    assert plus_632(0.9, 0.8, 0.5) == pytest.approx((1 - w) * 0.9 + w * 0.8)
    assert plus_632(0.9, 0.3, 0.5) == pytest.approx(0.5)
    assert np.isnan(plus_632(0.9, np.nan, 0.5))


# ---- stability


def test_a_model_that_ignores_the_data_is_stable_and_a_flexible_one_is_not():
    X, y, person = signal(6)
    stable = measure_stability(bootstrap(X, y, person, ("logistic",), 25), 0.4)
    flexible = measure_stability(bootstrap(X, y, person, ("xgboost",), 25), 0.4)

    assert stable.summary["mape"] < flexible.summary["mape"]
    rows = stable.rows
    assert (rows["lower"] <= rows["upper"]).all()
    assert rows["class_changes"].between(0, 1).all()


def test_instability_by_hand():
    X, y, person = signal(7, n_persons=10, n_rows=1)
    run = bootstrap(X, y, person, ("logistic",), 4)
    shifted = replace(
        run, original=np.full(10, 0.4), risks=np.array([[0.5] * 10, [0.3] * 10, [0.7] * 10])
    )

    found = measure_stability(shifted, 0.45)

    assert found.summary["mape"] == pytest.approx((0.1 + 0.1 + 0.3) / 3)
    assert found.summary["classification_instability"] == pytest.approx(2 / 3)


def test_calibration_of_true_risks_lies_on_the_diagonal():
    rng = np.random.default_rng(8)
    risk = rng.uniform(0.05, 0.95, 8000)
    y = (rng.random(8000) < risk).astype(float)

    curve, slope, error = calibration_spline(y, risk)

    # Standard errors at n = 8,000: .03 for the slope; about .015 for the curve's middle.
    assert slope == pytest.approx(1, abs=4 * 0.03)
    assert np.nanmax(np.abs(curve - np.round(np.linspace(0.02, 0.98, 49), 2))) < 4 * 0.015
    assert error < 2 * 0.015


# ---- audit


def test_permuted_outcomes_go_from_person_to_person_and_keep_their_order():
    person = np.array([0, 0, 1, 1, 2, 2, 3, 4, 4, 5])
    y = np.array([0.0, 1, 1, 1, 0, 0, 1, 0, 1, 0])

    plan, source = permuted(y, person, 30, Protocol(2, 2, 0))

    assert plan.n_repeats == 31
    np.testing.assert_array_equal(source[0], np.arange(10))
    for one in source[1:]:
        assert sorted(one) == list(range(10))
        for p in range(6):
            given = one[person == p]
            assert len(np.unique(person[given])) == 1
            assert (np.diff(given) > 0).all()
    assert (source[1:] != source[0]).any()


def audit_p_value(X, y, person, n_permutations):
    plan, source = permuted(y, person, n_permutations, Protocol(3, 2, 1))
    labels = y[source[[f.repeat for f in plan.folds]]]
    ladder = rungs(X, ("prevalence", "stratum", "logistic"))
    found = cross_validate(X, labels, plan, ladder).predictions
    shape = (plan.n_repeats, plan.n_rows)
    risks = {c.name: found[f"p_{c.name}"].to_numpy().reshape(shape) for c in ladder}
    return judge_permutations(y, person, plan, source, risks).p_value["best"]


def test_audit_finds_a_signal():
    X, y, person = signal(9)

    # The smallest p value that 19 permutations can give.
    assert audit_p_value(X, y, person, 19) == pytest.approx(1 / 20)


def test_audit_gives_small_p_values_on_noise_no_oftener_than_they_say():
    # Under noise P(p <= .2) = .2: more than 5 of 12 has a probability of .02.
    values = []
    for seed in range(12):
        X, _, person = signal(seed, n_persons=40)
        y = np.random.default_rng(seed + 50).permutation(np.repeat([0.0, 1.0], 40))
        values.append(audit_p_value(X, y, person, 9))

    assert sum(p <= 0.2 for p in values) <= 5
    assert min(values) >= 0.1


# ---- settings, time, learning curve


def test_a_left_out_setting_shares_no_person_with_what_is_learnt_from():
    X, y, person = signal(10)
    site = np.where(person < 30, "a", "b")
    site[10] = "b"  # one person was seen in both
    site[159] = ""
    setting = pd.Series(site, name="site_id").replace("", None)

    plan, names, left_out = leave_setting_out(y, person, setting, PROTOCOL)

    assert (names, left_out) == (["a", "b"], [])
    assert 159 in plan.folds[0].train
    assert not any(159 in fold.test for fold in plan.folds)
    assert not any(person[10] in person[fold.train] for fold in plan.folds)
    for fold in plan.folds:
        assert not np.intersect1d(person[fold.train], person[fold.test]).size


def test_a_setting_whose_absence_leaves_one_class_is_not_left_out():
    y = np.array([1.0, 0, 0, 0, 0, 0, 1, 0])
    setting = pd.Series(list("aabbccdd"), name="site_id")

    _, names, left_out = leave_setting_out(y, np.arange(8), setting, Protocol(2, 2, 0))
    assert (names, left_out) == (["a", "b", "c", "d"], [])

    with pytest.raises(NotEnoughDataError, match="at least two settings"):
        leave_setting_out(
            np.array([1.0, 0, 0, 0]),
            np.arange(4),
            pd.Series(list("aabb"), name="site_id"),
            PROTOCOL,
        )


def test_settings_that_differ_are_pooled_with_their_spread():
    # Risks are true in all settings but the last, where events are twice as frequent.
    rng = np.random.default_rng(11)
    setting = np.repeat(np.arange(8), 150)
    risk = rng.uniform(0.05, 0.45, 1200)
    y = (rng.random(1200) < np.where(setting == 7, 2, 1) * risk).astype(float)
    plan, names, _ = leave_setting_out(
        y, np.arange(1200), pd.Series(setting, name="site_id"), PROTOCOL
    )

    found = judge_settings(y, np.arange(1200), risk, plan, names, 200)
    same = judge_settings(y[:1050], np.arange(1050), risk[:1050], *leave(y, setting), 200)

    assert found.table["oe_ratio"].iloc[-1] == pytest.approx(2, abs=4 * 2 / np.sqrt(75))
    assert found.pooled["log_oe"].between_sd > same.pooled["log_oe"].between_sd
    wide = found.to_dict()["oe_ratio"]
    assert wide["prediction_lower"] < wide["lower"] < wide["upper"] < wide["prediction_upper"]


def leave(y, setting):
    plan, names, _ = leave_setting_out(
        y[:1050], np.arange(1050), pd.Series(setting[:1050], name="site_id"), PROTOCOL
    )
    return plan, names


def test_a_setting_without_events_is_not_pooled_and_says_why():
    rng = np.random.default_rng(12)
    setting = np.repeat(np.arange(3), 60)
    y = (rng.random(180) < 0.4).astype(float)
    y[setting == 0] = 0
    plan, names, _ = leave_setting_out(
        y, np.arange(180), pd.Series(setting, name="site_id"), PROTOCOL
    )

    found = judge_settings(y, np.arange(180), rng.uniform(0.2, 0.6, 180), plan, names, 100)

    first = found.table.iloc[0]
    assert first["reason"] == "only one class was observed in this setting"
    assert np.isnan(first["logit_auc"])
    assert found.pooled["logit_auc"].n_settings == 2
    assert found.pooled["logit_auc"].reason == "a prediction interval needs three settings"


def test_one_setting_cannot_be_pooled():
    found = pool(np.array([0.3, np.nan]), np.array([0.1, 0.2]))

    assert np.isnan(found.lower)
    assert found.reason == "1 settings can be judged: too few to pool"


def test_pooling_equal_estimates_by_hand():
    # No spread: the fixed-effect mean, t interval with 2 degrees of freedom (4.3027).
    found = pool(np.array([0.5, 0.5, 0.5]), np.array([0.1, 0.2, 0.1]))

    error = 1 / np.sqrt(100 + 25 + 100)
    assert (found.estimate, found.between_sd) == pytest.approx((0.5, 0))
    assert found.standard_error == pytest.approx(error)
    assert found.upper == pytest.approx(0.5 + 4.302653 * error, abs=1e-6)


def test_later_rows_are_predicted_from_earlier_rows_of_others():
    X, y, person = signal(13)
    order = np.tile([1.0, 2.0], 80)

    plan = temporal(y, person, order, 1.5, PROTOCOL)

    for fold in plan.folds:
        assert (order[fold.train] == 1).all()
        assert (order[fold.test] == 2).all()
        assert not np.intersect1d(person[fold.train], person[fold.test]).size
    assert np.sort(np.concatenate([f.test for f in plan.folds])).tolist() == list(range(1, 160, 2))


def test_a_learning_curve_adds_persons_and_tests_the_same():
    X, y, person = signal(14)
    plan = make_split_plan(y, person, repeats=2, folds=4, inner_folds=3, seed=1)

    curve = learning_curve(y, person, plan, [15, 30, 60], PROTOCOL)

    assert curve.n_repeats == 6
    for i, fold in enumerate(plan.folds):
        sizes = [curve.folds[i + k * len(plan.folds)] for k in range(3)]
        members = [set(person[f.train]) for f in sizes]
        assert [len(m) for m in members] == [15, 30, 60]
        assert members[0] < members[1] < members[2]
        assert all(np.array_equal(f.test, fold.test) for f in sizes)


def test_a_learning_curve_beyond_the_persons_there_are_is_refused():
    X, y, person = signal(14)
    plan = make_split_plan(y, person, repeats=1, folds=4, inner_folds=3, seed=1)

    with pytest.raises(NotEnoughDataError, match="at most 60 persons, found 61"):
        learning_curve(y, person, plan, [61], PROTOCOL)
