"""The pages in docs/ cannot drift: made ones are up to date, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml

from models.check_list_models import CHECKS
from pipeline.cli import app

ROOT = Path(__file__).resolve().parents[2]
COMMANDS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
PAGES = sorted(p for p in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
CODE = re.compile(r"```.*?```|`[^`\n]*`", flags=re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")


def load(name: str) -> ModuleType:
    """Import a script of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATED = load("make_pages").PAGES


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and MkDocs make them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"(?m)^#{1,6} (.+)$", text)
    plain = (re.sub(r"[^\w\- ]", "", h.replace("`", "").lower()) for h in headings)
    return {h.strip().replace(" ", "-") for h in plain}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == GENERATED[name](), "run 'make fix'"


@pytest.mark.parametrize("script", ["make_architecture", "make_results_figure"])
def test_a_drawing_is_up_to_date(script: str) -> None:
    made = load(script)

    assert made.TARGET.read_text(encoding="utf-8") == made.drawing()


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading(page: Path) -> None:
    for target, anchor in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), f"{target}#{anchor}"


def test_every_page_is_in_the_navigation_or_in_the_list_of_decisions() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"[\w/.]+\.md", str(yaml.safe_load(text)["nav"]))
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in PAGES if p.parent != ROOT}

    assert {p for p in pages if not re.match(r"decisions/\d", p)} <= set(listed)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_command_and_option_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for command, rest in re.findall(r"(?m)^(?:    |\$ )eih ([a-z-]+)(.*)$", text):
        assert command in COMMANDS, command
        options = {o for p in COMMANDS[command].params for o in (*p.opts, *p.secondary_opts)}
        used = set(re.findall(r" (--[a-z-]+)", rest.partition("#")[0]))
        assert used <= options, f"eih {command}: {used - options}"


def test_every_check_code_is_in_its_page() -> None:
    text = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")

    assert [code for code in CHECKS if f"## {code}" not in text] == []
