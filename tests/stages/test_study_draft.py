"""A drafted map goes in as soon as the places it marks are filled in."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from pipeline.ingest import ingest
from pipeline.simulate import simulate
from pipeline.study_draft import run
from pipeline.study_folder import read_cases, read_measurements

KEYS = ["participant_id", "session_id"]
CELL = [*KEYS, "site_role", "timepoint", "trial"]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A simulated study, and the same as a laboratory would export it: odd names and units."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(20, "base", 5, folder)
    cases, readings = read_cases(folder), read_measurements(folder)
    ppt = readings[(readings["measure"] == "ppt") & (readings["session_id"] != "programme")]
    cases = cases[cases["session_id"].isin(ppt["session_id"])]
    wide = ppt.assign(
        name="PPT."
        + ppt["site_role"].str.upper()
        + "."
        + ppt["timepoint"].map({"pre": "before", "post": "after"})
        + "-"
        + ppt["trial"].astype(int).astype(str)
    ).pivot_table(index=KEYS, columns="name", values="value")
    export = cases[KEYS].rename(columns={"participant_id": "Subject ID", "session_id": "Visit"})
    export["Alter"] = cases["age_years"].round()
    export["Geschlecht"] = cases["sex"].map({"female": "w", "male": "m", "other": "d"})
    export["Height_m"] = cases["height_cm"] / 100
    export["Diagnosis"] = cases["condition"]
    export["Exercise type"] = cases["modality"]
    for item in range(1, 14):
        export[f"PCS{item:02d}"] = cases[f"pcs_{item}"]
    export["shoe size"] = 42
    joined = export.set_index(["Subject ID", "Visit"]).join(
        (wide / 98.0665).rename_axis(["Subject ID", "Visit"])
    )
    return cases, ppt, joined.reset_index()


def write(table, path):
    if path.suffix == ".csv":
        table.to_csv(path, index=False, sep=";", decimal=",")
    elif path.suffix == ".xlsx":
        table.to_excel(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        renamed = table.rename(columns=lambda c: re.sub(r"[^A-Za-z0-9]+", "_", c))
        pyreadstat.write_sav(renamed, path)
    return path


def fill(draft):
    """Do what the draft asks for: here every open place is a text that only people know."""
    filled = draft.replace('"FILL IN: standard error', "0.1 # ").replace("FILL IN: ", "")
    open_places = [line for line in filled.splitlines() if "FILL IN" in line]
    assert [line for line in open_places if not line.startswith("#")] == []
    return filled


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet", ".sav"])
def test_a_drafted_map_brings_an_oddly_named_export_in_as_it_was(simulated, tmp_path, suffix):
    cases, ppt, export = simulated
    table = write(export, tmp_path / f"lab{suffix}")

    draft = run(table, None)
    (tmp_path / "lab.toml").write_text(fill(draft))
    report = ingest(str(tmp_path / "lab.toml"), tmp_path, tmp_path / "output")

    got = read_cases(tmp_path / "output").set_index(KEYS)
    expected = cases.set_index(KEYS).loc[got.index]
    assert len(got) == len(cases)
    for column in ("sex", "condition", "modality", *(f"pcs_{i}" for i in range(1, 14))):
        pd.testing.assert_series_equal(got[column], expected[column])
    np.testing.assert_allclose(got["height_cm"], expected["height_cm"], rtol=1e-6)
    readings = read_measurements(tmp_path / "output")
    both = readings.merge(ppt, on=CELL, suffixes=("", "_true"))
    assert len(both) == len(readings) == len(ppt)
    np.testing.assert_allclose(both["value"], both["value_true"], rtol=1e-6)
    assert report["measurements"] == len(ppt)


def test_an_unfilled_draft_is_refused_with_every_open_place(simulated, tmp_path, eih):
    table = write(simulated[2], tmp_path / "lab.csv")

    said = eih("ingest", "--draft", table, "--output", tmp_path / "lab.toml")
    assert said.code == 0
    assert "fill in what it marks" in said.out

    said = eih("ingest", tmp_path / "lab.toml", "--source", tmp_path, "--output", tmp_path / "o")
    assert said.code == 10
    assert len(said.err.strip().splitlines()) == 1
    assert "study.title, study.citation, study.doi, study.licence, study.download" in said.err


def test_a_draft_says_why_for_every_guess_and_names_what_it_could_not_match(simulated, tmp_path):
    draft = run(write(simulated[2], tmp_path / "lab.csv"), None)

    content = tomllib.loads(draft)
    n_guesses = len(content["cases"]["columns"])
    n_blocks = len(content["measurements"]) + len(content["cases"]["items"])
    assert len(re.findall(r"^# .*\((?:high|medium|low)\)", draft, re.M)) == n_guesses + n_blocks
    assert "# - no known name: shoe size" in draft
    assert content["files"]["table"] == {
        "path": "lab.csv",
        "delimiter": ";",
        "decimal_comma": True,
    }


def test_a_draft_holds_no_value_of_a_person(tmp_path):
    table = pd.DataFrame({"id": ["KQZ-1", "KQZ-2"], "age": [37, 73], "note": ["secret", "word"]})

    draft = run(write(table, tmp_path / "t.parquet"), None)

    assert not re.search("KQZ|37|73|secret|word", draft)


def test_a_file_of_one_row_per_reading_is_drafted_with_its_moments(tmp_path):
    rows = [
        (f"p{i}", visit, kind, moment, trial, 300 + 10 * i + trial)
        for i in range(6)
        for visit, kind in ((1, "bike"), (2, "quiet rest"))
        for moment in ("before", "after")
        for trial in (1, 2)
    ]
    table = pd.DataFrame(rows, columns=["Patient", "Visit", "Exercise", "Time", "Trial", "PPT"])
    draft = run(write(table, tmp_path / "long.xlsx"), None)

    content = tomllib.loads(draft)
    assert content["measurements"][0]["columns"]["timepoint"]["values"] == {
        "before": "pre",
        "after": "post",
    }
    assert content["outcome"]["sem_source"] == "rest"
    assert content["outcome"]["subtract_rest"] is True
    answers = {
        "one of healthy, [a-z_, ]+": "healthy",
        "local, remote or clinical": "local",
    }
    for question, answer in answers.items():
        draft = re.sub(f"FILL IN: {question}", answer, draft)
    (tmp_path / "long.toml").write_text(fill(draft))
    report = ingest(str(tmp_path / "long.toml"), tmp_path, tmp_path / "output")
    assert (report["participants"], report["bouts"], report["measurements"]) == (6, 12, 48)


def test_a_table_without_a_person_is_drafted_by_row_and_asks(tmp_path):
    table = pd.DataFrame({"Heat": [43.0, 44.0], "age": [30, 40]})

    content = tomllib.loads(run(write(table, tmp_path / "t.parquet"), None))

    assert content["files"]["table"]["number_rows"] == "row"
    assert content["cases"]["columns"]["participant_id"].startswith("FILL IN: the column that")
    assert content["study"]["no_outcome"].startswith("FILL IN")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--draft", "{t}", "--output", "{t}.toml"], 10, "found one. Delete it first."),
        (["--draft", "{t}", "--output", "{t}.yaml"], 10, "ends in .toml"),
        (["--draft", "{t}.none"], 11, "expected a file, found nothing there"),
        (["peep", "--draft", "{t}"], 2, "without STUDIES"),
        (["--output", "{t}"], 2, "STUDIES and --output"),
    ],
)
def test_a_draft_that_cannot_be_made_is_refused(tmp_path, eih, arguments, code, word):
    table = write(pd.DataFrame({"id": [1], "age": [30]}), tmp_path / "t.parquet")
    (tmp_path / "t.parquet.toml").write_text("")

    said = eih("ingest", *(a.format(t=table) for a in arguments))

    assert said.code == code
    assert word in said.err


def test_a_unit_at_the_end_of_a_name_does_not_hide_the_column(tmp_path):
    table = pd.DataFrame(
        {"id": ["a", "b"], "CPM ppt alone (kgf)": [2.0, 3.0], "Schmerzdauer_years": [2, 30]}
    )

    content = tomllib.loads(run(write(table, tmp_path / "lab.csv"), None))

    columns = content["cases"]["columns"]
    assert columns["cpm_ppt_unconditioned_kpa"]["scale"] == 98.0665
    assert columns["pain_duration_months"]["scale"] == 12


def test_the_day_of_a_bout_becomes_the_visit_beside_the_bout_itself(tmp_path):
    table = pd.DataFrame({"id": ["a", "a"], "bout": ["r1", "b1"], "Study day": ["1", "1"]})

    columns = tomllib.loads(run(write(table, tmp_path / "lab.csv"), None))["cases"]["columns"]

    assert columns["session_id"] == "bout"
    assert columns["visit_id"] == "Study day"


def test_people_without_readings_come_in_by_the_same_map_to_be_predicted(simulated, tmp_path, eih):
    cases, _, export = simulated
    table = write(export, tmp_path / "lab.csv")
    (tmp_path / "lab.toml").write_text(fill(run(table, None)))
    write(export[[c for c in export if not c.startswith("PPT")]], table)
    study = (tmp_path / "lab.toml", "--source", tmp_path, "--output", tmp_path / "new")

    assert eih("ingest", *study).code == 11
    assert eih("ingest", *study, "--cases-only").code == 0

    assert len(read_cases(tmp_path / "new")) == len(cases)
    assert pd.read_parquet(tmp_path / "new" / "measurements.parquet").empty


def test_only_the_cases_of_several_studies_at_once_are_refused(eih, tmp_path):
    said = eih("ingest", "peep", "kinesiophobia_baez2020", "--cases-only", "--output", tmp_path)

    assert (said.code, said.err) == (10, "--cases-only: expected one study, found 2.\n")


DICTIONARY = (
    '"Variable / Field Name","Form Name","Field Type","Field Label",'
    '"Choices, Calculations, OR Slider Labels"\n'
    "record_id,visit,text,Record,\n"
    'sex,visit,radio,Sex,"1, Female | 2, Male"\n'
    'diagnosis,visit,radio,Diagnosis,"1, Fibromyalgia | 2, Something of our own"\n'
)


def test_a_draft_knows_the_codes_that_a_redcap_dictionary_labels(eih, tmp_path):
    (tmp_path / "raw.csv").write_text("record_id,sex,diagnosis\na,1,1\nb,2,2\n")
    (tmp_path / "dictionary.csv").write_text(DICTIONARY)
    table, dictionary = tmp_path / "raw.csv", tmp_path / "dictionary.csv"

    said = eih("ingest", "--draft", table, "--dictionary", dictionary)

    assert said.code == 0, said.err
    drafted = tomllib.loads(said.out)
    assert drafted["files"]["table"]["dictionary"] == "dictionary.csv"
    assert drafted["cases"]["columns"]["sex"]["values"] == {"1": "female", "2": "male"}
    condition = drafted["cases"]["columns"]["condition"]["values"]
    assert condition["1"] == "fibromyalgia"
    assert condition["2"].startswith("FILL IN")
    bare = tomllib.loads(eih("ingest", "--draft", table).out)
    assert bare["cases"]["columns"]["sex"]["values"]["1"].startswith("FILL IN")


def test_a_dictionary_in_another_folder_is_one_line(eih, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "raw.csv").write_text("record_id,sex\na,1\n")
    dictionary = tmp_path / "elsewhere" / "dictionary.csv"
    dictionary.write_text(DICTIONARY)

    said = eih("ingest", "--draft", tmp_path / "raw.csv", "--dictionary", dictionary)

    assert said.code == 10
    assert said.err == (
        f"{dictionary}: expected the dictionary in the folder of {tmp_path / 'raw.csv'}, found it "
        "elsewhere. Put a copy there: ingest reads both from one folder.\n"
    )


def test_a_dictionary_without_a_draft_is_a_usage_error(eih, tmp_path):
    (tmp_path / "dictionary.csv").write_text(DICTIONARY)

    said = eih("ingest", "peep", "--dictionary", tmp_path / "dictionary.csv", "--output", tmp_path)

    assert said.code == 2
    assert "--dictionary goes with --draft" in said.err
