"""The only code that opens a user's files. Formats go by extension; writing is atomic."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat

from features.contract import Checked, Violation, check_cases, check_measurements
from pipeline.errors import ConfigError, TableError
from pipeline.paths import check_file
from pipeline.zip_guard import check_workbook

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
READABLE = (*DELIMITERS, ".parquet", ".xlsx", ".sav")
WRITABLE = (".csv", ".tsv", ".parquet")
PERSON = "participant_id"


def read_table(
    path: Path, delimiter: str | None = None, *, allow_repeated: bool = False
) -> pd.DataFrame:
    """Read a whole table; text formats come as text, so that nothing is guessed or lost.

    Parameters
    ----------
    path : Path
        .csv, .tsv, .txt (tabs), .parquet, .xlsx (first sheet) or .sav.
    delimiter : str, optional
        For a text file whose extension does not tell.
    allow_repeated : bool, default=False
        Keep columns of the same name in a text file: for a caller who uses a few columns and
        looks at those.

    Raises
    ------
    TableError
        Where the file is missing, unreadable, ragged or of an unknown kind.
    """
    check_file(path)
    suffix = path.suffix.lower()
    try:
        if suffix in DELIMITERS:
            repeated = "keep" if allow_repeated else "raise"
            chunks = iter_text(path, sys.maxsize, delimiter, ragged="raise", repeated=repeated)
            return next(frame for frame, _ in chunks)
        if suffix == ".parquet":
            return pd.read_parquet(path)
        if suffix == ".xlsx":
            check_workbook(path)
            return pd.read_excel(path, dtype=str)
        if suffix == ".sav":
            return pd.read_spss(path, convert_categoricals=False)
    except (OSError, ValueError, KeyError, ImportError, pyreadstat.ReadstatError) as error:
        raise TableError(f"{path}: could not be read as {suffix} ({_short(error)}).") from None
    raise TableError(f"{path}: expected one of {', '.join(READABLE)}, found '{suffix}'.")


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


RaggedRow = tuple[int, int]  # (0-based position, number of cells found)
# Given a header's names, returns those whose cells are kept.
Keep = Callable[[list[str]], Sequence[str]]


def iter_text(
    path: Path,
    chunk_rows: int,
    delimiter: str | None = None,
    ragged: str = "collect",
    repeated: str = "raise",
    keep: Keep | None = None,
) -> Iterator[tuple[pd.DataFrame, list[RaggedRow]]]:
    """Yield a delimited text file as frames of text with the rows' positions as index.

    Rows whose number of cells differs from the header's cannot be assigned to columns. They
    are returned beside each frame (``ragged="collect"``) or raise (``ragged="raise"``). Blank
    lines are skipped, as every reader of CSV does. Names that occur twice raise
    (``repeated="raise"``) or are kept (``"keep"``). A file with a header and no rows yields one
    empty frame. Cells of columns that ``keep`` leaves out are never held.
    """
    mark = delimiter or DELIMITERS[path.suffix.lower()]
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.reader(handle, delimiter=mark)
            header = next(reader, [])
            if repeated == "raise":
                _check_header(path, header)
            kept = header if keep is None else list(keep(header))
            yield from _chunks(path, (header, kept), reader, chunk_rows, ragged)
    except UnicodeDecodeError:
        raise TableError(
            f"{path}: expected UTF-8 text, found other bytes. Save it as UTF-8."
        ) from None
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror}).") from None
    except csv.Error as error:
        raise TableError(f"{path}: expected delimited text ({_short(error)}).") from None


def parse_text(handle: Iterable[str], where: Path) -> pd.DataFrame:
    """Read comma-separated lines that lie in no file, by the rules of :func:`iter_text`.

    Raises
    ------
    TableError
        For an empty text and for ragged rows; ``where`` names the place. Names that occur twice
        are kept: they may be values of a table without a header, which no message should repeat.
    """
    try:
        reader = csv.reader(handle)
        header = next(reader, [])
        if not header:
            raise TableError(f"{where}: expected a table with a header, found nothing.")
        chunks = _chunks(where, (header, header), reader, sys.maxsize, "raise")
        frames = [frame for frame, _ in chunks]
    except csv.Error as error:
        raise TableError(f"{where}: expected delimited text ({_short(error)}).") from None
    return frames[0]


def iter_tables(path: Path, chunk_rows: int) -> Iterator[tuple[pd.DataFrame, list[RaggedRow]]]:
    """Yield any readable table in chunks, with the rows' positions as index.

    Text and Parquet are streamed; the other formats are read whole, then cut. Ragged rows of
    text files come beside each chunk, see :func:`iter_text`.
    """
    check_file(path)
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        yield from iter_text(path, chunk_rows)
    elif suffix == ".parquet":
        start = 0
        for frame in _parquet_frames(path, chunk_rows):
            yield frame.set_axis(range(start, start + len(frame))), []
            start += len(frame)
    else:
        table = read_table(path)
        for start in range(0, max(len(table), 1), chunk_rows):
            yield table.iloc[start : start + chunk_rows], []


def _parquet_frames(path: Path, chunk_rows: int) -> Iterator[pd.DataFrame]:
    try:
        source = pq.ParquetFile(path)
        if source.metadata.num_rows == 0:
            yield source.schema_arrow.empty_table().to_pandas()
        for batch in source.iter_batches(chunk_rows):
            yield batch.to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: could not be read as .parquet ({_short(error)}).") from None


def guess_delimiter(path: Path) -> str | None:
    """Return the separator a text file's header uses, None where its extension tells it.

    Examples
    --------
    >>> guess_delimiter(Path("table.parquet"))
    """
    suffix = path.suffix.lower()
    if suffix not in DELIMITERS:
        return None
    check_file(path)
    with path.open(encoding="utf-8-sig", errors="replace") as handle:
        header = handle.readline()
    counts = {mark: header.count(mark) for mark in (DELIMITERS[suffix], ";", "\t", "|", ",")}
    best = max(counts, key=lambda mark: counts[mark])
    return None if best == DELIMITERS[suffix] else best


def _check_header(path: Path, header: list[str]) -> None:
    repeated = sorted(name for name, count in Counter(header).items() if count > 1)
    if repeated:
        raise TableError(
            f"{path}: expected column names that occur once, found {', '.join(repeated[:5])} "
            "more than once."
        )


def _chunks(
    path: Path,
    names: tuple[list[str], list[str]],
    reader: Iterable[list[str]],
    chunk_rows: int,
    ragged: str,
) -> Iterator[tuple[pd.DataFrame, list[RaggedRow]]]:
    header, kept = names
    places = None if kept is header else [header.index(name) for name in kept]
    rows: list[list[str]] = []
    positions: list[int] = []
    bad: list[RaggedRow] = []
    position = -1
    first = True
    for row in reader:
        if not row:
            continue
        position += 1
        if len(row) != len(header):
            if ragged == "raise":
                raise TableError(
                    f"{path}, row {position}: expected {len(header)} cells as in the header, "
                    f"found {len(row)}. Check delimiters and quotes."
                )
            bad.append((position, len(row)))
        else:
            rows.append(row if places is None else [row[i] for i in places])
            positions.append(position)
        if len(rows) + len(bad) >= chunk_rows:
            yield pd.DataFrame(rows, columns=kept, index=positions, dtype="object"), bad
            rows, positions, bad, first = [], [], [], False
    if rows or bad or first:
        yield pd.DataFrame(rows, columns=kept, index=positions, dtype="object"), bad


def read_checked(path: Path, kind: str) -> pd.DataFrame:
    """Read a table and check it as ``cases`` or ``measurements``.

    Raises
    ------
    TableError
        With every violation, one a line.
    """
    return require_valid(check_table(read_table(path), kind), path)


def check_table(table: pd.DataFrame, kind: str) -> Checked:
    """Check a table as ``kind`` (``cases`` or ``measurements``)."""
    checks: dict[str, Callable[[pd.DataFrame], Checked]] = {
        "cases": check_cases,
        "measurements": check_measurements,
    }
    if kind not in checks:
        raise ConfigError(f"kind: expected cases or measurements, found '{kind}'.")
    return checks[kind](table)


def require_valid(checked: Checked, where: Path) -> pd.DataFrame:
    """Return the checked table, or raise TableError with every violation."""
    if checked.violations:
        raise TableError(describe(checked.violations, where))
    return checked.table


def describe(violations: Iterable[Violation], where: Path) -> str:
    """One line per violation."""
    return "\n".join(v.message(str(where)) for v in violations)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it takes the final name, else it goes."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-", suffix=path.suffix)
        os.close(handle)
    except OSError as error:
        raise TableError(f"{path}: cannot be written ({error.strerror}).") from None
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def names_persons(path: Path) -> bool:
    """Whether a file is a table with a row a person: one with a column of their ids."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return PERSON in pq.read_schema(path).names
    if suffix in DELIMITERS:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            return PERSON in next(csv.reader(handle, delimiter=DELIMITERS[suffix]), [])
    return False


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table by extension; the same table gives the same bytes."""
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise TableError(f"{path}: expected one of {', '.join(WRITABLE)}, found '{suffix}'.")
    with atomic_path(path) as temporary:
        if suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False, sep=DELIMITERS[suffix], lineterminator="\n")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn whatever the system says against writing into one line about ``path``."""
    try:
        yield
    except OSError as error:
        # Arrow keeps the number and words it in its own, longer way.
        reason = os.strerror(error.errno) if error.errno else _short(error)
        raise TableError(f"{path}: cannot be written ({reason}).") from None


