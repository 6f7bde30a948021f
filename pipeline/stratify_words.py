"""What groups of persons may be said to show, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.small_cells import FEW, is_small

VERDICTS = {
    "better": "they predict better than the continuous markers they were cut from, taken as "
    "straight lines and as splines",
    "worse": "they predict worse than the continuous markers they were cut from, taken as "
    "straight lines and as splines: cutting threw information away; keep the markers",
    "undecided": "they are not shown to predict better than the continuous markers they were cut "
    "from: a description, no tool of prediction",
    "unknown": "they cannot be compared with the markers they were cut from",
}


def interval(found: Mapping[str, Any], form: str = "+.3f") -> str:
    """Return an estimate and its interval; why there is none where there is none."""
    if not np.isfinite(found["estimate"]):
        return f"not given ({found['reason']})"
    return f"{found['estimate']:{form}} ({found['lower']:{form}} to {found['upper']:{form}})"


def persons(group: Mapping[str, Any]) -> str:
    """Return how many persons a group has; of a small one, that it is small."""
    n = group["n_participants"]
    return f"{FEW} persons" if is_small(n) else f"{n} persons"


def number_sentence(grouping: Mapping[str, Any]) -> str:
    """Say how many clusters the data support, and how many were made."""
    number = grouping["number"]
    supported, used = number["supported"], number["used"]
    said = f"{grouping['name']}: {number['criterion']}, supports {supported} " + (
        "cluster: the persons are one cloud in these markers"
        if supported == 1
        else f"clusters of {grouping['n_clustered']} persons"
    )
    if used == 1:
        return f"{said}; no groups are made"
    return said if used == supported else f"{said}; {used} were asked for and are arbitrary cuts"


def group_sentence(grouping: Mapping[str, Any], group: Mapping[str, Any], target: str) -> str:
    """Say a group's share of events and mean change, and whether it would be found again."""
    who = f"{grouping['name']}, {group['name']}: {persons(group)}"
    if not np.isfinite(group["share"]["estimate"]):
        return f"{who}, no figures ({group['share']['reason']})"
    stability = group.get("stability")
    found = (
        f"; {stability['word']} in resamples of the persons "
        f"(mean Jaccard {stability['jaccard']:.2f})"
        if stability and np.isfinite(stability["jaccard"])
        else ""
    )
    return (
        f"{who}, {target} in {interval(group['share'], '.0%')}, "
        f"mean change {interval(group['change'])}{found}"
    )


def verdict_sentence(grouping: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Say how the groups predict beside their markers, and whether they differ at all."""
    target, base = result["target"], ", ".join(result["base"]["asked"]) or "nothing else known"
    comparison = grouping["comparison"]
    said = f"{grouping['name']}: {VERDICTS[comparison['verdict']]}"
    if comparison["verdict"] == "unknown":
        return f"{said} ({comparison['reason']})"
    versus = comparison["versus"]
    losses = "; ".join(
        f"{name} {interval(versus[name]['log_loss_difference'], '+.4f')}"
        for name in ("linear", "spline", "nothing")
    )
    return (
        f"{said}. Beside {base}: log loss of persons not learnt from, groups minus: {losses}. "
        "Groups differ in "
        f"{target}: p = {_p(grouping['groups_differ'])}; groups add to the markers' splines: "
        f"p = {_p(grouping['beyond_markers'])}; the splines add to the groups: "
        f"p = {_p(grouping['beyond_groups'])}."
    )


def _p(test: Mapping[str, Any]) -> str:
    p = test["p_value"]
    return f"{p:.3g}" if np.isfinite(p) else f"not given ({test.get('reason', '')})"
