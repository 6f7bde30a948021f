"""Which bouts repeat each other, and what each source of repetition says."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.agreement import intraclass_correlations
from features.block_order import has_block_order, without_block_drift
from features.outcome import Endpoint, OutcomeDesign, StatedSem, label_outcomes
from features.reliability import (
    chosen_repetition,
    from_rest,
    from_sessions,
    from_trials,
    of_label,
    repetitions,
    study_changes,
)
from features.reliability_summary import summarise_reliability
from features.repeatability import cohen_kappa
from features.sessions import complete_rows, exercise_codes, tabulate_sessions, with_sessions

PPT = Endpoint("local_ppt", "ppt", "local", "post")
HEAT = Endpoint("heat", "pain_rating_heat", "remote", "post")
BARE = OutcomeDesign((PPT,), subtract_rest=False)
RESTED = OutcomeDesign((PPT,), subtract_rest=True)
HARD_OR_EASY = OutcomeDesign(
    (HEAT,), reference="bout", reference_where={"intensity_value": 55.0}, subtract_rest=False
)


RATED = replace(
    HARD_OR_EASY, sem_source="stated", stated_sem=(StatedSem("pain_rating_heat", 2.0, "x"),)
)


def study(log_change, rest=None, seed=1, trials=1, shared_rest=True):
    """Cases and measurements whose changes are ``log_change``, shape (n, sessions).

    Visits are named against their order, so that only ``period`` tells it. ``rest``, of shape
    (n,) or (n, sessions), are changes of rest bouts: one visit's, or one of every visit.
    """
    rng = np.random.default_rng(seed)
    n, k = log_change.shape
    rests = np.empty((n, 0)) if rest is None else np.reshape(rest, (n, -1))
    changes = np.hstack([log_change, rests])
    person, bout = (a.ravel() for a in np.indices(changes.shape))
    visit = np.where(bout < k, bout, bout - k if rests.shape[1] == k else k)
    cases = pd.DataFrame(
        {
            "study_id": "s",
            "participant_id": [f"p{i:03d}" for i in person],
            "session_id": [f"b{i}" for i in bout],
            "visit_id": [f"v{9 - i}" for i in visit],
            "period": visit + 1.0,
            "modality": np.where(bout < k, "aerobic", "rest"),
            "duration_min": 20.0,
        }
    )
    before = (
        300 * np.exp(0.3 * rng.normal(size=n))[person] * np.exp(0.02 * rng.normal(size=len(bout)))
    )
    values = np.column_stack([before, before * np.exp(changes.ravel())])
    noise = np.exp(0.05 * rng.normal(size=(*values.shape, trials)) * (trials > 1))
    row, time, trial = (a.ravel() for a in np.indices(noise.shape))
    keys = cases[["study_id", "participant_id", "session_id"]].iloc[row].reset_index(drop=True)
    measurements = keys.assign(
        measure="ppt",
        site_role="local",
        timepoint=np.array(["pre", "post"])[time],
        trial=trial + 1.0,
        value=(values[:, :, None] * noise).ravel(),
    )
    return cases, measurements


def trait(n, reliability, k=2, seed=2):
    rng = np.random.default_rng(seed)
    own = np.sqrt(reliability) * rng.normal(size=(n, 1))
    return 0.1 * (own + np.sqrt(1 - reliability) * rng.normal(size=(n, k)))


def changes_of(cases, measurements, design, endpoint=PPT):
    return study_changes(cases, measurements, design, 200, 1).of(endpoint)


# ---- sessions ----------------------------------------------------------------------------------


def test_exercises_are_equal_within_a_class_of_intensity_only():
    cases = pd.DataFrame(
        {
            "modality": ["aerobic", "aerobic", "aerobic", "isometric", "aerobic"],
            "intensity_metric": "percent_hrr",
            "intensity_value": [70.0, 72.0, 45.0, 70.0, 70.0],
            "duration_min": [20.0, 20.0, 20.0, 20.0, np.nan],
        }
    )

    codes = exercise_codes(cases)

    assert codes[0] == codes[1]
    assert len(set(codes)) == 4


def test_sessions_stand_in_the_order_of_their_period_not_of_their_names():
    table = trait(5, 0.5, k=3)
    cases, measurements = study(table)
    rows = study_changes(cases, measurements, BARE, 20, 1).label

    found = tabulate_sessions(rows, "change", ["_person", "_exercise"])

    assert found.values == pytest.approx(table)
    assert found.is_exact


def test_every_bout_is_its_own_session_where_no_visits_are_named():
    cases, measurements = study(trait(4, 0.5))
    cases = cases.drop(columns=["visit_id", "period"])
    changes = study_changes(cases, measurements, BARE, 20, 1).label

    assert tabulate_sessions(changes, "change", ["_person"]).values.shape == (4, 2)


def test_complete_rows_keep_the_sessions_that_tell_most_about_error():
    nan = np.nan
    values = np.array([[1, 2, 3], [4, 5, nan], [6, 7, nan], [8, 9, nan]], dtype=float)

    # Two sessions leave 4 * 1 degrees of freedom for error, three leave 1 * 2.
    assert complete_rows(values).tolist() == [[1, 2], [4, 5], [6, 7], [8, 9]]
    assert complete_rows(values[:1]).tolist() == [[1, 2, 3]]
    assert complete_rows(values[:, :1]).shape == (0, 2)


def test_reliability_between_sessions_is_the_icc_of_their_changes():
    table = trait(40, 0.5)
    found = from_sessions(changes_of(*study(table), BARE))

    expected = intraclass_correlations(table)["ICC(A,1)"]
    assert (found.icc.estimate, found.icc.lower, found.icc.upper) == pytest.approx(
        (expected.estimate, expected.lower, expected.upper)
    )
    assert found.model == "ICC(A,1)"
    assert found.label_reliability == found.icc
    assert (found.n_participants, found.n_values) == (40, 80)


def test_two_different_exercises_are_no_repeated_sessions():
    cases, measurements = study(trait(20, 0.5))
    cases["duration_min"] = np.where(cases["session_id"] == "b0", 20.0, 45.0)

    found = from_sessions(changes_of(cases, measurements, BARE))

    assert np.isnan(found.icc.estimate)
    assert found.icc.reason == "fewer than two persons have a second session of the same exercise"


def test_persons_with_one_session_are_left_out_and_the_others_stay_exact():
    table = trait(30, 0.5)
    cases, measurements = study(table)
    lost = (cases["participant_id"] < "p010") & (cases["session_id"] == "b1")

    found = from_sessions(changes_of(cases[~lost], measurements, BARE))

    assert found.n_participants == 20
    assert found.icc.estimate == pytest.approx(
        intraclass_correlations(table[10:])["ICC(A,1)"].estimate
    )


def test_unequal_numbers_of_sessions_take_the_estimate_of_all_of_them():
    cases, measurements = study(trait(30, 0.5, k=3))
    lost = (cases["participant_id"] < "p010") & (cases["session_id"] == "b2")

    found = from_sessions(changes_of(cases[~lost], measurements, BARE))

    assert found.model == "ICC(1), one-way REML of all sessions"
    assert found.n_values == 30 * 3 - 10
    assert found.icc.lower < found.icc.estimate < found.icc.upper
    assert "200 of 200 resamples" in found.icc.method


def test_a_rest_bout_shared_by_two_sessions_does_not_pass_for_a_trait():
    rng = np.random.default_rng(5)
    error, rest = 0.1 * rng.normal(size=(200, 2)), 0.1 * rng.normal(size=200)

    found = from_sessions(changes_of(*study(error, rest), RESTED))

    naive = intraclass_correlations(error - rest[:, None])["ICC(A,1)"].estimate
    assert naive == pytest.approx(0.5, abs=3 * 0.75 / np.sqrt(200))  # the trap: SE (1 - .5²)/√n
    assert abs(found.icc.estimate) < 3 / np.sqrt(200)
    assert found.label_reliability.lower < 0 < found.label_reliability.upper
    assert found.details["rest_shared_between_sessions"]
    assert "would pass for a trait" in " ".join(found.notes)


def test_label_reliability_counts_the_error_of_the_shared_rest_bout():
    rng = np.random.default_rng(6)
    table, rest = trait(800, 0.6), 0.1 * rng.normal(size=800)

    found = from_sessions(changes_of(*study(table, rest), RESTED))

    # Of one change .6 is true; the rest bout adds as much variance as a whole change has.
    assert found.icc.estimate == pytest.approx(0.6, abs=3 * (1 - 0.36) / np.sqrt(800))
    assert found.label_reliability.estimate == pytest.approx(0.6 / 2, abs=3 * 0.64 / np.sqrt(800))


def test_sessions_with_their_own_rest_bout_are_compared_as_they_are_labelled():
    rng = np.random.default_rng(7)
    table, rest = trait(50, 0.6), 0.05 * rng.normal(size=(50, 2))

    found = from_sessions(changes_of(*study(table, rest), RESTED))

    assert found.icc.estimate == pytest.approx(
        intraclass_correlations(table - rest)["ICC(A,1)"].estimate
    )
    assert not found.details["rest_shared_between_sessions"]


def test_a_drug_that_differs_between_sessions_is_named():
    cases, measurements = study(trait(20, 0.5))
    cases["drug"] = np.where(cases["session_id"] == "b0", "saline", "naloxone")

    found = from_sessions(changes_of(cases, measurements, BARE))

    assert found.details["varying_between_sessions"] == ["drug"]
    assert found.notes == ("The sessions differ in drug: this is no clean test-retest.",)


# ---- rest and trials ---------------------------------------------------------------------------


def test_reliability_from_rest_by_arithmetic():
    rng = np.random.default_rng(8)
    table, rest = 0.15 * rng.normal(size=(40, 1)), 0.08 * rng.normal(size=40)

    bare = from_rest(changes_of(*study(table, rest), BARE))
    label = from_rest(changes_of(*study(table, rest), RESTED))

    noise = rest.var(ddof=1)
    assert bare.icc.estimate == pytest.approx(1 - noise / table.var(ddof=1))
    assert bare.sem.estimate == pytest.approx(rest.std(ddof=1))
    subtracted = (table[:, 0] - rest).var(ddof=1)
    assert label.icc.estimate == pytest.approx(1 - 2 * noise / subtracted)
    assert label.sem.estimate == pytest.approx(np.sqrt(2) * rest.std(ddof=1))


def test_reliability_from_rest_recovers_what_was_built_in():
    rng = np.random.default_rng(9)
    true = 0.09 * rng.normal(size=(600, 1))
    exercise = true + 0.07 * rng.normal(size=(600, 1))

    found = from_rest(changes_of(*study(exercise, 0.07 * rng.normal(size=600)), RESTED))

    expected = 0.09**2 / (0.09**2 + 2 * 0.07**2)
    assert found.icc.lower < expected < found.icc.upper


def test_without_rest_bouts_that_source_is_unknown_with_the_reason():
    found = from_rest(changes_of(*study(trait(10, 0.5)), BARE))

    assert np.isnan(found.icc.estimate)
    assert found.icc.reason == "fewer than three bouts of quiet rest"


def test_reliability_from_trials_is_on_the_scale_of_the_change():
    cases, measurements = study(trait(300, 0.5), trials=4)
    prepared = study_changes(cases, measurements, BARE, 200, 1)

    found = from_trials(prepared.of(PPT), prepared.trial_se)

    # Trials of 5 % noise, four before and four after: sqrt(2 * .05² / 4) on the log scale.
    assert found.sem.estimate == pytest.approx(0.05 * np.sqrt(2 / 4), rel=0.05)
    variance = prepared.of(PPT).label["change"].var(ddof=1)
    assert found.icc.estimate == pytest.approx(1 - found.sem.estimate**2 / variance)


def test_single_trials_tell_nothing_about_their_noise():
    cases, measurements = study(trait(10, 0.5))
    prepared = study_changes(cases, measurements, BARE, 50, 1)

    found = from_trials(prepared.of(PPT), prepared.trial_se)

    assert found.icc.reason == "no trials are repeated within a block"


def test_repeated_sessions_are_preferred_to_rest_and_rest_to_trials():
    rng = np.random.default_rng(10)
    rest = 0.05 * rng.normal(size=12)
    both = study_changes(*study(trait(12, 0.5), rest, trials=3), BARE, 50, 1)
    once = study_changes(*study(trait(12, 0.5, k=1), rest, trials=3), BARE, 50, 1)
    few = study_changes(*study(trait(9, 0.5), trials=1), BARE, 50, 1)

    sources = [chosen_repetition(repetitions(s, PPT, BARE)) for s in (both, once, few)]

    assert [s.source if s else None for s in sources] == ["sessions", "rest", None]


# ---- bouts compared within a visit -------------------------------------------------------------


def crossover(stable, drift, early=2, seed=3):
    """Ratings after easy and hard bouts on two visits; the person's order is the same on both.

    Every person but each ``early``-th has the hard bouts last.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for i, own in enumerate(stable):
        hard = (2, 3) if i % early else (0, 1)
        for visit in (1, 2):
            for block in range(4):
                is_hard = block in hard
                value = 50 + drift * block - own * is_hard + 3 * rng.normal()
                rows.append(
                    (f"p{i:03d}", f"{visit}-{block}", f"v{visit}", block + 1, is_hard, value)
                )
    table = pd.DataFrame(
        rows,
        columns=["participant_id", "session_id", "visit_id", "block_number", "is_hard", "value"],
    ).assign(study_id="s")
    cases = table.drop(columns=["value", "is_hard"]).assign(
        modality="aerobic",
        intensity_metric="percent_ftp",
        intensity_value=np.where(table["is_hard"], 100.0, 55.0),
    )
    measurements = table[["study_id", "participant_id", "session_id", "value"]].assign(
        measure="pain_rating_heat", site_role="remote", timepoint="post", trial=1.0
    )
    return cases, measurements


