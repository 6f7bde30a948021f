"""What a batch run reads: a file, a folder, a pattern or standard input, cut into tasks."""

from __future__ import annotations

import glob
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from features.columns import CASES_BY_NAME
from pipeline.batch_columns import check_types, to_frame, wanted_columns
from pipeline.batch_parquet import CHUNK_BYTES, footer, read_group
from pipeline.errors import ConfigError, TableError
from pipeline.io import DELIMITERS, READABLE, RaggedRow, iter_text, read_table
from pipeline.paths import STDIN, check_file

# Enough rows to keep numpy busy, few enough to hold a hundred columns of text in memory.
MIN_ROWS, MAX_ROWS = 1024, 131_072
SAMPLE_BYTES = 2**16


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
        metadata = footer(path).metadata
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
            metadata, schema = footer(path)
            check_types(schema, wanted_columns(schema.names, path), path)
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


def _group_chunks(path: Path, group: int, first_row: int, chunk_rows: int) -> Iterator[Chunk]:
    names = footer(path).schema.names
    wanted = [n for n in names if n in CASES_BY_NAME]
    row = first_row
    for batch in read_group(path, group, wanted, chunk_rows):
        frame = to_frame(batch)
        yield Chunk(path, frame.set_axis(range(row, row + len(frame))), n_columns=len(names))
        row += len(frame)
