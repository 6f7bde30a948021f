"""Reading the values of a study map's keys, and turning tables into schema dataclasses.

A dataclass is a schema: a field is a key that is accepted, a field without a default is a key
that is required. :mod:`pipeline.study_map` holds the schema itself.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NoReturn, TypeVar

from pipeline.errors import ConfigError

T = TypeVar("T")
Scalar = str | int | float
Reader = Callable[[str, Any], Any]
WHOLE = re.compile(r"([+-]?\d+)\.0+")
DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")
KINDS = {str: "a text", bool: "true or false", list: "a list", dict: "a table"}
# What a drafted map writes where only the study's people can know the answer.
BLANK = "FILL IN"


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


def expect(where: str, expected: str, value: object) -> NoReturn:
    found = "an empty one" if value in ("", [], {}) else KINDS.get(type(value), "a number")
    raise ConfigError(f"{where}: expected {expected}, found {found}.")


def at(where: str, key: str) -> str:
    return f"{where}, {key}" if where.endswith("'") else f"{where}.{key}"


def read_text_key(where: str, value: Any) -> str:
    return value if isinstance(value, str) and value else expect(where, "a text", value)


def read_flag(where: str, value: Any) -> bool:
    return value if isinstance(value, bool) else expect(where, "true or false", value)


def read_subtable(where: str, value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else expect(where, "a table", value)


def read_texts(where: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value:
        expect(where, "a text or a list of texts", value)
    return tuple(read_text_key(where, v) for v in value)


def read_scalar(where: str, value: Any) -> Scalar:
    if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        return value
    expect(where, "a text or a number", value)


def read_number(where: str, value: Any) -> float:
    """Read a number, or a fraction as text: thirds have no exact decimal form."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        return float(Fraction(value))
    except (TypeError, ValueError, ZeroDivisionError):
        raise ConfigError(f"{where}: expected a number or a fraction such as '10/3'.") from None


def read_value_map(where: str, value: Any) -> dict[str, Scalar]:
    return {alike(k): read_scalar(at(where, k), v) for k, v in read_subtable(where, value).items()}


def read_condition(where: str, value: Any) -> tuple[str, ...]:
    if value == []:
        expect(where, "a value or a list of values", value)
    return tuple(
        alike(read_scalar(where, v)) for v in (value if isinstance(value, list) else [value])
    )


def read_range(where: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        expect(where, "a list of two numbers, low and high", value)
    low, high = (read_number(where, v) for v in value)
    if low > high:
        raise ConfigError(f"{where}: expected low before high, found them the other way round.")
    return low, high


def named_values(read: Reader) -> Reader:
    return lambda where, value: {
        k: read(at(where, k), v) for k, v in read_subtable(where, value).items()
    }


def listed(read: Reader) -> Reader:
    def read_all(where: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not value:
            expect(where, "a list of tables", value)
        return tuple(read(f"{where} {i}", v) for i, v in enumerate(value, start=1))

    return read_all


def table_of(kind: type[T]) -> Reader:
    return lambda where, value: parse_table(kind, where, value)


def parse_table(kind: type[T], where: str, content: Any) -> T:
    """Make a schema dataclass from a table of the map; refuse unknown and missing keys."""
    fields: dict[str, dataclasses.Field[Any]] = {
        f.metadata["key"] or f.name: f
        for f in dataclasses.fields(kind)  # type: ignore[arg-type]
    }
    content, accepted = read_subtable(where, content), f"Accepted keys: {', '.join(fields)}."
    for key in content:
        if key not in fields:
            raise ConfigError(f"{where}: unknown key '{key}'. {accepted}")
    for key, field in fields.items():
        required = field.default is field.default_factory is dataclasses.MISSING
        if required and key not in content:
            raise ConfigError(f"{where}: the key '{key}' is missing. {accepted}")
    read = {k: fields[k].metadata["read"](at(where, k), v) for k, v in content.items()}
    return kind(**{fields[k].name: v for k, v in read.items()})


def find_blanks(content: Any, place: str = "") -> list[str]:
    """Return the places of a map that a draft left to be filled in.

    Examples
    --------
    >>> find_blanks({"study": {"name": "lab", "licence": "FILL IN: may it be passed on?"}})
    ['study.licence']
    """
    if isinstance(content, str):
        return [place] if content.startswith(BLANK) else []
    if isinstance(content, dict):
        pairs = [(f"{place}.{k}" if place else str(k), v) for k, v in content.items()]
    elif isinstance(content, list):
        pairs = [(f"{place} {i}", v) for i, v in enumerate(content, start=1)]
    else:
        return []
    return [blank for where, value in pairs for blank in find_blanks(value, where)]


def declare(read: Reader, key: str = "", **default: Any) -> Any:
    """Declare a key: how its value is read, its name where that is another, its default."""
    return dataclasses.field(metadata={"read": read, "key": key}, **default)
