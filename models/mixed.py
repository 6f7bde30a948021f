"""Linear mixed model with one random term or two per person, by restricted maximum likelihood.

The profiled criterion of [Bates2015]_: the fixed effects and the residual variance have a closed
form given the relative covariance of the random effects, which alone is searched for. Persons
may have any number of rows; a person's missing waves are missing at random given the others.

References
----------
.. [Bates2015] Bates, Mächler, Bolker, Walker. Fitting linear mixed-effects models using lme4.
   J Stat Softw 67(1), section 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, minimize

from models.errors import NotEnoughDataError

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Persons = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MixedFit:
    """A fitted mixed model.

    Attributes
    ----------
    coefficients : ndarray of shape (n_terms,)
    covariance : ndarray of shape (n_terms, n_terms)
        Of the coefficients, taking the variances as known.
    random_covariance : ndarray of shape (n_random, n_random)
        Of the persons' random effects.
    residual_variance : float
    criterion : float
        Minus twice the restricted log likelihood.
    singular : bool
        Whether a random variance is estimated as zero.
    """

    coefficients: Vector
    covariance: Matrix
    random_covariance: Matrix
    residual_variance: float
    criterion: float
    singular: bool


@dataclass(frozen=True)
class _Block:
    y: Vector
    x: Matrix
    z: Matrix


@dataclass(frozen=True)
class _Profile:
    criterion: float
    coefficients: Vector
    inverse: Matrix
    residual_variance: float


def fit_mixed(y: Vector, x: Matrix, z: Matrix, person: Persons) -> MixedFit:
    """Fit y = x b + z u(person) + e by restricted maximum likelihood.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), no NaN
    x : ndarray of shape (n_rows, n_terms), of full rank
        With the intercept.
    z : ndarray of shape (n_rows, 1 or 2)
        A column of ones; a second column for random slopes.
    person : ndarray of shape (n_rows,), int

    Raises
    ------
    NotEnoughDataError
        Where no person has two rows, rows are too few, or ``x`` is not of full rank.
    """
    blocks = [_Block(y[person == p], x[person == p], z[person == p]) for p in np.unique(person)]
    rank = int(np.linalg.matrix_rank(x))
    if rank < x.shape[1] or len(y) <= rank or max(len(b.y) for b in blocks) < 2:
        raise NotEnoughDataError(
            f"mixed model: expected repeated rows and {x.shape[1]} separate terms, found "
            f"{len(y)} rows of {len(blocks)} persons, rank {rank}."
        )
    theta = _best_theta(blocks, z.shape[1])
    found = _profile(blocks, theta)
    factor = _factor(theta)
    variance = found.residual_variance
    return MixedFit(
        coefficients=found.coefficients,
        covariance=variance * found.inverse,
        random_covariance=np.asarray(variance * factor @ factor.T),
        residual_variance=variance,
        criterion=found.criterion,
        singular=bool(np.diag(factor).min() < 1e-4),
    )


def _best_theta(blocks: Sequence[_Block], n_random: int) -> Vector:
    """Search the relative Cholesky factor from two starts; its diagonal is at least zero."""
    if n_random == 1:
        starts, bounds = ([1.0], [0.1]), Bounds([0.0], [np.inf])
    else:
        starts = ([1.0, 0.0, 1.0], [0.5, 0.0, 0.05])
        bounds = Bounds([0.0, -np.inf, 0.0], [np.inf, np.inf, np.inf])

    def criterion(theta: Vector) -> float:
        return _profile(blocks, theta).criterion

    found = [
        minimize(
            criterion,
            np.array(start, dtype=np.float64),
            method="Nelder-Mead",
            bounds=bounds,
            options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 2000},
        )
        for start in starts
    ]
    return np.asarray(min(found, key=lambda f: float(f.fun)).x, dtype=np.float64)


def _factor(theta: Vector) -> Matrix:
    if len(theta) == 1:
        return np.array([[theta[0]]])
    return np.array([[theta[0], 0.0], [theta[1], theta[2]]])


def _profile(blocks: Sequence[_Block], theta: Vector) -> _Profile:
    """Best fixed effects and residual variance given the relative covariance."""
    factor = _factor(theta)
    terms = blocks[0].x.shape[1]
    information, moment = np.zeros((terms, terms)), np.zeros(terms)
    square, log_determinant, n = 0.0, 0.0, 0
    for block in blocks:
        spread = block.z @ factor
        covariance = np.eye(len(block.y)) + spread @ spread.T
        root = np.linalg.cholesky(covariance)
        x, y = np.linalg.solve(root, block.x), np.linalg.solve(root, block.y)
        information += x.T @ x
        moment += x.T @ y
        square += float(y @ y)
        log_determinant += 2 * float(np.log(np.diag(root)).sum())
        n += len(y)
    inverse = np.asarray(np.linalg.inv(information), dtype=np.float64)
    coefficients = inverse @ moment
    df = n - terms
    variance = max(square - float(coefficients @ moment), 1e-300) / df
    criterion = (
        log_determinant
        + float(np.linalg.slogdet(information)[1])
        + df * (1 + np.log(2 * np.pi * variance))
    )
    return _Profile(float(criterion), coefficients, inverse, variance)
