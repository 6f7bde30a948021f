"""Which columns of an input a batch run reads, and as what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from features.columns import CASES_BY_NAME
from features.contract import Violation, check_cases
from pipeline.errors import TableError
from pipeline.io import describe

NUMBERS = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_boolean,
    pa.types.is_null,
)
STRINGS = (pa.types.is_string, pa.types.is_large_string)


def wanted_columns(names: Sequence[str], path: Path) -> list[str]:
    """Return the columns that the contract knows, in their order in the file.

    Raises
    ------
    TableError
        If a required column is missing or a known one is there twice: no row could be scored.
    """
    known = [n for n in names if n in CASES_BY_NAME]
    # Of a hundred thousand names only those that the contract knows are checked, unless it fails.
    if _fatal(known):
        raise TableError(describe(_fatal(names), path))
    return known


def _fatal(names: Sequence[str]) -> list[Violation]:
    checked = check_cases(pd.DataFrame(columns=list(names), dtype="object"), unique=False)
    found = checked.table_violations()
    return [v for v in found if v.code in ("missing_column", "repeated_column")]


def check_types(schema: pa.Schema, names: Sequence[str], path: Path) -> None:
    """Refuse columns that can hold neither a number nor a text.

    Raises
    ------
    TableError
    """
    for name in names:
        kind = schema.field(name).type
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        textual = CASES_BY_NAME[name].kind in ("text", "category")
        if any(is_kind(plain) for is_kind in (*NUMBERS, *STRINGS)):
            continue
        if textual and pa.types.is_temporal(plain):
            continue
        expected = "texts" if textual else "numbers"
        raise TableError(f"{path}, column '{name}': expected {expected}, found {plain}.")


def to_frame(batch: pa.RecordBatch) -> pd.DataFrame:
    """Return a batch as pandas has it; what the contract calls a text is text.

    A whole number with missing values would pass through floats, which know no number above
    2^53 exactly and depend on where a batch ends.
    """
    columns: dict[str, object] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kind = column.type
        textual = CASES_BY_NAME[name].kind in ("text", "category")
        if textual and (pa.types.is_integer(kind) or pa.types.is_temporal(kind)):
            column = column.cast(pa.string())
        columns[name] = column.to_pandas()
    return pd.DataFrame(columns, index=range(batch.num_rows), copy=False)
