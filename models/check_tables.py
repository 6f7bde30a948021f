"""What checks look for in rows, columns, splits and estimators.

Every function yields one sentence of evidence per fault, and nothing where there is none. Columns
and rows are named, values never.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import mannwhitneyu, rankdata

from models.errors import LeakageError
from models.leakage import check_unfitted, duplicated_persons
from models.metrics import CLIP, log_loss_per_row
from models.selection import clustered_standard_error
from models.splits import SplitPlan

Vector = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
NAMED = 5
# Fewer rows or columns than these prove nothing.
LEAST_ROWS, LEAST_COLUMNS, LEAST_FILLED = 12, 5, 3
CHOSEN_LEVEL = 1e-3
ROUNDING = 1e-9
SAME_RANKS = 0.9
# Person-level predictors of one-session labels do not get further (AUC at a reliability of .61).
GOOD_AUC = 0.88


def listed(names: Collection[str], limit: int = NAMED) -> str:
    """Join the first few names; say how many more there are.

    Examples
    --------
    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    shown = ", ".join(list(names)[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def persons_on_both_sides(plan: SplitPlan, person: npt.NDArray[Any]) -> Iterator[str]:
    """Say where a split plan has a person on both sides, or misses a row."""
    try:
        plan.audit(person)
    except LeakageError as error:
        yield str(error)


def persons_under_two_names(values: pd.DataFrame, person: Index) -> Iterator[str]:
    """Name pairs of rows whose persons are one; see :func:`models.leakage.duplicated_persons`."""
    pairs = duplicated_persons(values, person)
    if pairs:
        named = listed([f"{a} and {b}" for a, b in pairs])
        yield f"{len(pairs)} pairs of participants are alike in rare values (rows {named})."


def chosen_by_outcome(X: pd.DataFrame, kept: Collection[str], y: Vector) -> Iterator[str]:
    """Say whether the kept columns go with the outcome more than those left out.

    The absolute rank correlations of both groups are compared by a rank sum. A choice made
    without the outcome puts strong columns on either side; columns of one questionnaire go
    together, so that the test is somewhat too eager where a study left out a whole block.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_columns)
        Every column there was to choose from; constant ones take no part.
    kept : collection of str
    y : ndarray of shape (n_rows,), 0/1 or continuous, NaN = unknown
    """
    strength = {c: abs(_rank_correlation(X[c].to_numpy(dtype=np.float64), y)) for c in X.columns}
    known = {c: r for c, r in strength.items() if np.isfinite(r)}
    inside = [r for c, r in known.items() if c in kept]
    outside = [r for c, r in known.items() if c not in kept]
    if min(len(inside), len(outside)) < LEAST_COLUMNS:
        return
    p = float(mannwhitneyu(inside, outside, alternative="greater").pvalue)
    if p < CHOSEN_LEVEL:
        yield (
            f"the {len(inside)} columns kept go with the outcome more than the {len(outside)} left "
            f"out (median rank correlation {np.median(inside):.2f} and {np.median(outside):.2f}, "
            f"p = {p:.1e})."
        )


def _rank_correlation(a: Vector, b: Vector) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < LEAST_ROWS or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(a[both]), rankdata(b[both]))[0, 1])


def fitted_parts(estimators: dict[str, Any]) -> Iterator[str]:
    """Name candidates that hold something fitted; see :func:`models.leakage.check_unfitted`."""
    for name, estimator in estimators.items():
        try:
            check_unfitted(estimator)
        except LeakageError as error:
            yield f"candidate '{name}', {error}"


def reweighted_parts(estimators: dict[str, Any]) -> Iterator[str]:
    """Name candidates that weigh classes or make rows up."""
    for name, estimator in estimators.items():
        for part, value in estimator.get_params(deep=True).items():
            key = part.rpartition("__")[2]
            weighs = (key == "class_weight" and value is not None) or (
                key == "scale_pos_weight" and value not in (None, 1)
            )
            if weighs or hasattr(value, "fit_resample"):
                yield f"candidate '{name}' has {part}."


def scaled_columns(X: pd.DataFrame) -> Iterator[str]:
    """Name columns that have mean 0 and standard deviation 1 over the rows that are known."""
    found = [c for c in X.columns if _is_scaled(X[c].to_numpy(dtype=np.float64))]
    if found:
        yield f"{len(found)} columns have mean 0 and SD 1 over all rows: {listed(found)}."


def _is_scaled(column: Vector) -> bool:
    known = column[np.isfinite(column)]
    if len(known) < LEAST_ROWS or abs(known.mean()) > 1e-6:
        return False
    return any(abs(known.std(ddof=d) - 1) < 1e-6 for d in (0, 1))


def imputed_columns(X: pd.DataFrame) -> Iterator[str]:
    """Name columns where several rows hold the mean of the others.

    The value has to be finer than all others (more decimals): a mean that a person can also
    have measured, as 4 of 10, proves nothing.
    """
    found = [c for c in X.columns if _is_imputed(X[c].to_numpy(dtype=np.float64))]
    if found:
        yield f"{len(found)} columns hold their own mean in several rows: {listed(found)}."


