"""Columns made of the outcome's reference trials, and trials divided so that none are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.baseline_block import reserve_trials
from features.coupling import coupled_columns
from features.outcome_design import Endpoint, OutcomeDesign

PPT = Endpoint("ppt_local", "ppt", "local", "post")
DESIGN = OutcomeDesign((PPT,))


@pytest.fixture
def study():
    """Forty bouts with three trials before and after, and an honest block of the same day."""
    rng = np.random.default_rng(8)
    n = 40
    level = np.exp(5.5 + 0.35 * rng.standard_normal(n))
    noise = np.exp(0.05 * rng.standard_normal((n, 7)))
    cases = pd.DataFrame(
        {
            "study_id": "s",
            "participant_id": [f"p{i:02d}" for i in range(n)],
            "session_id": "a",
            "modality": "aerobic",
            "ppt_baseline_local_kpa": level * noise[:, 6],
        }
    )
    rows = [
        {
            "study_id": "s",
            "participant_id": f"p{i:02d}",
            "session_id": "a",
            "measure": "ppt",
            "body_site": "quadriceps",
            "site_role": "local",
            "timepoint": timepoint,
            "trial": trial + 1.0,
            "value": level[i] * noise[i, 3 * t + trial],
        }
        for i in range(n)
        for t, timepoint in enumerate(("pre", "post"))
        for trial in range(3)
    ]
    return cases, pd.DataFrame(rows)


def trials_of(measurements, timepoint="pre"):
    chosen = measurements[measurements["timepoint"] == timepoint]
    return chosen["value"].to_numpy().reshape(-1, 3)


def found(cases, measurements, design=DESIGN):
    return [(c.endpoint, c.column) for c in coupled_columns(cases, measurements, design)]


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.mean(axis=1),
        lambda t: t[:, 0],
        lambda t: t[:, 1:].mean(axis=1),
        lambda t: np.exp(np.log(t).mean(axis=1)),
        lambda t: t.mean(axis=1).round(),
        lambda t: 2 * t[:, 0] - 0.5 * t[:, 2] + 10,
    ],
    ids=["mean", "first", "last two", "geometric mean", "rounded mean", "weighted"],
)
def test_a_column_made_of_reference_trials_is_found(study, make):
    cases, measurements = study
    cases["ppt_baseline_local_kpa"] = make(trials_of(measurements))

    assert found(cases, measurements) == [("ppt_local", "ppt_baseline_local_kpa")]


def test_an_honest_block_of_the_same_day_is_not_found(study):
    assert found(*study) == []


def test_any_number_known_before_the_bout_is_tried(study):
    cases, measurements = study
    cases["cpm_ppt_unconditioned_kpa"] = trials_of(measurements).mean(axis=1)

    assert found(cases, measurements) == [("ppt_local", "cpm_ppt_unconditioned_kpa")]


def test_trials_of_another_endpoint_are_no_reference(study):
    cases, measurements = study
    cases["ppt_baseline_local_kpa"] = trials_of(measurements).mean(axis=1)
    remote = OutcomeDesign((Endpoint("ppt_remote", "ppt", "remote", "post"),))

    assert found(cases, measurements, remote) == []


def test_a_reference_bout_s_readings_are_its_reference(study):
    cases, measurements = study
    cases["ppt_baseline_local_kpa"] = trials_of(measurements, "post").mean(axis=1)
    design = OutcomeDesign((PPT,), reference="bout", reference_where={"modality": "aerobic"})

    assert found(cases, measurements, design) == [("ppt_local", "ppt_baseline_local_kpa")]


def test_too_few_bouts_prove_nothing(study):
    cases, measurements = study
    cases["ppt_baseline_local_kpa"] = trials_of(measurements).mean(axis=1)

    assert found(cases.iloc[:11], measurements) == []


# ---- dividing the trials


def bare(study):
    cases, measurements = study
    return cases.drop(columns="ppt_baseline_local_kpa"), measurements


@pytest.mark.parametrize(("which", "kept"), [("even", [0, 2]), ("odd", [1])])
def test_reserved_trials_leave_the_reference_and_make_the_baseline(study, which, kept):
    cases, measurements = bare(study)
    trials = trials_of(measurements)
    reserved = [i for i in range(3) if i not in kept]

    divided, moved = reserve_trials(cases, measurements, which)

    np.testing.assert_allclose(divided["ppt_baseline_local_kpa"], trials[:, reserved].mean(axis=1))
    assert divided["ppt_baseline_remote_kpa"].isna().all()
    pre = moved[moved["timepoint"] == "pre"]
    np.testing.assert_allclose(pre["value"].to_numpy().reshape(-1, len(kept)), trials[:, kept])
    assert len(moved) == len(measurements)
    assert found(divided, moved) == []


def test_readings_after_exercise_stay_where_they_are(study):
    cases, measurements = bare(study)

    _, moved = reserve_trials(cases, measurements, "even")

    np.testing.assert_allclose(trials_of(moved, "post"), trials_of(measurements, "post"))


def test_a_lone_trial_stays_with_the_outcome(study):
    cases, measurements = bare(study)
    lone = measurements[measurements["trial"] == 1]

    divided, moved = reserve_trials(cases, lone, "odd")

    pd.testing.assert_frame_equal(moved, lone)
    assert divided["ppt_baseline_local_kpa"].isna().all()


def test_order_is_that_of_the_trials_and_not_of_the_rows(study):
    cases, measurements = bare(study)

    straight, _ = reserve_trials(cases, measurements, "even")
    turned, _ = reserve_trials(cases, measurements.iloc[::-1], "even")

    pd.testing.assert_frame_equal(straight, turned)


def test_a_lost_trial_is_not_counted(study):
    cases, measurements = bare(study)
    first = (measurements["trial"] == 1) & (measurements["timepoint"] == "pre")
    trials = trials_of(measurements)
    measurements.loc[first, "value"] = np.nan

    divided, _ = reserve_trials(cases, measurements, "even")

    np.testing.assert_allclose(divided["ppt_baseline_local_kpa"], trials[:, 2])


def test_an_independent_block_is_never_overwritten(study):
    with pytest.raises(ValueError, match="column 'ppt_baseline_local_kpa': expected no baseline"):
        reserve_trials(*study, "even")
