"""What a batch run reads: a file, a folder, a pattern or standard input, cut into tasks."""

from __future__ import annotations

import glob
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.columns import CASES_BY_NAME
from pipeline.batch_columns import check_types, to_frame, wanted_columns
from pipeline.errors import ConfigError, TableError
from pipeline.io import DELIMITERS, READABLE, RaggedRow, iter_text, read_table
from pipeline.paths import STDIN, check_file

# Enough rows to keep numpy busy, few enough to hold a hundred columns of text in memory.
CHUNK_BYTES = 32 * 2**20
MIN_ROWS, MAX_ROWS = 1024, 131_072
SAMPLE_BYTES = 2**16
READ_BYTES = 2**20
STRINGS = (pa.string(), pa.large_string())
# Encodings of texts that Arrow reads as texts only, with what follows a text stored once.
DELTAS = frozenset({"DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"})
# Of such a file so many rows are read before it is known how long their texts are.
FEW_ROWS = 64


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file, and those of its columns that the contract knows.

    The index of ``frame`` is each row's position in the whole input; ``n_columns`` is what the
    file's header has.
    """

    path: Path
    frame: pd.DataFrame
    ragged: tuple[RaggedRow, ...] = ()
    n_columns: int = 0


@dataclass(frozen=True)
class Task:
    """A piece of the input: a row group that its worker reads, or text that was read already.

    ``first_row`` is the position of the piece in the whole input.
    """

    number: int
    path: Path
    first_row: int
    group: int | None = None
    chunk: Chunk | None = None

    def chunks(self, chunk_rows: int) -> Iterator[Chunk]:
        """Yield the task's rows, at most ``chunk_rows`` at a time."""
        if self.chunk is not None:
            yield self.chunk
        elif self.group is not None:
            yield from _group_chunks(self.path, self.group, self.first_row, chunk_rows)


def find_files(source: str, spool: Path, kind: str = "csv") -> list[Path]:
    """Return the files that ``source`` names, in the order of their names.

    Parameters
    ----------
    source : str
        A file, a folder (every readable file directly in it), a glob pattern, or ``-`` for
        standard input.
    spool : Path
        Folder to keep standard input in.
    kind : str, default='csv'
        Extension of what comes on standard input, without its dot.

    Raises
    ------
    TableError
        Where nothing is found.
    ConfigError
        For standard input of an unknown kind.
    """
    if source == STDIN:
        return [_spool_stdin(spool, kind)]
    path = Path(source)
    # Of os.path, which finds nothing under a name that the system cannot look up.
    if os.path.isdir(path):
        return _some([p for p in sorted(path.iterdir()) if _is_table(p)], f"{path}: expected files")
    if glob.has_magic(source) and not os.path.exists(path):
        matched = [Path(p) for p in sorted(glob.glob(source))]
        return _some([p for p in matched if _is_table(p)], f"{source}: expected matching files")
    check_file(path)
    return [path]


def _some(found: list[Path], expected: str) -> list[Path]:
    if not found:
        raise TableError(f"{expected} of {', '.join(READABLE)}, found none.")
    return found


def _is_table(path: Path) -> bool:
    # A link may lead out of the folder that was given; hidden files are other programs' own.
    hidden = path.name.startswith((".", "_"))
    return (
        path.is_file() and not path.is_symlink() and not hidden and path.suffix.lower() in READABLE
    )


def _spool_stdin(spool: Path, kind: str) -> Path:
    """Keep standard input in a file: Parquet is read from its end."""
    path = spool / f"standard_input.{kind.removeprefix('.')}"
    if path.suffix not in READABLE:
        kinds = ", ".join(r.removeprefix(".") for r in READABLE)
        raise ConfigError(f"--input-format: expected one of {kinds}, found '{kind}'.")
    with path.open("wb") as handle:
        shutil.copyfileobj(sys.stdin.buffer, handle)
    return path


def rows_per_chunk(paths: Sequence[Path]) -> int:
    """Choose how many rows to hold at a time, from the bytes that a row takes."""
    width = max(_bytes_per_row(p) for p in paths)
    return int(min(MAX_ROWS, max(MIN_ROWS, CHUNK_BYTES / width)))


def _bytes_per_row(path: Path) -> float:
    check_file(path)
    if path.suffix.lower() == ".parquet":
        metadata = _parquet(path).metadata
        groups = range(metadata.num_row_groups)
        size = sum(metadata.row_group(g).total_byte_size for g in groups)
        # Dictionaries and runs unfold in memory: a value takes eight bytes there.
        return float(max(size / max(metadata.num_rows, 1), 8.0 * metadata.num_columns, 1.0))
    with path.open("rb") as handle:
        sample = handle.read(SAMPLE_BYTES)
    # A cell of text becomes a Python string of about fifty bytes.
    return 10.0 * len(sample) / max(sample.count(b"\n"), 1)


