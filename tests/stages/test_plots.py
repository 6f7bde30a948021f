"""The plots of 'dvc plots show' and 'diff': their templates, and the columns they draw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from dvc_render.vega import VegaRenderer

from pipeline.evaluate import headline
from pipeline.io import read_json

ROOT = Path(__file__).resolve().parents[2]
PLOTS: list[tuple[str, dict[str, Any]]] = [
    next(iter(p.items())) for p in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
]
TEMPLATES = ROOT / ".dvc" / "plots"


def drawn(definition: dict[str, Any], trained: Path) -> pd.DataFrame:
    """The table a plot of the graph draws, of the small study."""
    (place,) = definition["y"]
    path = trained / place.removeprefix("outputs/${study.name}/")
    return pd.read_csv(path)


def test_roc_calibration_decision_curve_and_shap_are_drawn_of_every_target() -> None:
    wanted = ("ROC", "Calibration", "Decision curve", "SHAP")

    assert len(PLOTS) == 2 * len(wanted)
    for target in ("response", "hyperalgesia"):
        assert [n.split(",")[0] for n, _ in PLOTS if target in n] == list(wanted)


@pytest.mark.parametrize(("name", "definition"), PLOTS, ids=[n for n, _ in PLOTS])
def test_a_plot_names_columns_that_its_table_has(
    name: str, definition: dict[str, Any], trained: Path
) -> None:
    table = drawn(definition, trained)

    assert {definition["x"], *definition["y"].values()} <= set(table.columns)


@pytest.mark.parametrize(("name", "definition"), PLOTS, ids=[n for n, _ in PLOTS])
def test_two_revisions_fill_the_template(
    name: str, definition: dict[str, Any], trained: Path
) -> None:
    table = drawn(definition, trained)
    rows = [
        {**row, "rev": rev}
        for rev in ("HEAD", "workspace")
        for row in table.head(5).to_dict("records")
    ]
    y = next(iter(definition["y"].values()))
    properties = {k: definition[k] for k in ("template", "x", "title", "x_label", "y_label")}
    renderer = VegaRenderer(rows, name, y=y, template_dir=str(TEMPLATES), **properties)

    filled = json.dumps(renderer.get_filled_template())

    assert "DVC_METRIC" not in filled
    assert '"workspace"' in filled
    assert definition["title"] in filled


def test_a_diff_of_metrics_has_few_figures_and_they_are_those_of_metrics_json(
    trained: Path,
) -> None:
    folder = trained / "response" / "evaluate"
    metrics, summary = read_json(folder / "metrics.json"), read_json(folder / "summary.json")

    assert summary == headline(metrics)
    assert summary["auc"] == metrics["candidates"][metrics["selected"]]["auc"]["estimate"]
    assert len(summary) <= 12
