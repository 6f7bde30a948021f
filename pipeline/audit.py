"""Tool ``audit``: is the whole pipeline's skill distinguishable from shuffled outcomes?"""

from __future__ import annotations

from typing import Any

from models.audit import judge_permutations
from models.protocol_plans import permuted
from pipeline.protocols import Subject
from pipeline.relabel import FoldLabels

LEVEL = 0.05


def run(subject: Subject, n_permutations: int) -> dict[str, Any]:
    """Cross-validate the ladder on permuted outcomes, and compare.

    Returns
    -------
    dict with ``sentence``, ``p_value`` (of the headline statistic ``best``) and ``statistics``
    """
    data = subject.data
    plan, source = permuted(data.y, data.person, n_permutations, subject.protocol)
    execution = subject.execution("audit")
    # Labels are those of everybody's error of measurement: shuffled outcomes have no other.
    rows = source[[fold.repeat for fold in plan.folds]]
    margin = None if data.margin is None else data.margin[rows]
    labels = FoldLabels(data.y[rows], data.y[rows], margin)
    risks, _ = subject.predict(plan, subject.ladder, execution, labels)
    found = judge_permutations(data.y, data.person, plan, source, risks)
    p = found.p_value["best"]
    content = {
        "p_value": p,
        "distinguishable": p < LEVEL,
        "sentence": _sentence(p, n_permutations, found.moved),
        **found.to_dict(),
        "n_rows": len(data.y),
        "n_participants": int(data.person.max()) + 1,
        "n_events": int(data.y.sum()),
    }
    return subject.write(content, "audit")


def _sentence(p: float, n_permutations: int, moved: float) -> str:
    seen = "is" if p < LEVEL else "is not"
    text = (
        f"The pipeline's skill {seen} distinguishable from that on outcomes shuffled between "
        f"persons (p = {p:.3f}, {n_permutations} permutations)."
    )
    if p < LEVEL:
        text += " That includes what condition and exercise alone tell."
    if moved < 0.8:
        text += f" Only {moved:.0%} of rows could be given another person's outcome."
    return text