def _is_imputed(column: Vector) -> bool:
    known = column[np.isfinite(column)]
    values, times = np.unique(known, return_counts=True)
    if len(known) < LEAST_ROWS or len(values) < 3:
        return False
    for value in values[times >= LEAST_FILLED]:
        others = known[known != value]
        near = abs(others.mean() - value) <= ROUNDING * max(1.0, abs(value))
        if near and _decimals(value) > max(_decimals(v) for v in others):
            return True
    return False


def _decimals(value: float) -> int:
    """Decimals needed to write a value to nine of them."""
    return len(f"{value:.9f}".rstrip("0").partition(".")[2])


def strong_features(X: pd.DataFrame, y: Vector, limit: float) -> Iterator[str]:
    """Name columns that alone tell events from others better than ``limit`` (an AUC).

    The lower limit of the AUC's interval has to be above it [Hanley1982]_: among many columns
    some have a large AUC by chance.

    References
    ----------
    .. [Hanley1982] Hanley, McNeil. The meaning and use of the area under a receiver operating
       characteristic curve. Radiology 143:29.
    """
    above = min(limit, GOOD_AUC) if np.isfinite(limit) else GOOD_AUC
    found = {c: _auc(X[c].to_numpy(dtype=np.float64), y) for c in X.columns}
    strong = [f"{c} ({a:.2f})" for c, (a, error) in found.items() if a - 1.96 * error > above]
    if strong:
        yield f"{listed(strong)} alone reach an AUC above {above:.2f}."


def _auc(column: Vector, y: Vector) -> tuple[float, float]:
    """AUC of a column, whichever way it points, and its standard error."""
    known = np.isfinite(column) & np.isfinite(y)
    events, others = column[known & (y == 1)], column[known & (y == 0)]
    if min(len(events), len(others)) < LEAST_ROWS:
        return np.nan, np.nan
    rank = rankdata(np.concatenate([events, others]))[: len(events)].sum()
    n, m = len(events), len(others)
    area = (rank - n * (n + 1) / 2) / (n * m)
    area = max(area, 1 - area)
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (n - 1) * (one - area**2) + (m - 1) * (two - area**2)
    return float(area), float(np.sqrt(variance / (n * m)))


def certain_risks(risks: pd.DataFrame) -> Iterator[str]:
    """Say which candidates gave risks of exactly 0 or 1, and how often."""
    for name in risks.columns:
        n = int(risks[name].isin([0.0, 1.0]).sum())
        if n:
            yield f"'{name}' gave {n} risks of exactly 0 or 1."


def not_better(y: Vector, person: Index, risks: tuple[Vector, Vector]) -> Iterator[str]:
    """Say whether the first risks are not shown to be better than the second.

    The mean difference in log loss with twice its standard error over persons.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), 0/1, NaN = not judged
    person : ndarray of shape (n_rows,), int
    risks : pair of ndarray of shape (n_rows,)
    """
    known = np.isfinite(y)
    losses = [log_loss_per_row(y[known], r[known], CLIP) for r in risks]
    difference = losses[0] - losses[1]
    _, number = np.unique(person[known], return_inverse=True)
    error = clustered_standard_error(difference, number)
    upper = float(difference.mean() + 1.96 * error)
    if not upper < 0:
        yield (
            f"log loss differs by {difference.mean():+.4f} (95 % interval "
            f"{difference.mean() - 1.96 * error:+.4f} to {upper:+.4f})."
        )


def missing_by_setting(X: pd.DataFrame, setting: npt.NDArray[np.object_]) -> Iterator[str]:
    """Name columns that are wholly missing in one setting and known in another."""
    share = X.isna().groupby(pd.Series(setting, index=X.index)).mean()
    found = [str(c) for c in X.columns if share[c].max() == 1 and share[c].min() < 1]
    if found:
        yield f"{len(found)} columns were never measured in some settings: {listed(found)}."


def same_columns(X: pd.DataFrame, block: dict[str, str]) -> Iterator[str]:
    """Name pairs of columns of different blocks with a rank correlation above 0.9."""
    columns = [c for c in X.columns if X[c].nunique() > 2]
    if len(columns) < 2:
        return
    # Ranks once per column: pairs with missing values are then compared on ranks of all rows.
    ranks = X[columns].rank().corr(min_periods=LEAST_ROWS).to_numpy()
    pairs = [
        f"{columns[i]} and {columns[j]}"
        for i, j in zip(*np.nonzero(np.triu(np.abs(ranks) > SAME_RANKS, 1)), strict=True)
        if block.get(columns[i]) != block.get(columns[j])
    ]
    if pairs:
        yield f"{len(pairs)} pairs of columns say nearly the same: {listed(pairs)}."


def lost_columns(present: Sequence[str], declared: Sequence[str]) -> Iterator[str]:
    """Name columns that should be there and are not."""
    lost = [c for c in declared if c not in set(present)]
    if lost:
        yield f"{len(lost)} columns are missing: {listed(lost)}."
