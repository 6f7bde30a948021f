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

from models.judged import Judged
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


def roc_curves(judged: Judged, risks: dict[str, Matrix]) -> pd.DataFrame:
    """Return each candidate's ROC curve, the mean over repeats on a grid of 101 points."""
    parts = []
    for name, per_repeat in risks.items():
        curves = [
            roc_curve(part.y, risk[rows], drop_intermediate=False)[:2]
            for (part, rows), risk in zip(judged.repeats(), per_repeat, strict=True)
        ]
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


def calibration_figure(curve: pd.DataFrame, risks: Matrix, path: Path) -> None:
    """Draw the smooth calibration curve with its interval, and how the risks are spread.

    Parameters
    ----------
    curve : DataFrame with ``predicted``, ``observed``, ``lower``, ``upper``
    risks : ndarray of shape (n_repeats, n_rows), NaN = not judged
    """
    figure, axes = plt.subplots(figsize=(4.5, 4.5))
    axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
    axes.fill_between(curve["predicted"], curve["lower"], curve["upper"], color="0.85")
    axes.plot(curve["predicted"], curve["observed"], lw=1.5)
    known = risks[np.isfinite(risks)]
    shown = curve[["predicted", "observed", "upper"]].to_numpy()
    top = float(min(1.0, 1.1 * np.nanmax(shown))) or 1.0
    counts, edges = np.histogram(known, bins=50, range=(0, top))
    axes.bar(
        edges[:-1],
        0.15 * top * counts / max(1, counts.max()),
        np.diff(edges),
        align="edge",
        color="0.5",
        lw=0,
    )
    axes.set(
        xlabel="predicted risk",
        ylabel="observed share",
        title="Calibration of the selected model, out of fold",
        xlim=(0, top),
        ylim=(0, top),
    )
    save(figure, path)


def decision_figure(benefit: pd.DataFrame, path: Path) -> None:
    """Draw every candidate's net benefit over the thresholds, with acting on all and on nobody.

    Parameters
    ----------
    benefit : DataFrame with ``candidate``, ``threshold``, ``model``, ``treat_all``
    """
    figure, axes = plt.subplots(figsize=(5.5, 4))
    for name, rows in benefit.groupby("candidate", sort=False):
        axes.plot(rows["threshold"], rows["model"], label=str(name), lw=1.5)
    everybody = benefit.drop_duplicates("threshold")
    axes.plot(everybody["threshold"], everybody["treat_all"], color="0.4", ls=":", label="all")
    axes.axhline(0, color="0.6", lw=0.8, ls="--", label="nobody")
    top = float(max(0.05, 1.1 * benefit[["model", "treat_all"]].to_numpy().max()))
    axes.set(
        xlabel="threshold risk",
        ylabel="net benefit per person",
        title="Decision curve, out of fold",
        ylim=(-0.3 * top, top),
    )
    axes.legend(frameon=False, fontsize=8)
    save(figure, path)


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


