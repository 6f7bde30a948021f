"""Outcomes by hand: change, rest, error of measurement, classes and flare."""

import math

import numpy as np
import pandas as pd
import pytest

from features.outcome import (
    Endpoint,
    OutcomeDesign,
    StatedSem,
    classify,
    compute_changes,
    describe_outcomes,
    estimate_sem,
    label_outcomes,
    signed_change,
    summarise_trials,
)
from features.units import MEASURES

PPT = Endpoint("ppt_local", "ppt", "local", "post")
HEAT = Endpoint("heat_remote", "heat_threshold", "remote", "post")
RATING = Endpoint("rating_remote", "pain_rating_heat", "remote", "post")


def bouts(*rows, **columns):
    """Cases from (participant, session, visit, modality)."""
    table = pd.DataFrame(rows, columns=["participant_id", "session_id", "visit_id", "modality"])
    return table.assign(study_id="s", **columns)


def readings(*rows):
    """Trials from (participant, session, endpoint, timepoint, values[, levels])."""
    records = [
        {
            "study_id": "s",
            "participant_id": participant,
            "session_id": session,
            "measure": endpoint.measure,
            "site_role": endpoint.site_role,
            "timepoint": timepoint,
            "trial": float(trial),
            "stimulus_level": levels[0][trial - 1] if levels else np.nan,
            "value": float(value),
        }
        for participant, session, endpoint, timepoint, values, *levels in rows
        for trial, value in enumerate(values, start=1)
    ]
    return pd.DataFrame(records)


def pairs(*rows, endpoint=PPT):
    """Single trials before and after, from (participant, session, pre, post)."""
    return readings(
        *((p, s, endpoint, "pre", [pre]) for p, s, pre, _ in rows),
        *((p, s, endpoint, endpoint.timepoint, [post]) for p, s, _, post in rows),
    )


def row(table, participant, session, endpoint=PPT):
    chosen = table.query(
        "participant_id == @participant and session_id == @session and endpoint == @endpoint.name"
    )
    assert len(chosen) == 1
    return chosen.iloc[0]


# ---- change and its direction


@pytest.mark.parametrize("measure", [n for n, m in MEASURES.items() if m.less_pain == +1])
def test_a_threshold_that_rises_is_a_positive_change(measure):
    change = signed_change(np.array([40.0]), np.array([50.0]), measure)

    assert change["absolute"] == [50 - 40]
    assert change["percent"] == pytest.approx([100 * (50 - 40) / 40])
    assert change["log_ratio"] == pytest.approx([math.log(50 / 40)])


@pytest.mark.parametrize("measure", [n for n, m in MEASURES.items() if m.less_pain == -1])
def test_a_rating_that_falls_is_a_positive_change(measure):
    change = signed_change(np.array([5.0]), np.array([4.0]), measure)

    assert change["absolute"] == [5 - 4]
    assert change["percent"] == pytest.approx([100 * (5 - 4) / 5])
    assert change["log_ratio"] == pytest.approx([math.log(5 / 4)])


def test_a_ratio_to_zero_is_missing_and_the_difference_is_not():
    change = signed_change(np.array([0.0, 6.0]), np.array([2.0, 0.0]), "pain_nrs")

    assert change["absolute"].tolist() == [-2.0, 6.0]
    np.testing.assert_array_equal(change["percent"], [np.nan, 100.0])
    assert np.isnan(change["log_ratio"]).all()


@pytest.mark.parametrize(("before", "after"), [(np.nan, 300.0), (300.0, np.nan)])
def test_a_change_is_missing_where_either_value_is(before, after):
    change = signed_change(np.array([before]), np.array([after]), "ppt")

    assert all(np.isnan(v).all() for v in change.values())


@pytest.mark.parametrize("measure", ["rpe", "exercise_work"])
def test_a_measure_that_is_no_pain_outcome_has_no_change_of_zero(measure):
    try:
        change = signed_change(np.array([10.0]), np.array([12.0]), measure)
    except ValueError:
        return
    assert np.isnan(change["absolute"]).all()


# ---- trials


