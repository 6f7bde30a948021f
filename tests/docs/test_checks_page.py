"""The page of checks in docs/ is what the list says, and every link to it leads somewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.check_list_models import CHECKS
from models.check_page import checks_page
from models.check_words import causal_words, claims_of_validity
from models.checks import PAGE
from pipeline.cli import app

ROOT = Path(__file__).resolve().parents[2]
TEXT = checks_page()


def test_the_page_in_the_repository_is_up_to_date() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == TEXT, "run 'make fix'"


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda c: c.code)
def test_every_link_leads_to_the_section_of_its_check(check: Any) -> None:
    page, _, anchor = check.link.partition("#")
    # GitHub's anchor of "## EIH001" is its text in lower case.
    anchors = [h.lower() for h in re.findall(r"(?m)^## (\S+)$", TEXT)]

    assert page == PAGE
    assert anchors.count(anchor) == 1
    assert f"[{check.code}](#{anchor}) {check.name}" in TEXT


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda c: c.code)
def test_advice_names_commands_and_parameters_that_exist(check: Any) -> None:
    commands = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))

    for name in re.findall(r"\beih ([a-z-]+)", " ".join((check.looks_at, check.advice))):
        assert name in commands
    for section, key in re.findall(r"\b(label|train|evaluate)\.([a-z_]+)\b", check.advice):
        assert key in params[section]


def test_the_command_writes_the_page(eih: Callable[..., Any], tmp_path: Path) -> None:
    said = eih("checks", "--output", tmp_path / "checks.md")

    assert said.code == 0
    assert (tmp_path / "checks.md").read_text(encoding="utf-8") == TEXT


def test_the_command_lists_every_code_in_lines_and_as_json(eih: Callable[..., Any]) -> None:
    lines = eih("checks").out.splitlines()
    content = json.loads(eih("checks", "--json", "-").out)

    assert [line.split()[0] for line in lines] == list(CHECKS)
    assert [c["code"] for c in content] == list(CHECKS)
    assert content[0]["link"] == "docs/checks.md#eih001"


def test_the_report_s_own_words_pass_the_checks_of_words() -> None:
    template = (ROOT / "pipeline" / "templates" / "report.html.jinja").read_text(encoding="utf-8")
    words = {"template": re.sub(r"<[^>]*>|{[{%].*?[%}]}", " ", template)}

    assert list(causal_words(words)) == []
    assert list(claims_of_validity(words)) == []
