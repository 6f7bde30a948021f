"""Ingest writes a checked study or nothing, and its report shows every loss."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from pipeline.errors import ConfigError, TableError
from pipeline.ingest import ingest
from pipeline.ingest_report import describe_report
from pipeline.io import file_sha256
from pipeline.study_folder import read_card, read_cases, read_measurements

MAP = """
out_of_range = "{out_of_range}"

[study]
name = "tiny"
title = "A tiny study"
citation = "Nobody 2020"
doi = "10.0/0"
licence = "none"
download = "https://example.org/tiny"
folder = "tiny_study"

[files.people]
path = "people.csv"
[files.readings]
path = "readings.txt"
delimiter = ";"

[[set_missing]]
file = "readings"
where = {{ person = "P-b", moment = "after" }}
columns = ["threshold"]
reason = "device fault"

[cases]
file = "people"
rows = ["person"]
constants = {{ session_id = "s1", condition = "healthy", modality = "isometric" }}
columns = {{ participant_id = "person", age_years = "age" }}

[[measurements]]
file = "readings"
where = {{ moment = ["before", "after"] }}
constants = {{ measure = "ppt", site_role = "local", unit = "{unit}", session_id = "s1" }}
[measurements.columns]
participant_id = "person"
value = "threshold"
trial = "trial"
[measurements.columns.timepoint]
from = "moment"
values = {{ before = "pre", after = "post" }}

