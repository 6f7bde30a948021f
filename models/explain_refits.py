"""How far explanations move when the whole procedure is repeated on resampled persons.

A model of other persons of the same kind may lean on another of several correlated measures.
Nothing here says which of them matters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata
from xgboost.core import XGBoostError

from models.bootstrap import FAILED, draw_counts
from models.errors import NotEnoughDataError
from models.learning import Learning, Matrix
from models.procedure import Persons, Procedure
from models.runs import Result, run_tasks
from models.scorers import Contributions, make_scorer
from models.validation import Execution

INTERVAL = (0.05, 0.95)


@dataclass(frozen=True)
class Refits:
    """Contributions by the models of resampled persons.

    Attributes
    ----------
    names : tuple of str
    values : ndarray of shape (n_successful, n_rows, n_names), log-odds
    failures : dict of reason to number
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.float64]
    failures: dict[str, int]


def explain_refits(
    procedure: Procedure,
    data: tuple[Learning, Persons],
    X: pd.DataFrame,
    n_refits: int,
    execution: Execution,
) -> Refits:
    """Repeat a candidate's whole procedure on resamples of the persons and explain given rows.

    Parameters
    ----------
    procedure : Procedure
        Of one candidate: imputation, tuning, recalibration and fit are repeated.
    data : (Learning, ndarray of shape (n_rows,), int)
        What is learnt from, and whose rows they are: 0 ... n_persons - 1.
    X : DataFrame of shape (n_explained, n_features)
        Rows to explain, the same for every model.
    n_refits : int
    execution : Execution

    Raises
    ------
    NotEnoughDataError
        If fewer than half of the resamples can be fitted.
    """
    tasks = {str(b): (_one_refit, (procedure, data, X, b)) for b in range(n_refits)}
    done = run_tasks(tasks, n_jobs=execution.n_jobs, progress=execution.progress)
    good = [r for r in done.values() if FAILED not in r]
    failures = dict(Counter(r[FAILED] for r in done.values() if FAILED in r))
    if len(good) < max(2, n_refits / 2):
        raise NotEnoughDataError(
            f"expected at least half of {n_refits} resamples to be fitted, found {len(good)}."
        )
    return Refits(good[0]["names"], np.array([r["values"] for r in good]), failures)


def _one_refit(
    procedure: Procedure, data: tuple[Learning, Persons], X: pd.DataFrame, number: int
) -> Result:
    learning, person = data
    rows = np.repeat(np.arange(len(person)), draw_counts(person, procedure.seed, number))
    drawn = learning.at(rows)
    if np.ptp(drawn.y) == 0:
        return {FAILED: "only one class was drawn"}
    try:
        fitted = procedure.fit(drawn, person[rows])
    except (np.linalg.LinAlgError, XGBoostError) as error:
        return {FAILED: f"{type(error).__name__} while fitting"}
    found = make_scorer(fitted.model, tabulated=False).contributions(X)
    return {"names": found.names, "values": found.values}


def with_intervals(table: pd.DataFrame, name: str, refitted: Matrix) -> pd.DataFrame:
    """Add rank, and the 5 to 95 % of size and rank over refits, to a table of importance.

    Parameters
    ----------
    table : DataFrame with ``mean_abs_log_odds`` and a column of names
    name : str
        That column.
    refitted : ndarray of shape (n_refits, n_names)
        Mean absolute contribution in every refit; columns are the names in sorted order.
    """
    ranks = rankdata(-refitted, axis=1, method="min")
    sizes = np.quantile(refitted, INTERVAL, axis=0)
    places = np.quantile(ranks, INTERVAL, axis=0, method="inverted_cdf").astype(np.int64)
    names = sorted(table[name])
    found = pd.DataFrame(
        {
            name: names,
            "lower": sizes[0],
            "upper": sizes[1],
            "rank_lower": places[0],
            "rank_upper": places[1],
        }
    )
    ranked = table.assign(rank=rankdata(-table["mean_abs_log_odds"], method="min").astype(int))
    return ranked.merge(found, on=name, how="left", validate="one_to_one")


def feature_sizes(refits: Refits) -> Matrix:
    """Mean absolute contribution of every feature in every refit, features sorted by name."""
    order = np.argsort(refits.names)
    return np.asarray(np.abs(refits.values).mean(axis=1)[:, order])


def family_sizes(refits: Refits, families: Mapping[str, str]) -> Matrix:
    """Mean absolute summed contribution of every family in every refit, sorted by family."""
    family = np.array([families.get(n, n) for n in refits.names])
    summed = [refits.values[:, :, family == f].sum(axis=2) for f in sorted(set(family))]
    return np.stack([np.abs(s).mean(axis=1) for s in summed], axis=1)


def reason_stability(original: Contributions, refits: Refits, top: int) -> pd.DataFrame:
    """How often a row's largest contributions are its largest again in a refit.

    Parameters
    ----------
    original : Contributions
        Of the model itself, for the rows that were refitted.
    refits : Refits
    top : int
        How many of the largest contributions count as a row's reasons; a contribution of 0 is
        none.

    Returns
    -------
    DataFrame of shape (n_rows, 4)
        ``first_reason``; shares over refits: ``first_stays`` (the same reason comes first),
        ``recurring`` (of the row's reasons, those among the refit's), ``same_direction`` (of the
        row's reasons, those that contribute with the same sign). NaN for a row without a reason.
    """
    place = [refits.names.index(n) for n in original.names]
    again = refits.values[:, :, place]
    mine, theirs = _reasons(original.values, top), _reasons(again, top)
    count = np.where(mine.any(axis=1), mine.sum(axis=1), np.nan)
    first = np.abs(original.values).argmax(axis=1)
    stays = (np.abs(again).argmax(axis=2) == first) & again.any(axis=2)
    signs = (np.sign(again) == np.sign(original.values)) & mine
    known = mine.any(axis=1)
    names = np.array([*original.names, ""], dtype=object)
    return pd.DataFrame(
        {
            "first_reason": names[np.where(known, first, len(original.names))],
            "first_stays": np.where(known, stays.mean(axis=0), np.nan),
            "recurring": (theirs & mine).sum(axis=2).mean(axis=0) / count,
            "same_direction": signs.sum(axis=2).mean(axis=0) / count,
        }
    )


def _reasons(values: npt.NDArray[np.float64], top: int) -> npt.NDArray[np.bool_]:
    """Mark the ``top`` largest absolute values along the last axis that are not 0."""
    order = np.argsort(-np.abs(values), axis=-1, kind="stable")[..., :top]
    marked = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(marked, order, True, axis=-1)
    return np.asarray(marked & (values != 0), dtype=np.bool_)


def stability_summary(reasons: pd.DataFrame, top: int) -> dict[str, Any]:
    """Medians over rows, and a sentence for a reader."""
    shares = ("first_stays", "recurring", "same_direction")
    medians = {name: float(reasons[name].median()) for name in shares}
    sentence = (
        "No row has a reason: nothing contributes."
        if reasons["first_stays"].isna().all()
        else f"Refitted on resampled persons, the first reason of a typical person stays first in "
        f"{medians['first_stays']:.0%} of the refits, and {medians['recurring']:.0%} of the first "
        f"{top} reasons recur. A reason that does not recur is the model's choice among related "
        "measures, not a finding about the person."
    )
    return {**medians, "top": top, "sentence": sentence}
