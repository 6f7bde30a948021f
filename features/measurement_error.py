"""Error of measurement of a change: estimated on training persons, stated for every bout."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.change import PERSON
from features.outcome_design import Endpoint, OutcomeDesign
from features.spec import Vector
from features.units import MEASURES

EVERYBODY = "all"
# An SD from fewer values is off by more than a fifth either way (1 / sqrt(2 * 9) = 24 %): a
# condition with fewer rest bouts takes the pooled error.
MIN_PER_CONDITION = 10
ERROR_COLUMNS = ["endpoint", "condition", "sem_single", "sem_pair", "sem_source", "sem_n"]


def estimate_sem(changes: pd.DataFrame, design: OutcomeDesign) -> pd.DataFrame:
    """Standard error of measurement per endpoint, on the scale of ``change``.

    ``rest``: the SD of rest changes is the error of a pre-post difference, ``sem_pair``; a
    single value has ``sem_pair / sqrt(2)``. ``trials``: the root mean square of the changes'
    trial errors (blind to drift between blocks, so a lower bound). ``stated``: from the study.

    Parameters
    ----------
    changes : DataFrame
        Changes of the persons the error may be learnt from.
    design : OutcomeDesign

    Returns
    -------
    DataFrame with ``endpoint, condition, sem_single, sem_pair, sem_source, sem_n``
        One row per endpoint with the condition ``all``, and with ``sem_by = 'condition'`` one
        more per condition that has at least ten values. NaN where the source has fewer than two
        values.
    """
    rows = []
    for endpoint in design.endpoints:
        here = changes[changes["endpoint"] == endpoint.name]
        rows.append((endpoint.name, EVERYBODY, *_error(here, endpoint, design)))
        if design.sem_by == "condition" and design.sem_source != "stated":
            for condition, own in here.groupby("condition", sort=True):
                found = _error(own, endpoint, design)
                if found[-1] >= MIN_PER_CONDITION:
                    rows.append((endpoint.name, str(condition), *found))
    return pd.DataFrame(rows, columns=ERROR_COLUMNS)


def _error(
    here: pd.DataFrame, endpoint: Endpoint, design: OutcomeDesign
) -> tuple[float, float, str, int]:
    if design.sem_source == "stated":
        stated = [s for s in design.stated_sem if s.measure == endpoint.measure]
        single = stated[0].sem_single if stated else np.nan
        return single, single * np.sqrt(2), stated[0].source if stated else "none", 0
    pair, n = _rest_spread(here) if design.sem_source == "rest" else _trial_spread(here)
    return pair / np.sqrt(2), pair, design.sem_source, n


def _rest_spread(changes: pd.DataFrame) -> tuple[float, int]:
    rest = changes.loc[changes["is_rest"], "change"].dropna()
    return (float(rest.std(ddof=1)) if len(rest) > 1 else np.nan), len(rest)


def _trial_spread(changes: pd.DataFrame) -> tuple[float, int]:
    squares = trial_variance(changes) * own_factor(changes)
    squares = squares[np.isfinite(squares)]
    if len(squares) < 2:
        return np.nan, len(squares)
    return float(np.sqrt(squares.mean())), len(squares)


def trial_variance(changes: pd.DataFrame, learn: pd.DataFrame | None = None) -> Vector:
    """Variance of one trial on the scale of each row's change, pooled over ``learn``'s persons.

    Parameters
    ----------
    changes : DataFrame
        Rows of one endpoint.
    learn : DataFrame, optional
        Rows of the persons to learn from; default: the same rows.

    Returns
    -------
    ndarray of shape (n_rows,), squared unit of the change; NaN where no trial was repeated
    """
    persons = (changes if learn is None else learn).drop_duplicates(list(PERSON))
    freedom = persons["trial_df"].sum()
    if not freedom > 0:
        return np.full(len(changes), np.nan)
    plain = float(persons["trial_ss"].sum() / freedom)
    of_log = float(persons["trial_ss_log"].sum() / freedom)
    # A percent change is 100 * (exp(log ratio) - 1): its error grows with the ratio.
    percent = (100.0 * changes["after"] / changes["reference"]).to_numpy() ** 2 * of_log
    on_percent = (changes["change_scale"] == "percent").to_numpy()
    return np.select([on_percent, _is_ratio(changes).to_numpy()], [percent, of_log], plain)


def _is_ratio(changes: pd.DataFrame) -> pd.Series:
    """Whether the change is a difference of logarithms."""
    primary = changes["measure"].map(lambda name: MEASURES[name].primary_scale)
    adjusted = changes["change_scale"] == "ancova"
    return (changes["change_scale"] == "log_ratio") | (adjusted & (primary == "log_ratio"))


def own_factor(changes: pd.DataFrame) -> Vector:
    """Variance of the bout's own change by its trials, in units of the variance of one trial."""
    slope = changes["ancova_slope"].fillna(1.0)
    return (changes["after_factor"] + slope**2 * changes["reference_factor"]).to_numpy()


