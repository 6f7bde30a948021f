"""The project is an application: its three generic names must be its own in an environment."""

from __future__ import annotations

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("features", "models", "pipeline")


@pytest.mark.parametrize("name", NAMES)
def test_no_other_distribution_ships_our_name(name: str) -> None:
    owners = set(packages_distributions().get(name, []))

    assert owners <= {"eih"}


def test_every_package_folder_is_listed_for_the_wheel() -> None:
    listed = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    )
    folders = {p.parent for f in (*NAMES, "seeds") for p in (ROOT / f).rglob("*.*")}
    present = {".".join(p.relative_to(ROOT).parts) for p in folders if "__pycache__" not in p.parts}

    assert listed == present


def test_lock_file_names_no_package_index() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert "://" not in text
    assert text.count("--hash=sha256:") > 1000
