"""Whether a marker's association differs between conditions, exercises, studies or laboratories."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.biomarker import compare
from models.errors import NotEnoughDataError
from models.meta_analysis import pool
from models.nested import Fits, Nested, fit_nested, reduced
from models.unpenalised import is_separated

Matrix = npt.NDArray[np.float64]
# Below this number of persons, and of events and of others, a setting or a level is not tested.
LEAST_PERSONS, LEAST_EVENTS = 20, 5


def interaction(nested: Nested, level: npt.NDArray[Any]) -> dict[str, Any]:
    """Test whether the marker's association differs between levels (of condition, of exercise).

    Levels with too few persons, events or others are left out and counted. The levels' own
    effects are in both models.

    Parameters
    ----------
    nested : Nested
    level : ndarray of shape (n_rows,), text
    """
    if not nested.added.shape[1]:
        return {"levels": [], "n_left_out": 0, "reason": "the marker adds no column to the base"}
    usable = [name for name in np.unique(level) if _bears(nested, level == name)]
    rows = np.isin(level, usable)
    left_out = int((~rows).sum())
    if len(usable) < 2:
        return {"levels": usable, "n_left_out": left_out, "reason": "fewer than two usable levels"}
    kept, names = nested.at(rows), level[rows]
    dummies = np.column_stack([(names == n).astype(np.float64) for n in usable[1:]])
    products = np.column_stack(
        [column * dummy for column in _centred(kept.added).T for dummy in dummies.T]
    )
    base = np.column_stack([kept.base, dummies, kept.added])
    try:
        tested = reduced(Nested(kept.y, base, products, kept.person))
    except NotEnoughDataError as error:
        return {"levels": usable, "n_left_out": left_out, "reason": str(error)}
    fits = fit_nested(tested)
    found = compare(tested, fits)
    ratio = {k: found["likelihood_ratio"][k] for k in ("statistic", "df", "p_value")}
    return {
        "levels": usable,
        "n_left_out": left_out,
        **found["test"],
        "likelihood_ratio": ratio,
        "reason": "",
    }


def _bears(nested: Nested, rows: npt.NDArray[np.bool_]) -> bool:
    y = nested.y[rows]
    persons = len(np.unique(nested.person[rows]))
    return bool(persons >= LEAST_PERSONS and min(y.sum(), (1 - y).sum()) >= LEAST_EVENTS)


def _centred(columns: Matrix) -> Matrix:
    return np.asarray((columns - columns.mean(axis=0)) / columns.std(axis=0, ddof=1))


def heterogeneity(nested: Nested, setting: npt.NDArray[Any]) -> dict[str, Any]:
    """Log odds ratio per (common) SD in each study or laboratory, pooled with random effects.

    Settings with too few persons or events, or with separated classes, are left out and named.

    Parameters
    ----------
    nested : Nested
        With one added column.
    setting : ndarray of shape (n_rows,), text
    """
    if nested.added.shape[1] != 1:
        return {"reason": "pooled for one column, not for a family"}
    sd = float(nested.added.std(ddof=1))
    rows, left_out = [], []
    for name in np.unique(setting):
        here = setting == name
        fits = _fits_or_none(nested.at(here)) if _bears(nested, here) else None
        if fits is None:
            left_out.append(str(name))
            continue
        term = fits.added[0]
        rows.append(
            {
                "setting": str(name),
                "n_participants": len(np.unique(nested.person[here])),
                "per_sd": float(fits.full.coefficients[term]) * sd,
                "standard_error": float(np.sqrt(fits.covariance[term, term])) * sd,
            }
        )
    found = pool(
        np.array([r["per_sd"] for r in rows]), np.array([r["standard_error"] for r in rows])
    )
    return {"settings": rows, "left_out": left_out, "pooled": found.to_dict()}


def _fits_or_none(nested: Nested) -> Fits | None:
    try:
        kept = reduced(nested)
    except NotEnoughDataError:
        return None
    if kept.added.shape[1] != 1:
        return None
    fits = fit_nested(kept)
    return None if fits.full.firth or is_separated(fits.full) else fits
