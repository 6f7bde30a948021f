"""A page on groups of persons: aggregate figures only, with the command that made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.io import write_text
from pipeline.small_cells import FEW, NOT_GIVEN, hidden_cells, written_as
from pipeline.stratify_source import Asked
from pipeline.stratify_words import (
    interval,
    number_sentence,
    verdict_sentence,
)


def write_page(results: Sequence[Mapping[str, Any]], about: tuple[Path, Asked], path: Path) -> None:
    """Write each grouping: how it was made, its groups, and what they are worth.

    Parameters
    ----------
    results : sequence of mapping
        Of :func:`pipeline.stratify.run`, one per endpoint.
    about : (Path, Asked)
        The study's folder and what was asked of it.
    path : Path
        Markdown file to write.
    """
    first = results[0]
    title = "Simulated data: groups of persons" if first["simulated"] else "Groups of persons"
    groupings = sum(bool(g["groups"]) for r in results for g in r["groupings"])
    parts = [
        f"# {title} in '{first['study']}'",
        "Aggregate figures only. Made by:",
        "\n".join(["```sh", *_commands(results, about, path), "```"]),
        f"Target: {first['target']}, rule '{first['rule']}'. Intervals are 95 %, over persons. Out "
        f"of fold {first['splits']['repeats']} times {first['splits']['folds']} folds; cut points "
        "that are estimated, clusters and knots are learnt anew in every fold. Differences are "
        "groups minus the other coding: of log loss, negative is better; of AUC and R², positive. "
        "Positive change = less pain. Shares and means are as they are; comparisons and tests are "
        f"beside {', '.join(first['base']['asked']) or 'nothing'}. P values are of single tests, "
        f"not adjusted for the {3 * groupings} of this page. Groups of {FEW} persons and shares of "
        f"{FEW} events, or {FEW} others, are {NOT_GIVEN}, nor is what they would follow from.",
    ]
    for result in results:
        heading = f"'{result['endpoint']}': " if len(results) > 1 else ""
        for grouping in result["groupings"]:
            parts += [f"## {heading}{grouping['title']}", *_grouping(grouping, result)]
    if first["not_made"]:
        parts += ["## Not made", "\n".join(f"- {n['reason']}" for n in first["not_made"])]
    write_text("\n\n".join(parts) + "\n", path)


def _commands(
    results: Sequence[Mapping[str, Any]], about: tuple[Path, Asked], path: Path
) -> Iterator[str]:
    folder, asked = about
    if results[0]["ingested"]:
        yield f"$ eih ingest {results[0]['study']} --output {folder.as_posix()}"
    default = Asked()
    parts = [
        f"$ eih stratify {folder.as_posix()} --target {asked.target}",
        f"--endpoint {','.join(r['endpoint'] for r in results)}",
        *(f"--rule {r}" for r in asked.rules),
        *([f"--cut {asked.cut}"] if asked.cut != default.cut else []),
        *([f"--method {asked.method}"] if asked.method != default.method else []),
        *(f"--marker {m}" for m in asked.markers),
        *([f"--clusters {asked.number}"] if asked.number else []),
        *([f"--base {','.join(asked.base)}"] if asked.base else []),
        *([f"--resamples {asked.resamples}"] if asked.resamples != default.resamples else []),
        f"--page {path.as_posix()}",
    ]
    yield " ".join(parts)


def _grouping(grouping: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    if grouping["kind"] == "predefined":
        yield "\n".join(_axes(grouping))
    else:
        yield number_sentence(grouping) + "."
        yield "\n".join(_numbers(grouping["number"]))
    if not grouping["groups"]:
        return
    yield "\n".join(_groups(grouping, result["target"]))
    yield (
        f"{grouping['n_rows_unknown']} bouts have an unknown marker and no group; of "
        f"{grouping['n_rows_compared']} bouts what is known besides is complete."
    )
    if grouping["comparison"]["versus"]:
        yield "\n".join(_comparison(grouping["comparison"]["versus"]))
    yield verdict_sentence(grouping, result)


def _axes(grouping: Mapping[str, Any]) -> Iterator[str]:
    yield "| axis | marker | cut | by | confidence |"
    yield "|---" * 5 + "|"
    for axis in grouping["axes"]:
        cut = "by row" if axis["cut"] != axis["cut"] else f"{axis['cut']:.3g}"
        cells = (axis["name"], axis["marker"], cut, axis["cut_by"], axis["confidence"])
        yield f"| {' | '.join(cells)} |"


def _numbers(number: Mapping[str, Any]) -> Iterator[str]:
    figure = "bic" if "bic" in number["by_number"][0] else "gap"
    yield f"| clusters | {' | '.join(str(r['number']) for r in number['by_number'])} |"
    yield "|---" * (len(number["by_number"]) + 1) + "|"
    form = ".0f" if figure == "bic" else ".3f"
    yield f"| {figure} | {' | '.join(f'{r[figure]:{form}}' for r in number['by_number'])} |"


def _groups(grouping: Mapping[str, Any], target: str) -> Iterator[str]:
    stable = grouping["kind"] == "data-driven"
    groups = grouping["groups"]
    sizes = [g["n_participants"] for g in groups]
    few = hidden_cells(sizes)
    events = [g["n_events"] for g in groups]
    others = [g["n_judged"] - g["n_events"] for g in groups]
    rare = hidden_cells(events, others, sizes, marked=False)
    yield f"| group | persons | bouts | {target} | mean change |" + (" Jaccard |" if stable else "")
    yield "|---" * (5 + stable) + "|"
    for group, size, small, unsaid in zip(groups, sizes, few, rare, strict=True):
        cells = [
            group["name"] + _profile(group.get("profile")),
            written_as(str(size), size, small),
            "" if small else str(group["n_rows"]),
            NOT_GIVEN if unsaid else _given(group["share"], ".0%"),
            _given(group["change"]),
        ]
        cells += (
            [f"{group['stability']['jaccard']:.2f}, {group['stability']['word']}"] if stable else []
        )
        yield f"| {' | '.join(cells)} |"


def _given(found: Mapping[str, Any], form: str = "+.3f") -> str:
    return interval(found, form) if np.isfinite(found["estimate"]) else NOT_GIVEN


def _profile(profile: Mapping[str, float] | None) -> str:
    if not profile:
        return ""
    return " (" + ", ".join(f"{name} {value:.3g}" for name, value in profile.items()) + ")"


def _comparison(versus: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| groups against | log loss | AUC | R² of the change |"
    yield "|---" * 4 + "|"
    names = {
        "linear": "markers as straight lines",
        "spline": "markers as splines",
        "nothing": "no markers",
    }
    for name, words in names.items():
        found = versus[name]
        cells = (
            words,
            interval(found["log_loss_difference"], "+.4f"),
            interval(found["auc_difference"]),
            interval(found["r2_difference"]),
        )
        yield f"| {' | '.join(cells)} |"