def write_text(text: str, path: Path) -> None:
    """Write a text as UTF-8 with the line ends it has."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(content: Any, path: Path) -> None:
    """Write JSON with sorted keys; NaN becomes null (JSON has no NaN)."""
    write_text(to_json(content), path)


def to_json(content: Any) -> str:
    """Return indented JSON text with sorted keys and null for NaN."""
    return json.dumps(_without_nan(content), indent=2, sort_keys=True, allow_nan=False) + "\n"


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(k): _without_nan(v) for k, v in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(v) for v in content]
    if hasattr(content, "item"):
        content = content.item()
    if isinstance(content, float) and content - content != 0:  # NaN and infinities
        return None
    return content


def append_line(content: Any, path: Path) -> None:
    """Append one line of JSON; a last line that a killed program cut short goes first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(_without_nan(content), sort_keys=True, allow_nan=False)
    whole = path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
    with path.open("ab") as handle:
        handle.truncate(whole)
        handle.write(line.encode() + b"\n")
        handle.flush()
        os.fsync(handle.fileno())


def read_lines(path: Path) -> list[Any]:
    """Read lines of JSON; none where there is no file. A last line cut short is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    # What follows the last line end was being written when the program was killed.
    return [json.loads(line) for line in lines[:-1] if line]


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file that a user wrote.

    Raises
    ------
    ConfigError
        Where it is no TOML.
    """
    check_file(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not UTF-8, or not TOML
        raise ConfigError(f"{path}: expected TOML ({_short(error)}).") from None


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    check_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TableError(f"{path}: expected JSON ({_short(error)}).") from None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
