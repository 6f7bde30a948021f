"""What the checks found in a study: the file, and its content in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models.checks import SEVERITIES, Finding
from pipeline.errors import TableError
from pipeline.io import read_json

CHECKED = "checks.json"
SIMULATED = "Simulated data: findings are about a simulated study."


def in_words(content: Mapping[str, Any]) -> Iterator[str]:
    """Say what was found: one line a finding, then the counts."""
    if content["simulated"]:
        yield SIMULATED
    yield from (Finding(**f).in_words() for f in content["findings"])
    yield summary(content)


def summary(content: Mapping[str, Any]) -> str:
    """Count findings in words.

    Examples
    --------
    >>> found = {"error": 0, "warning": 1, "note": 2, "muted": 0}
    >>> summary({"counts": found, "clear": [1] * 40, "not_looked_at": [1] * 3})
    '0 errors, 1 warning, 2 notes, 0 muted; 40 checks clear, 3 not looked at'
    """
    found = content["counts"]
    said = [f"{found[s]} {s}{'' if found[s] == 1 else 's'}" for s in SEVERITIES]
    return (
        f"{', '.join(said)}, {found['muted']} muted; {len(content['clear'])} checks clear, "
        f"{len(content['not_looked_at'])} not looked at"
    )


def require_no_errors(content: Mapping[str, Any], where: Path) -> None:
    """Raise TableError where an error was found that is not muted."""
    codes = [f["code"] for f in content["findings"] if f["severity"] == "error" and not f["muted"]]
    if codes:
        raise TableError(
            f"{where}: expected no errors, found {len(codes)} ({', '.join(dict.fromkeys(codes))}). "
            "What to do stands beside each finding."
        )


def read_checks(folder: Path) -> dict[str, Any] | None:
    """Return what the stage found in a study, None where it was not run."""
    path = folder / CHECKED
    return dict(read_json(path)) if path.exists() else None
