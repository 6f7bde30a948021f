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
    # No one came back who was not there before.
    assert all(
        measured["pain_nrs", m]["lost"] >= 124 - n for m, n in zip(moments, persons, strict=True)
    )


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


# ---- studies without an exercise outcome -----------------------------------------------------

# Persons, measurements, and where the numbers come from: the README of the data set.
SIZES = {
    "fibromyalgia_ppt_psych": (126, 988),
    "sa_students_pcs_ppt_cpt": (212, 4 * 212),
    "kinesiophobia_luthi2018": (433, 433 + 432),
    "kinesiophobia_assadourian2020": (123, 0),
    "kinesiophobia_baez2020": (40, 0),
    "qst_healthy_lotsch": (125, 8 * 125),
    "qst_healthy_lotsch_transformed": (72, 0),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_study_without_outcome_goes_in_whole_and_says_so(name, tmp_path_factory, eih):
    report, _, output = ingested(name, tmp_path_factory)

    assert (report["participants"], report["measurements"]) == SIZES[name]
    assert report["case_rows"]["rows_kept"] == report["case_rows"]["rows_read"]
    assert report["no_outcome"]
    said = eih("label", output, "--output", output / "outcomes.parquet")
    assert said.code == 13
    assert len(said.err.strip().splitlines()) == 1
    assert eih("featurize", output, "--output", output / "features.parquet").code == 0


def test_fibromyalgia_values_that_cannot_be_are_named_by_row_and_go_no_further(tmp_path_factory):
    report, source, output = ingested("fibromyalgia_ppt_psych", tmp_path_factory)
    raw, cases = pd.read_csv(source / "fms_women.csv"), read_cases(output)

    faulty = {f["column"]: f["rows"] for f in report["out_of_range"] if f["part"] == "cases"}
    assert faulty == {
        "weight_kg": raw.index[raw["weight"] < 25].tolist(),
        "bmi_kg_m2": raw.index[raw["BMI"] < 10].tolist(),
    }
    assert faulty["weight_kg"] == faulty["bmi_kg_m2"]
    assert cases["weight_kg"].min() >= 25
    assert cases["bmi_kg_m2"].min() >= 10
    # Only these: every other value is there, converted.
    assert cases["weight_kg"].notna().sum() == raw["weight"].notna().sum() - 1
    assert cases["height_cm"].sum() == pytest.approx(100 * raw["height"].sum())
    thresholds = raw[[c for c in raw.columns if c.startswith("PPT")]].stack()
    low = sum(len(f["rows"]) for f in report["out_of_range"] if f["column"] == "value")
    assert low == (thresholds < 20).sum()
    assert report["measurements"] == (thresholds >= 20).sum()


def test_students_totals_are_those_of_the_scored_file_but_for_four_rows(tmp_path_factory):
    _, source, output = ingested("sa_students_pcs_ppt_cpt", tmp_path_factory)
    cases = read_cases(output).set_index("participant_id")
    items = cases[[f"pcs_{i}" for i in range(1, 14)]]
    scored = pd.read_csv(source / "random-forest.csv", dtype={"ID": str}).set_index("ID")

    totals = pd.Series(Instrument.load("pcs").score(items.to_numpy())["total"], cases.index)

    complete = cases.index[items.notna().all(axis=1)]
    stored = scored.loc[complete, "PCS_trait"]
    assert len(complete) == 205
    assert (totals[complete] == stored).sum() == 201
    assert (totals[complete] - stored).between(0, 3).all()


def test_students_tolerances_are_stored_as_read(tmp_path_factory):
    _, source, output = ingested("sa_students_pcs_ppt_cpt", tmp_path_factory)
    raw, readings = pd.read_csv(source / "bivariate-data.csv"), read_measurements(output)

    means = readings.groupby("measure")["value"].mean()
    assert means["pressure_tolerance"] == pytest.approx(raw["ppt_kpa"].mean())
    assert means["cold_pressor_tolerance"] == pytest.approx(raw["cpt_time"].mean())


def test_rehabilitation_keeps_the_second_score_out_of_cases(tmp_path_factory):
    report, source, output = ingested("kinesiophobia_luthi2018", tmp_path_factory)
    raw, cases = pd.read_csv(source / "luthi2018_individual.csv"), read_cases(output)

    assert cases["tsk17_total"].tolist() == raw["tsk17_admission"].tolist()
    readings = read_measurements(output).pivot_table(
        index="participant_id", columns="timepoint", values="value"
    )
    change = readings["post"] - readings["pre"]
    # The README of the data set: mean -0.6, SD 6.6, one Baecke index is a slip.
    assert (round(change.mean(), 1), round(change.std(), 1)) == (-0.6, 6.6)
    assert report["set_missing"][0]["values"] == 1


def test_healthy_thresholds_are_typical_in_the_units_the_map_supposes(tmp_path_factory):
    _, source, output = ingested("qst_healthy_lotsch", tmp_path_factory)
    raw, readings = pd.read_csv(source / "PainThresholds.csv"), read_measurements(output)

    medians = readings.groupby(["measure", "body_site"])["value"].median()
    assert medians["ppt", "skin"] == pytest.approx(10 * raw["Pressure"].median())
    assert medians["mechanical_pain_threshold", "skin"] == pytest.approx(
        9.80665 * raw["von.Frey"].median()
    )
    assert medians["heat_threshold", "skin_capsaicin"] < medians["heat_threshold", "skin"]


def test_real_studies_pool_and_say_that_they_have_no_outcome_in_common(tmp_path_factory, eih):
    root = os.environ.get("EIH_STUDIES_DIR", "")
    if not root:
        pytest.skip("EIH_STUDIES_DIR is not set")
    output = tmp_path_factory.mktemp("pool")

    names = ("peep", "cervical_radiculopathy_rct")
    said = eih("ingest", *names, "--source", root, "--output", output)

    assert said.code == 0
    cases = read_cases(output)
    assert cases.groupby("study_id").size().to_dict() == {names[0]: 312, names[1]: 144}
    # 39 and 144 persons whose numbers overlap.
    assert len(cases[["study_id", "participant_id"]].drop_duplicates()) == 39 + 144
    assert cases["participant_id"].nunique() < 39 + 144
    assert "endpoint heat: of peep" in said.out
    assert eih("label", output, "--output", output / "o.parquet").code == 13
