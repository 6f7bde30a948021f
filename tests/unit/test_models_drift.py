"""The training profile gives nobody away, and drift is called only beyond chance."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from models.bundle import Bundle, from_files, to_files
from models.calibration_drift import CalibrationLimits, calibration_drift
from models.drift import Limits, chance_index, drift_of, stability_index
from models.drift_counts import SAMPLED_PERSONS, BatchCounts, PersonSample, count_batch
from models.errors import BundleError
from models.judged import Judged
from models.label_free import expected_performance
from models.profile import LEAST_PERSONS, Profile, bin_of, make_profile
from models.scorers import ConstantScorer

PLACE = "outputs/demo/response/bundle"


def constant_bundle():
    return Bundle(
        target="response",
        candidate="prevalence",
        scorer=ConstantScorer(0.3),
        features=(),
        contract={},
        training={},
        record={},
    )


def resealed(files):
    """The files with a manifest that matches them."""
    content = {name: body for name, body in files.items() if name != "manifest.json"}
    manifest = {name: hashlib.sha256(body).hexdigest() for name, body in content.items()}
    return {**content, "manifest.json": json.dumps(manifest).encode()}


def people(seed, n=200):
    """Features of every shape that a study has: continuous, scored, rare, partly missing."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age_years": rng.normal(50, 12, n),
            "pcs_total": rng.integers(0, 53, n) * 1.0,
            "sex_female": (rng.random(n) < 0.5) * 1.0,
            "opioid_use": (rng.random(n) < 0.1) * 1.0,
            "cpm_log_ratio": rng.normal(0, 0.2, n),
            "pain_duration_months": rng.exponential(24, n),
        }
    )
    table.loc[rng.random(n) < 0.3, "cpm_log_ratio"] = np.nan
    return table, rng.beta(2, 4, n)


