"""Logistic regression by exact maximum likelihood, or with Firth's penalty where that has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, linprog
from scipy.special import expit
from scipy.stats import chi2

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
MAX_STEPS = 200
# Log-odds beyond which a fit may be on its way to infinity: only then is separation looked for.
LARGE_LOG_ODDS = 8.0
# A profile interval is sought within this many standard errors.
FAR = 40.0


@dataclass(frozen=True)
class Fit:
    """A fitted logistic regression.

    Attributes
    ----------
    design : ndarray of shape (n_rows, n_terms)
        The first column is the intercept's.
    y : ndarray of shape (n_rows,), 0/1
    coefficients : ndarray of shape (n_terms,)
    covariance : ndarray of shape (n_terms, n_terms)
        Inverse of the information at the coefficients: holds for independent rows.
    log_likelihood : float
        With the penalty where ``firth``.
    firth : bool
    converged : bool
    """

    design: Matrix
    y: Vector
    coefficients: Vector
    covariance: Matrix
    log_likelihood: float
    firth: bool
    converged: bool

    @property
    def risk(self) -> Vector:
        """Return the fitted risk of every row."""
        return np.asarray(expit(self.design @ self.coefficients))


def with_intercept(columns: Matrix) -> Matrix:
    """Put a column of ones in front."""
    return np.column_stack([np.ones(len(columns)), columns])


def fit_logistic(
    design: Matrix, y: Vector, *, firth: bool = False, fixed: Vector | None = None
) -> Fit:
    """Maximise the likelihood, or Firth's penalised one, by Newton's method.

    Firth's penalty is half the log determinant of the information (Jeffreys' prior): estimates
    are finite also where the classes are separated, and their bias of first order is removed
    [Firth1993]_.

    Parameters
    ----------
    design : ndarray of shape (n_rows, n_terms), of full rank
    y : ndarray of shape (n_rows,), 0/1
    firth : bool, default=False
    fixed : ndarray of shape (n_terms,), optional
        Coefficients that are held; NaN = free. The penalty is that of all terms, as a penalised
        likelihood ratio asks for [Heinze2002]_.

    References
    ----------
    .. [Firth1993] Firth. Bias reduction of maximum likelihood estimates. Biometrika 80:27.
    .. [Heinze2002] Heinze, Schemper. A solution to the problem of separation in logistic
       regression. Stat Med 21:2409.
    """
    held = np.full(design.shape[1], np.nan) if fixed is None else fixed
    free = np.isnan(held)
    beta = np.where(free, 0.0, held)
    value, gradient, information = _at(design, y, beta, firth)
    converged = False
    for _ in range(MAX_STEPS):
        step = np.zeros_like(beta)
        step[free] = np.linalg.lstsq(information[np.ix_(free, free)], gradient[free], rcond=None)[0]
        beta, (value, gradient, information) = _uphill(design, y, (beta, step, value), firth=firth)
        # The likelihood left to gain, by the quadratic of Newton's method.
        if abs(float(step[free] @ gradient[free])) < 1e-12 and np.abs(gradient[free]).max() < 1e-7:
            converged = True
            break
    covariance = np.asarray(np.linalg.pinv(information), dtype=np.float64)
    return Fit(design, y, beta, covariance, value, firth, converged)


def _uphill(
    design: Matrix, y: Vector, start: tuple[Vector, Vector, float], *, firth: bool
) -> tuple[Vector, tuple[float, Vector, Matrix]]:
    """Take the step, or the first of its halves that does not go down."""
    beta, step, value = start
    share = 1.0
    while True:
        trial = beta + share * step
        found = _at(design, y, trial, firth)
        if found[0] >= value - 1e-10 * (1 + abs(value)) or share < 1e-6:
            return trial, found
        share /= 2


def _at(design: Matrix, y: Vector, beta: Vector, firth: bool) -> tuple[float, Vector, Matrix]:
    """Log likelihood, gradient and information at ``beta``."""
    eta = design @ beta
    p = expit(eta)
    weight = p * (1 - p)
    information = (design * weight[:, None]).T @ design
    value = float((y * eta - np.logaddexp(0.0, eta)).sum())
    score = y - p
    if firth:
        sign, log_determinant = np.linalg.slogdet(information)
        value = value + 0.5 * float(log_determinant) if sign > 0 else -np.inf
        inverse = np.asarray(np.linalg.pinv(information), dtype=np.float64)
        leverage = _leverage(design, weight, inverse)
        score = score + leverage * (0.5 - p)
    return value, design.T @ score, information


def _leverage(design: Matrix, weight: Vector, covariance: Matrix) -> Vector:
    """Diagonal of the weighted hat matrix."""
    return np.asarray(weight * ((design @ covariance) * design).sum(axis=1))


def is_separated(fit: Fit) -> bool:
    """Return whether the classes are separated, wholly or partly: no maximum is finite.

    A linear programme decides it exactly [Konis2007]_; it is asked only where a fitted log-odds
    is large or the fit did not converge.

    References
    ----------
    .. [Konis2007] Konis. Linear programming algorithms for detecting separated data in binary
       logistic regression models. DPhil thesis, Oxford.
    """
    if fit.converged and np.abs(fit.design @ fit.coefficients).max() < LARGE_LOG_ODDS:
        return False
    scaled = fit.design / np.maximum(np.abs(fit.design).max(axis=0), 1e-12)
    signed = np.where(fit.y == 1, 1.0, -1.0)[:, None] * scaled
    found = linprog(
        -signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1.0, 1.0)
    )
    return bool(found.status == 0 and float(found.fun or 0.0) < -1e-6)


def fit_or_firth(design: Matrix, y: Vector) -> Fit:
    """Fit by maximum likelihood; with Firth's penalty where the classes are separated."""
    fit = fit_logistic(design, y)
    return fit_logistic(design, y, firth=True) if is_separated(fit) else fit


