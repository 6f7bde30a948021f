"""TRIPOD+AI and PROBAST+AI sheets, filled from artefacts and ``study.toml``; gaps stay gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.reference import load_reference
from pipeline.io import write_text
from pipeline.report_facts import Facts, read_facts
from pipeline.study_folder import read_card
from pipeline.study_text import read_study_text
from pipeline.tripod_facts import NOT_EXTERNAL, REPORTS

ARTEFACTS, PEOPLE, BOTH, GAP, NONE = (
    "artefacts",
    "study text",
    "artefacts and study text",
    "GAP",
    "not applicable",
)
YES, NO, UNKNOWN, TO_JUDGE = "yes", "no", "no information", "stated, to be judged"
SOURCES = {
    "tripod_ai": "Collins GS et al. BMJ 2024;385:e078378, doi 10.1136/bmj-2023-078378",
    "probast_ai": "Moons KGM et al. BMJ 2025;388:e082505, doi 10.1136/bmj-2024-082505",
}


@dataclass(frozen=True)
class Item:
    """One sub-item of TRIPOD+AI: what is asked, what is known, from where."""

    number: str
    applies: str
    topic: str
    asks: str
    status: str
    said: str
    where: str


@dataclass(frozen=True)
class Answer:
    """One question on quality or bias of one target."""

    number: str
    part: str
    domain: str
    asks: str
    target: str
    answer: str
    why: str


@dataclass(frozen=True)
class Guides:
    """Both sheets."""

    items: list[Item]
    answers: list[Answer]
    simulated: bool

    @property
    def gaps(self) -> list[Item]:
        """Items about which nothing is known."""
        return [i for i in self.items if i.status == GAP]

    @property
    def sentence(self) -> str:
        """Count what is filled."""
        counts = {s: sum(i.status == s for i in self.items) for s in (GAP, NONE)}
        filled = len(self.items) - sum(counts.values())
        return (
            f"TRIPOD+AI: {filled} of {len(self.items)} sub-items say something, {counts[NONE]} do "
            f"not apply (no evaluation in other data), {counts[GAP]} are gaps."
        )


def fill_guides(folder: Path, targets: tuple[str, ...], text: Mapping[str, str]) -> Guides:
    """Fill both sheets.

    Parameters
    ----------
    folder : Path
        ``outputs/<study>``.
    text : mapping of key to text
        See :func:`pipeline.study_text.read_study_text`.
    """
    facts = read_facts(folder, targets)
    items = [_item(i, facts, text) for i in load_reference("tripod_ai.toml")["items"]]
    questions = load_reference("probast_ai.toml")["questions"]
    answers = [_answer(q, t.name, facts, text) for t in facts.judged for q in questions]
    return Guides(items, answers, facts.simulated)


def _item(item: Mapping[str, Any], facts: Facts, text: Mapping[str, str]) -> Item:
    known, where = REPORTS[item["reports"]](facts) if item["reports"] else ("", "")
    written = text.get(item["text"], "")
    if known == NOT_EXTERNAL:
        status, known = NONE, "No evaluation in other data: 'eih evaluate' judges one."
    elif known and written:
        status = BOTH
    elif known or written:
        status = ARTEFACTS if known else PEOPLE
    else:
        status, where = GAP, ""
    said = " ".join(p for p in (written, known) if p)
    return Item(item["number"], item["applies"], item["topic"], item["asks"], status, said, where)


def _answer(
    question: Mapping[str, Any], target: str, facts: Facts, text: Mapping[str, str]
) -> Answer:
    written = text.get(question["text"], "")
    if question["codes"]:
        answer, why = _of_checks(question["codes"], target, facts.checks)
    elif written:
        answer, why = TO_JUDGE, written
    else:
        answer, why = UNKNOWN, f"nothing in study.toml, {question['text']}"
    number, part, domain, asks = (question[k] for k in ("number", "part", "domain", "asks"))
    return Answer(number, part, domain, asks, target, answer, why)


def _of_checks(
    codes: Sequence[str], target: str, checks: Mapping[str, Any] | None
) -> tuple[str, str]:
    """Return the answer that checks give: a finding is no, all clear is yes."""
    if checks is None:
        return UNKNOWN, "the checks were not run (eih check)"
    wanted = set(codes)

    def own(name: str) -> list[Mapping[str, Any]]:
        about = (target, "", None)
        return [r for r in checks[name] if r["code"] in wanted and r.get("target") in about]

    found, unseen = own("findings"), own("not_looked_at")
    if found:
        return NO, "; ".join(f"{f['code']}: {f['evidence']}" for f in found)
    if unseen:
        return UNKNOWN, "; ".join(f"{u['code']}: {u['reason']}" for u in unseen)
    clear = sorted({r["code"] for r in own("clear")})
    return (YES, f"clear: {', '.join(clear)}") if clear else (UNKNOWN, "no check looked at it")


def run(folder: Path, targets: tuple[str, ...], study_text: str, output: Path) -> Guides:
    """Fill both sheets and write them; see :func:`fill_guides` and :func:`write_guides`."""
    text = read_study_text(study_text, folder.name)
    guides = fill_guides(folder, targets, text)
    title = str(read_card(folder)["study"].get("title") or folder.name)
    write_guides(guides, title, output)
    return guides


def write_guides(guides: Guides, title: str, output: Path) -> None:
    """Write ``tripod_ai.md`` and ``probast_ai.md``."""
    write_text(tripod_page(guides, title), output / "tripod_ai.md")
    write_text(probast_page(guides, title), output / "probast_ai.md")


def tripod_page(guides: Guides, title: str) -> str:
    """Return the TRIPOD+AI sheet as Markdown."""
    lines = [
        *_head(f"TRIPOD+AI: {title}", guides.simulated, "tripod_ai"),
        "Topics and numbers are those of the statement, the wording is shorter and our own. "
        "D = development, E = evaluation.",
        "",
        guides.sentence,
        "",
        *_row("item", "applies", "topic", "asks", "status", "what is reported", "where"),
        *_row(*["---"] * 7),
    ]
    for i in guides.items:
        link = f"[{_cell(i.where)}]({i.where})" if i.where else ""
        cells = (i.number, i.applies, i.topic, i.asks, i.status, i.said)
        lines += _row(*(_cell(c) for c in cells), link)
    return "\n".join([*lines, ""])


def probast_page(guides: Guides, title: str) -> str:
    """Return the questions on quality and bias as Markdown, with a count per domain."""
    lines = [
        *_head(
            f"Quality and risk of bias, after PROBAST+AI: {title}", guides.simulated, "probast_ai"
        ),
        "The questions are ours, in the tool's domains; they prepare an assessment with the "
        "official form and do not replace it. 'no' is a finding of 'eih check', 'yes' is all "
        "clear.",
    ]
    for target in dict.fromkeys(a.target for a in guides.answers):
        lines += [
            "",
            f"## {_cell(target)}",
            "",
            *_row("question", "part", "domain", "asks", "answer", "why"),
        ]
        lines += _row(*["---"] * 6)
        for a in [a for a in guides.answers if a.target == target]:
            cells = (a.number, a.part, a.domain, a.asks, a.answer, a.why)
            lines += _row(*(_cell(c) for c in cells))
    return "\n".join([*lines, ""])


def _head(title: str, simulated: bool, source: str) -> list[str]:
    said = [f"# {_cell(title)}", ""]
    if simulated:
        said += ["**Simulated data: nobody here is real.**", ""]
    return [*said, f"After {SOURCES[source]}.", ""]


def _row(*cells: str) -> list[str]:
    return [f"| {' | '.join(cells)} |"]


def _cell(text: str) -> str:
    """Return a text that stays inside its cell and is shown as text."""
    plain = " ".join(str(text).split())
    for mark, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|")):
        plain = plain.replace(mark, shown)
    return plain
