"""Recognise the columns of an unknown table: by name, then by whether the values can be it.

Nothing here is certain, and every guess says why it was made and how far it can be trusted:
``high`` where name and range agree, ``medium`` where one of them had to be interpreted, ``low``
where the guess should be checked first.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from features.columns import CASES_BY_NAME, Column
from features.reference import load_reference
from pipeline.column_readings import Reading, find_long, find_readings
from pipeline.column_values import (
    SHARE_IN_RANGE,
    Guess,
    as_numbers,
    guess_levels,
    normalise,
    share_inside,
)
from pipeline.source_table import SourceTable
from pipeline.study_map import answer_range

NUMBERED = re.compile(r"(.*?)(0*)(\d+)")
# A synonym as long as this is recognised with a slip of the pen, too.
LONG_NAME = 12


@dataclass(frozen=True)
class Battery:
    """Numbered columns taken for the items of an instrument."""

    instrument: str
    pattern: str
    sources: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Matches:
    """Everything recognised in a table, and what was not, with the reason."""

    guesses: tuple[Guess, ...]
    batteries: tuple[Battery, ...]
    readings: tuple[Reading, ...]
    long: Mapping[str, Guess]
    unmatched: Mapping[str, str]


def match_columns(source: SourceTable) -> Matches:
    """Recognise the columns of a table.

    Parameters
    ----------
    source : SourceTable
        As read: text or typed columns, with labels where the file has any.

    Returns
    -------
    Matches
        Holds names of columns, codes of categories and units; no other value of a participant.
    """
    words = load_reference("column_synonyms.toml")
    left = {str(c): normalise(str(c)) for c in source.table.columns}
    batteries, remarks = _find_batteries(source, left, words)
    _drop(left, (s for b in batteries for s in b.sources))
    long = find_long(source, left, words)
    _drop(left, (g.source for g in long.values()))
    guesses = _find_cases(source, left, words, remarks)
    _drop(left, (g.source for g in guesses))
    readings = find_readings(source, left, words, set(long), remarks)
    _drop(left, (r.source for r in readings))
    unmatched = {name: remarks.get(name, "no known name") for name in left}
    return Matches(tuple(guesses), tuple(batteries), tuple(readings), long, unmatched)


def _drop(left: dict[str, str], names: Iterable[str]) -> None:
    for name in names:
        left.pop(name, None)


# ---- items -----------------------------------------------------------------------------------


def _find_batteries(
    source: SourceTable, left: Mapping[str, str], words: Mapping[str, Any]
) -> tuple[list[Battery], dict[str, str]]:
    """Find numbered columns that make up an instrument; remark on those that nearly do."""
    groups: dict[tuple[str, str], dict[int, str]] = {}
    for name in left:
        found = NUMBERED.fullmatch(name)
        if found:
            padded = "{item:02}" if found[2] and len(found[2] + found[3]) == 2 else "{item}"
            groups.setdefault((found[1], padded), {})[int(found[3])] = name
    batteries: list[Battery] = []
    remarks: dict[str, str] = {}
    for (prefix, padded), items in _merge_padding(groups).items():
        forms = _forms(prefix, words)
        fitting = [f for f in forms if set(items) == set(range(1, f["items"] + 1))]
        answers = [f for f in fitting if _answers_fit(source, items.values(), f)]
        if answers:
            form = answers[0]
            low, high = answer_range(form, 1)
            why = f"{len(items)} columns numbered from 1, all answers in {low:g} to {high:g}"
            pattern, sources = f"{prefix}{padded}", tuple(items.values())
            batteries.append(Battery(form["name"], pattern, sources, why))
        elif forms:
            remark = _battery_remark(len(items), forms, bool(fitting))
            remarks |= dict.fromkeys(items.values(), remark)
    return batteries, remarks


def _merge_padding(
    groups: Mapping[tuple[str, str], dict[int, str]],
) -> dict[tuple[str, str], dict[int, str]]:
    """Join pcs01 ... pcs09 with pcs10 ...: the latter show no zero."""
    merged: dict[tuple[str, str], dict[int, str]] = {}
    for (prefix, padded), items in groups.items():
        zeros = (prefix, "{item:02}")
        merged.setdefault(zeros if zeros in groups else (prefix, padded), {}).update(items)
    return {key: dict(sorted(items.items())) for key, items in merged.items()}


def _forms(prefix: str, words: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Instruments a prefix may stand for."""
    known = load_reference("instruments.toml")
    name = normalise(prefix)
    for ending in words["totals"]["item_words"]:
        name = name.removesuffix(f"_{ending}")
    return [
        {"name": instrument, **known[instrument]}
        for instrument, synonyms in words["instruments"].items()
        if instrument in known and name in synonyms
    ]


