"""Which values lie clearly outside what a model was trained on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.bundle import Bundle
from models.flags import join_flagged

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


def out_of_range(features: pd.DataFrame, ranges: Ranges) -> npt.NDArray[np.object_]:
    """Name, for every row, the features outside their range.

    Parameters
    ----------
    features : DataFrame of shape (n_rows, any)
        NaN = missing, and in no range's way.
    ranges : dict of feature to (low, high)

    Returns
    -------
    ndarray of str, shape (n_rows,)
        Names joined by ';' in the order of ``ranges``; '' where none is outside.

    Examples
    --------
    >>> table = pd.DataFrame({"age_years": [30.0, 90.0, None]})
    >>> out_of_range(table, {"age_years": (20.0, 60.0)}).tolist()
    ['', 'age_years', '']
    """
    columns = dict(zip(features.columns, features.to_numpy(dtype=np.float64).T, strict=True))
    names = [n for n in ranges if n in columns]
    outside = np.zeros((len(names), len(features)), dtype=bool)
    for place, name in enumerate(names):
        low, high = ranges[name]
        np.logical_or(columns[name] < low, columns[name] > high, out=outside[place])
    return join_flagged(names, outside)
