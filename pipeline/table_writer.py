"""Write a table piece by piece; the bytes depend on the rows alone, not on how they come."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from pipeline.errors import TableError
from pipeline.io import DELIMITERS, PERSON, WRITABLE

GROUP_ROWS = 65_536
# A spreadsheet runs a cell that begins so (with wide forms of the signs, too); a plain number may
# begin with a sign. A text that begins with an apostrophe gets one as well: whoever takes one
# leading apostrophe away from every text that has one has the texts back.
FORMULA = r"^['=+\-@\t\r\n＝＋－＠]"
CONTRIBUTION = "_contribution_"
PLAIN_NUMBER = r"^[+-]?\d+(\.\d+)?$"


def check_writable(path: Path) -> None:
    """Raise TableError for an extension that is not written."""
    if path.suffix not in WRITABLE:
        raise TableError(f"{path}: expected one of {', '.join(WRITABLE)}, found '{path.suffix}'.")


class TableWriter:
    """Write Arrow tables of one schema to .parquet, .csv or .tsv.

    Rows are regrouped to groups of ``GROUP_ROWS``, so that equal rows give equal bytes. In a
    delimited file a text that a spreadsheet would run as a formula gets a leading apostrophe.

    Parameters
    ----------
    path : Path
    metadata : dict of str to str, optional
        Goes into the schema of a Parquet file.

    Raises
    ------
    TableError
        For another extension.
    """

    def __init__(self, path: Path, metadata: dict[str, str] | None = None) -> None:
        check_writable(path)
        self._path = path
        self._metadata = metadata or {}
        self._waiting: list[pa.Table] = []
        self._n_waiting = 0
        self._writer: Any = None

    def __enter__(self) -> Self:
        """Open for writing; the file's columns are those of the first table."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Write what is waiting, and make sure that it has reached the disk."""
        if kind is None and self._n_waiting:
            self._flush(self._n_waiting)
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
        if kind is None:
            sync(self._path)

    def abandon(self) -> None:
        """Close the file as it is, if it was begun; nothing more is written."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            with contextlib.suppress(OSError, pa.ArrowException):  # a full disk, once more
                writer.close()

    def write(self, table: pa.Table) -> None:
        """Append rows; a table without rows still gives the file its columns."""
        if self._writer is None:
            self._writer = self._begin(table.schema)
        self._waiting.append(table)
        self._n_waiting += table.num_rows
        while self._n_waiting >= GROUP_ROWS:
            self._flush(GROUP_ROWS)

    def _begin(self, schema: pa.Schema) -> Any:
        if self._path.suffix == ".parquet":
            # Risks, contributions and persons hardly repeat: to look each up only takes time.
            repeating = [f.name for f in schema if pa.types.is_string(f.type) and f.name != PERSON]
            # Nobody looks for rows by a contribution; of the others, readers skip groups.
            ranged = [f.name for f in schema if CONTRIBUTION not in f.name]
            return pq.ParquetWriter(
                self._path,
                schema.with_metadata(self._metadata),
                use_dictionary=repeating,
                write_statistics=ranged,
            )
        options = pa_csv.WriteOptions(
            delimiter=DELIMITERS[self._path.suffix], quoting_style="needed"
        )
        return pa_csv.CSVWriter(str(self._path), schema, write_options=options)

    def _flush(self, n_rows: int) -> None:
        table = pa.concat_tables(self._waiting)
        # One chunk each column: where pages end must not depend on how the rows came.
        group = table.slice(0, n_rows).combine_chunks()
        self._waiting = [table.slice(n_rows)]
        self._n_waiting = table.num_rows - n_rows
        if self._path.suffix == ".parquet":
            group = group.replace_schema_metadata(self._metadata)
            self._writer.write_table(group, row_group_size=GROUP_ROWS)
        else:
            self._writer.write_table(harmless(group))


def harmless(table: pa.Table) -> pa.Table:
    """Put an apostrophe before every text that a spreadsheet would run.

    Nothing is lost: a text that begins with an apostrophe gets another.

    Examples
    --------
    >>> harmless(pa.table({"id": ["=1+1", "-5", "P1", "'P"]}))["id"].to_pylist()
    ["'=1+1", '-5', 'P1', "''P"]
    """
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = table[field.name]
            risky = pc.and_not(
                pc.match_substring_regex(column, FORMULA),
                pc.match_substring_regex(column, PLAIN_NUMBER),
            )
            if pc.any(risky).as_py():
                escaped = pc.binary_join_element_wise("'", column, "")
                table = table.set_column(i, field, pc.if_else(risky, escaped, column))
    return table


def sync(path: Path) -> None:
    """Make sure that a file, or a folder's names, have reached the disk."""
    if path.exists():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
