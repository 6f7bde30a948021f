"""Tool ``checks``: the list of all checks, as lines or as the page that explains them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.check_list_models import CHECKS
from models.check_page import checks_page
from pipeline.io import write_text


def write_page(output: Path) -> int:
    """Write the page of all checks; return how many there are."""
    write_text(checks_page(), output)
    return len(CHECKS)


def content() -> list[dict[str, Any]]:
    """Return every check as plain content."""
    return [{**asdict(c), "link": c.link} for c in CHECKS.values()]


def in_words() -> Iterator[str]:
    """Say every check in one line."""
    for check in CHECKS.values():
        yield f"{check.code} {check.severity:<7} {check.name}: {check.why}"
