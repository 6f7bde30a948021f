"""Which values lie clearly outside what a model was trained on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from models.bundle import Bundle
from models.feature_columns import FeatureColumns
from models.flags import CodedTexts, join_flagged

# The stored range ends at the 1st and 99th percentile, so that no single person's value is
# published; one row in fifty lies beyond it in training itself. A quarter of its width further
# out, one row of a normal variable in two thousand does.
MARGIN = 0.25
Ranges = dict[str, tuple[float, float]]


def training_ranges(bundles: Iterable[Bundle]) -> Ranges:
    """Return the widest values of every feature that all the bundles have been trained near."""
    ranges: Ranges = {}
    for bundle in bundles:
        for name, found in bundle.training.get("features", {}).items():
            if found["low"] is None or found["high"] is None:
                continue
            margin = MARGIN * (found["high"] - found["low"])
            low, high = ranges.get(name, (-np.inf, np.inf))
            ranges[name] = (max(low, found["low"] - margin), min(high, found["high"] + margin))
    return ranges


def out_of_range(features: pd.DataFrame | FeatureColumns, ranges: Ranges) -> CodedTexts:
    """Name, for every row, the features outside their range.

    Parameters
    ----------
    features : DataFrame of shape (n_rows, any), or its columns
        NaN = missing, and in no range's way.
    ranges : dict of feature to (low, high)

    Returns
    -------
    CodedTexts
        Names joined by ';' in the order of ``ranges``; '' where none is outside.

    Examples
    --------
    >>> table = pd.DataFrame({"age_years": [30.0, 90.0, None]})
    >>> out_of_range(table, {"age_years": (20.0, 60.0)}).shown.tolist()
    ['', 'age_years', '']
    """
    columns = FeatureColumns.of(features)
    names = [n for n in ranges if n in columns]
    outside = [columns.beyond(name, *ranges[name]) for name in names]
    return join_flagged(names, outside, columns.n_rows)
