"""The difference between two randomised arms whose outcome is missing for some.

Who dropped out may differ from who stayed. Three answers side by side, which rest on different
assumptions, and a fourth that says how wrong they would have to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge

from models.errors import NotEnoughDataError
from models.estimate import Estimate
from models.within_person import t_interval

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
# Penalties on standardised covariates: weak for a dozen of them among a hundred persons.
RIDGE, LOGISTIC_C = 10.0, 0.1
# A person never stands for more than ten.
LEAST_PROBABILITY = 0.1


@dataclass(frozen=True)
class Arms:
    """Persons of two arms, one row each.

    Attributes
    ----------
    y : ndarray of shape (n_persons,)
        Outcome, positive = less pain; NaN = not observed.
    arm : ndarray of shape (n_persons,), 0 = reference, 1 = the other
    X : ndarray of shape (n_persons, n_covariates)
        Known before the arms were drawn, standardised, nothing missing.
    """

    y: Vector
    arm: Vector
    X: Matrix

    @property
    def observed(self) -> npt.NDArray[np.bool_]:
        """Return whether the outcome is known, shape (n_persons,)."""
        return np.asarray(np.isfinite(self.y))


@dataclass(frozen=True)
class Nuisance:
    """What every person was expected to do, by models that have not learnt from the person.

    ``outcome`` of shape (n_persons, 2): expected outcome in either arm; ``stays`` the same of the
    probability that it is observed; ``assigned`` the probability of arm 1.
    """

    outcome: Matrix
    stays: Matrix
    assigned: float


def arm_differences(arms: Arms, folds: int, seed: int) -> dict[str, Estimate]:
    """Difference of arm 1 from arm 0 under three assumptions.

    Returns
    -------
    dict
        ``complete_case``: Welch's t test of those observed (dropout has nothing to do with the
        outcome); ``weighted``: those observed stand for similar ones who are not (dropout depends
        on the covariates, as a logistic model says); ``doubly_robust``: augmented by a model of the
        outcome, right if either model is [Robins1994]_, cross-fitted by person.

    Raises
    ------
    NotEnoughDataError
        With fewer than ten observed persons in an arm.

    References
    ----------
    .. [Robins1994] Robins, Rotnitzky, Zhao. Estimation of regression coefficients when some
       regressors are not always observed. JASA 89:846.
    """
    for side in (0, 1):
        n = int((arms.observed & (arms.arm == side)).sum())
        if n < 10:
            raise NotEnoughDataError(
                f"expected at least 10 persons with an outcome in either arm, found {n}."
            )
    nuisance = cross_fit(arms, person_folds(len(arms.y), folds, seed))
    return {
        "complete_case": _welch(arms),
        "weighted": _weighted(arms, nuisance),
        "doubly_robust": doubly_robust(arms, nuisance),
    }


def person_folds(n_persons: int, folds: int, seed: int) -> list[Index]:
    """Positions of each fold's persons, at random."""
    order = np.random.default_rng(seed).permutation(n_persons)
    return [np.sort(part) for part in np.array_split(order, folds)]


def cross_fit(arms: Arms, folds: list[Index]) -> Nuisance:
    """Predict every fold by models of the others."""
    n = len(arms.y)
    outcome, stays = np.full((n, 2), np.nan), np.ones((n, 2))
    for test in folds:
        train = np.setdiff1d(np.arange(n), test)
        for side in (0, 1):
            own = train[arms.arm[train] == side]
            seen = own[arms.observed[own]]
            model = Ridge(alpha=RIDGE).fit(arms.X[seen], arms.y[seen])
            outcome[test, side] = model.predict(arms.X[test])
            if len(seen) < len(own):
                leaves = LogisticRegression(C=LOGISTIC_C).fit(arms.X[own], arms.observed[own])
                stays[test, side] = leaves.predict_proba(arms.X[test])[:, 1]
    return Nuisance(outcome, np.maximum(stays, LEAST_PROBABILITY), float(arms.arm.mean()))


def doubly_robust(arms: Arms, nuisance: Nuisance) -> Estimate:
    """Mean of the persons' scores, with their standard error."""
    scores = scores_of(arms, nuisance)
    return _normal(float(scores.mean()), float(scores.std(ddof=1) / np.sqrt(len(scores))))


def scores_of(arms: Arms, nuisance: Nuisance) -> Vector:
    """Doubly robust score of every person: its mean is the difference of the arms."""
    found = nuisance.outcome[:, 1] - nuisance.outcome[:, 0]
    share = (1 - nuisance.assigned, nuisance.assigned)
    for side, sign in ((0, -1.0), (1, 1.0)):
        seen = arms.observed & (arms.arm == side)
        surprise = arms.y[seen] - nuisance.outcome[seen, side]
        found[seen] += sign * surprise / (nuisance.stays[seen, side] * share[side])
    return np.asarray(found)


def tipping_line(arms: Arms, base: Estimate, deltas: tuple[float, ...]) -> list[dict[str, Any]]:
    """The difference if those of arm 1 who were not observed had done worse by ``delta``.

    Unobserved persons of arm 1 are taken to differ from observed ones alike in the covariates by
    minus ``delta`` (unit of the outcome), those of arm 0 not at all: the difference falls by delta
    times the share unobserved in arm 1 [Cro2020]_.

    References
    ----------
    .. [Cro2020] Cro, Morris, Kenward, Carpenter. Sensitivity analysis for clinical trials with
       missing continuous outcome data using controlled multiple imputation. Statistics in
       Medicine 39:2815.
    """
    missing = float((~arms.observed[arms.arm == 1]).mean())
    rows = []
    for delta in deltas:
        moved = [v - delta * missing for v in (base.estimate, base.lower, base.upper)]
        excludes = bool(moved[1] > 0 or moved[2] < 0)
        rows.append(
            {
                "delta": delta,
                "estimate": moved[0],
                "lower": moved[1],
                "upper": moved[2],
                "excludes_zero": excludes,
            }
        )
    return rows


def _welch(arms: Arms) -> Estimate:
    groups = [arms.y[arms.observed & (arms.arm == side)] for side in (0, 1)]
    share = [g.var(ddof=1) / len(g) for g in groups]
    freedom = sum(share) ** 2 / sum(s**2 / (len(g) - 1) for s, g in zip(share, groups, strict=True))
    difference = float(groups[1].mean() - groups[0].mean())
    return t_interval(difference, float(np.sqrt(sum(share))), float(freedom), "Welch's t test")


def _weighted(arms: Arms, nuisance: Nuisance) -> Estimate:
    """Weighted means; the error is that of the linearised ratio, weights taken as known."""
    means, variances = [], []
    for side in (0, 1):
        seen = arms.observed & (arms.arm == side)
        weight = 1.0 / nuisance.stays[seen, side]
        mean = float(weight @ arms.y[seen] / weight.sum())
        error = weight * (arms.y[seen] - mean) / weight.sum()
        means.append(mean)
        variances.append(float(error @ error) * seen.sum() / (seen.sum() - 1))
    return _normal(means[1] - means[0], float(np.sqrt(sum(variances))))


def _normal(estimate: float, error: float) -> Estimate:
    half = float(norm.ppf(0.975)) * error
    p = float(2 * norm.sf(abs(estimate / error))) if error > 0 else float("nan")
    return Estimate(estimate, estimate - half, estimate + half, "normal, by person", p_value=p)
