"""Scales of the change: what each one subtracts, and what ANCOVA learns from whom."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from features.outcome import compute_changes, label_changes
from features.outcome_design import Endpoint, OutcomeDesign

PPT = Endpoint("ppt_local", "ppt", "local", "post")


def study(pre, post, rest_pre=(), rest_post=()):
    """One exercise bout per person and, where given, a rest bout."""
    rows, trials = [], []
    blocks = (("aerobic", "a", pre, post), ("rest", "r", rest_pre, rest_post))
    for modality, session, before, after in blocks:
        for i, values in enumerate(zip(before, after, strict=True)):
            key = {"study_id": "s", "participant_id": f"p{i:04d}", "session_id": session}
            rows.append({**key, "modality": modality, "condition": "healthy"})
            for timepoint, value in zip(("pre", "post"), values, strict=True):
                cell = {"measure": "ppt", "site_role": "local", "timepoint": timepoint}
                trials.append({**key, **cell, "trial": 1.0, "value": value})
    return pd.DataFrame(rows), pd.DataFrame(trials)


def labelled(tables, learn_from=None, **options):
    design = OutcomeDesign((PPT,), **options)
    return label_changes(compute_changes(*tables, design), design, learn_from)


@pytest.mark.parametrize(
    ("scale", "change", "rest"),
    [
        ("primary", math.log(250 / 200), math.log(220 / 200)),
        ("log_ratio", math.log(250 / 200), math.log(220 / 200)),
        ("absolute", 250 - 200, 220 - 200),
        ("percent", 100 * 50 / 200, 100 * 20 / 200),
    ],
)
def test_a_change_and_its_rest_are_on_the_scale_of_the_design(scale, change, rest):
    table = labelled(study([200], [250], [200], [220]), change_scale=scale)

    assert table["change"].tolist() == pytest.approx([change - rest])
    assert table["rest_change"].tolist() == pytest.approx([rest])
    assert table["change_scale"].tolist() == ["log_ratio" if scale == "primary" else scale]


def test_the_error_is_on_the_scale_of_the_change():
    tables = study([200] * 3, [200] * 3, [200] * 3, [180, 200, 230])

    absolute = labelled(tables, change_scale="absolute", subtract_rest=False)
    percent = labelled(tables, change_scale="percent", subtract_rest=False)

    assert absolute["sem_change"][0] == pytest.approx(np.std([-20, 0, 30], ddof=1))
    assert percent["sem_change"][0] == pytest.approx(np.std([-10, 0, 15], ddof=1))


def test_nothing_is_subtracted_on_any_scale_where_the_design_says_so():
    table = labelled(study([200], [250], [200], [220]), change_scale="percent", subtract_rest=False)

    assert table["change"].tolist() == pytest.approx([25])
    assert table["rest_change"].isna().all()


def regressing(seed, n=400, rho=0.6):
    """Log thresholds whose changes are regression to the mean and nothing else."""
    rng = np.random.default_rng(seed)
    level = math.sqrt(rho) * rng.standard_normal(n)
    noise = math.sqrt(1 - rho) * rng.standard_normal((2, n))
    return np.exp(5.5 + 0.3 * (level + noise))


def test_the_ancova_change_is_the_residual_of_post_on_pre_plus_the_mean_change():
    pre, post = regressing(1)
    x, y = np.log(pre), np.log(post)
    slope, intercept = np.polyfit(x, y, 1)

    table = labelled(study(pre, post), change_scale="ancova")

    expected = (y - intercept - slope * x) + (y - x).mean()
    np.testing.assert_allclose(table["change"], expected, atol=1e-9)
    assert table["ancova_slope"].iloc[0] == pytest.approx(slope)


def test_the_ancova_change_is_not_coupled_to_the_reference():
    tables = study(*regressing(2))

    coupled, free = (labelled(tables, change_scale=s) for s in ("log_ratio", "ancova"))

    reference = np.log(coupled["reference"])
    # -sqrt((1 - .6) / 2) = -.447, standard error (1 - r^2) / sqrt(400) = .04.
    assert np.corrcoef(reference, coupled["change"])[0, 1] == pytest.approx(-0.447, abs=0.16)
    assert abs(np.corrcoef(reference, free["change"])[0, 1]) < 1e-9


def test_the_ancova_slope_is_learnt_from_the_persons_given():
    pre, post = regressing(3, n=60)
    post[40:] = pre[40:] * 3.0
    learn = pd.DataFrame({"study_id": "s", "participant_id": [f"p{i:04d}" for i in range(40)]})

    table = labelled(study(pre, post), learn, change_scale="ancova")

    slope = np.polyfit(np.log(pre[:40]), np.log(post[:40]), 1)[0]
    assert table["ancova_slope"].iloc[0] == pytest.approx(slope)


def test_exercise_and_rest_share_a_slope_and_keep_their_means():
    """A constant effect of exercise stays, however steep the regression to the mean."""
    rest = regressing(4, n=200)
    pre, post = regressing(5, n=200)

    table = labelled(study(pre, post * math.exp(0.2), *rest), change_scale="ancova")

    # SD of the difference of two residuals about .3, in 200 persons: standard error .022.
    assert table["change"].mean() == pytest.approx(0.2, abs=0.09)
    assert 0.3 < table["ancova_slope"].iloc[0] < 0.9


def test_without_any_spread_of_the_reference_nothing_is_adjusted():
    table = labelled(study([200, 200], [220, 260]), change_scale="ancova")

    assert table["ancova_slope"].tolist() == [1, 1]
    np.testing.assert_allclose(table["change"], np.log([1.1, 1.3]))
