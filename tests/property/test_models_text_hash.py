"""Hashes of rows: equal for equal texts however they are held, and spread as if at random."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.text_hash import row_hashes

# What UTF-8 can hold; lengths around the word of eight bytes come often.
TEXT = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
ROWS = st.lists(st.tuples(TEXT, TEXT), max_size=30)


def table(rows):
    return pd.DataFrame(rows, columns=["study_id", "participant_id"], dtype="object")


@given(ROWS)
def test_rows_share_a_number_where_they_are_equal_and_nowhere_else(rows):
    hashes = row_hashes(table(rows))

    assert len(set(hashes.tolist())) == len(set(rows))
    assert dict(zip(rows, hashes.tolist(), strict=True)) == {
        row: int(row_hashes(table([row]))[0]) for row in rows
    }


@given(ROWS, st.data())
def test_a_hash_does_not_depend_on_how_texts_are_held_or_cut(rows, data):
    plain = table(rows)
    start = data.draw(st.integers(0, len(rows)))
    kinds = [data.draw(st.sampled_from(["object", "str", "category"])) for _ in range(2)]
    held = plain.astype(dict(zip(plain.columns, kinds, strict=True)))

    assert row_hashes(held).tolist() == row_hashes(plain).tolist()
    assert row_hashes(held.iloc[start:]).tolist() == row_hashes(plain)[start:].tolist()


def mixed(bits):
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % 2**64
    return bits ^ bits >> 31


def hash_of_text(text):
    if text is None:
        return 0
    content = text.encode()
    found = (len(content) + 1) * 0x9E3779B97F4A7C15 % 2**64
    for start in range(0, len(content), 8):
        found = mixed(found ^ int.from_bytes(content[start : start + 8], "little"))
    return found


@given(ROWS)
def test_a_hash_is_that_of_the_definition(rows):
    """Pieces of a run that was killed are added to pieces of the run that goes on with it."""
    expected = [
        mixed(mixed(0x9E3779B97F4A7C15 ^ hash_of_text(study)) ^ hash_of_text(person))
        for study, person in rows
    ]

    assert row_hashes(table(rows)).tolist() == expected


def test_hashes_of_numbered_persons_are_spread_evenly():
    n = 200_000
    rows = pd.DataFrame({"study_id": "S", "participant_id": [f"P{i:06d}" for i in range(n)]})

    hashes = row_hashes(rows)

    # Among 2e5 random numbers of 64 bits an equal pair has a probability of 1e-9.
    assert len(np.unique(hashes)) == n
    assert stats.kstest(hashes / 2.0**64, "uniform").pvalue > 1e-3
    # Every bit is set in half of them; standard error 0.5 / sqrt(n), five of them.
    set_bits = [np.mean(hashes >> np.uint64(bit) & np.uint64(1)) for bit in range(64)]
    assert np.abs(np.array(set_bits) - 0.5).max() < 5 * 0.5 / np.sqrt(n)
