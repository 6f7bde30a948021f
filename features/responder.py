"""Who counts as responder, as hyperalgesic, or as undecided: the rules, and how they agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from features.outcome_design import OutcomeDesign
from features.posterior import Bouts, Posterior, merge_small_groups, shrink
from features.spec import Vector

CLASSES = ("hypoalgesia", "no_change", "hyperalgesia", "indeterminate")
# 95 % of changes of people who did not change lie within this many errors of a change.
MDC_FACTOR = 1.96
# Every rule with its reading of the error, as the comparison names them.
RULES = ("sem_change", "sem_single", "mdc95", "posterior")


def classify(change: Vector, threshold: Vector) -> tuple[Vector, Vector]:
    """Apply a hard cut: (hypoalgesia, hyperalgesia) as 0/1, NaN where change or threshold is.

    Examples
    --------
    >>> classify(np.array([0.3, 0.0, -0.3]), np.array([0.1, 0.1, 0.1]))
    (array([1., 0., 0.]), array([0., 0., 1.]))
    """
    unknown = np.isnan(change) | np.isnan(threshold)
    better = np.where(unknown, np.nan, (change > threshold).astype(np.float64))
    worse = np.where(unknown, np.nan, (change < -threshold).astype(np.float64))
    return better, worse


def decide(p_better: Vector, p_worse: Vector, certainty: float) -> tuple[Vector, Vector]:
    """Decide from probabilities: (hypoalgesia, hyperalgesia) as 0/1, NaN where undecided.

    Each target has its own undecided zone, between ``1 - certainty`` and ``certainty`` of its
    own probability: who is surely no responder, but perhaps hyperalgesic, is a 0 of the one
    target and missing in the other.

    Examples
    --------
    >>> decide(np.array([0.9, 0.1, 0.5]), np.array([0.0, 0.5, 0.1]), 0.8)
    (array([ 1.,  0., nan]), array([ 0., nan,  0.]))
    """
    return _decide(p_better, certainty), _decide(p_worse, certainty)


def _decide(probability: Vector, certainty: float) -> Vector:
    with np.errstate(invalid="ignore"):
        sure = (probability >= certainty) | (1.0 - probability >= certainty)
        return np.where(sure, (probability >= certainty).astype(np.float64), np.nan)


def class_of(
    better: Vector, worse: Vector, unchanged: Vector, known: npt.NDArray[np.bool_]
) -> pd.Series:
    """Name the class of every bout.

    Parameters
    ----------
    better, worse, unchanged : ndarray of shape (n_rows,)
        1 where the class is decided; anything else where it is not.
    known : ndarray of bool, shape (n_rows,)
        Where change and error are known; elsewhere the class is missing.
    """
    names = np.select([better == 1, unchanged == 1, worse == 1], CLASSES[:3], CLASSES[3])
    return pd.Series(names, dtype="str").where(known)


def threshold_of(table: pd.DataFrame, rule: str, design: OutcomeDesign) -> Vector:
    """Return the change that counts, per bout: the cut of a hard rule, delta of ``posterior``.

    Parameters
    ----------
    table : DataFrame
        With ``sem_single`` and ``sem_change``.
    rule : str
        One of the design's rules, or one of :data:`RULES`.
    design : OutcomeDesign
    """
    single, change = table["sem_single"].to_numpy(), table["sem_change"].to_numpy()
    if rule == "posterior":
        if design.delta_of == "value":
            return np.full(len(table), design.delta)
        return np.asarray(single if design.delta_of == "sem_single" else change, dtype=np.float64)
    if rule == "mdc95":
        # With the SEM of a single value: the textbook's 1.96 * sqrt(2) * SEM.
        error = change if design.sem_of == "change" else np.sqrt(2.0) * single
        return np.asarray(MDC_FACTOR * error, dtype=np.float64)
    sem_of = design.sem_of if rule == "sem" else rule.removeprefix("sem_")
    return np.asarray(change if sem_of == "change" else single, dtype=np.float64)


def noise_share(threshold: Vector, sem_change: Vector) -> Vector:
    """Share of people beyond a cut, on each side, if nobody's change were real.

    Noise is normal with the error of the change: P(Z > threshold / sem_change). The field's
    three readings give 16 %, 24 % and 2.5 % (evidence A3).

    Examples
    --------
    The SEM of the change, of a single value (whose change has sqrt(2) of it), and the MDC95:

    >>> noise_share(np.array([1.0, 1.0, 1.96]), np.array([1.0, np.sqrt(2), 1.0])).round(3)
    array([0.159, 0.24 , 0.025])
    """
    share: Vector = ndtr(-threshold / sem_change)
    return share


def posterior_of(
    table: pd.DataFrame, learn: npt.NDArray[np.bool_], design: OutcomeDesign
) -> tuple[Posterior | None, npt.NDArray[np.bool_]]:
    """Shrink the changes of one endpoint's exercise bouts.

    Parameters
    ----------
    table : DataFrame
        With ``change, error_own, error_shared, shared_key, condition`` and the keys.
    learn : ndarray of bool, shape (n_rows,)
        Rows of the persons to learn from.
    design : OutcomeDesign

    Returns
    -------
    posterior : Posterior or None
        Of the rows of the mask; None where fewer than two persons can be learnt from.
    known : ndarray of bool, shape (n_rows,)
        Rows whose change and error are known.
    """
    known = table[["change", "error_own", "error_shared"]].notna().all(axis=1).to_numpy()
    here, chosen = table[known], learn[known]
    person = _codes(here["study_id"] + "\x1f" + here["participant_id"])
    if len(np.unique(person[chosen])) < 2:
        return None, np.asarray(known)
    by_condition = design.prior_by == "condition"
    group = _codes(here["condition"].astype(str)) if by_condition else np.zeros_like(person)
    bouts = Bouts(
        change=here["change"].to_numpy(),
        error_own=here["error_own"].to_numpy(),
        error_shared=here["error_shared"].to_numpy(),
        person=person,
        group=merge_small_groups(group, person, chosen),
        shared=_codes(here["shared_key"]),
        learn=chosen,
    )
    return shrink(bouts), np.asarray(known)


def _codes(values: pd.Series) -> npt.NDArray[np.int64]:
    return np.asarray(pd.factorize(values, sort=True)[0], dtype=np.int64)


def cohen_kappa(first: pd.Series, second: pd.Series) -> float:
    """Agreement beyond chance of two classifications; NaN where chance alone agrees fully.

    Examples
    --------
    >>> cohen_kappa(pd.Series(list("aabb")), pd.Series(list("aaba")))
    0.5
    """
    both = first.notna() & second.notna()
    a, b = first[both].to_numpy(), second[both].to_numpy()
    if not len(a):
        return float("nan")
    chance = sum(float((a == c).mean() * (b == c).mean()) for c in set(a) | set(b))
    observed = float((a == b).mean())
    return (observed - chance) / (1 - chance) if chance < 1 else float("nan")


def describe_rules(rules: pd.DataFrame) -> list[dict[str, Any]]:
    """Counts, shares expected of noise and agreement of every rule, per endpoint.

    Parameters
    ----------
    rules : DataFrame
        :func:`features.outcome.compare_rules`.

    Returns
    -------
    list of dict, one per endpoint
        ``endpoint``; ``rules``: per rule the number of bouts in every class, the shares of
        hypoalgesia and hyperalgesia observed (of all bouts with a class, the indeterminate ones
        among them) and those that noise alone would give; ``agreement``: per pair of rules the
        share of bouts in the same class and Cohen's kappa (indeterminate is a class).
    """
    return [
        {
            "endpoint": str(name),
            "rules": {rule: _describe_rule(here, rule) for rule in RULES},
            "agreement": [
                _agreement(here, first, second)
                for i, first in enumerate(RULES)
                for second in RULES[i + 1 :]
            ],
        }
        for name, here in rules.groupby("endpoint", sort=False)
    ]


def _describe_rule(here: pd.DataFrame, rule: str) -> dict[str, Any]:
    classes = here[f"class_{rule}"].dropna()
    counts = {f"n_{c}": int((classes == c).sum()) for c in CLASSES}
    n = len(classes)
    shares = {
        f"observed_{c}": counts[f"n_{c}"] / n if n else float("nan")
        for c in ("hypoalgesia", "hyperalgesia")
    }
    noise = {
        f"noise_{c}": float(here[f"noise_{c}_{rule}"].mean())
        for c in ("hypoalgesia", "hyperalgesia")
    }
    return {**counts, **shares, **noise}


def _agreement(here: pd.DataFrame, first: str, second: str) -> dict[str, Any]:
    a, b = here[f"class_{first}"], here[f"class_{second}"]
    both = a.notna() & b.notna()
    same = float((a[both] == b[both]).mean()) if both.any() else float("nan")
    return {"rules": [first, second], "same_class": same, "kappa": cohen_kappa(a, b)}
