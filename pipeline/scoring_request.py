"""Read the body of a scoring request: raw cases, or a refusal that repeats nothing of it.

The formats are those of MLflow's scoring protocol. MLflow's own reader guesses types, which
turns the id 007 into 7, and puts the body into its errors.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.columns import CASES_BY_NAME
from pipeline.errors import TableError
from pipeline.io import parse_text

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
LAYOUTS = ("dataframe_records", "dataframe_split", "instances", "inputs")
# A request is answered from memory; larger tables are what batch prediction is for.
MOST_BYTES = 2**26
MOST_ROWS = 100_000
WHERE = Path("request")
# From here on a number of JSON is kept as text: floats would not tell two ids apart.
EXACT_IN_FLOATS = 2**53
BAD_REQUEST, TOO_LARGE, UNSUPPORTED = 400, 413, 415


class RequestError(Exception):
    """A request that cannot be read; says what was expected and repeats nothing of it.

    Parameters
    ----------
    status : int
        HTTP status, 4xx.
    message : str
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_request(body: bytes, content_type: str | None) -> pd.DataFrame:
    """Return the rows of a request.

    Parameters
    ----------
    body : bytes
    content_type : str or None
        As in the request's header.

    Returns
    -------
    DataFrame of shape (n_rows, n_known_columns)
        Cells as they were sent, columns that the contract knows.

    Raises
    ------
    RequestError
        For another content type, too large a body, and what is no table in it.
    """
    kind = _media_type(content_type)
    if len(body) > MOST_BYTES:
        raise RequestError(
            TOO_LARGE,
            f"request: expected at most {MOST_BYTES >> 20} MiB, found {len(body) >> 20}. Use "
            "'eih predict' for large tables.",
        )
    if kind == PARQUET:
        return _known(_parquet(body))
    return parse_json(_utf8(body)) if kind == JSON else parse_csv(_utf8(body))


def _media_type(content_type: str | None) -> str:
    kind, *parameters = [p.strip().lower() for p in (content_type or "").split(";")]
    charset_only = all(p.replace('"', "") in ("charset=utf-8", "") for p in parameters)
    if kind in (JSON, CSV, PARQUET) and charset_only:
        return kind
    raise RequestError(
        UNSUPPORTED, f"request: expected content type {JSON}, {CSV} or {PARQUET}, in UTF-8."
    )


