"""Does a procedure travel? Every setting predicted by models of the others, then pooled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from models.calibration import logit
from models.learning import Matrix, Vector
from models.meta_analysis import Pooled, pool
from models.metrics import CLIP
from models.optimism import performance
from models.splits import Index, SplitPlan

# On these scales errors are about normal, and settings are pooled.
SCALES = ("logit_auc", "log_oe", "slope")


@dataclass(frozen=True)
class AcrossSettings:
    """Performance per setting and pooled.

    Attributes
    ----------
    table : DataFrame
        One row per setting: ``setting, n_rows, n_participants, n_events``, each of ``SCALES``
        with ``_se``, ``auc``, ``oe_ratio``, and ``reason`` where something is NaN.
    pooled : dict of scale to Pooled
    """

    table: pd.DataFrame
    pooled: dict[str, Pooled]

    def to_dict(self) -> dict[str, Any]:
        """Return settings and pooled figures, those with a natural scale on it too."""
        auc, oe = self.pooled["logit_auc"], self.pooled["log_oe"]
        return {
            "settings": self.table.to_dict("records"),
            "pooled": {name: p.to_dict() for name, p in self.pooled.items()},
            "auc": _back(auc, lambda v: float(expit(v))),
            "oe_ratio": _back(oe, lambda v: float(np.exp(v))),
            "slope": _back(self.pooled["slope"], float),
        }


def _back(pooled: Pooled, transform: Any) -> dict[str, float]:
    names = ("estimate", "lower", "upper", "prediction_lower", "prediction_upper")
    return {n: transform(getattr(pooled, n)) for n in names}


def judge_settings(
    y: Vector, person: Index, risk: Vector, plan: SplitPlan, names: list[str], n_resamples: int
) -> AcrossSettings:
    """Judge the predictions of every left-out setting, and pool over settings.

    Standard errors are those of a bootstrap of the setting's own persons.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), 0/1, NaN = not judged
    risk : ndarray of shape (n_rows,)
        Each row predicted in the fold of its own setting.
    plan, names
        Of :func:`models.protocol_plans.leave_setting_out`.
    n_resamples : int
    """
    rows = []
    for fold, name in zip(plan.folds, names, strict=True):
        here = fold.test[np.isfinite(y[fold.test])]
        _, code = np.unique(person[here], return_inverse=True)
        weights = _draws(code, n_resamples)
        figures = _figures(y[here], risk[here], weights)
        rows.append(
            {
                "setting": name,
                "n_rows": len(here),
                "n_participants": int(code.max()) + 1,
                "n_events": int(y[here].sum()),
                **figures,
            }
        )
    table = pd.DataFrame(rows)
    pooled = {
        s: pool(table[s].to_numpy(dtype=np.float64), table[f"{s}_se"].to_numpy(dtype=np.float64))
        for s in SCALES
    }
    return AcrossSettings(table, pooled)


def _draws(code: Index, n_resamples: int) -> Matrix:
    n = int(code.max()) + 1
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return np.vstack([np.ones((1, len(code))), counts[:, code]]).astype(np.float64)


def _figures(y: Vector, risk: Vector, weights: Matrix) -> dict[str, Any]:
    found = performance(y, risk, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed, expected = weights @ y, weights @ np.clip(risk, CLIP, 1 - CLIP)
        scales = {
            "logit_auc": logit(found["auc"]),
            "log_oe": np.log(observed / expected),
            "slope": found["slope"],
        }
    result: dict[str, Any] = {
        "auc": float(found["auc"][0]),
        "oe_ratio": float(observed[0] / expected[0]),
    }
    for name, values in scales.items():
        usable = values[1:][np.isfinite(values[1:])]
        enough = np.isfinite(values[0]) and len(usable) >= 0.8 * (len(values) - 1)
        result[name] = float(values[0]) if enough else np.nan
        result[f"{name}_se"] = float(usable.std(ddof=1)) if enough else np.nan
    return result | {"reason": _reason(y, result)}


def _reason(y: Vector, result: dict[str, Any]) -> str:
    if np.ptp(y) == 0:
        return "only one class was observed in this setting"
    missing = [s for s in SCALES if np.isnan(result[s])]
    if missing:
        return f"{', '.join(missing)}: too few events to tell how precise it is, not pooled"
    return ""