def test_trials_are_averaged_with_the_pooled_standard_error():
    table = readings(
        ("1", "a", PPT, "pre", [100, 104, 102]), ("2", "a", PPT, "pre", [200, 210, np.nan])
    )

    summary = summarise_trials(table)

    # Sums of squares 4 + 0 + 4 and 25 + 25, with 2 + 1 degrees of freedom.
    variance = (8 + 50) / (2 + 1)
    assert summary["mean"].tolist() == [102, 205]
    assert summary["n_trials"].tolist() == [3, 2]
    assert summary["se"].tolist() == pytest.approx(
        [math.sqrt(variance / 3), math.sqrt(variance / 2)]
    )


def test_noise_is_pooled_within_a_measure_and_not_across_measures():
    table = readings(
        ("1", "a", PPT, "pre", [100, 104]),
        ("1", "a", HEAT, "pre", [45.0, 45.2]),
    )

    summary = summarise_trials(table).set_index("measure")

    assert summary["se"]["ppt"] == pytest.approx(math.sqrt(8 / 2))
    assert summary["se"]["heat_threshold"] == pytest.approx(math.sqrt(0.02 / 2))


def test_levels_are_averaged_first_so_that_a_lost_trial_does_not_shift_the_mean():
    # Two levels, rated 20 and 60; of the second one a trial is lost.
    table = readings(
        ("1", "a", RATING, "pre", [18, 22, 58, 62], [1, 1, 2, 2]),
        ("1", "a", RATING, "post", [18, 22, 60, np.nan], [1, 1, 2, 2]),
    )

    summary = summarise_trials(table).set_index("timepoint")

    # Two trials 4 apart have a variance of 8; the lone one adds none.
    variance = (8 + 8 + 8) / 3
    assert summary["mean"].to_dict() == {"pre": (20 + 60) / 2, "post": (20 + 60) / 2}
    assert summary["n_trials"].to_dict() == {"pre": 4, "post": 3}
    assert summary["se"]["pre"] == pytest.approx(math.sqrt(variance / 2 + variance / 2) / 2)
    assert summary["se"]["post"] == pytest.approx(math.sqrt(variance / 2 + variance / 1) / 2)


def test_a_table_without_levels_is_summarised_as_one_level():
    table = readings(("1", "a", PPT, "pre", [100, 104]))

    bare = summarise_trials(table.drop(columns="stimulus_level"))

    pd.testing.assert_frame_equal(bare, summarise_trials(table))


def test_a_cell_whose_trials_are_all_lost_is_absent():
    table = readings(("1", "a", PPT, "pre", [100, 104]), ("1", "a", PPT, "post", [np.nan, np.nan]))

    assert summarise_trials(table)["timepoint"].tolist() == ["pre"]


@pytest.mark.parametrize("index", [[5, 5, 5, 5], [3, 1, 0, 2]])
def test_summarise_trials_does_not_look_at_the_index(index):
    table = readings(("1", "a", RATING, "pre", [18, 22, 58, 62], [1, 1, 2, 2]))

    moved = summarise_trials(table.set_axis(index, axis=0))

    pd.testing.assert_frame_equal(moved, summarise_trials(table))


def test_the_error_of_single_trials_is_unknown_and_not_zero():
    summary = summarise_trials(pairs(("1", "a", 200, 250)))

    assert summary["se"].isna().all()


def test_sites_that_share_a_role_are_averaged_like_levels():
    # Arm 100, leg 300: two trials each, two apart; then a trial of the leg is lost.
    table = readings(
        ("1", "a", PPT, "pre", [99, 101, 299, 301]), ("1", "a", PPT, "post", [99, 101, 300, np.nan])
    ).assign(body_site=["arm", "arm", "leg", "leg"] * 2)

    summary = summarise_trials(table).set_index("timepoint")

    assert summary["mean"].to_dict() == {"pre": 200, "post": 200}
    assert summary["se"]["pre"] == pytest.approx(math.sqrt(2 / 2 + 2 / 2) / 2)


# ---- reference: the block before the bout


def test_change_is_after_against_before():
    table = compute_changes(
        bouts(("1", "a", "v", "aerobic")), pairs(("1", "a", 200, 250)), OutcomeDesign((PPT,))
    )

    only = row(table, "1", "a")
    assert (only["reference"], only["after"]) == (200, 250)
    assert only["change_absolute"] == 250 - 200
    assert only["change_percent"] == pytest.approx(100 * (250 - 200) / 200)
    assert only["change_log_ratio"] == pytest.approx(math.log(250 / 200))
    assert only["change"] == only["change_log_ratio"]
    assert only["change_scale"] == "log_ratio"
    assert np.isnan(only["rest_change"])


