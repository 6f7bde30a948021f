"""What a batch run counts beside its predictions: drift, and the performance to be expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from features.columns import KEYS
from models.bundle import Bundle
from models.drift import Limits, drift_of
from models.drift_counts import BatchCounts, PersonSample, count_batch
from models.feature_columns import FeatureColumns
from models.label_free import expected_performance

PERSON = list(KEYS[:2])
NO_PROFILE = "the bundle was made without a training profile; train again"


@dataclass
class Watched:
    """Counts of scored rows: of their persons, and of every target's model."""

    persons: PersonSample = field(default_factory=PersonSample)
    targets: dict[str, BatchCounts] = field(default_factory=dict)

    def merge(self, other: Watched) -> None:
        """Add another piece's counts."""
        self.persons.merge(other.persons)
        for target, counts in other.targets.items():
            if target in self.targets:
                self.targets[target].merge(counts)
            else:
                self.targets[target] = counts

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON content; names no person."""
        targets = {target: counts.to_dict() for target, counts in self.targets.items()}
        return {"persons": self.persons.rows, "targets": targets}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Watched:
        """Read what :meth:`to_dict` gave."""
        rows = {int(person): int(n) for person, n in content["persons"].items()}
        targets = {t: BatchCounts.from_dict(c) for t, c in content["targets"].items()}
        return cls(PersonSample(rows), targets)


def watch(
    bundles: Mapping[str, Bundle], features: FeatureColumns, predictions: Mapping[str, Any]
) -> Watched:
    """Count what was scored.

    Parameters
    ----------
    bundles : mapping of target to Bundle
    features : FeatureColumns
    predictions : mapping of column to array of shape (n_rows,)
        Of the same rows: the keys as they are written, and ``p_<target>``.
    """
    persons = PersonSample()
    persons.add(pd.DataFrame({name: predictions[name] for name in PERSON}, copy=False))
    counts = {
        target: count_batch(bundle.profile, features, np.asarray(predictions[f"p_{target}"]))
        for target, bundle in bundles.items()
    }
    return Watched(persons, counts)


def add_up(pieces: Iterable[Mapping[str, Any]]) -> Watched:
    """Add the counts of a run's pieces; their order does not matter."""
    total = Watched()
    for piece in pieces:
        total.merge(Watched.from_dict(piece))
    return total


def drift_summary(
    watched: Watched, bundles: Mapping[str, Bundle], limits: Limits
) -> dict[str, dict[str, Any]]:
    """Say, for every target, how the scored rows differ from training.

    Returns
    -------
    dict of target to what :meth:`models.drift.Drift.to_dict` gives, or the ``reason`` for having
    nothing to compare with; each with ``expected_performance``
    """
    found: dict[str, dict[str, Any]] = {}
    for target, bundle in bundles.items():
        if target not in watched.targets:
            continue
        counts = watched.targets[target]
        threshold = bundle.training.get("threshold", {}).get("value")
        expected = {"expected_performance": expected_performance(counts.risk, threshold)}
        if bundle.profile is None:
            found[target] = {"drifted": [], "reason": NO_PROFILE, **expected}
        else:
            drift = drift_of(bundle.profile, counts, watched.persons, limits)
            found[target] = {**drift.to_dict(), **expected}
    return found
