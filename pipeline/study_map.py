"""A study map: the declaration of how a study's own files become ``cases`` and ``measurements``.

A map is a TOML file, so adding a study is adding a file. The dataclasses below are its schema:
a field is a key that is accepted, a field without a default is a key that is required. The map is
applied by :mod:`pipeline.study_tables` and fed with files by :mod:`pipeline.ingest`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn, TypeVar

from features.columns import CASES_BY_NAME, MEASUREMENTS_BY_NAME, Column
from features.reference import load_reference
from pipeline.errors import ConfigError

T = TypeVar("T")
Scalar = str | int | float
Reader = Callable[[str, Any], Any]
WHOLE = re.compile(r"([+-]?\d+)\.0+")
DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")
KINDS = {str: "a text", bool: "true or false", list: "a list", dict: "a table"}


def plain(value: object) -> str:
    """Text of a value; a whole number read as a float keeps no '.0' (ids come so from files).

    Examples
    --------
    >>> plain(24.0), plain(" 24 "), plain("007")
    ('24', '24', '007')
    """
    text = str(value).strip()
    whole = WHOLE.fullmatch(text)
    return whole.group(1) if whole else text


def alike(value: object) -> str:
    """Text in which numbers that are equal look equal; used to compare, never to store.

    Leading zeros are kept: two ids may differ in them alone.

    Examples
    --------
    >>> alike("0.50") == alike(0.5), alike("24") == alike(24.0)
    (True, True)
    """
    text = plain(value)
    return f"{float(text):.15g}" if DECIMAL.fullmatch(text) else text


# ---- reading values of keys ------------------------------------------------------------------


def _expect(where: str, expected: str, value: object) -> NoReturn:
    found = "an empty one" if value in ("", [], {}) else KINDS.get(type(value), "a number")
    raise ConfigError(f"{where}: expected {expected}, found {found}.")


def _at(where: str, key: str) -> str:
    return f"{where}, {key}" if where.endswith("'") else f"{where}.{key}"


def _text(where: str, value: Any) -> str:
    return value if isinstance(value, str) and value else _expect(where, "a text", value)


def _flag(where: str, value: Any) -> bool:
    return value if isinstance(value, bool) else _expect(where, "true or false", value)


def _table(where: str, value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else _expect(where, "a table", value)


def _texts(where: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value:
        _expect(where, "a text or a list of texts", value)
    return tuple(_text(where, v) for v in value)


def _scalar(where: str, value: Any) -> Scalar:
    if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        return value
    _expect(where, "a text or a number", value)


def _number(where: str, value: Any) -> float:
    """Read a number, or a fraction as text: thirds have no exact decimal form."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        return float(Fraction(value))
    except (TypeError, ValueError, ZeroDivisionError):
        raise ConfigError(f"{where}: expected a number or a fraction such as '10/3'.") from None


def _value_map(where: str, value: Any) -> dict[str, Scalar]:
    return {alike(k): _scalar(_at(where, k), v) for k, v in _table(where, value).items()}


def _condition(where: str, value: Any) -> tuple[str, ...]:
    if value == []:
        _expect(where, "a value or a list of values", value)
    return tuple(alike(_scalar(where, v)) for v in (value if isinstance(value, list) else [value]))


def _column(where: str, value: Any) -> ColumnMap:
    if isinstance(value, dict):
        return _parse(ColumnMap, where, value)
    return ColumnMap(_texts(where, value))


def _named(read: Reader) -> Reader:
    return lambda where, value: {k: read(_at(where, k), v) for k, v in _table(where, value).items()}