def test_bouts_of_a_visit_are_one_session_and_their_label_is_less_reliable():
    rng = np.random.default_rng(11)
    found = from_sessions(changes_of(*crossover(5 * rng.normal(size=60), 0.0), HARD_OR_EASY, HEAT))

    # True variance 25. Of a session: hard and easy means of two, 9/2 + 9/2. Of one bout: 9 + 9/2.
    error = 3 * (1 - 0.5**2) / np.sqrt(60)
    assert found.details["bouts_per_session"] == 2
    assert found.icc.estimate == pytest.approx(25 / (25 + 9), abs=error)
    assert found.label_reliability.estimate == pytest.approx(25 / (25 + 13.5), abs=error)
    assert found.label_reliability.estimate < found.icc.estimate


def test_drift_over_blocks_looks_like_a_trait_until_it_is_taken_out():
    cases, measurements = crossover(np.zeros(60), drift=4.0)
    assert has_block_order(cases)

    raw = from_sessions(changes_of(cases, measurements, HARD_OR_EASY, HEAT))
    adjusted = from_sessions(
        changes_of(cases, without_block_drift(cases, measurements), HARD_OR_EASY, HEAT)
    )

    assert raw.icc.estimate > 0.8
    assert abs(adjusted.icc.estimate) < 3 / np.sqrt(60)


