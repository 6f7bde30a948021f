"""From trials to the change of every bout: what happened, before anybody is classified.

Nothing here is learnt from other persons: a person's rows are the same whoever else is in the
table (but for ``se_trials``, a description). Every change is signed so that positive means less
pain, whatever was measured.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns import KEYS
from features.outcome_design import Endpoint, OutcomeDesign
from features.spec import Vector, log_ratio
from features.units import MEASURES

Mask = npt.NDArray[np.bool_]
CELL = ("measure", "site_role", "timepoint")
SCALES = ("log_ratio", "absolute", "percent")
PERSON = ("study_id", "participant_id")


def signed_change(reference: Vector, after: Vector, measure: str) -> dict[str, Vector]:
    """Change on three scales, positive = less pain.

    Parameters
    ----------
    reference, after : ndarray of shape (n_rows,), unit of the measure, NaN allowed
    measure : str
        A key of :data:`features.units.MEASURES`; gives the direction.

    Returns
    -------
    dict with ``absolute`` (unit of the measure), ``percent`` (of the reference) and
    ``log_ratio`` (natural log); a ratio to a reference that is not positive is NaN

    Raises
    ------
    ValueError
        For a measure that is no pain outcome: it has no direction of less pain.

    Examples
    --------
    A threshold that rises from 200 to 250 kPa, and a rating that falls from 6 to 4:

    >>> signed_change(np.array([200.0]), np.array([250.0]), "ppt")["percent"]
    array([25.])
    >>> signed_change(np.array([6.0]), np.array([4.0]), "pain_nrs")["absolute"]
    array([2.])
    """
    sign = MEASURES[measure].less_pain
    if sign == 0:
        raise ValueError(f"'{measure}' is no pain outcome: it has no direction of less pain.")
    absolute = sign * (after - reference)
    positive = np.where(reference > 0, reference, np.nan)
    return {
        "absolute": absolute,
        "percent": 100.0 * absolute / positive,
        "log_ratio": sign * log_ratio(after, reference),
    }


def summarise_trials(measurements: pd.DataFrame) -> pd.DataFrame:
    """Mean of the trials of every bout, measure, site and timepoint, with its standard error.

    Where stimuli were given at several levels (calibrated stimuli) or body sites, trials are
    averaged within them first, so that a lost trial does not shift the mean; the trial noise is
    pooled over the whole table per measure, which is steadier than two or three trials can
    tell. It is unknown (NaN) for a measure whose trials were never repeated.

    Returns
    -------
    DataFrame with the keys, ``measure, site_role, timepoint, mean, n_trials, trial_factor``
    (variance of the mean, in units of the variance of one trial) and ``se``
    """
    columns = [*KEYS, *CELL]
    cells = _cells(measurements)
    cells["_inverse"] = 1.0 / cells["count"]
    summary = (
        cells.groupby(columns, sort=True)
        .agg(
            mean=("mean", "mean"),
            n_trials=("count", "sum"),
            trial_factor=("_inverse", "sum"),
            _n=("mean", "count"),
        )
        .reset_index()
    )
    summary["trial_factor"] /= summary.pop("_n") ** 2
    spread = _spread_by(cells, ["measure"])
    noise = spread.set_index("measure")["trial_ss"] / spread.set_index("measure")["trial_df"]
    summary["se"] = np.sqrt(summary["measure"].map(noise) * summary["trial_factor"])
    return summary


def _cells(measurements: pd.DataFrame) -> pd.DataFrame:
    """Trials of one stimulus at one body site: mean, count, variances of values and of logs."""
    data = measurements.dropna(subset=["value"])
    within = [c for c in ("body_site", "stimulus_level") if c in data.columns]
    # A log of zero is unknown; it is asked for on ratio scales only, whose values are positive.
    data = data.assign(_log=np.log(data["value"].where(data["value"] > 0)))
    grouped = data.groupby([*KEYS, *CELL, *within], sort=True, dropna=False)
    return grouped.agg(
        mean=("value", "mean"),
        count=("value", "count"),
        var=("value", "var"),
        var_log=("_log", "var"),
    ).reset_index()


def trial_spread(measurements: pd.DataFrame) -> pd.DataFrame:
    """Spread of repeated trials of every person and measure, to be pooled over whom one may.

    Returns
    -------
    DataFrame with ``study_id, participant_id, measure, trial_ss`` (squares about the mean of
    the same stimulus at the same moment), ``trial_ss_log`` (of the logs) and ``trial_df``
    """
    return _spread_by(_cells(measurements), [*PERSON, "measure"])


def _spread_by(cells: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    freedom = cells["count"] - 1
    repeated = cells[freedom > 0].assign(
        trial_ss=cells["var"] * freedom, trial_ss_log=cells["var_log"] * freedom, trial_df=freedom
    )
    sums = repeated.groupby(by, sort=True)[["trial_ss", "trial_ss_log", "trial_df"]]
    return sums.sum().reset_index()


def compute_changes(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign
) -> pd.DataFrame:
    """Change of every bout at every endpoint.

    Parameters
    ----------
    cases, measurements : DataFrame
        Checked tables.
    design : OutcomeDesign

    Returns
    -------
    DataFrame, one row per bout and endpoint with both values observed
        The keys, ``endpoint, measure, site_role, timepoint, reference, after, change_absolute,
        change_percent, change_log_ratio, change`` (on ``change_scale``, the measure's primary
        one), ``se_trials`` (trial noise of the change on the absolute scale, pooled over the
        whole table), ``rest_change`` (NaN where none was subtracted). What the error of a
        change is made of: ``after_factor, reference_factor`` (variance in units of one trial's),
        ``shared_key`` (bouts of a person with the same key are compared with the same reference
        or rest bouts), ``n_rest, rest_factor`` (of the rest bouts subtracted) and the person's
        ``trial_ss, trial_ss_log, trial_df``. Rest bouts are rows too, marked ``is_rest``;
        reference bouts are not.
    """
    summary = summarise_trials(measurements)
    spread = trial_spread(measurements)
    parts = []
    for endpoint in design.endpoints:
        pairs = _pairs(cases, summary, endpoint, design)
        changes = signed_change(
            pairs["reference"].to_numpy(), pairs["after"].to_numpy(), endpoint.measure
        )
        scale = MEASURES[endpoint.measure].primary_scale
        pairs = pairs.assign(
            endpoint=endpoint.name,
            measure=endpoint.measure,
            site_role=endpoint.site_role,
            timepoint=endpoint.timepoint,
            **{f"change_{s}": changes[s] for s in SCALES},
            change_scale=scale,
        )
        pairs = pairs.merge(spread, on=[*PERSON, "measure"], how="left")
        pairs[["trial_ss", "trial_ss_log", "trial_df"]] = pairs[
            ["trial_ss", "trial_ss_log", "trial_df"]
        ].fillna(0.0)
        parts.append(_with_rest(pairs, scale, design.subtract_rest))
    return pd.concat(parts, ignore_index=True)


def _pairs(
    cases: pd.DataFrame, summary: pd.DataFrame, endpoint: Endpoint, design: OutcomeDesign
) -> pd.DataFrame:
    """Return every bout that has both values, with them and what their errors are made of."""
    bouts = cases[[*KEYS]].assign(
        visit_id=cases["visit_id"] if "visit_id" in cases.columns else "",
        condition=cases["condition"] if "condition" in cases.columns else "",
        is_rest=cases["modality"] == "rest",
        _is_reference=is_reference(cases, design),
    )
    bouts["visit_id"] = bouts["visit_id"].fillna("")
    after = bouts.merge(_cell(summary, endpoint, endpoint.timepoint), on=list(KEYS))
    if design.reference == "pre":
        before = _cell(summary, endpoint, "pre")
        pairs = after.merge(before, on=list(KEYS), suffixes=("", "_reference"))
        pairs["shared_key"] = ""
    else:
        by = [*PERSON, "visit_id"]
        others = after[after["_is_reference"]].groupby(by, sort=True)
        reference = others.agg(
            mean=("mean", "mean"), se=("se", _se_of_mean), trial_factor=("trial_factor", _factor)
        ).reset_index()
        pairs = after[~after["_is_reference"]].merge(reference, on=by, suffixes=("", "_reference"))
        pairs["shared_key"] = "visit " + pairs["visit_id"].astype(str)
    pairs["se_trials"] = np.hypot(pairs["se"], pairs["se_reference"])
    pairs = pairs.rename(
        columns={
            "mean": "after",
            "mean_reference": "reference",
            "trial_factor": "after_factor",
            "trial_factor_reference": "reference_factor",
        }
    )
    kept = ["visit_id", "condition", "is_rest", "reference", "after", "se_trials"]
    return pairs[[*KEYS, *kept, "after_factor", "reference_factor", "shared_key"]]


def is_reference(cases: pd.DataFrame, design: OutcomeDesign) -> Mask:
    """Mark the bouts that others are compared with; none where each has its own reading before."""
    chosen: Mask = np.full(len(cases), design.reference == "bout")
    for column, value in design.reference_where.items():
        chosen &= (cases[column] == value).to_numpy()
    return chosen


def _se_of_mean(standard_errors: pd.Series) -> float:
    return float(np.sqrt((standard_errors**2).sum(skipna=False)) / len(standard_errors))


def _factor(factors: pd.Series) -> float:
    return float(factors.sum() / len(factors) ** 2)


def _cell(summary: pd.DataFrame, endpoint: Endpoint, timepoint: str) -> pd.DataFrame:
    chosen = (
        (summary["measure"] == endpoint.measure)
        & (summary["site_role"] == endpoint.site_role)
        & (summary["timepoint"] == timepoint)
    )
    return summary.loc[chosen, [*KEYS, "mean", "se", "trial_factor"]]


def _with_rest(pairs: pd.DataFrame, scale: str, subtract: bool) -> pd.DataFrame:
    """Subtract the own rest change on every scale; note how many rest bouts went into it."""
    result = pairs.assign(rest_change=np.nan, n_rest=0.0, rest_factor=0.0, ancova_slope=np.nan)
    if subtract:
        for name in SCALES:
            own = own_rest_mean(pairs, pairs[f"change_{name}"])
            result[f"change_{name}"] = pairs[f"change_{name}"] - own.fillna(0.0)
            if name == scale:
                result["rest_change"] = own
        result = _with_rest_error(result, pairs[f"change_{scale}"])
    return result.assign(change=result[f"change_{scale}"])


def own_rest_mean(changes: pd.DataFrame, values: pd.Series) -> pd.Series:
    """Mean of ``values`` over the rest bouts of each row's person.

    A rest bout of the same visit is preferred; without one, all of the person's are used. NaN
    for rest bouts themselves, and where the person has none.

    Parameters
    ----------
    changes : DataFrame
        Rows of one endpoint, with the keys, ``visit_id`` and ``is_rest``.
    values : Series on the same index
    """
    visit, person = _rest_groups(changes, values, "mean")
    return visit.fillna(person).mask(changes["is_rest"])


def _rest_groups(changes: pd.DataFrame, values: pd.Series, how: str) -> tuple[pd.Series, pd.Series]:
    """Statistic over the rest bouts of the row's visit, and of its person."""
    rest = changes.assign(_value=values)[changes["is_rest"] & values.notna()]
    visit = rest.groupby([*PERSON, "visit_id"])["_value"].agg(how).rename("_visit")
    person = rest.groupby(list(PERSON))["_value"].agg(how).rename("_person")
    joined = changes[[*PERSON, "visit_id"]].join(visit, on=[*PERSON, "visit_id"])
    joined = joined.join(person, on=list(PERSON))
    return joined["_visit"], joined["_person"]


def _with_rest_error(pairs: pd.DataFrame, change: pd.Series) -> pd.DataFrame:
    """Add how many rest bouts were subtracted, their trial factor, and whose they were."""
    known = pairs["is_rest"] & change.notna()
    factor = (pairs["after_factor"] + pairs["reference_factor"]).where(known)
    counts = _rest_groups(pairs, factor, "count")
    factors = _rest_groups(pairs, factor, "sum")
    from_visit = counts[0].notna()
    n = counts[0].fillna(counts[1]).mask(pairs["is_rest"]).fillna(0.0)
    total = factors[0].fillna(factors[1])
    result = pairs.assign(n_rest=n, rest_factor=(total / n.where(n > 0) ** 2).fillna(0.0))
    whose = np.where(from_visit, "rest " + pairs["visit_id"].astype(str), "rest")
    result["shared_key"] = np.where(n > 0, whose, pairs["shared_key"])
    return result


def on_scale(changes: pd.DataFrame, design: OutcomeDesign, learn: Mask) -> pd.DataFrame:
    """Put ``change`` and ``rest_change`` on the design's scale.

    Parameters
    ----------
    changes : DataFrame
        :func:`compute_changes`.
    design : OutcomeDesign
    learn : ndarray of bool, shape (n_rows,)
        Rows of the persons whose data may be learnt from (``ancova`` only).

    Returns
    -------
    DataFrame with ``change``, ``rest_change``, ``change_scale`` replaced, and ``ancova_slope``
        (NaN on the other scales).
    """
    parts = []
    for name, here in changes.groupby("endpoint", sort=False):
        primary = MEASURES[str(here["measure"].iloc[0])].primary_scale
        chosen = primary if design.change_scale == "primary" else design.change_scale
        if chosen == "ancova":
            parts.append(_adjusted(here, primary, design, learn[changes["endpoint"] == name]))
            continue
        own = own_rest_mean(here, here[f"change_{chosen}"])
        rest = own if design.subtract_rest else own * np.nan
        parts.append(
            here.assign(
                change=here[f"change_{chosen}"],
                rest_change=rest,
                change_scale=chosen,
            )
        )
    return pd.concat(parts).sort_index() if parts else changes


def _adjusted(here: pd.DataFrame, primary: str, design: OutcomeDesign, learn: Mask) -> pd.DataFrame:
    """Adjust the change for the reference: what it would be at the average reference.

    The residual of after on reference (ANCOVA), plus the mean change, so that zero still means
    no change: change - (slope - 1) * (reference - its mean). Slope (common to exercise and
    rest, which have their own means) and mean are those of the training persons.
    """
    sign = MEASURES[str(here["measure"].iloc[0])].less_pain
    level = np.log(here["reference"]) if primary == "log_ratio" else here["reference"]
    after = np.log(here["after"]) if primary == "log_ratio" else here["after"]
    slope = _slope(level[learn], after[learn], here["is_rest"][learn])
    raw = sign * (after - level) - sign * (slope - 1.0) * (level - level[learn].mean())
    own = own_rest_mean(here, raw) if design.subtract_rest else raw * np.nan
    return here.assign(
        change=raw - own.fillna(0.0), rest_change=own, change_scale="ancova", ancova_slope=slope
    )


def _slope(reference: pd.Series, after: pd.Series, group: pd.Series) -> float:
    """Slope of after on reference within groups; 1 (no adjustment) where it is undefined."""
    x = reference - reference.groupby(group).transform("mean")
    y = after - after.groupby(group).transform("mean")
    spread = float((x**2).sum())
    return float((x * y).sum()) / spread if spread > 0 else 1.0
