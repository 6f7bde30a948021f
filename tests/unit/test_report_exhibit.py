"""What a report shows: numbers as text, figures as SVG that fit into a page."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from pipeline.report_exhibit import Exhibit, figure_text, interval_text, key_of
from pipeline.report_figures import Forest, bars, calibration, decision, forest, roc
from pipeline.report_svg import VARIABLES

HOW = Forest("name", "at", "low", "high", "AUC", 0.5)


def drawn(name: str = "a") -> str:
    table = pd.DataFrame({"name": [name, "b"], "at": [0.6, 0.7], "low": [0.5, 0.6], "high": 0.8})
    return forest(table, HOW, "key")


def test_a_figure_is_well_formed_and_hidden_from_screen_readers_that_read_its_wrapper() -> None:
    root = ElementTree.fromstring(drawn())

    assert root.tag.endswith("svg")
    assert root.get("aria-hidden") == "true"


def test_a_figure_takes_its_colours_from_the_page() -> None:
    text = drawn()

    assert "currentColor" in text
    assert "var(--c1)" in text
    assert [colour for colour in VARIABLES if colour in text] == []


def test_every_id_in_a_figure_carries_its_key_and_every_reference_finds_it() -> None:
    text = drawn()
    ids = re.findall(r'\bid="([^"]+)"', text)
    used = re.findall(r'(?:url\(#|href="#)([^")]+)', text)

    assert len(ids) == len(set(ids))
    assert all(i.startswith("key-") for i in ids)
    assert set(used) <= set(ids)


def test_the_same_table_gives_the_same_figure() -> None:
    assert drawn() == drawn()


def test_a_label_that_looks_like_a_script_or_mathematics_is_text() -> None:
    text = drawn("<script>$x$")

    assert "<script" not in text
    assert "&lt;script&gt;$x$" in text


def test_a_missing_interval_leaves_the_other_rows_drawn() -> None:
    table = pd.DataFrame({"name": ["a", "b"], "at": [0.6, np.nan], "low": np.nan, "high": np.nan})

    assert ElementTree.fromstring(forest(table, HOW, "key")) is not None


def test_every_kind_of_figure_is_drawn_from_its_table() -> None:
    curve = pd.DataFrame(
        {"predicted": [0.1, 0.5], "observed": [0.2, 0.4], "lower": 0.1, "upper": 0.6}
    )
    risks = pd.DataFrame({"lower": [0.0, 0.1], "upper": [0.1, 0.2], "share": [0.4, 0.6]})
    benefit = pd.DataFrame(
        {"candidate": "logistic", "threshold": [0.1, 0.2], "model": [0.1, 0.0], "treat_all": 0.05}
    )
    curves = pd.DataFrame(
        {"candidate": "logistic", "false_positive_rate": [0.0, 1.0], "sensitivity": [0.0, 1.0]}
    )
    points = pd.DataFrame({"threshold": [0.3], "sensitivity": [0.6], "specificity": [0.7]})
    values = pd.DataFrame({"name": ["a", "b"], "value": [0.2, -0.1]})

    figures = [
        calibration(curve, risks, "k"),
        calibration(curve, risks.head(0), "k"),
        decision(benefit, "k"),
        roc(curves, points, "k"),
        roc(curves, points.head(0), "k"),
        bars(values, "name", "value", "log-odds", "k"),
    ]

    assert all(ElementTree.fromstring(f).tag.endswith("svg") for f in figures)
    assert ">0.3<" in figures[3]
    assert ">0.3<" not in figures[4].replace("0.30", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (pd.NA, "–"),
        (True, "yes"),
        (np.float64(0.12345), "0.123"),
        (241.66, "241.7"),
        (1200.0, "1200"),
        (3, "3"),
        ("<b>", "<b>"),
    ],
)
def test_a_value_is_shown_as(value: object, text: str) -> None:
    assert figure_text(value) == text


def test_a_count_that_is_sometimes_unknown_has_no_decimals() -> None:
    exhibit = Exhibit("k", "t", "c", pd.DataFrame({"n": [12.0, np.nan], "share": [0.5, 1.0]}))

    assert exhibit.rows == [["12", "0.500"], ["–", "1.000"]]


def test_an_interval_without_an_estimate_is_a_dash() -> None:
    assert interval_text({"estimate": None, "lower": None, "upper": None}) == "–"


def test_the_csv_in_the_page_is_the_table() -> None:
    exhibit = Exhibit("k", "t", "c", pd.DataFrame({"a": [1, 2], "b": ["x", "ü"]}))

    text = base64.b64decode(exhibit.csv_uri.split(",", 1)[1]).decode()

    assert text == "a,b\n1,x\n2,ü\n"


def test_a_long_table_says_how_many_rows_only_the_csv_holds() -> None:
    exhibit = Exhibit("k", "t", "c", pd.DataFrame({"a": range(75)}))

    assert len(exhibit.rows) == 60
    assert exhibit.n_hidden == 75 - 60


def test_a_key_is_an_anchor_whatever_it_is_made_of() -> None:
    assert key_of("roc", '"><script>') == "roc----script-"