def test_the_trial_error_of_a_change_adds_both_blocks():
    table = readings(("1", "a", PPT, "pre", [100, 104, 102]), ("1", "a", PPT, "post", [110, 112]))

    changes = compute_changes(bouts(("1", "a", "v", "aerobic")), table, OutcomeDesign((PPT,)))

    variance = (8 + 2) / (2 + 1)
    assert changes["se_trials"][0] == pytest.approx(math.sqrt(variance / 3 + variance / 2))


def test_a_bout_without_both_values_has_no_row():
    cases = bouts(("1", "a", "v", "aerobic"), ("2", "a", "v", "aerobic"), ("3", "a", "v", "mixed"))
    table = readings(
        ("1", "a", PPT, "pre", [200]),
        ("2", "a", PPT, "post", [200]),
        ("3", "a", PPT, "pre", [200]),
        ("3", "a", PPT, "post", [250]),
    )

    changes = compute_changes(cases, table, OutcomeDesign((PPT,)))

    assert changes["participant_id"].tolist() == ["3"]


def test_readings_of_unknown_bouts_are_left_out():
    table = pairs(("1", "a", 200, 250), ("1", "unheard_of", 200, 250))

    changes = compute_changes(bouts(("1", "a", "v", "aerobic")), table, OutcomeDesign((PPT,)))

    assert changes["session_id"].tolist() == ["a"]


def test_every_endpoint_is_read_from_its_own_measure_site_and_moment():
    late = Endpoint("ppt_late", "ppt", "local", "post_24h")
    remote = Endpoint("ppt_remote", "ppt", "remote", "post")
    table = pd.concat(
        [
            pairs(("1", "a", 200, 250)),
            readings(("1", "a", PPT, "post_24h", [220])),
            pairs(("1", "a", 300, 330), endpoint=remote),
            pairs(("1", "a", 45, 46), endpoint=HEAT),
        ],
        ignore_index=True,
    )
    design = OutcomeDesign((PPT, late, remote, HEAT))

    changes = compute_changes(bouts(("1", "a", "v", "aerobic")), table, design)

    assert dict(zip(changes["endpoint"], changes["change_absolute"], strict=True)) == {
        "ppt_local": 250 - 200,
        "ppt_late": 220 - 200,
        "ppt_remote": 330 - 300,
        "heat_remote": 46 - 45,
    }
    assert row(changes, "1", "a", HEAT)["change"] == 46 - 45


# ---- minus rest


def test_the_change_of_the_rest_bout_of_the_visit_is_subtracted():
    cases = bouts(
        ("1", "a", "monday", "aerobic"),
        ("1", "r1", "monday", "rest"),
        ("1", "r2", "friday", "rest"),
    )
    table = pairs(("1", "a", 200, 250), ("1", "r1", 200, 210), ("1", "r2", 200, 400))

    changes = compute_changes(cases, table, OutcomeDesign((PPT,)))

    only = row(changes, "1", "a")
    assert only["rest_change"] == pytest.approx(math.log(210 / 200))
    assert only["change"] == pytest.approx(math.log(250 / 200) - math.log(210 / 200))
    assert only["change_log_ratio"] == only["change"]
    assert only["change_absolute"] == (250 - 200) - (210 - 200)
    assert only["change_percent"] == pytest.approx(25 - 5)


def test_the_mean_of_the_other_rest_bouts_is_subtracted_where_the_visit_has_none():
    cases = bouts(
        ("1", "a", "monday", "aerobic"),
        ("1", "r1", "tuesday", "rest"),
        ("1", "r2", "friday", "rest"),
    )
    table = pairs(("1", "a", 200, 250), ("1", "r1", 200, 210), ("1", "r2", 200, 230))

    changes = compute_changes(cases, table, OutcomeDesign((PPT,)))

    rest = (math.log(210 / 200) + math.log(230 / 200)) / 2
    assert row(changes, "1", "a")["rest_change"] == pytest.approx(rest)
    assert row(changes, "1", "a")["change"] == pytest.approx(math.log(250 / 200) - rest)


