"""The report of a small study: what a reader, a screen reader and a reviewer find in it."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from pipeline import report, reporting_guides
from pipeline.config import Params
from pipeline.io import read_json, write_json
from pipeline.model_card import model_card

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("response", "hyperalgesia")
VOID = {"meta", "img", "br", "link", "input"}
SECTIONS = [
    "verdict",
    "flow",
    "outcome",
    "performance",
    "explanations",
    "markers",
    "trust",
    "uncertainty",
    "checks",
    "methods",
]


class Page(HTMLParser):
    """Elements of a page in their order, with the text below each heading."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.badly_nested: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.badly_nested.append(tag)

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        """Attributes of every element of these kinds."""
        return [attributes for tag, attributes in self.elements if tag in tags]


def study_copy(trained: Path, folder: Path) -> Path:
    """The trained study in a folder of its own, whose files may be changed."""
    shutil.copytree(trained, folder)
    return folder


@pytest.fixture(scope="module")
def written(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the report."""
    output = tmp_path_factory.mktemp("report") / "report"
    report.run(Params().report, trained, TARGETS, output)
    return output


@pytest.fixture(scope="module")
def text(written: Path) -> str:
    return (written / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_sections_come_in_the_order_of_a_readers_questions(page: Page) -> None:
    assert [s["id"] for s in page.of("section")] == SECTIONS
    assert [a["href"] for a in page.of("a") if a["href"].startswith("#")][1:] == [  # type: ignore[union-attr]
        f"#{s}" for s in SECTIONS
    ]


def test_elements_are_nested_and_ids_are_unique(page: Page) -> None:
    ids = Counter(a["id"] for _, a in page.elements if "id" in a)

    assert page.badly_nested == []
    assert page.open == []
    assert [i for i, n in ids.items() if n > 1] == []


def test_headings_skip_no_level_and_there_is_one_title(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]

    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))


def test_there_are_landmarks_a_language_and_a_way_past_the_contents(page: Page) -> None:
    assert page.of("html") == [{"lang": "en"}]
    assert len(page.of("main")) == len(page.of("header")) == 1
    assert [n["aria-label"] for n in page.of("nav")] == ["Contents"]
    assert page.of("a")[0] == {"class": "skip", "href": "#main"}


def test_every_table_has_scoped_headers_and_can_be_scrolled_by_keyboard(page: Page) -> None:
    scrolled = [d for d in page.of("div") if d.get("class") == "scroll"]

    assert {h.get("scope") for h in page.of("th")} == {"col", "row"}
    assert len(scrolled) == len(page.of("table"))
    assert all(d["tabindex"] == "0" and d["role"] == "region" and d["aria-label"] for d in scrolled)


def test_every_figure_has_words_a_table_and_a_csv_beside_the_page(
    page: Page, written: Path
) -> None:
    downloads = [a for a in page.of("a") if "download" in a]
    figures = page.of("figure")

    assert len(figures) == len(page.of("figcaption")) == len(downloads) > 20
    assert all(i["alt"] for i in page.of("img"))
    assert all(d["aria-label"] for d in page.of("div") if d.get("role") == "img")
    for link in downloads:
        embedded = base64.b64decode(str(link["href"]).split(",", 1)[1])
        assert (written / str(link["download"])).read_bytes() == embedded


def test_nothing_is_loaded_or_run(page: Page, text: str) -> None:
    links = [str(a.get(k)) for k in ("href", "src") for _, a in page.elements if k in a]

    assert page.of("script", "iframe", "object", "embed", "link") == []
    assert [u for u in links if re.match(r"(https?:)?//", u)] == []
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert [a for _, a in page.elements if any(k.startswith("on") for k in a)] == []


def test_the_page_is_small_and_the_same_twice(
    trained: Path, written: Path, text: str, tmp_path: Path
) -> None:
    again = report.run(Params().report, trained, TARGETS, tmp_path / "report")

    assert len(text.encode()) < 5 * 1024 * 1024
    assert again.read_text(encoding="utf-8") == text


def test_links_to_files_lead_to_files(page: Page, written: Path) -> None:
    files = [a["href"] for a in page.of("a") if re.fullmatch(r"[\w.]+", str(a.get("href")))]

    assert len(files) == 5
    assert [f for f in files if not (written / str(f)).exists()] == []


def test_what_was_not_made_is_named_with_its_command(text: str, trained: Path) -> None:
    for command in (
        "optimism",
        "stability",
        "internal-external",
        "audit",
        "biomarker",
        "joint",
        "policy",
    ):
        assert re.search(rf"To make it: <code>eih {command} ", text), command
    assert "outputs/" + trained.name in text
    assert str(trained) not in text


def test_a_title_and_a_level_that_are_scripts_are_text(trained: Path, tmp_path: Path) -> None:
    folder = study_copy(trained, tmp_path / "study")
    card = read_json(folder / "study.json")
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    card["study"] |= {"title": evil, "citation": evil, "licence": evil}
    write_json(card, folder / "study.json")
    cases = pd.read_parquet(folder / "cases.parquet")
    cases["condition"] = cases["condition"].where(cases["condition"] != "healthy", evil)
    cases["participant_id"] = evil
    cases.to_parquet(folder / "cases.parquet")

    page = report.run(Params().report, folder, TARGETS, tmp_path / "report")
    text = page.read_text(encoding="utf-8")

    assert Page(text).of("script") == []
    assert [i for i in Page(text).of("img") if i.get("src") == "x"] == []
    assert "&lt;script&gt;alert(1)" in text
    for name in ("tripod_ai.md", "model_card_response.md"):
        assert "<script" not in (tmp_path / "report" / name).read_text(encoding="utf-8")


def test_numbers_come_from_the_artefacts(trained: Path, tmp_path: Path) -> None:
    folder = study_copy(trained, tmp_path / "study")
    path = folder / "response" / "evaluate" / "metrics.json"
    metrics = read_json(path)
    metrics["candidates"][metrics["selected"]]["auc"] |= {
        "estimate": 0.8765,
        "lower": 0.8123,
        "upper": 0.9234,
    }
    path.write_text(json.dumps(metrics))

    output = tmp_path / "report"
    text = report.run(Params().report, folder, TARGETS, output).read_text(encoding="utf-8")

    assert "<strong>0.88</strong>" in text
    assert "0.88 (0.81 to 0.92)" in (output / "results_table.md").read_text()
    assert "0.88 (0.81 to 0.92)" in (output / "model_card_response.md").read_text()
    assert "0.88 (0.81 to 0.92)" in (output / "tripod_ai.md").read_text()


def test_a_target_without_a_model_says_why_and_the_other_is_reported(
    trained: Path, tmp_path: Path
) -> None:
    folder = study_copy(trained, tmp_path / "study")
    shutil.rmtree(folder / "hyperalgesia")
    reason = {"not_enough_data": "3 persons with the event, at least 5 are needed"}
    write_json(reason, folder / "hyperalgesia" / "evaluate" / "metrics.json")

    output = tmp_path / "report"
    text = report.run(Params().report, folder, TARGETS, output).read_text(encoding="utf-8")

    assert "Not enough data: 3 persons with the event" in text
    assert (output / "model_card_response.md").exists()
    assert not (output / "model_card_hyperalgesia.md").exists()
    assert "hyperalgesia: no model" in (output / "tripod_ai.md").read_text()


def test_what_only_people_know_fills_gaps_and_nothing_else(
    trained: Path, written: Path, tmp_path: Path
) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f'study = "{trained.name}"\nethics = "Approved by nobody, it is simulated."')

    reporting_guides.run(trained, TARGETS, str(path), tmp_path)
    before = (written / "tripod_ai.md").read_text().splitlines()
    after = (tmp_path / "tripod_ai.md").read_text().splitlines()

    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert len(changed) == 2  # the count, and the item
    assert "| GAP |" in changed[1][0]
    assert "| study text | Approved by nobody, it is simulated. |" in changed[1][1]


def test_the_command_fills_the_sheets_and_lists_the_gaps(
    eih, trained: Path, tmp_path: Path
) -> None:
    said = eih("tripod", str(trained), "--output", str(tmp_path))

    assert said.code == 0
    assert "of 52 sub-items say something" in said.out
    assert "gap 17, Ethical approval" in said.out
    assert "gap 22," not in said.out
    assert (tmp_path / "probast_ai.md").exists()


def test_the_methods_cite_only_references_that_are_there(written: Path) -> None:
    methods = (written / "methods.md").read_text()
    cited = set(re.findall(r"@(\w+)\]", methods))
    entries = set(re.findall(r"^@\w+\{(\w+),", (written / "references.bib").read_text(), re.M))

    assert cited
    assert cited <= entries
    assert "Simulated data" in methods.splitlines()[2]


def test_a_model_card_says_what_for_whom_how_well_and_where_it_ends(trained: Path) -> None:
    card = model_card(trained / "response")

    headings = re.findall(r"^## (.+)$", card, re.M)
    assert headings == [
        "Intended use",
        "Not for",
        "Data",
        "Performance, out of fold",
        "When it stays silent",
        "Limits",
        "Made with",
    ]
    assert "Any real person: the data are simulated." in card
    assert (
        read_json(trained / "response" / "bundle" / "bundle.json")["record"]["git_commit"] in card
    )


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_and_lines_stand_out_from_the_page_in_light_and_dark(scheme: int) -> None:
    css = (ROOT / "pipeline/templates/report_style.css.jinja").read_text()
    blocks = re.findall(r":root \{(.*?)\}", css, re.S)
    colours = dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", blocks[scheme]))

    for name in ("ink", "muted", "link"):
        for behind in ("page", "card", "warnpage"):
            assert contrast(colours[name], colours[behind]) >= 4.5, (name, behind)
    for name in ("c1", "c2", "c3", "c4", "c5", "c6", "good", "warn"):
        assert contrast(colours[name], colours["page"]) >= 4.5, name
