"""Where checks draw the line: just beyond it they fire, just before it they do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from xgboost import XGBClassifier

from features import check_study
from models import check_figures as figures
from models import check_tables as tables
from models.check_list_models import CHECKS, TRAPS
from models.checks import SEVERITIES, by_code, check_mute, counts, find
from models.errors import LeakageError
from models.leakage import check_known_at
from pipeline.errors import see_also

RNG = np.random.default_rng


# ---- the list


def test_codes_are_consecutive_so_that_none_was_given_anew():
    assert list(CHECKS) == [f"EIH{n:03d}" for n in range(1, len(CHECKS) + 1)]


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda c: c.code)
def test_a_check_says_what_it_looks_at_why_what_to_do_and_by_what_evidence(check):
    assert check.severity in SEVERITIES
    assert check.trap in TRAPS
    assert check.name == check.name.lower().replace(" ", "-")
    for text in (check.looks_at, check.why, check.advice, check.source):
        assert len(text) > 10
    assert check.severity == "error" or not check.refused


def test_names_are_unique_and_every_trap_has_a_check():
    assert len({c.name for c in CHECKS.values()}) == len(CHECKS)
    assert {c.trap for c in CHECKS.values()} == set(TRAPS)


def test_a_code_given_twice_is_a_defect_of_the_list():
    one = CHECKS["EIH001"]

    with pytest.raises(ValueError, match="EIH001: expected a code of its own"):
        by_code([one, replace(one, name="another")])


# ---- muting


def test_muting_takes_the_reason_and_counts_the_finding_apart():
    mute = check_mute({"EIH013": "  no bout of rest was possible  "}, CHECKS)
    found = [find(CHECKS[c], "", "seen", mute) for c in ("EIH013", "EIH012", "EIH010", "EIH003")]

    assert found[0].muted == "no bout of rest was possible"
    assert found[0].in_words() == (
        "EIH013 warning no-rest-control: seen Muted: no bout of rest was possible"
    )
    assert counts(found) == {"error": 1, "warning": 1, "note": 1, "muted": 1}


@pytest.mark.parametrize(
    ("mute", "message"),
    [
        ({"EIH999": "reason"}, "expected the code of a check .* found 'EIH999'"),
        ({"no-rest-control": "reason"}, "found 'no-rest-control'"),
        ({"EIH013": ""}, "EIH013: expected the reason for muting it, found none"),
        ({"EIH013": "   "}, "EIH013: expected the reason"),
        ({"EIH013": None}, "EIH013: expected the reason"),
        ({"EIH013": True}, "EIH013: expected the reason"),
    ],
)
def test_muting_needs_a_known_code_and_a_reason(mute, message):
    with pytest.raises(ValueError, match=message):
        check_mute(mute, CHECKS)


@pytest.mark.parametrize("code", [c.code for c in CHECKS.values() if c.refused])
def test_a_leak_that_training_refuses_cannot_be_muted(code):
    with pytest.raises(ValueError, match=f"{code}: .* which training refuses"):
        check_mute({code: "a reason"}, CHECKS)


def test_a_finding_is_one_line():
    assert "\n" not in find(CHECKS["EIH052"], "response", "one\ntwo", {}).in_words()


def test_a_refused_leak_ends_with_its_code():
    with pytest.raises(LeakageError) as caught:
        check_known_at({"rpe": "during"}, "baseline")

    assert see_also(caught.value) == " [EIH021, docs/checks.md]"
    assert see_also(LeakageError("without a code")) == see_also(ValueError("x")) == ""


# ---- selection that saw the outcomes


def noise(seed, n=60, p=200):
    rng = RNG(seed)
    return pd.DataFrame(rng.normal(size=(n, p)), columns=[f"n{i}" for i in range(p)]), rng


def best(X, y, k=10):
    strength = X.apply(lambda c: abs(np.corrcoef(c, y)[0, 1]))
    return list(strength.sort_values(ascending=False).index[:k])


@pytest.mark.parametrize("seed", range(5))
def test_noise_columns_chosen_by_the_outcome_are_flagged(seed):
    X, rng = noise(seed)
    y = rng.permutation(np.repeat([0.0, 1.0], 30))

    assert len(list(tables.chosen_by_outcome(X, best(X, y), y))) == 1


def test_columns_chosen_without_the_outcome_are_flagged_no_oftener_than_the_level_says():
    # 100 blind choices at the level .001: three alarms or more have p < .001 (Poisson, mean 0.1).
    alarms = 0
    for seed in range(100):
        X, rng = noise(seed, p=40)
        y = rng.permutation(np.repeat([0.0, 1.0], 30))
        alarms += len(list(tables.chosen_by_outcome(X, list(X.columns[:15]), y)))

    assert alarms < 3


def test_columns_chosen_on_other_persons_are_not_flagged():
    X, rng = noise(3)
    pilot, _ = noise(4)
    y, other = (rng.permutation(np.repeat([0.0, 1.0], 30)) for _ in range(2))

    assert list(tables.chosen_by_outcome(X, best(pilot, other), y)) == []


def test_a_handful_of_columns_proves_no_choice():
    X, _ = noise(0)
    y = (X["n0"] > 0).astype(float).to_numpy()

    assert list(tables.chosen_by_outcome(X, best(X, y, 4), y)) == []
    assert list(tables.chosen_by_outcome(X, list(X.columns), y)) == []


# ---- preparation with everybody


@pytest.mark.parametrize("ddof", [0, 1])
def test_standardised_columns_are_named_with_missing_values_too(ddof):
    x = RNG(0).normal(40, 12, 50)
    x[::7] = np.nan
    z = (x - np.nanmean(x)) / np.nanstd(x, ddof=ddof)

    seen = list(tables.scaled_columns(pd.DataFrame({"raw": x, "z": z})))

    assert seen == ["1 columns have mean 0 and SD 1 over all rows: z."]


def test_z_scores_against_reference_values_are_no_standardised_columns():
    z = (RNG(0).normal(350, 60, 200) - 340) / 55

    assert list(tables.scaled_columns(pd.DataFrame({"z": z}))) == []


def test_a_mean_filled_in_is_named():
    x = RNG(1).normal(75, 10, 40).round(1)
    x[:5] = x[5:].mean()

    assert list(tables.imputed_columns(pd.DataFrame({"weight_kg": x}))) == [
        "1 columns hold their own mean in several rows: weight_kg."
    ]


def test_a_rating_that_many_gave_and_that_is_the_mean_is_not_named():
    rating = np.array([3.0, 5.0] * 10 + [4.0] * 10)

    assert rating.mean() == 4.0
    assert list(tables.imputed_columns(pd.DataFrame({"pain": rating}))) == []


def test_two_rows_at_the_mean_prove_no_imputation():
    x = RNG(1).normal(75, 10, 40).round(1)
    x[:2] = x[2:].mean()

    assert list(tables.imputed_columns(pd.DataFrame({"weight_kg": x}))) == []


# ---- single columns, risks, estimators


def test_a_column_is_too_good_beyond_the_ceiling_or_beyond_what_persons_tell():
    # Two unit normals d apart have AUC = Phi(d / sqrt(2)): 2 gives .921, 1.2 gives .802.
    rng, y = RNG(2), np.repeat([0.0, 1.0], 500)
    X = pd.DataFrame({"strong": rng.normal(2 * y), "fair": rng.normal(-1.2 * y)})
    assert norm.cdf(2 / np.sqrt(2)) > tables.GOOD_AUC > norm.cdf(1.2 / np.sqrt(2))

    [alone] = tables.strong_features(X, y, np.nan)
    [both] = tables.strong_features(X, y, 0.75)

    assert alone.startswith("strong (0.9")
    assert "fair" not in alone
    assert "fair" in both


def test_no_column_is_too_good_by_chance():
    # 40 noise columns, 30 of each class: the largest AUC is near .5 + 2.5 * .075, beyond .68.
    X, rng = noise(1, p=40)
    y = rng.permutation(np.repeat([0.0, 1.0], 30))

    assert list(tables.strong_features(X, y, 0.65)) == []


def test_positive_weights_and_resamplers_are_named():
    weighted = XGBClassifier(scale_pos_weight=3.0)

    assert list(tables.reweighted_parts({"xgboost": weighted})) == [
        "candidate 'xgboost' has scale_pos_weight."
    ]
    assert list(tables.reweighted_parts({"xgboost": XGBClassifier(scale_pos_weight=1)})) == []


def test_trees_that_are_better_beyond_chance_are_not_named():
    y = np.tile([0.0, 1.0], 50)
    good, poor = np.where(y == 1, 0.8, 0.2), np.full(100, 0.5)
    person = np.arange(100)

    assert list(tables.not_better(y, person, (good, poor))) == []
    assert len(list(tables.not_better(y, person, (poor, good)))) == 1
    # One person's rows say one thing, however many there are.
    assert len(list(tables.not_better(y, np.zeros(100, dtype=int), (good, poor)))) == 1


def test_columns_of_one_block_may_say_the_same():
    x = RNG(3).normal(size=50)
    X = pd.DataFrame({"total": x, "subscale": x**3, "other": -x})

    seen = list(tables.same_columns(X, {"total": "pcs", "subscale": "pcs", "other": "tsk"}))

    assert seen == ["2 pairs of columns say nearly the same: total and other, subscale and other."]


# ---- figures


@pytest.mark.parametrize(
    ("lower", "upper", "fires"),
    [(0.2, 0.99, True), (0.2, 1.0, False), (1.01, 2.0, True), (None, 2.0, False)],
)
def test_an_interval_is_off_where_it_does_not_hold_the_value(lower, upper, fires):
    found = {"estimate": 0.7, "lower": lower, "upper": upper}

    assert bool(list(figures.excludes(found, 1.0, "slope"))) == fires


@pytest.mark.parametrize(
    ("method", "fires"),
    [
        ("bootstrap, 1000 of 1000 resamples", False),
        ("bootstrap, 199 of 199 resamples", True),
        ("bootstrap, 200 of 200 resamples", False),
        ("bootstrap, 899 of 1000 resamples", True),
        ("bootstrap, 900 of 1000 resamples", False),
        ("DeLong", False),
    ],
)
def test_resamples_are_few_below_two_hundred_or_nine_in_ten(method, fires):
    found = {"slope": {"estimate": 1.0, "lower": 0.5, "upper": 1.5, "method": method}}

    assert bool(list(figures.few_resamples(found))) == fires


def test_one_in_five_undecided_is_the_limit():
    # 20 of 100 bouts have no class, then 21.
    assert list(figures.undecided({"n_without_target": 20, "n_undecided": 0}, 80)) == []
    assert list(figures.undecided({"n_without_target": 11, "n_undecided": 10}, 89)) == [
        "21 of 100 bouts have no class (21%)."
    ]


def test_a_rule_is_compared_with_hard_rules_only():
    pairs = [
        {"rules": ["sem_change", "mdc95"], "kappa": 0.39},
        {"rules": ["sem_single", "sem_change"], "kappa": 0.4},
        {"rules": ["sem_change", "posterior"], "kappa": 0.1},
        {"rules": ["sem_single", "mdc95"], "kappa": 0.1},
    ]

    assert list(figures.disagreeing_rules(pairs, "sem_change")) == [
        "kappa of 'sem_change' and 'mdc95' is 0.39."
    ]


def test_one_threshold_with_benefit_is_enough():
    poor = {"model": 0.1, "treat_all": 0.1, "treat_none": 0.0}
    unknown = {"model": None, "treat_all": 0.1, "treat_none": 0.0}

    assert list(figures.no_benefit([poor, poor, unknown])) == [
        "no net benefit at any of 2 thresholds."
    ]
    assert list(figures.no_benefit([poor, {**poor, "model": 0.11}])) == []
    assert list(figures.no_benefit([])) == []


# ---- the study


def test_a_posterior_that_asks_for_the_direction_alone_has_a_rule():
    labels = pd.DataFrame(
        {"threshold": [0.0, 0.0], "response": [1.0, 0.0], "hyperalgesia": [0.0, np.nan]}
    )

    assert list(check_study.without_threshold(labels.assign(rule="posterior"))) == []
    assert list(check_study.without_threshold(labels.assign(rule="sem"))) == [
        "2 of 2 classified bouts have no threshold above 0."
    ]


def test_a_condition_in_two_labs_unties_conditions_from_labs():
    cases = pd.DataFrame({"condition": list("aabb"), "site_id": list("xxyy")})

    assert len(list(check_study.tied_conditions(cases))) == 1
    assert list(check_study.tied_conditions(cases.assign(site_id=list("xyyy")))) == []
    assert list(check_study.tied_conditions(cases.assign(site_id="x"))) == []


def test_quiet_rest_makes_a_comparison_within_persons():
    cases = pd.DataFrame(
        {
            "study_id": "s",
            "participant_id": list("aabb"),
            "modality": ["rest", "aerobic", "rest", "aerobic"],
        }
    )

    assert list(check_study.exercises_between_persons(cases)) == []
    apart = cases.assign(modality=["aerobic", "aerobic", "rest", "rest"])
    assert list(check_study.exercises_between_persons(apart)) == [
        "2 kinds of exercise, one per person."
    ]
