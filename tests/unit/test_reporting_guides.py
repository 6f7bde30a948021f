"""TRIPOD+AI and PROBAST+AI sheets: complete, filled from artefacts only, gaps named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from features.reference import load_reference
from models.check_list_models import CHECKS
from pipeline.errors import ConfigError
from pipeline.reporting_guides import (
    GAP,
    NO,
    UNKNOWN,
    YES,
    Answer,
    Guides,
    Item,
    _of_checks,
    probast_page,
    tripod_page,
)
from pipeline.study_text import draft, known_texts, read_study_text, write_draft
from pipeline.tripod_facts import REPORTS

ITEMS = load_reference("tripod_ai.toml")["items"]
QUESTIONS = load_reference("probast_ai.toml")["questions"]


def test_the_sheet_has_27_items_with_52_sub_items_in_order() -> None:
    numbers = [i["number"] for i in ITEMS]

    assert len(numbers) == len(set(numbers)) == 52
    assert sorted({int(re.sub(r"\D", "", n)) for n in numbers}) == list(range(1, 28))
    assert numbers == sorted(numbers, key=lambda n: (int(re.sub(r"\D", "", n)), n))


def test_there_are_16_questions_on_development_and_18_on_evaluation_in_four_domains() -> None:
    parts = [q["part"] for q in QUESTIONS]

    assert (parts.count("development"), parts.count("evaluation")) == (16, 18)
    assert len({q["number"] for q in QUESTIONS}) == 34
    assert {q["domain"] for q in QUESTIONS} == {
        "participants and data sources",
        "predictors",
        "outcome",
        "analysis",
    }


def test_every_report_of_an_item_exists_and_every_one_that_exists_is_used() -> None:
    assert {i["reports"] for i in ITEMS if i["reports"]} == set(REPORTS)


def test_every_question_is_answered_by_known_checks_or_by_a_text_of_the_study() -> None:
    known = set(CHECKS)

    assert {c for q in QUESTIONS for c in q["codes"]} <= known
    assert {q["text"] for q in QUESTIONS if q["text"]} <= set(known_texts())
    assert [q["number"] for q in QUESTIONS if not (q["codes"] or q["text"])] == []


CHECKED = {
    "findings": [
        {"code": "EIH035", "target": "response", "evidence": "too small"},
        {"code": "EIH004", "target": None, "evidence": "no reliability"},
    ],
    "not_looked_at": [{"code": "EIH038", "target": "response", "reason": "no result"}],
    "clear": [{"code": "EIH001", "target": "response"}, {"code": "EIH002", "target": ""}],
}


@pytest.mark.parametrize(
    ("codes", "target", "answer"),
    [
        (["EIH001", "EIH002"], "response", YES),
        (["EIH001", "EIH035"], "response", NO),
        (["EIH004"], "response", NO),
        (["EIH001", "EIH038"], "response", UNKNOWN),
        (["EIH035"], "flare", UNKNOWN),
        (["EIH044"], "response", UNKNOWN),
    ],
)
def test_checks_answer_a_question(codes: list[str], target: str, answer: str) -> None:
    assert _of_checks(codes, target, CHECKED)[0] == answer


def test_without_checks_nothing_is_known() -> None:
    assert _of_checks(["EIH001"], "response", None) == (
        UNKNOWN,
        "the checks were not run (eih check)",
    )


def test_a_page_shows_text_that_looks_like_a_table_or_a_script_as_text() -> None:
    item = Item("1", "D", "Title", "asks", GAP, "a | b <script>", "index.html")
    answer = Answer("D1.1", "development", "outcome", "asks", "x|y", NO, "<img>")
    guides = Guides([item], [answer], simulated=True)

    sheet, questions = tripod_page(guides, "<script>"), probast_page(guides, "t")

    assert "<script>" not in sheet
    assert "a \\| b &lt;script&gt;" in sheet
    assert "<img>" not in questions
    assert "Simulated data" in sheet.splitlines()[2]


def test_a_draft_can_be_filled_in_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    write_draft("demo", path)

    assert read_study_text(str(path), "demo") == {}

    path.write_text(draft("demo").replace('ethics = ""', 'ethics = "Approved, no 1."'))
    assert read_study_text(str(path), "demo") == {"ethics": "Approved, no 1."}


def test_a_draft_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text("mine")

    with pytest.raises(ConfigError, match="expected no file yet, found one"):
        write_draft("demo", path)

    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('study = "other"', "expected the texts of study 'demo', found those of 'other'"),
        ('study = "demo"\nethic = "x"', "found 'ethic'"),
        ('study = "demo"\nethics = 3', "expected a text for 'ethics', found int"),
    ],
)
def test_texts_of_another_study_or_shape_are_refused(
    tmp_path: Path, content: str, problem: str
) -> None:
    path = tmp_path / "study.toml"
    path.write_text(content)

    with pytest.raises(ConfigError, match=re.escape(problem)):
        read_study_text(str(path), "demo")
