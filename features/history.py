"""What a person's own earlier bouts showed, as it is known when the next bout begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from features.change import PERSON, compute_changes, on_scale
from features.columns import KEYS
from features.columns_history import HISTORY_COLUMNS
from features.outcome_design import OutcomeDesign
from features.simulation_parameters import simulation_parameters
from features.spec import Builder, FeatureSpec, Vector, numbers

HISTORY_NAMES = tuple(c.name for c in HISTORY_COLUMNS)
# One change against another of the same person, as published; the same for everybody, so that
# nothing is estimated from persons who are judged.
ONE_CHANGE_RELIABILITY = float(simulation_parameters()["response"]["reliability"])
COUNT, MEAN, LAST = HISTORY_NAMES


def earlier_changes(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign
) -> pd.DataFrame:
    """Summarise, for every bout, the changes of the same person in strictly earlier periods.

    Parameters
    ----------
    cases : DataFrame of shape (n_rows, any)
        With ``period``; rows whose period is missing have no history and are nobody's history.
    measurements : DataFrame
    design : OutcomeDesign
        Its first endpoint is the change that is remembered. Rest bouts are never subtracted: the
        mean of a person's rest bouts holds visits still to come, and its error is shared by the
        change that is to be predicted. A scale adjusted by a learnt slope (``ancova``) is
        replaced by the primary one, which learns nothing.

    Returns
    -------
    DataFrame of shape (n_rows, 3), index of ``cases``
        ``history_bouts`` (0 = none), ``history_mean_change`` and ``history_last_change`` (of the
        latest earlier period; the mean where it holds several bouts), unit of the change scale,
        NaN without a history. All NaN where the study has no periods.
    """
    empty = pd.DataFrame(np.nan, index=cases.index, columns=list(HISTORY_NAMES))
    if "period" not in cases.columns or cases["period"].isna().all():
        return empty
    own = _own_changes(cases, measurements, design)
    rows = cases[list(KEYS)].assign(_row=np.arange(len(cases)), _now=_periods(cases))
    pairs = rows.merge(own, on=list(PERSON))
    pairs = pairs[pairs["_then"] < pairs["_now"]]
    found = pairs.groupby("_row")["_change"].agg(["size", "mean"])
    latest = pairs[pairs["_then"] == pairs.groupby("_row")["_then"].transform("max")]
    last = latest.groupby("_row")["_change"].mean()
    place = np.arange(len(cases))
    ordered = np.isfinite(_periods(cases))
    n_bouts = found["size"].reindex(place, fill_value=0).to_numpy(dtype=np.float64)
    empty[COUNT] = np.where(ordered, n_bouts, np.nan)
    empty[MEAN] = found["mean"].reindex(place).to_numpy(dtype=np.float64)
    empty[LAST] = last.reindex(place).to_numpy(dtype=np.float64)
    return empty


def _periods(cases: pd.DataFrame) -> Vector:
    return cases["period"].to_numpy(dtype=np.float64, na_value=np.nan)


def _own_changes(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign
) -> pd.DataFrame:
    """Every known change of an exercise bout with its period: one row each."""
    scale = "primary" if design.change_scale == "ancova" else design.change_scale
    plain = replace(design, endpoints=design.endpoints[:1], subtract_rest=False, change_scale=scale)
    changes = compute_changes(cases, measurements, plain).reset_index(drop=True)
    changes = on_scale(changes, plain, np.ones(len(changes), dtype=bool))
    known = changes[~changes["is_rest"].astype(bool) & changes["change"].notna()]
    known = known[list(KEYS)].assign(_change=known["change"].astype("float64"))
    when = cases[list(KEYS)].assign(_then=_periods(cases))
    known = known.merge(when, on=list(KEYS), validate="many_to_one")
    return known.drop(columns="session_id")


def shrunken_change(n_bouts: Vector, mean_change: Vector, reliability: float) -> Vector:
    """Shrink a mean of earlier changes towards no change, the more the fewer there are.

    Spearman-Brown: the mean of n changes has the reliability n r / (1 + (n - 1) r).

    Parameters
    ----------
    n_bouts, mean_change : ndarray of shape (n_rows,), NaN = no history
    reliability : float in 0 to 1
        Of one change.

    Returns
    -------
    ndarray of shape (n_rows,), unit of ``mean_change``

    References
    ----------
    Spearman C. Br J Psychol 1910;3:271-295. Brown W. Br J Psychol 1910;3:296-322.

    Examples
    --------
    >>> shrunken_change(np.array([1.0, 2.0]), np.array([0.3, 0.3]), 0.5).round(3)
    array([0.15, 0.2 ])
    """
    weight = n_bouts * reliability / (1.0 + (n_bouts - 1.0) * reliability)
    return np.asarray(weight * mean_change)


def build_history(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return the history as it came with the cases; NaN where there is none."""
    n_bouts, mean = numbers(cases, COUNT), numbers(cases, MEAN)
    return {
        COUNT: n_bouts,
        MEAN: mean,
        LAST: numbers(cases, LAST),
        "history_shrunken_change": shrunken_change(n_bouts, mean, ONE_CHANGE_RELIABILITY),
    }


HISTORY = Builder(
    "history",
    (
        *(
            FeatureSpec(c.name, "history", c.unit or "bouts", (c.name,), c.description)
            for c in HISTORY_COLUMNS
        ),
        FeatureSpec(
            "history_shrunken_change",
            "history",
            "unit of the change",
            (COUNT, MEAN),
            f"mean earlier change, shrunken by the published reliability of one change "
            f"({ONE_CHANGE_RELIABILITY:g})",
        ),
    ),
    build_history,
)