def _answers_fit(source: SourceTable, columns: Iterable[str], form: Mapping[str, Any]) -> bool:
    for item, name in enumerate(columns, start=1):
        values = as_numbers(source, name)
        if values is None or share_inside(values, *answer_range(form, item)) < 1:
            return False
    return True


def _battery_remark(n_items: int, forms: Sequence[Mapping[str, Any]], complete: bool) -> str:
    if complete:
        ranges = " or ".join("{:g} to {:g}".format(*answer_range(f, 1)) for f in forms)
        return f"numbered like {forms[0]['name']}, but answers outside {ranges}: a shifted form?"
    needed = " or ".join(f"{f['items']} ({f['name']})" for f in forms)
    return f"{n_items} numbered columns, expected {needed}: a short form?"


# ---- columns of cases ------------------------------------------------------------------------


def _find_cases(
    source: SourceTable,
    left: Mapping[str, str],
    words: Mapping[str, Any],
    remarks: dict[str, str],
) -> list[Guess]:
    """Match names with the columns of ``cases``; each target is given once, to the best name."""
    best: dict[str, Guess] = {}
    candidates = [
        (rank, target, name)
        for name, known in left.items()
        for rank, target in _case_targets(known, words)
    ]
    for _, target, name in sorted(candidates, key=lambda c: c[0]):
        if target in best or name in {g.source for g in best.values()}:
            continue
        guess = _guess(source, CASES_BY_NAME[target], name, words)
        if isinstance(guess, Guess):
            best[target] = guess
        else:
            remarks.setdefault(name, guess)
    return [best[c] for c in CASES_BY_NAME if c in best]


def _case_targets(name: str, words: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Targets a name may stand for, with the rank of the synonym (0 is the best)."""
    found = []
    for target, synonyms in words["cases"].items():
        known = name if name in synonyms else _without_unit(name, target, words)
        if known in synonyms and target in CASES_BY_NAME:
            found.append((synonyms.index(known), target))
    for instrument, synonyms in words["instruments"].items():
        totals = [
            s if not w else f"{s}_{w}" for s in synonyms for w in ("", *words["totals"]["words"])
        ]
        target = f"{instrument}_total"
        if target not in CASES_BY_NAME:
            continue
        if name in totals:
            found.append((100 + totals.index(name), target))
        elif difflib.get_close_matches(name, [t for t in totals if len(t) >= LONG_NAME], 1, 0.9):
            found.append((1000, target))
    return found


def _without_unit(name: str, target: str, words: Mapping[str, Any]) -> str:
    """Return the name without a unit at its end that this column is converted from."""
    stem, _, last = name.rpartition("_")
    units = {w for c in words["conversions"].get(target, []) for w in c["words"]}
    return stem if last in units else name


def _guess(source: SourceTable, column: Column, name: str, words: Mapping[str, Any]) -> Guess | str:
    """Return a guess, or the reason why the values cannot be this column."""
    if column.name in words["levels"]:
        return guess_levels(source, column.name, name, words["levels"][column.name])
    if column.kind in ("text", "category"):
        return Guess(column.name, name, "by its name", "high")
    values = as_numbers(source, name)
    if values is None:
        return f"named like {column.name}, but not all values are numbers"
    return _guess_number(column, name, values, words["conversions"].get(column.name, []))


def _guess_number(
    column: Column, name: str, values: pd.Series, conversions: Sequence[Mapping[str, Any]]
) -> Guess | str:
    tokens = normalise(name).split("_")
    low, high = column.low, column.high
    for conversion in conversions:
        inside = share_inside(values * conversion["scale"], low, high) >= SHARE_IN_RANGE
        if inside and set(conversion["words"]) & set(tokens):
            why = f"by its name, which says {conversion['unit']}"
            return Guess(column.name, name, why, "high", conversion["scale"])
    share = share_inside(values, low, high)
    if share == 1:
        return Guess(column.name, name, f"by its name; all values are {column.expected()}", "high")
    for conversion in conversions:
        if share_inside(values * conversion["scale"], low, high) >= SHARE_IN_RANGE > share:
            why = f"by its name; only as {conversion['unit']} do the values lie in range"
            return Guess(column.name, name, why, "medium", conversion["scale"])
    if share >= SHARE_IN_RANGE:
        outside = round((1 - share) * len(values))
        why = f"by its name; {outside} of {len(values)} values are not {column.expected()}"
        return Guess(column.name, name, why, "low")
    return f"named like {column.name}, but the values are not {column.expected()}"
