"""Figures of explanations: importance over refits, dependence, interactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd

from models.scorers import Contributions
from pipeline.figures import save

Vector = npt.NDArray[np.float64]


def label(feature: str, units: Mapping[str, str]) -> str:
    """Return a feature's name with its clinical unit, see :func:`clinical`."""
    unit = clinical(np.zeros(0), units.get(feature, ""))[1]
    return f"{feature} ({unit})" if unit else feature


def clinical(values: Vector, unit: str) -> tuple[Vector, str]:
    """Carry values on a logarithmic scale back to the unit they are measured in.

    Examples
    --------
    >>> clinical(np.array([0.0]), "ln kPa")
    (array([1.]), 'kPa')
    >>> clinical(np.array([0.0]), "ln(1 + min)")
    (array([0.]), 'min')
    >>> clinical(np.array([2.0]), "years")
    (array([2.]), 'years')
    """
    if unit.startswith("ln(1 + "):
        return np.expm1(values), unit.removeprefix("ln(1 + ").removesuffix(")")
    if unit.startswith("ln "):
        return np.exp(values), unit.removeprefix("ln ")
    return values, unit


def importance_figure(importance: pd.DataFrame, path: Path) -> None:
    """Draw mean absolute contributions; with refits, their 5 to 95 % and the range of the rank.

    Parameters
    ----------
    importance : DataFrame with ``feature``, ``mean_abs_log_odds`` and, from refits, ``lower``,
        ``upper``, ``rank_lower``, ``rank_upper``
    """
    figure, axes = plt.subplots(figsize=(6.5, 0.8 + 0.28 * len(importance)))
    rows = np.arange(len(importance))[::-1]
    names = importance["feature"].tolist()
    if "rank_lower" in importance:
        axes.hlines(rows, importance["lower"], importance["upper"], color="0.7", lw=3)
        ranks = zip(importance["rank_lower"], importance["rank_upper"], strict=True)
        names = [f"{n}  [{a} to {b}]" for n, (a, b) in zip(names, ranks, strict=True)]
    axes.scatter(importance["mean_abs_log_odds"], rows, color="tab:blue", zorder=3, s=18)
    axes.set(
        xlabel="mean absolute contribution, log-odds; bars: 5 to 95 % of refits",
        title="Importance [range of its rank over refits]",
        yticks=rows,
    )
    axes.set_yticklabels(names, fontsize=8)
    save(figure, path)


def dependence_figure(
    contributions: Contributions,
    features: pd.DataFrame,
    names: Sequence[str],
    units: Mapping[str, str],
    path: Path,
) -> None:
    """Draw each named feature's contribution against its value; missing values at the left."""
    rows = (len(names) + 1) // 2
    figure, all_axes = plt.subplots(
        rows, 2, figsize=(8, 3 * rows), squeeze=False, sharey=True, layout="constrained"
    )
    for spare in all_axes.ravel()[len(names) :]:
        spare.set_axis_off()
    for axes, name in zip(all_axes.ravel(), names, strict=False):
        x = clinical(features[name].to_numpy(dtype=np.float64), units.get(name, ""))[0]
        y = contributions.values[:, contributions.names.index(name)]
        known = np.isfinite(x)
        axes.scatter(x[known], y[known], s=6, alpha=0.5, color="tab:blue")
        if not known.all() and known.any():
            edge = x[known].min() - 0.08 * max(float(np.ptp(x[known])), 1e-9)
            axes.scatter(np.full((~known).sum(), edge), y[~known], s=8, marker="x", color="0.5")
        axes.axhline(0, color="0.7", lw=0.8)
        axes.set_xlabel(label(name, units), fontsize=8)
    figure.supylabel("contribution, log-odds", fontsize=10)
    figure.suptitle("Contribution by value; crosses: value missing")
    save(figure, path)


def interaction_figure(
    values: Vector,
    features: pd.DataFrame,
    pair: tuple[str, str],
    units: Mapping[str, str],
    path: Path,
) -> None:
    """Draw what two features contribute together against the first, coloured by the second."""
    x, colour = (
        clinical(features[name].to_numpy(dtype=np.float64), units.get(name, ""))[0] for name in pair
    )
    known = np.isfinite(x) & np.isfinite(colour)
    figure, axes = plt.subplots(figsize=(5, 3.5))
    dots = axes.scatter(x[known], values[known], c=colour[known], s=8, cmap="viridis")
    axes.axhline(0, color="0.7", lw=0.8)
    axes.set(
        xlabel=label(pair[0], units),
        ylabel="joint contribution, log-odds",
        title="Largest interaction",
    )
    figure.colorbar(dots, ax=axes, label=label(pair[1], units))
    save(figure, path)
