"""The shipped maps, applied to the studies themselves, give what the studies report."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from features.questionnaires import Instrument
from pipeline.ingest import ingest, load_study_map
from pipeline.study_folder import read_cases, read_design, read_measurements

pytestmark = pytest.mark.realdata


def ingested(name, tmp_path_factory):
    """Return report, source folder and output folder of a study, or skip with the reason."""
    root = os.environ.get("EIH_STUDIES_DIR", "")
    if not root:
        pytest.skip("EIH_STUDIES_DIR is not set")
    source = Path(root) / load_study_map(name).study.folder
    if not source.is_dir():
        pytest.skip(f"no folder {source.name} in EIH_STUDIES_DIR")
    output = tmp_path_factory.mktemp(name)
    return ingest(name, source, output), source, output


def by_endpoint(report):
    return {(m["measure"], m["timepoint"]): m for m in report["measured"]}


# ---- PEEP ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def peep(tmp_path_factory):
    return ingested("peep", tmp_path_factory)


def test_peep_has_39_persons_with_two_days_of_four_bouts(peep):
    report, _, output = peep

    assert (report["participants"], report["bouts"]) == (39, 39 * 2 * 4)
    cases = read_cases(output)
    assert set(cases.groupby(["participant_id", "visit_id"]).size()) == {4}
    assert cases.drop_duplicates("participant_id")["sex"].value_counts().to_dict() == {
        "female": 21,
        "male": 18,
    }
    assert cases["intensity_value"].value_counts().to_dict() == {55: 156, 100: 156}


def test_peep_ratings_are_all_there_but_five_that_are_counted(peep):
    report, _, _ = peep
    heat, pressure = report["blocks"][:2]

    assert heat["rows_read"] - heat["not_selected"] == 2808
    assert pressure["rows_read"] - pressure["not_selected"] == 2808
    assert heat["no_value"] + pressure["no_value"] == 5
    assert heat["rows_kept"] + pressure["rows_kept"] == 5616 - 5


@pytest.mark.parametrize(
    ("person", "measure", "lost"),
    [
        ("24", "exercise_work", ["2-1", "2-2", "2-3", "2-4"]),
        ("24", "rpe", ["2-1", "2-2", "2-3", "2-4"]),
        ("30", "exercise_work", ["2-2"]),
        ("30", "rpe", []),
    ],
)
def test_peep_known_faults_are_missing(peep, person, measure, lost):
    _, _, output = peep
    cases, measurements = read_cases(output), read_measurements(output)

    bouts = set(cases.loc[cases["participant_id"] == person, "session_id"])
    of_person = (measurements["participant_id"] == person) & (measurements["measure"] == measure)
    assert sorted(bouts - set(measurements.loc[of_person, "session_id"])) == lost


def test_peep_work_per_bout_agrees_with_the_derived_table(peep):
    _, source, output = peep
    derived = pd.read_csv(source / "peep_block_level.csv").drop_duplicates(
        ["subject", "session", "exercise_block"]
    )
    derived["participant_id"] = derived["subject"].astype(str)
    derived["session_id"] = (
        derived["session"].astype(str) + "-" + derived["exercise_block"].astype(str)
    )
    measurements = read_measurements(output)
    work = measurements[measurements["measure"] == "exercise_work"]

    both = work.merge(derived, on=["participant_id", "session_id"], validate="one_to_one")

    assert len(both) == 312 - 5
    assert (both["value"] == both["block_watt"]).all()


@pytest.mark.parametrize("modality", ["heat", "pressure"])
def test_peep_easy_minus_hard_agrees_with_the_derived_table(peep, modality):
    _, source, output = peep
    keys = ["participant_id", "session_id"]
    bouts = read_cases(output)[[*keys, "visit_id", "intensity_value"]]
    measurements = read_measurements(output).merge(bouts, on=keys, validate="many_to_one")
    ratings = measurements[measurements["measure"] == f"pain_rating_{modality}"]
    means = ratings.pivot_table(
        index=["participant_id", "visit_id"], columns="intensity_value", values="value"
    )
    derived = pd.read_csv(source / "peep_subject_level.csv", dtype={"subject": str, "session": str})
    derived = derived[derived["modality_name"] == modality].set_index(["subject", "session"])

    expected = derived["eih_low_minus_high"].rename_axis(means.index.names)
    difference = means[55.0] - means[100.0] - expected

    assert len(difference) == 78
    # The derived table is rounded to four decimals.
    assert difference.abs().max() < 1e-3


def test_peep_endpoint_is_heat_first(peep):
    _, _, output = peep

    design = read_design(output)

    assert [e.name for e in design.endpoints] == ["heat", "pressure"]
    assert design.reference_where == {"intensity_value": 55}


# ---- cervical radiculopathy ------------------------------------------------------------------


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    return ingested("cervical_radiculopathy_rct", tmp_path_factory)


def test_trial_has_144_patients_in_two_arms_of_72(trial):
    report, _, output = trial
    cases = read_cases(output)

    assert (report["participants"], report["bouts"]) == (144, 144)
    assert cases["modality"].value_counts().to_dict() == {"dynamic_resistance": 72, "aerobic": 72}
    loads = cases.groupby("modality")["loads_painful_region"].unique()
    assert (loads["aerobic"], loads["dynamic_resistance"]) == ([0], [1])


def test_trial_dropout_is_visible_in_the_report(trial):
    report, _, _ = trial
    moments = ["pre", "week_13", "week_26", "week_52", "week_104"]
    measured = by_endpoint(report)

    persons = [measured["pain_nrs", moment]["participants"] for moment in moments]
    assert persons == [124, 90, 75, 70, 66]


@pytest.mark.parametrize(
    ("instrument", "stored", "complete"), [("pcs", "pcs_total", 117), ("tsk17", "tsk17_total", 104)]
)
def test_trial_scores_equal_the_stored_totals(trial, instrument, stored, complete):
    _, source, output = trial
    form = Instrument.load(instrument)
    cases = read_cases(output).set_index("participant_id")
    items = cases[[f"{instrument}_{i}" for i in range(1, form.n_items + 1)]]
    totals = pd.read_csv(source / "baseline_pcs_tsk_items.csv", dtype={"id": str}).set_index("id")

    scored = pd.Series(form.score(items.to_numpy())["total"], cases.index)

    rows = cases.index[items.notna().all(axis=1)]
    assert len(rows) == complete
    assert (scored[rows] == totals.loc[rows, stored]).all()


def test_trial_pain_is_on_the_scale_of_ten(trial):
    _, source, output = trial
    raw = pd.read_csv(source / "outcomes_long.csv")
    baseline = raw[raw["time"] == 1]

    assert read_cases(output)["pain_now_nrs"].tolist() == pytest.approx(
        (baseline["vas_current_mm"] / 10).tolist()
    )
    pain = read_measurements(output)["value"]
    assert pain.mean() == pytest.approx(raw["vas_neck_mean3_mm"].mean() / 10)
