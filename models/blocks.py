"""Which blocks of features a row lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from models.bundle import Bundle
from models.feature_columns import FeatureColumns
from models.flags import CodedTexts, join_flagged


def blocks_of(bundles: Iterable[Bundle]) -> dict[str, tuple[str, ...]]:
    """Return the columns of every block any of the bundles was trained with."""
    merged: dict[str, tuple[str, ...]] = {}
    for bundle in bundles:
        for block, names in bundle.blocks.items():
            merged[block] = tuple(dict.fromkeys((*merged.get(block, ()), *names)))
    return merged


def absent_blocks(
    features: pd.DataFrame | FeatureColumns, blocks: Mapping[str, Sequence[str]]
) -> CodedTexts:
    """Name, for every row, the blocks of which it has no value at all.

    Parameters
    ----------
    features : DataFrame of shape (n_rows, any), or its columns
    blocks : mapping of block to its columns in ``features``

    Returns
    -------
    CodedTexts
        Names joined by ';' in the order of ``blocks``; '' where every block has a value.

    Examples
    --------
    >>> table = pd.DataFrame({"a": [1.0, None], "b": [None, None], "c": [1.0, None]})
    >>> absent_blocks(table, {"cpm": ["a", "b"], "pcs": ["c"]}).shown.tolist()
    ['', 'cpm;pcs']
    """
    columns = FeatureColumns.of(features)
    lacking = [columns.lacking(names) for names in blocks.values()]
    return join_flagged(list(blocks), lacking, columns.n_rows)
