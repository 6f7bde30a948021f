"""Keys as they go out: safe to print, of bounded length, and pseudonymous where asked."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import KEYS
from features.contract import Violation
from pipeline.errors import ConfigError, TableError

UNPRINTABLE = "unprintable_key"
OVERSIZED = "oversized_key"
LONGEST_KEY = 200
LEAST_KEY_BYTES = 16
# 128 bits: two persons of the same pseudonym are not to be expected.
PSEUDONYM_DIGITS = 32
Pseudonym = Callable[[str], str]


def texts(column: Iterable[object]) -> pa.Array:
    """Return texts as Arrow has them; NaN and None are null.

    A lone surrogate, which no file can hold, becomes its escape.
    """
    if isinstance(column, pd.Series) and isinstance(column.dtype, pd.StringDtype):
        array = pa.array(column, from_pandas=True).cast(pa.string())
        return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    values = pd.Series(column, dtype="object").to_numpy()
    try:
        return pa.array(values, pa.string(), from_pandas=True)
    except (UnicodeEncodeError, pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if pd.isna(v) else _encodable(str(v)) for v in values], pa.string())


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def unsafe_keys(table: pd.DataFrame) -> list[Violation]:
    """Find keys that would not survive a terminal or a spreadsheet, or that are no keys.

    Parameters
    ----------
    table : DataFrame
        As returned by ``check_cases``.
    """
    found: list[Violation] = []
    for name in KEYS:
        array, lone = _encoded(table[name])
        # The escape of a lone surrogate is plain itself.
        if isinstance(lone, pa.Scalar) and _are_plain(array):
            continue
        hidden = _rows(pc.or_(pc.invert(pc.utf8_is_printable(array)), lone))
        long = _rows(pc.greater(pc.utf8_length(array), LONGEST_KEY))
        if hidden:
            expected = "printable characters"
            found.append(Violation(name, UNPRINTABLE, hidden, expected, f"{len(hidden)} others"))
        if long:
            expected = f"at most {LONGEST_KEY} characters"
            found.append(Violation(name, OVERSIZED, long, expected, f"{len(long)} longer ones"))
    return found


def _are_plain(array: pa.Array) -> bool:
    """Whether all texts are of few printable ASCII characters: known in a tenth of the time."""
    few_bytes = (pc.max(pc.binary_length(array)).as_py() or 0) <= LONGEST_KEY
    printable = pc.and_(pc.string_is_ascii(array), pc.ascii_is_printable(array))
    return few_bytes and bool(pc.all(printable, min_count=0).as_py())


def _encoded(column: pd.Series) -> tuple[pa.Array, pa.Array]:
    """Return texts as Arrow has them, and which of them hold a lone surrogate."""
    if isinstance(column.dtype, pd.StringDtype):
        return texts(column), pa.scalar(False)
    values = column.to_numpy(dtype=object)
    try:
        return pa.array(values, pa.string(), from_pandas=True), pa.scalar(False)
    except UnicodeEncodeError:
        lone = [isinstance(v, str) and any("\ud800" <= c <= "\udfff" for c in v) for v in values]
        return texts(values), pa.array(lone)


def _rows(mask: pa.BooleanArray) -> tuple[int, ...]:
    if not pc.any(mask).as_py():
        return ()
    flags = mask.fill_null(False).to_numpy(zero_copy_only=False)
    return tuple(int(r) for r in np.flatnonzero(flags))


def shown_key(value: object) -> str | None:
    """Return a rejected row's key so that it can be printed: escaped, and cut where too long.

    Examples
    --------
    >>> shown_key("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    if value is None or (isinstance(value, float) and value != value) or value is pd.NA:
        return None
    text = str(value).strip()
    cut = text[:LONGEST_KEY] + ("…" if len(text) > LONGEST_KEY else "")
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def read_key(path: Path) -> bytes:
    """Read the secret of pseudonyms from a file; a line's end is no part of it.

    Raises
    ------
    TableError
        Where the file cannot be read.
    ConfigError
        For fewer than 16 bytes.
    """
    try:
        key = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror}).") from None
    if len(key) < LEAST_KEY_BYTES:
        raise ConfigError(
            f"{path}: expected a secret of at least {LEAST_KEY_BYTES} bytes, found {len(key)}. "
            "Make one from random bytes."
        )
    return key


def pseudonym_of(key: bytes) -> Pseudonym:
    """Return the function that replaces a participant's id: HMAC-SHA256, first 128 bits as hex.

    Whoever has the key can repeat it, nobody else can try ids out.

    References
    ----------
    .. [RFC2104] Krawczyk, Bellare, Canetti. HMAC: keyed-hashing for message authentication.
    """

    def pseudonym(participant_id: str) -> str:
        text = participant_id.strip().encode("utf-8", "backslashreplace")
        return hmac.digest(key, text, hashlib.sha256).hex()[:PSEUDONYM_DIGITS]

    return pseudonym


def key_fingerprint(key: bytes) -> str:
    """Tell two keys apart without giving either away."""
    return pseudonym_of(key)("eih pseudonym key")
