"""Groups sought in the data: how many, which, and whether they would be found again.

Clusters are sought in standardised values of one row per person. Their number may be one: a cloud
that is merely wide is not cut.

References
----------
.. [Hennig2007] Hennig. Cluster-wise assessment of cluster stability. Comput Stat Data Anal 52:258.
.. [Tibshirani2001] Tibshirani, Walther, Hastie. Estimating the number of clusters in a data set
   via the gap statistic. J R Stat Soc B 63:411.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from models.errors import NotEnoughDataError

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Assign = Callable[[Matrix], Index]
STARTS = 10
# Added to the variances of a mixture's components, which would else shrink onto single persons.
FLOOR = 1e-3
REFERENCES = 50
PERSONS_PER_CLUSTER = 10
# Hennig's words for a mean Jaccard similarity, and the similarity below which a cluster counts
# as dissolved in a resample.
STABLE, PATTERN, DISSOLVED = 0.75, 0.6, 0.5


def _kmeans(values: Matrix, number: int, seed: int) -> Any:
    return KMeans(number, n_init=STARTS, random_state=seed).fit(values)


def _mixture(values: Matrix, number: int, seed: int) -> Any:
    with warnings.catch_warnings():
        # A start that has not converged loses to one that has, or is the best of what there is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(
            number, n_init=STARTS, reg_covar=FLOOR, max_iter=300, random_state=seed
        ).fit(values)


METHODS: Mapping[str, Callable[[Matrix, int, int], Any]] = {
    "mixture": _mixture,
    "kmeans": _kmeans,
}


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each column of the persons learnt from."""

    mean: Vector
    sd: Vector

    def __call__(self, values: Matrix) -> Matrix:
        """Return standardised values."""
        return np.asarray((values - self.mean) / self.sd)


def scale_of(values: Matrix) -> Scale:
    """Return the scale of complete values of shape (n_persons, n_markers); a constant keeps 1."""
    sd = values.std(axis=0, ddof=1)
    return Scale(values.mean(axis=0), np.where(sd > 0, sd, 1.0))


def fit_clusters(values: Matrix, method: str, number: int, seed: int) -> Assign:
    """Learn clusters, and return what assigns rows to them.

    Clusters are numbered by their centres' first coordinate (ties: the next), so that the same
    clusters have the same numbers in every run.

    Parameters
    ----------
    values : ndarray of shape (n_persons, n_markers), complete
    method : {'mixture', 'kmeans'}
    number : int
    seed : int
    """
    scale = scale_of(values)
    fitted = METHODS[method](scale(values), number, seed)
    centres = fitted.means_ if method == "mixture" else fitted.cluster_centers_
    rank = np.empty(number, dtype=np.int64)
    rank[np.lexsort(centres.T[::-1])] = np.arange(number)

    def assign(rows: Matrix) -> Index:
        return np.asarray(rank[fitted.predict(scale(rows))], dtype=np.int64)

    return assign


@dataclass(frozen=True)
class Number:
    """How many clusters the data support.

    Attributes
    ----------
    chosen : int
    criterion : str
    by_number : list of dict
        ``number`` and the criterion's figures of each.
    """

    chosen: int
    criterion: str
    by_number: list[dict[str, float]]