def firth_residual(fit: Fit) -> Vector:
    """Outcome minus risk, with Firth's correction where it was fitted: what the fit sets to zero.

    Returns
    -------
    ndarray of shape (n_rows,), orthogonal to every column of the design
    """
    if not fit.firth:
        return fit.y - fit.risk
    weight = fit.risk * (1 - fit.risk)
    leverage = _leverage(fit.design, weight, fit.covariance)
    return np.asarray(fit.y - fit.risk + leverage * (0.5 - fit.risk))


def clustered_covariance(fit: Fit, person: Index) -> Matrix:
    """Covariance of the coefficients where a person's rows repeat each other.

    The sandwich of the summed scores of each person [Liang1986]_; without a correction it is
    ``robcov`` of the R package rms. Few persons make it too small: it is multiplied by
    persons / (persons - terms).

    Parameters
    ----------
    fit : Fit
    person : ndarray of shape (n_rows,), int

    References
    ----------
    .. [Liang1986] Liang, Zeger. Longitudinal data analysis using generalized linear models.
       Biometrika 73:13.
    """
    scores = fit.design * (fit.y - fit.risk)[:, None]
    return sandwich(scores, fit.covariance, person)


def sandwich(scores: Matrix, bread: Matrix, person: Index) -> Matrix:
    """Return bread · (sum over persons of their summed scores' squares) · bread, corrected.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_terms)
    bread : ndarray of shape (n_terms, n_terms)
    person : ndarray of shape (n_rows,), int
    """
    number = np.unique(person, return_inverse=True)[1]
    summed = np.zeros((int(number.max()) + 1, scores.shape[1]))
    np.add.at(summed, number, scores)
    n, terms = summed.shape
    correction = n / (n - terms) if n > terms else np.nan
    return np.asarray(correction * bread @ (summed.T @ summed) @ bread)


def wald(coefficients: Vector, covariance: Matrix, terms: Index) -> float:
    """Wald chi-square of several coefficients together."""
    own = coefficients[terms]
    return float(own @ np.linalg.pinv(covariance[np.ix_(terms, terms)]) @ own)


def profile_interval(fit: Fit, term: int) -> tuple[float, float]:
    """95 % interval of a coefficient by its profile (penalised) likelihood [Heinze2002]_.

    NaN on a side where none is found.
    """
    limit = float(chi2.ppf(0.95, 1))
    error = float(np.sqrt(fit.covariance[term, term]))
    centre = float(fit.coefficients[term])

    def excess(value: float) -> float:
        fixed = np.full(len(fit.coefficients), np.nan)
        fixed[term] = value
        held = fit_logistic(fit.design, fit.y, firth=fit.firth, fixed=fixed)
        return 2 * (fit.log_likelihood - held.log_likelihood) - limit

    return _crossing(excess, centre, -error), _crossing(excess, centre, error)


def _crossing(excess: Callable[[float], float], centre: float, step: float) -> float:
    reach = 2.0
    while reach <= FAR:
        if excess(centre + reach * step) > 0:
            return float(brentq(excess, centre, centre + reach * step, xtol=1e-10))
        reach *= 2
    return float("nan")
