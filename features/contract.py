"""The contract between a study and the pipeline: check a table once, at the border.

``cases`` holds one row per participant and bout, and only what is known before the bout;
``measurements`` holds one row per trial. ``check_cases`` and ``check_measurements`` never stop
at the first fault: they return every violation with its rows. Inside the pipeline columns are
trusted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import (
    CASES,
    CASES_BY_NAME,
    HEART_RATE,
    KEYS,
    MEASUREMENT_KEYS,
    MEASUREMENTS,
    MEASUREMENTS_BY_NAME,
    MISSING_WORDS,
    TIMEPOINT_PATTERN,
    Column,
)
from features.questionnaires import disagreements
from features.reference import load_reference
from features.units import MEASURES, Measure, convert, likely_unit
from features.violations import Checked, Mask, Violation

__all__ = ["Checked", "Violation", "check_cases", "check_columns", "check_measurements"]

Rows = npt.NDArray[np.intp]
Numbers = npt.NDArray[np.float64]
_LATE_COLUMNS = tuple(c for c in CASES if c.known_at in ("during", "after"))
_DECIMAL_COMMA = re.compile(r"\s*-?\d+,\d+\s*")
_LONGEST_MISSING_WORD = max(len(w) for w in MISSING_WORDS)


def check_cases(table: pd.DataFrame, *, unique: bool = True, categorical: bool = False) -> Checked:
    """Type the columns of ``cases`` and list everything that breaks the contract.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, any)
        Text or typed columns, any index: rows are named by position. Columns the contract does
        not know are kept untouched.
    unique : bool, default=True
        Whether two rows may share their keys. Prediction sets it to False: a prediction
        depends on its own row alone.
    categorical : bool, default=False
        Whether categories come as pandas' own, coded by the levels declared: a million rows
        build features a third faster from codes than from words.

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
    table = table.reset_index(drop=True)
    if categorical:
        # Looked up two hundred times a row: in an Arrow-backed index each takes twice as long.
        table.columns = pd.Index(list(table.columns), dtype="object")
    checked, violations = _check_columns(table, CASES, categorical)
    violations += _known_too_late(checked)
    violations += _intensity_violations(checked, violations)
    violations += disagreeing_totals(checked)
    if unique:
        violations += _duplicate_keys(checked, KEYS, violations)
    return Checked(checked, tuple(violations))


def check_columns(table: pd.DataFrame, columns: Sequence[Column]) -> Checked:
    """Type some columns of a table and list what breaks their part of the contract."""
    checked, violations = _check_columns(table.reset_index(drop=True), columns)
    return Checked(checked, tuple(violations))


def disagreeing_totals(table: pd.DataFrame) -> list[Violation]:
    """Empty in place every delivered score that the items beside it contradict; name the rows."""
    found = []
    for instrument, scale, wrong in disagreements(table):
        column = CASES_BY_NAME[instrument.scale_column(scale.name)]
        table[column.name] = table[column.name].mask(wrong)
        found.append(
            _rows_violation(
                column,
                "total_disagrees",
                wrong,
                f"the score that items {instrument.name}_1 to {instrument.name}_"
                f"{instrument.n_items} give",
                "that differ",
                "Keep items or score; items stored already reversed must be turned back first.",
            )
        )
    return found


def check_measurements(table: pd.DataFrame) -> Checked:
    """Type ``measurements``, convert every value to its measure's canonical unit, list faults.

    Returns
    -------
    Checked
        ``value`` and ``unit`` are canonical (:data:`features.units.MEASURES`); a value that is
        implausible in its declared unit is NaN and named, with the unit it more likely has.
    """
    checked, violations = _check_columns(table.reset_index(drop=True), MEASUREMENTS)
    if "timepoint" in checked.columns:
        violations += _timepoint_violations(checked)
    if {"measure", "unit", "value"} <= set(checked.columns):
        violations += _convert_units(checked)
    violations += _duplicate_keys(checked, MEASUREMENT_KEYS, violations)
    return Checked(checked, tuple(violations))