def _listed(read: Reader) -> Reader:
    def read_all(where: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not value:
            _expect(where, "a list of tables", value)
        return tuple(read(f"{where} {i}", v) for i, v in enumerate(value, start=1))

    return read_all


def _section(kind: type[T]) -> Reader:
    return lambda where, value: _parse(kind, where, value)


def _parse(kind: type[T], where: str, content: Any) -> T:
    """Make a schema dataclass from a table of the map; refuse unknown and missing keys."""
    fields: dict[str, dataclasses.Field[Any]] = {
        f.metadata["key"] or f.name: f
        for f in dataclasses.fields(kind)  # type: ignore[arg-type]
    }
    content, accepted = _table(where, content), f"Accepted keys: {', '.join(fields)}."
    for key in content:
        if key not in fields:
            raise ConfigError(f"{where}: unknown key '{key}'. {accepted}")
    for key, field in fields.items():
        required = field.default is field.default_factory is dataclasses.MISSING
        if required and key not in content:
            raise ConfigError(f"{where}: the key '{key}' is missing. {accepted}")
    read = {k: fields[k].metadata["read"](_at(where, k), v) for k, v in content.items()}
    return kind(**{fields[k].name: v for k, v in read.items()})


def _key(read: Reader, key: str = "", **default: Any) -> Any:
    """Declare a key: how its value is read, its name where that is another, its default."""
    return dataclasses.field(metadata={"read": read, "key": key}, **default)


# ---- the schema ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Study:
    """``[study]``: what the study is and where its files are."""

    name: str = _key(_text)
    title: str = _key(_text)
    citation: str = _key(_text)
    doi: str = _key(_text)
    licence: str = _key(_text)
    download: str = _key(_text)
    folder: str = _key(_text)
    simulated: bool = _key(_flag, default=False)


@dataclass(frozen=True)
class SourceFile:
    """``[files.<key>]``: a file of the study's folder."""

    path: str = _key(_text)
    delimiter: str | None = _key(_text, default=None)


@dataclass(frozen=True)
class ColumnMap:
    """Where a target column comes from: a source column, or several joined by "-".

    ``values`` replaces every value (one it does not list is an error); numbers then become
    ``scale * x + offset``.
    """

    sources: tuple[str, ...] = _key(_texts, "from")
    values: Mapping[str, Scalar] | None = _key(_value_map, default=None)
    scale: float | None = _key(_number, default=None)
    offset: float | None = _key(_number, default=None)


@dataclass(frozen=True)
class Difference:
    """``[[derive]]``: the step of a running sum, as a new column of a source file.

    The difference to the previous row within ``difference_within``, in the order of
    ``ordered_by``; the first step counts from zero. Rows alike in these columns are one row.
    """

    file: str = _key(_text)
    column: str = _key(_text)
    source: str = _key(_text, "from")
    within: tuple[str, ...] = _key(_texts, "difference_within")
    ordered_by: str = _key(_text)


@dataclass(frozen=True)
class SetMissing:
    """``[[set_missing]]``: a known fault of the source; derived columns may be named too."""

    file: str = _key(_text)
    where: Mapping[str, tuple[str, ...]] = _key(_named(_condition))
    columns: tuple[str, ...] = _key(_texts)
    reason: str = _key(_text)


@dataclass(frozen=True)
class Join:
    """``[[cases.join]]``: a file with one row per ``on``; its columns become "<file>.<column>"."""

    file: str = _key(_text)
    on: tuple[str, ...] = _key(_texts)


@dataclass(frozen=True)
class ItemMap:
    """``[cases.items.<instrument>]``: the items, and a total for persons without any item."""

    pattern: str = _key(_text)
    already_reversed: bool = _key(_flag)
    total: str | None = _key(_text, default=None)


@dataclass(frozen=True)
class CaseMap:
    """``[cases]``: one case per distinct ``rows``; ``extra`` are columns outside the contract."""

    file: str = _key(_text)
    rows: tuple[str, ...] = _key(_texts)
    columns: Mapping[str, ColumnMap] = _key(_named(_column))
    where: Mapping[str, tuple[str, ...]] = _key(_named(_condition), default_factory=dict)
    joins: tuple[Join, ...] = _key(_listed(_section(Join)), "join", default=())
    constants: Mapping[str, Scalar] = _key(_named(_scalar), default_factory=dict)
    items: Mapping[str, ItemMap] = _key(_named(_section(ItemMap)), default_factory=dict)
    extra: Mapping[str, ColumnMap] = _key(_named(_column), default_factory=dict)


@dataclass(frozen=True)
class BlockMap:
    """``[[measurements]]``: readings of one file; ``distinct`` keeps repeated rows once.

    ``participant_id`` and ``session_id`` are those of ``[cases]`` unless mapped here.
    """

    file: str = _key(_text)
    columns: Mapping[str, ColumnMap] = _key(_named(_column))
    where: Mapping[str, tuple[str, ...]] = _key(_named(_condition), default_factory=dict)
    constants: Mapping[str, Scalar] = _key(_named(_scalar), default_factory=dict)
    distinct: bool = _key(_flag, default=False)


@dataclass(frozen=True)
class StudyMap:
    """A whole map. ``outcome`` is handed on as it stands; the outcome stage checks it."""

    study: Study = _key(_section(Study))
    files: Mapping[str, SourceFile] = _key(_named(_section(SourceFile)))
    cases: CaseMap = _key(_section(CaseMap))
    measurements: tuple[BlockMap, ...] = _key(_listed(_section(BlockMap)))
    derive: tuple[Difference, ...] = _key(_listed(_section(Difference)), default=())
    set_missing: tuple[SetMissing, ...] = _key(_listed(_section(SetMissing)), default=())
    outcome: Mapping[str, Any] = _key(_table, default_factory=dict)
    out_of_range: str = _key(_text, default="error")


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
    study_map = _parse(StudyMap, where, dict(content))
    _check_choice(f"{where}, out_of_range", study_map.out_of_range, ("error", "missing"))
    _check_files(where, study_map)
    _check_cases(f"{where}, cases", study_map.cases)
    for i, block in enumerate(study_map.measurements, start=1):
        _check_block(f"{where}, measurements {i}", block)
    return study_map


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
        if "{item}" not in items.pattern:
            raise ConfigError(
                f"{where}.items.{instrument}.pattern: expected a text with '{{item}}' in place "
                "of the number, found none."
            )
    known = sorted(CASES_BY_NAME.keys() & cases.extra.keys())
    if known:
        raise ConfigError(f"{where}.extra: '{known[0]}' is in the contract: map it in columns.")


def _check_block(where: str, block: BlockMap) -> None:
    if "value" not in block.columns:
        raise ConfigError(f"{where}: expected 'value' in columns, found none.")
    _check_targets(
        where, block, MEASUREMENTS_BY_NAME, given=("study_id", "participant_id", "session_id")
    )


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
