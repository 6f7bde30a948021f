"""REDCap and SPSS exports go in by a map alone, with their labels, events and missing codes."""

from __future__ import annotations

import pandas as pd
import pyreadstat
import pytest

from pipeline.errors import TableError
from pipeline.ingest import ingest
from pipeline.study_folder import read_cases, read_measurements

HEAD = """
[study]
name = "lab"
title = "A laboratory's export"
citation = "Nobody 2020"
doi = "not stated"
licence = "none"
download = "nowhere"
folder = "lab"
no_outcome = "one assessment without exercise"
"""
REDCAP_MAP = (
    HEAD
    + """
[files.export]
path = "export.csv"
dictionary = "dictionary.csv"

[[set_missing]]
file = "export"
columns = ["ppt_*", "age"]
codes = [-99]
reason = "not done"

[cases]
file = "export"
where = { redcap_event_name = "visit_arm_1" }
rows = ["record_id"]
constants = { session_id = "visit", modality = "rest" }

[[cases.join]]
file = "export"
on = "record_id"
where = { redcap_event_name = "screening_arm_1" }
prefix = "screening"

[cases.columns]
participant_id = "record_id"
age_years = "screening.age"
[cases.columns.sex]
from = "screening.sex"
values = { Female = "female", Male = "male" }
[cases.columns.condition]
checked = { "screening.dx___1" = "fibromyalgia", "screening.dx___2" = "whiplash" }
several = "other"
[cases.columns.opioid_use]
from = "screening.opioid"
values = { 0 = 0, 1 = 1 }

[[measurements]]
file = "export"
where = { redcap_event_name = "visit_arm_1" }
constants = { measure = "ppt", site_role = "local", timepoint = "pre", unit = "kgf/cm2" }
[measurements.stack]
ppt_1 = { trial = 1 }
ppt_2 = { trial = 2 }
"""
)
EXPORT = """record_id,redcap_event_name,age,sex,dx___1,dx___2,opioid,ppt_1,ppt_2
1,screening_arm_1,34,1,1,0,1,,
1,visit_arm_1,,,0,0,,3.5,3.7
2,screening_arm_1,-99,2,0,1,0,,
2,visit_arm_1,,,0,0,,4.1,-99
3,screening_arm_1,51,1,1,1,0,,
3,visit_arm_1,,,0,0,,2.5,2.6
"""
DICTIONARY = (
    '"Variable / Field Name","Form Name","Field Type","Field Label",'
    '"Choices, Calculations, OR Slider Labels"\n'
    "record_id,screening,text,Record,\nage,screening,text,Age,\n"
    'sex,screening,radio,Sex,"1, Female | 2, Male"\n'
    'dx,screening,checkbox,Diagnosis,"1, Fibromyalgia | 2, Whiplash"\n'
    "opioid,screening,yesno,Opioid,\nppt_1,visit,text,PPT,\nppt_2,visit,text,PPT,\n"
)


@pytest.fixture
def redcap(tmp_path):
    (tmp_path / "export.csv").write_text(EXPORT)
    (tmp_path / "dictionary.csv").write_text(DICTIONARY)
    path = tmp_path / "lab.toml"
    path.write_text(REDCAP_MAP)
    return path, tmp_path, tmp_path / "output"


def test_a_longitudinal_redcap_export_goes_in_with_labels_boxes_and_events(redcap):
    name, source, output = redcap

    report = ingest(str(name), source, output)

    cases = read_cases(output)
    assert cases["sex"].tolist() == ["female", "male", "female"]
    assert cases["condition"].tolist() == ["fibromyalgia", "whiplash", "other"]
    assert cases["opioid_use"].tolist() == [1, 0, 0]
    assert cases["age_years"].isna().tolist() == [False, True, False]
    values = read_measurements(output)["value"]
    assert sorted(values / 98.0665) == pytest.approx([2.5, 2.6, 3.5, 3.7, 4.1])
    assert report["case_rows"] == {
        "file": "export",
        "rows_read": 6,
        "not_selected": 3,
        "repeated": 0,
        "no_key": 0,
        "rows_without_key": [],
        "rows_kept": 3,
    }
    assert report["set_missing"][0] | {"columns": None} == {
        "file": "export",
        "columns": None,
        "reason": "not done",
        "rows": 2,
        "values": 2,
        "row_numbers": [2, 3],
    }


SPSS_MAP = (
    HEAD
    + """
[files.data]
path = "data.sav"

[cases]
file = "data"
rows = ["ID"]
constants = { session_id = "visit", modality = "rest" }
[cases.columns]
participant_id = "ID"
pain_now_nrs = "pain"
[cases.columns.sex]
from = "sex"
values = { woman = "female", man = "male" }
[cases.columns.condition]
from = "group"
labels = true
"""
)


def write_spss(folder, group=(1.0, 2.0, 1.0)):
    table = pd.DataFrame(
        {"ID": [1.0, 2.0, 3.0], "sex": [1.0, 2.0, 2.0], "group": group, "pain": [3.0, 99.0, 5.0]}
    )
    pyreadstat.write_sav(
        table,
        folder / "data.sav",
        variable_value_labels={
            "sex": {1.0: "woman", 2.0: "man"},
            "group": {1.0: "fibromyalgia", 2.0: "healthy"},
        },
        missing_ranges={"pain": [99]},
    )
    (folder / "lab.toml").write_text(SPSS_MAP)