def test_block_drift_is_estimated_with_the_exercise_held_fixed():
    cases, measurements = crossover(np.full(60, 10.0), drift=4.0, early=5)

    adjusted = without_block_drift(cases, measurements)

    shift = (measurements["value"] - adjusted["value"]).groupby(cases["block_number"]).mean()
    # A block effect rests on 120 visits of SD 3 each: SE of a difference about .4.
    assert shift.tolist() == pytest.approx([0, 4, 8, 12], abs=3 * 0.4)


def test_studies_without_an_order_of_blocks_are_left_alone():
    cases, _ = crossover(np.zeros(4), 0.0)

    assert not has_block_order(cases.drop(columns="block_number"))
    assert not has_block_order(cases[cases["block_number"] == 1])


# ---- the label -----------------------------------------------------------------------------------


def test_label_of_a_hard_rule_is_as_reliable_as_the_change_it_cuts():
    cases, measurements = study(trait(30, 0.5))
    prepared = study_changes(cases, measurements, BARE, 50, 1)
    chosen = chosen_repetition(repetitions(prepared, PPT, BARE))

    figure, source = of_label(chosen, label_outcomes(cases, measurements, BARE), prepared.draws)

    assert (figure, source) == (chosen.label_reliability, "sessions")
    assert of_label(None, pd.DataFrame(), prepared.draws)[1] == "none"


