"""What happened after the bout: the change, and who counts as responder, hyperalgesic, flare.

Composes :mod:`features.change`, :mod:`features.measurement_error` and :mod:`features.responder`
into the outcome table. Whatever is estimated (an error of measurement, a mean to shrink towards,
a slope) is estimated from the persons it is told to learn from, so that a validation can derive
the labels of each fold from its training persons alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.change import (
    PERSON,
    SCALES,
    compute_changes,
    on_scale,
    own_rest_mean,
    signed_change,
    summarise_trials,
)
from features.columns import KEYS
from features.measurement_error import add_errors, estimate_sem, trial_variance
from features.outcome_design import Endpoint, OutcomeDesign, StatedSem
from features.responder import (
    RULES,
    class_of,
    classify,
    decide,
    describe_rules,
    noise_share,
    posterior_of,
    threshold_of,
)

__all__ = [
    "ACUTE",
    "PERSON",
    "SCALES",
    "SOFT_LABELS",
    "TARGETS",
    "Endpoint",
    "OutcomeDesign",
    "StatedSem",
    "classify",
    "compare_rules",
    "compute_changes",
    "describe_outcomes",
    "describe_rules",
    "estimate_sem",
    "label_changes",
    "label_outcomes",
    "outcome_table",
    "own_rest_mean",
    "signed_change",
    "summarise_trials",
]

TARGETS = ("response", "hyperalgesia", "flare")
# The probability that stands for a target in training with soft labels.
SOFT_LABELS = {"response": "response_probability", "hyperalgesia": "hyperalgesia_probability"}
# Timepoints at which a rise of clinical pain counts as a flare of an acute bout (evidence A1, E4).
ACUTE = ("during", "post", "post_24h")
# What changes need to make labels; not of interest afterwards.
INTERNAL = [
    "is_rest", "after_factor", "reference_factor", "rest_factor", "shared_key", "trial_ss",
    "trial_ss_log", "trial_df", "error_own", "error_shared",
]  # fmt: skip


def label_outcomes(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign
) -> pd.DataFrame:
    """Outcome table of a study: changes, their error, classes and the targets of classifiers.

    Returns
    -------
    DataFrame, one row per exercise bout and endpoint
        :func:`label_changes` with everybody learnt from, plus ``flare`` (0/1/NaN).
    """
    return outcome_table(compute_changes(cases, measurements, design), measurements, design)


def outcome_table(
    changes: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign
) -> pd.DataFrame:
    """:func:`label_outcomes` of changes that are at hand already."""
    table = label_changes(changes, design)
    table["flare"] = _flare(table, summarise_trials(measurements), design.flare_rise_nrs)
    return table


def label_changes(
    changes: pd.DataFrame,
    design: OutcomeDesign,
    learn_from: pd.DataFrame | None = None,
    *,
    probabilities: bool = True,
) -> pd.DataFrame:
    """Classes and targets of every exercise bout, with what was learnt from some persons only.

    Parameters
    ----------
    changes : DataFrame
        :func:`compute_changes`, rest bouts among them.
    design : OutcomeDesign
    learn_from : DataFrame, optional
        Persons (``study_id, participant_id``) whose data the error of measurement, the mean and
        spread of true changes, and the slope of ``ancova`` are estimated from. The changes of
        others have no part in it. Default: everybody.
    probabilities : bool, default=True
        Whether the posterior is computed where the rule does not need it; else its columns
        are NaN.

    Returns
    -------
    DataFrame, one row per exercise bout and endpoint, sorted by key and endpoint
        Columns of :func:`compute_changes` on the design's scale, plus ``sem_single, sem_change,
        sem_source, sem_n, sem_condition, error_change`` (that of this very bout's change, from
        its own trials), ``posterior_mean, posterior_sd, response_probability,
        hyperalgesia_probability`` (that the true change is beyond delta), ``rule, threshold,
        sem_used, class`` (hypoalgesia, no_change, hyperalgesia, indeterminate), ``is_primary``
        and the targets ``response`` and ``hyperalgesia`` (0/1/NaN).

    Notes
    -----
    ``sem`` and ``mdc95`` decide everybody whose change and error are known. ``posterior`` leaves
    out, per target, whoever's probability lies between ``1 - certainty`` and ``certainty``; of
    the named classes, hypoalgesia is response 1, no_change and hyperalgesia are response 0.
    """
    needed = probabilities or design.rule == "posterior"
    return _labelled(changes, design, learn_from, needed)[0]


def compare_rules(changes: pd.DataFrame, design: OutcomeDesign) -> pd.DataFrame:
    """Label every exercise bout by every rule, side by side.

    Returns
    -------
    DataFrame with the keys, ``endpoint, change`` and, per rule of :data:`RULES`, ``class_<rule>``
    and ``noise_hypoalgesia_<rule>, noise_hyperalgesia_<rule>``: the probability that the bout
    would be in that class if its true change were zero
    """
    table, noise = _labelled(changes, design, None)
    result = table[[*KEYS, "endpoint", "change"]].copy()
    for rule in RULES:
        result[f"class_{rule}"] = _apply(table, rule, design)[0]
        if rule == "posterior":
            shares = noise
        else:
            cut = threshold_of(table, rule, design)
            shares = np.repeat([noise_share(cut, table["sem_change"].to_numpy())], 2, axis=0)
        result[f"noise_hypoalgesia_{rule}"], result[f"noise_hyperalgesia_{rule}"] = shares
    return result


def _labelled(
    changes: pd.DataFrame,
    design: OutcomeDesign,
    learn_from: pd.DataFrame | None,
    probabilities: bool = True,
) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """Label table, and the shares beyond delta that noise alone gives under ``posterior``."""
    changes = changes.reset_index(drop=True)
    learn = _is_among(changes, learn_from)
    scaled = on_scale(changes, design, learn)
    errors = estimate_sem(scaled[learn], design)
    parts = []
    for name in dict.fromkeys(scaled["endpoint"]):
        here = (scaled["endpoint"] == name).to_numpy()
        rows = here & ~scaled["is_rest"].to_numpy()
        if rows.any():
            variance = trial_variance(scaled[rows], scaled[here & learn])
            table = add_errors(scaled[rows], errors, variance, design)
            learnt = learn[rows] if probabilities else np.zeros(int(rows.sum()), dtype=bool)
            parts.append(_with_posterior(table, learnt, design))
    table = pd.concat(parts) if parts else _empty(scaled)
    table["class"], table["response"], table["hyperalgesia"] = _apply(table, design.rule, design)
    table["threshold"] = threshold_of(table, design.rule, design)
    table["rule"], table["sem_used"] = design.rule, _sem_used(table, design)
    table["is_primary"] = table["endpoint"] == design.endpoints[0].name
    table = table.sort_values([*KEYS, "endpoint"], ignore_index=True)
    noise = table[["_noise_up", "_noise_down"]].to_numpy(dtype=np.float64).T
    return table.drop(columns=[*INTERNAL, "_noise_up", "_noise_down"]), noise


def _is_among(changes: pd.DataFrame, persons: pd.DataFrame | None) -> npt.NDArray[np.bool_]:
    if persons is None:
        return np.ones(len(changes), dtype=bool)
    wanted = pd.MultiIndex.from_frame(persons[list(PERSON)].drop_duplicates())
    return np.asarray(pd.MultiIndex.from_frame(changes[list(PERSON)]).isin(wanted))


def _empty(scaled: pd.DataFrame) -> pd.DataFrame:
    names = ["sem_single", "sem_change", "sem_n", "error_own", "error_shared", *POSTERIOR]
    text = {"sem_source": "", "sem_condition": ""}
    return scaled.iloc[:0].assign(**dict.fromkeys(names, np.nan), **text)


POSTERIOR = (
    "error_change", "posterior_mean", "posterior_sd", "response_probability",
    "hyperalgesia_probability", "_noise_up", "_noise_down",
)  # fmt: skip


def _with_posterior(
    table: pd.DataFrame, learn: npt.NDArray[np.bool_], design: OutcomeDesign
) -> pd.DataFrame:
    found = {name: np.full(len(table), np.nan) for name in POSTERIOR}
    found["error_change"] = ((table["error_own"] + table["error_shared"]) ** 0.5).to_numpy()
    posterior, known = posterior_of(table, learn, design)
    if posterior is not None:
        delta = threshold_of(table, "posterior", design)[known]
        found["posterior_mean"][known], found["posterior_sd"][known] = posterior.moments()
        found["response_probability"][known] = posterior.above(delta)
        found["hyperalgesia_probability"][known] = posterior.below(-delta)
        for name, side in (("_noise_up", 1), ("_noise_down", -1)):
            found[name][known] = posterior.noise_share(delta, design.certainty, side)
    return table.assign(**found)


def _apply(
    table: pd.DataFrame, rule: str, design: OutcomeDesign
) -> tuple[pd.Series, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Class, response and hyperalgesia of every row under one rule."""
    if rule == "posterior":
        up = table["response_probability"].to_numpy(dtype=np.float64)
        down = table["hyperalgesia_probability"].to_numpy(dtype=np.float64)
        better, worse = decide(up, down, design.certainty)
        unchanged = np.where(1.0 - up - down >= design.certainty, 1.0, 0.0)
        known = ~np.isnan(up)
    else:
        cut = threshold_of(table, rule, design)
        better, worse = classify(table["change"].to_numpy(dtype=np.float64), cut)
        unchanged = np.where(better + worse == 0, 1.0, 0.0)
        known = ~np.isnan(better)
    names = class_of(better, worse, unchanged, known)
    return names.set_axis(table.index), better, worse


def _sem_used(table: pd.DataFrame, design: OutcomeDesign) -> pd.Series:
    """The error that the rule rested on, before any factor."""
    if design.rule == "posterior":
        return table["error_change"]
    return table["sem_change" if design.sem_of == "change" else "sem_single"]


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
