"""Long commands say how far they are: a bar on a terminal, lines elsewhere, results untouched."""

from __future__ import annotations

import ast
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from pipeline import cli, progress
from pipeline.progress import counting, show_progress, tracked, working

ROOT = Path(__file__).resolve().parents[2]
# These stay under two seconds on the demo study (300 persons, 1,500 bouts), or only listen.
QUICK = {
    "checks", "dictionary", "explore", "reserve", "samplesize", "score", "tripod", "validate",
    "where", "zscore",
}  # fmt: skip
IMPATIENT = (
    "import sys; from pipeline import progress; progress.SECONDS_BEFORE_BAR = 0.0; "
    "progress.SECONDS_BETWEEN_LINES = 0.05; "
    "from pipeline.cli import main; sys.exit(main())"
)


def functions() -> dict[str, ast.FunctionDef]:
    """Return the function of every subcommand by its name."""
    found = {}
    for path in sorted((ROOT / "pipeline").glob("cli_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(
                ast.unparse(d).startswith("app.command") for d in node.decorator_list
            ):
                found[node.name.replace("_", "-")] = node
    return found


@pytest.mark.parametrize("command", sorted(functions()))
def test_every_command_but_the_quick_ones_shows_that_it_runs(command: str) -> None:
    node = functions()[command]
    shown = {
        ast.unparse(item.context_expr).partition("(")[0]
        for child in ast.walk(node)
        if isinstance(child, ast.With)
        for item in child.items
    }

    assert bool(shown & {"working", "counting"}) is (command not in QUICK)


def on_a_terminal(words: list[str]) -> tuple[str, str, int]:
    """Run with standard error on a pseudo terminal; return what it showed, stdout and the code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    running = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, *words],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        seen += piece
    out = running.communicate()[0]
    os.close(ours)
    return seen.decode(), out.decode(), running.returncode


@pytest.mark.slow
def test_a_bar_shows_on_a_terminal_and_leaves_standard_output_alone(
    study: Path, tmp_path: Path
) -> None:
    words = ["label", str(study), "--output", str(tmp_path / "outcomes.parquet")]

    seen, out, code = on_a_terminal(words)

    assert code == 0
    assert "label" in seen
    assert "\x1b[?25l" in seen, "no bar: the cursor was never hidden"
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l"), "the cursor stays hidden"
    assert "\x1b" not in out
    assert all(re.match(r"\w+: \d+ persons", line) for line in out.splitlines())


@pytest.mark.slow
def test_lines_without_codes_are_written_away_from_a_terminal(study: Path, tmp_path: Path) -> None:
    words = ["label", str(study), "--output", str(tmp_path / "outcomes.parquet")]

    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT, *words],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert "\x1b" not in done.stdout + done.stderr
    assert re.fullmatch(r"(label: \d+ s\n)+", done.stderr)


def test_a_count_is_silent_on_short_runs_and_regular_on_long_ones(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    list(tracked([1, 2, 3], "quick", "pieces"))
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    regular = show_progress("regular", "pieces")
    for done in range(4):
        regular(done, 3)

    lines = capsys.readouterr().err.splitlines()
    assert not any(line.startswith("quick") for line in lines)
    assert [line.split(",")[0] for line in lines] == [f"regular: {d} of 3 pieces" for d in range(4)]
    assert "s left" in lines[1]
    assert "s left" not in lines[3]


def test_a_command_that_counts_nothing_says_how_long_it_has_been_running(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.02)
    with working("label"):
        time.sleep(0.3)
    said = capsys.readouterr().err
    time.sleep(0.1)

    assert re.fullmatch(r"(label: 0 s\n){2,}", said)
    assert capsys.readouterr().err == "", "it goes on after the command's end"


def test_what_is_counted_inside_a_command_is_shown_in_its_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with working("train"):
        monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
        with counting("predict", "rows") as advance:
            advance(1500)
        list(tracked(["a", "b"], "folds", "folds"))

    lines = [line.split(", ")[0] for line in capsys.readouterr().err.splitlines()]
    folds = [f"folds: {done} of 2 folds" for done in range(3)]
    assert lines == ["predict: 1,500 rows", *folds]


def test_a_display_is_closed_when_its_command_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        with working("label"):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()

    assert progress._open == []


def test_every_command_of_the_program_is_looked_at() -> None:
    names = {c.name or c.callback.__name__ for c in cli.app.registered_commands if c.callback}

    assert set(functions()) == {n.replace("_", "-") for n in names}


def test_a_display_bears_the_name_of_its_command() -> None:
    named = {
        call.args[0].value
        for node in functions().values()
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("working", "counting")
        and isinstance(call.args[0], ast.Constant)
    }

    assert named <= set(functions())
