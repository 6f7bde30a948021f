"""Ridge-penalised models with all penalties of a grid at the cost of little more than one.

Both learn on a standardised matrix. The path functions and the estimators share one solver, so
that tuning along a path and fitting a single penalty give the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, ndtr
from sklearn.base import BaseEstimator, ClassifierMixin

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
MAX_STEPS = 100
# Largest Newton step that ends the search. Convergence is quadratic: the error left is about
# its square, far below the 1e-6 to which probabilities are compared.
STEP_TOLERANCE = 1e-8


def logistic_path(
    Z: Matrix, y: Vector, weights: Vector | None, penalties_c: Sequence[float]
) -> tuple[Matrix, Vector]:
    """Ridge-penalised logistic regression at every penalty, by Newton's method.

    Minimises the weighted log loss plus ||coefficients||² / (2 C); the intercept is free. The
    strongest penalty is solved first and starts the next.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_terms), standardised
    y : ndarray of shape (n_rows,), 0/1
    weights : ndarray of shape (n_rows,), >= 0, or None for ones
    penalties_c : sequence of float, > 0
        As scikit-learn's ``C``: small means strong.

    Returns
    -------
    coefficients : ndarray of shape (n_penalties, n_terms)
    intercepts : ndarray of shape (n_penalties,)
    """
    w = np.ones(len(y)) if weights is None else weights
    reduced, back = _reduce(Z)
    design = np.column_stack([np.ones(len(y)), reduced])
    beta = np.zeros(design.shape[1])
    rate = np.clip(np.average(y, weights=w), 1e-6, 1 - 1e-6)
    beta[0] = np.log(rate / (1 - rate))
    found = np.empty((len(penalties_c), design.shape[1]))
    for i in np.argsort(np.asarray(penalties_c), kind="stable"):
        beta = _newton(design, y, w, (beta, 1.0 / penalties_c[i]))
        found[i] = beta
    slopes = found[:, 1:] if back is None else found[:, 1:] @ back
    return slopes, found[:, 0]


def _reduce(Z: Matrix) -> tuple[Matrix, Matrix | None]:
    """Rotate to the row space where there are more terms than rows: ridge cannot leave it."""
    if Z.shape[1] <= len(Z):
        return Z, None
    u, s, vt = np.linalg.svd(Z, full_matrices=False)
    return np.asarray(u * s), np.asarray(vt)


def _newton(design: Matrix, y: Vector, w: Vector, start: tuple[Vector, float]) -> Vector:
    beta, penalty = start
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 0.0
    loss = _penalised_loss(design @ beta, y, w) + 0.5 * ridge @ beta**2
    for _ in range(MAX_STEPS):
        p = expit(design @ beta)
        gradient = design.T @ (w * (y - p)) - ridge * beta
        curvature = w * p * (1 - p)
        hessian = (design * curvature[:, None]).T @ design
        # The intercept alone has no penalty; a whisper keeps a saturated fit solvable.
        hessian[np.diag_indices_from(hessian)] += ridge + 1e-12
        step = cho_solve(cho_factor(hessian, check_finite=False), gradient, check_finite=False)
        share = 1.0
        while True:
            trial = beta + share * step
            new = _penalised_loss(design @ trial, y, w) + 0.5 * ridge @ trial**2
            # Near the optimum both losses agree to rounding: accept, the step is tiny.
            if new <= loss + 1e-10 * (1 + abs(loss)) or share < 1e-4:
                break
            share /= 2
        beta, loss = trial, new
        if share == 1.0 and np.abs(step).max() < STEP_TOLERANCE:
            break
    return beta


def _penalised_loss(eta: Vector, y: Vector, w: Vector) -> float:
    return float(w @ (np.logaddexp(0.0, eta) - y * eta))


class RidgeLogistic(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge-penalised logistic regression, see :func:`logistic_path`.

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the penalty.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_terms)
    intercept_ : ndarray of shape (1,)
    """

    def __init__(self, C: float = 1.0) -> None:  # noqa: N803 (scikit-learn's own name)
        self.C = C

    def fit(self, X: Matrix, y: npt.NDArray[Any], sample_weight: Vector | None = None) -> Self:
        """Learn from standardised terms and 0/1 outcomes."""
        self.classes_ = np.array([0, 1])
        coefficients, intercepts = logistic_path(X, np.asarray(y, float), sample_weight, [self.C])
        self.coef_, self.intercept_ = coefficients, intercepts
        return self

    def predict_proba(self, X: Matrix) -> Matrix:
        """Return probabilities of shape (n_rows, 2)."""
        risk = expit(X @ self.coef_[0] + self.intercept_[0])
        return np.column_stack([1 - risk, risk])


def margin_path(
    Z: Matrix, margin: Vector, weights: Vector | None, alphas: Sequence[float]
) -> tuple[Matrix, Vector, Vector]:
    """Ridge regression of a margin at every penalty, with the spread of its own errors.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_terms), standardised
    margin : ndarray of shape (n_rows,)
    weights : ndarray of shape (n_rows,), or None
    alphas : sequence of float, > 0
        Penalty on the squared coefficients, against the weighted sum of squares.

    Returns
    -------
    coefficients : ndarray of shape (n_penalties, n_terms)
    intercepts, spreads : ndarray of shape (n_penalties,)
        ``spreads``: root mean square of the leave-one-out residuals (the residual divided by
        one minus its leverage), so that a flexible fit does not look precise.
    """
    w = np.ones(len(margin)) if weights is None else weights
    share = w / w.sum()
    middle, level = share @ Z, float(share @ margin)
    root = np.sqrt(w)
    u, s, vt = np.linalg.svd((Z - middle) * root[:, None], full_matrices=False)
    target = u.T @ (root * (margin - level))
    coefficients, intercepts, spreads = [], [], []
    for alpha in alphas:
        kept = s**2 / (s**2 + alpha)
        beta = vt.T @ (s / (s**2 + alpha) * target)
        leverage = np.minimum((u**2) @ kept + share, 1 - 1e-6)
        residual = margin - level - (Z - middle) @ beta
        coefficients.append(beta)
        intercepts.append(level - float(middle @ beta))
        spreads.append(float(np.sqrt(share @ (residual / (1 - leverage)) ** 2)))
    return np.array(coefficients), np.array(intercepts), np.array(spreads)


class RidgeMargin(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Probability that a continuous margin is positive, from a ridge regression of it.

    The margin is how far the change lies beyond the responder threshold; its residuals are
    taken as normal with the spread of the leave-one-out residuals:
    P(event) = Phi(predicted margin / spread).

    Parameters
    ----------
    alpha : float, default=1.0
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def fit(self, X: Matrix, y: Vector, sample_weight: Vector | None = None) -> Self:
        """Learn from standardised terms and margins (not classes)."""
        self.classes_ = np.array([0, 1])
        found = margin_path(X, np.asarray(y, float), sample_weight, [self.alpha])
        self.coef_, self.intercept_ = found[0][0], float(found[1][0])
        self.spread_ = max(float(found[2][0]), 1e-12)
        return self

    def predict_proba(self, X: Matrix) -> Matrix:
        """Return probabilities of shape (n_rows, 2)."""
        z = (X @ self.coef_ + self.intercept_) / self.spread_
        return np.column_stack([ndtr(-z), ndtr(z)])