def test_nothing_is_subtracted_where_the_person_has_no_rest_bout():
    cases = bouts(("1", "a", "v", "aerobic"), ("2", "a", "v", "aerobic"), ("2", "r", "v", "rest"))
    table = pairs(("1", "a", 200, 250), ("2", "a", 200, 250), ("2", "r", 200, 210))

    changes = compute_changes(cases, table, OutcomeDesign((PPT,)))

    assert row(changes, "1", "a")["change"] == pytest.approx(math.log(250 / 200))
    assert np.isnan(row(changes, "1", "a")["rest_change"])
    assert row(changes, "2", "a")["rest_change"] == pytest.approx(math.log(210 / 200))


def test_nothing_is_subtracted_where_the_rest_bout_was_lost():
    cases = bouts(("1", "a", "v", "aerobic"), ("1", "r", "v", "rest"))

    changes = compute_changes(cases, pairs(("1", "a", 200, 250)), OutcomeDesign((PPT,)))

    assert row(changes, "1", "a")["change"] == pytest.approx(math.log(250 / 200))


def test_rest_bouts_are_rows_of_their_own_change():
    cases = bouts(("1", "a", "v", "aerobic"), ("1", "r", "v", "rest"))
    table = pairs(("1", "a", 200, 250), ("1", "r", 200, 210))

    changes = compute_changes(cases, table, OutcomeDesign((PPT,)))

    rest = row(changes, "1", "r")
    assert rest["is_rest"]
    assert rest["change"] == pytest.approx(math.log(210 / 200))
    assert np.isnan(rest["rest_change"])


def test_nothing_is_subtracted_where_the_design_says_so():
    cases = bouts(("1", "a", "v", "aerobic"), ("1", "r", "v", "rest"))
    table = pairs(("1", "a", 200, 250), ("1", "r", 200, 210))

    changes = compute_changes(cases, table, OutcomeDesign((PPT,), subtract_rest=False))

    assert row(changes, "1", "a")["change"] == pytest.approx(math.log(250 / 200))
    assert changes["rest_change"].isna().all()


@pytest.mark.parametrize("missing", ["column", "value"])
def test_bouts_without_a_visit_take_the_rest_bout_of_the_person(missing):
    cases = bouts(("1", "a", None, "aerobic"), ("1", "r", "v", "rest"))
    cases = cases.drop(columns="visit_id") if missing == "column" else cases
    table = pairs(("1", "a", 200, 250), ("1", "r", 200, 210))

    changes = compute_changes(cases, table, OutcomeDesign((PPT,)))

    assert row(changes, "1", "a")["rest_change"] == pytest.approx(math.log(210 / 200))


def test_rest_bouts_of_other_people_and_endpoints_are_never_subtracted():
    cases = bouts(("1", "a", "v", "aerobic"), ("2", "r", "v", "rest"), ("1", "r", "v", "rest"))
    table = pd.concat(
        [
            pairs(("1", "a", 200, 250), ("2", "r", 200, 210)),
            pairs(("1", "r", 45, 46), endpoint=HEAT),
        ],
        ignore_index=True,
    )

    changes = compute_changes(cases, table, OutcomeDesign((PPT, HEAT)))

    assert row(changes, "1", "a")["change"] == pytest.approx(math.log(250 / 200))


# ---- reference: another bout


BOUT = OutcomeDesign(
    (RATING,), reference="bout", reference_where={"intensity_value": 55}, subtract_rest=False
)


def test_a_hard_bout_is_compared_with_the_mean_of_the_easy_ones_of_its_visit():
    cases = bouts(
        ("1", "hard", "v", "aerobic"),
        ("1", "easy1", "v", "aerobic"),
        ("1", "easy2", "v", "aerobic"),
        ("1", "easy3", "other", "aerobic"),
        intensity_value=[100, 55, 55, 55],
    )
    table = readings(
        ("1", "hard", RATING, "post", [30, 34]),
        ("1", "easy1", RATING, "post", [40, 42]),
        ("1", "easy2", RATING, "post", [50, 54]),
        ("1", "easy3", RATING, "post", [90, 90]),
    )

    changes = compute_changes(cases, table, BOUT)

    only = row(changes, "1", "hard", RATING)
    variance = (8 + 2 + 8 + 0) / 4
    assert changes["session_id"].tolist() == ["hard"]
    assert (only["reference"], only["after"]) == ((41 + 52) / 2, 32)
    assert only["change"] == (41 + 52) / 2 - 32
    assert only["se_trials"] == pytest.approx(
        math.sqrt(variance / 2 + (variance / 2 + variance / 2) / 2**2)
    )


