"""What following a rule would be worth, from bouts whose exercise was drawn by lot.

References
----------
.. [Robins1994] Robins, Rotnitzky, Zhao. Estimation of regression coefficients when some
   regressors are not always observed. JASA 89:846.
.. [Yadlowsky2021] Yadlowsky, Fleming, Shah, Brunskill, Wager. Evaluating treatment
   prioritization rules via rank-weighted average treatment effects. arXiv:2111.07966.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from models.errors import NotEnoughDataError
from models.estimate import Estimate, Reason, unknown
from models.within_person import t_interval

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
HALVES = "half-sampling of persons"
BY_PERSON = "doubly robust, mean of persons, t distribution"
LEARNT = f"{BY_PERSON}, variance doubled for rules learnt in folds"
# Of the persons, the first by priority, at which a targeting curve is tabulated.
SHARES = np.arange(1, 21) / 20
LEAST_TARGETED = 10


def doubly_robust_scores(y: Vector, arm: Index, expected: Matrix, propensity: Matrix) -> Matrix:
    """Score of every row under every arm: its mean is the mean outcome of the arm [Robins1994]_.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    arm : ndarray of shape (n_rows,), int
        Arm each row was in.
    expected, propensity : ndarray of shape (n_rows, n_arms)
        From models that have not learnt from the row's person; NaN where an arm is not open.

    Examples
    --------
    >>> doubly_robust_scores(
    ...     np.array([3.0]), np.array([1]), np.array([[1.0, 2.0]]), np.array([[0.5, 0.5]])
    ... )
    array([[1., 4.]])
    """
    rows = np.arange(len(y))
    scores = expected.copy()
    scores[rows, arm] += (y - expected[rows, arm]) / propensity[rows, arm]
    return scores


def per_person(values: Matrix, person: Index) -> Matrix:
    """Mean over each person's rows, NaN left out, shape (n_persons, ...)."""
    _, code = np.unique(person, return_inverse=True)
    known = np.isfinite(values)
    shape = (int(code.max()) + 1, *values.shape[1:])
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, code, np.where(known, values, 0.0))
    np.add.at(counts, code, known.astype(np.float64))
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan))


def mean_of_persons(values: Vector, person: Index, *, learnt: bool = False) -> Estimate:
    """Mean of persons' means with a t interval over persons.

    Where the values come of rules ``learnt`` in folds, a fold's rule rests on the outcomes that
    the other folds are judged by: its values move together, and the variance is doubled, as that
    of every cross-validated figure here (:data:`models.estimate.CROSS_VALIDATED`).

    Raises
    ------
    NotEnoughDataError
        With fewer than three persons.
    """
    means = per_person(values, person)
    means = means[np.isfinite(means)]
    if len(means) < 3:
        raise NotEnoughDataError(f"expected at least 3 persons, found {len(means)}.")
    if np.ptp(means) == 0:
        # Two rules that never differ: their difference is known.
        return Estimate(float(means[0]), float(means[0]), float(means[0]), BY_PERSON)
    error = float(means.std(ddof=1) * np.sqrt((2 if learnt else 1) / len(means)))
    method = LEARNT if learnt else BY_PERSON
    return t_interval(float(means.mean()), error, len(means) - 1, method)


def targeting_curve(priority: Vector, score: Vector) -> Vector:
    """Mean score of the first k persons by priority minus that of all, for k = 1 ... n.

    Persons of one priority share their mean score, so that their order does not count.
    """
    order = np.argsort(-priority, kind="stable")
    _, group = np.unique(priority[order], return_inverse=True)
    size = np.bincount(group)
    shared = (np.bincount(group, weights=score[order]) / size)[group]
    return np.asarray(np.cumsum(shared) / np.arange(1, len(score) + 1) - score.mean())


def autoc(priority: Vector, score: Vector) -> float:
    """Area under the targeting curve; 0 = the priority sorts no better than chance.

    Examples
    --------
    >>> autoc(np.array([2.0, 1.0]), np.array([1.0, -1.0]))
    0.5
    """
    return float(targeting_curve(priority, score).mean())


def rate(priority: Vector, score: Vector, resamples: int, seed: int) -> Estimate:
    """AUTOC with its standard error from random halves of the persons [Yadlowsky2021]_.

    Parameters
    ----------
    priority, score : ndarray of shape (n_persons,)
        Predicted gain, by models that have not learnt from the person; doubly robust score.
    """
    if not _sortable(priority, score):
        return unknown(Reason.NOT_COMPUTABLE, HALVES)
    estimate = autoc(priority, score)
    drawn = _halves(len(score), resamples, seed)
    error = float(np.std([autoc(priority[d], score[d]) for d in drawn], ddof=1))
    reach = float(norm.ppf(0.975)) * error
    p = float(2 * norm.sf(abs(estimate / error))) if error > 0 else float("nan")
    return Estimate(estimate, estimate - reach, estimate + reach, HALVES, p_value=p)


def targeting_table(priority: Vector, score: Vector, resamples: int, seed: int) -> pd.DataFrame:
    """Tabulate the targeting curve, with errors from random halves of the persons.

    Parameters
    ----------
    priority, score : ndarray of shape (n_persons,)
        As in :func:`rate`.

    Returns
    -------
    DataFrame with ``share, estimate, lower, upper``
        ``share`` of the persons, the first by priority; the intervals are of one point each, not
        of the curve. No row where :func:`rate` is not computable.
    """
    if not _sortable(priority, score):
        return pd.DataFrame(columns=["share", "estimate", "lower", "upper"])
    estimate = _at_shares(targeting_curve(priority, score))
    drawn = _halves(len(score), resamples, seed)
    curves = [_at_shares(targeting_curve(priority[d], score[d])) for d in drawn]
    reach = float(norm.ppf(0.975)) * np.std(curves, axis=0, ddof=1)
    limits = {"lower": estimate - reach, "upper": estimate + reach}
    return pd.DataFrame({"share": SHARES, "estimate": estimate, **limits})


def _sortable(priority: Vector, score: Vector) -> bool:
    return len(score) >= LEAST_TARGETED and bool(np.ptp(priority) > 0)


def _halves(n: int, resamples: int, seed: int) -> list[Index]:
    rng = np.random.default_rng(seed)
    return [rng.permutation(n)[: n // 2] for _ in range(resamples)]


def _at_shares(curve: Vector) -> Vector:
    """Return the curve at the first ``share`` of its persons, at least one of them."""
    first = np.ceil(SHARES * len(curve) - 1e-9).astype(np.int64)
    return np.asarray(curve[np.maximum(first, 1) - 1])
