"""A headless Chromium of the system, and pages that remember what went wrong on them."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest

from pipeline import (
    check,
    evaluate,
    explain,
    featurize,
    joint,
    label,
    policy,
    report,
    train,
)
from pipeline.config import Params
from pipeline.ingest import ingest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
NEEDED = ("playwright", "axe_playwright_python")
GRAVE = ("serious", "critical")
# Of the title of the simulated study, and of everybody in it.
SCRIPT = "<script>alert('x')</script> & co"
REAL = {
    "peep": "eih_peep_nold2025",
    "cervical_radiculopathy_rct": "cervical_radiculopathy_exercise_rct",
}


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


def browser_or_skip() -> str:
    """Program of the browser; skips, with the reason, where it or its driver is absent."""
    program = next((p for name in CHROMIUM if (p := shutil.which(name))), None)
    if program is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed (an extra: dev)")
    return program


@pytest.fixture(scope="session")
def find_browser() -> Callable[[], str]:
    """The search itself, for the test of a machine without one."""
    return browser_or_skip


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser; skipped, with the reason, where it or its driver is absent."""
    program = browser_or_skip()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # In a container without user namespaces Chromium's own sandbox cannot be set up; what is
        # opened here are pages of our own.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    """Open an address in a window of some width and colour scheme.

    The policy of a page forbids scripts, and axe-core is one: it is set aside unless ``strict``.
    """
    contexts = []

    def open_at(
        address: str, width: int = 1440, scheme: str = "light", *, strict: bool = False
    ) -> Watched:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=not strict
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


# ---- reports ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def report_of(
    chromium: Any,
    trained: Path,
    small: Params,
    real_study: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Path]:
    """Page of a study's report, made once: ``demo`` (simulated), or a real one by its map.

    Settings are the smallest that pass through every section: these tests look at pages.
    """
    quick = replace(small, policy=replace(small.policy, c=(0.01, 0.1), refits=20, least_persons=4))

    @cache
    def made(name: str) -> Path:
        folder = tmp_path_factory.mktemp("reported") / name
        if name in REAL:
            ingest(name, real_study(REAL[name]), folder)
            judge(quick, folder)
        else:
            shutil.copytree(trained, folder)
            rename_everybody(folder)
        choose(quick, folder)
        title = "" if name in REAL else SCRIPT
        settings = replace(quick.report, title=title)
        return report.run(settings, folder, quick.targets, folder / "report")

    return made


def judge(params: Params, folder: Path) -> None:
    """Take a study that has been read through the stages to its explanations."""
    label.run(params.label, folder, folder / "outcomes.parquet")
    featurize.run(params.featurize, folder, folder / "features.parquet")
    tables = (folder / "features.parquet", folder / "outcomes.parquet")
    for name in params.targets:
        target = folder / name
        train.run_or_record(params.train, tables, name, target)
        risks = target / "train" / "predictions.parquet"
        evaluate.run_ladder(params.evaluate, risks, target / "evaluate", folder / "cases.parquet")
        explain.run(params.explain, target, tables[0], target / "explain")


def choose(params: Params, folder: Path) -> None:
    """What a report shows beyond one target's model: both risks, exercises, markers, checks."""
    tables = (folder / "features.parquet", folder / "outcomes.parquet")
    joint.run(params, tables, folder / "joint")
    policy.run(params, folder, folder / "policy")
    check.run(params, folder, folder / "checks.json")


def rename_everybody(folder: Path) -> None:
    """Give every person an id that is a script."""
    for path in folder.glob("*.parquet"):
        table = pd.read_parquet(path)
        if "participant_id" in table:
            ids = table["participant_id"].astype(str)
            table.assign(participant_id=ids + SCRIPT).to_parquet(path)
