"""What happened after the bout: the change, and who counts as responder, hyperalgesic, flare.

The only place that knows the responder definition. Every change is signed so that positive
means less pain, whatever was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from features.columns import KEYS
from features.spec import Vector, log_ratio
from features.units import MEASURES

CELL = ("measure", "site_role", "timepoint")
SCALES = ("log_ratio", "absolute", "percent")
TARGETS = ("response", "hyperalgesia", "flare")
# Timepoints at which a rise of clinical pain counts as a flare of an acute bout (evidence A1, E4).
ACUTE = ("during", "post", "post_24h")


@dataclass(frozen=True)
class Endpoint:
    """One outcome of a study: a measure at a site and a moment, under a name."""

    name: str
    measure: str
    site_role: str
    timepoint: str


@dataclass(frozen=True)
class StatedSem:
    """A standard error of measurement from outside the study, in the primary scale's unit."""

    measure: str
    sem_single: float
    source: str
    status: str = "unverified"


@dataclass(frozen=True)
class OutcomeDesign:
    """How a study's outcome is defined; part of every outcome table's record.

    Parameters
    ----------
    reference : {'pre', 'bout'}
        What the measurement after the bout is compared with: the one before it, or another
        bout of the same person and visit, marked by ``reference_where`` (columns of cases).
    subtract_rest : bool
        Whether the change of the person's quiet-rest bout is subtracted, where there is one.
    rule : {'sem'}
        ``sem``: hypoalgesia where the change exceeds +SEM, hyperalgesia where below -SEM.
    sem_of : {'change', 'single'}
        The SEM of the change itself (16 % of people without any effect exceed it), or of a
        single value (24 %; the usual reading of the rest-bout rule). See evidence A3.
    sem_source : {'rest', 'trials', 'stated'}
        From the spread of rest bouts, from repeated trials within a bout, or ``stated_sem``.
    flare_rise_nrs : float, points of 10
        Rise of clinical pain that counts as a flare.
    """

    endpoints: tuple[Endpoint, ...]
    reference: Literal["pre", "bout"] = "pre"
    reference_where: Mapping[str, object] = field(default_factory=dict)
    subtract_rest: bool = True
    rule: Literal["sem"] = "sem"
    sem_of: Literal["change", "single"] = "change"
    sem_source: Literal["rest", "trials", "stated"] = "rest"
    stated_sem: tuple[StatedSem, ...] = ()
    flare_rise_nrs: float = 2.0


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
    DataFrame with the keys, ``measure, site_role, timepoint, mean, n_trials, se``
    """
    columns = [*KEYS, *CELL]
    data = measurements.dropna(subset=["value"])
    within = [c for c in ("body_site", "stimulus_level") if c in data.columns]
    values = data.groupby([*columns, *within], sort=True, dropna=False)["value"]
    cells = values.agg(["mean", "count", "var"]).reset_index()
    noise = _pooled_variance(cells)
    cells["_se2"] = cells["measure"].map(noise) / cells["count"]
    grouped = cells.groupby(columns, sort=True)
    summary = grouped.agg(
        mean=("mean", "mean"), n_trials=("count", "sum"), se2=("_se2", "sum"), _n=("mean", "count")
    ).reset_index()
    # A sum of unknown parts would be 0.
    unknown = summary["measure"].map(noise).isna()
    summary["se"] = (np.sqrt(summary.pop("se2")) / summary.pop("_n")).mask(unknown)
    return summary


def _pooled_variance(cells: pd.DataFrame) -> dict[str, float]:
    freedom = cells["count"] - 1
    repeated = cells[freedom > 0].assign(_ss=(cells["var"] * freedom), _df=freedom)
    sums = repeated.groupby("measure")[["_ss", "_df"]].sum()
    return dict(zip(sums.index, sums["_ss"] / sums["_df"], strict=True))


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
        change_percent, change_log_ratio, change`` (on ``change_scale``), ``se_trials`` (trial
        noise of the change on the absolute scale), ``rest_change`` (NaN where none was
        subtracted). Rest bouts are rows too, marked ``is_rest``; reference bouts are not.
    """
    summary = summarise_trials(measurements)
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
        parts.append(_subtract_rest(pairs) if design.subtract_rest else _keep(pairs))
    return pd.concat(parts, ignore_index=True)


