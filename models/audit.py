"""Permutation audit: is the skill of the whole pipeline more than shuffled outcomes give?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.discrimination import auc
from models.judged import Judged
from models.learning import Matrix, Vector
from models.metrics import CLIP, log_loss_per_row
from models.selection import select_candidate
from models.splits import Index, SplitPlan


@dataclass(frozen=True)
class Audit:
    """Skill on the outcomes as they are, and on every permutation of them.

    Attributes
    ----------
    observed : dict of statistic to float
        ``best`` (gain in log loss over the prevalence of the best candidate: the headline),
        ``selected`` (of the selected one), and ``auc_<candidate>``.
    permuted : dict of statistic to ndarray of shape (n_permutations,)
    p_value : dict of statistic to float
        (1 + permutations at least as good) / (1 + permutations); never 0 ([Phipson2010]_).
    moved : float
        Mean share of rows that had another person's outcome. Persons whose number of rows
        nobody shares keep their own: far below 1, the audit has little to say.

    References
    ----------
    .. [Phipson2010] Phipson, Smyth. Permutation p-values should never be zero. Stat Appl Genet
       Mol Biol 9:39.
    .. [Ojala2010] Ojala, Garriga. Permutation tests for studying classifier performance.
       JMLR 11:1833.
    """

    observed: dict[str, float]
    permuted: dict[str, Vector]
    p_value: dict[str, float]
    moved: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, permutations as their mean and 95 % quantile."""
        return {
            "n_permutations": len(next(iter(self.permuted.values()))),
            "share_moved": self.moved,
            "statistics": {
                name: {
                    "observed": value,
                    "permuted_mean": float(np.mean(self.permuted[name])),
                    "permuted_q95": float(np.quantile(self.permuted[name], 0.95)),
                    "p_value": self.p_value[name],
                }
                for name, value in self.observed.items()
            },
        }


def judge_permutations(
    y: Vector,
    person: Index,
    plan: SplitPlan,
    source: Index,
    risks: Mapping[str, Matrix],
) -> Audit:
    """Compare the pipeline's skill with that on permuted outcomes.

    The best and the selected candidate are chosen anew in every permutation, so that choosing
    among several is part of what is tested.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), 0/1
    person : ndarray of shape (n_rows,), int
    plan, source
        Of :func:`models.protocol_plans.permuted`.
    risks : mapping of candidate name to ndarray of shape (1 + n_permutations, n_rows)
        Out of fold, simplest candidate first; ``prevalence`` among them.
    """
    blocks = np.zeros((plan.n_repeats, plan.n_rows), dtype=np.int64)
    for fold in plan.folds:
        blocks[fold.repeat, fold.test] = fold.fold
    found = [
        _statistics(y[source[r]], person, {n: v[r] for n, v in risks.items()}, blocks[r])
        for r in range(plan.n_repeats)
    ]
    observed = found[0]
    permuted = {name: np.array([f[name] for f in found[1:]]) for name in observed}
    # Two sums of the same losses in another order may differ in the last bit.
    p_value = {
        name: float((1 + (permuted[name] >= value - 1e-12).sum()) / (1 + len(permuted[name])))
        for name, value in observed.items()
    }
    moved = float((person[source[1:]] != person).mean())
    return Audit(observed, permuted, p_value, moved)


def _statistics(
    y: Vector, person: Index, risks: Mapping[str, Vector], block: Index
) -> dict[str, float]:
    loss = {n: float(log_loss_per_row(y, r, CLIP).mean()) for n, r in risks.items()}
    selected = select_candidate(y, person, {n: r[None, :] for n, r in risks.items()}).selected
    judged = Judged(y, person, block[None, :])
    once = np.ones((1, len(y)))
    return {
        "best": loss["prevalence"] - min(loss.values()),
        "selected": loss["prevalence"] - loss[selected],
        **{
            f"auc_{n}": float(auc(judged, r, once, block)[0])
            for n, r in risks.items()
            if n != "prevalence"
        },
    }
