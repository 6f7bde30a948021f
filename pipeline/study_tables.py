"""Apply a study map to source tables: tables in, tables out.

:func:`prepare_tables` adds the declared differences and sets known faults missing, then
:func:`build_cases` and :func:`build_measurements` make the two tables. Their index is the row's
position in its source file, so that every later complaint can name it. Errors name the file, the
column and the rows, never a participant's value.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.columns import CASES, KEYS, MEASUREMENTS, Column
from features.reference import load_reference
from pipeline.errors import TableError
from pipeline.source_table import (
    Labels,
    SourceTable,
    comparable,
    map_column,
    number_groups,
    numbers,
    require_constant,
    texts,
)
from pipeline.study_map import (
    BlockMap,
    CaseMap,
    ColumnMap,
    Difference,
    ItemMap,
    Join,
    SetMissing,
    StudyMap,
    answer_range,
)


@dataclass(frozen=True)
class Emptied:
    """What a ``set_missing`` rule did: rows it matched, values that were there before.

    ``row_numbers`` are the positions of the rows in which a value was emptied.
    """

    file: str
    columns: tuple[str, ...]
    reason: str
    rows: int
    values: int
    row_numbers: tuple[int, ...] = ()


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


# ---- before mapping --------------------------------------------------------------------------


def prepare_tables(
    study_map: StudyMap,
    tables: Mapping[str, pd.DataFrame],
    names: Mapping[str, str],
    labels: Mapping[str, Labels] | None = None,
) -> tuple[dict[str, SourceTable], list[Emptied]]:
    """Add the declared differences, then set the known faults missing.

    Parameters
    ----------
    study_map : StudyMap
    tables : mapping of file key to DataFrame
        Text or typed columns, as read.
    names : mapping of file key to str
        How errors name the files.
    labels : mapping of file key to Labels, optional
        The words for coded values.

    Returns
    -------
    tuple of the tables by file key, and what every rule set missing
    """
    sources = {
        key: SourceTable(names[key], table.reset_index(drop=True), (labels or {}).get(key, {}))
        for key, table in tables.items()
    }
    for key, file in study_map.files.items():
        if file.number_rows:
            sources[key] = _number_rows(sources[key], file.number_rows)
    for difference in study_map.derive:
        sources[difference.file] = _add_difference(sources[difference.file], difference)
    emptied = []
    for rule in study_map.set_missing:
        sources[rule.file], record = _set_missing(sources[rule.file], rule)
        emptied.append(record)
    return sources, emptied


def _number_rows(source: SourceTable, name: str) -> SourceTable:
    if name in source.table.columns:
        raise TableError(
            f"{source.where}: expected no column '{name}', the name of the numbers to add, found "
            "one. Give 'number_rows' another name in the study map."
        )
    numbered = source.table.assign(**{name: range(1, len(source.table) + 1)})
    return source.of(numbered)


def _add_difference(source: SourceTable, rule: Difference) -> SourceTable:
    within = pd.DataFrame({c: comparable(source.column(c)) for c in rule.within})
    order = numbers(source, rule.ordered_by, source.column(rule.ordered_by))
    value = numbers(source, rule.source, source.column(rule.source))
    steps = number_groups(within.assign(_order=order))
    require_constant(source, rule.source, value, steps, (*rule.within, rule.ordered_by))
    frame = pd.DataFrame(
        {"group": number_groups(within), "step": steps, "order": order, "value": value}
    )
    first = frame.drop_duplicates("step").sort_values(["group", "order"])
    # A running sum starts at zero, so the first step is the sum itself. shift, not diff: a lost
    # sum makes its own step and the next one missing, never a step over two.
    before = first.groupby("group")["value"].shift()
    is_first = first.groupby("group").cumcount() == 0
    difference = first["value"] - before.mask(is_first, 0.0)
    by_step = dict(zip(first["step"], difference, strict=True))
    return source.of(source.table.assign(**{rule.column: steps.map(by_step)}))


def _set_missing(source: SourceTable, rule: SetMissing) -> tuple[SourceTable, Emptied]:
    rows = source.matches(rule.where)
    chosen = {c: rows & _is_faulty(source, c, rule) for c in _named_columns(source, rule)}
    lost = pd.DataFrame({c: mask & texts(source.column(c)).notna() for c, mask in chosen.items()})
    table = source.table.assign(**{c: source.column(c).mask(m) for c, m in chosen.items()})
    named = tuple(c for c in chosen if lost[c].any()) or rule.columns
    # A rule for named columns reports them all; one with a pattern only those it touched.
    columns = rule.columns if set(rule.columns) <= chosen.keys() else named
    matched = pd.DataFrame(chosen).any(axis=1)
    numbers_lost = tuple(int(i) for i in lost.index[lost.any(axis=1)])
    record = Emptied(
        rule.file,
        columns,
        rule.reason,
        int(matched.sum()),
        int(lost.to_numpy().sum()),
        numbers_lost,
    )
    return source.of(table), record


def _named_columns(source: SourceTable, rule: SetMissing) -> list[str]:
    """Columns of a rule, patterns resolved; a plain name must be there."""
    names: dict[str, None] = {}
    for name in rule.columns:
        if "*" in name:
            names |= dict.fromkeys(fnmatch.filter([str(c) for c in source.table.columns], name))
        else:
            source.column(name)
            names[name] = None
    return list(names)


def _is_faulty(source: SourceTable, name: str, rule: SetMissing) -> pd.Series:
    """Mask of the values a rule empties: all, those equal to a code, those out of bounds."""
    series = source.column(name)
    if rule.codes:
        return comparable(series).isin(rule.codes)
    if rule.outside is not None:
        low, high = rule.outside
        values = numbers(source, name, series)
        return (values < low) | (values > high)
    return pd.Series(True, index=series.index)


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
    source = source.rows(cases.where)
    mapped = {**_mapped(source, cases.columns), **_items(source, cases)}
    for target, mapping in cases.extra.items():
        mapped[target] = numbers(source, target, map_column(source, mapping))
    groups = number_groups(pd.DataFrame({c: source.column(c) for c in cases.rows}))
    for target, series in mapped.items():
        require_constant(source, target, series, groups, cases.rows)
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
    """Add the columns of ``other`` as "<prefix>.<column>", by the columns both have."""
    prefix = f"{join.prefix or join.file}."
    other = other.rows(join.where)
    left = pd.DataFrame({c: comparable(source.column(c)) for c in join.on})
    right = pd.DataFrame({c: comparable(other.column(c)) for c in join.on}).dropna()
    repeated = right.duplicated()
    if repeated.any():
        other.refuse(", ".join(join.on), "keys that occur once", repeated, "that repeat a row's")
    columns = other.table.loc[right.index].add_prefix(prefix)
    keyed = columns.set_axis(pd.MultiIndex.from_frame(right), axis=0)
    added = keyed.reindex(pd.MultiIndex.from_frame(left)).set_axis(left.index, axis=0)
    labels = {**source.labels, **{f"{prefix}{c}": words for c, words in other.labels.items()}}
    return SourceTable(source.where, pd.concat([source.table, added], axis=1), labels)


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
        name = mapping.column(item)
        values = numbers(source, name, source.column(name))
        if mapping.already_reversed and item in form["reversed"]:
            values = sum(answer_range(form, item)) - values
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
        _build_block(study_map, (label, block), sources[block.file], known)
        for label, block in study_map.blocks()
    ]


def _build_block(
    study_map: StudyMap,
    labelled: tuple[str, BlockMap],
    source: SourceTable,
    known: set[tuple[object, object]],
) -> Block:
    label, block = labelled
    chosen = source.rows(block.where)
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
    groups = number_groups(readings[keys])
    require_constant(source, "value", readings["value"], groups, keys)
    return readings[~groups.duplicated()]
