"""One line per rejected row: what is wrong with it, in words and codes, never its values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns import CASES_BY_NAME, KEYS
from features.contract import Violation
from pipeline.io import RaggedRow
from pipeline.key_texts import shown_key

REJECT_COLUMNS = ("row", *KEYS, "column", "code", "reason", "value_class")
NO_EXERCISE = "no_exercise"
RAGGED_ROW = "ragged_row"
SEPARATOR = "; "
_NONE = pd.DataFrame(columns=list(REJECT_COLUMNS), dtype="object")
# What a value is, by the code of what is wrong with it.
VALUE_CLASSES = {
    "not_a_number": "text where a number is expected",
    "not_an_integer": "decimals where a whole number is expected",
    "unknown_level": "unknown word",
    "missing_value": "missing",
    "missing_metric": "number without its metric",
    "total_disagrees": "score that its items contradict",
    "unprintable_key": "control or invisible characters",
    "oversized_key": "too long a text",
    NO_EXERCISE: "rest",
}


def list_rejects(
    cases: pd.DataFrame, position: npt.NDArray[np.int64], violations: Sequence[Violation]
) -> pd.DataFrame:
    """List the rows that violations name; several of one row are joined by '; '.

    Parameters
    ----------
    cases : DataFrame of shape (n_rows, any)
        As read, before any check.
    position : ndarray of shape (n_rows,)
        Each row's place in its source.
    violations : sequence of Violation
        Their rows count from the first of ``cases``.
    """
    if not violations:
        return _NONE.copy()
    by_row: dict[int, list[tuple[Violation, str]]] = {}
    for violation in violations:
        for row, kind in zip(violation.rows, _value_classes(cases, violation), strict=True):
            by_row.setdefault(row, []).append((violation, kind))
    rows = sorted(by_row)
    columns: dict[str, object] = {"row": position[rows]}
    for key in KEYS:
        columns[key] = [shown_key(v) for v in cases[key].iloc[rows]]
    found = [by_row[r] for r in rows]
    columns["column"] = [SEPARATOR.join(v.column for v, _ in f) for f in found]
    columns["code"] = [SEPARATOR.join(v.code for v, _ in f) for f in found]
    columns["reason"] = [
        SEPARATOR.join(f"{v.column}: expected {v.expected}" for v, _ in f) for f in found
    ]
    columns["value_class"] = [SEPARATOR.join(kind for _, kind in f) for f in found]
    return pd.DataFrame(columns, columns=list(REJECT_COLUMNS))


def _value_classes(cases: pd.DataFrame, violation: Violation) -> Sequence[str]:
    if violation.code != "out_of_range":
        return [VALUE_CLASSES[violation.code]] * len(violation.rows)
    column = CASES_BY_NAME[violation.column]
    # Blanks of any kind around a number are no part of it: the contract has read it so.
    raw = [
        v.strip() if isinstance(v, str) else v
        for v in cases[violation.column].iloc[list(violation.rows)]
    ]
    values = pd.to_numeric(pd.Series(raw, dtype="object"), errors="coerce").to_numpy(np.float64)
    low = -np.inf if column.low is None else column.low
    high = np.inf if column.high is None else column.high
    below, above = values < low, values > high
    # Within the column's own range, but not what its companion column admits.
    kinds = np.select([below, above], ["below range", "above range"], "out of its metric's range")
    return [str(k) for k in kinds]


def ragged_rejects(rows: Sequence[RaggedRow], n_columns: int) -> pd.DataFrame:
    """Rejects for lines whose cells cannot be assigned to columns."""
    lines = [
        (
            row,
            *(None for _ in KEYS),
            "",
            RAGGED_ROW,
            f"expected {n_columns} cells as in the header, found {n_cells}",
            "too many cells" if n_cells > n_columns else "too few cells",
        )
        for row, n_cells in rows
    ]
    return pd.DataFrame(lines, columns=list(REJECT_COLUMNS))
