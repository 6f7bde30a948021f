"""Apply a study map to source tables: tables in, tables out.

:func:`prepare_tables` adds the declared differences and sets known faults missing, then
:func:`build_cases` and :func:`build_measurements` make the two tables. Their index is the row's
position in its source file, so that every later complaint can name it. Errors name the file, the
column and the rows, never a participant's value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import pandas as pd

from features.columns import CASES, KEYS, MEASUREMENTS, MISSING_WORDS, Column
from features.contract import Violation
from features.reference import load_reference
from pipeline.errors import TableError
from pipeline.study_map import (
    BlockMap,
    CaseMap,
    ColumnMap,
    Difference,
    ItemMap,
    Join,
    Scalar,
    SetMissing,
    StudyMap,
    alike,
    plain,
)

# Tenths and thirds are not exact in binary; without rounding, the end of a converted scale can
# fall outside its range by 1e-15.
DECIMALS = 9


@dataclass(frozen=True)
class SourceTable:
    """Rows of a file; the index is the position in the file, ``where`` its name in errors."""

    where: str
    table: pd.DataFrame

    def column(self, name: str) -> pd.Series:
        """Return a column, or raise TableError."""
        if name not in self.table.columns:
            raise TableError(
                f"{self.where}: expected the column '{name}' that the study map names, found "
                f"{self.table.shape[1]} others. Check the map and the version of the file."
            )
        return self.table[name]

    def matches(self, where: Mapping[str, Sequence[str]]) -> pd.Series:
        """Boolean mask of the rows that meet every condition (column: accepted values)."""
        mask = pd.Series(True, index=self.table.index)
        for name, accepted in where.items():
            mask &= comparable(self.column(name)).isin(accepted)
        return mask

    def refuse(
        self, column: str, expected: str, rows: pd.Series, found: str, advice: str = ""
    ) -> NoReturn:
        """Raise TableError about the rows marked True."""
        positions = tuple(int(i) for i in rows.index[rows])
        found = f"{len(positions)} {found}"
        violation = Violation(column, "study_map", positions, expected, found, advice)
        raise TableError(violation.message(self.where))


@dataclass(frozen=True)
class Emptied:
    """What a ``set_missing`` rule did: rows it matched, values that were there before."""

    file: str
    columns: tuple[str, ...]
    reason: str
    rows: int
    values: int


@dataclass(frozen=True)
class Block:
    """Readings of one ``[[measurements]]`` block, and what became of the file's other rows."""

    label: str
    file: str
    table: pd.DataFrame
    rows_read: int
    not_selected: int
    repeated: int
    no_value: int
    no_case: int


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
    """Apply a column map: join, replace values, convert linearly."""
    name = "-".join(mapping.sources)
    parts = [source.column(s) for s in mapping.sources]
    series = parts[0] if len(parts) == 1 else _join_texts(parts)
    if not pd.api.types.is_numeric_dtype(series):
        series = texts(series)
    if mapping.values is not None:
        series = _replace_values(source, name, series, mapping.values)
    if mapping.scale is not None or mapping.offset is not None:
        scale = 1.0 if mapping.scale is None else mapping.scale
        values = scale * numbers(source, name, series) + (mapping.offset or 0.0)
        series = values.round(DECIMALS)
    return series


def _join_texts(parts: Sequence[pd.Series]) -> pd.Series:
    joined = texts(parts[0])
    for part in parts[1:]:
        joined = joined + "-" + texts(part)
    return joined


def _replace_values(
    source: SourceTable, name: str, series: pd.Series, values: Mapping[str, Scalar]
) -> pd.Series:
    found = comparable(series)
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


def _groups(table: pd.DataFrame) -> pd.Series:
    """Return a number per row, equal where all columns are alike (missing is a value too)."""
    keys = table.apply(comparable)
    return keys.groupby(list(keys.columns), dropna=False, sort=False).ngroup()


