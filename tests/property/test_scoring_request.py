"""Whatever a client sends, it is read as a table or refused, and a refusal repeats none of it."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.columns import CASES_BY_NAME
from pipeline.scoring_request import (
    CSV,
    JSON,
    LAYOUTS,
    MOST_BYTES,
    PARQUET,
    RequestError,
    read_request,
)

CANARY = "canary-7f3a91"
NAMES = st.sampled_from(["study_id", "participant_id", "age_years", "pcs_1", CANARY, ""])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from([CANARY, "", "\ud800", "\x00", "1e999", "=1+1"]),
    st.text(max_size=4),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
TABLES = st.one_of(
    ANYTHING,
    st.lists(st.dictionaries(NAMES, SCALARS, max_size=4), max_size=4),
    st.dictionaries(NAMES, st.lists(SCALARS, max_size=3), max_size=4),
    st.fixed_dictionaries(
        {
            "columns": st.lists(NAMES, max_size=3),
            "data": st.lists(st.lists(SCALARS, max_size=3), max_size=3),
        }
    ),
)


def read_or_refusal(body: bytes, content_type: str | None) -> pd.DataFrame | None:
    """The table, or None after checking that the refusal is a good one."""
    try:
        return read_request(body, content_type)
    except RequestError as error:
        refusal = error
    assert 400 <= refusal.status < 500
    assert str(refusal).startswith("request")
    assert "\n" not in str(refusal)
    assert CANARY not in str(refusal)
    return None


def check(table: pd.DataFrame | None) -> None:
    """A table that was read has rows, known columns and a scalar in every cell."""
    if table is not None:
        assert len(table) > 0
        assert set(table.columns) <= set(CASES_BY_NAME)
        assert table.columns.is_unique
        assert not table.map(lambda v: isinstance(v, dict | list)).to_numpy().any()


@settings(max_examples=300, deadline=None)
@given(content=st.dictionaries(st.sampled_from([*LAYOUTS, CANARY]), TABLES, max_size=2) | TABLES)
def test_any_json_is_read_or_refused(content: Any) -> None:
    check(read_or_refusal(json.dumps(content).encode(), JSON))


@settings(max_examples=300, deadline=None)
@given(
    body=st.binary(max_size=80) | st.text(max_size=80).map(str.encode),
    kind=st.sampled_from([JSON, CSV, PARQUET, None, "", "text/csv; charset=utf-8", CANARY]),
)
def test_any_bytes_are_read_or_refused(body: bytes, kind: str | None) -> None:
    check(read_or_refusal(body, kind))


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(st.sampled_from('study_id,age_years\n\r";\t\x00 7é'), max_size=60),
    header=st.booleans(),
)
def test_any_csv_is_read_or_refused(text: str, header: bool) -> None:
    body = f"study_id,age_years\n{text}" if header else text

    check(read_or_refusal(body.encode(), CSV))


# A record keeps every cell that the contract knows, as it was sent: numbers that floats could
# not tell apart come as text.
@settings(max_examples=200, deadline=None)
@given(records=st.lists(st.dictionaries(NAMES, SCALARS, max_size=4), min_size=1, max_size=4))
def test_records_keep_their_cells(records: list[dict[str, Any]]) -> None:
    table = read_request(json.dumps({"dataframe_records": records}).encode(), JSON)

    for row, record in enumerate(records):
        for name, value in record.items():
            if name in CASES_BY_NAME and value is not None and value == value:
                assert str(table[name].iloc[row]) == str(value)


def test_a_body_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(RequestError, match="expected at most 64 MiB") as caught:
        read_request(b"[" * (MOST_BYTES + 1), JSON)

    assert caught.value.status == 413


def test_parquet_that_unpacks_to_far_more_is_refused(tmp_path: Any) -> None:
    # One text of a mebibyte, 90 times: a dictionary of one entry in the file.
    path = tmp_path / "bomb.parquet"
    wide = pd.DataFrame({f"pcs_{i}": ["1" * 2**20] for i in range(1, 14)})
    more = pd.concat([wide.add_prefix(f"{i}_") for i in range(6)] + [wide], axis=1)
    more.to_parquet(path, compression="zstd")
    assert path.stat().st_size < 2**20

    with pytest.raises(RequestError, match="MiB when unpacked") as caught:
        read_request(path.read_bytes(), PARQUET)

    assert caught.value.status == 413


def test_a_long_text_that_fills_many_rows_stays_one_text(tmp_path: Any) -> None:
    path = tmp_path / "bomb.parquet"
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 300, pa.int32()), ["1" * 2**20])
    pq.write_table(pa.table({"study_id": column}), path)

    table = read_request(path.read_bytes(), PARQUET)

    assert len({id(v) for v in table["study_id"]}) == 1


@pytest.mark.parametrize("cell", [[1, 2], {"a": 1}, pd.Timestamp("2026-01-01")])
def test_parquet_of_other_things_than_numbers_and_texts_is_refused(
    tmp_path: Any, cell: object
) -> None:
    path = tmp_path / "cases.parquet"
    pd.DataFrame({"age_years": [cell]}).to_parquet(path)

    with pytest.raises(RequestError, match="column 'age_years': expected numbers or texts"):
        read_request(path.read_bytes(), PARQUET)


def test_parquet_gives_the_cells_it_was_written_from(tmp_path: Any) -> None:
    path = tmp_path / "cases.parquet"
    table = pd.DataFrame(
        {"study_id": ["a", None, "a"], "age_years": [40.5, None, 1.0], "pcs_1": [1, 2, 3]}
    )
    table.assign(other=1).to_parquet(path)

    read = read_request(path.read_bytes(), PARQUET)

    pd.testing.assert_frame_equal(read, table, check_dtype=False)
    assert read["study_id"].dtype == object


def test_ids_that_are_numbers_with_nulls_among_them_stay_whole(tmp_path: Any) -> None:
    path = tmp_path / "cases.parquet"
    pq.write_table(pa.table({"participant_id": pa.array([2**53 + 1, None], pa.int64())}), path)

    read = read_request(path.read_bytes(), PARQUET)

    assert read["participant_id"].iloc[0] == str(2**53 + 1)
    assert read["participant_id"].isna().iloc[1]
