"""What a marker adds to a base set, tested on the data it was fitted to: nested models.

Rows of a person repeat each other. The likelihood-ratio statistic is that of the two models, as
any program gives it; what is called rests on a test that takes the repetition into account
(:func:`compare`).

References
----------
.. [Harrell2015] Harrell. Regression Modeling Strategies, 2nd ed., sections 9.8.4 (adequacy
   index), 2.4.6 and 9.3 (splines and their test).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, norm
from scipy.stats import f as f_distribution

from models.errors import NotEnoughDataError
from models.meta_analysis import pool
from models.score_test import score_test
from models.splines import place_knots, spline_terms
from models.unpenalised import (
    Fit,
    clustered_covariance,
    fit_logistic,
    fit_or_firth,
    is_separated,
    profile_interval,
    sandwich,
    wald,
    with_intercept,
)

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Z = float(norm.ppf(0.975))
# Below this number of persons, and of events and of others, a setting or a level is not tested.
LEAST_PERSONS, LEAST_EVENTS = 20, 5
# A column that leaves less than this share of itself is a linear function of those before it.
RANK_TOLERANCE = 1e-8


@dataclass(frozen=True)
class Nested:
    """Rows on which the marker and the base set are known, and the outcome.

    Attributes
    ----------
    y : ndarray of shape (n_rows,), 0/1
    base : ndarray of shape (n_rows, n_base)
    added : ndarray of shape (n_rows, n_added)
    person : ndarray of shape (n_rows,), int
    """

    y: Vector
    base: Matrix
    added: Matrix
    person: Index

    @property
    def repeats(self) -> bool:
        """Return whether a person has several rows."""
        return len(np.unique(self.person)) < len(self.person)

    @property
    def n_persons(self) -> int:
        """Return the number of persons."""
        return len(np.unique(self.person))

    def at(self, rows: npt.NDArray[np.bool_]) -> Nested:
        """Return these rows only."""
        return Nested(self.y[rows], self.base[rows], self.added[rows], self.person[rows])


def independent_columns(columns: Matrix, given: Matrix) -> list[int]:
    """Positions of the columns that are no linear function of ``given`` and those before them.

    Examples
    --------
    >>> x = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 0.0, 3.0], [0.0, 1.0, 0.0]])
    >>> independent_columns(x, np.ones((4, 1)))
    [0, 2]
    """
    kept: list[int] = []
    basis = np.linalg.qr(given)[0] if given.shape[1] else np.empty((len(columns), 0))
    for at, column in enumerate(columns.T):
        centred = column - column.mean()
        size = float(np.linalg.norm(centred))
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        if size > 0 and np.linalg.norm(rest) > RANK_TOLERANCE * size:
            kept.append(at)
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
    return kept


def reduced(nested: Nested) -> Nested:
    """Leave out columns that are constant or a linear function of the others; the base goes first.

    Raises
    ------
    NotEnoughDataError
        With one class, or fewer rows than coefficients allow.
    """
    ones = np.ones((len(nested.y), 1))
    base = nested.base[:, independent_columns(nested.base, ones)]
    added = nested.added[:, independent_columns(nested.added, np.column_stack([ones, base]))]
    terms = 1 + base.shape[1] + added.shape[1]
    events = int(nested.y.sum())
    smaller = min(events, len(nested.y) - events)
    if smaller < 2 or nested.n_persons < terms + 3:
        raise NotEnoughDataError(
            f"expected two events and two others at least, and more than {terms + 2} persons for "
            f"{terms} coefficients, found {events} events in {len(nested.y)} rows of "
            f"{nested.n_persons} persons."
        )
    return Nested(nested.y, base, added, nested.person)


@dataclass(frozen=True)
class Fits:
    """The two nested models, the model without predictors, and the covariance to judge by."""

    base: Fit
    full: Fit
    null_log_likelihood: float
    covariance: Matrix
    added: Index


def fit_nested(nested: Nested) -> Fits:
    """Fit both models; both with Firth's penalty where the classes of either are separated.

    Parameters
    ----------
    nested : Nested
        As :func:`reduced` leaves it.
    """
    narrow = with_intercept(nested.base)
    wide = np.column_stack([narrow, nested.added])
    added = np.arange(narrow.shape[1], wide.shape[1])
    full = fit_or_firth(wide, nested.y)
    held = _held(wide.shape[1], added)
    if full.firth:
        base = fit_logistic(wide, nested.y, firth=True, fixed=held)
        null = fit_logistic(
            wide, nested.y, firth=True, fixed=_held(wide.shape[1], np.arange(1, wide.shape[1]))
        )
    else:
        base = fit_logistic(narrow, nested.y)
        null = fit_logistic(narrow[:, :1], nested.y)
    covariance = clustered_covariance(full, nested.person) if nested.repeats else full.covariance
    return Fits(base, full, null.log_likelihood, covariance, added)


def _held(n_terms: int, at: Index) -> Vector:
    fixed = np.full(n_terms, np.nan)
    fixed[at] = 0.0
    return fixed


def compare(nested: Nested, fits: Fits) -> dict[str, Any]:
    """Likelihood-ratio test of the marker, Wald test and adequacy of the base set.

    ``test`` is what a verdict may rest on (:func:`models.score_test.score_test`). The chi-square
    of the likelihood ratio calls too much in small samples; where persons have several rows its
    statistic, that of a working independence model, has no chi-square at all, and its p value is
    that of ``test``.

    Returns
    -------
    dict
        ``test``, ``likelihood_ratio``, ``wald`` and ``adequacy``: the share of the full model's
        likelihood ratio that the base set reaches alone ([Harrell2015]_), ``new_information``
        the rest.
    """
    df = len(fits.added)
    test = score_test(nested.y, nested.base, nested.added, nested.person)
    method = "Firth's penalised likelihood" if fits.full.firth else "maximum likelihood"
    if df == 0:
        reason = "the marker is constant or a linear function of the base set"
        empty = {"statistic": 0.0, "df": 0, "p_value": 1.0, "reason": reason}
        return {
            "test": test.to_dict(),
            "likelihood_ratio": empty | {"method": method, "p_value_independent_rows": 1.0},
            "wald": dict(empty),
            "adequacy": {"base": 1.0, "new_information": 0.0},
        }
    statistic = max(0.0, 2 * (fits.full.log_likelihood - fits.base.log_likelihood))
    chi_square_p = float(chi2.sf(statistic, df))
    whole = 2 * (fits.full.log_likelihood - fits.null_log_likelihood)
    adequacy = 1 - statistic / whole if whole > 0 else np.nan
    chi_square = wald(fits.full.coefficients, fits.covariance, fits.added)
    rows = f"rows repeat within persons: p of the {test.method}" if nested.repeats else ""
    return {
        "test": test.to_dict(),
        "likelihood_ratio": {
            "statistic": statistic,
            "df": df,
            "p_value": test.p_value if nested.repeats else chi_square_p,
            "p_value_independent_rows": chi_square_p,
            "method": "; ".join(m for m in (method, rows) if m),
            "reason": "",
        },
        "wald": {
            "statistic": chi_square,
            "df": df,
            "p_value": tail(chi_square, df, _persons_left(nested, fits)),
            "reason": "",
        },
        "adequacy": {"base": adequacy, "new_information": 1 - adequacy},
    }


def tail(chi_square: float, df: float, persons_left: float) -> float:
    """P value of a chi-square; of F where the covariance rests on few persons.

    Examples
    --------
    >>> round(tail(3.8415, 1, np.inf), 4), round(tail(3.8415, 1, 40), 4)
    (0.05, 0.057)
    """
    if np.isinf(persons_left):
        return float(chi2.sf(chi_square, df))
    return float(f_distribution.sf(chi_square / df, df, persons_left))


def _persons_left(nested: Nested, fits: Fits) -> float:
    """Persons beyond the number of coefficients; infinite where rows are independent."""
    if not nested.repeats:
        return float("inf")
    return float(max(nested.n_persons - len(fits.full.coefficients), 1))


def coefficients(nested: Nested, fits: Fits) -> list[dict[str, Any]]:
    """Log odds ratio of each added column with its 95 % interval, per unit and per SD.

    Wald intervals, clustered where rows repeat; by the profile of the penalised likelihood where
    the classes are separated and rows do not repeat.

    Returns
    -------
    list of dict, one per column of ``nested.added``
    """
    rows = []
    for term, column in zip(fits.added, nested.added.T, strict=True):
        value = float(fits.full.coefficients[term])
        half = Z * float(np.sqrt(fits.covariance[term, term]))
        if fits.full.firth and not nested.repeats:
            lower, upper = profile_interval(fits.full, int(term))
        else:
            lower, upper = value - half, value + half
        sd = float(column.std(ddof=1))
        rows.append(
            {
                "sd": sd,
                "per_unit": {"estimate": value, "lower": lower, "upper": upper},
                "per_sd": {"estimate": value * sd, "lower": lower * sd, "upper": upper * sd},
                "odds_ratio_per_sd": dict(
                    zip(
                        ("estimate", "lower", "upper"),
                        np.exp(np.clip(np.array([value, lower, upper]) * sd, -700, 700)).tolist(),
                        strict=True,
                    )
                ),
                "interval": _interval_name(nested, fits),
            }
        )
    return rows


def _interval_name(nested: Nested, fits: Fits) -> str:
    if nested.repeats:
        return "Wald, clustered by person"
    return "profile of Firth's penalised likelihood" if fits.full.firth else "Wald"


def n_knots(n_persons: int) -> int:
    """Return how many knots the sample bears: 5 from 100 persons, 4 from 30, else 3."""
    return 5 if n_persons >= 100 else 4 if n_persons >= 30 else 3


def shape(nested: Nested, knots: Sequence[float] | None = None) -> dict[str, Any]:
    """Test a straight line against a restricted cubic spline of one added column.

    Wald test of the spline's nonlinear terms, as ``anova`` of the R package rms, and the
    likelihood-ratio test of the same.

    Parameters
    ----------
    nested : Nested
        As :func:`reduced` leaves it.
    knots : sequence of float, optional
        Default: :func:`n_knots` at fixed quantiles.
    """
    if nested.added.shape[1] != 1:
        return {"knots": [], "reason": "a shape is tested of one column, not of a family"}
    column = nested.added[:, 0]
    chosen = tuple(knots) if knots else _bearable(column, n_knots(nested.n_persons))
    if not chosen:
        return {"knots": [], "reason": "too few different values: a straight line only"}
    terms = spline_terms(column, chosen)
    curved = reduced(Nested(nested.y, np.column_stack([nested.base, column]), terms, nested.person))
    fits = fit_nested(curved)
    found = compare(curved, fits)
    test = {k: found["wald"][k] for k in ("statistic", "df", "p_value")}
    if not fits.full.firth and not fits.full.converged:
        return {"knots": list(chosen), "reason": "the spline could not be fitted"}
    return {
        "knots": list(chosen),
        "nonlinear": test,
        "nonlinear_likelihood_ratio": {
            k: found["likelihood_ratio"][k] for k in ("statistic", "df", "p_value")
        },
        "firth": fits.full.firth,
        "reason": "",
    }


def _bearable(column: Vector, most: int) -> tuple[float, ...]:
    for count in range(most, 2, -1):
        if knots := place_knots(column, count):
            return knots
    return ()


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
