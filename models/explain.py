"""Why a prediction: exact additive contributions on the log-odds scale, and their summary."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.scorers import Contributions

# XGBoost sums its contributions in float32.
ADDITIVITY_TOLERANCE = 1e-4


def check_additivity(contributions: Contributions, log_odds: npt.NDArray[np.float64]) -> float:
    """Return the largest gap between baseline + contributions and the model's log-odds.

    Raises
    ------
    ArithmeticError
        If a row does not add up within float32 precision: the explanation would be of
        another model.
    """
    total = contributions.baseline + contributions.values.sum(axis=1)
    gap = float(np.max(np.abs(total - log_odds))) if len(log_odds) else 0.0
    if not gap <= ADDITIVITY_TOLERANCE * max(1.0, float(np.max(np.abs(log_odds), initial=0.0))):
        raise ArithmeticError(f"contributions miss the prediction by up to {gap:.2g} log-odds")
    return gap


def importance_table(contributions: Contributions, families: Mapping[str, str]) -> pd.DataFrame:
    """Global importance: mean absolute contribution of every feature, most important first.

    Parameters
    ----------
    contributions : Contributions
    families : mapping of feature name to its family

    Returns
    -------
    DataFrame with ``feature, family, mean_abs_log_odds, share``; ``share`` sums to 1
    """
    mean = np.abs(contributions.values).mean(axis=0)
    table = pd.DataFrame(
        {
            "feature": list(contributions.names),
            "family": [families.get(n, n) for n in contributions.names],
            "mean_abs_log_odds": mean,
            "share": mean / mean.sum() if mean.sum() > 0 else np.zeros_like(mean),
        }
    )
    return table.sort_values(["mean_abs_log_odds", "feature"], ascending=[False, True])


def family_table(contributions: Contributions, families: Mapping[str, str]) -> pd.DataFrame:
    """Importance of whole families: contributions are summed per row before the absolute value.

    Correlated members of one battery share their credit arbitrarily; their sum does not
    depend on how.
    """
    frame = pd.DataFrame(contributions.values, columns=list(contributions.names))
    summed = frame.T.groupby(lambda name: families.get(name, name)).sum().T
    mean = summed.abs().mean().sort_values(ascending=False)
    return mean.rename_axis("family").rename("mean_abs_log_odds").reset_index()


def interaction_table(pairs: Mapping[tuple[str, str], npt.NDArray[np.float64]]) -> pd.DataFrame:
    """Mean absolute joint contribution of every pair, largest first.

    Parameters
    ----------
    pairs : mapping of (feature, feature) to ndarray of shape (n_rows,), log-odds

    Returns
    -------
    DataFrame with ``feature, with_feature, mean_abs_log_odds``; pairs that contribute nothing
    are left out
    """
    rows = [(a, b, float(np.abs(values).mean())) for (a, b), values in pairs.items()]
    table = pd.DataFrame(rows, columns=["feature", "with_feature", "mean_abs_log_odds"])
    table = table[table["mean_abs_log_odds"] > 0]
    by = ["mean_abs_log_odds", "feature", "with_feature"]
    return table.sort_values(by, ascending=[False, True, True]).reset_index(drop=True)


def value_groups(
    values: npt.NDArray[np.float64],
    contributions: npt.NDArray[np.float64],
    n_groups: int = 8,
    least: int = 10,
) -> pd.DataFrame:
    """Summarise one feature's contributions by groups of its value, for tables that name nobody.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), NaN = missing
    contributions : ndarray of shape (n_rows,)
    n_groups : int, default=8
        Groups of about equal size; equal values stay together.
    least : int, default=10
        Rows a group must have to be reported.

    Returns
    -------
    DataFrame
        ``group`` (its number, or ``missing``), ``n``, ``value_mean``, ``contribution_mean``,
        ``lower`` and ``upper`` (5th and 95th percentile of the contributions).
    """
    known = np.isfinite(values)
    edges = (
        np.unique(np.quantile(values[known], np.linspace(0, 1, n_groups + 1)[1:-1]))
        if known.any()
        else np.zeros(0)
    )
    number = np.where(known, np.searchsorted(edges, np.where(known, values, 0.0), "left"), -1)
    rows = []
    for group in np.unique(number):
        own = number == group
        if own.sum() >= least:
            low, high = np.quantile(contributions[own], [0.05, 0.95])
            rows.append(
                {
                    "group": "missing" if group < 0 else str(int(group) + 1),
                    "n": int(own.sum()),
                    "value_mean": float(values[own].mean()) if group >= 0 else np.nan,
                    "contribution_mean": float(contributions[own].mean()),
                    "lower": float(low),
                    "upper": float(high),
                }
            )
    columns = ["group", "n", "value_mean", "contribution_mean", "lower", "upper"]
    return pd.DataFrame(rows, columns=columns)
