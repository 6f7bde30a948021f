"""Every command shows an example that its own parser takes, and speaks plainly."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from pipeline.cli import app

ROOT = Path(__file__).resolve().parents[2]
GROUP = typer.main.get_command(app)
COMMANDS = sorted(GROUP.commands)  # type: ignore[attr-defined]
EXAMPLE = re.compile(r"Example: (eih .+?)(?:\n\n|\Z)", re.DOTALL)


def example(command: str) -> list[str]:
    """Words of the example in a command's help."""
    found = EXAMPLE.search(inspect.cleandoc(GROUP.commands[command].help or ""))  # type: ignore[attr-defined]
    assert found, f"eih {command} --help shows no example"
    return shlex.split(found[1])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example_its_parser_takes(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = example(command)
    # The files of an example are the reader's own: whether they are there is not asked.
    for check in ("check_file", "check_folder", "check_source", "bundle_folders"):
        monkeypatch.setattr(f"pipeline.paths.{check}", lambda path: path)

    assert words[:2] == ["eih", command]
    # Parsed, not run: an unknown or a missing option is a usage error.
    parsed = GROUP.commands[command].make_context(command, words[2:])  # type: ignore[attr-defined]
    assert isinstance(parsed, click.Context) or parsed.params


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_called_alike_in_every_command(command: str) -> None:
    options = [o for p in GROUP.commands[command].params for o in p.opts if o.startswith("-")]  # type: ignore[attr-defined]

    assert [o for o in options if not re.fullmatch(r"--[a-z0-9]+(-[a-z0-9]+)*", o)] == []


def test_version_names_the_program_and_its_stack(eih: Callable[..., Any]) -> None:
    said = eih("--version")

    assert said.code == 0
    assert said.out.startswith("eih ")
    for name in ("python", "numpy", "pandas", "scikit-learn", "shap", "mlflow", "xgboost"):
        assert re.search(rf"\b{name} \d", said.out), name


def test_help_still_lists_the_exit_codes(eih: Callable[..., Any]) -> None:
    assert "13 not enough data" in " ".join(eih("--help").out.split())


@pytest.mark.parametrize("words", [["--help"], ["predict"], ["validate", "nowhere.csv"]])
def test_nothing_is_coloured_away_from_a_terminal_or_with_no_color(words: list[str]) -> None:
    for extra in ({"NO_COLOR": "1"}, {}):
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", *words],
            cwd=ROOT,
            env=os.environ | extra,
            capture_output=True,
            check=False,
        )
        assert b"\x1b[" not in done.stdout + done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_completes_a_command(shell: str) -> None:
    words = {"COMP_WORDS": "eih doc", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "eih doc"}
    fish = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    program = "from pipeline.cli import app; app(prog_name='eih')"

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | words | fish | {"_EIH_COMPLETE": f"complete_{shell}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "doctor" in done.stdout, done.stderr
