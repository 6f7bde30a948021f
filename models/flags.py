"""Names of what is flagged, per row, joined to one text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd


def join_flagged(names: Sequence[str], flagged: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_]:
    """Join the names that are flagged in each row.

    Parameters
    ----------
    names : sequence of str
    flagged : ndarray of bool, shape (n_names, n_rows)

    Returns
    -------
    ndarray of str, shape (n_rows,)
        Names joined by ';' in their order; '' where none is flagged.

    Examples
    --------
    >>> join_flagged(["a", "b"], np.array([[True, False], [True, False]])).tolist()
    ['a;b', '']
    """
    shown = np.full(flagged.shape[1], "", dtype=object)
    rows = np.flatnonzero(flagged.any(axis=0))
    if len(rows):
        chosen = flagged[:, rows]
        codes, first = _patterns(chosen)
        texts = [";".join(np.asarray(names, dtype=object)[chosen[:, at]]) for at in first]
        shown[rows] = np.array(texts, dtype=object)[codes]
    return shown


def _patterns(flagged: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Code of every row's pattern, and the first row of each; few patterns, many rows."""
    codes = np.zeros(flagged.shape[1], dtype=np.intp)
    for start in range(0, len(flagged), 62):
        part = flagged[start : start + 62]
        weights = 1 << np.arange(len(part), dtype=np.int64)
        word = np.zeros(flagged.shape[1], dtype=np.int64)
        for flags, weight in zip(part, weights, strict=True):
            word[flags] += weight
        word_codes, words = pd.factorize(word)
        codes, _ = pd.factorize(codes * len(words) + word_codes)
    # Codes are given in the order of appearance: each first appears where the largest rises.
    first = np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))
    return codes, first
