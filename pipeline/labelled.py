"""Read a study's own file together with the words for its codes: SPSS labels, REDCap choices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyreadstat

from pipeline import redcap
from pipeline.errors import TableError
from pipeline.io import read_table
from pipeline.paths import check_file
from pipeline.study_map import SourceFile

DECIMAL_COMMA = re.compile(r"^\s*([+-]?\d*),(\d+)\s*$")


@dataclass(frozen=True)
class LabelledTable:
    """A file: codes as stored, their labels, and what the file itself declares missing.

    ``labels`` maps column and code (text) to the label. ``declared_missing`` maps a column to
    the positions of the rows whose code the file calls missing; they are NaN in ``table``.
    """

    table: pd.DataFrame
    labels: Mapping[str, Mapping[str, str]]
    declared_missing: Mapping[str, tuple[int, ...]]


def read_source(path: Path, file: SourceFile) -> LabelledTable:
    """Read a study's file with the labels of its codes, where it or its dictionary has any."""
    if path.suffix.lower() == ".sav":
        return read_spss_file(path)
    table = read_table(path, file.delimiter, allow_repeated=file.number_repeated)
    table.columns = _number_repeated([str(c) for c in table.columns])
    if file.decimal_comma:
        table = table.apply(_with_points)
    if file.dictionary is None:
        return LabelledTable(table, {}, {})
    dictionary = path.parent / file.dictionary
    return LabelledTable(table, redcap.read_labels(read_table(dictionary), str(dictionary)), {})


def _number_repeated(names: list[str]) -> pd.Index:
    """Give the second column of a name the name "<name>.2", and so on."""
    numbered = [
        name if name not in names[:i] else f"{name}.{names[:i].count(name) + 1}"
        for i, name in enumerate(names)
    ]
    return pd.Index(numbered)


def _with_points(series: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(series):
        return series
    return series.astype("str").str.replace(DECIMAL_COMMA, r"\1.\2", regex=True)


def read_spss_file(path: Path) -> LabelledTable:
    """Read a .sav file with its value labels and user-missing values.

    Raises
    ------
    TableError
        Where the file is missing or no SPSS file.
    """
    check_file(path)
    try:
        table, meta = pyreadstat.read_sav(path, user_missing=True)
    except (OSError, ValueError, pyreadstat.ReadstatError) as error:
        raise TableError(f"{path}: could not be read as .sav ({str(error)[:120]}).") from None
    declared = {}
    for column, ranges in meta.missing_ranges.items():
        mask = _is_declared_missing(table[column], ranges)
        table[column] = table[column].mask(mask)
        declared[column] = tuple(int(i) for i in np.flatnonzero(mask))
    labels = {
        column: {_code(code): str(label).strip() for code, label in words.items()}
        for column, words in meta.variable_value_labels.items()
    }
    return LabelledTable(table, labels, declared)


def _is_declared_missing(series: pd.Series, ranges: Iterable[Any]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(len(series), dtype=bool)
    for bounds in ranges:
        if pd.api.types.is_numeric_dtype(series):
            mask |= ((series >= bounds["lo"]) & (series <= bounds["hi"])).to_numpy(dtype=bool)
        else:
            mask |= (series == bounds["lo"]).to_numpy(dtype=bool)
    return mask


def _code(code: object) -> str:
    """Text of a code; a whole number keeps no '.0'."""
    return str(int(code)) if isinstance(code, float) and code.is_integer() else str(code).strip()
