"""Figures as SVG inside a page: real text, the page's own colours in light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib.pyplot as plt

# Colours that stand for variables of the page's style; matplotlib writes them, the page sets them.
INK, MUTED, GRID, BAND = "#010101", "#020202", "#030303", "#040404"
SERIES = ("#110101", "#110202", "#110303", "#110404", "#110505", "#110606")
VARIABLES = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    BAND: "var(--band)",
    **{colour: f"var(--c{number})" for number, colour in enumerate(SERIES, start=1)},
}
# A candidate has the same colour and line in every figure; never colour alone.
STYLES = {
    "prevalence": (SERIES[5], ":"),
    "stratum": (SERIES[1], "--"),
    "baseline": (SERIES[4], "-."),
    "logistic": (SERIES[0], "-"),
    "regression": (SERIES[2], (0, (5, 1))),
    "xgboost": (SERIES[3], (0, (3, 1, 1, 1))),
}
RULES: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.labelcolor": INK,
}


@contextmanager
def drawing(width: float, height: float, key: str) -> Iterator[tuple[Any, list[str]]]:
    """Yield an axes to draw on and a list that holds the SVG text once drawing has ended.

    Parameters
    ----------
    width, height : float
        Inches.
    key : str
        Makes the ids inside this figure differ from those of every other one in the page.
    """
    made: list[str] = []
    with plt.rc_context({**RULES, "svg.hashsalt": key}):
        figure, axes = plt.subplots(figsize=(width, height))
        try:
            yield axes, made
            made.append(as_inline(figure, key))
        finally:
            plt.close(figure)


def style(name: str) -> tuple[str, Any]:
    """Return the colour and the line of a candidate."""
    return STYLES.get(name, (SERIES[0], "-"))


def as_inline(figure: Any, key: str) -> str:
    """Return a figure as an ``svg`` element whose ids and colours fit into a page."""
    written = StringIO()
    figure.savefig(
        written,
        format="svg",
        bbox_inches="tight",
        transparent=True,
        metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
    )
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Inside a page the parser knows the namespaces.
    text = re.sub(r' xmlns(:xlink)?="[^"]+"', "", text).replace("xlink:href", "href")
    text = re.sub(r'id="([^"]+)"', rf'id="{key}-\1"', text)
    text = re.sub(r"url\(#", f"url(#{key}-", text)
    text = re.sub(r'href="#', f'href="#{key}-', text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    # The wrapper names the figure; inside it nothing is read out or reached by the keyboard.
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
