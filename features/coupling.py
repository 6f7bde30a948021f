"""Baseline values that are made of the outcome's own reference: they predict its noise.

A change is after minus reference. Whatever shares the reference's trials shares their noise, and
correlates with the change where nothing happened at all: r(pre, post - pre) is
-sqrt((1 - rho) / 2) (evidence A3.6). A correlation cannot tell such a column from an honest one
measured the same day, the trials can: a column made of them is a linear function of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns import CASES, KEYS
from features.outcome_design import Endpoint, OutcomeDesign
from features.spec import Vector

# An independent block leaves at least its own trial noise unexplained: with the most reliable
# block reported (ICC .99, evidence A2) one hundredth of its variance. Rounding leaves less than
# a thousandth.
MOST_UNEXPLAINED = 1e-3
# A chance fit needs as many free trials as rows; with four rows a trial it does not happen.
ROWS_PER_TRIAL = 4
MIN_ROWS = 12


@dataclass(frozen=True)
class Coupling:
    """A column of cases that the reference trials of an endpoint determine.

    ``n_bouts`` is on how many bouts that was seen, ``unexplained`` the share of the column's
    variance that the trials leave.
    """

    endpoint: str
    column: str
    n_bouts: int
    unexplained: float


def coupled_columns(
    cases: pd.DataFrame,
    measurements: pd.DataFrame,
    design: OutcomeDesign,
    also: Sequence[str] = (),
) -> list[Coupling]:
    """Find the columns of ``cases`` that are made of an endpoint's reference trials.

    Every number known before the bout is tried, as it is and as its logarithm, against the
    trials of the reference (any of them, any weights) and, where the reference is another bout,
    against that bout's trials.

    Parameters
    ----------
    cases, measurements : DataFrame
        Checked tables.
    design : OutcomeDesign
    also : sequence of str
        Numeric columns of ``cases`` that the contract does not declare, to be tried too.

    Notes
    -----
    A column that mixes reference trials with independent ones (a mean over both) is not a
    function of the reference alone and is not found.
    """
    names = [
        c.name
        for c in CASES
        if c.kind == "number" and c.known_at == "baseline" and c.name in cases.columns
    ]
    names += [name for name in also if name not in names]
    found = []
    for endpoint in design.endpoints:
        trials = _reference_trials(cases, measurements, endpoint, design)
        if trials.shape[1] == len(KEYS):
            continue
        joined = cases[[*KEYS, *names]].merge(trials, on=list(KEYS))
        values = joined[[c for c in trials.columns if c not in KEYS]].to_numpy(dtype=np.float64)
        for name in names:
            column = joined[name].to_numpy(dtype=np.float64)
            share, n = _unexplained(column, values)
            if share < MOST_UNEXPLAINED:
                found.append(Coupling(endpoint.name, name, n, share))
    return found


def _reference_trials(
    cases: pd.DataFrame, measurements: pd.DataFrame, endpoint: Endpoint, design: OutcomeDesign
) -> pd.DataFrame:
    """Trials of the reference, one column each, per bout that has one."""
    timepoint = "pre" if design.reference == "pre" else endpoint.timepoint
    chosen = measurements[
        (measurements["measure"] == endpoint.measure)
        & (measurements["site_role"] == endpoint.site_role)
        & (measurements["timepoint"] == timepoint)
    ]
    if design.reference == "bout":
        reference = cases
        for column, value in design.reference_where.items():
            reference = reference[reference[column] == value]
        chosen = chosen.merge(reference[list(KEYS)], on=list(KEYS))
    number = chosen.groupby(list(KEYS), sort=False).cumcount()
    wide = chosen.assign(_n=number).pivot_table(index=list(KEYS), columns="_n", values="value")
    # Calibrated stimuli come in dozens of trials: their first ones and their mean say enough.
    wide = wide.iloc[:, :6].assign(mean=wide.mean(axis=1)) if wide.shape[1] > 6 else wide
    return wide.rename(columns=str).reset_index()


def _unexplained(column: Vector, trials: Vector) -> tuple[float, int]:
    """Smallest share of variance left by a linear fit, raw or in logs; 1 where it says nothing."""
    known = np.isfinite(column) & np.isfinite(trials).all(axis=1)
    column, trials = column[known], trials[known]
    if len(column) < max(MIN_ROWS, ROWS_PER_TRIAL * trials.shape[1]) or np.ptp(column) == 0:
        return 1.0, len(column)
    shares = [_residual_share(column, trials)]
    if (column > 0).all() and (trials > 0).all():
        shares.append(_residual_share(np.log(column), np.log(trials)))
    return min(shares), len(column)


def _residual_share(column: Vector, trials: npt.NDArray[np.float64]) -> float:
    centred = column - column.mean()
    fitted = trials - trials.mean(axis=0)
    coefficients = np.linalg.lstsq(fitted, centred, rcond=None)[0]
    freedom = len(column) - 1 - trials.shape[1]
    left = float(((centred - fitted @ coefficients) ** 2).sum()) / freedom
    return float(left / np.var(column, ddof=1))
