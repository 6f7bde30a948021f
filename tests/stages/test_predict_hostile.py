"""Files that mean harm, or are merely broken: one line and a documented code, or rows judged.

Whatever is refused leaves nothing behind; what is read takes bounded memory.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.columns import KEYS
from pipeline.batch_input import iter_tasks, rows_per_chunk
from pipeline.batch_parquet import CHUNK_BYTES, FEW_ROWS
from pipeline.config import PredictParams
from pipeline.predict import PredictOptions, run
from pipeline.study_folder import read_cases

Run = Callable[..., Any]
HEADER = b"study_id,participant_id,session_id,condition,modality,age_years\n"
ROW = b"s,p1,1,healthy,aerobic,40\n"


@pytest.fixture(scope="module")
def rows(trained: Path) -> pd.DataFrame:
    cases = read_cases(trained)
    return cases[cases["modality"] != "rest"].head(20).reset_index(drop=True)


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return bytes(sink.getvalue())


NOTHING = pa.table({n: pa.array([], pa.string()) for n in HEADER.decode().strip().split(",")})
REFUSED = {
    "no bytes": ("in.csv", b"", "expected a table with a header, found an empty file"),
    "no bytes of Parquet": ("in.parquet", b"", "found an empty file"),
    "a header alone": ("in.csv", HEADER, "expected at least one row, found none"),
    "Parquet of no rows": ("in.parquet", parquet(NOTHING), "expected at least one row"),
    "Parquet without columns": ("in.parquet", parquet(pa.table({})), "expected"),
    "blank lines alone": ("in.csv", b"\n\r\n\n", "expected this column"),
    "other bytes after many rows": (
        "in.csv",
        HEADER + ROW * 20_000 + b"s,M\xe4rz,1,healthy,aerobic,40\n",
        "expected UTF-8 text, found other bytes",
    ),
    "UTF-16": ("in.csv", (HEADER + ROW).decode().encode("utf-16"), "expected UTF-8 text"),
    "a cell of a hundred megabytes": (
        "in.csv",
        HEADER + b'"' + b"x" * 10**8 + b'",p1,1,healthy,aerobic,40\n',
        "expected delimited text (field larger than field limit",
    ),
    "a column twice": (
        "in.csv",
        HEADER.replace(b"age_years", b"modality") + ROW,
        "expected column names that occur once, found modality more than once",
    ),
    "gzip under the name of a table": ("in.csv", gzip.compress(HEADER + ROW), "expected UTF-8"),
    "gzip": ("in.csv.gz", gzip.compress(bytes(10**7)), "expected one of .csv"),
    "Parquet cut short": ("in.parquet", parquet(NOTHING)[:-9], "could not be read as .parquet"),
    "a quote that never ends": ("in.csv", HEADER + b'"' + ROW * 10_000, "expected delimited text"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_no_row_can_be_read_from_is_one_line(
    trained: Path, tmp_path: Path, eih: Run, kind: str
) -> None:
    name, content, expected = REFUSED[kind]
    (tmp_path / name).write_bytes(content)

    said = eih(
        *("predict", "--model", trained, "--input", tmp_path / name),
        *("--output", tmp_path / "out.csv"),
    )

    assert said.code == 11
    assert expected in said.err
    assert all(line.startswith(str(tmp_path / name)) for line in said.err.splitlines())
    assert len(said.err) < 2000
    assert [p.name for p in tmp_path.iterdir()] == [name]


def scored(trained: Path, source: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    output = source.with_name("out.csv")
    run(PredictParams(), trained, source, output, PredictOptions())
    rejects = pd.read_csv(source.with_name("out.rejects.csv"), dtype=str)
    return pd.read_csv(output, dtype={"participant_id": str}), rejects


def test_line_ends_of_every_kind_in_one_file_end_a_line(trained: Path, tmp_path: Path) -> None:
    ends = (b"\n", b"\r\n", b"\r")
    lines = [ROW.strip().replace(b"p1", b"p%d" % i) + ends[i % 3] for i in range(9)]
    (tmp_path / "in.csv").write_bytes(HEADER + b"".join(lines))

    found, rejects = scored(trained, tmp_path / "in.csv")

    assert found["participant_id"].tolist() == [f"p{i}" for i in range(9)]
    assert len(rejects) == 0


def test_nul_and_control_characters_reject_their_own_rows(trained: Path, tmp_path: Path) -> None:
    bad = [b"\x00p", b"p\x00", b"\x1b[31mp", b"p\x7f", "p\u200b".encode(), "\u202ep".encode()]
    lines = b"".join(ROW.replace(b"p1", cell) + ROW for cell in bad)
    (tmp_path / "in.csv").write_bytes(HEADER + lines + ROW.replace(b"40", b"4\x000"))

    found, rejects = scored(trained, tmp_path / "in.csv")

    assert found["row"].tolist() == [1, 3, 5, 7, 9, 11]
    assert rejects["code"].tolist() == [*["unprintable_key"] * 6, "not_a_number"]
    text = (tmp_path / "out.rejects.csv").read_text(encoding="utf-8")
    assert text.replace("\n", "").isprintable()


def test_a_hundred_thousand_columns_of_text_are_read_past(
    trained: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    lines = rows.to_csv(index=False).splitlines()
    names = ",".join(f"x{i}" for i in range(100_000))
    cells = ",".join(["7"] * 100_000)
    wide = [f"{names},{lines[0]}", *(f"{cells},{line}" for line in lines[1:])]
    (tmp_path / "in.csv").write_text("\n".join(wide))

    found, rejects = scored(trained, tmp_path / "in.csv")

    assert (len(found), len(rejects)) == (20, 0)


def test_a_link_given_by_name_is_read_as_the_file_it_leads_to(
    trained: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.to_csv(tmp_path / "there.csv", index=False)
    (tmp_path / "in.csv").symlink_to(tmp_path / "there.csv")

    found, _ = scored(trained, tmp_path / "in.csv")

    assert len(found) == 20


def test_an_output_that_is_a_link_is_replaced_and_what_it_leads_to_stays(
    trained: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.to_csv(tmp_path / "in.csv", index=False)
    (tmp_path / "precious.txt").write_text("precious")
    (tmp_path / "out.csv").symlink_to(tmp_path / "precious.txt")

    found, _ = scored(trained, tmp_path / "in.csv")

    assert len(found) == 20
    assert (tmp_path / "precious.txt").read_text() == "precious"
    assert not (tmp_path / "out.csv").is_symlink()


def bomb(path: Path, n_rows: int, length: int, name: str = "participant_id") -> None:
    """A text that is stored once and that every row has: kilobytes that unpack to gigabytes."""
    place = pa.array(np.zeros(n_rows, dtype=np.int32))
    long = pa.DictionaryArray.from_arrays(place, pa.array(["x" * length]))
    columns = {n: pa.array(["1"] * n_rows) for n in KEYS}
    columns |= {"condition": pa.array(["healthy"] * n_rows)}
    columns |= {"modality": pa.array(["aerobic"] * n_rows), name: long}
    # Without Arrow's own schema the reader takes the column for plain text.
    path.write_bytes(parquet(pa.table(columns), store_schema=False))


@pytest.mark.parametrize("name", ["participant_id", "condition", "pcs_1", "age_years"])
def test_a_text_stored_once_for_many_rows_is_not_unpacked_all_at_once(
    tmp_path: Path, name: str
) -> None:
    source = tmp_path / "in.parquet"
    bomb(source, 600, 10**6, name)
    chunk_rows = rows_per_chunk([source])

    held = [len(c.frame) for t in iter_tasks([source], chunk_rows) for c in t.chunks(chunk_rows)]

    # Unpacked at once it would be 600 MB, and a hundred times as much of as small a file.
    assert chunk_rows > 600
    assert sum(held) == 600
    assert max(held) * 10**6 <= CHUNK_BYTES
    assert source.stat().st_size < 10**6


def test_a_text_stored_once_as_a_difference_is_not_unpacked_all_at_once(tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    columns = {n: pa.array(["1"] * 300) for n in (*KEYS, "modality")}
    columns |= {"condition": pa.array(["x" * 10**6] * 300)}
    delta = {"condition": "DELTA_BYTE_ARRAY"}
    pq.write_table(pa.table(columns), source, use_dictionary=False, column_encoding=delta)

    held = [len(c.frame) for t in iter_tasks([source], 10**5) for c in t.chunks(10**5)]

    assert sum(held) == 300
    assert max(held) <= FEW_ROWS
    assert source.stat().st_size < 2 * 10**6


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_texts_stored_as_differences_are_scored_as_any_others(
    trained: Path, rows: pd.DataFrame, tmp_path: Path, encoding: str
) -> None:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    pq.write_table(table, tmp_path / "plain.parquet")
    delta = {"participant_id": encoding, "sex": encoding}
    pq.write_table(
        table, tmp_path / "delta.parquet", use_dictionary=["condition"], column_encoding=delta
    )

    plain, differences = (scored(trained, tmp_path / f"{n}.parquet") for n in ("plain", "delta"))

    pd.testing.assert_frame_equal(differences[0], plain[0])
    assert len(plain[0]) == len(rows)


def test_a_key_that_is_stored_once_is_refused_for_every_row(trained: Path, tmp_path: Path) -> None:
    bomb(tmp_path / "in.parquet", 50, 10**6)

    found, rejects = scored(trained, tmp_path / "in.parquet")

    assert (len(found), rejects["code"].tolist()) == (0, ["oversized_key"] * 50)
    assert rejects["participant_id"].str.len().max() == 201
