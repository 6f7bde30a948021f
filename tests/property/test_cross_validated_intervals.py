"""Intervals of cross-validated figures, where the truth is known without a simulator.

Predictors that carry nothing have a true AUC of one half in whatever persons, whatever they were
fitted to. The model is a difference of class means: the least that learns anything.
"""

from __future__ import annotations

import numpy as np
import pytest

from models.estimate import Estimate
from models.metrics import Judged, estimates, resample_metrics

STUDIES, PERSONS, FEATURES, FOLDS = 400, 100, 5, 5


def cross_validated(seed: int, repeats: int = 2) -> tuple[Judged, np.ndarray]:
    """Return a study of noise, judged by the models of its folds."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((PERSONS, FEATURES))
    y = (np.arange(PERSONS) % 2).astype(float)
    block = np.stack([rng.permutation(PERSONS) % FOLDS for _ in range(repeats)])
    risks = np.empty(block.shape)
    for fold_of, risk in zip(block, risks, strict=True):
        for fold in range(FOLDS):
            learn = fold_of != fold
            direction = x[learn & (y == 1)].mean(axis=0) - x[learn & (y == 0)].mean(axis=0)
            risk[~learn] = 1 / (1 + np.exp(-(x[~learn] @ direction)))
    return Judged(y, np.arange(PERSONS), block), risks


def auc_of(judged: Judged, risks: np.ndarray, seed: int) -> Estimate:
    values = resample_metrics(judged, {"": risks}, n_resamples=200, seed=seed)[""]
    return estimates(judged, risks, {"auc": values["auc"]})["auc"]


@pytest.mark.slow
def test_an_interval_of_noise_under_cross_validation_covers_one_half_as_often_as_promised():
    found = [auc_of(*cross_validated(seed), seed) for seed in range(STUDIES)]

    covered = np.mean([e.lower <= 0.5 <= e.upper for e in found])

    # Standard error of a coverage of .95 over 400 studies: .011. The bootstrap itself is a little
    # wide in folds of 20 persons, so that more room is left above.
    assert 0.95 - 2 * 0.011 <= covered <= 0.98


def test_an_interval_of_one_model_is_not_widened():
    judged, risks = cross_validated(0, repeats=1)
    folds, one = judged, Judged(judged.y, judged.person, np.zeros_like(judged.block))

    plain = resample_metrics(one, {"": risks}, n_resamples=200, seed=1)[""]["brier"]
    widened = resample_metrics(folds, {"": risks}, n_resamples=200, seed=1)[""]["brier"]

    # The Brier score does not look at folds: only the widening differs.
    centre = np.median(plain[1:])
    assert widened[0] == plain[0]
    np.testing.assert_allclose(widened[1:] - centre, np.sqrt(2) * (plain[1:] - centre))


def test_more_repeats_of_the_same_persons_do_not_narrow_an_interval():
    judged, risks = cross_validated(3, repeats=12)
    first = Judged(judged.y, judged.person, judged.block[:1])

    widths = [e.upper - e.lower for e in (auc_of(judged, risks, 5), auc_of(first, risks[:1], 5))]

    # Percentiles of 200 resamples: the width has a standard error of about 7 %.
    assert widths[0] == pytest.approx(widths[1], rel=0.25)
