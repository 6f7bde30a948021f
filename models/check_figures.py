"""What checks look for in the figures of a judged model: the JSON that evaluation writes.

Every function takes plain content, where a figure that could not be computed is None, and yields
one sentence of evidence per fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Figures = Mapping[str, Any]
COUNTED = re.compile(r"(\d+) of (\d+) resamples")
LEAST_RESAMPLES, LEAST_SHARE = 200, 0.9
HEADLINE = ("brier", "log_loss")
POOR = 0.5
FAIR = 0.4
UNDECIDED = 0.2
UNSTABLE = 0.2
LEVEL = 0.05


def unknown_reliability(reliability: Figures) -> Iterator[str]:
    """Say why the reliability of the label is not known."""
    if reliability["estimate"] is None:
        yield f"no reliability of the label: {reliability['reason'] or 'no reason given'}."


def poor_reliability(reliability: Figures) -> Iterator[str]:
    """Say how low a reliability below one half is."""
    found = reliability["estimate"]
    if found is not None and found < POOR:
        yield f"the reliability is {found:.2f} (from {reliability['source']})."


def above_ceiling(ceiling: Figures) -> Iterator[str]:
    """Say which AUC exceeds what a perfect model of the person could reach."""
    if ceiling["suspicious"]:
        yield f"{ceiling['reason']}."


def disagreeing_rules(agreement: list[Figures], rule: str) -> Iterator[str]:
    """Say which hard rule classes people otherwise than the rule in use (kappa below 0.4)."""
    for pair in agreement:
        other = [r for r in pair["rules"] if r != rule]
        if rule not in pair["rules"] or other == ["posterior"]:
            continue
        if pair["kappa"] is not None and pair["kappa"] < FAIR:
            yield f"kappa of '{rule}' and '{other[0]}' is {pair['kappa']:.2f}."


def undecided(selection: Figures, n_rows: int) -> Iterator[str]:
    """Say how many bouts have no class, where that is more than one in five."""
    without = selection["n_without_target"] + selection["n_undecided"]
    total = n_rows + selection["n_without_target"]
    if total and without / total > UNDECIDED:
        yield f"{without} of {total} bouts have no class ({without / total:.0%})."


def excludes(estimate: Figures, value: float, name: str) -> Iterator[str]:
    """Say that an interval does not hold the value it should hold."""
    lower, upper = estimate["lower"], estimate["upper"]
    if lower is None or upper is None:
        return
    if lower > value or upper < value:
        yield f"{name} {estimate['estimate']:.2f} ({lower:.2f} to {upper:.2f})."


def unknown_calibration(intervals: Figures) -> Iterator[str]:
    """Say why slope or calibration index could not be computed."""
    for name in ("slope", "ici"):
        if intervals[name]["estimate"] is None:
            yield f"{name}: {intervals[name]['reason']}."


def no_benefit(rows: list[Figures]) -> Iterator[str]:
    """Say that acting on the model is nowhere better than treating all or none."""
    known = [r for r in rows if r["model"] is not None]
    if known and not any(r["model"] > max(r["treat_all"], r["treat_none"]) for r in known):
        yield f"no net benefit at any of {len(known)} thresholds."


def habitual_threshold(classification: Figures) -> Iterator[str]:
    """Say that the threshold weighs both errors alike."""
    if "Youden" in str(classification.get("threshold_from", "")):
        yield f"the threshold is the {classification['threshold_from']}."


def rows_as_persons(judged: int, persons: int, rows: int) -> Iterator[str]:
    """Say that figures were made for more persons than there are.

    Parameters
    ----------
    judged : int
        Persons the figures were made for.
    persons, rows : int
        In the predictions file.
    """
    if judged > persons:
        yield f"figures for {judged} persons, from {rows} rows of {persons} participants."


def few_resamples(intervals: Figures) -> Iterator[str]:
    """Name intervals made from too few resamples."""
    few = []
    for name, estimate in intervals.items():
        counted = COUNTED.search(estimate["method"])
        if counted and estimate["lower"] is not None:
            usable, asked = int(counted[1]), int(counted[2])
            if usable < max(LEAST_RESAMPLES, LEAST_SHARE * asked):
                few.append(f"{name} ({usable} of {asked})")
    if few:
        more = f" and {len(few) - 3} more" if len(few) > 3 else ""
        yield f"{', '.join(few[:3])}{more} resamples."


def missing_limits(headline: Figures) -> Iterator[str]:
    """Name figures that have no interval, with the reason."""
    for name, estimate in headline.items():
        if estimate["estimate"] is not None and None in (estimate["lower"], estimate["upper"]):
            yield f"{name}: {estimate['reason'] or 'no reason given'}."


def unknown_figures(candidate: str, headline: Figures) -> Iterator[str]:
    """Name figures of a candidate that could not be computed, with the reason."""
    for name, estimate in headline.items():
        if estimate["estimate"] is None:
            yield f"{name} of '{candidate}': {estimate['reason'] or 'no reason given'}."


def headline(figures: Figures) -> dict[str, Any]:
    """Take AUC, Brier score and log loss with their intervals from a candidate's figures."""
    return {"auc": figures["auc"], **{n: figures["intervals"][n] for n in HEADLINE}}


def too_small(sample_size: Figures) -> Iterator[str]:
    """Repeat the sample-size verdict where it says too small."""
    if sample_size.get("sufficient") is False:
        yield str(sample_size["sentence"])


def unstable(stability: Figures) -> Iterator[str]:
    """Say how many change sides of the threshold over resamples."""
    share = stability["classification_instability"]
    if share is not None and share > UNSTABLE:
        yield f"{share:.0%} of classifications by '{stability['candidate']}' change sides."


def no_better_than_shuffled(audit: Figures) -> Iterator[str]:
    """Repeat the permutation audit's p where it is no smaller than the level."""
    if audit["p_value"] >= LEVEL:
        yield f"p = {audit['p_value']:.3f} over {audit['n_permutations']} permutations."


def left_out(metrics: Figures) -> Iterator[str]:
    """Say how many rows could not be judged, by reason."""
    if metrics["n_left_out"]:
        by = ", ".join(f"{n} {reason}" for reason, n in metrics["left_out"].items() if n)
        yield f"{metrics['n_left_out']} rows were left out ({by})."


def small_groups(subgroups: Figures) -> Iterator[str]:
    """Name subgroups below the smallest cell, and columns that made none."""
    small = [
        f"{g['column']} {g['level']}"
        for g in subgroups["groups"]
        if g["auc"].get("reason_code") == "small_cell"
    ]
    if small:
        named = ", ".join(dict.fromkeys(small))
        yield f"too small to be judged: {named}."
    for column, reason in subgroups["columns_left_out"].items():
        yield f"no subgroups by {column}: {reason}."
