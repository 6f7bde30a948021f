"""Make an independent baseline out of pre-exercise trials: some for the feature, the rest for
the outcome.

A threshold that is both a predictor and the outcome's reference predicts its own noise (evidence
A3.6). Where a study has no block of its own for the predictor, its trials are divided: those
reserved fill ``ppt_baseline_local_kpa`` and ``ppt_baseline_remote_kpa`` and leave the reference.
That is done when the study's tables are made, so that what a model learns from and what a
service sends is one thing: the mean of readings that are no part of the outcome.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from features.columns import KEYS, MEASUREMENT_KEYS

Reserved = Literal["odd", "even"]
COLUMNS = {"local": "ppt_baseline_local_kpa", "remote": "ppt_baseline_remote_kpa"}
# The timepoint of readings before a bout that are no reference of its outcome.
BASELINE = "baseline"


def reserve_trials(
    cases: pd.DataFrame, measurements: pd.DataFrame, trials: Reserved
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Move every other pre-exercise pressure threshold from the outcome to the baseline.

    Parameters
    ----------
    cases, measurements : DataFrame
        Checked tables (thresholds in kPa).
    trials : {'odd', 'even'}
        Which of a bout's trials at one body site are reserved, counted from 1 in their order.
        With three, ``even`` leaves two to the outcome. A lone trial stays with the outcome.

    Returns
    -------
    cases : DataFrame
        With the baseline columns: the mean of the bout's reserved trials, kPa; missing where
        there were none.
    measurements : DataFrame
        The reserved readings at timepoint ``baseline``; nothing is lost.

    Raises
    ------
    ValueError
        Where the study has an independent baseline already: it needs no reserve.
    """
    for column in COLUMNS.values():
        if column in cases.columns and cases[column].notna().any():
            raise ValueError(
                f"cases, column '{column}': expected no baseline before trials are reserved for "
                "one, found values. A block of its own is the better baseline: use it."
            )
    reserved = _reserved(measurements, trials)
    moved = measurements.copy()
    moved.loc[reserved, "timepoint"] = BASELINE
    chosen = measurements[reserved]
    result = cases.copy()
    for role, column in COLUMNS.items():
        own = chosen[chosen["site_role"] == role].groupby(list(KEYS))["value"].mean()
        found = cases[list(KEYS)].join(own.rename(column), on=list(KEYS))[column]
        result[column] = found.to_numpy(dtype=np.float64)
    return result, moved


def _reserved(measurements: pd.DataFrame, trials: Reserved) -> pd.Series:
    """Mark the readings that go to the baseline."""
    candidate = (
        (measurements["measure"] == "ppt")
        & (measurements["timepoint"] == "pre")
        & measurements["site_role"].isin(list(COLUMNS))
        & measurements["value"].notna()
    )
    within = [c for c in MEASUREMENT_KEYS if c != "trial" and c in measurements.columns]
    ordered = (
        measurements[candidate].sort_values("trial")
        if "trial" in measurements
        else (measurements[candidate])
    )
    grouped = ordered.groupby(within, sort=False, dropna=False)
    rank = grouped.cumcount() + 1
    size = grouped["value"].transform("size")
    wanted = (rank % 2 == (1 if trials == "odd" else 0)) & (size > 1)
    return wanted.reindex(measurements.index, fill_value=False)
