"""Which blocks of features a row lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.bundle import Bundle
from models.flags import join_flagged


def blocks_of(bundles: Iterable[Bundle]) -> dict[str, tuple[str, ...]]:
    """Return the columns of every block any of the bundles was trained with."""
    merged: dict[str, tuple[str, ...]] = {}
    for bundle in bundles:
        for block, names in bundle.blocks.items():
            merged[block] = tuple(dict.fromkeys((*merged.get(block, ()), *names)))
    return merged


def absent_blocks(
    features: pd.DataFrame, blocks: Mapping[str, Sequence[str]]
) -> npt.NDArray[np.object_]:
    """Name, for every row, the blocks of which it has no value at all.

    Parameters
    ----------
    features : DataFrame of shape (n_rows, any)
    blocks : mapping of block to its columns in ``features``

    Returns
    -------
    ndarray of str, shape (n_rows,)
        Names joined by ';' in the order of ``blocks``; '' where every block has a value.

    Examples
    --------
    >>> table = pd.DataFrame({"a": [1.0, None], "b": [None, None], "c": [1.0, None]})
    >>> absent_blocks(table, {"cpm": ["a", "b"], "pcs": ["c"]}).tolist()
    ['', 'cpm;pcs']
    """
    values = dict(zip(features.columns, features.to_numpy(dtype=np.float64).T, strict=True))
    lacking = np.ones((len(blocks), len(features)), dtype=bool)
    for place, columns in enumerate(blocks.values()):
        for column in columns:
            lacking[place] &= np.isnan(values[column])
    return join_flagged(list(blocks), lacking)
