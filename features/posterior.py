"""What a person's change truly was, given how noisily it was measured.

    change_ij = true_ij + error_ij,    true_ij = mean of the group + person_i + bout_ij

The spread of the true changes (tau) and its part common to a person's bouts (rho) are learnt
from all persons, the error of each change is known (:mod:`features.measurement_error`), and
every change is shrunk towards the mean of its group by as much as its own error deserves: few
trials or a noisy rest bout shrink more, further bouts of the same person less. Empirical Bayes
in the mean; tau and rho are not plugged in but averaged over their likelihood, since an
estimate of zero spread, common in small studies, would make everybody alike and certain.

References
----------
.. [Morris1983] Morris. Parametric empirical Bayes inference. JASA 78:47, doi
   10.1080/01621459.1983.10477920.
.. [Gelman2006] Gelman. Prior distributions for variance parameters in hierarchical models.
   Bayesian Analysis 1:515, doi 10.1214/06-BA117A (a flat prior on the SD).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from features.spec import Vector

Index = npt.NDArray[np.int64]
RHO_GRID = np.linspace(0.0, 1.0, 5)
TAU_POINTS = 15
# Grid points this many log units below the best carry nothing (e^-12 = 6e-6).
NEGLIGIBLE = 12.0
MIN_GROUP_PERSONS = 10


@dataclass(frozen=True)
class Bouts:
    """Changes of bouts and what is known of their errors; every array has shape (n_bouts,).

    ``person``, ``group`` and ``shared`` are codes from 0; bouts of a person with equal
    ``shared`` have an error of variance ``error_shared`` in common. ``learn`` marks the bouts
    from which means and spreads may be learnt.
    """

    change: Vector
    error_own: Vector
    error_shared: Vector
    person: Index
    group: Index
    shared: Index
    learn: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Posterior:
    """Normal mixture over the grid of (tau, rho); arrays of shape (n_points, n_bouts).

    ``gain_sd`` is the SD that measurement error alone would give ``mean``, and ``idle_mean``
    what ``mean`` would be for an observed change of zero: for shares under noise only.
    """

    weight: Vector
    tau: Vector
    rho: Vector
    group_mean: Vector
    mean: Vector
    sd: Vector
    idle_mean: Vector
    gain_sd: Vector

    def moments(self) -> tuple[Vector, Vector]:
        """Posterior mean and SD of every true change."""
        mean: Vector = self.weight @ self.mean
        square = self.weight @ (self.sd**2 + self.mean**2)
        return mean, np.sqrt(np.maximum(square - mean**2, 0.0))

    def above(self, delta: Vector) -> Vector:
        """Probability that the true change exceeds ``delta``, shape (n_bouts,)."""
        probability: Vector = self.weight @ ndtr((self.mean - delta) / self.sd)
        return probability

    def below(self, delta: Vector) -> Vector:
        """Probability that the true change is less than ``delta``, shape (n_bouts,)."""
        probability: Vector = self.weight @ ndtr((delta - self.mean) / self.sd)
        return probability

    def noise_share(self, delta: Vector, certainty: float, side: int) -> Vector:
        """Probability that noise around a true change of 0 is classed as beyond ``delta``.

        Parameters
        ----------
        delta : ndarray of shape (n_bouts,), >= 0
        certainty : float
        side : {+1, -1}
            Hypoalgesia or hyperalgesia.

        Notes
        -----
        The decision is taken at each grid point and averaged: exact where one point holds all
        the weight.
        """
        needed = delta + ndtri(certainty) * self.sd
        short = side * self.idle_mean - needed
        with np.errstate(divide="ignore", invalid="ignore"):
            share = ndtr(short / self.gain_sd)
        certain = np.where(short > 0, 1.0, 0.0)
        result: Vector = self.weight @ np.where(self.gain_sd > 0, share, certain)
        return result


@dataclass(frozen=True)
class _Blocks:
    """Bouts padded to one block per person: (n_persons, width, ...)."""

    position: Index  # -1 = padding
    known: npt.NDArray[np.bool_]
    change: Vector
    design: Vector  # membership of groups
    error: Vector  # covariance of errors
    learn: npt.NDArray[np.bool_]  # (n_persons,)


def shrink(bouts: Bouts) -> Posterior:
    """Posterior of every true change.

    Bouts of the persons in ``learn`` set the means and the spread; every bout's change and
    error are its own. No change and no error may be missing.

    Returns
    -------
    Posterior

    Raises
    ------
    ValueError
        Where fewer than two persons are to be learnt from.

    Examples
    --------
    Ten persons; the change of the last is measured ten times as noisily, and believed less:

    >>> bouts = Bouts(
    ...     change=np.array([-0.3, 0.3, -0.2, 0.2, -0.1, 0.1, 0.0, 0.0, 0.4, 0.4]),
    ...     error_own=np.array([0.01] * 9 + [0.1]),
    ...     error_shared=np.zeros(10),
    ...     person=np.arange(10),
    ...     group=np.zeros(10, dtype=int),
    ...     shared=np.zeros(10, dtype=int),
    ...     learn=np.ones(10, dtype=bool),
    ... )
    >>> mean, sd = shrink(bouts).moments()
    >>> bool(mean[9] < mean[8] and sd[9] > sd[8])
    True
    """
    blocks = _blocks(bouts)
    if blocks.learn.sum() < 2:
        raise ValueError("expected at least two persons to learn from.")
    points = _weighted_grid(blocks, _spread_limit(bouts))
    return _mixture(blocks, points, len(bouts.change))


def _spread_limit(bouts: Bouts) -> float:
    """True changes spread less than observed ones; the factor leaves room for chance."""
    return 1.5 * float(np.std(bouts.change[bouts.learn], ddof=1)) + 1e-12


def _blocks(bouts: Bouts) -> _Blocks:
    _, person, counts = np.unique(bouts.person, return_inverse=True, return_counts=True)
    order = np.argsort(person, kind="stable")
    slot = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    position = np.full((len(counts), int(counts.max())), -1)
    position[person[order], slot] = order
    known = position >= 0
    at = np.where(known, position, 0)
    both = known[:, :, None] & known[:, None, :]
    same = both & (bouts.shared[at][:, :, None] == bouts.shared[at][:, None, :])
    # The common part of two bouts' errors; with unequal parts the smaller one.
    part = np.sqrt(bouts.error_shared[at][:, :, None] * bouts.error_shared[at][:, None, :])
    # Identical trials do not make a perfect measurement; without a floor there is no inverse.
    floor = 1e-9 * float(np.var(bouts.change)) + 1e-15
    diagonal = np.where(known, np.maximum(bouts.error_own[at], floor), 1.0)
    error = np.where(same, part, 0.0) + diagonal[:, :, None] * np.eye(known.shape[1])
    member = bouts.group[at][:, :, None] == np.arange(bouts.group.max() + 1)
    return _Blocks(
        position=position,
        known=known,
        change=np.where(known, bouts.change[at], 0.0),
        design=np.where(known[:, :, None], member, 0.0).astype(np.float64),
        error=error,
        learn=np.asarray((known & bouts.learn[at]).any(axis=1)),
    )


def _weighted_grid(blocks: _Blocks, limit: float) -> list[tuple[float, float, float]]:
    """Points (tau, rho, weight): a coarse grid, then a fine one where the likelihood is."""
    rhos = RHO_GRID if blocks.known.shape[1] > 1 else RHO_GRID[-1:]
    coarse = np.linspace(0.0, limit, TAU_POINTS)
    likelihood = np.array([_log_likelihood(blocks, coarse, r) for r in rhos])
    alive = np.flatnonzero((likelihood > likelihood.max() - NEGLIGIBLE).any(axis=0))
    step = coarse[1]
    fine = np.linspace(
        max(0.0, coarse[alive[0]] - step), min(limit, coarse[alive[-1]] + step), TAU_POINTS
    )
    likelihood = np.array([_log_likelihood(blocks, fine, r) for r in rhos])
    weight = np.exp(likelihood - likelihood.max())
    weight /= weight.sum()
    return [
        (float(tau), float(rho), float(w))
        for rho, row in zip(rhos, weight, strict=True)
        for tau, w in zip(fine, row, strict=True)
        if w > np.exp(-NEGLIGIBLE)
    ]


def _log_likelihood(blocks: _Blocks, taus: Vector, rho: float) -> Vector:
    """Restricted log likelihood of the training persons, per tau."""
    chosen = blocks.learn
    change, design = blocks.change[chosen], blocks.design[chosen]
    used = design.sum(axis=(0, 1)) > 0
    values = []
    for tau in taus:
        inverse, log_det = _inverse(blocks, chosen, tau, rho)
        precision, mean = _group_means(inverse, change, design, used)
        residual = change - design @ mean
        quadratic = np.einsum("pi,pij,pj->", residual, inverse, residual)
        sign_det = np.linalg.slogdet(precision[np.ix_(used, used)])[1]
        values.append(-0.5 * (log_det + sign_det + quadratic))
    return np.array(values)


def _true_covariance(
    blocks: _Blocks, chosen: npt.NDArray[np.bool_], tau: float, rho: float
) -> Vector:
    known = blocks.known[chosen]
    width = known.shape[1]
    shape = tau**2 * ((1.0 - rho) * np.eye(width) + rho)
    covariance: Vector = np.where(known[:, :, None] & known[:, None, :], shape, 0.0)
    return covariance


def _inverse(
    blocks: _Blocks, chosen: npt.NDArray[np.bool_], tau: float, rho: float
) -> tuple[Vector, float]:
    total = blocks.error[chosen] + _true_covariance(blocks, chosen, tau, rho)
    inverse: Vector = np.linalg.inv(total).astype(np.float64)
    return inverse, float(np.linalg.slogdet(total)[1].sum())


def _group_means(
    inverse: Vector, change: Vector, design: Vector, used: npt.NDArray[np.bool_]
) -> tuple[Vector, Vector]:
    """Precision of the groups' means and the means themselves; 0 where a group has no data."""
    weighted = np.einsum("pij,pjg->pig", inverse, design)
    precision = np.einsum("pig,pih->gh", design, weighted)
    mean = np.zeros(design.shape[2])
    score = np.einsum("pig,pi->g", weighted, change)
    mean[used] = np.linalg.solve(precision[np.ix_(used, used)], score[used])
    return precision, mean


