"""Figures and the tables behind them. Drawn without a display; the same data give the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_curve

from pipeline.io import atomic_path

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
GRID = np.linspace(0, 1, 101)


def save(figure: Any, path: Path) -> None:
    """Write a figure as PNG, without a date in it, and close it."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def new_figure() -> None:
    """Start an empty figure, for libraries that draw on the current one."""
    plt.figure()


def roc_curves(y: Vector, risks: dict[str, Matrix]) -> pd.DataFrame:
    """Return each candidate's ROC curve, the mean over repeats on a grid of 101 points."""
    parts = []
    for name, per_repeat in risks.items():
        curves = [roc_curve(y, r, drop_intermediate=False)[:2] for r in per_repeat]
        sensitivity = np.mean([np.interp(GRID, fpr, tpr) for fpr, tpr in curves], axis=0)
        parts.append(
            pd.DataFrame(
                {"candidate": name, "false_positive_rate": GRID, "sensitivity": sensitivity}
            )
        )
    return pd.concat(parts, ignore_index=True)


def roc_figure(curves: pd.DataFrame, path: Path) -> None:
    """Draw the ROC curves of all candidates."""
    figure, axes = plt.subplots(figsize=(4.5, 4.5))
    for name, curve in curves.groupby("candidate", sort=False):
        axes.plot(curve["false_positive_rate"], curve["sensitivity"], label=str(name), lw=1.5)
    axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", title="ROC, out of fold", aspect=1)
    axes.legend(frameon=False, fontsize=8)
    save(figure, path)


def calibration_figure(y: Vector, per_repeat: Matrix, path: Path) -> pd.DataFrame:
    """Draw predicted against observed risk in tenths of the predictions; return the table.

    The grouped points are a picture, not a test; slope and intercept are the figures to quote.
    """
    risk, outcome = per_repeat.ravel(), np.tile(y, len(per_repeat))
    group = pd.qcut(pd.Series(risk).rank(method="first"), min(10, len(risk)), labels=False)
    table = (
        pd.DataFrame({"group": group, "predicted": risk, "observed": outcome})
        .groupby("group", sort=True)
        .agg(predicted=("predicted", "mean"), observed=("observed", "mean"), n=("observed", "size"))
        .reset_index()
    )
    figure, axes = plt.subplots(figsize=(4.5, 4.5))
    axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
    axes.plot(table["predicted"], table["observed"], "o-", lw=1.2, ms=4)
    top = float(min(1.0, 1.1 * table[["predicted", "observed"]].to_numpy().max()))
    axes.set(
        xlabel="predicted risk",
        ylabel="observed share",
        title="Calibration of the selected model, out of fold",
        xlim=(0, top),
        ylim=(0, top),
    )
    save(figure, path)
    return table


def ladder_figure(ladder: pd.DataFrame, path: Path) -> None:
    """Draw the AUC of every candidate with its 95 % interval."""
    figure, axes = plt.subplots(figsize=(5.5, 2.8))
    rows = np.arange(len(ladder))[::-1]
    width = np.vstack([ladder["auc"] - ladder["auc_lower"], ladder["auc_upper"] - ladder["auc"]])
    colours = ["tab:blue" if s else "0.45" for s in ladder["selected"]]
    axes.errorbar(ladder["auc"], rows, xerr=np.maximum(width, 0), fmt="none", ecolor="0.6", lw=1.2)
    axes.scatter(ladder["auc"], rows, color=colours, zorder=3)
    axes.axvline(0.5, color="0.6", lw=0.8, ls="--")
    axes.set(xlabel="AUC, 95 % interval over persons", yticks=rows)
    axes.set_yticklabels(ladder["candidate"])
    save(figure, path)