def _pairs(
    cases: pd.DataFrame, summary: pd.DataFrame, endpoint: Endpoint, design: OutcomeDesign
) -> pd.DataFrame:
    """Return keys, visit_id, is_rest, reference, after, se_trials of every bout that has both."""
    bouts = cases[[*KEYS]].assign(
        visit_id=cases["visit_id"] if "visit_id" in cases.columns else "",
        is_rest=cases["modality"] == "rest",
        _is_reference=_is_reference(cases, design),
    )
    bouts["visit_id"] = bouts["visit_id"].fillna("")
    after = bouts.merge(_cell(summary, endpoint, endpoint.timepoint), on=list(KEYS))
    if design.reference == "pre":
        before = _cell(summary, endpoint, "pre")
        pairs = after.merge(before, on=list(KEYS), suffixes=("", "_reference"))
    else:
        by = ["study_id", "participant_id", "visit_id"]
        others = after[after["_is_reference"]].groupby(by, sort=True)
        reference = others.agg(mean=("mean", "mean"), se=("se", _se_of_mean)).reset_index()
        pairs = after[~after["_is_reference"]].merge(reference, on=by, suffixes=("", "_reference"))
    pairs["se_trials"] = np.hypot(pairs["se"], pairs["se_reference"])
    pairs = pairs.rename(columns={"mean": "after", "mean_reference": "reference"})
    return pairs[[*KEYS, "visit_id", "is_rest", "reference", "after", "se_trials"]]


def _is_reference(cases: pd.DataFrame, design: OutcomeDesign) -> Vector:
    chosen = np.full(len(cases), design.reference == "bout")
    for column, value in design.reference_where.items():
        chosen &= (cases[column] == value).to_numpy()
    return chosen


def _se_of_mean(standard_errors: pd.Series) -> float:
    return float(np.sqrt((standard_errors**2).sum(skipna=False)) / len(standard_errors))


def _cell(summary: pd.DataFrame, endpoint: Endpoint, timepoint: str) -> pd.DataFrame:
    chosen = (
        (summary["measure"] == endpoint.measure)
        & (summary["site_role"] == endpoint.site_role)
        & (summary["timepoint"] == timepoint)
    )
    return summary.loc[chosen, [*KEYS, "mean", "se"]]


def _keep(pairs: pd.DataFrame) -> pd.DataFrame:
    scale = pairs["change_scale"].iloc[0] if len(pairs) else "absolute"
    return pairs.assign(change=pairs[f"change_{scale}"], rest_change=np.nan)


def _subtract_rest(pairs: pd.DataFrame) -> pd.DataFrame:
    """Subtract, scale by scale, the mean change of the person's own rest bouts.

    A rest bout of the same visit is preferred; without one, all of the person's are used.
    """
    result = _keep(pairs)
    by = ["study_id", "participant_id"]
    for scale in SCALES:
        column = f"change_{scale}"
        rest = pairs[pairs["is_rest"]]
        visit = rest.groupby([*by, "visit_id"])[column].mean().rename("_visit")
        person = rest.groupby(by)[column].mean().rename("_person")
        joined = pairs.join(visit, on=[*by, "visit_id"]).join(person, on=by)
        own = joined["_visit"].fillna(joined["_person"]).mask(pairs["is_rest"])
        result[column] = pairs[column] - own.fillna(0.0)
        if len(pairs) and scale == pairs["change_scale"].iloc[0]:
            result["change"], result["rest_change"] = result[column], own
    return result


def estimate_sem(changes: pd.DataFrame, design: OutcomeDesign) -> pd.DataFrame:
    """Standard error of measurement per endpoint, on the primary scale.

    ``rest``: the SD of rest changes is the error of a pre-post difference, ``sem_pair``; a
    single value has ``sem_pair / sqrt(2)``. ``trials``: the root mean square of the changes'
    trial errors (blind to drift between blocks, so a lower bound). ``stated``: from the study.

    Returns
    -------
    DataFrame with ``endpoint, sem_single, sem_pair, sem_source, sem_n``
        NaN where the source has fewer than two values.
    """
    rows = []
    for endpoint in design.endpoints:
        here = changes[changes["endpoint"] == endpoint.name]
        if design.sem_source == "stated":
            stated = [s for s in design.stated_sem if s.measure == endpoint.measure]
            single = stated[0].sem_single if stated else np.nan
            pair, source, n = single * np.sqrt(2), stated[0].source if stated else "none", 0
        else:
            spread = _rest_spread(here) if design.sem_source == "rest" else _trial_spread(here)
            pair, n, source = *spread, design.sem_source
        rows.append((endpoint.name, pair / np.sqrt(2), pair, source, n))
    return pd.DataFrame(rows, columns=["endpoint", "sem_single", "sem_pair", "sem_source", "sem_n"])


def _rest_spread(changes: pd.DataFrame) -> tuple[float, int]:
    rest = changes.loc[changes["is_rest"], "change"].dropna()
    return (float(rest.std(ddof=1)) if len(rest) > 1 else np.nan), len(rest)