def named(n, per_person=1):
    return pd.DataFrame({"study_id": "s", "participant_id": np.arange(n) // per_person})


LIMITS = Limits()


def drift_between(profile, table, risk, limits=LIMITS, per_person=1):
    persons = PersonSample()
    persons.add(named(len(table), per_person))
    return drift_of(profile, count_batch(profile, table, risk), persons, limits)


# ---- the profile


@pytest.mark.parametrize("n", [12, 45, 200, 3000])
def test_every_bin_of_a_profile_holds_enough_persons(n):
    table, risk = people(1, n)
    person = np.arange(n) // 2

    profile = make_profile(table, person, risk)

    for name, found in profile.features.items():
        known = table[name].notna().to_numpy()
        bins = bin_of(table[name].to_numpy()[known], found.edges)
        for place in range(len(found.shares)):
            inside = len(np.unique(person[known][bins == place]))
            assert inside >= LEAST_PERSONS or found.edges == ()
        shares = np.bincount(bins, minlength=len(found.shares)) / known.sum()
        np.testing.assert_allclose(found.shares, shares, atol=1e-12)


def test_no_edge_of_a_profile_is_a_participants_value():
    table, risk = people(2)

    profile = make_profile(table, np.arange(200), risk)

    for name in ("age_years", "cpm_log_ratio", "pain_duration_months"):
        edges = profile.features[name].edges
        assert len(edges) >= 5
        assert not set(edges) & set(table[name].dropna())
    # Rounded to two or three digits: 1, 2 or 5 times a power of ten.
    assert all(edge == round(edge) for edge in profile.features["age_years"].edges)


def test_a_profile_does_not_depend_on_the_order_of_rows():
    table, risk = people(3)
    order = np.random.default_rng(0).permutation(200)

    shuffled = make_profile(table.iloc[order], order // 2, risk[order])

    assert shuffled == make_profile(table, np.arange(200) // 2, risk)


def test_repeated_rows_count_as_the_persons_they_are_worth():
    table, _ = people(4, 90)

    once = make_profile(table, np.arange(90))
    thrice = make_profile(table, np.arange(90) // 3)
    uneven = make_profile(table, np.repeat(np.arange(10), [81, 1, 1, 1, 1, 1, 1, 1, 1, 1]))

    assert (once.n_effective, thrice.n_effective) == (90, 30)
    assert uneven.n_effective == pytest.approx(90**2 / (81**2 + 9))


def test_a_bundle_carries_its_profile_and_its_hash():
    table, risk = people(5)
    bundle = replace(constant_bundle(), features=tuple({"name": name} for name in table))

    files = to_files(replace(bundle, profile=make_profile(table, np.arange(200), risk)))

    read = from_files(files, PLACE)
    assert read.profile == make_profile(table, np.arange(200), risk)
    assert "profile.json" in json.loads(files["manifest.json"])
    with pytest.raises(BundleError, match=r"profile\.json was altered"):
        from_files({**files, "profile.json": files["profile.json"] + b" "}, PLACE)


def test_a_profile_of_a_feature_that_the_bundle_does_not_have_is_refused():
    table, risk = people(5)
    profile = make_profile(table, np.arange(200), risk)

    with pytest.raises(BundleError, match="not a readable bundle"):
        from_files(to_files(replace(constant_bundle(), profile=profile)), PLACE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": 2},
        {"features": {"a": {"edges": [2.0, 1.0], "shares": [0.2, 0.3, 0.5], "missing": 0.0}}},
        {"features": {"a": {"edges": [1.0], "shares": [1.0], "missing": 0.0}}},
        {"features": {"a": {"edges": [], "shares": [7.0], "missing": 0.0}}},
        {"features": [1]},
        {"n_effective": 0.0},
        {"risk": "much"},
    ],
)
def test_a_bundle_with_an_impossible_profile_is_refused(wrong):
    table, risk = people(6)
    content = make_profile(table, np.arange(200), risk).to_dict() | wrong
    files = resealed({**to_files(constant_bundle()), "profile.json": json.dumps(content).encode()})

    with pytest.raises(BundleError, match="not a readable bundle"):
        from_files(files, PLACE)


# ---- counts


def test_counts_do_not_depend_on_cuts_or_order():
    table, risk = people(7, 3000)
    profile = make_profile(*[people(8)[0], np.arange(200)])
    whole, persons = count_batch(profile, table, risk), PersonSample()
    persons.add(named(3000, 2))

    cuts = [slice(1700, 3000), slice(0, 5), slice(5, 1700)]
    pieces, samples = [], []
    for cut in cuts:
        piece = count_batch(profile, table.iloc[cut], risk[cut])
        pieces.append(BatchCounts.from_dict(json.loads(json.dumps(piece.to_dict()))))
        sample = PersonSample()
        sample.add(named(3000, 2).iloc[cut])
        samples.append(sample)
    for piece, sample in zip(pieces[1:], samples[1:], strict=True):
        pieces[0].merge(piece)
        samples[0].merge(sample)

    assert pieces[0].to_dict() == whole.to_dict()
    assert samples[0].rows == persons.rows


def test_the_number_of_persons_is_estimated_within_its_error_in_bounded_memory():
    sample = PersonSample()
    for first in range(0, 60_000, 10_000):
        sample.add(named(60_000, 3).iloc[first : first + 10_000])

    # Relative standard error 1 / sqrt(1024) = 0.031; five of them.
    assert len(sample.rows) == SAMPLED_PERSONS
    assert sample.n_persons() == pytest.approx(20_000, rel=5 / np.sqrt(SAMPLED_PERSONS))
    # Three rows a person: worth as many as there are persons.
    assert sample.n_effective() == pytest.approx(sample.n_persons())


# ---- drift


def test_psi_is_zero_for_equal_shares_and_symmetric():
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.4, 0.2])

    assert stability_index(p, p, 1e6, 1e6) == pytest.approx(0, abs=1e-12)
    assert stability_index(p, q, 1e9, 1e9) == pytest.approx(stability_index(q, p, 1e9, 1e9))


def test_psi_by_chance_is_what_simulated_shares_exceed_as_often_as_said():
    rng = np.random.default_rng(9)
    shares, n, m = np.full(8, 1 / 8), 400, 300

    found = [
        stability_index(rng.multinomial(n, shares) / n, rng.multinomial(m, shares) / m, n, m)
        for _ in range(4000)
    ]

    exceeded = np.mean(np.array(found) > chance_index(8, n, m, 0.05))
    # Standard error of a share of 0.05 in 4000: 0.0034; four of them.
    assert exceeded == pytest.approx(0.05, abs=4 * 0.0034)


@pytest.mark.parametrize("n", [5, 20, 60, 500])
def test_a_batch_without_drift_alarms_no_more_often_than_said(n):
    alarms = mark = 0
    runs, alpha = 120, 0.05
    for seed in range(runs):
        table, risk = people(1000 + seed, 120)
        profile = make_profile(table, np.arange(120), risk)
        drift = drift_between(profile, *people(5000 + seed, n), Limits(psi=0.0, alpha=alpha))
        alarms += bool(drift.drifted())
        mark += any(f.values.psi > 0.25 for f in drift.features.values())

    # Bonferroni keeps it below alpha; one such test in ten thousand would fail at the bound.
    assert alarms <= binom.isf(1e-4, runs, alpha)
    # The customary mark alone would call drift in nearly every small batch.
    assert n > 20 or mark > 0.9 * runs


def test_drift_is_found_where_it_is():
    table, risk = people(10)
    profile = make_profile(table, np.arange(200), risk)
    batch, new_risk = people(11, 400)
    batch["age_years"] += 15
    batch["pcs_total"] = np.nan

    drift = drift_between(profile, batch, new_risk)

    assert drift.drifted() == ["age_years", "pcs_total"]
    assert drift.features["pcs_total"].missingness.drifted
    assert np.isnan(drift.features["pcs_total"].values.psi)
    assert drift.features["pcs_total"].values.reason == "no row has a value"
    assert drift_between(profile, batch, new_risk / 3).risk.drifted


def test_rows_of_few_persons_weigh_as_few():
    table, risk = people(12)
    profile = make_profile(table, np.arange(200), risk)
    batch, new_risk = people(13, 5)
    batch, new_risk = batch.loc[np.repeat(range(5), 100)], np.repeat(new_risk, 100)

    assert drift_between(profile, batch, new_risk).drifted() != []
    assert drift_between(profile, batch, new_risk, per_person=100).drifted() == []


def test_a_group_too_small_for_the_profile_is_said_not_to_be_watched():
    table = pd.DataFrame({"sex_female": [1.0] * 195 + [0.0] * 5})
    profile = make_profile(table, np.arange(200))

    found = drift_between(profile, 1 - table, np.full(200, 0.5)).features["sex_female"]

    assert np.isnan(found.values.psi)
    assert found.values.reason == "too few persons in training for two groups of them"


# ---- expected performance


def test_expected_performance_is_what_calibrated_risks_show_on_average():
    rng = np.random.default_rng(14)
    n = 200_000
    risk = rng.beta(2, 4, n)
    y = (rng.random(n) < risk).astype(float)
    counts = count_batch(None, pd.DataFrame(index=range(n)), risk).risk

    found = expected_performance(counts, threshold=0.4)

    ranks = pd.Series(risk).rank().to_numpy()
    events = y.sum()
    auc = (ranks[y == 1].sum() - events * (events + 1) / 2) / (events * (n - events))
    # Bins of 0.001, and standard errors below 0.0015 at this n; four of them.
    assert found["auc"] == pytest.approx(auc, abs=0.006)
    assert found["brier"] == pytest.approx(np.mean((risk - y) ** 2), abs=0.003)
    assert found["accuracy"] == pytest.approx(np.mean((risk >= 0.4) == y), abs=0.005)
    assert "calibrated" in found["assumption"]


def test_expected_performance_of_nobody_is_unknown():
    found = expected_performance(np.zeros(1000, dtype=np.int64))

    assert np.isnan([found["auc"], found["brier"], found["accuracy"]]).all()


# ---- calibration


def outcomes(seed, n, shift=0.0, stretch=1.0):
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-0.5, 1, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-(shift + stretch * log_odds)))).astype(float)
    judged = Judged(y, np.arange(n), np.zeros((1, n), dtype=np.int64))
    return judged, 1 / (1 + np.exp(-log_odds))


