"""The simulator's own truth: a trait of stated strength is found as often as planned, noise is not.

One large simulated study is cut into many of the size planned for. Readings become changes,
changes labels (each small study learns its own threshold), cases become features, as in a study.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f as f_distribution
from scipy.stats import multivariate_normal, ncf, norm

from features.build import build_features
from features.columns import KEYS
from features.outcome import compute_changes
from features.simulation_parameters import simulation_parameters
from models.biomarker import compare
from models.nested import Nested, fit_nested, reduced
from models.score_test import score_test
from pipeline.biomarker_columns import resolve
from pipeline.relabel import LabelSource
from pipeline.simulate import simulate
from pipeline.study_folder import read_cases, read_design, read_measurements

N_STUDIES, N_PERSONS, N_NOISE = 56, 75, 10
# Expectancy moves the change by this share of an SD per SD; nothing else of a person does.
BETA = 0.35
OVERRIDES = {
    "scenarios.null.beta.expectancy": BETA,
    "interactions.knee_osteoarthritis.age": 0.0,
    "interactions.chronic_neck_pain.mvpa": 0.0,
    "interactions.whiplash.mvpa": 0.0,
    "old_age.beta": 0.0,
}
# Planning figures: responses among bouts of healthy people and of people in pain, with their
# shares; SD of a change within condition and modality, log units (sigma .14, laboratories .03,
# and exercises of one modality that differ).
PREVALENCE = ((0.3, 0.6), (0.7, 0.3))
SD_CHANGE = 0.148
BASE = ("age_years", "sex", "condition", "modality")


@dataclass(frozen=True)
class Small:
    """Rows of one small study: label, base columns and true marker; each row's person."""

    y: np.ndarray
    base: np.ndarray
    marker: np.ndarray
    person: np.ndarray


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[Small]:
    folder = tmp_path_factory.mktemp("truth")
    simulate(N_STUDIES * N_PERSONS, "null", 11, folder, OVERRIDES)
    design, cases = read_design(folder), read_cases(folder)
    changes = compute_changes(cases, read_measurements(folder), design)
    local = changes[changes["endpoint"] == "local_ppt"]
    exercise = local.loc[~local["is_rest"] & local["change"].notna(), list(KEYS)]
    rows = cases.merge(exercise, on=list(KEYS)).sort_values(list(KEYS), ignore_index=True)
    features = build_features(rows)
    base, marker = (
        pd.concat([resolve(n, rows, features).columns for n in names], axis=1).to_numpy(float)
        for names in (BASE, ("expectancy",))
    )
    number = pd.factorize(rows["participant_id"], sort=True)[0]
    study_of_change = pd.factorize(local["participant_id"], sort=True)[0] // N_PERSONS
    found = []
    for at in range(N_STUDIES):
        source = LabelSource(local[study_of_change == at], design, "response")
        here = number // N_PERSONS == at
        y = source.labels(rows.loc[here, list(KEYS)], None, soft=False)[0]
        known = np.isfinite(np.column_stack([y, base[here], marker[here]])).all(axis=1)
        own = (y, base[here], marker[here], number[here])
        found.append(Small(*(part[known] for part in own)))
    return found


def judged(data: Small, added: np.ndarray) -> Nested:
    return reduced(Nested(data.y, data.base, added, data.person))


def promised_power(n_base: int) -> float:
    """Power of the score test from the strength that was set, before any study is simulated.

    A label cuts a normal change at the quantile of its prevalence p. A row's score has mean
    beta * density there and variance p (1 - p); rows of a person share what is stable of it.
    Each column of the base costs a person.
    """
    tree = simulation_parameters()
    response, bouts = tree["response"], 2 + tree["sessions"]["repeat_share"]
    shared = response["person_share"] + response["site_share"]
    beta = BETA * response["sigma"] / SD_CHANGE
    latent = BETA**2 + (response["reliability"] - BETA**2) * shared
    score, variance = 0.0, 0.0
    for share, p in PREVALENCE:
        cut = norm.ppf(p)
        both = multivariate_normal([0, 0], [[1, latent], [latent, 1]]).cdf([cut, cut])
        score += share * bouts * beta * norm.pdf(cut)
        variance += share * (bouts * p * (1 - p) + bouts * (bouts - 1) * (both - p**2))
    left = N_PERSONS - n_base - 2
    noncentrality = (N_PERSONS - n_base) * score**2 / variance
    return float(ncf.sf(f_distribution.ppf(0.95, 1, left), 1, left, noncentrality))


def noise_p_values(studies: list[Small], rng: np.random.Generator) -> Iterator[float]:
    for data in studies:
        base = judged(data, data.marker).base
        for _ in range(N_NOISE):
            of_person = rng.normal(size=int(data.person.max()) + 1)
            yield score_test(data.y, base, of_person[data.person][:, None], data.person).p_value


@pytest.mark.slow
def test_a_trait_of_stated_strength_is_found_at_the_planned_power(studies: list[Small]) -> None:
    # Columns of the base: age, sex, seven conditions, two modalities.
    promised = promised_power(11)

    p_values = []
    for data in studies:
        nested = judged(data, data.marker)
        p_values.append(compare(nested, fit_nested(nested))["test"]["p_value"])

    assert 0.6 < promised < 0.85
    # Three standard errors of a share, and 3 % for what the plan leaves out (the ends of the scale
    # of expectancy, a threshold that is estimated).
    error = np.sqrt(promised * (1 - promised) / N_STUDIES)
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(promised, abs=3 * error + 0.03)


@pytest.mark.slow
def test_noise_is_called_at_its_level_in_simulated_studies(studies: list[Small]) -> None:
    p_values = np.array(list(noise_p_values(studies, np.random.default_rng(12))))

    assert len(p_values) == N_STUDIES * N_NOISE
    # 5 % + 2 standard errors of a share of 5 %.
    assert np.mean(p_values < 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(p_values))


@pytest.mark.slow
def test_a_proxy_of_the_base_is_called_at_its_level_in_simulated_studies(
    studies: list[Small],
) -> None:
    """Half of it is a mix of base columns, so that it goes with response; the rest is noise."""
    rng = np.random.default_rng(13)
    called = []
    for data in studies:
        mix = data.base @ rng.normal(size=data.base.shape[1])
        proxy = mix + mix.std() * rng.normal(size=int(data.person.max()) + 1)[data.person]
        nested = judged(data, proxy[:, None])
        test = score_test(nested.y, nested.base, nested.added, nested.person)
        called.append(test.p_value < 0.05)

    assert np.mean(called) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / N_STUDIES)
