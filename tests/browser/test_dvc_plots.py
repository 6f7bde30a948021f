"""The page of 'dvc plots show' with the project's template asks for nothing elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dvc_render import VegaRenderer
from dvc_render.html import render_html

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / ".dvc" / "offline.html"
POINTS = [{"x": 0.0, "y": 0.0, "rev": "workspace"}, {"x": 1.0, "y": 1.0, "rev": "workspace"}]
# What the three scripts give: a function that draws. Vega itself is no part of the project.
STANDS_FOR_VEGA = {
    "vega": "window.vega = {};",
    "vega-lite": "window.vegaLite = {};",
    "vega-embed": "window.vegaEmbed = (place, spec) => {"
    " document.querySelector(place).textContent = 'drawn: ' + spec.data.values.length; };",
}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The page of one plot, where DVC puts it."""
    plot = VegaRenderer([dict(p) for p in POINTS], "roc", x="x", y="y", template="linear")
    target = tmp_path / "dvc_plots" / "index.html"

    render_html([plot], target, TEMPLATE)

    return target


def test_the_template_takes_no_script_from_elsewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert "vegaEmbed('#roc'" in text
    assert 'src="http' not in text
    assert 'src="//' not in text


@pytest.mark.slow
def test_the_page_draws_with_scripts_of_this_machine(
    open_page: Any, page: Path, tmp_path: Path
) -> None:
    for name, script in STANDS_FOR_VEGA.items():
        file = tmp_path / f".dvc/tmp/vega/node_modules/{name}/build/{name}.min.js"
        file.parent.mkdir(parents=True)
        file.write_text(script, encoding="utf-8")

    watched = open_page(page.as_uri())

    assert watched.page.locator("#roc").inner_text() == "drawn: 2"
    assert watched.external() == []
    assert watched.faults == []


@pytest.mark.slow
def test_the_page_says_what_is_missing_without_them(open_page: Any, page: Path) -> None:
    watched = open_page(page.as_uri())

    said = watched.page.locator("#roc").inner_text()
    assert said == "Not drawn: Vega is not in .dvc/tmp/vega, see docs/tracking.md."
    assert watched.external() == []
