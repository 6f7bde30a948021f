"""A table of a study's own file: its columns as text, number or code, and one line per fault.

Errors name the file, the column and the rows, never a participant's value.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
import pandas as pd

from features.columns import MISSING_WORDS
from features.contract import Violation
from pipeline.errors import TableError
from pipeline.map_keys import Scalar, alike, plain
from pipeline.study_map import ColumnMap

Labels = Mapping[str, Mapping[str, str]]  # column -> code (see alike) -> label
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
# Tenths and thirds are not exact in binary; without rounding, the end of a converted scale can
# fall outside its range by 1e-15.
DECIMALS = 9
TICKED = ("1", "Checked", "checked", "true", "True", "yes", "Yes")


@dataclass(frozen=True)
class SourceTable:
    """Rows of a file; the index is the position in the file, ``where`` its name in errors.

    ``labels`` are the words for coded values, where the file or its dictionary gives any.
    """

    where: str
    table: pd.DataFrame
    labels: Labels = field(default_factory=dict)

    def of(self, table: pd.DataFrame) -> SourceTable:
        """Return the same source with another table."""
        return replace(self, table=table)

    def rows(self, where: Mapping[str, Sequence[str]]) -> SourceTable:
        """Return the source with only the rows that meet every condition."""
        return self.of(self.table[self.matches(where)])

    def column(self, name: str) -> pd.Series:
        """Return a column, or raise TableError."""
        if name not in self.table.columns:
            raise TableError(
                f"{self.where}: expected the column '{name}' that the study map names, found "
                f"{self.table.shape[1]} others. {self._advice(name)}"
            )
        return self.table[name]

    def _advice(self, name: str) -> str:
        columns = [str(c) for c in self.table.columns]
        for mark, word in SEPARATORS.items():
            if len(columns) == 1 and mark in columns[0]:
                return f"The header looks separated by {word}: say so in 'delimiter' of the file."
        near = difflib.get_close_matches(name, columns, n=1, cutoff=0.8)
        renamed = f" Is it '{near[0]}' now?" if near else ""
        return f"Check the map and the version of the file.{renamed}"

    def labelled(self, name: str) -> pd.Series:
        """Label of every value of a column, NaN where it has none."""
        return comparable(self.column(name)).map(dict(self.labels.get(name, {})))

    def matches(self, where: Mapping[str, Sequence[str]]) -> pd.Series:
        """Boolean mask of the rows that meet every condition (column: accepted values).

        A value is accepted by its code or by its label.
        """
        mask = pd.Series(True, index=self.table.index)
        for name, accepted in where.items():
            fits = comparable(self.column(name)).isin(accepted)
            mask &= fits | comparable(self.labelled(name)).isin(accepted)
        return mask

    def refuse(
        self, column: str, expected: str, rows: pd.Series, found: str, advice: str = ""
    ) -> NoReturn:
        """Raise TableError about the rows marked True."""
        positions = tuple(int(i) for i in rows.index[rows])
        found = f"{len(positions)} {found}"
        violation = Violation(column, "study_map", positions, expected, found, advice)
        raise TableError(violation.message(self.where))


# ---- values ----------------------------------------------------------------------------------


def texts(series: pd.Series) -> pd.Series:
    """Text of every value (object), NaN where missing."""

    def text(value: object) -> object:
        found = plain(value)
        return np.nan if found.lower() in MISSING_WORDS else found

    return series.astype("object").map(text, na_action="ignore").astype("object")


def comparable(series: pd.Series) -> pd.Series:
    """Text in which equal numbers look equal, NaN where missing."""
    return texts(series).map(alike, na_action="ignore").astype("object")


def numbers(source: SourceTable, name: str, series: pd.Series) -> pd.Series:
    """Return numbers (float64), or raise TableError where a value is none."""
    if pd.api.types.is_numeric_dtype(series):
        return series.astype("float64")
    found = texts(series)
    values = pd.to_numeric(found, errors="coerce").astype("float64")
    unread = values.isna() & found.notna()
    if unread.any():
        source.refuse(name, "numbers", unread, "that are not numbers")
    return values


def map_column(source: SourceTable, mapping: ColumnMap) -> pd.Series:
    """Apply a column map: join, read boxes, replace codes, convert linearly."""
    name = "-".join(mapping.sources or mapping.checked)
    series = _read_boxes(source, mapping) if mapping.checked else _read_columns(source, mapping)
    if mapping.labels:
        series = _take_labels(source, name, series)
    if mapping.values is not None:
        series = _replace_values(source, name, series, mapping.values)
    if mapping.scale is not None or mapping.offset is not None:
        scale = 1.0 if mapping.scale is None else mapping.scale
        values = scale * numbers(source, name, series) + (mapping.offset or 0.0)
        series = values.round(DECIMALS)
    return series


def _read_columns(source: SourceTable, mapping: ColumnMap) -> pd.Series:
    parts = [source.column(s) for s in mapping.sources]
    series = parts[0] if len(parts) == 1 else _join_texts(parts)
    return series if pd.api.types.is_numeric_dtype(series) else texts(series)


def _read_boxes(source: SourceTable, mapping: ColumnMap) -> pd.Series:
    """Return the value of the box that is ticked (1); missing where none is."""
    ticked = pd.DataFrame(
        {box: comparable(source.column(box)).isin(TICKED) for box in mapping.checked}
    )
    found: list[Scalar | float | None] = [np.nan] * len(ticked)
    for box, value in mapping.checked.items():
        found = [value if t else f for t, f in zip(ticked[box], found, strict=True)]
    many = ticked.sum(axis=1) > 1
    if many.any() and mapping.several is None:
        source.refuse(
            ", ".join(mapping.checked),
            "one box ticked",
            many,
            "with more than one",
            "Give 'several' in the study map.",
        )
    found = [mapping.several if m else f for m, f in zip(many, found, strict=True)]
    return pd.Series(found, index=source.table.index, dtype="object")


def _take_labels(source: SourceTable, name: str, series: pd.Series) -> pd.Series:
    labels = source.labels.get(name, {})
    found = comparable(series)
    bare = found.notna() & ~found.isin(list(labels))
    if bare.any():
        source.refuse(
            name,
            "codes that have a label",
            bare,
            "without one",
            "Label the code in the file or its dictionary, or use 'values' in the study map.",
        )
    return found.map(dict(labels))


def _join_texts(parts: Sequence[pd.Series]) -> pd.Series:
    joined = texts(parts[0])
    for part in parts[1:]:
        joined = joined + "-" + texts(part)
    return joined


def _replace_values(
    source: SourceTable, name: str, series: pd.Series, values: Mapping[str, Scalar]
) -> pd.Series:
    """Replace codes, or where a code is not listed, its label."""
    codes = comparable(series)
    labels = comparable(codes.map(dict(source.labels.get(name, {}))))
    found = codes.where(codes.isin(list(values)), labels.fillna(codes))
    unknown = found.notna() & ~found.isin(list(values))
    if unknown.any():
        source.refuse(
            name,
            f"one of {', '.join(values)}",
            unknown,
            "with another value",
            "Add it to 'values' in the study map.",
        )
    return found.map(dict(values))


def number_groups(table: pd.DataFrame) -> pd.Series:
    """Return a number per row, equal where all columns are alike (missing is a value too)."""
    keys = table.apply(comparable)
    return keys.groupby(list(keys.columns), dropna=False, sort=False).ngroup()


def require_constant(
    source: SourceTable, name: str, series: pd.Series, groups: pd.Series, keys: Sequence[str]
) -> None:
    values = comparable(series).fillna("")
    wrong = values != values.groupby(groups).transform("first")
    if wrong.any():
        source.refuse(
            name,
            f"one value per {', '.join(keys)}",
            wrong,
            "that differ from the first",
            "Check which columns tell the rows apart.",
        )
