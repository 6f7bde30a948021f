"""Draw docs/figures/results.svg from the table of docs/results.md: what was reached, and could be.

python docs/make_results_figure.py
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.sax.saxutils import escape

DOCS = Path(__file__).resolve().parent
TARGET = DOCS / "figures" / "results.svg"
LEFT, RIGHT, TOP, STEP = 310, 745, 62, 26
LOW, HIGH = 0.3, 1.0
INK, QUIET, MODEL, CEILING = "#1d2b2a", "#6b7f7d", "#00796b", "#b35c00"
FIGURE = re.compile(r"(0\.\d+|1\.00)(?: \((\S+) to (\S+)\))?")


def table_rows() -> list[dict[str, str]]:
    """Rows of the results table that have a figure."""
    lines = (DOCS / "results.md").read_text(encoding="utf-8").splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines if line[:1] == "|"]
    rows = [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]
    return [row for row in rows if row["AUC, logistic (95 %)"]]


def across(value: str | float) -> float:
    """Position of an AUC on the page."""
    return round(LEFT + (float(value) - LOW) / (HIGH - LOW) * (RIGHT - LEFT), 1)


def row_marks(row: dict[str, str], y: int) -> list[str]:
    """Label, interval and marks of one row."""
    model = FIGURE.search(row["AUC, logistic (95 %)"])
    stratum = FIGURE.search(row["AUC, condition and exercise"])
    ceiling = FIGURE.search(row["AUC ceiling (95 %)"])
    assert model is not None
    study = {"cervical_radiculopathy_rct": "radiculopathy trial", "demo": "demo (simulated)"}
    name = f"{study.get(row['study'], row['study'])}, {row['endpoint']}, {row['target']}"
    ends = [across(max(float(v), LOW)) for v in (model[2], model[3])]
    marks = [
        f'<text x="{LEFT - 14}" y="{y + 4}" text-anchor="end">{escape(name)}</text>',
        f'<line x1="{ends[0]}" x2="{ends[1]}" y1="{y}" y2="{y}" stroke="{MODEL}" '
        'stroke-width="2"/>',
        f'<circle cx="{across(model[1])}" cy="{y}" r="5" fill="{MODEL}"/>',
    ]
    if stratum is not None:
        marks.append(
            f'<circle cx="{across(stratum[1])}" cy="{y}" r="4" fill="#fff" stroke="{QUIET}" '
            'stroke-width="2"/>'
        )
    if ceiling is not None:
        x = across(ceiling[1])
        marks.append(
            f'<line x1="{x}" x2="{x}" y1="{y - 8}" y2="{y + 8}" stroke="{CEILING}" '
            'stroke-width="3"/>'
        )
    return marks


def axis(bottom: int) -> list[str]:
    """Grid lines with their values."""
    values = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    lines = []
    for value in values:
        x, dashed = across(value), "" if value == 0.5 else ' stroke-dasharray="2 4"'
        lines += [
            f'<line x1="{x}" x2="{x}" y1="{TOP - 12}" y2="{bottom}" stroke="#c5d0cf"{dashed}/>',
            f'<text x="{x}" y="{bottom + 16}" text-anchor="middle" fill="{QUIET}">{value}</text>',
        ]
    return lines


def drawing() -> str:
    """Return the figure as SVG."""
    rows = table_rows()
    bottom = TOP + STEP * len(rows) - 8
    words = (
        "AUC of the logistic model with its 95 % interval (filled), of condition and exercise "
        "alone (open), and the ceiling of any model (bar), by study, endpoint and target."
    )
    legend = (
        f'<circle cx="24" cy="24" r="5" fill="{MODEL}"/><text x="36" y="28">logistic model, AUC '
        f'with 95 % interval</text><circle cx="296" cy="24" r="4" fill="#fff" stroke="{QUIET}" '
        'stroke-width="2"/><text x="308" y="28">condition and exercise alone</text>'
        f'<line x1="516" x2="516" y1="16" y2="32" stroke="{CEILING}" stroke-width="3"/>'
        '<text x="526" y="28">ceiling of any model, where known</text>'
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 {bottom + 28}" role="img" '
        f'aria-label="{words}" font-family="sans-serif" font-size="13" fill="{INK}">'
        f"<title>{words}</title>",
        f'<rect width="780" height="{bottom + 28}" fill="#fff" rx="8"/>',
        legend,
        *axis(bottom),
    ]
    for i, row in enumerate(rows):
        parts += row_marks(row, TOP + STEP * i)
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(drawing(), encoding="utf-8")
    print(TARGET.name)
