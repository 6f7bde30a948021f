"""Numbers for rows of texts: the same texts give the same number, wherever they are counted.

Eight bytes of all rows are taken up at a time, so that a row costs no call of its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

WORD = 8
SEED = np.uint64(0x9E3779B97F4A7C15)
# No text has the length that would begin with this.
MISSING = np.uint64(0)


def row_hashes(table: pd.DataFrame) -> Hashes:
    """Hash every row of a table of texts.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Texts, held as texts, objects or categories; a missing one differs from an empty one.

    Returns
    -------
    ndarray of shape (n_rows,)
        Spread evenly over 0 to 2**64 - 1; rows that differ share a number about as often as
        random numbers would. Not a secret: who knows a text can tell its number.

    References
    ----------
    .. [Steele2014] Steele, Lea, Flood. Fast splittable pseudorandom number generators. OOPSLA
       2014, pp. 453-472; section 4 for the mixing of 64 bits (``mix64variant13``).
    """
    hashes = np.full(len(table), SEED, dtype=np.uint64)
    for name in table.columns:
        column = table[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            of_column = _hashed(_kinds(column))[column.cat.codes.to_numpy()]
        else:
            of_column = _hashed(_texts(column))
        hashes = _mixed(hashes ^ of_column)
    return hashes


def _kinds(column: pd.Series) -> pa.Array:
    """Return a category column's texts and, last, where the code -1 finds it, a missing one."""
    texts = _texts(pd.Series(column.cat.categories))
    return pa.concat_arrays([texts, pa.nulls(1, texts.type)])


def _texts(column: pd.Series) -> pa.Array:
    texts = pa.array(column.astype("str"), type=pa.large_string(), from_pandas=True)
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def _hashed(texts: pa.Array) -> Hashes:
    """Hash every text: its length, then its bytes, a word at a time."""
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64)
    offsets = offsets[texts.offset : texts.offset + len(texts) + 1]
    starts, left = offsets[:-1], np.diff(offsets)
    hashes = (left.astype(np.uint64) + np.uint64(1)) * SEED
    if texts.null_count:
        missing = texts.is_null().to_numpy(zero_copy_only=False)
        hashes[missing], left[missing] = MISSING, 0
    rows: slice | Places = slice(None)
    words = _words(texts.buffers()[2])
    for done in range(0, int(left.max(initial=0)), WORD):
        if left.min() <= done:
            rows = np.flatnonzero(left > done)
        found = words[starts[rows] + done] & _kept(left[rows] - done)
        hashes[rows] = _mixed(hashes[rows] ^ found)
    return hashes


def _words(content: pa.Buffer | None) -> Hashes:
    """Return, for every byte, the number that it and the seven after it make."""
    size = 0 if content is None else content.size
    padded = np.zeros(size + WORD, dtype=np.uint8)
    if content is not None:
        padded[:size] = np.frombuffer(content, dtype=np.uint8)
    return np.ndarray(size, dtype="<u8", buffer=padded, strides=(1,))


def _kept(n_bytes: Places) -> Hashes:
    """Return masks of the first bytes of a word; all from eight on."""
    masks = np.array([2 ** (8 * n) - 1 for n in range(WORD + 1)], dtype=np.uint64)
    return masks[np.minimum(n_bytes, WORD)]


def _mixed(bits: Hashes) -> Hashes:
    """Spread a change of any bit over all of them."""
    bits = bits ^ (bits >> np.uint64(30))
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits
