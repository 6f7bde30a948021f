"""What a marker adds to a base set, tested on the data it was fitted to: nested models.

Rows of a person repeat each other. The likelihood-ratio statistic is that of the two models, as
any program gives it; what is called rests on a test that takes the repetition into account
(:func:`compare`).

References
----------
.. [Harrell2015] Harrell. Regression Modeling Strategies, 2nd ed., section 9.8.4 (adequacy index).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import chi2, norm
from scipy.stats import f as f_distribution

from models.nested import Fits, Nested
from models.score_test import score_test
from models.unpenalised import profile_interval, wald

Z = float(norm.ppf(0.975))


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
