"""What a marker adds to a linear model of the continuous change."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.biomarker import Z, tail
from models.nested import Nested
from models.unpenalised import sandwich, wald, with_intercept

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


def linear_increment(change: Vector, nested: Nested) -> dict[str, Any]:
    """What the marker adds to a linear model of the continuous change, in R² and per SD.

    The test is a Wald test, clustered where rows repeat; with one row per person its covariance
    is heteroscedasticity-robust (each row its own cluster). Its p value is of F, whose
    denominator counts the persons beyond the coefficients.

    Parameters
    ----------
    change : ndarray of shape (n_rows,)
    nested : Nested
        As :func:`reduced` leaves it.
    """
    narrow = with_intercept(nested.base)
    wide = np.column_stack([narrow, nested.added])
    added = np.arange(narrow.shape[1], wide.shape[1])
    r2_base, r2_full = _r2(change, narrow), _r2(change, wide)
    beta = np.asarray(np.linalg.lstsq(wide, change, rcond=None)[0], dtype=np.float64)
    residual = change - wide @ beta
    covariance = sandwich(wide * residual[:, None], np.linalg.pinv(wide.T @ wide), nested.person)
    statistic = wald(beta, covariance, added) if len(added) else 0.0
    left = float(max(nested.n_persons - wide.shape[1], 1))
    per_sd = []
    for term, column in zip(added, nested.added.T, strict=True):
        sd = float(column.std(ddof=1))
        half = Z * float(np.sqrt(covariance[term, term]))
        value = float(beta[term])
        per_sd.append(
            {"estimate": value * sd, "lower": (value - half) * sd, "upper": (value + half) * sd}
        )
    return {
        "r2_base": r2_base,
        "r2_full": r2_full,
        "r2_increment": r2_full - r2_base,
        "wald": {
            "statistic": statistic,
            "df": len(added),
            "p_value": tail(statistic, len(added), left) if len(added) else 1.0,
        },
        "per_sd": per_sd,
    }


def _r2(outcome: Vector, design: Matrix) -> float:
    residual = outcome - design @ np.linalg.lstsq(design, outcome, rcond=None)[0]
    total = float(((outcome - outcome.mean()) ** 2).sum())
    return 1 - float((residual**2).sum()) / total if total > 0 else float("nan")


def explained_by_base(nested: Nested) -> float:
    """R² of one added column given the base set: what it has in common with it."""
    return _r2(nested.added[:, 0], with_intercept(nested.base))
