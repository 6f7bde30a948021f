"""What a column of a table is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KnownAt = Literal["screening", "baseline", "during", "after"]
Kind = Literal["text", "number", "integer", "category"]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    ``low`` and ``high`` are inclusive; ``known_at`` is the moment from which the value can be
    known; ``source`` says where ranges and levels come from. A ``required`` column has to be
    there, with a value in every row unless it is ``nullable``.
    """

    name: str
    kind: Kind
    known_at: KnownAt
    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] = ()
    required: bool = False
    nullable: bool = False
    source: str = "contract"

    def expected(self) -> str:
        """Say in words which values are accepted."""
        if self.levels:
            return "one of " + ", ".join(self.levels)
        if self.kind == "text":
            return "a text"
        noun = "whole numbers" if self.kind == "integer" else "numbers"
        if self.low is None and self.high is None:
            return noun
        unit = f" {self.unit}" if self.unit else ""
        return f"{noun} in {self.low:g} to {self.high:g}{unit}"


def number(
    name: str,
    unit: str,
    span: tuple[float, float],
    description: str,
    *,
    known_at: KnownAt = "baseline",
    source: str = "contract",
) -> Column:
    """Return a column of numbers in ``span`` (both ends included)."""
    return Column(name, "number", known_at, description, unit, *span, source=source)


def count(name: str, span: tuple[int, int], description: str, source: str = "contract") -> Column:
    """Return a column of whole numbers in ``span``."""
    return Column(name, "integer", "baseline", description, "", *span, source=source)


def flag(name: str, description: str, source: str = "contract") -> Column:
    """Return a column of 0 and 1."""
    return Column(name, "integer", "baseline", description, "", 0, 1, source=source)


def choice(
    name: str, levels: tuple[str, ...], description: str, source: str = "contract"
) -> Column:
    """Return a column that holds one of ``levels``."""
    return Column(name, "category", "baseline", description, levels=levels, source=source)
