"""Counts of a batch that its drift follows from: whole numbers, so that pieces add in any order.

Memory does not depend on the number of rows, and the same rows give the same counts however
they are cut and in whatever order they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.feature_columns import FeatureColumns
from models.profile import Profile, effective_number
from models.text_hash import Hashes, row_hashes

Vector = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
# Risks are counted in bins of a thousandth: what follows from them is exact to that.
RISK_BINS = 1000
# So many persons are followed; their relative error on the number of all is 1 / sqrt of it.
SAMPLED_PERSONS = 1024
LARGEST_HASH = 2.0**64


@dataclass
class PersonSample:
    """The persons with the smallest hashes, and how many rows each has.

    A person among them was so from the first row on, so that the counts are complete whatever
    the order [BarYossef2002]_.

    References
    ----------
    .. [BarYossef2002] Bar-Yossef, Jayram, Kumar, Sivakumar, Trevisan. Counting distinct
       elements in a data stream. RANDOM 2002, algorithm 1.
    """

    rows: dict[int, int] = field(default_factory=dict)

    def add(self, persons: pd.DataFrame) -> None:
        """Count rows by the columns that name a person."""
        if len(persons):
            found, counts = np.unique(_smallest(row_hashes(persons)), return_counts=True)
            few = slice(0, SAMPLED_PERSONS)
            pairs = zip(found[few].tolist(), counts[few].tolist(), strict=True)
            self.merge(PersonSample(dict(pairs)))

    def merge(self, other: PersonSample) -> None:
        """Add another sample's persons; the smallest hashes stay."""
        for person, n in other.rows.items():
            self.rows[person] = self.rows.get(person, 0) + n
        smallest = sorted(self.rows)[:SAMPLED_PERSONS]
        self.rows = {person: self.rows[person] for person in smallest}

    def n_persons(self) -> float:
        """Estimate the number of persons; exact where all of them are followed."""
        if len(self.rows) < SAMPLED_PERSONS:
            return float(len(self.rows))
        return (SAMPLED_PERSONS - 1) * LARGEST_HASH / (max(self.rows) + 1.0)

    def n_effective(self) -> float:
        """Estimate how many persons with one row each the rows are worth."""
        if not self.rows:
            return 0.0
        counts = np.array(list(self.rows.values()), dtype=np.float64)
        return self.n_persons() * effective_number(counts) / len(counts)


def _smallest(hashes: Hashes) -> Hashes:
    """Leave out what is not among the sample: sorting everything takes longer than hashing."""
    place = 4 * SAMPLED_PERSONS
    if len(hashes) <= place:
        return hashes
    least = hashes[hashes <= np.partition(hashes, place)[place]]
    # Where persons have many rows, so few rows may be too few persons.
    return least if len(np.unique(least)) >= SAMPLED_PERSONS else hashes


@dataclass
class BatchCounts:
    """What is counted of a batch, for one model.

    Attributes
    ----------
    n_rows : int
    known : dict of feature to int
        Rows with a value.
    above : dict of feature to ndarray of shape (n_edges,)
        Rows whose value exceeds each edge of the training profile.
    risk : ndarray of shape (RISK_BINS,)
        Rows by predicted risk.
    """

    n_rows: int
    known: dict[str, int]
    above: dict[str, Counts]
    risk: Counts

    def merge(self, other: BatchCounts) -> None:
        """Add another piece's counts."""
        self.n_rows += other.n_rows
        self.risk = self.risk + other.risk
        for name, counts in other.above.items():
            self.known[name] += other.known[name]
            self.above[name] = self.above[name] + counts

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON content."""
        return {
            "n_rows": self.n_rows,
            "known": self.known,
            "above": {name: counts.tolist() for name, counts in self.above.items()},
            # Most of a small piece's bins are empty.
            "risk": {int(b): int(self.risk[b]) for b in np.flatnonzero(self.risk)},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> BatchCounts:
        """Read what :meth:`to_dict` gave."""
        risk = np.zeros(RISK_BINS, dtype=np.int64)
        for place, count in content["risk"].items():
            risk[int(place)] = count
        above = {n: np.array(c, dtype=np.int64) for n, c in content["above"].items()}
        return cls(content["n_rows"], dict(content["known"]), above, risk)


def count_batch(
    profile: Profile | None, features: pd.DataFrame | FeatureColumns, risk: Vector
) -> BatchCounts:
    """Count a piece of a batch.

    Parameters
    ----------
    profile : Profile or None
        Whose edges are counted at; None: the risks alone are counted.
    features : DataFrame of shape (n_rows, any), or its columns
        The profile's features it lacks are not counted.
    risk : ndarray of shape (n_rows,), in [0, 1]
    """
    known: dict[str, int] = {}
    above: dict[str, Counts] = {}
    columns = FeatureColumns.of(features)
    for name, distribution in ({} if profile is None else profile.features).items():
        if name in columns:
            known[name] = columns.n_rows - columns.n_missing(name)
            found = [columns.n_above(name, edge) for edge in distribution.edges]
            above[name] = np.array(found, dtype=np.int64)
    places = np.minimum((risk * RISK_BINS).astype(np.int64), RISK_BINS - 1)
    return BatchCounts(len(risk), known, above, np.bincount(places, minlength=RISK_BINS))


def bin_counts(n_known: int, above: Counts) -> Counts:
    """Rows of each bin, from the rows above each edge."""
    return -np.diff(np.concatenate([[n_known], above, [0]]))
