"""Labels of codes, and what is called missing, come from SPSS files and REDCap dictionaries."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from pipeline.errors import TableError
from pipeline.labelled import read_source, read_spss_file
from pipeline.redcap import CHOICES, FIELD, KIND, read_labels
from pipeline.study_map import SourceFile


def write_sav(path, **options):
    table = pd.DataFrame(
        {"id": [1.0, 2.0, 3.0, 4.0], "sex": [1.0, 2.0, 9.0, 1.0], "pain": [3.0, 97.0, 99.0, 5.0]}
    )
    pyreadstat.write_sav(
        table,
        path,
        variable_value_labels={"sex": {1.0: "Female ", 2.0: "Male"}},
        missing_ranges={"sex": [9], "pain": [{"lo": 97, "hi": 99}]},
        **options,
    )
    return path


def test_sav_gives_codes_with_labels_and_empties_what_it_declares_missing(tmp_path):
    read = read_spss_file(write_sav(tmp_path / "a.sav"))

    assert read.labels == {"sex": {"1": "Female", "2": "Male"}}
    assert read.declared_missing == {"sex": (2,), "pain": (1, 2)}
    np.testing.assert_array_equal(read.table["pain"], [3, np.nan, np.nan, 5])


def test_sav_with_text_declared_missing_empties_the_word_alone(tmp_path):
    table = pd.DataFrame({"group": ["fm", "unknown", "hc"]})
    path = tmp_path / "b.sav"
    pyreadstat.write_sav(table, path, missing_ranges={"group": ["unknown"]})

    read = read_spss_file(path)

    assert read.table["group"].isna().tolist() == [False, True, False]


def test_a_file_that_is_no_sav_is_one_line(tmp_path):
    path = tmp_path / "c.sav"
    path.write_text("id,sex\n1,2\n")

    with pytest.raises(TableError, match=r"c\.sav: could not be read as \.sav") as caught:
        read_spss_file(path)
    assert "\n" not in str(caught.value)


def dictionary(*rows):
    return pd.DataFrame(rows, columns=[FIELD, KIND, CHOICES], dtype="object")


def test_dictionary_labels_radio_dropdown_boxes_and_yes_or_no():
    table = dictionary(
        ("record_id", "text", ""),
        ("sex", "radio", "1, Female | 2, Male"),
        ("arm", "dropdown", "0, rest, quiet | 1, cycling"),
        ("meds", "checkbox", "1, none | 2, opioid"),
        ("flare", "yesno", ""),
    )

    assert read_labels(table, "d.csv") == {
        "sex": {"1": "Female", "2": "Male"},
        "arm": {"0": "rest, quiet", "1": "cycling"},
        "meds": {"1": "none", "2": "opioid"},
        "flare": {"1": "Yes", "0": "No"},
    }


@pytest.mark.parametrize("choices", ["Female | Male", "1, Female |", ", Female"])
def test_choices_that_are_none_are_refused_with_field_and_row(choices):
    message = "d.csv, row 1, field 'sex': expected choices such as '1, Female | 2, Male'."
    with pytest.raises(TableError, match="^" + re.escape(message) + "$"):
        read_labels(dictionary(("id", "text", ""), ("sex", "radio", choices)), "d.csv")


def test_a_file_that_is_no_dictionary_is_refused():
    with pytest.raises(TableError, match=re.escape("expected the column 'Variable / Field Name'")):
        read_labels(pd.DataFrame({"a": ["1"]}), "d.csv")


def test_decimal_commas_are_read_as_points_and_other_texts_stay(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id;ppt;note\nA,1;3,5;x\nB;-,5;1,2,3\n")

    read = read_source(path, SourceFile("t.csv", ";", decimal_comma=True)).table

    assert read["ppt"].tolist() == ["3.5", "-.5"]
    assert read["id"].tolist() == ["A,1", "B"]
    assert read["note"].tolist() == ["x", "1,2,3"]


def test_repeated_names_are_numbered_only_where_the_map_allows_it(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,q,q\n1,2,3\n")

    assert list(read_source(path, SourceFile("t.csv", number_repeated=True)).table) == [
        "id",
        "q",
        "q.2",
    ]
    with pytest.raises(TableError, match="column names that occur once"):
        read_source(path, SourceFile("t.csv"))
