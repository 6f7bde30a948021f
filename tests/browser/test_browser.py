"""The eyes of these tests: each sees the fault it is there for, and says where it cannot look."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "style-src 'unsafe-inline'; img-src data:\">"
)
# Nothing listens there, and nothing leaves the machine.
ELSEWHERE = "http://127.0.0.1:9/x.png"


def page_with(folder: Path, body: str = "", head: str = "") -> str:
    """Address of a page without a fault but what is put into it."""
    path = folder / "page.html"
    path.write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title>'
        f"{head}</head><body><main><h1>t</h1>{body}</main></body></html>",
        encoding="utf-8",
    )
    return path.as_uri()


def test_page_without_a_fault_has_none(open_page: Any, tmp_path: Path) -> None:
    watched = open_page(page_with(tmp_path, head=POLICY))

    assert watched.overflow() <= 0
    assert watched.grave_violations() == []
    assert watched.external() == []
    assert watched.faults == []


def test_image_from_elsewhere_is_seen_as_a_request(open_page: Any, tmp_path: Path) -> None:
    watched = open_page(page_with(tmp_path, f'<img alt="x" src="{ELSEWHERE}">'))

    assert watched.external() == [ELSEWHERE]


def test_image_from_elsewhere_breaks_the_policy_where_there_is_one(
    open_page: Any, tmp_path: Path
) -> None:
    body = f'<img alt="x" src="{ELSEWHERE}">'

    watched = open_page(page_with(tmp_path, body, POLICY), strict=True)

    assert any("Content Security Policy" in f for f in watched.faults)


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ('<p style="color: #bbb; background: #fff">pale</p>', "color-contrast"),
        ('<img src="data:,">', "image-alt"),
        ('<input type="text">', "label"),
    ],
)
def test_grave_violation_is_seen_with_its_rule(
    open_page: Any, tmp_path: Path, body: str, rule: str
) -> None:
    watched = open_page(page_with(tmp_path, body))

    assert [v.split(":")[0] for v in watched.grave_violations()] == [rule]


def test_colour_that_is_pale_on_a_dark_screen_only_is_seen_there(
    open_page: Any, tmp_path: Path
) -> None:
    style = (
        "<style>:root { color-scheme: light dark }"
        "@media (prefers-color-scheme: dark) { p { color: #333; background: #111 } }</style>"
    )
    address = page_with(tmp_path, "<p>text</p>", style)

    seen = {s: open_page(address, scheme=s).grave_violations() for s in ("light", "dark")}

    assert seen["light"] == []
    assert seen["dark"][0].startswith("color-contrast")


def test_page_wider_than_a_narrow_window_is_seen(open_page: Any, tmp_path: Path) -> None:
    address = page_with(tmp_path, '<div style="width: 500px">wide</div>')

    assert open_page(address, 360).overflow() > 0
    assert open_page(address, 1440).overflow() <= 0


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("console.error('broken')", "broken"),
        ("throw new Error('thrown')", "thrown"),
        ("alert('x')", "a dialog"),
    ],
)
def test_script_that_complains_or_speaks_is_heard(
    open_page: Any, tmp_path: Path, script: str, words: str
) -> None:
    watched = open_page(page_with(tmp_path, f"<script>{script}</script>"))

    assert watched.faults == [words]


# ---- where there is no browser ---------------------------------------------------------------


def test_machine_without_chromium_skips_and_says_what_to_install(
    find_browser: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)

    with pytest.raises(pytest.skip.Exception, match=r"^no chromium .*apt-get install chromium"):
        find_browser()


@pytest.mark.parametrize("absent", ["playwright", "axe_playwright_python"])
def test_machine_without_a_driver_skips_and_names_it(
    find_browser: Callable[[], str], monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == absent else object()
    )

    with pytest.raises(pytest.skip.Exception, match=f"^{absent} is not installed"):
        find_browser()


def test_first_chromium_of_the_path_is_taken(
    find_browser: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"chromium-browser": "/a/chromium-browser", "google-chrome": "/a/google-chrome"}
    monkeypatch.setattr(shutil, "which", there.get)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())

    assert find_browser() == "/a/chromium-browser"