def test_label_of_the_posterior_is_as_reliable_as_the_shrunken_change():
    rng = np.random.default_rng(14)
    n, error = 2000, 0.5
    true = rng.normal(size=n)
    shrunk = (true + error * rng.normal(size=n)) / (1 + error**2)
    labels = pd.DataFrame(
        {
            "study_id": "s",
            "participant_id": [f"p{i:04d}" for i in range(n)],
            "rule": "posterior",
            "posterior_mean": shrunk,
            "posterior_sd": np.sqrt(error**2 / (1 + error**2)),
        }
    )

    figure, source = of_label(None, labels, np.ones((101, 1)))

    assert source == "posterior"
    # By construction the share of true variance is 1 / (1 + .25); so is the squared correlation.
    assert figure.estimate == pytest.approx(1 / 1.25, abs=3 * 0.36 / np.sqrt(n))
    assert np.corrcoef(shrunk, true)[0, 1] ** 2 == pytest.approx(figure.estimate, abs=0.03)


def test_posterior_without_bouts_has_no_reliability():
    labels = pd.DataFrame({"rule": ["posterior"], "posterior_mean": np.nan, "posterior_sd": 1.0})

    assert of_label(None, labels, np.ones((10, 1)))[0].reason == (
        "fewer than three bouts have a posterior"
    )