def test_reference_bouts_are_no_rows_and_bouts_without_one_are_neither():
    cases = bouts(
        ("1", "hard", "v", "aerobic"),
        ("1", "easy", "w", "aerobic"),
        ("2", "hard", "v", "aerobic"),
        ("2", "easy", "v", "aerobic"),
        intensity_value=[100, 55, 100, 55],
    )
    table = readings(
        *((p, s, RATING, "post", [50]) for p in "12" for s in ("hard", "easy")),
    )

    changes = compute_changes(cases, table, BOUT)

    assert changes[["participant_id", "session_id"]].values.tolist() == [["2", "hard"]]


def test_every_condition_of_a_reference_must_hold():
    cases = bouts(
        ("1", "hard", "v", "aerobic"),
        ("1", "easy", "v", "aerobic"),
        ("1", "easy_drugged", "v", "aerobic"),
        intensity_value=[100, 55, 55],
        drug=["saline", "saline", "naloxone"],
    )
    table = readings(
        ("1", "hard", RATING, "post", [30]),
        ("1", "easy", RATING, "post", [40]),
        ("1", "easy_drugged", RATING, "post", [80]),
    )
    design = OutcomeDesign(
        (RATING,),
        reference="bout",
        reference_where={"intensity_value": 55, "drug": "saline"},
        subtract_rest=False,
    )

    changes = compute_changes(cases, table, design)

    assert row(changes, "1", "hard", RATING)["change"] == 40 - 30
    assert row(changes, "1", "easy_drugged", RATING)["change"] == 40 - 80


# ---- error of measurement


def rest_bouts(posts, endpoint=PPT, pre=200.0):
    """People with one rest bout each, and their readings."""
    people = [str(i) for i in range(len(posts))]
    cases = bouts(*((p, "r", "v", "rest") for p in people))
    table = pairs(*((p, "r", pre, post) for p, post in zip(people, posts, strict=True)))
    return cases, table.assign(measure=endpoint.measure, site_role=endpoint.site_role)


def sem(cases, table, design):
    return estimate_sem(compute_changes(cases, table, design), design).iloc[0]


def test_sem_from_rest_is_the_spread_of_rest_changes():
    cases, table = rest_bouts([190, 200, 220])
    logs = np.log(np.array([190, 200, 220]) / 200)

    estimate = sem(cases, table, OutcomeDesign((PPT,)))

    assert estimate["sem_pair"] == pytest.approx(np.std(logs, ddof=1))
    assert estimate["sem_single"] == pytest.approx(np.std(logs, ddof=1) / math.sqrt(2))
    assert (estimate["sem_source"], estimate["sem_n"]) == ("rest", 3)


def test_sem_from_rest_ignores_exercise_and_is_on_the_primary_scale():
    cases, table = rest_bouts([44.0, 45.5, 46.0], HEAT, pre=45.0)
    cases = pd.concat([cases, bouts(("0", "a", "v", "aerobic"))], ignore_index=True)
    table = pd.concat([table, pairs(("0", "a", 45, 54), endpoint=HEAT)], ignore_index=True)

    estimate = sem(cases, table, OutcomeDesign((HEAT,)))

    assert estimate["sem_pair"] == pytest.approx(np.std([-1.0, 0.5, 1.0], ddof=1))
    assert estimate["sem_n"] == 3


@pytest.mark.parametrize(("modality", "n"), [("aerobic", 0), ("rest", 1)])
def test_sem_from_rest_is_missing_with_fewer_than_two_rest_bouts(modality, n):
    cases = bouts(("1", "a", "v", modality))

    estimate = sem(cases, pairs(("1", "a", 200, 250)), OutcomeDesign((PPT,)))

    assert np.isnan(estimate["sem_single"])
    assert np.isnan(estimate["sem_pair"])
    assert estimate["sem_n"] == n