def test_an_spss_file_goes_in_by_its_labels_and_its_missing_values_are_counted(tmp_path):
    write_spss(tmp_path)

    report = ingest(str(tmp_path / "lab.toml"), tmp_path, tmp_path / "output")

    cases = read_cases(tmp_path / "output")
    assert cases["participant_id"].tolist() == ["1", "2", "3"]
    assert cases["sex"].tolist() == ["female", "male", "male"]
    assert cases["condition"].tolist() == ["fibromyalgia", "healthy", "fibromyalgia"]
    assert cases["pain_now_nrs"].isna().tolist() == [False, True, False]
    assert report["set_missing"] == [
        {
            "file": "data",
            "columns": ["pain"],
            "reason": "declared missing in the SPSS file",
            "rows": 1,
            "values": 1,
            "row_numbers": [1],
        }
    ]


# ---- one clear line and the documented exit code ---------------------------------------------


def refuse(eih, folder, code, *words):
    said = eih("ingest", folder / "lab.toml", "--source", folder, "--output", folder / "output")

    assert said.code == code
    assert len(said.err.strip().splitlines()) == 1
    assert "Traceback" not in said.err
    assert [w for w in words if w not in said.err] == []
    assert not (folder / "output").exists()


def test_a_wrong_source_folder_is_one_line(eih, redcap):
    _, folder, output = redcap

    said = eih("ingest", folder / "lab.toml", "--source", folder / "nowhere", "--output", output)

    assert said.code == 10
    assert said.err.strip().endswith("expected the folder of the study's files, found none.")


def test_a_missing_file_is_one_line(eih, redcap):
    _, folder, _ = redcap
    (folder / "dictionary.csv").unlink()

    refuse(eih, folder, 11, "dictionary.csv: expected a file, found nothing there.")


def test_a_renamed_column_is_one_line_that_names_the_likely_one(eih, redcap):
    _, folder, _ = redcap
    (folder / "export.csv").write_text(EXPORT.replace("record_id", "record_id_"))

    refuse(eih, folder, 11, "export.csv", "the column 'record_id'", "Is it 'record_id_' now?")


def test_a_wrong_delimiter_is_one_line_that_names_the_right_one(eih, redcap):
    _, folder, _ = redcap
    (folder / "export.csv").write_text(EXPORT.replace(",", ";"))

    refuse(eih, folder, 11, "export.csv", "looks separated by semicolons", "'delimiter'")


def test_a_code_without_label_is_one_line_with_its_row(eih, tmp_path):
    write_spss(tmp_path, group=(1.0, 7.0, 1.0))

    refuse(eih, tmp_path, 11, "'group': expected codes that have a label", "(row 1)")


def test_a_person_twice_in_an_event_with_other_values_is_one_line_with_its_row(eih, redcap):
    _, folder, _ = redcap
    again = "2,screening_arm_1,35,1,1,0,1,,\n"
    (folder / "export.csv").write_text(EXPORT + again)

    refuse(eih, folder, 11, "expected keys that occur once", "(row 6)")


def test_an_identifier_given_to_two_rows_is_one_line_with_its_row(eih, tmp_path):
    write_spss(tmp_path)
    table, meta = pyreadstat.read_sav(tmp_path / "data.sav")
    labels = meta.variable_value_labels
    table["ID"] = [1.0, 2.0, 2.0]
    table["sex"] = [1.0, 2.0, 1.0]
    pyreadstat.write_sav(table, tmp_path / "data.sav", variable_value_labels=labels)

    refuse(eih, tmp_path, 11, "expected one value per ID", "(row 2)")


def test_rows_without_an_identifier_are_left_out_only_where_the_map_forgives(eih, redcap):
    _, folder, output = redcap
    (folder / "export.csv").write_text(EXPORT + ",visit_arm_1,,,0,0,,,\n")

    with pytest.raises(TableError, match=r"'participant_id': .* found 1 missing \(row 6\)\."):
        ingest(str(folder / "lab.toml"), folder, output)

    path = folder / "lab.toml"
    path.write_text('out_of_range = "missing"\n' + path.read_text())
    report = ingest(str(path), folder, output)
    assert report["case_rows"]["rows_without_key"] == [6]
    assert (report["case_rows"]["rows_kept"], len(read_cases(output))) == (3, 3)


def test_a_study_without_an_exercise_outcome_says_so_and_is_not_labelled(eih, tmp_path):
    write_spss(tmp_path)
    output = tmp_path / "output"

    said = eih("ingest", tmp_path / "lab.toml", "--source", tmp_path, "--output", output)
    assert said.code == 0
    assert "  no outcome of exercise: one assessment without exercise." in said.out

    said = eih("label", output, "--output", output / "outcomes.parquet")
    assert said.code == 13
    assert said.err.startswith(f"{output}: expected a study with an outcome of exercise, found ")
    assert len(said.err.strip().splitlines()) == 1
    made = eih("featurize", output, "--output", output / "features.parquet")
    assert made.code == 0
