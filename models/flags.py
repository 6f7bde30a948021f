"""Names of what is flagged, per row, joined to one text; and texts that few rows differ in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.intp]
# Flags that fit into a whole number of 64 bits.
WORD_BITS = 62


@dataclass(frozen=True)
class CodedTexts:
    """A text per row, of few different ones: a million rows are a million numbers.

    Attributes
    ----------
    codes : ndarray of int, shape (n_rows,)
        Place of each row's text.
    texts : tuple of str
    """

    codes: Codes
    texts: tuple[str, ...]

    @property
    def shown(self) -> npt.NDArray[np.object_]:
        """Return every row's text, shape (n_rows,)."""
        return np.asarray(np.array([*self.texts, None], dtype=object)[self.codes])


def join_flagged(names: Sequence[str], flagged: Sequence[Flags | None], n_rows: int) -> CodedTexts:
    """Join the names that are flagged in each row.

    Parameters
    ----------
    names : sequence of str
    flagged : sequence of ndarray of bool, shape (n_rows,), or None
        Of each name, in the same order; None: flagged nowhere.
    n_rows : int

    Returns
    -------
    CodedTexts
        Names joined by ';' in their order; '' where none is flagged.

    Examples
    --------
    >>> flags = np.array([True, False])
    >>> join_flagged(["a", "b", "c"], [flags, flags, None], 2).shown.tolist()
    ['a;b', '']
    """
    found = [(n, f) for n, f in zip(names, flagged, strict=True) if f is not None and f.any()]
    # What is flagged everywhere tells no rows apart.
    codes, first = _patterns([f for _, f in found if not f.all()], n_rows)
    texts = (";".join(name for name, flags in found if flags[at]) for at in first)
    return CodedTexts(codes, tuple(texts))


def _patterns(flagged: Sequence[Flags], n_rows: int) -> tuple[Codes, Codes]:
    """Code of every row's pattern, and the first row of each; few patterns, many rows."""
    codes = np.zeros(n_rows, dtype=np.intp)
    for start in range(0, len(flagged), WORD_BITS):
        word = np.zeros(n_rows, dtype=np.int64)
        for place, flags in enumerate(flagged[start : start + WORD_BITS]):
            word |= flags.astype(np.int64) << place
        word_codes, words = pd.factorize(word)
        codes, _ = pd.factorize(codes * len(words) + word_codes) if start else (word_codes, words)
    # Codes are given in the order of appearance: each first appears where the largest rises.
    first = np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))
    return codes, first