def test_sem_from_trials_is_the_root_mean_square_of_the_trial_errors():
    design = OutcomeDesign((HEAT,), sem_source="trials")
    cases = bouts(("1", "a", "v", "aerobic"), ("2", "a", "v", "aerobic"))
    table = readings(
        ("1", "a", HEAT, "pre", [45.0, 45.4]),
        ("1", "a", HEAT, "post", [46.0, 46.2]),
        ("2", "a", HEAT, "pre", [44.0]),
        ("2", "a", HEAT, "post", [44.0, 44.0]),
    )

    estimate = sem(cases, table, design)

    variance = (0.08 + 0.02 + 0.0) / 3
    first, second = variance / 2 + variance / 2, variance / 1 + variance / 2
    assert estimate["sem_pair"] == pytest.approx(math.sqrt((first + second) / 2))
    assert estimate["sem_single"] == pytest.approx(math.sqrt((first + second) / 2 / 2))
    assert (estimate["sem_source"], estimate["sem_n"]) == ("trials", 2)


def test_sem_from_trials_is_that_of_logarithms_on_a_ratio_scale():
    cases = bouts(("1", "a", "v", "aerobic"), ("2", "a", "v", "aerobic"))
    table = readings(*((p, "a", PPT, t, [200, 210]) for p in "12" for t in ("pre", "post")))

    estimate = sem(cases, table, OutcomeDesign((PPT,), sem_source="trials"))

    # Two logs d apart have a variance of d^2 / 2; a change has two blocks of two trials.
    variance = math.log(210 / 200) ** 2 / 2
    assert estimate["sem_pair"] == pytest.approx(math.sqrt(variance / 2 + variance / 2))


def test_sem_from_trials_is_missing_where_no_trial_was_repeated():
    cases = bouts(("1", "a", "v", "aerobic"), ("2", "a", "v", "aerobic"))
    table = pairs(("1", "a", 45, 46), ("2", "a", 45, 44), endpoint=HEAT)

    estimate = sem(cases, table, OutcomeDesign((HEAT,), sem_source="trials"))

    assert np.isnan(estimate["sem_pair"])


def test_nobody_is_classified_where_no_error_is_known():
    cases = bouts(("1", "a", "v", "aerobic"), ("2", "a", "v", "aerobic"))
    table = pairs(("1", "a", 45, 46), ("2", "a", 45, 44), endpoint=HEAT)

    labels = label_outcomes(cases, table, OutcomeDesign((HEAT,), sem_source="trials"))

    assert labels[["response", "hyperalgesia"]].isna().all(axis=None)


def test_a_stated_sem_is_that_of_a_single_value():
    stated = (StatedSem("heat_threshold", 9.0, "other"), StatedSem("ppt", 0.1, "Author 2021"))
    design = OutcomeDesign((PPT,), sem_source="stated", stated_sem=stated)
    cases, table = rest_bouts([190, 200, 220])

    estimate = sem(cases, table, design)

    assert estimate["sem_single"] == pytest.approx(0.1)
    assert estimate["sem_pair"] == pytest.approx(0.1 * math.sqrt(2))
    assert (estimate["sem_source"], estimate["sem_n"]) == ("Author 2021", 0)


def test_a_measure_without_a_stated_sem_has_none():
    design = OutcomeDesign((PPT,), sem_source="stated")
    cases, table = rest_bouts([190, 200, 220])

    estimate = sem(cases, table, design)

    assert np.isnan(estimate["sem_single"])
    assert estimate["sem_source"] == "none"


# ---- classes


def test_classes_begin_strictly_beyond_the_threshold():
    change = np.array([0.1, np.nextafter(0.1, 1), 0.0, -0.1, np.nextafter(-0.1, -1)])

    better, worse = classify(change, np.full(5, 0.1))

    assert better.tolist() == [0, 1, 0, 0, 0]
    assert worse.tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(("change", "threshold"), [(np.nan, 0.1), (0.3, np.nan)])
def test_a_class_is_missing_where_change_or_threshold_is(change, threshold):
    better, worse = classify(np.array([change]), np.array([threshold]))

    assert np.isnan(better).all()
    assert np.isnan(worse).all()


def test_nobody_is_better_and_worse_at_once():
    change = np.linspace(-1, 1, 201)

    better, worse = classify(change, np.full(201, 0.2))

    assert (better + worse).max() == 1


def stated_design(**changes):
    stated = (StatedSem("ppt", 0.1, "test"),)
    return OutcomeDesign((PPT,), sem_source="stated", stated_sem=stated, **changes)