def _check_columns(
    table: pd.DataFrame, columns: Sequence[Column], categorical: bool = False
) -> tuple[pd.DataFrame, list[Violation]]:
    violations = _repeated_columns(table, columns)
    if violations or not table.columns.is_unique:
        table = table.loc[:, ~table.columns.duplicated()]
    # Taken out and put together all at once: one by one would fragment a wide table.
    given = dict(table.items())
    found: dict[Any, pd.Series | Numbers] = {**given}
    if len(table) == 0:
        violations.append(Violation("", "empty_table", (), "at least one row", "none"))
    for column in columns:
        if column.name in found:
            coded = categorical and bool(column.levels)
            check = _check_category if coded else _check_column
            found[column.name] = check(given[column.name], column, violations)
        elif column.required:
            violations.append(_missing_column(column, table))
    checked = pd.DataFrame(found, index=table.index, copy=False)
    checked.columns = table.columns
    return checked, violations


def _repeated_columns(table: pd.DataFrame, columns: Sequence[Column]) -> list[Violation]:
    if table.columns.is_unique:
        return []
    known = {c.name for c in columns}
    counts = table.columns.value_counts()
    return [
        Violation(str(n), "repeated_column", (), "this column once", f"it {count} times")
        for n, count in counts.items()
        if count > 1 and n in known
    ]


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


def _check_column(
    series: pd.Series, column: Column, violations: list[Violation]
) -> pd.Series | Numbers:
    if column.kind in ("number", "integer"):
        values = _check_number(series, column, violations)
        if column.required and not column.nullable:
            _require_values(_is_missing(series, column), column, violations)
        return values
    return _check_text(series, column, violations)


def _require_values(missing: Mask, column: Column, violations: list[Violation]) -> None:
    if missing.any():
        violations.append(
            _rows_violation(column, "missing_value", missing, "a value in every row", "missing")
        )


def _is_missing(series: pd.Series, column: Column) -> Mask:
    """Mask of the rows without a value: empty, or a word that says so."""
    if pd.api.types.is_numeric_dtype(series):
        return series.isna().to_numpy()
    codes, texts = _distinct(series)
    words = _missing_words(column)
    return np.array([*(_says_missing(t, words) for t in texts), True], dtype=bool)[codes]


def _says_missing(text: str, words: frozenset[str]) -> bool:
    return len(text) <= _LONGEST_MISSING_WORD and text.lower() in words


def _missing_words(column: Column) -> frozenset[str]:
    # A word that is a level of the column ('none' of drug) is a value there.
    return MISSING_WORDS - set(column.levels)


def _distinct(series: pd.Series) -> tuple[Rows, list[str]]:
    """Code of each row and the stripped text of each code; -1 (the last place) = no value.

    Words repeat: whatever is done to a text is done once for each distinct one.
    """
    if series.dtype == object and pd.api.types.infer_dtype(series, skipna=True) != "string":
        # 1, 1.0 and True are equal as values and differ as texts.
        series = series.map(_text, na_action="ignore").astype("object")
    codes, uniques = pd.factorize(series, use_na_sentinel=True)
    # Element by element, an Arrow-backed index is twenty times slower than an array.
    values = np.asarray(uniques, dtype="object")
    return codes, [v.strip() if isinstance(v, str) else _text(v) for v in values]


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


def _check_number(series: pd.Series, column: Column, violations: list[Violation]) -> Numbers:
    if pd.api.types.is_numeric_dtype(series):
        array = _as_floats(series)
    else:
        array = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, copy=True)
        unread = np.isnan(array)
        unread[unread] = ~_is_missing(series[unread], column)
        if unread.any():
            # Around a number as around a word, a no-break space (spreadsheets) is a blank.
            array[unread] = _stripped_numbers(series[unread])
            unread &= np.isnan(array)
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
    return array


