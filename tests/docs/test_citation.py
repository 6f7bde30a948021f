"""CITATION.cff is what the format 1.2 asks for, and agrees with the project."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
REQUIRED = {"cff-version", "message", "title", "authors"}


def test_the_citation_file_has_what_the_format_requires_and_the_project_s_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert set(cited) >= REQUIRED
    assert cited["cff-version"] == "1.2.0"
    assert cited["authors"] == [{"name": "eih maintainers"}]
    assert (str(cited["version"]), cited["license"]) == (project["version"], project["license"])
