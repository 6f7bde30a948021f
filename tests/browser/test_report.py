"""The report in a browser: self-contained, accessible, printable, whatever its sections are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli import main

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "<script>alert('x')</script> & co"
MOST_BYTES = 5 * 2**20


@pytest.fixture(scope="module")
def report(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose title is a script."""
    folder = tmp_path_factory.mktemp("reported")
    study = shutil.copytree(trained, folder / "study")
    params = folder / "params.yaml"
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    settings["report"]["title"] = SCRIPT
    params.write_text(yaml.safe_dump(settings), encoding="utf-8")
    output = folder / "report"

    assert main(["report", str(study), "--output", str(output), "--params", str(params)]) == 0
    return output / "index.html"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_report_is_clean_at_any_width_and_in_either_scheme(
    open_page: Any, report: Path, width: int, scheme: str
) -> None:
    watched = open_page(report.as_uri(), width, scheme)

    assert watched.overflow() <= 0
    assert watched.grave_violations() == []
    assert watched.external() == []
    assert watched.faults == []


@pytest.mark.slow
def test_report_shows_a_script_in_the_title_as_text(open_page: Any, report: Path) -> None:
    watched = open_page(report.as_uri())

    assert watched.page.locator("h1").first.inner_text() == SCRIPT
    assert watched.faults == []


@pytest.mark.slow
def test_report_is_small_and_prints(open_page: Any, report: Path) -> None:
    watched = open_page(report.as_uri())

    pdf = watched.page.pdf(format="A4")

    assert pdf.startswith(b"%PDF-")
    assert len(pdf) > 10_000
    assert report.stat().st_size <= MOST_BYTES