def _as_floats(series: pd.Series) -> Numbers:
    if isinstance(series.dtype, np.dtype):  # says NaN for missing already
        return series.to_numpy().astype(np.float64)
    return series.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)


def _stripped_numbers(texts: pd.Series) -> Numbers:
    stripped = [v.strip() if isinstance(v, str) else v for v in texts]
    found = pd.to_numeric(pd.Series(stripped, dtype="object"), errors="coerce")
    return found.to_numpy(dtype=np.float64)


def _decimal_comma_hint(texts: pd.Series) -> str:
    # One by one: a text with a lone surrogate (JSON can escape one) is no text to Arrow.
    if any(_DECIMAL_COMMA.fullmatch(str(t)) for t in texts):
        return "Decimal commas: write decimal points."
    return ""


def _check_text(series: pd.Series, column: Column, violations: list[Violation]) -> pd.Series:
    words = _missing_words(column)
    plain = None if column.levels else _plain_texts(series, words)
    if plain is not None:
        stripped, gaps = plain
        if gaps and column.required and not column.nullable:
            _require_values(stripped.isna().to_numpy(), column, violations)
        return stripped
    codes, values, strange = _judge_texts(series, column, violations)
    found = np.array(values, dtype="object")
    found[strange] = np.nan
    return pd.Series(found[codes], index=series.index, name=column.name, dtype="object")


def _check_category(series: pd.Series, column: Column, violations: list[Violation]) -> pd.Series:
    codes, values, _ = _judge_texts(series, column, violations)
    place = {level: i for i, level in enumerate(column.levels)}
    levels = np.array([place.get(v, -1) for v in values])[codes]
    coded = pd.Categorical.from_codes(levels, dtype=_categories(column.levels), validate=False)
    return pd.Series(coded, index=series.index, name=column.name)


@cache
def _categories(levels: tuple[str, ...]) -> pd.CategoricalDtype:
    return pd.CategoricalDtype(list(levels))


def _judge_texts(
    series: pd.Series, column: Column, violations: list[Violation]
) -> tuple[Rows, list[Any], Mask]:
    """Code of each row, the value of each code, and which of these are no level.

    The last place, that of code -1, is of rows without a value.
    """
    codes, texts = _distinct(series)
    words = _missing_words(column)
    values = [np.nan if _says_missing(t, words) else t for t in texts] + [np.nan]
    accepted = {np.nan, *(column.levels or values)}
    strange = np.array([v not in accepted for v in values])
    if strange.any():
        violations.append(
            _rows_violation(
                column, "unknown_level", strange[codes], column.expected(), "with another word"
            )
        )
    if column.required and not column.nullable:
        _require_values(np.array([v is np.nan for v in values])[codes], column, violations)
    return codes, values, strange


def _plain_texts(series: pd.Series, words: frozenset[str]) -> tuple[pd.Series, bool] | None:
    """Strip texts of ASCII that Arrow holds, all at once, and say whether any is missing.

    None for other texts.

    Ids hardly repeat, and one by one they would take longer than everything else.
    """
    if not (isinstance(series.dtype, pd.StringDtype) and series.dtype.storage == "pyarrow"):
        return None
    array = pa.chunked_array(pa.array(series))
    if not pc.all(pc.string_is_ascii(array), min_count=0).as_py():
        return None
    stripped = pc.utf8_trim_whitespace(array)
    missing = pc.is_in(pc.ascii_lower(stripped), _words(words, array.type))
    found = pc.if_else(missing, pa.scalar(None, array.type), stripped)
    texts = pd.Series(pd.array(found, dtype=series.dtype), index=series.index, name=series.name)
    return texts, bool(found.null_count)


@cache
def _words(words: frozenset[str], kind: pa.DataType) -> pa.Array:
    return pa.array(sorted(words), kind)


def _text(value: object) -> str:
    """Text of a value; whole numbers read as floats keep no '.0' (ids come so from files)."""
    whole = isinstance(value, float) and np.isfinite(value) and value == int(value)
    return str(int(value)) if whole else str(value)  # type: ignore[call-overload]


