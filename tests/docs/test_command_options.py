"""One thing has one name, one stand-in, one help text and one place in every command."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline.cli import app
from pipeline.cli_app import RENAMED

COMMANDS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Meaning:
    """What an option stands for: its value in the help, how the help begins, its default.

    ``defaults``: what it may be where it is not required.
    """

    metavar: str | None
    help: str
    defaults: tuple[Any, ...] = (None,)


# Every name that two commands share. Several meanings of one name need a reason beside them.
SHARED: dict[str, tuple[Meaning, ...]] = {
    "--output": (
        Meaning("FILE", "File to write", (None, Path("seeds/README.md"))),
        Meaning("FILE", "Page that explains"),
        Meaning("FOLDER", "Folder to write to"),
    ),
    "--json": (Meaning("FILE", "Write the result as JSON to FILE, or - for stdout."),),
    "--params": (Meaning("FILE", "Settings; default: ./params.yaml, or built-in values."),),
    "--page": (Meaning("FILE", "Markdown page of the main figures."),),
    "--model": (
        Meaning("FOLDER", "A bundle, or a study's output folder"),
        # No bundle can rank exercises.
        Meaning("FOLDER", "A study's output folder, or what 'eih policy' wrote there."),
    ),
    "--input": (Meaning("FILE", "Cases: "),),
    "--features": (Meaning("FILE", "Feature table"),),
    "--outcomes": (Meaning("FILE", "Outcome table"),),
    "--target": (Meaning("NAME", "response, hyperalgesia or flare.", ("response",)),),
    "--endpoint": (Meaning("NAME,...", "Default: ", (None, "")),),
    "--resamples": (Meaning("N", "Resamples of the persons", (100, 200, 500)),),
    "--base": (Meaning("NAME,...", "What is known already"),),
    "--cut": (
        Meaning("VALUE", "Last value learnt from."),
        # Where persons are cut into groups, not bouts into earlier and later.
        Meaning("NAME", "published: cut points", ("published",)),
    ),
    "--candidates": (Meaning("NAME,...", "Rungs of the ladder.", ("stratum,baseline,logistic",)),),
    "--candidate": (
        Meaning("NAME", "A rung of the ladder", ("logistic",)),
        # A candidate predictor: what biomarker research calls it.
        Meaning("NAME", "Feature, column of cases or family"),
    ),
    "--by": (
        Meaning("COLUMN", "Whose ", (None, "modality", "period")),
        Meaning("COLUMN,...", "Whose "),
    ),
    "--jobs": (Meaning("N", "Processes", (None, 1)),),
    "--scenario": (Meaning("NAME", "base, pessimistic, optimistic or null.", ("base",)),),
    "--participants": (
        Meaning("N", "Persons", (300,)),
        Meaning("N,...", "Persons", ("100",)),
    ),
    "--set": (Meaning("PARAMETER=VALUE", "One parameter of the simulator; repeat it."),),
    "--set-file": (Meaning("FILE", "TOML file of simulator parameters."),),
    "--record-too-few": (Meaning(None, "Too few events: write the reason", (False,)),),
    "--strict": (Meaning(None, "End with 11 ", (False,)),),
    "--draft": (
        Meaning("FILE", "Write a first map for this table"),
        # The map is made from a table, study.toml from nothing.
        Meaning("FILE", "Write an empty study.toml here"),
    ),
    "--outcome": (
        Meaning("COLUMN", "Of the 0/1 outcome.", ("y",)),
        # The kind of outcome, as the sample-size literature names it.
        Meaning("NAME", "binary or continuous."),
    ),
}
# What the same thing is called elsewhere: none of these may come in.
ELSEWHERE = {
    "--jobs": ("--workers", "--n-jobs", "--processes", "--threads", "--cores"),
    "--output": ("--out", "--output-dir", "--output-file", "--destination", "--to"),
    "--input": ("--in", "--input-file", "--data", "--file"),
    "--model": ("--bundle", "--models", "--model-dir"),
    "--seed": ("--random-state", "--random-seed", "--rng"),
    "--params": ("--config", "--settings", "--params-file"),
    "--json": ("--json-file", "--as-json", "--format"),
    "--resamples": ("--bootstraps", "--n-resamples", "--n-bootstrap", "--draws"),
    "--candidates": ("--rungs", "--models"),
    "--endpoint": ("--endpoints",),
    "--target": ("--targets",),
    "--page": ("--markdown", "--md"),
    "--by": ("--group-by", "--groups"),
    "--participants": ("--persons", "--n-participants", "--people"),
}
LAST = ("--output", "--page", "--jobs", "--params", "--json")


def options(command: str) -> dict[str, Any]:
    """Return the options of a command by their names, in their order."""
    return {p.opts[0]: p for p in COMMANDS[command].params if p.param_type_name == "option"}


EACH = [(c, name) for c in sorted(COMMANDS) for name in options(c)]


def matches(meaning: Meaning, option: Any) -> bool:
    return (
        option.metavar == meaning.metavar
        and option.help.startswith(meaning.help)
        and (option.required or option.default in meaning.defaults)
    )


@pytest.mark.parametrize(("command", "name"), [e for e in EACH if e[1] in SHARED])
def test_a_shared_option_means_the_same_in_every_command(command: str, name: str) -> None:
    option = options(command)[name]

    assert any(matches(m, option) for m in SHARED[name]), (
        f"eih {command} {name} {option.metavar}: {option.help} [{option.default}]"
    )


def test_every_name_two_commands_share_is_in_the_table() -> None:
    names = [name for _, name in EACH]

    assert {n for n in names if names.count(n) > 1} - set(SHARED) == set()


def test_one_thing_is_not_named_differently_by_two_commands() -> None:
    helps = {(re.sub(r"\W+", " ", options(c)[n].help.lower()), n) for c, n in EACH}
    alike = [(a[1], b[1]) for a, b in combinations(sorted(helps), 2) if a[0] == b[0]]

    assert alike == []
    foreign = {name for names in ELSEWHERE.values() for name in names}
    assert {(c, n) for c, n in EACH if n in foreign} == set()


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_usual_options_come_in_the_usual_order(command: str) -> None:
    optional = [n for n, p in options(command).items() if not p.required]
    usual = [n for n in optional if n in LAST]

    assert usual == sorted(usual, key=LAST.index)
    tail = [n for n in optional if n in LAST[2:]]
    assert optional[len(optional) - len(tail) :] == tail


@pytest.mark.parametrize(("command", "name"), EACH)
def test_an_option_with_a_value_says_what_stands_there(command: str, name: str) -> None:
    option = options(command)[name]

    if option.is_flag:
        assert option.metavar is None
    else:
        assert re.fullmatch(r"[A-Z0-9_=]+(,\.\.\.)?", option.metavar or ""), option.metavar
    assert option.help.endswith("."), option.help


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_words_of_a_command_begin_with_a_capital_and_end_with_a_stop(command: str) -> None:
    first = (COMMANDS[command].help or "").strip().partition("\n")[0]

    assert re.fullmatch(r"[A-Z].*[.?]", first), first


@pytest.mark.parametrize(
    ("command", "old", "new"), [(c, o, n) for c, r in RENAMED.items() for o, n in r.items()]
)
def test_an_earlier_spelling_is_still_taken_and_shown_nowhere(
    command: str, old: str, new: str, eih: Callable[..., Any]
) -> None:
    assert new in options(command)
    assert old not in options(command)
    assert old not in eih(command, "--help").out

    # Something else is missing, so that nothing runs; the option itself is known.
    for words in ([f"{old}=x"], [old, "x"]):
        assert "No such option" not in eih(command, *words).err
    assert "No such option" in eih(command, f"{old}-er", "x").err
