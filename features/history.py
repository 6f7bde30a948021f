"""What a person's own earlier bouts showed, as it is known when the next bout begins."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from features.change import PERSON, compute_changes, is_reference
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
# Read when the bout ends: known before anything that follows it in the same visit.
AT_ONCE = ("during", "post")
MINUTES_PER_DAY = 24 * 60


def days_until_known(timepoint: str) -> int:
    """Return how many whole days after its bout an outcome is known, at the latest.

    Parameters
    ----------
    timepoint : str
        As in ``measurements``; what is read within the visit counts 0.

    Examples
    --------
    >>> [days_until_known(t) for t in ("post", "post_30min", "post_24h", "post_3d", "week_12")]
    [0, 0, 1, 3, 84]
    >>> days_until_known("post_1500min")
    2
    """
    week = re.fullmatch(r"week_(\d+)", timepoint)
    if week:
        return 7 * int(week[1])
    later = re.fullmatch(r"post_(\d+)(min|h|d)", timepoint)
    if not later:
        return 0
    n = int(later[1])
    # Minutes of less than a day are still of the visit; of more, the day they end in counts.
    minutes = -(-n // MINUTES_PER_DAY) if n >= MINUTES_PER_DAY else 0
    return {"min": minutes, "h": -(-n // 24), "d": n}[later[2]]


def earlier_changes(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign
) -> pd.DataFrame:
    """Summarise, for every bout, the changes of the same person that were known when it began.

    Known is a change of a strictly earlier period. One that is read later than at its visit
    (``post_24h``, ``week_12``) is known only if that day lies before the day of the bout
    (``visit_day``); where a day is missing, it is taken as not known. A change against another
    bout is known when both bouts are over, and counts at later visits only: within one visit all
    changes share the error of the bouts they are compared with.

    Parameters
    ----------
    cases : DataFrame of shape (n_rows, any)
        With ``period``; rows whose period is missing have no history and are nobody's history.
    measurements : DataFrame
    design : OutcomeDesign
        Its first endpoint is the change that is remembered, on the primary scale of its measure,
        whatever the labels are made on: nothing is learnt for it. Rest bouts are never
        subtracted: the mean of a person's rest bouts holds visits still to come, and its error is
        shared by the change that is to be predicted.

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
    pairs = _known_pairs(cases, measurements, design)
    found = pairs.groupby("_row")["_change"].agg(["size", "mean"])
    latest = pairs[pairs["_then"] == pairs.groupby("_row")["_then"].transform("max")]
    last = latest.groupby("_row")["_change"].mean()
    place = np.arange(len(cases))
    n_bouts = found["size"].reindex(place, fill_value=0).to_numpy(dtype=np.float64)
    empty[COUNT] = np.where(np.isfinite(_column(cases, "period")), n_bouts, np.nan)
    empty[MEAN] = found["mean"].reindex(place).to_numpy(dtype=np.float64)
    empty[LAST] = last.reindex(place).to_numpy(dtype=np.float64)
    return empty


def _column(cases: pd.DataFrame, name: str) -> Vector:
    if name not in cases.columns:
        return np.full(len(cases), np.nan)
    return cases[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _visits(cases: pd.DataFrame) -> pd.Series:
    if "visit_id" not in cases.columns:
        return pd.Series("", index=cases.index)
    return cases["visit_id"].fillna("").astype(str)


def _known_pairs(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign
) -> pd.DataFrame:
    """Every bout (``_row``) with every own change known by then: ``_then`` (period), ``_change``.

    Within a visit days and the order of periods do not tell when a reading some minutes after
    a bout was taken, so that only one at its end is known at the next bout of the visit.
    """
    timepoint = design.endpoints[0].timepoint
    rows = cases[list(KEYS)].assign(
        _row=np.arange(len(cases)),
        _now=_column(cases, "period"),
        _today=_column(cases, "visit_day"),
        _visit=_visits(cases),
    )
    pairs = rows.merge(_own_changes(cases, measurements, design), on=list(PERSON))
    known = pairs["_then"] < pairs["_now"]
    days = days_until_known(timepoint)
    if days:
        known &= pairs["_day"] + days < pairs["_today"]
    else:
        known &= ~(pairs["_day"] > pairs["_today"])
    if timepoint not in AT_ONCE:
        known &= (pairs["_visit"] == "") | (pairs["_visit"] != pairs["_visit_then"])
    if design.reference == "bout":
        # Compared with the same bouts as the change to come: their error alone would foretell it.
        known &= pairs["_visit"] != pairs["_visit_then"]
    return pairs[known]


def _own_changes(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign
) -> pd.DataFrame:
    """Every known change of an exercise bout, with its period, day and visit: one row each."""
    plain = replace(design, endpoints=design.endpoints[:1], subtract_rest=False)
    changes = compute_changes(cases, measurements, plain)
    known = changes[~changes["is_rest"].astype(bool) & changes["change"].notna()]
    known = known[list(KEYS)].assign(_change=known["change"].astype("float64"))
    when = cases[list(KEYS)].assign(
        _then=_over(cases, design, "period"),
        _day=_over(cases, design, "visit_day"),
        _visit_then=_visits(cases),
    )
    known = known.merge(when, on=list(KEYS), validate="many_to_one")
    return known.drop(columns="session_id")


def _over(cases: pd.DataFrame, design: OutcomeDesign, name: str) -> Vector:
    """Period or day at which a bout and the bouts it is compared with are over; NaN = unknown."""
    own = _column(cases, name)
    if design.reference == "pre":
        return own
    by = [cases[c] for c in PERSON] + [_visits(cases).rename("_visit")]
    compared = pd.Series(own, index=cases.index).where(is_reference(cases, design))
    unknown = is_reference(cases, design) & np.isnan(own)
    last = compared.groupby(by).transform("max").to_numpy(dtype=np.float64)
    lost = pd.Series(unknown, index=cases.index).groupby(by).transform("any").to_numpy(dtype=bool)
    return np.where(lost, np.nan, np.maximum(own, last))


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
