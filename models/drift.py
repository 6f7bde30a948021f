"""Has what comes in changed since training? Population stability index, against its own noise.

PSI = sum of (p - q) ln(p / q) over the bins of the training profile, p the batch's shares and q
those of training. The customary marks, 0.1 and 0.25, take no notice of how many rows there are:
under no drift PSI is about chi-square with (bins - 1) degrees of freedom times (1/n + 1/m)
[Yurdakul2018]_, n and m being the persons of batch and training. Twenty persons in ten bins
exceed 0.25 by chance alone. Here drift is called only what exceeds both the mark and that
reference, at a level shared among all comparisons of a batch (Bonferroni).

References
----------
.. [Yurdakul2018] Yurdakul. Statistical properties of population stability index. Dissertation,
   Western Michigan University.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from models.drift_counts import RISK_BINS, BatchCounts, PersonSample, bin_counts
from models.profile import Distribution, Profile, bin_of

Vector = npt.NDArray[np.float64]
# Half a person in every bin: an empty bin would make the index infinite.
PSEUDO = 0.5
ONE_BIN = "too few persons in training for two groups of them"
NO_VALUE = "no row has a value"
NOT_BUILT = "the batch has no such feature"
RISK = "predicted risk"


@dataclass(frozen=True)
class Limits:
    """When a difference is called drift.

    Attributes
    ----------
    psi : float
        Least population stability index; 0.25 is called a major shift by custom.
    alpha : float
        Probability that a batch without drift shows any, over all its comparisons.
    """

    psi: float = 0.25
    alpha: float = 0.01


@dataclass(frozen=True)
class Shift:
    """One comparison of a batch with training.

    Attributes
    ----------
    psi : float, NaN where it cannot be computed
    by_chance : float
        What no drift would exceed with the probability that this comparison is given.
    drifted : bool
    reason : str
        Why ``psi`` is NaN.
    """

    psi: float
    by_chance: float
    drifted: bool = False
    reason: str = ""


def stability_index(observed: Vector, expected: Vector, n: float, m: float) -> float:
    """Population stability index of two sets of shares.

    Parameters
    ----------
    observed, expected : ndarray of shape (n_bins,)
        Shares that sum to 1.
    n, m : float
        Persons that the shares rest on; half a person is added to every bin.

    Examples
    --------
    With many persons, (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5):

    >>> round(stability_index(np.array([0.6, 0.4]), np.array([0.5, 0.5]), 1e9, 1e9), 6)
    0.040547
    """
    p, q = (
        (share * size + PSEUDO) / (size + PSEUDO * len(share))
        for share, size in ((observed, n), (expected, m))
    )
    return float(((p - q) * np.log(p / q)).sum())


def chance_index(n_bins: int, n: float, m: float, level: float) -> float:
    """PSI that no drift exceeds with probability ``level``; NaN where nothing varies."""
    if n_bins < 2 or min(n, m) <= 0:
        return float("nan")
    return float(chi2.isf(level, n_bins - 1) * (1 / n + 1 / m))


def compare(
    counts: npt.NDArray[np.int64], expected: Vector, sizes: tuple[float, float], level: float
) -> Shift:
    """Compare a batch's counts with training's shares.

    Parameters
    ----------
    counts : ndarray of shape (n_bins,)
    expected : ndarray of shape (n_bins,)
    sizes : (persons of the batch, persons of training)
    level : float
        Probability of a false alarm that this comparison is given.
    """
    chance = chance_index(len(counts), *sizes, level)
    if len(counts) < 2:
        return Shift(np.nan, np.nan, reason=ONE_BIN)
    if counts.sum() == 0:
        return Shift(np.nan, np.nan, reason=NO_VALUE)
    return Shift(stability_index(counts / counts.sum(), expected, *sizes), chance)


@dataclass(frozen=True)
class FeatureDrift:
    """How one feature's values and its missingness differ from training."""

    values: Shift
    missingness: Shift
    missing: float
    missing_in_training: float

    @property
    def drifted(self) -> bool:
        """Return whether either did."""
        return self.values.drifted or self.missingness.drifted


@dataclass(frozen=True)
class Drift:
    """How a batch differs from training.

    Attributes
    ----------
    n_rows : int
    n_persons, n_effective : float
        Persons, and how many with one row each the rows are worth; estimates in large batches.
    limits : Limits
    features : dict of feature to FeatureDrift
    risk : Shift
        Of the predicted risks, against those of the rows learnt from.
    """

    n_rows: int
    n_persons: float
    n_effective: float
    limits: Limits
    features: dict[str, FeatureDrift]
    risk: Shift

    def drifted(self) -> list[str]:
        """Name what has drifted."""
        names = [n for n, f in self.features.items() if f.drifted]
        return [*names, *([RISK] if self.risk.drifted else [])]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON content."""
        return {
            "n_rows": self.n_rows,
            "n_persons": round(self.n_persons),
            "n_effective": self.n_effective,
            "limits": asdict(self.limits),
            "drifted": self.drifted(),
            "risk": asdict(self.risk),
            "features": {n: asdict(f) for n, f in self.features.items()},
        }


def drift_of(profile: Profile, counts: BatchCounts, persons: PersonSample, limits: Limits) -> Drift:
    """Compare a batch with the training profile.

    Parameters
    ----------
    profile : Profile
    counts : BatchCounts
    persons : PersonSample
        Of the same rows.
    limits : Limits
    """
    n, m = persons.n_effective(), profile.n_effective
    level = limits.alpha / (2 * len(profile.features) + 1)

    def judged(shift: Shift) -> Shift:
        return replace(shift, drifted=bool(shift.psi > max(limits.psi, shift.by_chance)))

    features = {}
    for name, trained in profile.features.items():
        values, missingness, missing = _feature(name, trained, counts, (n, m, level))
        features[name] = FeatureDrift(judged(values), judged(missingness), missing, trained.missing)
    risk = Shift(np.nan, np.nan, reason="the profile has no risks")
    if profile.risk is not None:
        risk = judged(_risk_shift(profile.risk, counts, (n, m), level))
    return Drift(counts.n_rows, persons.n_persons(), n, limits, features, risk)


def _feature(
    name: str, trained: Distribution, counts: BatchCounts, sizes: tuple[float, float, float]
) -> tuple[Shift, Shift, float]:
    n, m, level = sizes
    if name not in counts.known or counts.n_rows == 0:
        nothing = Shift(np.nan, np.nan, reason=NOT_BUILT if counts.n_rows else NO_VALUE)
        return nothing, nothing, np.nan
    known = counts.known[name]
    share = known / counts.n_rows
    found = bin_counts(known, counts.above[name])
    values = compare(found, np.array(trained.shares), (n * share, m * (1 - trained.missing)), level)
    lacking = np.array([counts.n_rows - known, known])
    before = np.array([trained.missing, 1 - trained.missing])
    return values, compare(lacking, before, (n, m), level), 1 - share


def _risk_shift(
    trained: Distribution, counts: BatchCounts, sizes: tuple[float, float], level: float
) -> Shift:
    middles = (np.arange(RISK_BINS) + 0.5) / RISK_BINS
    place = bin_of(middles, trained.edges)
    found = np.bincount(place, weights=counts.risk, minlength=len(trained.shares))
    return compare(found.astype(np.int64), np.array(trained.shares), sizes, level)
