"""A page on what markers add: aggregate figures only, with the command that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.io import write_text


def write_page(results: Sequence[Mapping[str, Any]], made_by: tuple[str, str], path: Path) -> None:
    """Write one table per endpoint, and what each marker allows to be said.

    Parameters
    ----------
    results : sequence of dict
        :func:`pipeline.biomarker.run`, one per endpoint.
    made_by : (folder of the study, command line)
        What makes the page again.
    path : Path
    """
    first, (folder, command) = results[0], made_by
    title = "Simulated data: what markers add" if first["simulated"] else "What markers add"
    made = [f"$ eih ingest {first['study']} --output {folder}"] if first["ingested"] else []
    base = ", ".join(first["base"]["asked"]) or "nothing"
    parts = [
        f"# {title} in '{first['study']}'",
        "Aggregate figures only. Made by:",
        "\n".join(["```sh", *(line for line in (*made, f"$ {command}")), "```"]),
        f"Target: {first['target']}, rule '{first['rule']}'. Base set: {base}. Unpenalised nested "
        "models on the persons whose marker, base set and outcome are known; out of fold "
        f"{first['splits']['repeats']} times {first['splits']['folds']} folds, the same for all. "
        "Differences are full minus base model, with 95 % intervals; p values are those of the "
        f"score test, by Holm over the {first['n_tests']} tests of this page. Change is on the "
        "scale of the outcome, positive = less pain.",
    ]
    for result in results:
        parts += [f"## {result['endpoint']}", _table(result["candidates"])]
        parts += [f"- {c['sentence']}" for c in result["candidates"]]
        parts += [f"- Not judged: {s['reason']}" for s in result["skipped"]]
    write_text("\n\n".join(parts) + "\n", path)


def _table(candidates: Sequence[Mapping[str, Any]]) -> str:
    header = (
        "| marker | persons (events) | likelihood ratio | p, Holm | odds ratio per SD | change per "
        "SD | AUC difference | R² difference of the change | adequacy of the base |"
    )
    rows = [header, "|---" * 9 + "|"]
    for c in candidates:
        ratio, test = c["likelihood_ratio"], c["test"]
        cells = (
            c["name"],
            f"{c['n_participants']} ({c['n_events']})",
            f"{ratio['statistic']:.2f} on {ratio['df']} df",
            f"{test['p_holm']:.3f}",
            _one([r["odds_ratio_per_sd"] for r in c["coefficients"]], ".2f"),
            _one(c["change"]["per_sd"], "+.2f"),
            _interval(c["auc_difference"], "+.3f"),
            _interval(c["change"]["r2_difference"], "+.3f"),
            f"{c['adequacy']['base']:.2f}",
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _one(found: Sequence[Mapping[str, Any]], form: str) -> str:
    return _interval(found[0], form) if len(found) == 1 else "several columns"


def _interval(found: Mapping[str, Any], form: str) -> str:
    return f"{found['estimate']:{form}} ({found['lower']:{form}} to {found['upper']:{form}})"
