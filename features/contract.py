"""The contract between a study and the pipeline: check a table once, at the border.

``cases`` holds one row per participant and bout, and only what is known before the bout;
``measurements`` holds one row per trial. ``check_cases`` and ``check_measurements`` never stop
at the first fault: they return every violation with its rows. Inside the pipeline columns are
trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns import (
    CASES,
    CASES_BY_NAME,
    KEYS,
    MEASUREMENT_KEYS,
    MEASUREMENTS,
    MEASUREMENTS_BY_NAME,
    MISSING_WORDS,
    TIMEPOINT_PATTERN,
    Column,
)
from features.reference import load_reference
from features.units import MEASURES, Measure, likely_unit

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Violation:
    """One way in which a table breaks the contract.

    ``rows`` are 0-based positions in the table checked; empty means the table as a whole.
    The text never holds a participant's value.
    """

    column: str
    code: str
    rows: tuple[int, ...]
    expected: str
    found: str
    cause: str = ""

    def message(self, where: str) -> str:
        """One line: where, expected, found (with the first rows), what to do."""
        place = f"{where}, column '{self.column}'" if self.column else where
        rows = f" ({_first_rows(self.rows)})" if self.rows else ""
        advice = f" {self.cause}" if self.cause else ""
        return f"{place}: expected {self.expected}, found {self.found}{rows}.{advice}"


@dataclass(frozen=True)
class Checked:
    """A table after its check: typed columns, and everything wrong with it."""

    table: pd.DataFrame
    violations: tuple[Violation, ...]

    def bad_rows(self) -> Mask:
        """Boolean mask of shape (n_rows,): the rows named by any violation."""
        mask = np.zeros(len(self.table), dtype=bool)
        for violation in self.violations:
            mask[list(violation.rows)] = True
        return mask

    def table_violations(self) -> tuple[Violation, ...]:
        """Return the violations that concern the table, not single rows."""
        return tuple(v for v in self.violations if not v.rows)


def _first_rows(rows: Sequence[int], limit: int = 5) -> str:
    shown = ", ".join(str(r) for r in rows[:limit])
    more = f" and {len(rows) - limit} more" if len(rows) > limit else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {shown}{more}"


def check_cases(table: pd.DataFrame, *, unique: bool = True) -> Checked:
    """Type the columns of ``cases`` and list everything that breaks the contract.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, any)
        Text or typed columns, any index: rows are named by position. Columns the contract does
        not know are kept untouched.
    unique : bool, default=True
        Whether two rows may share their keys. Prediction sets it to False: a prediction
        depends on its own row alone.

    Returns
    -------
    Checked
        ``table`` has numbers as float64 (NaN = missing), texts and categories as ``str`` with
        NaN for missing. A value that breaks the contract is NaN there and named in
        ``violations``.

    Examples
    --------
    >>> bad = pd.DataFrame({"study_id": ["s"], "participant_id": ["1"], "session_id": ["a"],
    ...                     "condition": ["healthy"], "modality": ["aerobic"], "pcs_1": ["7"]})
    >>> print(check_cases(bad).violations[0].message("cases.csv"))
    cases.csv, column 'pcs_1': expected whole numbers in 0 to 4, found 1 outside (row 0).
    """
    checked, violations = _check_columns(table.reset_index(drop=True), CASES)
    violations += _known_too_late(checked)
    violations += _intensity_violations(checked)
    if unique:
        violations += _duplicate_keys(checked, KEYS)
    return Checked(checked, tuple(violations))


def check_measurements(table: pd.DataFrame) -> Checked:
    """Type ``measurements``, convert every value to its measure's canonical unit, list faults.

    Returns
    -------
    Checked
        ``value`` and ``unit`` are canonical (:data:`features.units.MEASURES`); a value that is
        implausible in its declared unit is NaN and named, with the unit it more likely has.
    """
    checked, violations = _check_columns(table.reset_index(drop=True), MEASUREMENTS)
    if any(v.code == "missing_column" for v in violations):
        return Checked(checked, tuple(violations))
    violations += _timepoint_violations(checked)
    violations += _convert_units(checked)
    violations += _duplicate_keys(checked, MEASUREMENT_KEYS)
    return Checked(checked, tuple(violations))


def _check_columns(
    table: pd.DataFrame, columns: Sequence[Column]
) -> tuple[pd.DataFrame, list[Violation]]:
    violations: list[Violation] = []
    typed: dict[str, pd.Series] = {}
    if len(table) == 0:
        violations.append(Violation("", "empty_table", (), "at least one row", "none"))
    for column in columns:
        if column.name not in table.columns:
            if column.required:
                violations.append(_missing_column(column, table))
            continue
        typed[column.name] = _check_column(table[column.name], column, violations)
    return table.assign(**typed), violations


def _missing_column(column: Column, table: pd.DataFrame) -> Violation:
    return Violation(
        column.name,
        "missing_column",
        (),
        "this column",
        f"{table.shape[1]} other columns",
        _delimiter_hint([str(c) for c in table.columns]),
    )


def _delimiter_hint(names: Sequence[str]) -> str:
    if len(names) == 1:
        for mark, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars"), (",", "commas")):
            if mark in names[0]:
                return f"The header looks separated by {word}: save it as .csv (commas) or .tsv."
    return ""


def _check_column(series: pd.Series, column: Column, violations: list[Violation]) -> pd.Series:
    if column.kind in ("number", "integer"):
        values = _check_number(series, column, violations)
    else:
        values = _check_text(series, column, violations)
    missing = _is_missing(series)
    if column.required and missing.any():
        violations.append(
            _rows_violation(column, "missing_value", missing, "a value in every row", "missing")
        )
    return values


def _is_missing(series: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(series):
        return series.isna()
    return series.isna() | series.astype(str).str.strip().str.lower().isin(MISSING_WORDS)


def _rows_violation(
    column: Column,
    code: str,
    mask: pd.Series | Mask,
    expected: str,
    word: str,
    cause: str = "",
) -> Violation:
    rows = tuple(int(r) for r in np.flatnonzero(np.asarray(mask)))
    return Violation(column.name, code, rows, expected, f"{len(rows)} {word}", cause)


def _check_number(series: pd.Series, column: Column, violations: list[Violation]) -> pd.Series:
    if pd.api.types.is_numeric_dtype(series):
        values = series.astype("float64")
    else:
        values = pd.to_numeric(series, errors="coerce").astype("float64")
        unread = (values.isna() & ~_is_missing(series)).to_numpy()
        if unread.any():
            violations.append(
                _rows_violation(
                    column,
                    "not_a_number",
                    unread,
                    column.expected(),
                    "that are not numbers",
                    _decimal_comma_hint(series[unread]),
                )
            )
    array = values.to_numpy(copy=True)
    low = -np.inf if column.low is None else column.low
    high = np.inf if column.high is None else column.high
    outside = (array < low) | (array > high) | np.isinf(array)
    if outside.any():
        violations.append(
            _rows_violation(column, "out_of_range", outside, column.expected(), "outside")
        )
    broken = np.zeros(len(array), dtype=bool)
    if column.kind == "integer":
        with np.errstate(invalid="ignore"):
            broken = ~outside & np.isfinite(array) & (array != np.round(array))
        if broken.any():
            violations.append(
                _rows_violation(
                    column, "not_an_integer", broken, column.expected(), "with decimals"
                )
            )
    array[outside | broken] = np.nan
    return pd.Series(array, index=values.index, name=column.name)


def _decimal_comma_hint(texts: pd.Series) -> str:
    if texts.astype(str).str.fullmatch(r"\s*-?\d+,\d+\s*").any():
        return "Decimal commas: write decimal points."
    return ""


def _check_text(series: pd.Series, column: Column, violations: list[Violation]) -> pd.Series:
    missing = _is_missing(series).to_numpy()
    texts = _as_text(series).to_numpy(copy=True)
    texts[missing] = np.nan
    if column.levels:
        unknown = ~missing & ~pd.Series(texts).isin(column.levels).to_numpy()
        if unknown.any():
            violations.append(
                _rows_violation(
                    column, "unknown_level", unknown, column.expected(), "with another word"
                )
            )
            texts[unknown] = np.nan
    return pd.Series(texts, index=series.index, name=column.name, dtype="object")


def _as_text(series: pd.Series) -> pd.Series:
    """Text of every value; whole numbers read as floats keep no '.0' (ids come so from files)."""
    if pd.api.types.is_float_dtype(series):
        whole = series.map(lambda v: str(int(v)) if np.isfinite(v) and v == int(v) else str(v))
        return whole.astype("object")
    return series.astype(str).str.strip().astype("object")


def _known_too_late(table: pd.DataFrame) -> list[Violation]:
    late = [c for c in CASES if c.known_at in ("during", "after") and c.name in table.columns]
    return [
        Violation(
            c.name,
            "known_too_late",
            (),
            "only what is known before the bout",
            f"a column known {c.known_at} it",
            "Move it to measurements, or drop it.",
        )
        for c in late
    ]


def _intensity_violations(table: pd.DataFrame) -> list[Violation]:
    if not {"intensity_metric", "intensity_value"} <= set(table.columns):
        return []
    metrics = load_reference("exercise_intensity.toml")["metrics"]
    values = table["intensity_value"].to_numpy(dtype=float)
    outside = np.zeros(len(table), dtype=bool)
    for name, metric in metrics.items():
        low, high = metric["value"][0], metric["limit"]
        of_metric = (table["intensity_metric"] == name).to_numpy()
        outside |= of_metric & ((values < low) | (values > high))
    unnamed = np.isfinite(values) & table["intensity_metric"].isna().to_numpy()
    found = []
    column = CASES_BY_NAME["intensity_value"]
    if outside.any():
        found.append(
            _rows_violation(
                column, "out_of_range", outside, "values its intensity_metric can take", "outside"
            )
        )
    if unnamed.any():
        found.append(
            _rows_violation(column, "missing_metric", unnamed, "an intensity_metric", "without one")
        )
    return found


def _duplicate_keys(table: pd.DataFrame, keys: Sequence[str]) -> list[Violation]:
    present = [k for k in keys if k in table.columns]
    if not set(KEYS) <= set(present):
        return []
    duplicated = table.duplicated(subset=present, keep="first").to_numpy()
    duplicated = duplicated & table[list(KEYS)].notna().all(axis=1).to_numpy()
    if not duplicated.any():
        return []
    rows = tuple(int(r) for r in np.flatnonzero(duplicated))
    return [
        Violation(
            ", ".join(present),
            "duplicate_key",
            rows,
            "keys that occur once",
            f"{len(rows)} rows that repeat an earlier row's keys",
        )
    ]


def _timepoint_violations(table: pd.DataFrame) -> list[Violation]:
    column = MEASUREMENTS_BY_NAME["timepoint"]
    names = table["timepoint"]
    allowed = {n for n in names.dropna().unique() if TIMEPOINT_PATTERN.fullmatch(n)}
    bad = names.notna() & ~names.isin(allowed)
    if not bad.any():
        return []
    table.loc[bad, "timepoint"] = np.nan
    expected = "pre, during, post, post_<n>min|h|d or week_<n>"
    return [_rows_violation(column, "unknown_level", bad, expected, "with another word")]


def _convert_units(table: pd.DataFrame) -> list[Violation]:
    """Convert ``value`` and ``unit`` in place; return what could not be, or is implausible."""
    violations: list[Violation] = []
    value = table["value"].to_numpy(dtype=float, copy=True)
    unit = table["unit"].to_numpy(dtype=object, copy=True)
    pairs = table[["measure", "unit"]].dropna().drop_duplicates().sort_values(["measure", "unit"])
    for name, declared in pairs.itertuples(index=False):
        rows = np.flatnonzero((table["measure"] == name) & (table["unit"] == declared))
        measure = MEASURES[name]
        conversion = measure.conversion(declared)
        if conversion is None:
            violations.append(_unknown_unit(measure, declared, rows))
            value[rows] = np.nan
            continue
        raw = value[rows]
        canonical = conversion[0] * raw + conversion[1]
        outside = (canonical < measure.low) | (canonical > measure.high)
        if outside.any():
            violations.append(_implausible(measure, declared, rows[outside], raw))
        canonical[outside] = np.nan
        value[rows] = canonical
        unit[rows] = measure.unit
    table["value"] = value
    table["unit"] = unit
    return violations


def _unknown_unit(measure: Measure, declared: str, rows: Rows) -> Violation:
    known = ", ".join(dict.fromkeys((measure.unit, *measure.units)))
    return Violation(
        "unit",
        "unknown_unit",
        tuple(int(r) for r in rows),
        f"a unit of {measure.name}: {known}",
        f"{len(rows)} with another one",
    )


def _implausible(
    measure: Measure, declared: str, rows: Rows, raw: npt.NDArray[np.float64]
) -> Violation:
    guess = likely_unit(measure, declared, float(np.nanmedian(raw)))
    cause = f"The values look like {guess}: correct the declared unit." if guess else ""
    return Violation(
        "value",
        "out_of_range",
        tuple(int(r) for r in rows),
        f"{measure.name} declared in {declared} to lie in "
        f"{measure.low:g} to {measure.high:g} {measure.unit}",
        f"{len(rows)} outside",
        cause,
    )
