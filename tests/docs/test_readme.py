"""The README's transcripts are run, and print what it says they print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
PROGRESS = re.compile(r"(?m)^.+: (?:[\d,]+(?: of [\d,]+)? \w+, )?\d+ s(?:, about \d+ s left)?\n")
COMMANDS = sorted(c.name or c.callback.__name__ for c in app.registered_commands if c.callback)


def transcript(block: str) -> list[tuple[list[str], str]]:
    """Split a block into (arguments of eih, what it prints)."""
    parts = re.split(r"(?m)^\$ ", block)[1:]
    calls = (part.partition("\n") for part in parts)
    return [(shlex.split(line)[1:], printed) for line, _, printed in calls]


def as_pattern(printed: str) -> str:
    """Everything literal, but for '...' which stands for any text."""
    return ".*".join(re.escape(piece) for piece in printed.rstrip("\n").split("..."))


@pytest.mark.slow
def test_transcripts_print_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eih: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    calls = [call for block in BLOCKS for call in transcript(block)]
    assert len(calls) >= 5

    for arguments, printed in calls:
        said = eih(*arguments)
        # A slow machine is told how far a command is; the README was written on a quick one.
        text = said.out + PROGRESS.sub("", said.err)

        assert re.fullmatch(as_pattern(printed), text.rstrip("\n"), re.DOTALL), (
            f"eih {' '.join(arguments)} printed:\n{text}"
        )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_help_is_in_the_readme(command: str) -> None:
    assert re.search(rf"\beih {command}\b", README), command


def rows_of(table: str) -> list[dict[str, str]]:
    """Rows of a Markdown table by its header."""
    lines = [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines()]
    return [dict(zip(lines[0], cells, strict=True)) for cells in lines[2:]]


def test_the_results_table_is_part_of_the_whole_one() -> None:
    whole = rows_of((ROOT / "docs" / "results.md").read_text(encoding="utf-8").strip())
    found = re.search(r"(?m)^\| study \|.*\n(?:\|.*\n)+", README)
    assert found
    rows = rows_of(found[0].strip())

    assert len(rows) >= 5
    for row in rows:
        assert any(row.items() <= full.items() for full in whole), row


def test_every_path_the_readme_names_is_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
