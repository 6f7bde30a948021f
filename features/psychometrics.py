"""Internal consistency of a scale, and how much of it is at its ends.

References
----------
Cronbach LJ (1951) Psychometrika 16:297. McDonald RP (1999) Test theory, section 6.
Jöreskog KG (1967) Psychometrika 32:443 (maximum likelihood of the factor model).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

# A unique variance below this share of the item's variance is a Heywood case: R's factanal and
# psych::fa stop at the same bound.
LOWEST_UNIQUENESS = 0.005


@dataclass(frozen=True)
class Consistency:
    """A coefficient, NaN with the reason where it cannot be computed.

    ``reason`` is also given where the value stands but deserves doubt (a Heywood case).
    """

    value: float
    reason: str = ""


def complete_rows(points: Matrix) -> Matrix:
    """Rows of shape (n_rows, n_items) without a missing item."""
    return points[~np.isnan(points).any(axis=1)]


def _unusable(points: Matrix, least_items: int, least_rows: int) -> str:
    if points.shape[1] < least_items:
        return f"needs {least_items} items, the scale has {points.shape[1]}"
    if len(points) < least_rows:
        return f"needs {least_rows} complete rows, found {len(points)}"
    if (points.std(axis=0) == 0).any():
        return "an item has the same answer in every complete row"
    return ""


def cronbach_alpha(points: Matrix) -> Consistency:
    """Cronbach's alpha of the sum of the items: k / (k - 1) (1 - sum of variances / variance).

    Parameters
    ----------
    points : ndarray of shape (n_rows, n_items), reversed items reversed, NaN = missing
        Rows with a missing item are left out.

    Examples
    --------
    Two items of variance 1 and covariance 1/2, so that the sum has variance 3:

    >>> answers = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 1.0]])
    >>> cronbach_alpha(answers)
    Consistency(value=0.6666666666666667, reason='')
    """
    known = complete_rows(points)
    reason = _unusable(known, 2, 3)
    if reason:
        return Consistency(float("nan"), reason)
    total = known.sum(axis=1).var(ddof=1)
    if total == 0:
        return Consistency(float("nan"), "the total is the same in every complete row")
    k = known.shape[1]
    return Consistency(float(k / (k - 1) * (1 - known.var(axis=0, ddof=1).sum() / total)))


def mcdonald_omega(points: Matrix) -> Consistency:
    """McDonald's omega total of the sum of the items, from a one-factor model.

    (sum of loadings)^2 / ((sum of loadings)^2 + sum of unique variances), with the loadings of
    the items as scored (not standardised), estimated by maximum likelihood.

    Parameters
    ----------
    points : ndarray of shape (n_rows, n_items), reversed items reversed, NaN = missing
        Rows with a missing item are left out.
    """
    known = complete_rows(points)
    reason = _unusable(known, 3, points.shape[1] + 2)
    if reason:
        return Consistency(float("nan"), reason)
    correlation = np.asarray(np.corrcoef(known, rowvar=False))
    if np.linalg.eigvalsh(correlation)[0] < 1e-10:
        return Consistency(float("nan"), "items are linear combinations of others")
    loadings, uniqueness = one_factor(correlation)
    spread = known.std(axis=0, ddof=1)
    common = float((loadings * spread).sum() ** 2)
    value = common / (common + float((uniqueness * spread**2).sum()))
    doubtful = (uniqueness <= LOWEST_UNIQUENESS * 1.01).any()
    return Consistency(value, "an item has no unique variance (Heywood case)" if doubtful else "")


def one_factor(correlation: Matrix) -> tuple[Vector, Vector]:
    """Maximum-likelihood loadings and uniquenesses of a one-factor model.

    Minimises Jöreskog's function over the uniquenesses; the loading is then the scaled first
    eigenvector of the reduced correlation matrix.

    Parameters
    ----------
    correlation : ndarray of shape (n_items, n_items), positive definite

    Returns
    -------
    loadings, uniquenesses : ndarray of shape (n_items,)
        Of standardised items; the sign is such that the loadings sum to a positive number.
    """

    def discrepancy(logs: Vector) -> tuple[float, Vector]:
        psi = np.exp(logs)
        scale = 1 / np.sqrt(psi)
        values, vectors = np.linalg.eigh(scale[:, None] * correlation * scale)
        rest = values[:-1]
        loading = vectors[:, -1] * np.sqrt(max(values[-1] - 1, 0.0)) / scale
        fitted = loading**2 + psi
        # Derivative with respect to psi, times psi for the logarithm (Jöreskog 1967, eq. 26).
        slope = (fitted - np.diag(correlation)) / psi
        return float((rest - np.log(rest) - 1).sum()), slope

    start = np.log(0.5 / np.diag(np.linalg.inv(correlation)))
    bounds = [(np.log(LOWEST_UNIQUENESS), 0.0)] * len(correlation)
    found = optimize.minimize(
        discrepancy,
        np.clip(start, bounds[0][0], 0.0),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 2000},
    )
    psi = np.exp(found.x)
    root = np.sqrt(psi)
    values, vectors = np.linalg.eigh(correlation / np.outer(root, root))
    loading = root * vectors[:, -1] * np.sqrt(max(values[-1] - 1, 0.0))
    return loading * (1.0 if loading.sum() >= 0 else -1.0), psi


def share_at(scores: Vector, end: float) -> float:
    """Share of the known scores that lie on ``end`` (floor or ceiling); NaN without any."""
    known = scores[~np.isnan(scores)]
    return float((np.abs(known - end) < 1e-9).mean()) if len(known) else float("nan")
