"""A study map: the declaration of how a study's own files become ``cases`` and ``measurements``.

A map is a TOML file, so adding a study is adding a file. The dataclasses below are its schema:
a field is a key that is accepted, a field without a default is a key that is required. The map is
applied by :mod:`pipeline.study_tables` and fed with files by :mod:`pipeline.ingest`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from features.columns import CASES_BY_NAME, MEASUREMENTS_BY_NAME, Column
from features.reference import load_reference
from pipeline.errors import ConfigError
from pipeline.map_keys import (
    Scalar,
    declare,
    find_blanks,
    listed,
    named_values,
    parse_table,
    read_condition,
    read_flag,
    read_number,
    read_range,
    read_scalar,
    read_subtable,
    read_text_key,
    read_texts,
    read_value_map,
    table_of,
)

ITEM = re.compile(r"\{item(?::0(\d))?\}")


def _column(where: str, value: Any) -> ColumnMap:
    if not isinstance(value, dict):
        return ColumnMap(read_texts(where, value))
    mapping: ColumnMap = parse_table(ColumnMap, where, value)
    if bool(mapping.sources) == bool(mapping.checked):
        raise ConfigError(f"{where}: expected 'from' (columns) or 'checked' (boxes), one of them.")
    return mapping


# ---- the schema ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Study:
    """``[study]``: what the study is and where its files are.

    ``no_outcome`` says in words why the study holds no outcome of exercise; it takes the place
    of ``[outcome]``. ``contrast`` is 'randomised' or 'crossover' where the design lets exercises
    be compared: only then may a marker be called predictive of response.
    """

    name: str = declare(read_text_key)
    title: str = declare(read_text_key)
    citation: str = declare(read_text_key)
    doi: str = declare(read_text_key)
    licence: str = declare(read_text_key)
    download: str = declare(read_text_key)
    folder: str = declare(read_text_key)
    simulated: bool = declare(read_flag, default=False)
    no_outcome: str = declare(read_text_key, default="")
    contrast: str = declare(read_text_key, default="")


@dataclass(frozen=True)
class SourceFile:
    """``[files.<key>]``: a file of the study's folder.

    ``dictionary`` is the data dictionary of a REDCap export, in the same folder: its choices
    label the codes, as the value labels of an SPSS file do without being asked for.
    ``number_rows`` adds a column of this name with the row's number from 1: the person, where a
    file has one row per person and no identifier. ``number_repeated`` lets a text file repeat a
    column's name (the second is "<name>.2"), ``decimal_comma`` reads "1,5" as 1.5.
    """

    path: str = declare(read_text_key)
    delimiter: str | None = declare(read_text_key, default=None)
    dictionary: str | None = declare(read_text_key, default=None)
    number_rows: str | None = declare(read_text_key, default=None)
    number_repeated: bool = declare(read_flag, default=False)
    decimal_comma: bool = declare(read_flag, default=False)


@dataclass(frozen=True)
class ColumnMap:
    """Where a target column comes from: a source column, or several joined by "-".

    ``values`` replaces every value, given by its code or by its label (one it does not list is
    an error); ``labels`` takes the label of every code instead. Numbers then become
    ``scale * x + offset``. ``checked`` reads a group of boxes: the value of the box that is
    ticked, missing where none is, ``several`` where more than one is (an error without it).
    """

    sources: tuple[str, ...] = declare(read_texts, "from", default=())
    values: Mapping[str, Scalar] | None = declare(read_value_map, default=None)
    scale: float | None = declare(read_number, default=None)
    offset: float | None = declare(read_number, default=None)
    labels: bool = declare(read_flag, default=False)
    checked: Mapping[str, Scalar] = declare(named_values(read_scalar), default_factory=dict)
    several: Scalar | None = declare(read_scalar, default=None)


@dataclass(frozen=True)
class Difference:
    """``[[derive]]``: the step of a running sum, as a new column of a source file.

    The difference to the previous row within ``difference_within``, in the order of
    ``ordered_by``; the first step counts from zero. Rows alike in these columns are one row.
    """

    file: str = declare(read_text_key)
    column: str = declare(read_text_key)
    source: str = declare(read_text_key, "from")
    within: tuple[str, ...] = declare(read_texts, "difference_within")
    ordered_by: str = declare(read_text_key)


@dataclass(frozen=True)
class SetMissing:
    """``[[set_missing]]``: a known fault of the source; derived columns may be named too.

    In the rows of ``where`` (all, without it) the values of ``columns`` become missing; with
    ``codes`` only those equal to a code, with ``outside`` only numbers outside the two bounds.
    A ``*`` in a column's name stands for any text.
    """

    file: str = declare(read_text_key)
    columns: tuple[str, ...] = declare(read_texts)
    reason: str = declare(read_text_key)
    where: Mapping[str, tuple[str, ...]] = declare(
        named_values(read_condition), default_factory=dict
    )
    codes: tuple[str, ...] = declare(read_condition, default=())
    outside: tuple[float, float] | None = declare(read_range, default=None)


@dataclass(frozen=True)
class Join:
    """``[[cases.join]]``: rows of a file, one per ``on``; columns become "<prefix>.<column>".

    ``prefix`` is the file's key unless another is given, so that the events of one long export
    can be joined one by one.
    """

    file: str = declare(read_text_key)
    on: tuple[str, ...] = declare(read_texts)
    where: Mapping[str, tuple[str, ...]] = declare(
        named_values(read_condition), default_factory=dict
    )
    prefix: str = declare(read_text_key, default="")


@dataclass(frozen=True)
class ItemMap:
    """``[cases.items.<instrument>]``: the items, and a total for persons without any item.

    In ``pattern``, ``{item}`` stands for the number of the item, ``{item:02}`` for the number
    with a leading zero.
    """

    pattern: str = declare(read_text_key)
    already_reversed: bool = declare(read_flag)
    total: str | None = declare(read_text_key, default=None)

    def column(self, item: int) -> str:
        """Name of the source column that holds an item.

        Examples
        --------
        >>> ItemMap("pcs{item:02}", already_reversed=False).column(7)
        'pcs07'
        """
        return ITEM.sub(lambda found: f"{item:0{found[1] or 1}d}", self.pattern)


def answer_range(form: Mapping[str, Any], item: int) -> tuple[float, float]:
    """Lowest and highest answer of an item of an instrument (an entry of instruments.toml)."""
    low, high = form.get("ranges", {}).get(str(item), (form.get("low"), form.get("high")))[:2]
    return float(low), float(high)


@dataclass(frozen=True)
class CaseMap:
    """``[cases]``: one case per distinct ``rows``; ``extra`` are columns outside the contract."""

    file: str = declare(read_text_key)
    rows: tuple[str, ...] = declare(read_texts)
    columns: Mapping[str, ColumnMap] = declare(named_values(_column))
    where: Mapping[str, tuple[str, ...]] = declare(
        named_values(read_condition), default_factory=dict
    )
    joins: tuple[Join, ...] = declare(listed(table_of(Join)), "join", default=())
    constants: Mapping[str, Scalar] = declare(named_values(read_scalar), default_factory=dict)
    items: Mapping[str, ItemMap] = declare(named_values(table_of(ItemMap)), default_factory=dict)
    extra: Mapping[str, ColumnMap] = declare(named_values(_column), default_factory=dict)


@dataclass(frozen=True)
class BlockMap:
    """``[[measurements]]``: readings of one file; ``distinct`` keeps repeated rows once.

    ``participant_id`` and ``session_id`` are those of ``[cases]`` unless mapped here. ``stack``
    reads a wide file: every source column it names holds values, with constants of its own.
    """

    file: str = declare(read_text_key)
    columns: Mapping[str, ColumnMap] = declare(named_values(_column), default_factory=dict)
    where: Mapping[str, tuple[str, ...]] = declare(
        named_values(read_condition), default_factory=dict
    )
    constants: Mapping[str, Scalar] = declare(named_values(read_scalar), default_factory=dict)
    stack: Mapping[str, Mapping[str, Scalar]] = declare(
        named_values(named_values(read_scalar)), default_factory=dict
    )
    distinct: bool = declare(read_flag, default=False)

    def parts(self) -> dict[str, BlockMap]:
        """One block per stacked source column, by its name; the block itself without any."""
        if not self.stack:
            return {"": self}
        return {
            source: replace(
                self,
                columns={**self.columns, "value": ColumnMap((source,))},
                constants={**self.constants, **own},
                stack={},
            )
            for source, own in self.stack.items()
        }


@dataclass(frozen=True)
class StudyMap:
    """A whole map. ``outcome`` is handed on as it stands; the outcome stage checks it."""

    study: Study = declare(table_of(Study))
    files: Mapping[str, SourceFile] = declare(named_values(table_of(SourceFile)))
    cases: CaseMap = declare(table_of(CaseMap))
    measurements: tuple[BlockMap, ...] = declare(listed(table_of(BlockMap)), default=())
    derive: tuple[Difference, ...] = declare(listed(table_of(Difference)), default=())
    set_missing: tuple[SetMissing, ...] = declare(listed(table_of(SetMissing)), default=())
    outcome: Mapping[str, Any] = declare(read_subtable, default_factory=dict)
    out_of_range: str = declare(read_text_key, default="error")

    def blocks(self) -> list[tuple[str, BlockMap]]:
        """Every block of readings with its label, stacked ones taken apart."""
        return [
            (_block_label(i, part, source), part)
            for i, block in enumerate(self.measurements, start=1)
            for source, part in block.parts().items()
        ]


def _block_label(number: int, block: BlockMap, source: str) -> str:
    named_parts = [str(block.constants["measure"])] if "measure" in block.constants else []
    named_parts += [source] if source else []
    return f"measurements {number}" + (f" ({', '.join(named_parts)})" if named_parts else "")


# ---- the whole map ---------------------------------------------------------------------------


def parse_study_map(name: str, content: Mapping[str, Any]) -> StudyMap:
    """Turn the content of a map into dataclasses.

    Parameters
    ----------
    name : str
        How errors call the map.
    content : mapping
        As read from TOML.

    Raises
    ------
    ConfigError
        For the first key that is unknown, missing or of the wrong kind, and for a file, target
        column or instrument that does not exist.
    """
    where = f"study map '{name}'"
    _check_blanks(where, content)
    study_map = parse_table(StudyMap, where, dict(content))
    if study_map.outcome and study_map.study.no_outcome:
        raise ConfigError(f"{where}: expected [outcome] or study.no_outcome, found both.")
    _check_choice(f"{where}, out_of_range", study_map.out_of_range, ("error", "missing"))
    _check_files(where, study_map)
    _check_cases(f"{where}, cases", study_map.cases)
    for i, block in enumerate(study_map.measurements, start=1):
        _check_block(f"{where}, measurements {i}", block)
    return study_map


def _check_blanks(where: str, content: Mapping[str, Any]) -> None:
    blanks = find_blanks(dict(content))
    if blanks:
        raise ConfigError(
            f"{where}: expected every place marked FILL IN to be filled in or deleted, found "
            f"{len(blanks)} left ({', '.join(blanks)})."
        )


def _check_choice(where: str, value: str, known: Iterable[str]) -> None:
    known = tuple(known)
    if value not in known:
        raise ConfigError(f"{where}: expected one of {', '.join(known)}, found '{value}'.")


def _check_files(where: str, study_map: StudyMap) -> None:
    named = {"cases": study_map.cases.file}
    lists: dict[str, Iterable[Join | BlockMap | Difference | SetMissing]] = {
        "cases.join": study_map.cases.joins,
        "measurements": study_map.measurements,
        "derive": study_map.derive,
        "set_missing": study_map.set_missing,
    }
    for section, parts in lists.items():
        named |= {f"{section} {i}": part.file for i, part in enumerate(parts, start=1)}
    for section, file in named.items():
        _check_choice(f"{where}, {section}.file", file, study_map.files)


def _check_cases(where: str, cases: CaseMap) -> None:
    _check_targets(where, cases, CASES_BY_NAME, given=("study_id",))
    instruments = load_reference("instruments.toml")
    for instrument, items in cases.items.items():
        _check_choice(f"{where}.items", instrument, instruments)
        if not ITEM.search(items.pattern):
            raise ConfigError(
                f"{where}.items.{instrument}.pattern: expected a text with '{{item}}' in place "
                "of the number, found none."
            )
    known = sorted(CASES_BY_NAME.keys() & cases.extra.keys())
    if known:
        raise ConfigError(f"{where}.extra: '{known[0]}' is in the contract: map it in columns.")


def _check_block(where: str, block: BlockMap) -> None:
    for source, own in block.stack.items():
        twice = sorted(own.keys() & block.constants.keys())
        if twice:
            raise ConfigError(f"{where}.stack.{source}: '{twice[0]}' is in constants too.")
    if block.stack and "value" in block.columns:
        raise ConfigError(f"{where}: expected 'value' in columns or a stack, found both.")
    for part in block.parts().values():
        if "value" not in part.columns:
            raise ConfigError(f"{where}: expected 'value' in columns, found none.")
        given = ("study_id", "participant_id", "session_id")
        _check_targets(where, part, MEASUREMENTS_BY_NAME, given=given)


def _check_targets(
    where: str, part: CaseMap | BlockMap, known: Mapping[str, Column], given: tuple[str, ...]
) -> None:
    """Targets exist, occur once, and cover what the contract requires beyond ``given``."""
    for section in ("columns", "constants"):
        for target in getattr(part, section):
            if target not in known or target == "study_id":
                raise ConfigError(
                    f"{where}.{section}: '{target}' is not a column to map. "
                    f"Accepted keys: {', '.join(k for k in known if k != 'study_id')}."
                )
    twice = sorted(part.columns.keys() & part.constants.keys())
    if twice:
        raise ConfigError(f"{where}: '{twice[0]}' is both in columns and in constants.")
    for column in known.values():
        mapped = {*part.columns, *part.constants, *given}
        if column.required and column.name not in mapped:
            raise ConfigError(f"{where}: expected '{column.name}' in columns or constants.")
