"""No word in a figure, a report or a document says that a predictor brings an outcome about."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pandas as pd
import pytest

from pipeline import report
from pipeline.config import Params
from pipeline.io import write_json

ROOT = Path(__file__).resolve().parents[2]
CAUSAL = re.compile(
    r"\b(cause[sd]?|caused by|causing|because of|drives?|driven by|drivers? of|due to|leads? to|"
    r"led to|results? in|resulted in|impacts?|influences?|influenced|responsible for|protects?|"
    r"protective|triggers?|triggered by|effects? of|affects?|determines? the (?:risk|response))\b",
    re.IGNORECASE,
)
# What a reader of results sees: everything these modules write is about predictors.
MODULES = (
    "models/explain.py",
    "models/explain_refits.py",
    "models/selection.py",
    "pipeline/beeswarm.py",
    "pipeline/evaluate.py",
    "pipeline/explain.py",
    "pipeline/explanation_figures.py",
    "pipeline/figures.py",
    "pipeline/model_card.py",
    "pipeline/paper.py",
    "pipeline/report.py",
    "pipeline/report_figures.py",
    "pipeline/report_model.py",
    "pipeline/report_study.py",
    "pipeline/report_trust.py",
    "pipeline/reporting_guides.py",
    "pipeline/stratify_page.py",
    "pipeline/stratify_words.py",
    "pipeline/tripod_facts.py",
    "pipeline/use.py",
    "pipeline/subgroups.py",
)
PAGES = (
    "README.md",
    "docs/results.md",
    "docs/decisions/0018-explanations.md",
    "docs/examples/strata_rct.md",
    "docs/how_to/groups.md",
    *(p.relative_to(ROOT).as_posix() for p in (ROOT / "pipeline" / "templates").glob("*.jinja")),
    "seeds/tripod_ai.toml",
    "seeds/probast_ai.toml",
)


def claims(text: str) -> list[str]:
    """Every causal phrase with the words around it."""
    return [text[max(0, m.start() - 40) : m.end() + 40] for m in CAUSAL.finditer(text)]


def written(path: Path) -> str:
    """All strings and docstrings of a module; comments are for developers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return "\n".join(
        n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    )


@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_writes_about_predictors_makes_no_causal_claim(name):
    assert claims(written(ROOT / name)) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_makes_no_causal_claim(name):
    assert claims((ROOT / name).read_text(encoding="utf-8")) == []


def test_every_description_of_a_feature_is_free_of_causal_words():
    features = [p for p in (ROOT / "features").glob("*.py") if "FeatureSpec(" in p.read_text()]
    described = [
        argument.value
        for path in features
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "FeatureSpec"
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]

    assert described
    assert claims("\n".join(described)) == []


def test_the_generated_report_makes_no_causal_claim_and_shows_no_id(trained: Path, tmp_path):
    write_json({"study": {}, "outcome": {}}, tmp_path / "study.json")
    for name in ("outcomes.json", "response"):
        (tmp_path / name).symlink_to(trained / name)

    page = report.run(Params().report, tmp_path, ("response",), tmp_path / "report")

    text = re.sub(r"data:image/png;base64,[^\"]+", "", page.read_text(encoding="utf-8"))
    assert "first reason of a typical person" in text
    assert "A person of high predicted risk" in text
    assert claims(text) == []
    persons = pd.read_parquet(trained / "features.parquet")["participant_id"].unique()
    assert [p for p in persons if re.search(rf"\b{re.escape(p)}\b", text)] == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Catastrophising causes a poor response.",
        "The prediction is low because of pain.",
        "Sleep drives the response.",
        "a risk due to age",
        "the effect of CPM on response",
    ],
)
def test_a_causal_sentence_would_be_found(sentence):
    assert claims(sentence)


@pytest.mark.parametrize(
    "sentence",
    ["contribution to the log-odds", "What a model uses is not what changes the response."],
)
def test_a_sentence_about_the_model_is_allowed(sentence):
    assert claims(sentence) == []
