"""Score rows against tabulated trees: log-odds and exact contributions in one pass."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from models.tree_tables import TreeTables

Floats = npt.NDArray[np.float32]
# Codes, values and accumulators of a block stay in the first-level cache.
BLOCK_ROWS = 512
MIN_ROWS_PER_THREAD = 4096


def score_tables(
    tables: TreeTables, X: npt.NDArray[Any], n_threads: int = 1
) -> tuple[Floats, Floats]:
    """Log-odds and contributions of every row.

    Parameters
    ----------
    tables : TreeTables
    X : ndarray of shape (n_rows, n_columns), NaN = missing
        Compared in float32, as XGBoost does.
    n_threads : int, default=1
        The result does not depend on it: a row is scored by one thread.

    Returns
    -------
    log_odds : ndarray of shape (n_rows,), float32
        Equal to XGBoost's margin to the last bit: the same leaves, added in the same order.
    contributions : ndarray of shape (n_columns, n_rows), float32, log-odds
        Column-major, as it is computed; ``tables.baseline`` plus its sum is the log-odds.
    """
    with np.errstate(over="ignore"):  # beyond float32 is infinite, as in XGBoost
        columns = np.ascontiguousarray(X.T, dtype=np.float32)
    n_rows = columns.shape[1]
    log_odds = np.full(n_rows, tables.start[0], dtype=np.float32)
    contributions = np.zeros_like(columns)
    threads = max(1, min(n_threads, n_rows // MIN_ROWS_PER_THREAD))
    cuts = [n_rows * i // threads for i in range(threads + 1)]

    def score(first: int, last: int) -> None:
        _score(
            columns, first, last, log_odds, contributions,
            tables.n_splits, tables.split_feature, tables.split_threshold,
            tables.split_missing_left, tables.n_features, tables.feature,
            tables.offset, tables.values,
        )  # fmt: skip

    if threads == 1:
        score(0, n_rows)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(score, cuts[:-1], cuts[1:]))
    return log_odds, contributions


@numba.njit(nogil=True)
def _score(  # type: ignore[no-untyped-def]  # compiled: the types are those of the call above
    columns, first, last, log_odds, contributions,
    n_splits, split_feature, split_threshold, split_missing_left, n_features, feature,
    offset, values,
):  # fmt: skip
    """Score rows ``first`` to ``last``, block by block, every part over a whole block."""
    code = np.empty(BLOCK_ROWS, np.uint8)
    for at in range(first, last, BLOCK_ROWS):
        n = min(BLOCK_ROWS, last - at)
        for part in range(n_splits.size):
            code[:n] = 0
            for i in range(n_splits[part]):
                x = columns[split_feature[part, i], at : at + n]
                threshold = split_threshold[part, i]
                bit = np.uint8(1 << i)
                # A comparison with a missing value is false: ask the question that is
                # answered "left" by a missing value where missing goes left.
                if split_missing_left[part, i]:
                    for row in range(n):
                        code[row] |= np.uint8(0) if x[row] >= threshold else bit
                else:
                    for row in range(n):
                        code[row] |= bit if x[row] < threshold else np.uint8(0)
            n_codes = 1 << n_splits[part]
            begin = offset[part]
            table = values[begin : begin + n_codes]
            total = log_odds[at : at + n]
            for row in range(n):
                total[row] += table[code[row]]
            for j in range(n_features[part]):
                begin += n_codes
                table = values[begin : begin + n_codes]
                total = contributions[feature[part, j], at : at + n]
                for row in range(n):
                    total[row] += table[code[row]]
