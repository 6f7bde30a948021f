"""shap's beeswarm and waterfall, apart from the other figures: importing shap takes seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import shap

from models.scorers import Contributions
from pipeline.explanation_figures import clinical, label
from pipeline.figures import new_figure, save


def beeswarm_figure(
    contributions: Contributions, features: pd.DataFrame, path: Path, max_display: int
) -> None:
    """Draw every row's contributions by feature (shap's beeswarm), log-odds scale."""
    explanation = shap.Explanation(
        values=contributions.values,
        base_values=np.full(len(features), contributions.baseline),
        data=features[list(contributions.names)].to_numpy(),
        feature_names=list(contributions.names),
    )
    new_figure()
    state = np.random.get_state()  # noqa: NPY002 - shap shuffles points by the global generator
    np.random.seed(0)  # noqa: NPY002
    axes = shap.plots.beeswarm(explanation, max_display=max_display, show=False)
    np.random.set_state(state)  # noqa: NPY002
    axes.set_xlabel("contribution to the log-odds")
    save(axes.figure, path)


def waterfall_figure(
    contributions: Contributions,
    features: pd.Series,
    which: tuple[int, str],
    units: Mapping[str, str],
    path: Path,
) -> None:
    """Draw how one row's contributions add up to its log-odds (shap's waterfall).

    Parameters
    ----------
    features : Series
        The row's values in clinical units.
    which : (row, name)
        Position in ``contributions``; the name the figure gives, which is never an id.
    units : mapping of feature to unit
    """
    row, name = which
    known = [
        clinical(np.array([features.get(n, np.nan)], dtype=np.float64), units.get(n, ""))[0][0]
        for n in contributions.names
    ]
    explanation = shap.Explanation(
        values=contributions.values[row],
        base_values=contributions.baseline,
        data=np.array([f"{v:.3g}" if np.isfinite(v) else "missing" for v in known], dtype=object),
        feature_names=[label(n, units) for n in contributions.names],
    )
    new_figure()
    axes = shap.plots.waterfall(explanation, max_display=10, show=False)
    total = contributions.baseline + float(contributions.values[row].sum())
    axes.figure.suptitle(f"{name}: predicted risk {1 / (1 + np.exp(-total)):.0%}")
    save(axes.figure, path)
