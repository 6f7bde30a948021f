"""With no true effect, a baseline that shares the outcome's reference looks like a predictor."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from features.outcome import compute_changes, label_changes
from features.outcome_design import Endpoint, OutcomeDesign
from models.classifiers import FeatureRoles, LadderSettings, make_ladder
from models.metrics import Judged, auc
from models.splits import make_split_plan
from models.validation import cross_validate

PPT = Endpoint("ppt", "ppt", "local", "post")
N = 1200
RHO = 0.8


def null_study(seed):
    """Nothing changes: level and three independent readings of it; a rest bout for the error."""
    rng = np.random.default_rng(seed)
    level = math.sqrt(RHO) * rng.standard_normal((N, 1))
    log = 5.5 + 0.3 * (level + math.sqrt(1 - RHO) * rng.standard_normal((N, 5)))
    keys = pd.DataFrame({"study_id": "s", "participant_id": [f"p{i:04d}" for i in range(N)]})
    cases, readings = [], []
    for modality, columns in (("aerobic", (0, 1)), ("rest", (2, 3))):
        bout = keys.assign(session_id=modality)
        cases.append(bout.assign(modality=modality, condition="healthy"))
        readings += [
            bout.assign(timepoint=t, value=np.exp(log[:, c]))
            for t, c in zip(("pre", "post"), columns, strict=True)
        ]
    measurements = pd.concat(readings).assign(measure="ppt", site_role="local", trial=1.0)
    return pd.concat(cases), measurements, log[:, 0], log[:, 4]


def auc_of_baseline(seed, which, **options):
    """Out-of-fold AUC of the ladder's ``baseline`` rung, and r of the baseline and the change."""
    cases, measurements, pre, independent = null_study(seed)
    design = OutcomeDesign((PPT,), subtract_rest=False, **options)
    table = label_changes(compute_changes(cases, measurements, design), design)
    baseline = {"coupled": pre, "independent": independent}[which]
    X = pd.DataFrame({"sensitivity": baseline})
    y, person = table["response"].to_numpy(), np.arange(N)
    plan = make_split_plan(y, person, repeats=1, folds=5, inner_folds=2, seed=1)
    settings = LadderSettings((8.0,), (0.1,), (1,), (10,))
    rung = make_ladder(FeatureRoles((), ("sensitivity",), ("sensitivity",)), settings)[2]
    found = cross_validate(X, y, plan, [rung]).predictions
    block = found["fold"].to_numpy()
    judged = Judged(y, person, block[None, :])
    value = auc(judged, found["p_baseline"].to_numpy(), np.ones((1, N)), block)[0]
    return value, np.corrcoef(baseline, table["change"])[0, 1]


# 16 % of 1200 have an event: standard error of an AUC about .5 is sqrt(1201 / (12 * 192 * 1008))
# = .0227; of a correlation (1 - r^2) / sqrt(1200) < .029.
AUC_ERROR = 0.0227
R_ERROR = 0.029


@pytest.mark.parametrize("seed", range(3))
def test_the_outcome_s_own_pre_value_predicts_noise(seed):
    value, r = auc_of_baseline(seed, "coupled")

    assert r == pytest.approx(-math.sqrt((1 - RHO) / 2), abs=4 * R_ERROR)
    assert value > 0.5 + 4 * AUC_ERROR


@pytest.mark.parametrize("seed", range(3))
def test_an_independent_block_predicts_no_noise(seed):
    value, r = auc_of_baseline(seed, "independent")

    assert r == pytest.approx(0, abs=4 * R_ERROR)
    # Learnt from noise, the sign is as often wrong as right; a little more often in the test
    # fold, whose events are those the training folds lack.
    assert value == pytest.approx(0.5, abs=4 * AUC_ERROR)


@pytest.mark.parametrize("seed", range(3))
def test_the_ancova_change_takes_the_coupling_out(seed):
    value, r = auc_of_baseline(seed, "coupled", change_scale="ancova")

    # The slope is common to exercise and rest, so that r is near 0 and not exactly there.
    assert r == pytest.approx(0, abs=4 * R_ERROR)
    assert value == pytest.approx(0.5, abs=4 * AUC_ERROR)
