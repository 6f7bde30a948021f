"""Row groups of Parquet in bounded memory, whatever their file says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import TableError

CHUNK_BYTES = 32 * 2**20
# Buffered: a row group of any size is read page by page.
HOW: dict[str, Any] = {"buffer_size": 2**20, "pre_buffer": False}
STRINGS = (pa.string(), pa.large_string())
# Encodings of texts that Arrow reads as texts only, with what follows a text stored once.
DELTAS = frozenset({"DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"})
# Of such a group so many rows are read before it is known how long their texts are.
FEW_ROWS = 64


class Footer(NamedTuple):
    """What a file says of itself."""

    metadata: pq.FileMetaData
    schema: pa.Schema


def footer(path: Path) -> Footer:
    """Return what a Parquet file says of itself; read once, however many row groups it has.

    Raises
    ------
    TableError
        If it cannot be read.
    """
    try:
        state = path.stat()
        return _footer(path, (state.st_size, state.st_mtime_ns))
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


@lru_cache(maxsize=4)
def _footer(path: Path, state: tuple[int, int]) -> Footer:
    with pq.ParquetFile(path, **HOW) as source:
        return Footer(source.metadata, source.schema_arrow)


def read_group(
    path: Path, group: int, names: Sequence[str], chunk_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield a row group's rows, texts spelt out, as many at a time as fit in memory.

    Texts, of numbers too, stay codes until it is known how long they are: a file of kilobytes
    can name one megabyte for each of a million rows.

    Parameters
    ----------
    path : Path
    group : int
        0 of a file without row groups: its columns, without rows.
    names : sequence of str
        The columns wanted, in the order of the file.
    chunk_rows : int
        Rows at the most.

    Raises
    ------
    TableError
        If it cannot be read.
    """
    metadata, schema = footer(path)
    if metadata.num_row_groups == 0:
        yield pa.RecordBatch.from_pylist([], schema).select(list(names))
        return
    texts = [n for n in names if schema.field(n).type in STRINGS]
    deltas = _has_deltas(metadata.row_group(group), texts)
    try:
        with pq.ParquetFile(
            path, metadata=metadata, read_dictionary=[] if deltas else texts, **HOW
        ) as source:
            rows = min(FEW_ROWS, chunk_rows) if deltas else chunk_rows
            batches = source.iter_batches(rows, row_groups=[group], columns=list(names))
            for batch in _joined(batches, chunk_rows) if deltas else batches:
                yield from _fitting(batch)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def _has_deltas(group: pq.RowGroupMetaData, texts: Sequence[str]) -> bool:
    columns = (group.column(i) for i in range(group.num_columns))
    return any(c.path_in_schema in texts and not DELTAS.isdisjoint(c.encodings) for c in columns)


def _joined(batches: Iterator[pa.RecordBatch], chunk_rows: int) -> Iterator[pa.RecordBatch]:
    """Put batches of few rows together again."""
    held: list[pa.RecordBatch] = []
    n_rows = size = 0
    for few in batches:
        if held and (n_rows + few.num_rows > chunk_rows or size + few.nbytes > CHUNK_BYTES):
            yield pa.concat_batches(held)
            held, n_rows, size = [], 0, 0
        held.append(few)
        n_rows, size = n_rows + few.num_rows, size + few.nbytes
    if held:
        yield pa.concat_batches(held)


def _fitting(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Spell codes out, so many rows at a time that all might have the longest text."""
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


def _unreadable(path: Path, error: Exception) -> TableError:
    said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    return TableError(f"{path}: could not be read as .parquet ({said}).")