def _trial_spread(changes: pd.DataFrame) -> tuple[float, int]:
    errors = changes["se_trials"].dropna()
    if len(errors) < 2 or (changes["change_scale"] != "absolute").any():
        return np.nan, len(errors)
    return float(np.sqrt((errors**2).mean())), len(errors)


def classify(change: Vector, threshold: Vector) -> tuple[Vector, Vector]:
    """Apply the rule: (hypoalgesia, hyperalgesia) as 0/1, NaN where change or threshold is.

    Examples
    --------
    >>> classify(np.array([0.3, 0.0, -0.3]), np.array([0.1, 0.1, 0.1]))
    (array([1., 0., 0.]), array([0., 0., 1.]))
    """
    unknown = np.isnan(change) | np.isnan(threshold)
    better = np.where(unknown, np.nan, (change > threshold).astype(np.float64))
    worse = np.where(unknown, np.nan, (change < -threshold).astype(np.float64))
    return better, worse


def label_outcomes(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign
) -> pd.DataFrame:
    """Outcome table of a study: changes, their error, and the targets of classifiers.

    Returns
    -------
    DataFrame, one row per exercise bout and endpoint
        Columns of :func:`compute_changes` but for rest bouts, plus ``sem_single, sem_change,
        sem_source, threshold, is_primary`` and the targets ``response, hyperalgesia, flare``
        (0/1/NaN).

    Notes
    -----
    Subtracting the own rest bout adds that bout's error: ``sem_change`` is then sqrt(2) times
    that of a bare pre-post difference.
    """
    changes = compute_changes(cases, measurements, design)
    table = changes.merge(estimate_sem(changes, design), on="endpoint", how="left")
    table = table[~table["is_rest"]].drop(columns=["is_rest"]).reset_index(drop=True)
    subtracted = table["rest_change"].notna().to_numpy()
    table["sem_change"] = table.pop("sem_pair") * np.where(subtracted, np.sqrt(2), 1.0)
    table["threshold"] = table["sem_change" if design.sem_of == "change" else "sem_single"]
    table["response"], table["hyperalgesia"] = classify(
        table["change"].to_numpy(), table["threshold"].to_numpy()
    )
    table["flare"] = _flare(table, summarise_trials(measurements), design.flare_rise_nrs)
    table["is_primary"] = table["endpoint"] == design.endpoints[0].name
    return table.sort_values([*KEYS, "endpoint"], ignore_index=True)


def _flare(table: pd.DataFrame, summary: pd.DataFrame, rise_nrs: float) -> pd.Series:
    """Flag a rise of clinical pain; a follow-up endpoint looks at its own moment only."""
    pain = summary[(summary["measure"] == "pain_nrs") & (summary["site_role"] == "clinical")]
    wide = pain.pivot_table(index=list(KEYS), columns="timepoint", values="mean")
    if "pre" not in wide.columns:
        return pd.Series(np.nan, index=table.index)
    rise = wide.drop(columns="pre").sub(wide["pre"], axis=0)
    acute = rise[[t for t in ACUTE if t in rise.columns]].max(axis=1).rename("_acute")
    late = rise.reset_index().melt(list(KEYS), var_name="timepoint", value_name="_late")
    joined = table[[*KEYS, "timepoint"]].join(acute, on=list(KEYS))
    joined = joined.merge(late, on=[*KEYS, "timepoint"], how="left")
    is_acute = joined["timepoint"].isin(ACUTE)
    observed = joined["_acute"].where(is_acute, joined["_late"])
    # Ratings have decimals: 2.3 - 0.3 falls one ulp short of 2.
    return (observed >= rise_nrs - 1e-9).astype("float64").mask(observed.isna())


def describe_outcomes(
    table: pd.DataFrame, endpoints: Sequence[Endpoint]
) -> list[dict[str, object]]:
    """Counts per endpoint: persons, bouts, events of every target, threshold and its source."""
    records: list[dict[str, object]] = []
    for endpoint in endpoints:
        here = table[table["endpoint"] == endpoint.name]
        record: dict[str, object] = {
            "endpoint": endpoint.name,
            "n_bouts": len(here),
            "n_participants": int(here["participant_id"].nunique()),
            "sem_single": _first(here["sem_single"]),
            "sem_change_median": float(here["sem_change"].median()) if len(here) else np.nan,
            "sem_source": _first(here["sem_source"]),
            "change_scale": _first(here["change_scale"]),
            "change_mean": float(here["change"].mean()) if len(here) else np.nan,
            "change_sd": float(here["change"].std(ddof=1)) if len(here) > 1 else np.nan,
        }
        for target in TARGETS:
            known = here[target].dropna()
            record[f"n_{target}"] = int(known.sum())
            record[f"n_{target}_known"] = len(known)
        records.append(record)
    return records


def _first(series: pd.Series) -> object:
    return series.iloc[0] if len(series) else None
