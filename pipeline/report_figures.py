"""Drawings of the report, each from the table that is shown beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.report_svg import BAND, GRID, INK, MUTED, SERIES, drawing, style

SQUARE = (5.0, 4.6)


@dataclass(frozen=True)
class Forest:
    """How estimates with intervals are drawn: names of the columns, axis and line of no worth."""

    label: str
    estimate: str
    lower: str
    upper: str
    axis: str
    reference: float | None = None


def forest(table: pd.DataFrame, how: Forest, key: str, strong: Sequence[bool] = ()) -> str:
    """Draw one estimate with its interval a row, the first row on top."""
    rows = np.arange(len(table))[::-1]
    with drawing(6.4, 0.9 + 0.34 * max(1, len(table)), key) as (axes, made):
        if how.reference is not None:
            axes.axvline(how.reference, color=MUTED, lw=0.9, ls="--")
        at = table[how.estimate].to_numpy(dtype=np.float64)
        low = table[how.lower].to_numpy(dtype=np.float64)
        high = table[how.upper].to_numpy(dtype=np.float64)
        axes.hlines(rows, low, high, color=MUTED, lw=2)
        colours = [SERIES[0] if s else INK for s in strong] or SERIES[0]
        axes.scatter(at, rows, color=colours, zorder=3, s=36)
        axes.set(xlabel=how.axis, ylim=(-0.6, max(1, len(table)) - 0.4))
        axes.set_yticks(rows, [short(str(n)) for n in table[how.label]])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=GRID, lw=0.6)
        axes.set_axisbelow(True)
    return made[0]


def short(text: str, most: int = 44) -> str:
    """Shorten a label."""
    return text if len(text) <= most else text[: most - 1] + "…"


def bars(table: pd.DataFrame, label: str, value: str, axis: str, key: str) -> str:
    """Draw one horizontal bar a row, the first on top."""
    rows = np.arange(len(table))[::-1]
    with drawing(6.4, 0.9 + 0.26 * max(1, len(table)), key) as (axes, made):
        values = table[value].to_numpy(dtype=np.float64)
        signs = np.where(values >= 0, SERIES[0], SERIES[1])
        axes.barh(rows, values, color=list(signs), height=0.7)
        if (values < 0).any():
            axes.axvline(0, color=MUTED, lw=0.9)
        axes.set(xlabel=axis)
        axes.set_yticks(rows, [short(str(n)) for n in table[label]])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=GRID, lw=0.6)
        axes.set_axisbelow(True)
    return made[0]


def roc(curves: pd.DataFrame, points: pd.DataFrame, key: str) -> str:
    """Draw ROC curves; thresholds of one candidate are marked on its curve.

    Parameters
    ----------
    curves : DataFrame with ``candidate``, ``false_positive_rate``, ``sensitivity``
    points : DataFrame with ``threshold``, ``sensitivity``, ``specificity``
    """
    with drawing(*SQUARE, key) as (axes, made):
        axes.plot([0, 1], [0, 1], color=MUTED, lw=0.9)
        for name, curve in curves.groupby("candidate", sort=False):
            colour, line = style(str(name))
            axes.plot(
                curve["false_positive_rate"],
                curve["sensitivity"],
                color=colour,
                ls=line,
                lw=1.6,
                label=short(str(name)),
            )
        if len(points):
            at = points[["specificity", "sensitivity", "threshold"]].to_numpy(dtype=np.float64)
            axes.scatter(1 - at[:, 0], at[:, 1], s=22, color=INK, zorder=4)
            _, first = np.unique(at[:, :2].round(2), axis=0, return_index=True)
            for specificity, sensitivity, threshold in at[np.sort(first)]:
                axes.annotate(
                    f"{threshold:g}",
                    (1 - specificity, sensitivity),
                    xytext=(5, -9),
                    textcoords="offset points",
                    fontsize=8,
                )
        axes.set(xlabel="1 − specificity", ylabel="sensitivity", xlim=(-0.02, 1.02), aspect=1)
        axes.legend(loc="lower right")
    return made[0]


def calibration(curve: pd.DataFrame, risks: pd.DataFrame, key: str) -> str:
    """Draw the smooth calibration curve with its interval and the spread of the risks.

    Parameters
    ----------
    curve : DataFrame with ``predicted``, ``observed``, ``lower``, ``upper``
    risks : DataFrame with ``lower``, ``upper``, ``share``; may be empty
    """
    shown = curve[["predicted", "observed", "upper"]].to_numpy(dtype=np.float64)
    top = float(min(1.0, 1.1 * np.nanmax(shown))) if np.isfinite(shown).any() else 1.0
    with drawing(*SQUARE, key) as (axes, made):
        axes.plot([0, top], [0, top], color=MUTED, lw=0.9, ls="--", label="perfect")
        axes.fill_between(
            curve["predicted"], curve["lower"], curve["upper"], color=BAND, lw=0, label="95 %"
        )
        axes.plot(curve["predicted"], curve["observed"], color=SERIES[0], lw=1.8, label="model")
        if len(risks):
            height = 0.14 * top * risks["share"] / max(float(risks["share"].max()), 1e-9)
            axes.bar(
                risks["lower"], height, risks["upper"] - risks["lower"], align="edge", color=MUTED
            )
        axes.set(
            xlabel="predicted risk", ylabel="observed share", xlim=(0, top), ylim=(0, top), aspect=1
        )
        axes.legend(loc="upper left")
    return made[0]


def decision(benefit: pd.DataFrame, key: str) -> str:
    """Draw net benefit over thresholds, with acting on all and on nobody."""
    with drawing(6.4, 4.2, key) as (axes, made):
        for name, rows in benefit.groupby("candidate", sort=False):
            colour, line = style(str(name))
            axes.plot(
                rows["threshold"],
                rows["model"],
                color=colour,
                ls=line,
                lw=1.6,
                marker="o",
                ms=3,
                label=short(str(name)),
            )
        everybody = benefit.drop_duplicates("threshold")
        axes.plot(everybody["threshold"], everybody["treat_all"], color=INK, lw=1, label="all")
        axes.axhline(0, color=MUTED, lw=1, label="nobody")
        top = float(max(0.05, 1.1 * benefit[["model", "treat_all"]].to_numpy().max()))
        axes.set(xlabel="threshold risk", ylabel="net benefit per bout", ylim=(-0.35 * top, top))
        axes.grid(color=GRID, lw=0.6)
        axes.legend(ncols=2)
    return made[0]


def banded(
    table: pd.DataFrame, names: tuple[str, str, str], axes_words: tuple[str, str], key: str
) -> str:
    """Draw lines with bands: one per value of the first named column, over the second.

    Parameters
    ----------
    table : DataFrame with the three named columns, ``lower`` and ``upper``
    names : (group, x, y)
    axes_words : (of x, of y)
    """
    group, x, y = names
    with drawing(6.4, 3.8, key) as (axes, made):
        for number, (name, part) in enumerate(table.groupby(group, sort=False)):
            colour = SERIES[number % len(SERIES)]
            axes.fill_between(part[x], part["lower"], part["upper"], color=colour, alpha=0.18, lw=0)
            axes.plot(
                part[x],
                part[y],
                color=colour,
                ls=("-", "--", ":", "-.")[number % 4],
                lw=1.6,
                label=short(str(name).replace("_", " ")),
            )
        axes.set(xlabel=axes_words[0], ylabel=axes_words[1])
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.grid(color=GRID, lw=0.6)
        axes.legend()
    return made[0]


def dumbbell(table: pd.DataFrame, label: str, ends: tuple[str, str], axis: str, key: str) -> str:
    """Draw two shares a row, joined by a line: the second is what noise alone would give."""
    rows = np.arange(len(table))[::-1]
    first, second = (table[e].to_numpy(dtype=np.float64) for e in ends)
    with drawing(6.4, 0.9 + 0.34 * max(1, len(table)), key) as (axes, made):
        axes.hlines(rows, first, second, color=MUTED, lw=2)
        axes.scatter(first, rows, color=SERIES[0], s=40, zorder=3, label=ends[0].replace("_", " "))
        axes.scatter(
            second,
            rows,
            color=SERIES[1],
            s=40,
            marker="x",
            zorder=3,
            label=ends[1].replace("_", " "),
        )
        axes.set(xlabel=axis, ylim=(-0.6, len(table) - 0.4))
        axes.set_yticks(rows, [short(str(n)) for n in table[label]])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=GRID, lw=0.6)
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, 1.0 + 0.5 / max(1, len(table))), ncols=2
        )
    return made[0]