# ---- the record of an endpoint -----------------------------------------------------------------


def record(cases, measurements, design):
    labels = label_outcomes(cases, measurements, design)
    return summarise_reliability(cases, measurements, labels, design)


def test_record_holds_what_the_interface_promises():
    rng = np.random.default_rng(12)
    cases, measurements = study(trait(40, 0.5), 0.05 * rng.normal(size=(40, 2)), trials=3)

    found = record(cases, measurements, RESTED)

    assert list(found) == ["ppt/local"]
    entry = found["ppt/local"]
    assert set(entry["icc"]) == {"estimate", "lower", "upper", "method", "reason", "model"}
    for name in ("sem", "mdc95", "sd_individual_response", "auc_ceiling"):
        assert np.isfinite(entry[name])
    assert entry["source"] == "sessions"
    assert entry["mdc95"] == pytest.approx(1.959964 * np.sqrt(2) * entry["sem"], rel=1e-6)
    assert entry["mdc95_group"] == pytest.approx(entry["mdc95"] / np.sqrt(40))
    assert set(entry["sources"]) == set(entry["single_value"]) == {"sessions", "rest", "trials"}
    assert entry["kappa"]["response"]["n_pairs"] == 40


def test_kappa_compares_the_classes_of_the_first_two_sessions_person_by_person():
    cases, measurements = study(trait(40, 0.6, k=3))
    design = OutcomeDesign(
        (PPT,), subtract_rest=False, sem_source="stated", stated_sem=(StatedSem("ppt", 0.03, "x"),)
    )
    labels = label_outcomes(cases, measurements, design)
    # Later bouts first in the table: the order is that of the periods.
    labels = labels.sort_values("session_id", ascending=False)

    found = record(cases, measurements, design)["ppt/local"]["kappa"]

    wide = labels.assign(c=labels["response"] - labels["hyperalgesia"]).pivot(
        index="participant_id", columns="session_id", values=["response", "c"]
    )
    for name, column in (("response", "response"), ("class", "c")):
        expected = cohen_kappa(*(wide[(column, f"b{i}")].to_numpy() for i in (0, 1)))
        assert (found[name]["estimate"], found[name]["upper"]) == pytest.approx(
            (expected.estimate, expected.upper)
        )
        assert found[name]["n_pairs"] == found[name]["n_participants"] == 40