def _utf8(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RequestError(BAD_REQUEST, "request: expected UTF-8 text.") from None


def parse_csv(text: str) -> pd.DataFrame:
    """Return the rows of a comma-separated text; every cell is text, nothing is guessed."""
    try:
        # newline="": the reader of CSV tells line ends in cells from those of rows.
        return _known(parse_text(io.StringIO(text, newline=""), WHERE))
    except TableError as error:
        raise RequestError(BAD_REQUEST, str(error)) from None


def _parquet(body: bytes) -> pd.DataFrame:
    try:
        names = _checked_columns(pq.ParquetFile(pa.BufferReader(body)))
        # A text that fills many rows unpacks to one copy, not to many.
        source = pq.ParquetFile(pa.BufferReader(body), read_dictionary=names)
        found: pd.DataFrame = _whole_ids(source.read(names)).to_pandas()
    except (OSError, LookupError, TypeError, ValueError, pa.ArrowException):
        raise RequestError(BAD_REQUEST, "request: could not be read as Parquet.") from None
    return found.astype(dict.fromkeys(found.select_dtypes("category").columns, "object"))


def _whole_ids(table: pa.Table) -> pa.Table:
    """Make texts of ids that are numbers: with nulls among them they would become floats."""
    for at, name in enumerate(table.column_names):
        textual = CASES_BY_NAME[name].kind in ("text", "category")
        if textual and pa.types.is_integer(table.schema.field(name).type):
            table = table.set_column(at, name, table.column(name).cast(pa.string()))
    return table


def _checked_columns(source: pq.ParquetFile) -> list[str]:
    """Names of the known columns of a Parquet file, once it is small and plain enough."""
    metadata, schema = source.metadata, source.schema_arrow
    _check_rows(metadata.num_rows)
    groups = range(metadata.num_row_groups)
    unpacked = sum(metadata.row_group(g).total_byte_size for g in groups)
    if unpacked > MOST_BYTES:
        raise RequestError(
            TOO_LARGE,
            f"request: expected at most {MOST_BYTES >> 20} MiB when unpacked, found "
            f"{unpacked >> 20}.",
        )
    _check_names(schema.names)
    names = [n for n in schema.names if n in CASES_BY_NAME]
    for name in names:
        kind = schema.field(name).type
        if pa.types.is_nested(kind) or pa.types.is_temporal(kind):
            raise RequestError(
                BAD_REQUEST, f"request, column '{name}': expected numbers or texts, found {kind}."
            )
    return names


def parse_json(text: str) -> pd.DataFrame:
    """Return the rows of a JSON object in one of the layouts of MLflow's scoring protocol."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise RequestError(BAD_REQUEST, "request: could not be read as JSON.") from None
    given = [n for n in LAYOUTS if isinstance(content, dict) and n in content]
    if len(given) != 1:
        raise RequestError(
            BAD_REQUEST,
            f"request: expected an object with exactly one of {', '.join(LAYOUTS)}, "
            f"found {len(given)} of them.",
        )
    layout, table = given[0], content[given[0]]
    if layout == "dataframe_split":
        return _from_split(table)
    if layout == "inputs" and isinstance(table, dict):
        return _from_columns(table)
    return _from_records(table, layout)


def _from_records(records: Any, layout: str) -> pd.DataFrame:
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise _no_layout(layout, "a list of objects, one a row")
    names = dict.fromkeys(name for record in records for name in record if name in CASES_BY_NAME)
    return _frame({name: [r.get(name) for r in records] for name in names}, len(records))


def _from_split(table: Any) -> pd.DataFrame:
    expected = "'columns', a list of names, and 'data', a list of rows of as many cells"
    columns, rows = (
        (table.get("columns"), table.get("data")) if isinstance(table, dict) else (None, None)
    )
    if not isinstance(columns, list) or not all(isinstance(c, str) for c in columns):
        raise _no_layout("dataframe_split", expected)
    if not isinstance(rows, list) or any(
        not isinstance(row, list) or len(row) != len(columns) for row in rows
    ):
        raise _no_layout("dataframe_split", expected)
    _check_names(columns)
    known = {i: name for i, name in enumerate(columns) if name in CASES_BY_NAME}
    return _frame({name: [row[i] for row in rows] for i, name in known.items()}, len(rows))


def _from_columns(table: Mapping[str, Any]) -> pd.DataFrame:
    known = {n: v if isinstance(v, list) else [v] for n, v in table.items() if n in CASES_BY_NAME}
    lengths = {len(values) for values in known.values()}
    if len(lengths) > 1:
        raise _no_layout("inputs", "columns of one length")
    return _frame(known, next(iter(lengths), 0))


def _no_layout(layout: str, expected: str) -> RequestError:
    return RequestError(BAD_REQUEST, f"request, '{layout}': expected {expected}.")


def _frame(columns: Mapping[str, Sequence[Any]], n_rows: int) -> pd.DataFrame:
    _check_rows(n_rows)
    cells = {name: [_cell(v, name, i) for i, v in enumerate(c)] for name, c in columns.items()}
    return pd.DataFrame(cells, index=range(n_rows), dtype="object")


def _cell(value: Any, name: str, row: int) -> Any:
    if isinstance(value, dict | list):
        raise RequestError(
            BAD_REQUEST,
            f"request, column '{name}', row {row}: expected a number, a text or null, found a "
            "list or an object.",
        )
    if isinstance(value, int) and abs(value) > EXACT_IN_FLOATS:
        return str(value)
    return value


def _known(table: pd.DataFrame) -> pd.DataFrame:
    _check_names(list(table.columns))
    _check_rows(len(table))
    return table[[n for n in table.columns if n in CASES_BY_NAME]]


def _check_names(names: Sequence[str]) -> None:
    known = [n for n in names if n in CASES_BY_NAME]
    repeated = sorted({n for n in known if known.count(n) > 1})
    if repeated:
        raise RequestError(
            BAD_REQUEST,
            f"request, column '{repeated[0]}': expected it once, found it more often.",
        )


def _check_rows(n_rows: int) -> None:
    if n_rows > MOST_ROWS:
        raise RequestError(
            TOO_LARGE,
            f"request: expected at most {MOST_ROWS} rows, found {n_rows}. Use 'eih predict'.",
        )
    if n_rows == 0:
        raise RequestError(BAD_REQUEST, "request: expected at least one row, found none.")
