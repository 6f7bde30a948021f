"""Guards against knowledge a model may not have: later columns, outcomes, fitted parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.frozen import FrozenEstimator
from xgboost import XGBModel

from models.errors import LeakageError

# The order in which values become known; a model decides at one of these moments.
MOMENTS = ("screening", "baseline", "during", "after")
# A rank correlation that no honest predictor of a change reaches (evidence A3: the outcome's
# own reliability bounds it near 0.7); a copy, also a transformed one, has 1.
COPY_CORRELATION = 0.99


def check_known_at(known_at: Mapping[str, str], decision_time: str) -> None:
    """Raise LeakageError for features that become known after the moment of decision.

    Parameters
    ----------
    known_at : mapping of feature name to one of ``MOMENTS``
    decision_time : str
        The moment at which the model has to answer.

    Examples
    --------
    >>> check_known_at({"age_years": "screening"}, "baseline")
    >>> check_known_at({"rpe": "during"}, "baseline")
    Traceback (most recent call last):
    models.errors.LeakageError: features: expected values known at baseline or before, found \
rpe (during). Leave it out, or declare a later decision_time.
    """
    latest = MOMENTS.index(decision_time)
    late = [f"{n} ({m})" for n, m in known_at.items() if MOMENTS.index(m) > latest]
    if late:
        raise LeakageError(
            f"features: expected values known at {decision_time} or before, found "
            f"{', '.join(late)}. Leave it out, or declare a later decision_time.",
            "EIH021",
        )


def check_declared(columns: Sequence[str], declared: Sequence[str]) -> None:
    """Raise LeakageError for columns that no builder declares: their moment is unknown."""
    unknown = sorted(set(columns) - set(declared))
    if unknown:
        raise LeakageError(
            f"features: expected declared columns only, found {', '.join(unknown[:5])}. "
            "A feature comes from a builder, which says when it is known.",
            "EIH022",
        )


def check_no_outcome_copy(features: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    """Raise LeakageError where a feature has an outcome's name or carries its values.

    Parameters
    ----------
    features : DataFrame of shape (n_rows, n_features)
    outcomes : DataFrame of shape (n_rows, n_outcomes)
        Numeric outcome columns of the same rows (changes, targets).
    """
    named = sorted(set(features.columns) & set(outcomes.columns))
    copies = [
        f"{feature} ({outcome})"
        for outcome in outcomes.columns
        for feature in features.columns
        if _is_copy(features[feature].to_numpy(), outcomes[outcome].to_numpy())
    ]
    if named or copies:
        raise LeakageError(
            f"features: expected nothing derived from the outcome, found "
            f"{', '.join(named + copies)}. Leave it out.",
            "EIH023",
        )


def _is_copy(feature: np.ndarray, outcome: np.ndarray) -> bool:
    both = np.isfinite(feature) & np.isfinite(outcome)
    feature, outcome = feature[both], outcome[both]
    if both.sum() < 10 or np.ptp(feature) == 0 or np.ptp(outcome) == 0:
        return False
    return bool(abs(spearmanr(feature, outcome).statistic) > COPY_CORRELATION)


def check_blind_to_outcome(
    step: Callable[[pd.DataFrame, np.ndarray], Any], X: pd.DataFrame, y: np.ndarray, what: str
) -> None:
    """Raise LeakageError if something done once, before any split, looks at the outcome.

    Choosing columns by their relation to all outcomes makes noise look predictive in every
    fold. A step that gives another result when outcomes are dealt out anew has looked.

    Parameters
    ----------
    step : callable of (X, y)
        Returns something that compares, as a list of column names.
    X : DataFrame of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,)
    what : str
        Names the step in the message.
    """
    found = step(X, y)
    rng = np.random.default_rng(0)
    if any(step(X, rng.permutation(y)) != found for _ in range(5)):
        raise LeakageError(
            f"{what}: expected a choice made without the outcome, found one that changes when "
            "outcomes are shuffled. Choose inside the fold, as a step of the pipeline.",
            "EIH016",
        )


def duplicated_persons(values: pd.DataFrame, person: np.ndarray) -> list[tuple[int, int]]:
    """Find pairs of persons who are one person under two names.

    Every row of the one has the values of a row of the other, in columns where that says
    something: more than five distinct values. Agreement is counted by how rare the shared
    values are; a pair counts where chance would give one in a thousand tables.

    Parameters
    ----------
    values : DataFrame of shape (n_rows, n_columns), NaN = missing
        Features and outcome.
    person : ndarray of shape (n_rows,), int

    Returns
    -------
    list of (row, row)
        The first row of either person, as positions.
    """
    telling = values[[c for c in values.columns if values[c].nunique() > 5]]
    if telling.shape[1] == 0:
        return []
    keys = pd.util.hash_pandas_object(telling, index=False).to_numpy()
    rarity = _rarity(telling)
    seen: dict[tuple[int, ...], int] = {}
    pairs = []
    needed = np.log(1000.0 * max(1, len(np.unique(person))) ** 2 / 2)
    for one in np.unique(person):
        rows = np.flatnonzero(person == one)
        key = tuple(sorted(int(k) for k in keys[rows]))
        first = int(rows[0])
        if key in seen and rarity[rows].sum() > needed:
            pairs.append((seen[key], first))
        seen.setdefault(key, first)
    return pairs


def _rarity(values: pd.DataFrame) -> np.ndarray:
    """Minus the log of the share of rows that have each row's values, summed over columns."""
    shares = [
        values[c].fillna(np.inf).map(values[c].fillna(np.inf).value_counts(normalize=True))
        for c in values.columns
    ]
    return np.asarray(-np.log(np.column_stack(shares)).sum(axis=1))


def check_no_duplicated_persons(values: pd.DataFrame, person: np.ndarray) -> None:
    """Raise LeakageError where two persons have the same features and outcomes.

    One person under two names falls on both sides of a split that keeps persons together.
    """
    pairs = duplicated_persons(values, person)
    if pairs:
        named = ", ".join(f"{a} and {b}" for a, b in pairs[:5])
        raise LeakageError(
            f"rows {named}: expected every person once, found {len(pairs)} pairs of participants "
            "with the same features and outcomes. Give one person one participant_id.",
            "EIH002",
        )


def check_unfitted(estimator: Any) -> None:
    """Raise LeakageError if any part of an estimator has already learnt something.

    What is fitted before the split has seen the test persons. scikit-learn's convention is
    relied on: whatever ``fit`` learns ends in an underscore.
    """
    parts = [("estimator", estimator), *estimator.get_params(deep=True).items()]
    for name, part in parts:
        if not hasattr(part, "get_params"):
            continue
        learnt = [a for a in vars(part) if a.endswith("_") and not a.startswith("_")]
        # Boosted trees keep what they learnt elsewhere, but say so when asked.
        says_so = isinstance(part, XGBModel) and part.__sklearn_is_fitted__()
        if learnt or says_so or isinstance(part, FrozenEstimator):
            raise LeakageError(
                f"{type(part).__name__} ('{name}'): expected an unfitted estimator, found one "
                f"that was fitted before the split. Everything learnt is learnt inside the fold.",
                "EIH018",
            )
