"""What a column of an unknown table is called, and what its values can be."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from pipeline.map_keys import BLANK
from pipeline.source_table import SourceTable, comparable, texts

Confidence = Literal["high", "medium", "low"]
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# More distinct words than this are free text, not the levels of a category.
MAX_LEVELS = 12
# A reading or two may be a slip; with more outside, the column is something else.
SHARE_IN_RANGE = 0.95


def normalise(name: str) -> str:
    """Return a name in lower case words joined by "_", accents off.

    Examples
    --------
    >>> normalise("PPT Quad.Pre"), normalise("ageYears"), normalise("Größe (cm)")
    ('ppt_quad_pre', 'age_years', 'groesse_cm')
    """
    plain = name.replace("ß", "ss").replace("ö", "oe").replace("ä", "ae").replace("ü", "ue")
    ascii_only = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    spaced = CAMEL.sub("_", ascii_only).lower()
    return re.sub(r"[^a-z0-9]+", "_", spaced).strip("_")


@dataclass(frozen=True)
class Guess:
    """A source column taken for a column of ``cases``."""

    target: str
    source: str
    why: str
    confidence: Confidence
    scale: float | None = None
    values: Mapping[str, str | int] = field(default_factory=dict)


def as_numbers(source: SourceTable, name: str) -> pd.Series | None:
    """Return the known numbers of a column, None where one is no number or there is none."""
    found = texts(source.table[name]).dropna()
    values = pd.to_numeric(found, errors="coerce").astype("float64")
    return None if values.empty or values.isna().any() else values


def share_inside(values: pd.Series, low: float | None, high: float | None) -> float:
    lowest = float("-inf") if low is None else low
    highest = float("inf") if high is None else high
    return float(values.between(lowest, highest).mean())


def guess_levels(
    source: SourceTable, target: str, name: str, levels: Mapping[str, Sequence[str]]
) -> Guess | str:
    """Map the words of a category; a code without a word is left to be filled in."""
    codes = list(dict.fromkeys(comparable(source.table[name]).dropna()))
    if not codes or len(codes) > MAX_LEVELS:
        return f"named like {target}, but with {len(codes)} distinct values"
    labels = source.labels.get(name, {})
    known = {w: level for level, synonyms in levels.items() for w in (level, *synonyms)}
    values: dict[str, str | int] = {}
    for code in codes:
        level = known.get(normalise(str(labels.get(code, code))))
        blank = f"{BLANK}: one of {', '.join(levels)}"
        values[code] = blank if level is None else int(level) if level.isdigit() else level
    open_codes = sum(str(v).startswith(BLANK) for v in values.values())
    why = "by its name and its labels" if labels else "by its name and its words"
    if not open_codes:
        return Guess(target, name, why, "high", values=values)
    why = f"by its name; {open_codes} of {len(codes)} codes have no word that is known"
    return Guess(target, name, why, "low" if open_codes == len(codes) else "medium", values=values)
