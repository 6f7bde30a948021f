"""Reports of a simulated and of real studies in a browser: self-contained, legible, printable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.io import read_json

REAL = ("peep", "cervical_radiculopathy_rct")
# Every width in either scheme; of real studies each width and each scheme once, to save time.
VIEWS = [
    *(("demo", width, scheme) for width in (360, 1440) for scheme in ("light", "dark")),
    *(
        pytest.param(name, width, scheme, marks=pytest.mark.realdata)
        for name in REAL
        for width, scheme in ((360, "dark"), (1440, "light"))
    ),
]
STUDIES = ["demo", *(pytest.param(n, marks=pytest.mark.realdata) for n in REAL)]
SCRIPT = "<script>alert('x')</script> & co"
MOST_BYTES = 5 * 2**20
pytestmark = pytest.mark.slow
ReportOf = Callable[[str], Path]


@pytest.mark.parametrize(("name", "width", "scheme"), VIEWS)
def test_report_is_clean_at_any_width_and_in_either_scheme(
    open_page: Any, report_of: ReportOf, name: str, width: int, scheme: str
) -> None:
    watched = open_page(report_of(name).as_uri(), width, scheme)

    assert watched.overflow() <= 0
    assert watched.grave_violations() == []
    assert watched.external() == []
    assert watched.faults == []


@pytest.mark.parametrize("name", STUDIES)
def test_report_keeps_to_its_own_policy_and_asks_for_nothing_but_itself(
    open_page: Any, report_of: ReportOf, name: str
) -> None:
    address = report_of(name).as_uri()

    watched = open_page(address, strict=True)

    assert watched.faults == []
    assert [r for r in watched.requests if not r.startswith("data:")] == [address]


@pytest.mark.parametrize("name", STUDIES)
def test_report_is_small_and_prints_dark_on_white_from_a_dark_screen(
    open_page: Any, report_of: ReportOf, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = report_of(name)
    watched = open_page(page.as_uri(), scheme="dark")

    watched.page.emulate_media(media="print", color_scheme="dark")
    body = "getComputedStyle(document.body)"
    colours = watched.page.evaluate(f"[{body}.color, {body}.backgroundColor]")
    pdf = watched.page.pdf(format="A4")

    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert not watched.page.locator("nav").is_visible()
    assert watched.grave_violations() == []
    assert pdf.startswith(b"%PDF-")
    assert len(pdf) > 10_000
    size = page.stat().st_size
    with capsys.disabled():
        print(f"\n{name}: report of {size / 2**20:.2f} MB, PDF of {len(pdf) / 2**20:.2f} MB")
    assert size <= MOST_BYTES


def test_report_shows_a_script_in_the_title_as_text_and_names_nobody(
    open_page: Any, report_of: ReportOf
) -> None:
    page = report_of("demo")

    watched = open_page(page.as_uri())

    assert watched.page.locator("h1").inner_text() == SCRIPT
    assert watched.page.title() == SCRIPT
    assert watched.page.locator("script").count() == 0
    assert watched.faults == []
    # Everybody's id ends with the same script: the title is the only place it stands in.
    assert watched.page.locator("body").text_content().count(SCRIPT) == 1
    tables = list(page.parent.glob("*.csv"))
    assert len(tables) > 20
    assert [t.name for t in tables if "<script" in t.read_text(encoding="utf-8")] == []


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_report_of_a_real_study_bears_its_title_and_does_not_say_simulated(
    open_page: Any, report_of: ReportOf, name: str
) -> None:
    page = report_of(name)
    card = read_json(page.parents[1] / "study.json")["study"]

    watched = open_page(page.as_uri())

    assert watched.page.locator("h1").inner_text() == card["title"]
    assert watched.page.locator(".simulated").count() == 0