def test_kappa_pairs_the_bouts_of_two_visits_in_their_order_and_resamples_persons():
    rng = np.random.default_rng(16)

    found = record(*crossover(6 * rng.normal(size=30), 0.0), RATED)["pain_rating_heat/remote"]

    assert found["kappa"]["response"]["n_pairs"] == 60
    assert found["kappa"]["response"]["n_participants"] == 30
    assert "person-cluster bootstrap" in found["kappa"]["response"]["method"]
    assert found["kappa"]["response"]["lower"] > 0


def test_sem_in_percent_follows_the_scale_of_the_change():
    ratio = record(*study(trait(20, 0.5)), BARE)["ppt/local"]
    rng = np.random.default_rng(15)
    rating = record(*crossover(5 * rng.normal(size=20), 0.0), HARD_OR_EASY)
    rating = rating["pain_rating_heat/remote"]

    assert ratio["change_scale"] == "log_ratio"
    assert ratio["sem_percent"] == pytest.approx(100 * (np.exp(ratio["sem"]) - 1))
    assert rating["change_scale"] == "absolute"
    # Easy bouts are rated 50 by construction.
    assert rating["sem_percent"] == pytest.approx(100 * rating["sem"] / 50, rel=0.02)


def test_threshold_can_be_reliable_where_its_change_is_not():
    rng = np.random.default_rng(13)
    cases, measurements = study(0.1 * rng.normal(size=(60, 2)), 0.1 * rng.normal(size=(60, 2)))

    entry = record(cases, measurements, RESTED)["ppt/local"]

    assert entry["single_value"]["sessions"]["icc"]["lower"] > 0.9
    assert entry["icc"]["lower"] < 0 < entry["icc"]["upper"]
    assert "indistinguishable from zero" in " ".join(entry["sentences"])


def test_record_without_any_repetition_says_so_and_states_no_ceiling():
    design = OutcomeDesign((PPT,), subtract_rest=False, sem_source="trials")

    entry = record(*study(trait(20, 0.5, k=1)), design)["ppt/local"]

    assert entry["source"] == "none"
    assert np.isnan(entry["auc_ceiling"])
    assert entry["icc"]["reason"].startswith("nothing is repeated")
    assert "no ceiling can be stated" in entry["sentences"][0]
    assert entry["kappa"]["response"]["reason"].startswith("fewer than two persons")


def test_endpoints_at_several_moments_get_keys_of_their_own():
    cases, measurements = study(trait(12, 0.5))
    later = measurements[measurements["timepoint"] == "post"].assign(timepoint="post_24h")
    endpoints = (PPT, Endpoint("local_ppt_24h", "ppt", "local", "post_24h"))

    found = record(cases, pd.concat([measurements, later]), OutcomeDesign(endpoints))

    assert list(found) == ["ppt/local/post", "ppt/local/post_24h"]


def test_rows_of_changes_join_their_case_once():
    cases, measurements = study(trait(5, 0.5))
    labels = label_outcomes(cases, measurements, BARE)

    assert len(with_sessions(labels, cases)) == len(labels) == 10
