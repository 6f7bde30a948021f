"""shap's beeswarm, apart from the other figures: importing shap takes seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import shap

from models.scorers import Contributions
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
