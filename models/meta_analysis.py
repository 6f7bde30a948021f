"""Random-effects pooling of a figure over settings, and what to expect in a new one.

References
----------
.. [DerSimonian1986] DerSimonian, Laird. Meta-analysis in clinical trials. Control Clin Trials
   7:177.
.. [Viechtbauer2005] Bias and efficiency of meta-analytic variance estimators. J Educ Behav Stat
   30:261 (restricted maximum likelihood).
.. [Hartung2001] Hartung, Knapp. A refined method for the meta-analysis of controlled clinical
   trials with binary outcome. Stat Med 20:3875.
.. [Higgins2009] Higgins, Thompson, Spiegelhalter. A re-evaluation of random-effects
   meta-analysis. JRSS A 172:137 (prediction interval, t with k - 2 degrees of freedom).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import t as student

from models.learning import Vector

MAX_STEPS = 1000


@dataclass(frozen=True)
class Pooled:
    """A pooled figure with its 95 % interval and the spread between settings.

    Attributes
    ----------
    estimate, standard_error, lower, upper : float
        Hartung-Knapp: t interval with k - 1 degrees of freedom; its variance factor is held
        at 1 from below.
    between_sd : float
        Standard deviation of the true figures over settings.
    prediction_lower, prediction_upper : float
        Where the true figure of a new setting lies with 95 %; NaN below three settings.
    n_settings : int
    reason : str
        Why a figure is NaN.
    """

    estimate: float
    standard_error: float
    lower: float
    upper: float
    between_sd: float
    prediction_lower: float
    prediction_upper: float
    n_settings: int
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict."""
        return asdict(self)


def pool(
    estimates: Vector, standard_errors: Vector, method: Literal["reml", "dl"] = "reml"
) -> Pooled:
    """Pool estimates of independent settings under a random-effects model.

    Parameters
    ----------
    estimates, standard_errors : ndarray of shape (n_settings,)
        On a scale where errors are about normal (logit AUC, log O:E, slope). Settings where
        either is not finite are left out.
    method : {'reml', 'dl'}
        How the variance between settings is estimated.
    """
    known = np.isfinite(estimates) & np.isfinite(standard_errors) & (standard_errors > 0)
    y, v = estimates[known], standard_errors[known] ** 2
    k = len(y)
    if k < 2:
        only = float(y[0]) if k else np.nan
        error = float(np.sqrt(v[0])) if k else np.nan
        nan = float("nan")
        return Pooled(
            only, error, nan, nan, nan, nan, nan, k, f"{k} settings can be judged: too few to pool"
        )
    tau2 = _reml(y, v) if method == "reml" else _dersimonian_laird(y, v)
    weights = 1 / (v + tau2)
    mean = float(weights @ y / weights.sum())
    # Hartung-Knapp: the spread actually seen around the mean scales the standard error. A few
    # settings that happen to agree must not look more precise than their own errors allow.
    spread = max(1.0, float(weights @ (y - mean) ** 2 / (k - 1)))
    error = float(np.sqrt(spread / weights.sum()))
    half = student.ppf(0.975, k - 1) * error
    reason = "" if k > 2 else "a prediction interval needs three settings"
    wide = student.ppf(0.975, k - 2) * np.sqrt(tau2 + error**2) if k > 2 else np.nan
    return Pooled(
        mean,
        error,
        float(mean - half),
        float(mean + half),
        float(np.sqrt(tau2)),
        float(mean - wide),
        float(mean + wide),
        k,
        reason,
    )


def _dersimonian_laird(y: Vector, v: Vector) -> float:
    """Moment estimate of the variance between settings."""
    w = 1 / v
    mean = w @ y / w.sum()
    q = w @ (y - mean) ** 2
    scale = w.sum() - (w**2).sum() / w.sum()
    return float(max(0.0, (q - (len(y) - 1)) / scale))


def _reml(y: Vector, v: Vector) -> float:
    """Restricted maximum likelihood by Fisher scoring, held at zero from below."""
    tau2 = _dersimonian_laird(y, v)
    for _ in range(MAX_STEPS):
        w = 1 / (v + tau2)
        mean = w @ y / w.sum()
        trace = w.sum() - (w**2).sum() / w.sum()
        squared = (w**2).sum() - 2 * (w**3).sum() / w.sum() + ((w**2).sum() / w.sum()) ** 2
        step = (w**2 @ (y - mean) ** 2 - trace) / squared
        new = max(0.0, tau2 + step)
        if abs(new - tau2) < 1e-12 * max(1.0, new):
            return float(new)
        tau2 = new
    return float(tau2)