def choose_number(values: Matrix, method: str, most: int, seed: int) -> Number:
    """Choose between one and ``most`` clusters: a mixture by BIC, k-means by the gap statistic.

    Fewer are tried where there are not ten persons for each.

    Parameters
    ----------
    values : ndarray of shape (n_persons, n_markers), complete
    method : {'mixture', 'kmeans'}
    most : int
    seed : int

    Raises
    ------
    NotEnoughDataError
        With fewer than ten persons for each of two.
    """
    most = min(most, len(values) // PERSONS_PER_CLUSTER)
    if most < 2:
        raise NotEnoughDataError(
            f"clusters: expected {2 * PERSONS_PER_CLUSTER} persons whose markers are all known, "
            f"found {len(values)}. Name fewer markers (--marker)."
        )
    standard = scale_of(values)(values)
    return (_by_bic if method == "mixture" else _by_gap)(standard, most, seed)


def _by_bic(values: Matrix, most: int, seed: int) -> Number:
    rows = []
    for number in range(1, most + 1):
        fitted = _mixture(values, number, seed)
        rows.append(
            {
                "number": number,
                "bic": float(fitted.bic(values)),
                "converged": float(fitted.converged_),
            }
        )
    best = int(np.argmin([r["bic"] for r in rows]))
    return Number(best + 1, "BIC of Gaussian mixtures, smallest", rows)


def _by_gap(values: Matrix, most: int, seed: int) -> Number:
    """Take the smallest number whose gap is within one error of the next [Tibshirani2001]_."""
    rng = np.random.default_rng(seed)
    turned = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)[2]
    box = (values - values.mean(axis=0)) @ turned.T
    low, high = box.min(axis=0), box.max(axis=0)
    references = [rng.uniform(low, high, size=box.shape) for _ in range(REFERENCES)]
    rows = []
    for number in range(1, most + 1):
        made = np.array([_log_within(r, number, seed) for r in references])
        gap = float(made.mean() - _log_within(values, number, seed))
        error = float(made.std() * np.sqrt(1 + 1 / REFERENCES))
        rows.append({"number": number, "gap": gap, "standard_error": error})
    chosen = most
    for this, following in zip(rows, rows[1:], strict=False):
        if this["gap"] >= following["gap"] - following["standard_error"]:
            chosen = int(this["number"])
            break
    return Number(chosen, "gap statistic of k-means, smallest within one error", rows)


def _log_within(values: Matrix, number: int, seed: int) -> float:
    return float(np.log(_kmeans(values, number, seed).inertia_))


@dataclass(frozen=True)
class Stability:
    """How well each cluster is found again in resamples of the persons.

    Attributes
    ----------
    jaccard : ndarray of shape (n_resamples, n_clusters)
        Largest Jaccard similarity to a cluster of the resample; NaN where none of the cluster's
        persons were drawn.
    """

    jaccard: Matrix

    def summary(self) -> list[dict[str, Any]]:
        """Return each cluster's mean similarity, how often it dissolved, and Hennig's word."""
        return [_in_words(column[np.isfinite(column)]) for column in self.jaccard.T]


def _in_words(similarity: Vector) -> dict[str, Any]:
    if not len(similarity):
        return {"jaccard": np.nan, "dissolved": np.nan, "word": "never drawn"}
    mean = float(similarity.mean())
    word = "stable" if mean >= STABLE else "a pattern" if mean >= PATTERN else "not stable"
    dissolved = float((similarity <= DISSOLVED).mean())
    return {"jaccard": mean, "dissolved": dissolved, "word": word}


def draw_persons(n_persons: int, n_resamples: int, seed: int) -> list[Index]:
    """Return who is in each resample: drawn with replacement, each drawn person once.

    Copies of a person would make clusters of their own.
    """
    rng = np.random.default_rng(seed)
    return [np.unique(rng.integers(0, n_persons, n_persons)) for _ in range(n_resamples)]


def jaccard_stability(
    values: Matrix, cluster: Callable[[Matrix], Index], draws: Sequence[Index]
) -> Stability:
    """Cluster each resample anew and look for the clusters of the whole in it [Hennig2007]_.

    Parameters
    ----------
    values : ndarray of shape (n_persons, n_markers)
    cluster : callable
        Takes such values, returns the cluster of each row.
    draws : sequence of ndarray of int
        Persons of each resample, none twice.
    """
    whole = cluster(values)
    names = np.unique(whole)
    found = [_similarity(whole[drawn], cluster(values[drawn]), names) for drawn in draws]
    return Stability(np.array(found).reshape(len(draws), len(names)))


def _similarity(whole: Index, own: Index, names: Index) -> Vector:
    """Largest Jaccard similarity of each of the whole's clusters to one of the resample's."""
    mine = (whole[:, None] == names).astype(np.float64)
    theirs = (own[:, None] == np.unique(own)).astype(np.float64)
    both = mine.T @ theirs
    either = mine.sum(axis=0)[:, None] + theirs.sum(axis=0) - both
    best = (both / either).max(axis=1)
    return np.where(mine.sum(axis=0) > 0, best, np.nan)
