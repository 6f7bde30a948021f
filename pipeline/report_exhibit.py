"""What a report shows: a figure or table with how to read it, its numbers and their CSV."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.io import write_table

MOST_ROWS = 60
DASH = "–"


@dataclass(frozen=True)
class Exhibit:
    """A figure or a table of the report.

    Attributes
    ----------
    key : str
        Its anchor in the page and the name of its CSV: letters, digits, hyphens.
    title, caption : str
        What it is; how to read it.
    table : DataFrame
        The numbers shown; also written as CSV.
    svg : str
        Drawn by this program; empty for a table or an image.
    image : str
        A data URI of an image that an earlier stage drew.
    """

    key: str
    title: str
    caption: str
    table: pd.DataFrame
    svg: str = ""
    image: str = ""

    @property
    def is_table(self) -> bool:
        """Whether there is nothing but the table to see."""
        return not (self.svg or self.image)

    @property
    def csv_name(self) -> str:
        """Name of the CSV beside the page."""
        return f"{self.key}.csv"

    @property
    def csv_uri(self) -> str:
        """The CSV inside the page."""
        text = self.table.to_csv(index=False, lineterminator="\n")
        return "data:text/csv;charset=utf-8;base64," + base64.b64encode(text.encode()).decode()

    @property
    def columns(self) -> list[str]:
        """Headings, in words."""
        return [str(c).replace("_", " ") for c in self.table.columns]

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers."""
        return [bool(pd.api.types.is_numeric_dtype(t)) for t in self.table.dtypes]

    @property
    def rows(self) -> list[list[str]]:
        """The first rows as text."""
        shown = self.table.head(MOST_ROWS)
        digits = [0 if _whole(shown[c]) else 3 for c in shown.columns]
        return [
            [figure_text(v, d) for v, d in zip(row, digits, strict=True)]
            for row in shown.itertuples(index=False)
        ]

    @property
    def n_hidden(self) -> int:
        """Rows that only the CSV holds."""
        return max(0, len(self.table) - MOST_ROWS)


def _whole(column: pd.Series) -> bool:
    """Whether a column of decimal numbers holds counts, some of them unknown."""
    if not pd.api.types.is_float_dtype(column.dtype):
        return False
    known = column.dropna()
    return bool(len(known)) and bool((known == known.round()).all()) and bool(column.isna().any())


def figure_text(value: Any, digits: int = 3) -> str:
    """Format a value for the page; a dash where it could not be computed.

    Examples
    --------
    >>> figure_text(0.5), figure_text(float("nan")), figure_text(12), figure_text(1234.5)
    ('0.500', '–', '12', '1234.5')
    """
    if value is None or value is pd.NA or value != value:
        return DASH
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        number = float(value)
        if abs(number) >= 100:
            return f"{number:.{min(digits, 1)}f}".removesuffix(".0")
        return f"{number:.{digits}f}"
    return str(value)


def interval_text(found: Mapping[str, Any], digits: int = 2) -> str:
    """Return an estimate with its interval; a dash where there is none.

    Examples
    --------
    >>> interval_text({"estimate": 0.7, "lower": 0.6, "upper": 0.8})
    '0.70 (0.60 to 0.80)'
    """
    parts = [figure_text(found.get(k), digits) for k in ("estimate", "lower", "upper")]
    return DASH if parts[0] == DASH else f"{parts[0]} ({parts[1]} to {parts[2]})"


def image_uri(path: Path) -> str:
    """Return a PNG as a data URI, empty where there is none."""
    if not path.exists():
        return ""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def read_plain(path: Path) -> pd.DataFrame:
    """Read a CSV that a stage of this program wrote; empty where there is none."""
    if not path.exists() or path.stat().st_size < 2:
        return pd.DataFrame()
    return pd.read_csv(path)


def write_csvs(exhibits: Sequence[Exhibit], output: Path) -> None:
    """Write every exhibit's table beside the page."""
    for exhibit in exhibits:
        write_table(exhibit.table, output / exhibit.csv_name)


def key_of(*parts: str) -> str:
    """Join names to an anchor: whatever is no letter or digit becomes a hyphen.

    Examples
    --------
    >>> key_of("ladder", "flare <b>")
    'ladder-flare--b-'
    """
    joined = "-".join(parts)
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in joined)
