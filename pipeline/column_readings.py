"""Recognise the columns of readings: which measure, in which unit, when and where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from features.units import MEASURES, Measure
from pipeline.column_values import SHARE_IN_RANGE, Guess, as_numbers, guess_levels, share_inside
from pipeline.map_keys import BLANK
from pipeline.source_table import SourceTable

WORD_AND_NUMBER = re.compile(r"([a-z]+)_?0*(\d+)")
BLANKS = {
    "timepoint": f"{BLANK}: pre, during, post, post_<n>min, post_<n>h, week_<n>",
    "site_role": f"{BLANK}: local, remote or clinical",
}


@dataclass(frozen=True)
class Reading:
    """A source column taken for readings of a measure; ``constants`` tell when and where."""

    source: str
    measure: str
    unit: str
    why: str
    constants: Mapping[str, str | int]


def find_long(
    source: SourceTable, left: Mapping[str, str], words: Mapping[str, Any]
) -> dict[str, Guess]:
    """Columns that say when and where, in a file of one row per reading."""
    found: dict[str, Guess] = {}
    for name, known in left.items():
        for target, synonyms in words["readings"].items():
            if known in synonyms and target not in found:
                guess = _guess_reading_column(source, target, name, words)
                if isinstance(guess, Guess):
                    found[target] = guess
    # Without a moment per row there are no rows per reading.
    return found if "timepoint" in found else {}


def _guess_reading_column(
    source: SourceTable, target: str, name: str, words: Mapping[str, Any]
) -> Guess | str:
    if target == "timepoint":
        return guess_levels(source, target, name, words["timepoints"])
    if target == "site_role":
        return guess_levels(source, target, name, words["site_roles"])
    return Guess(target, name, "by its name", "medium")


def find_readings(
    source: SourceTable,
    left: Mapping[str, str],
    words: Mapping[str, Any],
    long: set[str],
    remarks: dict[str, str],
) -> list[Reading]:
    readings = []
    for name, known in left.items():
        measure, rest = _take(_tokens(known, words), words["measures"])
        if measure is None:
            continue
        reading = _read_name(source, name, (measure, rest), words)
        if isinstance(reading, str):
            remarks.setdefault(name, reading)
            continue
        needed = {k: v for k, v in BLANKS.items() if k not in reading.constants and k not in long}
        readings.append(replace(reading, constants={**reading.constants, **needed}))
    return readings


def _read_name(
    source: SourceTable, name: str, named: tuple[str, list[str]], words: Mapping[str, Any]
) -> Reading | str:
    """Return a reading, or the reason why the column is none."""
    measure, rest = named
    values = as_numbers(source, name)
    if values is None:
        return f"named like {measure}, but not all values are numbers"
    second, _ = _take(rest, words["measures"])
    if second is not None or set(rest) & set(words["not_readings"]["words"]):
        return f"named like {measure}, but of something else too"
    constants, unknown = _moment_and_place(rest, words)
    if unknown and measure in words["not_readings"]["whole_names"]:
        return f"named like {measure}, but '{' '.join(unknown)}' is not known"
    if unknown and "body_site" not in constants:
        constants["body_site"] = "_".join(unknown)
    unit, why = _guess_unit(MEASURES[measure], values, rest, words["units"])
    if unit is None:
        return f"named like {measure}, but typical of it in no unit"
    return Reading(name, measure, unit, why, constants)


def _tokens(name: str, words: Mapping[str, Any]) -> list[str]:
    """Words of a name; a number is taken off the word it is stuck to ("ppt2", but not "cm2")."""
    lists = (
        *words["units"].values(),
        *words["timepoints"].values(),
        words["not_readings"]["fillers"],
    )
    whole = {part for synonyms in lists for s in synonyms for part in s.split("_")}
    tokens: list[str] = []
    for token in name.split("_"):
        found = None if token in whole else WORD_AND_NUMBER.fullmatch(token)
        tokens += [found[1], found[2]] if found and len(found[1]) > 1 else [token]
    return tokens


def _take(
    tokens: Sequence[str], synonyms: Mapping[str, Sequence[str]]
) -> tuple[str | None, list[str]]:
    """Find the longest synonym in consecutive tokens; return its meaning and the other tokens."""
    options = [
        (len(parts), meaning, start)
        for meaning, known in synonyms.items()
        for parts in (s.split("_") for s in known)
        for start in range(len(tokens) - len(parts) + 1)
        if list(tokens[start : start + len(parts)]) == parts
    ]
    if not options:
        return None, list(tokens)
    length, meaning, start = max(options, key=lambda option: (option[0], -option[2]))
    return meaning, [*tokens[:start], *tokens[start + length :]]


def _moment_and_place(
    tokens: Sequence[str], words: Mapping[str, Any]
) -> tuple[dict[str, str | int], list[str]]:
    """Return what a name says of moment, place and trial, and the words that say neither."""
    constants: dict[str, str | int] = {}
    rest = list(tokens)
    parts = (("timepoint", "timepoints"), ("site_role", "site_roles"), ("body_site", "body_sites"))
    for target, vocabulary in parts:
        meaning, rest = _take(rest, words[vocabulary])
        if meaning is not None:
            constants[target] = meaning
    trials = [token for token in rest if token.isdigit()]
    if len(trials) == 1 and int(trials[0]) > 0:
        constants["trial"] = int(trials[0])
        rest.remove(trials[0])
    _, rest = _take(rest, words["units"])
    return constants, [t for t in rest if t not in words["not_readings"]["fillers"]]


def _guess_unit(
    measure: Measure, values: pd.Series, tokens: Sequence[str], units: Mapping[str, Sequence[str]]
) -> tuple[str | None, str]:
    """Return the unit that name or range speak for, and why; None where no unit fits."""
    fitting = [u for u in (measure.unit, *measure.units) if _fits(measure, u, values)]
    named, _ = _take(tokens, units)
    if named is not None and named in fitting:
        return named, f"unit by the name, and the median is typical of {measure.name} in it (high)"
    if not fitting:
        return None, ""
    factors = {measure.conversion(u) for u in fitting}
    others = [u for u in fitting if measure.conversion(u) != measure.conversion(fitting[0])]
    why = f"unit by the range: the median is typical of {measure.name} in it"
    if named is not None:
        why += f", not in {named} as the name says (low: check the device)"
    elif len(factors) == 1:
        why += " only (medium)"
    else:
        why += f"; {', '.join(others)} would fit too (low)"
    return fitting[0], why


def _fits(measure: Measure, unit: str, values: pd.Series) -> bool:
    factor, offset = measure.conversion(unit) or (1.0, 0.0)
    canonical = factor * values + offset
    low, high = measure.typical
    inside = share_inside(canonical, measure.low, measure.high) >= SHARE_IN_RANGE
    return inside and low <= float(canonical.median()) <= high