@pytest.mark.parametrize(
    ("shift", "stretch", "expected"),
    [(0.0, 1.0, []), (1.0, 1.0, ["in_the_large", "oe_ratio"]), (0.0, 0.3, ["slope"])],
)
def test_calibration_drift_names_what_is_off(shift, stretch, expected):
    judged, risk = outcomes(15, 800, shift, stretch)

    found = calibration_drift(judged, risk, CalibrationLimits(), 1200, 7)

    # A slope of 0.3 moves the mean as well: what has to be named is, in any case.
    assert set(expected) <= set(found["drifted"])
    assert bool(found["drifted"]) == bool(expected)


def test_few_outcomes_do_not_alarm_and_no_event_among_many_does():
    few = Judged(np.zeros(5), np.arange(5), np.zeros((1, 5), dtype=np.int64))
    many = Judged(np.zeros(60), np.arange(60), np.zeros((1, 60), dtype=np.int64))

    # 2 x 0.7^5 = 0.34; 2 x 0.7^60 = 1e-9
    assert calibration_drift(few, np.full(5, 0.3), CalibrationLimits(), 400, 7)["drifted"] == []
    found = calibration_drift(many, np.full(60, 0.3), CalibrationLimits(), 400, 7)
    assert found["drifted"] == ["oe_ratio"]


def test_a_profile_of_nobody_is_no_profile():
    with pytest.raises(ValueError, match="nobody"):
        Profile.from_dict(Profile(0, 0, 0.0).to_dict())
