"""Draw the architecture, docs/figures/architecture.svg: ``python docs/make_architecture.py``."""

from __future__ import annotations

from pathlib import Path

TARGET = Path(__file__).resolve().parent / "figures" / "architecture.svg"
WIDTH, HEIGHT, BOX, TALL = 960, 420, 172, 62
INK, PAPER, LINE = "#1d2b2a", "#ffffff", "#52706d"
FILLS = {"file": "#f1f4f4", "features": "#dcefe9", "models": "#e3e6f6", "pipeline": "#f8ead2"}
# Name: (column, row, kind, two lines of text).
BOXES = {
    "study": (0, 0, "file", "A study's files", "map in seeds/studies"),
    "cases": (1, 0, "file", "cases", "known before the bout"),
    "measurements": (1, 2, "file", "measurements", "before and after it"),
    "features": (2, 0, "features", "features/", "predictors"),
    "outcome": (2, 2, "features", "features/", "change, class, reliability"),
    "ladder": (3, 1, "models", "models/", "ladder, judged by persons"),
    "bundle": (4, 2, "file", "bundle", "JSON, no code"),
    "report": (4, 0, "pipeline", "report, checks", "MLflow, DVC"),
    "predict": (2, 4, "pipeline", "eih predict", "service, Spark: same bytes"),
    "result": (4, 4, "file", "risks and rejects", "intervals, reasons, silence"),
    "new": (0, 4, "file", "New people", "cases alone"),
}
ARROWS = (
    ("study", "cases"),
    ("study", "measurements"),
    ("cases", "features"),
    ("measurements", "outcome"),
    ("features", "ladder"),
    ("outcome", "ladder"),
    ("ladder", "bundle"),
    ("ladder", "report"),
    ("new", "predict"),
    ("predict", "result"),
)


def corner(name: str) -> tuple[int, int]:
    """Upper left corner of a box."""
    column, row = BOXES[name][:2]
    return 10 + column * 192, 34 + row * 78


def box(name: str) -> str:
    """Draw a box with its two lines of text."""
    x, y = corner(name)
    _, _, kind, first, second = BOXES[name]
    middle = x + BOX / 2
    return (
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{TALL}" rx="8" fill="{FILLS[kind]}" '
        f'stroke="{LINE}"/><text x="{middle}" y="{y + 27}" font-weight="600">{first}</text>'
        f'<text x="{middle}" y="{y + 46}" font-size="12">{second}</text>'
    )


def arrow(start: str, end: str) -> str:
    """Draw an arrow from the right side of one box to the left side of another."""
    (x1, y1), (x2, y2) = corner(start), corner(end)
    return line(x1 + BOX, y1 + TALL / 2, x2, y2 + TALL / 2)


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    """Draw a line that ends in an arrow head."""
    return (
        f'<line x1="{x1}" y1="{y1:g}" x2="{x2}" y2="{y2:g}" stroke="{LINE}" stroke-width="1.6" '
        'marker-end="url(#head)"/>'
    )


def drawing() -> str:
    """Return the drawing as SVG."""
    words = (
        "Architecture: a study's files become cases and measurements; features and outcomes go "
        "to the ladder of models; it gives a bundle and a report; prediction takes cases and the "
        "bundle."
    )
    bundle_x, bundle_y = corner("bundle")
    predict_x, predict_y = corner("predict")
    down = (
        f'<path d="M {bundle_x + BOX / 2} {bundle_y + TALL} V {predict_y - 66} '
        f'H {predict_x + BOX / 2} V {predict_y}" fill="none" stroke="{LINE}" stroke-width="1.6" '
        'stroke-dasharray="5 4" marker-end="url(#head)"/>'
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{words}" font-family="sans-serif" font-size="14" text-anchor="middle" '
        f'fill="{INK}"><title>{words}</title>',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        f'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}" rx="10"/>',
        *(box(name) for name in BOXES),
        *(arrow(*ends) for ends in ARROWS),
        down,
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(drawing(), encoding="utf-8")
    print(TARGET.name)
