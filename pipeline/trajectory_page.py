"""A page on a programme's follow-ups: aggregate figures only, with the command that made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.io import write_text
from pipeline.small_cells import FEW, NOT_GIVEN, hidden_cells, written_as
from pipeline.trajectory import Asked, with_limits

# Hidden in this order beside a small state: how many were not seen is told in words.
SPARE_STATES = ("no_change", "indeterminate", "hypoalgesia", "hyperalgesia")


def write_page(result: Mapping[str, Any], about: tuple[Path, Asked], path: Path) -> None:
    """Write who was seen, the means by wave and group, the states, and the sentences.

    Parameters
    ----------
    result : mapping
        :func:`pipeline.trajectory.run`.
    about : (Path, Asked)
        The study's folder and what was asked of it.
    path : Path
        Markdown file to write.
    """
    title = "Simulated data: follow-ups" if result["simulated"] else "Follow-ups"
    parts = [
        f"# {title} of '{result['study']}'",
        "Aggregate figures only. Made by:",
        "\n".join(["```sh", *_commands(result, about, path), "```"]),
        f"{result['measure']}, {result['site_role']}; rule '{result['rule']}'. "
        f"{result['n_programmes']} programmes of {result['n_persons']} persons with a value before "
        f"it; {result['n_without_reference']} more have none and no change. Positive = less pain; "
        "95 % intervals. Weights: inverse probability of being seen, given "
        f"{', '.join(result['weights_know'])}; they suppose that, given these, those not seen fare "
        "like those seen. The last column is how much the unseen would have to differ from that "
        "for the interval of the weighted mean to reach zero.",
        "## Seen, and mean change",
        "\n".join(_means(result)),
        "## States, those not seen among them",
        "\n".join(_states(result)),
        "## Mixed model",
        "\n".join(_mixed(result["mixed"])),
        "## In words",
        "\n".join(f"- {s}" for s in result["sentences"]),
    ]
    write_text("\n\n".join(parts) + "\n", path)


def _commands(result: Mapping[str, Any], about: tuple[Path, Asked], path: Path) -> Iterator[str]:
    (folder, asked), default = about, Asked()
    if result["ingested"]:
        yield f"$ eih ingest {result['study']} --output {folder.as_posix()}"
    parts = [
        f"$ eih trajectory {folder.as_posix()}",
        *([f"--by {asked.by or repr('')}"] if asked.by != default.by else []),
        *([f"--known {','.join(asked.known)}"] if asked.known != default.known else []),
        *([f"--resamples {asked.resamples}"] if asked.resamples != default.resamples else []),
        f"--page {path.as_posix()}",
    ]
    yield " ".join(parts)


def _pick(result: Mapping[str, Any], kind: str) -> dict[tuple[str, int, str], Mapping[str, Any]]:
    own = [f for f in result["figures"] if f["kind"] == kind]
    return {(f["group"], f["week"], f["state"]): f for f in own}


def _means(result: Mapping[str, Any]) -> Iterator[str]:
    yield "| week | group | seen | effective | of those seen | weighted | tipping shift |"
    yield "|---" * 7 + "|"
    seen, weighted = _pick(result, "seen_mean"), _pick(result, "weighted_mean")
    waves = {w["week"]: w for w in result["waves"]}
    tips = {(s["kind"], s["group"], s["week"]): s for s in result["sensitivity"]}
    for (group, week, _), found in weighted.items():
        tip = tips["weighted_mean", group, week]
        whole = group == "everybody"
        shift = tip["tipping_shift"]
        cells = [
            str(week),
            group,
            f"{1 - tip['share_unseen']:.0%}",
            f"{waves[week]['effective_size']:.0f} of {waves[week]['n_seen']}" if whole else "",
            with_limits(seen[group, week, ""]),
            with_limits(found),
            "none" if np.isnan(shift) else f"{shift:+.2f}",
        ]
        yield f"| {' | '.join(cells)} |"


def _states(result: Mapping[str, Any]) -> Iterator[str]:
    shares = _pick(result, "seen_share")
    states = list(dict.fromkeys(state for _, _, state in shares))
    yield f"| week | {' | '.join(states)} |"
    yield "|---" * (len(states) + 1) + "|"
    for wave in result["waves"]:
        own = [shares["everybody", wave["week"], s] for s in states]
        yield f"| {wave['week']} | {' | '.join(_shares(own, result['n_programmes']))} |"
    yield ""
    yield (
        f"States of {FEW} programmes are written as such; one other of their week is {NOT_GIVEN}, "
        "or they would follow from the rest. What nobody or everybody is has no interval: all "
        "resamples agree."
    )


def _shares(own: Sequence[Mapping[str, Any]], of: int) -> Iterator[str]:
    """Shares of a whole with their intervals."""
    counts = [round(found["estimate"] * of) for found in own]
    states = [found["state"] for found in own]
    spare = [states.index(name) for name in SPARE_STATES if name in states]
    for found, count, out in zip(own, counts, hidden_cells(counts, spare=spare), strict=True):
        text = f"{found['estimate']:.0%}"
        if np.isfinite(found["lower"]):
            text += f" ({found['lower']:.0%} to {found['upper']:.0%})"
        yield written_as(text, count, out)


def _mixed(mixed: Mapping[str, Any]) -> Iterator[str]:
    if not mixed["fitted"]:
        yield f"Not fitted: {mixed['reason']}"
        return
    terms = "intercepts" if len(mixed["random_covariance"]) == 1 else "intercepts and slopes"
    yield (
        f"{mixed['n_rows']} follow-ups of {mixed['n_persons']} persons; mean per week and group, "
        f"baseline outcome, persons' random {terms}; Wald intervals."
    )
    yield ""
    yield "| week | group | mean change |"
    yield "|---|---|---|"
    for found in mixed["means"]:
        yield f"| {found['week']} | {found['group']} | {with_limits(found)} |"
    for found in mixed["differences"]:
        yield f"| {found['week']} | {found['of']} | {with_limits(found)} |"
