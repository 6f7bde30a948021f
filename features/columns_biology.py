"""Columns of the optional biological markers, as declared in seeds/biology.toml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from features.column import Column, flag, number
from features.reference import load_reference


@dataclass(frozen=True)
class Marker:
    """One marker: its columns, and how its feature is made."""

    name: str
    title: str
    suffix: str
    unit: str
    span: tuple[float, float]
    lod: bool
    log: bool
    source: str

    @property
    def column(self) -> str:
        """Column of the value."""
        return f"{self.name}_{self.suffix}"

    @property
    def lod_column(self) -> str:
        """Column of the assay's detection limit."""
        return f"{self.name}_lod_{self.suffix}"

    @property
    def flag_column(self) -> str:
        """Column that says the sample was below the limit."""
        return f"{self.name}_below_lod"


def _marker(name: str, entry: Mapping[str, Any]) -> Marker:
    return Marker(
        name,
        entry["title"],
        entry["suffix"],
        entry["unit"],
        (float(entry["low"]), float(entry["high"])),
        entry["lod"],
        entry["log"],
        f"{entry['source']}; range {entry['status']}",
    )


MARKERS: tuple[Marker, ...] = tuple(
    _marker(name, entry) for name, entry in load_reference("biology.toml")["markers"].items()
)


def _columns() -> Iterator[Column]:
    for m in MARKERS:
        yield number(m.column, m.unit, m.span, m.title, source=m.source)
        if m.lod:
            text = f"{m.title}: detection limit of the assay"
            yield number(m.lod_column, m.unit, m.span, text, source=m.source)
            yield flag(m.flag_column, f"{m.title}: the sample was below the detection limit")


BIOLOGY_COLUMNS: tuple[Column, ...] = tuple(_columns())