@pytest.mark.parametrize(("sem_of", "factor"), [("single", 1), ("change", math.sqrt(2))])
def test_the_threshold_is_the_sem_of_the_design(sem_of, factor):
    cases = bouts(*((str(i), "a", "v", "aerobic") for i in range(3)))
    beyond, within = 200 * math.exp(0.1 * factor + 1e-6), 200 * math.exp(0.1 * factor - 1e-6)
    below = 200 * math.exp(-0.1 * factor - 1e-6)
    table = pairs(("0", "a", 200, beyond), ("1", "a", 200, within), ("2", "a", 200, below))

    labels = label_outcomes(cases, table, stated_design(sem_of=sem_of))

    assert labels["threshold"].tolist() == pytest.approx([0.1 * factor] * 3)
    assert labels["response"].tolist() == [1, 0, 0]
    assert labels["hyperalgesia"].tolist() == [0, 0, 1]


def test_a_subtracted_rest_bout_adds_its_own_error():
    cases = bouts(("1", "a", "v", "aerobic"), ("1", "r", "v", "rest"), ("2", "a", "v", "aerobic"))
    table = pairs(("1", "a", 200, 250), ("1", "r", 200, 210), ("2", "a", 200, 250))

    labels = label_outcomes(cases, table, stated_design())

    bare = 0.1 * math.sqrt(2)
    assert row(labels, "1", "a")["sem_change"] == pytest.approx(bare * math.sqrt(2))
    assert row(labels, "1", "a")["threshold"] == pytest.approx(bare * math.sqrt(2))
    assert row(labels, "2", "a")["sem_change"] == pytest.approx(bare)
    assert (labels["sem_single"] == 0.1).all()


def test_the_threshold_of_a_single_value_does_not_grow_with_rest():
    cases = bouts(("1", "a", "v", "aerobic"), ("1", "r", "v", "rest"))
    table = pairs(("1", "a", 200, 250), ("1", "r", 200, 210))

    labels = label_outcomes(cases, table, stated_design(sem_of="single"))

    assert labels["threshold"].tolist() == pytest.approx([0.1])


def test_rest_bouts_are_not_labelled_and_the_first_endpoint_is_primary():
    cases = bouts(("2", "a", "v", "aerobic"), ("1", "a", "v", "aerobic"), ("1", "r", "v", "rest"))
    rows = (("2", "a"), ("1", "a"), ("1", "r"))
    table = pd.concat(
        [
            pairs(*((p, s, 200, 250) for p, s in rows)),
            pairs(*((p, s, 45, 46) for p, s in rows), endpoint=HEAT),
        ],
        ignore_index=True,
    )

    labels = label_outcomes(cases, table, OutcomeDesign((PPT, HEAT)))

    assert labels[["participant_id", "session_id", "endpoint", "is_primary"]].values.tolist() == [
        ["1", "a", "heat_remote", False],
        ["1", "a", "ppt_local", True],
        ["2", "a", "heat_remote", False],
        ["2", "a", "ppt_local", True],
    ]


def test_an_endpoint_nobody_was_measured_at_has_no_rows():
    cases = bouts(("1", "a", "v", "aerobic"))

    labels = label_outcomes(cases, pairs(("1", "a", 200, 250)), OutcomeDesign((PPT, HEAT)))

    assert labels["endpoint"].tolist() == ["ppt_local"]
    assert describe_outcomes(labels, (PPT, HEAT))[1]["n_bouts"] == 0


# ---- flare


PAIN = Endpoint("pain", "pain_nrs", "clinical", "post")
FOLLOW_UP = Endpoint("ppt_week_12", "ppt", "local", "week_12")


def flare_of(pains, endpoint=PPT, rise=2.0):
    """Flare of one bout, from clinical pain per timepoint."""
    table = pd.concat(
        [
            readings(
                ("1", "a", endpoint, "pre", [200]), ("1", "a", endpoint, endpoint.timepoint, [250])
            ),
            readings(*(("1", "a", PAIN, t, [v]) for t, v in pains.items())),
        ],
        ignore_index=True,
    )
    design = OutcomeDesign((endpoint,), flare_rise_nrs=rise)
    labels = label_outcomes(bouts(("1", "a", "v", "aerobic")), table, design)
    return labels["flare"][0]