def _mixture(blocks: _Blocks, points: list[tuple[float, float, float]], n: int) -> Posterior:
    used = blocks.design[blocks.learn].sum(axis=(0, 1)) > 0
    parts = [_at_point(blocks, tau, rho, used) for tau, rho, _ in points]
    at = blocks.position[blocks.known]

    def ordered(name: int) -> Vector:
        result = np.empty((len(points), n))
        for row, part in enumerate(parts):
            result[row, at] = part[name][blocks.known]
        return result

    return Posterior(
        weight=np.array([w for *_, w in points]) / sum(w for *_, w in points),
        tau=np.array([tau for tau, *_ in points]),
        rho=np.array([rho for _, rho, _ in points]),
        group_mean=np.array([part[4] for part in parts]),
        mean=ordered(0),
        sd=ordered(1),
        idle_mean=ordered(2),
        gain_sd=ordered(3),
    )


def _at_point(
    blocks: _Blocks, tau: float, rho: float, used: npt.NDArray[np.bool_]
) -> tuple[Vector, Vector, Vector, Vector, Vector]:
    """Mean, SD, mean for a change of zero and noise SD of it, per bout; and the groups' means."""
    everybody = np.ones(len(blocks.learn), dtype=bool)
    learnt, _ = _inverse(blocks, blocks.learn, tau, rho)
    precision, mean = _group_means(
        learnt, blocks.change[blocks.learn], blocks.design[blocks.learn], used
    )
    uncertainty = np.zeros_like(precision)
    uncertainty[np.ix_(used, used)] = np.linalg.inv(precision[np.ix_(used, used)])
    true = _true_covariance(blocks, everybody, tau, rho)
    gain = true @ _inverse(blocks, everybody, tau, rho)[0]
    prior = blocks.design @ mean
    rest = blocks.design - gain @ blocks.design
    variance = np.einsum("pii->pi", true - gain @ true) + np.einsum(
        "pig,gh,pih->pi", rest, uncertainty, rest
    )
    idle = prior - np.einsum("pij,pj->pi", gain, prior)
    posterior = idle + np.einsum("pij,pj->pi", gain, blocks.change)
    noise = np.einsum("pij,pjk,pik->pi", gain, blocks.error, gain)
    floor = np.finfo(np.float64).tiny
    return (
        posterior,
        np.sqrt(np.maximum(variance, floor)),
        idle,
        np.sqrt(np.maximum(noise, 0.0)),
        mean,
    )


def merge_small_groups(group: Index, person: Index, learn: npt.NDArray[np.bool_]) -> Index:
    """Codes of groups, those with fewer than ten training persons put together.

    Where they are fewer than ten even together, they join the largest group.

    Examples
    --------
    >>> group = np.repeat([0, 1, 2], [12, 3, 1])
    >>> merged = merge_small_groups(group, np.arange(16), np.ones(16, dtype=bool))
    >>> bool((merged == 0).all())
    True
    """
    merged = np.where(_sizes(group, person, learn) < MIN_GROUP_PERSONS, -1, group)
    sizes = _sizes(merged, person, learn)
    if (sizes[merged == -1] < MIN_GROUP_PERSONS).any():
        merged = np.where(merged == -1, merged[np.argmax(sizes)], merged)
    return np.asarray(np.unique(merged, return_inverse=True)[1], dtype=np.int64)


def _sizes(group: Index, person: Index, learn: npt.NDArray[np.bool_]) -> Index:
    """Number of training persons in the group of every row."""
    size = {g: len(np.unique(person[learn & (group == g)])) for g in np.unique(group).tolist()}
    return np.array([size[g] for g in group.tolist()], dtype=np.int64)
