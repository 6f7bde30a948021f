"""The smooth: straight where the data are straight, and reweighted without new neighbourhoods."""

from __future__ import annotations

import numpy as np
import pytest

from models.calibration import calibration_errors
from models.lowess import make_lowess


def smooth_at(risk, y, weights=None, at=None):
    smooth = make_lowess(risk)
    weights = np.ones((1, len(risk))) if weights is None else weights
    return smooth.at_risks(smooth.smooth(y, weights), risk if at is None else at)


def by_definition(x, y, span=2 / 3):
    """Cleveland's definition, point by point: a tricube-weighted line through the neighbours."""
    size = int(span * len(x) + 1e-7)
    fitted = []
    for centre in x:
        distance = np.abs(x - centre)
        width = np.sort(distance)[size - 1]
        weight = np.where(distance < width, (1 - (distance / width) ** 3) ** 3, 0.0)
        slope, level = np.polyfit(x - centre, y, 1, w=np.sqrt(weight))
        fitted.append(level)
    return np.array(fitted)


def test_smooth_of_few_distinct_risks_is_cleveland_s_definition():
    # 40 risks at least 1 % of the range apart: every one is fitted, none interpolated.
    rng = np.random.default_rng(0)
    x = (np.arange(40) + rng.uniform(-0.2, 0.2, 40)) / 40
    y = (rng.random(40) < x).astype(float)

    np.testing.assert_allclose(smooth_at(x, y)[0], by_definition(x, y), atol=1e-9)


def test_a_straight_line_stays_straight():
    x = np.random.default_rng(1).random(200)

    np.testing.assert_allclose(smooth_at(x, 0.2 + 0.5 * x)[0], 0.2 + 0.5 * x, atol=1e-12)


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(2)
    x, order = np.round(rng.random(100), 2), rng.permutation(100)
    y = (rng.random(100) < x).astype(float)

    np.testing.assert_allclose(smooth_at(x[order], y[order])[0], smooth_at(x, y)[0][order])


def test_one_risk_for_all_is_smoothed_to_the_share_of_events():
    y = np.array([1.0, 0, 0, 1, 1])

    np.testing.assert_allclose(smooth_at(np.full(5, 0.3), y)[0], np.full(5, 3 / 5))


def test_a_row_that_is_not_drawn_has_no_say():
    rng = np.random.default_rng(3)
    x = rng.random(60)
    y = (rng.random(60) < x).astype(float)
    weights = np.ones((1, 60))
    weights[0, 7] = 0
    changed = y.copy()
    changed[7] = 1 - y[7]

    np.testing.assert_array_equal(smooth_at(x, y, weights), smooth_at(x, changed, weights))


def test_the_smooth_does_not_depend_on_how_many_anchors_are_held_in_memory(monkeypatch):
    rng = np.random.default_rng(6)
    x = rng.random(300)
    y = (rng.random(300) < x).astype(float)
    at_once = smooth_at(x, y)

    monkeypatch.setattr("models.lowess.BLOCK_SIZE", 300 * 7)

    np.testing.assert_allclose(smooth_at(x, y), at_once, rtol=0, atol=1e-12)


def test_beyond_the_risks_the_smooth_is_unknown():
    x, y = np.linspace(0.2, 0.6, 30), np.zeros(30)

    found = smooth_at(x, y, at=np.array([0.1, 0.3, 0.7]))[0]

    np.testing.assert_array_equal(np.isnan(found), [True, False, True])


def test_errors_of_a_resample_count_each_row_as_often_as_it_is_drawn():
    # All neighbourhoods of three risks hold all rows: copies make the same curve as weights, and
    # quantiles over copies are those over counts.
    x = np.tile([0.2, 0.5, 0.7], 10)
    y = (np.random.default_rng(4).random(30) < 0.4).astype(float)
    counts = np.random.default_rng(5).integers(0, 3, 30)
    smooth = make_lowess(x)
    curve = smooth.at_risks(smooth.smooth(y, counts[None] * 1.0), x)
    error = np.repeat(np.abs(curve[0] - x), counts)

    found = calibration_errors(x, counts[None] * 1.0, curve)

    assert found["ici"][0] == pytest.approx(error.mean())
    assert found["e50"][0] == pytest.approx(np.quantile(error, 0.5))
    assert found["e90"][0] == pytest.approx(np.quantile(error, 0.9))
    assert found["emax"][0] == pytest.approx(error.max())