def _require_constant(
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


# ---- before mapping --------------------------------------------------------------------------


def prepare_tables(
    study_map: StudyMap, tables: Mapping[str, pd.DataFrame], names: Mapping[str, str]
) -> tuple[dict[str, SourceTable], list[Emptied]]:
    """Add the declared differences, then set the known faults missing.

    Parameters
    ----------
    study_map : StudyMap
    tables : mapping of file key to DataFrame
        Text or typed columns, as read.
    names : mapping of file key to str
        How errors name the files.

    Returns
    -------
    tuple of the tables by file key, and what every rule set missing
    """
    sources = {
        key: SourceTable(names[key], table.reset_index(drop=True)) for key, table in tables.items()
    }
    for difference in study_map.derive:
        sources[difference.file] = _add_difference(sources[difference.file], difference)
    emptied = []
    for rule in study_map.set_missing:
        sources[rule.file], record = _set_missing(sources[rule.file], rule)
        emptied.append(record)
    return sources, emptied


def _add_difference(source: SourceTable, rule: Difference) -> SourceTable:
    within = pd.DataFrame({c: comparable(source.column(c)) for c in rule.within})
    order = numbers(source, rule.ordered_by, source.column(rule.ordered_by))
    value = numbers(source, rule.source, source.column(rule.source))
    steps = _groups(within.assign(_order=order))
    _require_constant(source, rule.source, value, steps, (*rule.within, rule.ordered_by))
    frame = pd.DataFrame({"group": _groups(within), "step": steps, "order": order, "value": value})
    first = frame.drop_duplicates("step").sort_values(["group", "order"])
    # A running sum starts at zero, so the first step is the sum itself. shift, not diff: a lost
    # sum makes its own step and the next one missing, never a step over two.
    before = first.groupby("group")["value"].shift()
    is_first = first.groupby("group").cumcount() == 0
    difference = first["value"] - before.mask(is_first, 0.0)
    by_step = dict(zip(first["step"], difference, strict=True))
    return SourceTable(source.where, source.table.assign(**{rule.column: steps.map(by_step)}))


def _set_missing(source: SourceTable, rule: SetMissing) -> tuple[SourceTable, Emptied]:
    rows = source.matches(rule.where)
    old = {c: source.column(c) for c in rule.columns}
    values = sum(int((rows & texts(series).notna()).sum()) for series in old.values())
    table = source.table.assign(**{c: series.mask(rows) for c, series in old.items()})
    record = Emptied(rule.file, rule.columns, rule.reason, int(rows.sum()), values)
    return SourceTable(source.where, table), record


# ---- cases -----------------------------------------------------------------------------------


def build_cases(study_map: StudyMap, sources: Mapping[str, SourceTable]) -> pd.DataFrame:
    """Return one row per case; the index is its first row's position in the main file.

    Raises
    ------
    TableError
        Where a mapped column is absent, varies within a case or holds an unmapped value.
    """
    cases = study_map.cases
    source = sources[cases.file]
    for join in cases.joins:
        source = _add_file(source, sources[join.file], join)
    source = SourceTable(source.where, source.table[source.matches(cases.where)])
    mapped = {**_mapped(source, cases.columns), **_items(source, cases)}
    for target, mapping in cases.extra.items():
        mapped[target] = numbers(source, target, map_column(source, mapping))
    groups = _groups(pd.DataFrame({c: source.column(c) for c in cases.rows}))
    for target, series in mapped.items():
        _require_constant(source, target, series, groups, cases.rows)
    table = pd.DataFrame(mapped, index=source.table.index)[~groups.duplicated()]
    return _ordered(
        table.assign(study_id=study_map.study.name, **cases.constants), CASES, tuple(cases.extra)
    )


def _mapped(source: SourceTable, columns: Mapping[str, ColumnMap]) -> dict[str, pd.Series]:
    return {target: map_column(source, mapping) for target, mapping in columns.items()}


def _ordered(
    table: pd.DataFrame, columns: Sequence[Column], extra: Sequence[str] = ()
) -> pd.DataFrame:
    return table[[c.name for c in columns if c.name in table.columns] + list(extra)]


def _add_file(source: SourceTable, other: SourceTable, join: Join) -> SourceTable:
    """Add the columns of ``other`` as "<file>.<column>", by the columns both have."""
    left = pd.DataFrame({c: comparable(source.column(c)) for c in join.on})
    right = pd.DataFrame({c: comparable(other.column(c)) for c in join.on}).dropna()
    repeated = right.duplicated()
    if repeated.any():
        other.refuse(", ".join(join.on), "keys that occur once", repeated, "that repeat a row's")
    columns = other.table.loc[right.index].add_prefix(f"{join.file}.")
    keyed = columns.set_axis(pd.MultiIndex.from_frame(right), axis=0)
    added = keyed.reindex(pd.MultiIndex.from_frame(left)).set_axis(left.index, axis=0)
    return SourceTable(source.where, pd.concat([source.table, added], axis=1))


def _items(source: SourceTable, cases: CaseMap) -> dict[str, pd.Series]:
    columns: dict[str, pd.Series] = {}
    for instrument, mapping in cases.items.items():
        columns |= _items_of(source, instrument, mapping)
    return columns


def _items_of(source: SourceTable, instrument: str, mapping: ItemMap) -> dict[str, pd.Series]:
    """Return items as answered, and the stored total of persons who have no item."""
    form = load_reference("instruments.toml")[instrument]
    items = {}
    for item in range(1, form["items"] + 1):
        name = mapping.pattern.replace("{item}", str(item))
        values = numbers(source, name, source.column(name))
        if mapping.already_reversed and item in form["reversed"]:
            values = form["low"] + form["high"] - values
        items[f"{instrument}_{item}"] = values
    if mapping.total is None:
        return items
    total = numbers(source, mapping.total, source.column(mapping.total))
    needed = total.mask(pd.DataFrame(items).notna().any(axis=1))
    # Without anyone to use it, the column would only look like a lost questionnaire.
    return {**items, f"{instrument}_total": needed} if needed.notna().any() else items


# ---- measurements ----------------------------------------------------------------------------


def build_measurements(
    study_map: StudyMap, sources: Mapping[str, SourceTable], cases: pd.DataFrame
) -> list[Block]:
    """Return the readings of every block, in stored units, and the rows left out with reason.

    A row without a value and a row whose person and session are no case are left out and
    counted.

    Raises
    ------
    TableError
        As :func:`build_cases`, and where no row of a block belongs to a case.
    """
    known = set(zip(texts(cases["participant_id"]), texts(cases["session_id"]), strict=True))
    return [
        _build_block(study_map, i, sources[block.file], known)
        for i, block in enumerate(study_map.measurements, start=1)
    ]


def _build_block(
    study_map: StudyMap, number: int, source: SourceTable, known: set[tuple[object, object]]
) -> Block:
    block = study_map.measurements[number - 1]
    label = f"measurements {number}"
    if "measure" in block.constants:
        label += f" ({block.constants['measure']})"
    chosen = SourceTable(source.where, source.table[source.matches(block.where)])
    readings = _readings(study_map, block, chosen)
    distinct = _distinct(chosen, readings) if block.distinct else readings
    valued = distinct[texts(distinct["value"]).notna()]
    keys = zip(texts(valued["participant_id"]), texts(valued["session_id"]), strict=True)
    kept = valued[np.fromiter((key in known for key in keys), dtype=bool, count=len(valued))]
    if len(valued) and not len(kept):
        raise TableError(
            f"{source.where}, {label}: expected participant_id and session_id of cases, found "
            f"none in {len(valued)} rows. Map them as in [cases]."
        )
    return Block(
        label,
        block.file,
        kept,
        rows_read=len(source.table),
        not_selected=len(source.table) - len(chosen.table),
        repeated=len(readings) - len(distinct),
        no_value=len(distinct) - len(valued),
        no_case=len(valued) - len(kept),
    )


def _readings(study_map: StudyMap, block: BlockMap, source: SourceTable) -> pd.DataFrame:
    columns, constants = dict(block.columns), dict(block.constants)
    for key in KEYS[1:]:
        if key in columns or key in constants:
            continue
        if key in study_map.cases.columns:
            columns[key] = study_map.cases.columns[key]
        else:
            constants[key] = study_map.cases.constants[key]
    table = pd.DataFrame(_mapped(source, columns), index=source.table.index)
    return _ordered(table.assign(study_id=study_map.study.name, **constants), MEASUREMENTS)


def _distinct(source: SourceTable, readings: pd.DataFrame) -> pd.DataFrame:
    keys = [c for c in readings.columns if c not in ("study_id", "value")]
    groups = _groups(readings[keys])
    _require_constant(source, "value", readings["value"], groups, keys)
    return readings[~groups.duplicated()]