[outcome]
reference = "pre"
endpoints = [{{ name = "local", measure = "ppt", site_role = "local", timepoint = "post" }}]
"""
PEOPLE = "person,age\nP-b,31\nP-a,44\nP-c,\n"
READINGS = """person;moment;trial;threshold
P-a;during;1;55.5
P-a;before;1;310.5
P-a;after;1;421.5
P-b;before;1;250
P-b;after;1;999
P-c;before;1;
P-x;before;1;300
"""


@pytest.fixture
def study(tmp_path):
    """Write map and files; return what ``ingest`` needs to read them."""

    def write(people=PEOPLE, readings=READINGS, out_of_range="error", unit="kPa"):
        source = tmp_path / "source"
        source.mkdir(exist_ok=True)
        (source / "people.csv").write_text(people)
        (source / "readings.txt").write_text(readings)
        path = tmp_path / "tiny.toml"
        path.write_text(MAP.format(out_of_range=out_of_range, unit=unit))
        return str(path), source, tmp_path / "output"

    return write


def test_ingest_writes_a_study_folder_that_the_stages_read(study):
    name, source, output = study()

    ingest(name, source, output)

    assert read_cases(output)["participant_id"].tolist() == ["P-b", "P-a", "P-c"]
    assert read_measurements(output)["value"].tolist() == [310.5, 421.5, 250.0]
    card = read_card(output)
    assert card["study"]["citation"] == "Nobody 2020"
    assert card["study"]["simulated"] is False
    assert card["outcome"]["endpoints"][0]["name"] == "local"


def test_units_are_converted_once_at_ingest(study):
    readings = "person;moment;trial;threshold\nP-a;before;1;3.5\nP-a;after;1;4.5\n"
    name, source, output = study(readings=readings, unit="kgf/cm2")

    ingest(name, source, output)

    measurements = read_measurements(output)
    assert measurements["value"].tolist() == pytest.approx([3.5 * 98.0665, 4.5 * 98.0665])
    assert set(measurements["unit"]) == {"kPa"}


def test_the_report_counts_every_row_and_value_left_out(study):
    name, source, output = study()

    report = ingest(name, source, output)

    assert report == json.loads((output / "ingest_report.json").read_text())
    assert (report["participants"], report["bouts"], report["measurements"]) == (3, 3, 3)
    assert report["files"][0] == {
        "file": "people",
        "name": "people.csv",
        "sha256": file_sha256(source / "people.csv"),
        "rows": 3,
    }
    assert report["blocks"] == [
        {
            "label": "measurements 1 (ppt)",
            "file": "readings",
            "rows_read": 7,
            "not_selected": 1,
            "repeated": 0,
            "no_value": 2,
            "no_case": 1,
            "out_of_range": 0,
            "rows_kept": 3,
        }
    ]
    assert report["cases_missing"]["age_years"] == pytest.approx(1 / 3, abs=1e-4)


def test_the_report_in_words_shows_dropout_and_reasons(study):
    name, source, output = study()

    lines = describe_report(ingest(name, source, output))

    assert lines == [
        "tiny: 3 persons, 3 bouts, 3 measurements",
        f"  people.csv: 3 rows, {file_sha256(source / 'people.csv')[:12]}",
        f"  readings.txt: 7 rows, {file_sha256(source / 'readings.txt')[:12]}",
        "  cases: 3 of 3 rows kept",
        "  measurements 1 (ppt): 3 of 7 rows kept, 1 not selected, 2 without a value, 1 of no case",
        "  set missing: 1 values in 1 rows of readings (threshold): device fault, row 4",
        "  ppt, local, pre: 2 persons, 2 bouts, 2 values",
        "  ppt, local, post: 1 persons, 1 bouts, 1 values; 1 persons measured before are not",
        "  missing in 33% of cases: age_years",
    ]


def test_the_report_holds_no_value_of_a_participant(study):
    name, source, output = study(people=PEOPLE.replace("31", "8"), out_of_range="missing")

    ingest(name, source, output)

    text = (output / "ingest_report.json").read_text()
    assert not re.search(r"P-[abcx]|310\.5|421\.5", text)


def test_all_violations_are_named_at_once_with_rows_of_their_file_and_nothing_is_written(study):
    readings = READINGS.replace("P-a;after;1;421.5", "P-a;after;0;421.5").replace("310.5", "3.1")
    name, source, output = study(people=PEOPLE.replace("44", "4"), readings=readings)

    with pytest.raises(TableError) as error:
        ingest(name, source, output)

    assert str(error.value).splitlines() == [
        f"{source}/people.csv, cases of study 'tiny', column 'age_years': expected numbers in 10 "
        "to 110 years, found 1 outside (row 1).",
        f"{source}/readings.txt, measurements 1 (ppt) of study 'tiny', column 'trial': expected "
        "whole numbers in 1 to 10000, found 1 outside (row 2).",
        f"{source}/readings.txt, measurements 1 (ppt) of study 'tiny', column 'value': expected "
        "ppt declared in kPa to lie in 20 to 2000 kPa, found 1 outside (row 1).",
    ]
    assert not output.exists()


def test_faulty_values_become_missing_and_are_counted_where_the_map_says_so(study):
    name, source, output = study(
        people=PEOPLE.replace("44", "4"),
        readings=READINGS.replace("310.5", "3.1"),
        out_of_range="missing",
    )

    report = ingest(name, source, output)

    assert report["out_of_range"] == [
        {"part": "cases", "column": "age_years", "code": "out_of_range", "rows": [1]},
        {
            "part": "measurements 1 (ppt)",
            "column": "value",
            "code": "out_of_range",
            "rows": [1],
        },
    ]
    assert report["blocks"][0]["out_of_range"] == 1
    assert read_cases(output)["age_years"].isna().tolist() == [False, True, True]
    assert read_measurements(output)["value"].tolist() == [421.5, 250.0]
    words = describe_report(report)
    assert "  faulty, now missing: 1 values of age_years in cases (out_of_range), row 1" in words


def test_an_impossible_intensity_becomes_missing_too(study):
    name, source, output = study(people="person,age\nP-a,150\nP-b,20\n", out_of_range="missing")
    path = source.parent / "tiny.toml"
    mapped = '"isometric", intensity_metric = "percent_mvc" }'
    text = path.read_text().replace('"isometric" }', mapped)
    path.write_text(text.replace('age_years = "age"', 'intensity_value = "age"'))

    ingest(name, source, output)

    # 150 is within the column's range, beyond what a percentage of maximal force can be.
    assert read_cases(output)["intensity_value"].isna().tolist() == [True, False]


@pytest.mark.parametrize("out_of_range", ["error", "missing"])
def test_an_unknown_unit_is_refused_whatever_the_map_forgives(study, out_of_range):
    name, source, output = study(unit="stone", out_of_range=out_of_range)

    with pytest.raises(TableError, match=r"column 'unit': expected a unit of ppt: kPa, .* \(rows"):
        ingest(name, source, output)


def test_readings_that_occur_in_two_blocks_are_refused(study):
    name, source, output = study()
    path = source.parent / "tiny.toml"
    text = path.read_text()
    block = text[text.index("[[measurements]]") : text.index("[outcome]")]
    path.write_text(text.replace("[outcome]", block + "[outcome]"))

    message = (
        "all measurements of study 'tiny', column 'study_id, participant_id, session_id, measure, "
        "site_role, timepoint, trial': expected keys that occur once, found 3 rows that repeat an "
        "earlier row's keys (rows 3, 4, 5)."
    )
    with pytest.raises(TableError, match="^" + re.escape(message) + "$"):
        ingest(name, source, output)


def test_a_source_that_is_no_folder_is_refused(study):
    name, source, output = study()

    message = f"{source}/none: expected the folder of the study's files, found none."
    with pytest.raises(ConfigError, match="^" + re.escape(message) + "$"):
        ingest(name, source / "none", output)


def test_typed_files_give_the_same_study_as_text(study):
    name, source, output = study()
    ingest(name, source, output)
    as_text = read_cases(output)
    pd.read_csv(source / "people.csv").to_parquet(source / "people.parquet")
    path = source.parent / "tiny.toml"
    path.write_text(path.read_text().replace("people.csv", "people.parquet"))

    ingest(name, source, output)

    pd.testing.assert_frame_equal(read_cases(output), as_text)
