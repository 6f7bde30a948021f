"""Elastic net on the continuous change: a ridge regression that also sets coefficients to zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy.linalg import svd
from sklearn.linear_model import enet_path

from models.penalised import Matrix, RidgeMargin, Vector

# Duality gap at which scikit-learn's coordinate descent ends, as a share of the sum of squares:
# coefficients are then the optimum's to about 1e-5. Columns that are almost one another may not
# get there in time; scikit-learn warns.
GAP, MAX_ROUNDS = 1e-8, 20_000


def elastic_margin_path(
    Z: Matrix, margin: Vector, weights: Vector | None, alphas: Sequence[float], l1_ratio: float
) -> tuple[Matrix, Vector, Vector]:
    """Elastic-net regression of a margin at every penalty, with the spread of its own errors.

    Minimises the weighted sum of squares plus
    alpha ((1 - l1_ratio) ||coefficients||² + 2 l1_ratio ||coefficients||_1), the intercept free:
    at an ``l1_ratio`` of 0 this is :func:`models.penalised.margin_path`. Every penalty is
    solved from zero, so that a path gives what single fits give.

    Parameters
    ----------
    Z, margin, weights, alphas
        As for :func:`models.penalised.margin_path`.
    l1_ratio : float, 0 < l1_ratio <= 1

    Returns
    -------
    coefficients : ndarray of shape (n_penalties, n_terms)
    intercepts, spreads : ndarray of shape (n_penalties,)
        ``spreads``: root mean square of the approximate leave-one-out residuals, the residual
        divided by one minus the leverage in the ridge regression on the terms that were kept
        ([Obuchi2016]_); exact as long as leaving out a row keeps the same terms.

    References
    ----------
    .. [Zou2005] Zou, Hastie. Regularization and variable selection via the elastic net.
       JRSS B 67:301.
    .. [Obuchi2016] Obuchi, Kabashima. Cross validation in LASSO and its acceleration.
       J Stat Mech 053304.
    """
    w = np.ones(len(margin)) if weights is None else weights
    share = w / w.sum()
    middle, level = share @ Z, float(share @ margin)
    root = np.sqrt(w)
    design = np.asfortranarray((Z - middle) * root[:, None])
    target = root * (margin - level)
    coefficients = np.array([_descend(design, target, alpha, l1_ratio) for alpha in alphas])
    spreads = []
    for beta, alpha in zip(coefficients, alphas, strict=True):
        leverage = share + _leverage(design[:, beta != 0], alpha * (1 - l1_ratio))
        residual = margin - level - (Z - middle) @ beta
        left_out = residual / (1 - np.minimum(leverage, 1 - 1e-6))
        spreads.append(float(np.sqrt(share @ left_out**2)))
    return coefficients, level - coefficients @ middle, np.array(spreads)


def _descend(design: Matrix, target: Vector, alpha: float, l1_ratio: float) -> Vector:
    if not target.any():  # nothing to explain, and no gap that could be closed
        return np.zeros(design.shape[1])
    # scikit-learn divides the sum of squares by twice the number of rows.
    _, found, _ = enet_path(
        design,
        target,
        l1_ratio=l1_ratio,
        alphas=[alpha / len(target)],
        precompute=False,
        tol=GAP,
        max_iter=MAX_ROUNDS,
    )
    return np.asarray(found[:, 0])


def _leverage(kept: Matrix, ridge: float) -> Vector:
    """Diagonal of the hat matrix of a ridge regression, shape (n_rows,); 0 without terms."""
    if kept.shape[1] == 0:
        return np.zeros(len(kept))
    u, s, _ = svd(kept, full_matrices=False)
    held = s > 1e-10 * s[0]
    return np.asarray((u[:, held] ** 2) @ (s[held] ** 2 / (s[held] ** 2 + ridge)))


class ElasticNetMargin(RidgeMargin):
    """Probability that a margin is positive, from an elastic-net regression of it.

    As :class:`models.penalised.RidgeMargin`, with :func:`elastic_margin_path`.

    Parameters
    ----------
    alpha : float, default=1.0
    l1_ratio : float, default=0.5, 0 < l1_ratio <= 1
    """

    def __init__(self, alpha: float = 1.0, l1_ratio: float = 0.5) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio

    def fit(self, X: Matrix, y: Vector, sample_weight: Vector | None = None) -> Self:
        """Learn from standardised terms and margins (not classes)."""
        self.classes_ = np.array([0, 1])
        margin = np.asarray(y, float)
        found = elastic_margin_path(X, margin, sample_weight, [self.alpha], self.l1_ratio)
        self.coef_, self.intercept_ = found[0][0], float(found[1][0])
        self.spread_ = max(float(found[2][0]), 1e-12)
        return self