def prediction_instability_figure(original: Vector, risks: Matrix, path: Path) -> None:
    """Draw the risks of the resamples' models against those of the original one."""
    figure, axes = plt.subplots(figsize=(4.5, 4.5))
    order = np.argsort(original)
    lower, upper = np.quantile(risks, [0.025, 0.975], axis=0)
    axes.fill_between(original[order], lower[order], upper[order], color="0.85", lw=0)
    shown = risks[:: max(1, len(risks) // 100)]
    axes.scatter(np.tile(original, len(shown)), shown.ravel(), s=1, color="0.4", alpha=0.2)
    axes.plot([0, 1], [0, 1], color="tab:blue", lw=1)
    axes.set(
        xlabel="risk by the model",
        ylabel="risk by models of resampled persons",
        title="Prediction instability",
        aspect=1,
        xlim=(0, 1),
        ylim=(0, 1),
    )
    save(figure, path)


def calibration_instability_figure(curves: pd.DataFrame, path: Path) -> None:
    """Draw the calibration of the resamples' models on the original rows."""
    figure, axes = plt.subplots(figsize=(4.5, 4.5))
    axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
    axes.fill_between(
        curves["risk"], curves["lower"], curves["upper"], color="0.85", lw=0, label="5 to 95 %"
    )
    axes.plot(curves["risk"], curves["median"], color="0.4", lw=1, label="median")
    axes.plot(curves["risk"], curves["original"], color="tab:blue", lw=1.2, label="apparent")
    axes.set(
        xlabel="predicted risk",
        ylabel="observed share",
        title="Calibration instability",
        aspect=1,
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(frameon=False, fontsize=8)
    save(figure, path)


def mape_figure(rows: pd.DataFrame, path: Path) -> None:
    """Draw every row's mean absolute prediction error against the risk the model gives it.

    Parameters
    ----------
    rows : DataFrame with ``risk`` and ``mape``
    """
    figure, axes = plt.subplots(figsize=(4.5, 4))
    axes.scatter(rows["risk"], rows["mape"], s=5, color="0.4", alpha=0.5, lw=0)
    mean = float(rows["mape"].mean())
    axes.axhline(mean, color="tab:blue", lw=1, label=f"mean {mean:.3f}")
    axes.set(
        xlabel="risk by the model",
        ylabel="mean absolute prediction error",
        title="Mean absolute prediction error",
        xlim=(0, 1),
        ylim=(0, None),
    )
    axes.legend(frameon=False, fontsize=8)
    save(figure, path)


def classification_instability_figure(rows: pd.DataFrame, threshold: float, path: Path) -> None:
    """Draw the share of resamples that put a row on the other side of the threshold.

    Parameters
    ----------
    rows : DataFrame with ``risk`` and ``class_changes``
    threshold : float
    """
    figure, axes = plt.subplots(figsize=(4.5, 4))
    axes.scatter(rows["risk"], rows["class_changes"], s=5, color="0.4", alpha=0.5, lw=0)
    axes.axvline(threshold, color="tab:blue", lw=1, label=f"threshold {threshold:.2f}")
    axes.set(
        xlabel="risk by the model",
        ylabel="share of resamples with the other class",
        title="Classification instability",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(frameon=False, fontsize=8)
    save(figure, path)


def learning_curve_figure(table: pd.DataFrame, path: Path) -> None:
    """Draw the log loss by the number of persons learnt from."""
    figure, axes = plt.subplots(figsize=(5.5, 3.5))
    for name, curve in table.groupby("candidate", sort=False):
        axes.plot(curve["n_participants"], curve["log_loss"], "o-", lw=1.2, ms=4, label=str(name))
    axes.set(xlabel="persons learnt from", ylabel="log loss, out of fold")
    axes.legend(frameon=False, fontsize=8)
    save(figure, path)


def forest_figure(table: pd.DataFrame, simulated: bool, path: Path) -> None:
    """Draw what each marker adds: its odds ratio per SD, and the difference of the AUC.

    Parameters
    ----------
    table : DataFrame
        :func:`pipeline.biomarker.flat_table`; a family has no single odds ratio.
    simulated : bool
        Said in the title.
    path : Path
    """
    height = 1.2 + 0.35 * max(1, len(table))
    figure, axes = plt.subplots(1, 2, figsize=(8, height), sharey=True)
    rows = np.arange(len(table))[::-1]
    panels = (
        ("odds_ratio_per_sd", 1.0, "odds ratio per SD, fitted"),
        ("auc_difference", 0.0, "difference of the AUC, out of fold"),
    )
    for axis, (name, nothing, words) in zip(axes, panels, strict=True):
        axis.axvline(nothing, color="0.6", lw=0.8, ls="--")
        if len(table):
            at = table[f"{name}_estimate"]
            low, high = at - table[f"{name}_lower"], table[f"{name}_upper"] - at
            axis.errorbar(at, rows, xerr=np.maximum(np.vstack([low, high]), 0), fmt="o", ms=4)
        axis.set(xlabel=words, ylim=(-0.5, max(1, len(table)) - 0.5))
    axes[0].set_yticks(rows, table["name"] if len(table) else [])
    if simulated:
        figure.suptitle("Simulated data")
    save(figure, path)


def coverage_risk_figure(curve: pd.DataFrame, path: Path) -> None:
    """Draw the error among the most certain against the share that is answered.

    Parameters
    ----------
    curve : DataFrame
        As of :func:`models.selective.coverage_risk`.
    """
    figure, axes = plt.subplots(figsize=(4.5, 3.5))
    for name, part in curve.groupby("error", sort=False):
        line = axes.plot(part["share"], part["estimate"], lw=1.5, label=str(name))[0]
        axes.fill_between(
            part["share"], part["lower"], part["upper"], color=line.get_color(), alpha=0.15, lw=0
        )
    axes.set(xlabel="share answered, most certain first", ylabel="error", title="Coverage and risk")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    save(figure, path)