@pytest.mark.parametrize(
    ("pains", "flare"),
    [
        ({"pre": 3, "post": 5}, 1),
        ({"pre": 3, "post": 4.9}, 0),
        ({"pre": 3, "post": 1}, 0),
        ({"pre": 3, "during": 6, "post": 3}, 1),
        ({"pre": 3, "post": 3, "post_24h": 5}, 1),
        ({"pre": 3, "during": 4, "post": 3, "post_24h": 2}, 0),
        # Follow-up pain is no part of an acute flare.
        ({"pre": 3, "post": 3, "week_12": 9}, 0),
    ],
)
def test_an_acute_flare_is_a_rise_of_two_points_at_any_moment_of_the_bout(pains, flare):
    assert flare_of(pains) == flare


@pytest.mark.parametrize(
    ("pains", "flare"),
    [
        ({"pre": 3, "week_12": 5}, 1),
        ({"pre": 3, "week_12": 4}, 0),
        ({"pre": 3, "post": 9, "week_12": 3}, 0),
        ({"pre": 3, "week_4": 9, "week_12": 3}, 0),
    ],
)
def test_a_flare_at_follow_up_looks_at_its_own_moment_only(pains, flare):
    assert flare_of(pains, FOLLOW_UP) == flare


@pytest.mark.parametrize(
    ("pains", "endpoint"),
    [
        ({"pre": 3}, PPT),
        ({"post": 9}, PPT),
        ({"pre": 3, "week_12": 9}, PPT),
        ({"pre": 3, "post": 9}, FOLLOW_UP),
    ],
)
def test_a_flare_is_missing_where_the_rise_was_not_observed(pains, endpoint):
    assert np.isnan(flare_of(pains, endpoint))


def test_a_study_without_clinical_pain_has_no_flares():
    cases = bouts(("1", "a", "v", "aerobic"))

    labels = label_outcomes(cases, pairs(("1", "a", 200, 250)), OutcomeDesign((PPT,)))

    assert labels["flare"].isna().all()


def test_experimental_pain_is_no_flare():
    experimental = Endpoint("pain_remote", "pain_nrs", "remote", "post")
    table = pd.concat(
        [pairs(("1", "a", 200, 250)), pairs(("1", "a", 2, 9), endpoint=experimental)],
        ignore_index=True,
    )

    labels = label_outcomes(bouts(("1", "a", "v", "aerobic")), table, OutcomeDesign((PPT,)))

    assert labels["flare"].isna().all()


def test_the_rise_that_counts_as_a_flare_is_the_design_s():
    assert flare_of({"pre": 3, "post": 5}, rise=3.0) == 0
    assert flare_of({"pre": 3, "post": 6}, rise=3.0) == 1


@pytest.mark.parametrize(("before", "after"), [(0.3, 2.3), (0.8, 2.8), (2.1, 4.1)])
def test_a_rise_of_exactly_two_points_is_a_flare_whatever_its_binary_form(before, after):
    assert flare_of({"pre": before, "post": after}) == 1


# ---- counts


def test_describe_outcomes_counts_persons_bouts_and_events():
    cases = bouts(
        ("1", "a", "v", "aerobic"), ("1", "b", "v", "aerobic"), ("2", "a", "v", "aerobic")
    )
    table = pairs(("1", "a", 200, 300), ("1", "b", 200, 200), ("2", "a", 200, 100))
    labels = label_outcomes(cases, table, stated_design())

    record = describe_outcomes(labels, (PPT,))[0]

    changes = np.log([300 / 200, 200 / 200, 100 / 200])
    assert (record["n_bouts"], record["n_participants"]) == (3, 2)
    assert (record["n_response"], record["n_response_known"]) == (1, 3)
    assert (record["n_hyperalgesia"], record["n_hyperalgesia_known"]) == (1, 3)
    assert (record["n_flare"], record["n_flare_known"]) == (0, 0)
    assert record["change_mean"] == pytest.approx(changes.mean())
    assert record["change_sd"] == pytest.approx(changes.std(ddof=1))
    assert record["sem_single"] == pytest.approx(0.1)
    assert record["sem_change_median"] == pytest.approx(0.1 * math.sqrt(2))
    assert (record["sem_source"], record["change_scale"]) == ("test", "log_ratio")
