"""The page that explains every check, made from the list."""

from __future__ import annotations

from collections.abc import Iterator

from models.check_list_models import CHECKS, TRAPS
from models.checks import Check

HEADER = """# Checks

Generated from the list of checks by `eih checks --output docs/checks.md`; do not edit.

`eih check outputs/<study>` looks for the sins of clinical prediction in a study and its artefacts,
as far as they are there, and writes `checks.json`; the stage `check` does so before every report,
which shows what was found. What could not be looked at is listed with the reason. A code is never
given to another check.

* **error**: the figures cannot be believed. `eih check --strict` then ends with 11. Leaks marked
  *refused* stop `eih train` as well, with the code in the message.
* **warning**: figures can mislead, or hold for less than they seem to.
* **note**: something a reader has to know.

A check is muted in params.yaml, with a reason that is recorded in `checks.json` and shown in the
report:

    check:
      mute:
        EIH013: "The question is the change after exercise, not the effect of it."

An unknown code, a missing reason, or a leak that training refuses is an error of configuration
(10). No finding is no proof: each check sees one sign of one sin.
"""


def checks_page() -> str:
    """Return all checks as Markdown: a table by group of sins, then one section each."""
    return "\n".join([HEADER, *_table(), *(line for c in _ordered() for line in _section(c))])


def _ordered() -> list[Check]:
    return sorted(CHECKS.values(), key=lambda c: c.code)


def _table() -> Iterator[str]:
    yield "| sins | checks |"
    yield "|---|---|"
    for trap, title in TRAPS.items():
        links = [f"[{c.code}](#{c.code.lower()}) {c.name}" for c in _ordered() if c.trap == trap]
        yield f"| {title} | {', '.join(links)} |"
    yield ""


def _section(check: Check) -> Iterator[str]:
    refused = ", refused" if check.refused else ""
    yield f"## {check.code}"
    yield ""
    yield f"**{check.name}** ({check.severity}{refused}). {check.why}"
    yield ""
    yield f"* Looks at: {check.looks_at}"
    yield f"* What to do: {check.advice}"
    yield f"* Source: {check.source}"
    yield ""
