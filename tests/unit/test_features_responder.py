"""Responder rules by hand: cuts, probabilities, named classes, agreement."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from features.outcome import compare_rules, compute_changes, label_changes
from features.outcome_design import Endpoint, OutcomeDesign, StatedSem
from features.responder import (
    class_of,
    cohen_kappa,
    decide,
    describe_rules,
    noise_share,
    threshold_of,
)

PPT = Endpoint("ppt_local", "ppt", "local", "post")
SEM = 0.1


def study(changes, rest=()):
    """Persons with one exercise bout each (log changes) and, where given, rest bouts."""
    rows, trials = [], []
    for modality, session, values in (("aerobic", "a", changes), ("rest", "r", rest)):
        for i, change in enumerate(values):
            key = {"study_id": "s", "participant_id": f"p{i:03d}", "session_id": session}
            rows.append({**key, "modality": modality, "condition": "healthy"})
            for timepoint, value in (("pre", 200.0), ("post", 200.0 * math.exp(change))):
                cell = {"measure": "ppt", "site_role": "local", "timepoint": timepoint}
                trials.append({**key, **cell, "trial": 1.0, "value": value})
    return pd.DataFrame(rows), pd.DataFrame(trials)


def design(**changes):
    stated = (StatedSem("ppt", SEM, "by construction"),)
    return OutcomeDesign((PPT,), sem_source="stated", stated_sem=stated, **changes)


def labelled(changes, rest=(), **options):
    chosen = design(**options)
    return label_changes(compute_changes(*study(changes, rest), chosen), chosen)


# ---- rules


@pytest.mark.parametrize(
    ("options", "factor"),
    [
        ({"rule": "sem", "sem_of": "change"}, math.sqrt(2)),
        ({"rule": "sem", "sem_of": "single"}, 1),
        ({"rule": "mdc95", "sem_of": "change"}, 1.96 * math.sqrt(2)),
        ({"rule": "mdc95", "sem_of": "single"}, 1.96 * math.sqrt(2)),
        ({"rule": "posterior"}, 1),
        ({"rule": "posterior", "delta_of": "sem_change"}, math.sqrt(2)),
        ({"rule": "posterior", "delta_of": "value", "delta": 0.03}, 0.03 / SEM),
    ],
)
def test_the_threshold_is_the_rule_s_multiple_of_the_stated_error(options, factor):
    table = labelled([0.0, 0.1], **options)

    assert table["threshold"].tolist() == pytest.approx([factor * SEM] * 2)
    assert set(table["rule"]) == {options["rule"]}


@pytest.mark.parametrize(("sem_of", "used"), [("change", 2 * SEM), ("single", SEM)])
def test_the_error_used_is_stored_beside_the_class(sem_of, used):
    table = labelled([0.0, 0.5], rest=[0.0, 0.0], sem_of=sem_of)

    # Subtracting the one rest bout adds its error: sqrt(2) * sqrt(1 + 1).
    assert table["sem_change"].tolist() == pytest.approx([2 * SEM] * 2)
    assert table["sem_used"].tolist() == pytest.approx([used] * 2)


def test_a_mean_of_two_rest_bouts_adds_half_the_error_of_one():
    cases, trials = study([0.0], rest=[0.0])
    second = cases[cases["modality"] == "rest"].assign(session_id="r2")
    again = trials[trials["session_id"] == "r"].assign(session_id="r2")
    chosen = design()

    changes = compute_changes(pd.concat([cases, second]), pd.concat([trials, again]), chosen)

    table = label_changes(changes, chosen)
    assert table["n_rest"].tolist() == [2]
    assert table["sem_change"].tolist() == pytest.approx([SEM * math.sqrt(2 * (1 + 1 / 2))])


def test_hard_rules_name_every_class_but_the_indeterminate_one():
    table = labelled([0.5, 0.0, -0.5])

    assert table["class"].tolist() == ["hypoalgesia", "no_change", "hyperalgesia"]
    assert table["response"].tolist() == [1, 0, 0]
    assert table["hyperalgesia"].tolist() == [0, 0, 1]


def test_a_class_is_missing_where_no_error_is_known():
    chosen = OutcomeDesign((PPT,), rule="posterior")

    table = label_changes(compute_changes(*study([0.5, 0.1]), chosen), chosen)

    assert table["class"].isna().all()
    assert table[["response", "hyperalgesia", "response_probability"]].isna().all(axis=None)


def test_the_posterior_decides_each_target_by_its_own_probability():
    better, worse = decide(np.array([0.9, 0.05, 0.5, 0.2]), np.array([0.01, 0.5, 0.3, 0.8]), 0.8)

    np.testing.assert_array_equal(better, [1, 0, np.nan, 0])
    np.testing.assert_array_equal(worse, [0, np.nan, np.nan, 1])


def test_who_is_neither_surely_beyond_nor_surely_within_is_indeterminate():
    names = class_of(
        np.array([1, 0, 0, np.nan]),
        np.array([0, 1, 0, 0]),
        np.array([0, 0, 1, 0]),
        np.array([True, True, True, True]),
    )

    assert names.tolist() == ["hypoalgesia", "hyperalgesia", "no_change", "indeterminate"]


def test_classes_of_the_posterior_follow_from_its_probabilities():
    table = labelled(list(np.linspace(-0.9, 0.9, 60)), rule="posterior", certainty=0.9)
    up, down = table["response_probability"], table["hyperalgesia_probability"]

    assert (table["class"] == "hypoalgesia").equals(up >= 0.9)
    assert (table["class"] == "hyperalgesia").equals(down >= 0.9)
    assert (table["class"] == "no_change").equals(1 - up - down >= 0.9)
    named = table["class"] != "indeterminate"
    assert (table["response"][named] == (table["class"][named] == "hypoalgesia")).all()
    assert table["response"].isna().equals((up > 0.1) & (up < 0.9))


@pytest.mark.parametrize(("certainty", "delta"), [(0.5, 0.0), (1.0, 0.0), (0.8, -0.1)])
def test_a_rule_that_cannot_decide_is_refused(certainty, delta):
    with pytest.raises(ValueError, match="^(certainty|delta): expected"):
        design(certainty=certainty, delta=delta)


# ---- whose error


def test_an_error_by_condition_is_that_of_the_own_condition():
    cases, trials = study(np.zeros(24), rest=[0.01, -0.01] * 6 + [0.3, -0.3] * 6)
    cases["condition"] = np.where(cases["participant_id"] < "p012", "healthy", "fibromyalgia")
    chosen = OutcomeDesign((PPT,), sem_by="condition", subtract_rest=False)

    table = label_changes(compute_changes(cases, trials, chosen), chosen)

    spread = math.sqrt(12 / 11)  # SD of twelve values of +1 and -1
    assert table["sem_single"][:12].tolist() == pytest.approx([0.01 * spread / math.sqrt(2)] * 12)
    assert table["sem_single"][12:].tolist() == pytest.approx([0.3 * spread / math.sqrt(2)] * 12)
    assert table["sem_condition"].tolist() == ["healthy"] * 12 + ["fibromyalgia"] * 12


def test_a_condition_with_few_rest_bouts_takes_the_pooled_error():
    cases, trials = study(np.zeros(21), rest=[0.1, -0.1] * 10 + [0.5])
    cases["condition"] = np.where(cases["participant_id"] < "p020", "healthy", "whiplash")
    chosen = OutcomeDesign((PPT,), sem_by="condition", subtract_rest=False)

    table = label_changes(compute_changes(cases, trials, chosen), chosen)

    assert table["sem_condition"].iloc[-1] == "all"
    assert table["sem_n"].tolist() == [20] * 20 + [21]


def test_the_error_of_a_bout_falls_with_its_number_of_trials():
    rng = np.random.default_rng(2)
    rows, trials = [], []
    for i in range(40):
        for session, modality in (("a", "aerobic"), ("r", "rest")):
            key = {"study_id": "s", "participant_id": f"p{i:03d}", "session_id": session}
            rows.append({**key, "modality": modality, "condition": "healthy"})
            for timepoint in ("pre", "post"):
                for trial in range(2 if i < 20 else 8):
                    value = 200 * math.exp(rng.normal(0, 0.1))
                    cell = {"measure": "ppt", "site_role": "local", "timepoint": timepoint}
                    trials.append({**key, **cell, "trial": trial + 1.0, "value": value})
    chosen = OutcomeDesign((PPT,))

    table = label_changes(compute_changes(pd.DataFrame(rows), pd.DataFrame(trials), chosen), chosen)

    assert table["sem_change"].nunique() == 1
    assert table["error_change"][:20].min() > 1.2 * table["error_change"][20:].max()


# ---- side by side


def test_every_rule_labels_every_bout_side_by_side():
    chosen = design()

    rules = compare_rules(compute_changes(*study([0.5, 0.12, -0.3]), chosen), chosen)

    assert rules["class_sem_change"].tolist() == ["hypoalgesia", "no_change", "hyperalgesia"]
    assert rules["class_sem_single"].tolist() == ["hypoalgesia", "hypoalgesia", "hyperalgesia"]
    assert rules["class_mdc95"].tolist() == ["hypoalgesia", "no_change", "hyperalgesia"]
    assert rules["noise_hypoalgesia_sem_change"].tolist() == pytest.approx([0.158655] * 3, abs=1e-6)


def test_rules_are_described_by_counts_shares_and_agreement():
    chosen = design()
    rules = compare_rules(compute_changes(*study([0.5, 0.12, -0.3, 0.0]), chosen), chosen)

    found = describe_rules(rules)[0]

    single = found["rules"]["sem_single"]
    assert (single["n_hypoalgesia"], single["n_no_change"], single["n_hyperalgesia"]) == (2, 1, 1)
    assert single["observed_hypoalgesia"] == 2 / 4
    assert single["noise_hypoalgesia"] == pytest.approx(0.2398, abs=1e-4)
    pair = next(p for p in found["agreement"] if p["rules"] == ["sem_change", "sem_single"])
    assert pair["same_class"] == 3 / 4
    # Marginals 1, 2, 1 and 2, 1, 1 of four: chance agreement (2 + 2 + 1) / 16.
    assert pair["kappa"] == pytest.approx((3 / 4 - 5 / 16) / (1 - 5 / 16))


def test_kappa_equals_the_one_of_scikit_learn():
    rng = np.random.default_rng(1)
    a, b = (pd.Series(rng.choice(list("abc"), 200)) for _ in range(2))
    b = b.where(rng.random(200) < 0.5, a)

    assert cohen_kappa(a, b) == pytest.approx(cohen_kappa_score(a, b))


@pytest.mark.parametrize(
    ("rule", "sem_of", "expected"),
    [("sem", "change", 0.16), ("sem", "single", 0.24), ("mdc95", "change", 0.025)],
)
def test_noise_alone_gives_the_shares_of_the_field(rule, sem_of, expected):
    """Evidence A3: 16 %, 24 % and 2.5 % on each side, without a rest bout."""
    table = pd.DataFrame({"sem_single": [SEM], "sem_change": [SEM * math.sqrt(2)]})
    cut = threshold_of(table, rule, design(rule=rule, sem_of=sem_of))

    assert noise_share(cut, table["sem_change"].to_numpy())[0] == pytest.approx(expected, abs=0.005)