def _known_too_late(table: pd.DataFrame) -> list[Violation]:
    late = [c for c in _LATE_COLUMNS if c.name in table.columns]
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


def _intensity_violations(table: pd.DataFrame, earlier: Sequence[Violation]) -> list[Violation]:
    """Empty in place every intensity that its metric cannot take, or that has no metric."""
    if "intensity_value" not in table.columns:
        return []
    values = table["intensity_value"].to_numpy(dtype=float, copy=True)
    metric_of = table.get("intensity_metric", pd.Series(np.nan, index=table.index, dtype="object"))
    limits = _intensity_limits()
    if isinstance(metric_of.dtype, pd.CategoricalDtype):
        numbers, metrics = metric_of.cat.codes.to_numpy(), metric_of.cat.categories
    else:
        numbers, metrics = pd.factorize(metric_of)
    place = {metric: i for i, metric in enumerate(limits)}
    codes = np.array([*(place.get(m, -1) for m in metrics), -1])[numbers]
    # The last pair serves code -1: rows without a metric have no limits of their own.
    low, high = np.array([*limits.values(), (-np.inf, np.inf)]).T
    outside = (values < low[codes]) | (values > high[codes])
    bare = np.isfinite(values) & metric_of.isna().to_numpy()
    unnamed = bare & ~_named_rows(earlier, ("intensity_metric",), len(table))
    values[outside | bare] = np.nan
    table["intensity_value"] = values
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


def _intensity_limits() -> dict[str, tuple[float, float]]:
    """Smallest and largest value each metric can take."""
    reference = load_reference("exercise_intensity.toml")
    rate = reference["heart_rate"]
    limits = {n: (m["value"][0], m["limit"]) for n, m in reference["metrics"].items()}
    return {**limits, HEART_RATE: (rate["low"], rate["high"])}


def _named_rows(violations: Sequence[Violation], columns: Sequence[str], n_rows: int) -> Mask:
    """Mask of the rows in which a violation names one of ``columns``."""
    mask = np.zeros(n_rows, dtype=bool)
    for violation in violations:
        if violation.column in columns:
            mask[list(violation.rows)] = True
    return mask


def _duplicate_keys(
    table: pd.DataFrame, keys: Sequence[str], earlier: Sequence[Violation]
) -> list[Violation]:
    present = [k for k in keys if k in table.columns]
    if not set(KEYS) <= set(present):
        return []
    # A key that was emptied for a fault of its own is not known to be equal to another.
    complete = table[list(KEYS)].notna().all(axis=1).to_numpy()
    comparable = complete & ~_named_rows(earlier, present, len(table))
    duplicated = np.zeros(len(table), dtype=bool)
    duplicated[comparable] = table[comparable].duplicated(subset=present, keep="first")
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
    expected = "baseline, pre, during, post, post_<n>min|h|d or week_<n>"
    return [_rows_violation(column, "unknown_level", bad, expected, "with another word")]


def _convert_units(table: pd.DataFrame) -> list[Violation]:
    """Convert ``value`` and ``unit`` in place; return what could not be, or is implausible."""
    violations: list[Violation] = []
    value = table["value"].to_numpy(dtype=float, copy=True)
    unit = table["unit"].to_numpy(dtype=object, copy=True)
    value[table["unit"].isna().to_numpy() | table["measure"].isna().to_numpy()] = np.nan
    pairs = table[["measure", "unit"]].dropna().drop_duplicates().sort_values(["measure", "unit"])
    for name, declared in pairs.itertuples(index=False):
        rows = np.flatnonzero((table["measure"] == name) & (table["unit"] == declared))
        measure = MEASURES[name]
        if measure.conversion(declared) is None:
            violations.append(_unknown_unit(measure, declared, rows))
            value[rows] = np.nan
            continue
        raw = value[rows]
        canonical = convert(raw, measure, declared, measure.unit)
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