def iter_tasks(paths: Sequence[Path], chunk_rows: int) -> Iterator[Task]:
    """Yield the input's tasks in order; reads text, and of Parquet the metadata only."""
    number = row = 0
    for path in paths:
        check_file(path)
        if path.suffix.lower() == ".parquet":
            source = _parquet(path)
            metadata, names = source.metadata, source.schema_arrow.names
            check_types(source.schema_arrow, wanted_columns(names, path), path)
            for group in range(max(metadata.num_row_groups, 1)):
                yield Task(number, path, row, group=group)
                row += metadata.row_group(group).num_rows if metadata.num_row_groups else 0
                number += 1
            continue
        for chunk in _read_chunks(path, row, chunk_rows):
            yield Task(number, path, row, chunk=chunk)
            row += len(chunk.frame) + len(chunk.ragged)
            number += 1


def _read_chunks(path: Path, first: int, chunk_rows: int) -> Iterator[Chunk]:
    """Yield the chunks of a file of another kind than Parquet; rows are numbered from ``first``."""
    header: list[str] = []

    def known(names: Sequence[str]) -> list[str]:
        header.extend(names)
        return wanted_columns(names, path)

    if path.suffix.lower() in DELIMITERS:
        frames = iter_text(path, chunk_rows, keep=known)
    else:
        whole = read_table(path)
        kept = whole[known([str(n) for n in whole.columns])]
        frames = ((kept.iloc[at : at + chunk_rows], []) for at in range(0, len(kept), chunk_rows))
    for frame, ragged in frames:
        moved = tuple((first + at, n_cells) for at, n_cells in ragged)
        yield Chunk(path, frame.set_axis(frame.index + first), moved, len(header))


def _parquet(path: Path) -> pq.ParquetFile:
    """Open a file whose texts, of numbers too, stay codes until it is known how long they are."""
    # Buffered: a row group of any size is read page by page.
    how: dict[str, Any] = {"buffer_size": READ_BYTES, "pre_buffer": False}
    try:
        with pq.ParquetFile(path, **how) as plain:
            metadata, schema = plain.metadata, plain.schema_arrow
        texts = [f.name for f in schema if f.name in CASES_BY_NAME and f.type in STRINGS]
        coded = [] if _has_deltas(metadata) else texts
        return pq.ParquetFile(path, metadata=metadata, read_dictionary=coded, **how)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: could not be read as .parquet ({_short(error)}).") from None


def _has_deltas(metadata: pq.FileMetaData) -> bool:
    """Return whether the texts of a column that the contract knows are not to be had as codes."""
    groups = [metadata.row_group(g) for g in range(metadata.num_row_groups)]
    columns = (group.column(i) for group in groups for i in range(metadata.num_columns))
    return any(
        c.path_in_schema in CASES_BY_NAME
        and c.physical_type == "BYTE_ARRAY"
        and not DELTAS.isdisjoint(c.encodings)
        for c in columns
    )


def _batches(
    source: pq.ParquetFile, group: int, names: list[str], chunk_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield a row group's rows; where texts are no codes, few at a time, put together again."""
    how: dict[str, Any] = {"row_groups": [group], "columns": names}
    if not _has_deltas(source.metadata):
        yield from source.iter_batches(chunk_rows, **how)
        return
    held: list[pa.RecordBatch] = []
    n_rows = size = 0
    for few in source.iter_batches(min(FEW_ROWS, chunk_rows), **how):
        if held and (n_rows + few.num_rows > chunk_rows or size + few.nbytes > CHUNK_BYTES):
            yield pa.concat_batches(held)
            held, n_rows, size = [], 0, 0
        held.append(few)
        n_rows, size = n_rows + few.num_rows, size + few.nbytes
    if held:
        yield pa.concat_batches(held)


def _group_chunks(path: Path, group: int, first_row: int, chunk_rows: int) -> Iterator[Chunk]:
    source = _parquet(path)
    names = source.schema_arrow.names
    wanted = [n for n in names if n in CASES_BY_NAME]
    if source.metadata.num_row_groups == 0:
        empty = pa.RecordBatch.from_pylist([], source.schema_arrow).select(wanted)
        yield Chunk(path, to_frame(empty), n_columns=len(names))
        return
    row = first_row
    try:
        for batch in _batches(source, group, wanted, chunk_rows):
            for part in _fitting(batch):
                frame = to_frame(part)
                yield Chunk(
                    path, frame.set_axis(range(row, row + len(frame))), n_columns=len(names)
                )
                row += len(frame)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: could not be read as .parquet ({_short(error)}).") from None


def _fitting(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield rows with their texts spelt out, as many at a time as fit in memory.

    A file stores a text once for all rows that have it: one of kilobytes can name a megabyte for
    each of a million rows.
    """
    coded = {i for i, c in enumerate(batch.columns) if pa.types.is_dictionary(c.type)}
    longest = max([1, *(_longest(batch.column(i)) for i in coded)])
    at_once = max(1, CHUNK_BYTES // longest)
    for at in range(0, max(batch.num_rows, 1), at_once):
        columns = enumerate(batch.slice(at, at_once).columns)
        spelt = [c.dictionary_decode() if i in coded else c for i, c in columns]
        yield pa.RecordBatch.from_arrays(spelt, names=batch.schema.names)


def _longest(column: pa.DictionaryArray) -> int:
    """Bytes of the longest text that is stored once; 0 for other values."""
    if column.dictionary.type not in STRINGS:
        return 0
    return pc.max(pc.binary_length(column.dictionary)).as_py() or 0


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
