"""What predictions are judged against: outcomes, persons, folds; and the persons' resamples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
# Resamples are worked through in blocks of about this many numbers (32 MB an array), so that
# memory does not grow with their number.
BLOCK_SIZE = 4_000_000


@dataclass(frozen=True)
class Judged:
    """What predictions are judged against.

    Attributes
    ----------
    y : ndarray of shape (n_rows,) or (n_repeats, n_rows), 0/1, NaN = not judged
        One outcome per row, or one per row and repeat where the outcome itself is made anew
        from the training persons of each fold. A row that is NaN in a repeat takes no part in
        that repeat.
    person : ndarray of shape (n_rows,), int
        Number of each row's person, 0 ... n_persons - 1.
    block : ndarray of shape (n_repeats, n_rows), int
        Fold in which each row was predicted. Discrimination compares rows of one fold only:
        risks of different folds come from different models, and pooling them biases the AUC
        of weak models below 0.5. [Forman2010]_ All zeros for a single model's predictions.

    References
    ----------
    .. [Forman2010] Forman, Scholz. Apples-to-apples in cross-validation studies. SIGKDD
       Explorations 12(1):49.
    """

    y: Vector
    person: Index
    block: Index

    @property
    def n_persons(self) -> int:
        """Return the number of persons."""
        return int(self.person.max()) + 1

    @property
    def n_repeats(self) -> int:
        """Return the number of repeats."""
        return len(self.block)

    @property
    def outcomes(self) -> Matrix:
        """Return the outcome of every repeat and row, shape (n_repeats, n_rows)."""
        return np.broadcast_to(self.y, self.block.shape)

    @property
    def prevalence(self) -> float:
        """Return the share of events, the mean over repeats."""
        return float(np.mean([part.y.mean() for part, _ in self.repeats()]))

    def repeats(self) -> Iterator[tuple[Judged, Index]]:
        """Yield each repeat as a Judged of one, with the positions of the rows it judges."""
        for y, block in zip(self.outcomes, self.block, strict=True):
            rows = np.flatnonzero(~np.isnan(y))
            yield Judged(y[rows], self.person[rows], block[None, rows]), rows

    def one_model(self) -> bool:
        """Return whether all risks come from one model: one repeat, one fold."""
        return self.n_repeats == 1 and len(np.unique(self.block)) == 1

    def cross_validated(self) -> bool:
        """Return whether persons are judged by models that others of them trained."""
        return any(len(np.unique(block)) > 1 for block in self.block)

    def rows_repeat(self) -> bool:
        """Return whether a person has several rows."""
        return len(self.person) > len(np.unique(self.person))


def person_counts(n_persons: int, n_resamples: int, seed: int) -> Index:
    """How often each person is drawn, when as many as there are are drawn with replacement.

    Returns
    -------
    ndarray of shape (n_resamples, n_persons)
    """
    rng = np.random.default_rng(seed)
    counts: Index = rng.multinomial(n_persons, np.full(n_persons, 1 / n_persons), size=n_resamples)
    return counts


def bootstrap_weights(judged: Judged, n_resamples: int, seed: int) -> Matrix:
    """How often each row is drawn when persons are drawn with replacement.

    Returns
    -------
    ndarray of shape (1 + n_resamples, n_rows); the first row is the data as they are
    """
    return np.vstack(list(weight_blocks(judged, n_resamples, seed)))


def weight_blocks(judged: Judged, n_resamples: int, seed: int) -> Iterator[Matrix]:
    """Yield the rows of :func:`bootstrap_weights` a block at a time."""
    counts = person_counts(judged.n_persons, n_resamples, seed)
    counts = np.vstack([np.ones((1, judged.n_persons), dtype=counts.dtype), counts])
    size = max(1, BLOCK_SIZE // len(judged.person))
    for start in range(0, len(counts), size):
        yield counts[start : start + size, judged.person].astype(np.float64)