def add_errors(
    table: pd.DataFrame, errors: pd.DataFrame, trial_var: Vector, design: OutcomeDesign
) -> pd.DataFrame:
    """State the error of every bout's change: of the rule, and of the bout itself.

    Parameters
    ----------
    table : DataFrame
        Exercise bouts of one endpoint, on the design's scale.
    errors : DataFrame
        :func:`estimate_sem` of the persons learnt from.
    trial_var : ndarray of shape (n_rows,)
        :func:`trial_variance`.
    design : OutcomeDesign

    Returns
    -------
    DataFrame with ``sem_single, sem_change, sem_source, sem_n, sem_condition`` (the typical
    error that thresholds rest on) and ``error_own, error_shared`` (variances of this bout's
    change, from its own number of trials: the part of its own, and the part it has in common
    with the person's other bouts of the same ``shared_key``)

    Notes
    -----
    Subtracting the mean of m rest bouts adds their error: ``sem_change`` is sqrt(1 + 1/m) times
    that of a bare pre-post difference. What trials do not explain of ``sem_pair`` is the
    occasion's, and does not shrink with more trials.
    """
    endpoint = errors[errors["endpoint"] == table["endpoint"].iloc[0]].set_index("condition")
    condition = table["condition"].astype(str)
    used = condition.where(condition.isin(endpoint.index), EVERYBODY)
    found = {c: used.map(endpoint[c]).to_numpy() for c in ERROR_COLUMNS[2:]}
    pair = found.pop("sem_pair").astype(np.float64)
    rests = np.where(table["n_rest"] > 0, 1.0 / table["n_rest"].where(table["n_rest"] > 0), 0.0)
    own, shared = _variances(table, pair, trial_var, rests, design)
    return table.assign(
        **found,
        sem_condition=used.to_numpy(),
        sem_change=pair * np.sqrt(1.0 + rests),
        error_own=own,
        error_shared=shared,
    )


def _variances(
    table: pd.DataFrame, pair: Vector, trial_var: Vector, rests: Vector, design: OutcomeDesign
) -> tuple[Vector, Vector]:
    factor = own_factor(table)
    trials = trial_var * factor
    if design.sem_source == "trials":
        own, rest = trials, trial_var * table["rest_factor"].to_numpy()
    elif design.sem_source == "rest":
        # Without repeated trials everything counts as the occasion's.
        typical = np.nan_to_num(trial_var * np.median(factor))
        occasion = np.maximum(pair**2 - typical, 0.0)
        own = occasion + np.nan_to_num(trials)
        rest = occasion * rests + np.nan_to_num(trial_var * table["rest_factor"].to_numpy())
    else:
        own, rest = pair**2, pair**2 * rests
    if design.reference == "pre":
        return own, rest
    # Bouts compared with one reference bout have its error in common.
    share = (
        table["reference_factor"] / (table["after_factor"] + table["reference_factor"])
    ).to_numpy()
    return own * (1.0 - share), own * share + rest
