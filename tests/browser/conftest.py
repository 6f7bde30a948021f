"""A headless Chromium of the system, and pages that remember what went wrong on them."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
NEEDED = ("playwright", "axe_playwright_python")
GRAVE = ("serious", "critical")


@dataclass
class Watched:
    """An open page: what it said on the console, and every address that was asked for."""

    page: Any
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def external(self, host: str = "") -> list[str]:
        """Addresses beyond ``host``: the page's own server, or none for a file."""
        split = [(a, urlsplit(a)) for a in self.requests]
        own = [("file", ""), ("http", host)]
        return [a for a, s in split if (s.scheme, s.netloc) not in own and s.scheme != "data"]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def grave_violations(self) -> list[str]:
        """What axe-core finds serious or critical: rule and first place."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [f"{v['id']}: {v['nodes'][0]['target']}" for v in found if v["impact"] in GRAVE]


Open = Callable[..., Watched]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser; skipped, with the reason, where it or its driver is absent."""
    program = next((p for name in CHROMIUM if (p := shutil.which(name))), None)
    if program is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed (an extra: dev)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # In a container without user namespaces Chromium's own sandbox cannot be set up; what is
        # opened here are pages of our own.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    """Open an address in a window of some width and colour scheme."""
    contexts = []

    def open_at(address: str, width: int = 1440, scheme: str = "light") -> Watched:
        # The policy of a page forbids scripts; axe-core is one.
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
        )
        contexts.append(context)
        watched = Watched(context.new_page())
        watched.page.on("request", lambda r: watched.requests.append(r.url))
        watched.page.on("pageerror", lambda e: watched.faults.append(str(e)))
        watched.page.on(
            "console", lambda m: watched.faults.append(m.text) if m.type == "error" else None
        )
        watched.page.on("dialog", lambda d: (watched.faults.append("a dialog"), d.dismiss()))
        watched.page.goto(address)
        return watched

    yield open_at
    for context in contexts:
        context.close()
