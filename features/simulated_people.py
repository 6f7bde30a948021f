"""The persons of a simulated study: who they are, how they answer, how sensitive they are.

Numbers and a generator in, tables out. Every figure is in seeds/simulator.toml with its source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betainc, betaincinv, ndtr, ndtri

from features.reference import load_reference
from features.spec import Vector

Codes = npt.NDArray[np.intp]
# The latents that questionnaires measure with error: their correlations are given for the
# observed totals (seeds/simulator.toml, correlation).
INSTRUMENT_OF = {"pcs": "pcs", "tsk": "tsk17"}
LATENT_GRID = np.linspace(-15.0, 15.0, 3001)


@dataclass(frozen=True)
class People:
    """Everything about n persons that does not depend on a bout.

    Parameters
    ----------
    table : DataFrame of shape (n, any)
        Person columns of ``cases``, complete: nothing is missing yet.
    traits : DataFrame of shape (n, n_variables), SD units within the condition
        The latent variables of seeds/simulator.toml, ``correlation``.
    log_ppt : ndarray of shape (n, 2), ln kPa
        True level of the pressure pain threshold, local and remote.
    pain_nrs : ndarray of shape (n,), points of 10
        Usual clinical pain.
    condition, lab : ndarray of shape (n,), int
        Positions in ``conditions`` and ``labs`` of seeds/simulator.toml.
    """

    table: pd.DataFrame
    traits: pd.DataFrame
    log_ppt: Vector
    pain_nrs: Vector
    condition: Codes
    lab: Codes


def parameters() -> dict[str, Any]:
    """Return the content of seeds/simulator.toml."""
    return load_reference("simulator.toml")


def marginal(name: str) -> dict[str, Any]:
    """Return the block of one variable's marginal distribution."""
    block: dict[str, Any] = parameters()["marginals"][name]
    return block


def trait_correlation() -> Vector:
    """Correlation matrix of the latent traits, in the order of ``correlation.variables``.

    Correlations of PCS and TSK are divided by the root of alpha, so that the totals, which
    measure the latent with error, correlate as published.
    """
    block = parameters()["correlation"]
    names = block["variables"]
    matrix = np.eye(len(names))
    for group in block["block"]:
        for first, second, r in group["pairs"]:
            i, j = names.index(first), names.index(second)
            matrix[i, j] = matrix[j, i] = r / (_root_alpha(first) * _root_alpha(second))
    return matrix


def _root_alpha(trait: str) -> float:
    if trait not in INSTRUMENT_OF:
        return 1.0
    return float(np.sqrt(parameters()["items"][INSTRUMENT_OF[trait]]["alpha"]))


def draw_people(n_participants: int, rng: np.random.Generator) -> People:
    """Draw persons: condition, laboratory, traits and what they show.

    Parameters
    ----------
    n_participants : int, >= 1
    rng : Generator

    Returns
    -------
    People
    """
    settings = parameters()
    condition = rng.choice(
        len(settings["conditions"]), size=n_participants, p=settings["cohort"]["share"]
    )
    lab = rng.integers(len(settings["labs"]), size=n_participants)
    names = settings["correlation"]["variables"]
    independent = rng.standard_normal((n_participants, len(names)))
    z = pd.DataFrame(independent @ np.linalg.cholesky(trait_correlation()).T, columns=names)
    log_ppt = _true_levels(z["ppt"].to_numpy(), condition, rng)
    columns = {
        "condition": np.array(settings["conditions"])[condition],
        **_body(z, condition, rng),
        **_history(z, condition, rng),
        **_questionnaires(z, condition, rng),
        **_sensitivity(z, condition, log_ppt, rng),
    }
    pain = _pain(z["pain"].to_numpy(), condition)
    return People(pd.DataFrame(columns), z, log_ppt, pain, condition, lab)


def _column(block: dict[str, Any], key: str, condition: Codes) -> Vector:
    """Give every person the figure of the own condition (or the one figure for all)."""
    values = np.asarray(block[key], dtype=np.float64)
    return values[condition] if values.ndim else np.full(len(condition), values)


def _normal(name: str, z: Vector, condition: Codes) -> Vector:
    block = marginal(name)
    values = _column(block, "mean", condition) + _column(block, "sd", condition) * z
    return np.clip(values, block["low"], block["high"])


def _truncated_normal(name: str, z: Vector, condition: Codes) -> Vector:
    block = marginal(name)
    mean, sd = _column(block, "mean", condition), _column(block, "sd", condition)
    below, upto = ndtr((block["low"] - mean) / sd), ndtr((block["high"] - mean) / sd)
    values: Vector = mean + sd * ndtri(below + ndtr(z) * (upto - below))
    return values


def _log_normal(name: str, z: Vector, condition: Codes) -> Vector:
    """Log-normal given by mean and SD, or by median and SD of the logarithm."""
    block = marginal(name)
    if "median" in block:
        median, log_sd = _column(block, "median", condition), _column(block, "log_sd", condition)
    else:
        mean = _column(block, "mean", condition)
        log_sd = np.sqrt(np.log1p((_column(block, "sd", condition) / mean) ** 2))
        median = mean * np.exp(-(log_sd**2) / 2)
    return np.clip(median * np.exp(log_sd * z), block["low"], block["high"])


def _beta_shape(block: dict[str, Any], condition: Codes, sd_factor: float) -> tuple[Vector, Vector]:
    span = block["high"] - block["low"]
    mean = (_column(block, "mean", condition) - block["low"]) / span
    sd = _column(block, "sd", condition) * sd_factor / span
    weight = mean * (1 - mean) / sd**2 - 1
    return mean * weight, (1 - mean) * weight


def _beta(name: str, z: Vector, condition: Codes, sd_factor: float = 1.0) -> Vector:
    block = marginal(name)
    a, b = _beta_shape(block, condition, sd_factor)
    values: Vector = block["low"] + (block["high"] - block["low"]) * betaincinv(a, b, ndtr(z))
    return values


def _pain(z: Vector, condition: Codes) -> Vector:
    """Usual pain: the beta distribution below the cut at which exercise is not begun."""
    block = marginal("pain_nrs")
    a, b = _beta_shape(block, condition, 1.0)
    eligible = betainc(a, b, block["cut"] / block["high"])
    values: Vector = block["high"] * betaincinv(a, b, ndtr(z) * eligible)
    return values


def _body(z: pd.DataFrame, condition: Codes, rng: np.random.Generator) -> dict[str, Any]:
    female = ndtr(-z["female"].to_numpy()) < _column(marginal("female"), "share", condition)
    block = marginal("height_cm")
    which = np.where(female, 0, 1)
    spread = rng.standard_normal(len(condition))
    height = np.array(block["mean"])[which] + np.array(block["sd"])[which] * spread
    height = np.clip(height, block["low"], block["high"]).round()
    bmi = _log_normal("bmi_kg_m2", z["bmi"].to_numpy(), condition)
    weight = (bmi * (height / 100) ** 2).round(1)
    return {
        "age_years": _truncated_normal("age_years", z["age"].to_numpy(), condition).round(),
        "sex": np.where(female, "female", "male"),
        "height_cm": height,
        "weight_kg": weight,
        "bmi_kg_m2": (weight / (height / 100) ** 2).round(1),
    }


def _history(z: pd.DataFrame, condition: Codes, rng: np.random.Generator) -> dict[str, Any]:
    n = len(condition)
    duration = _log_normal("pain_duration_months", rng.standard_normal(n), condition).round()
    in_pain = _column(marginal("pain_duration_months"), "median", condition) > 0
    opioid = rng.random(n) < _column(marginal("opioid_use"), "share", condition)
    activity = _log_normal("physical_activity_met_min_week", z["mvpa"].to_numpy(), condition)
    return {
        "pain_duration_months": np.where(in_pain, duration, 0.0),
        "opioid_use": opioid.astype(np.float64),
        "physical_activity_met_min_week": activity.round(),
    }


def _questionnaires(z: pd.DataFrame, condition: Codes, rng: np.random.Generator) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for trait, instrument in INSTRUMENT_OF.items():
        # Items add noise to the true total: alpha is the share of variance that is true.
        true_total = _beta(
            f"{instrument}_total", z[trait].to_numpy(), condition, _root_alpha(trait)
        )
        answers = draw_answers(instrument, true_total, rng)
        columns |= {f"{instrument}_{i}": a for i, a in enumerate(answers.T, start=1)}
    for name in ("hads_anxiety", "hads_depression"):
        loading = marginal(name)["loading"]
        own = np.sqrt(1 - loading**2) * rng.standard_normal(len(condition))
        columns[name] = _beta(name, loading * z["distress"].to_numpy() + own, condition).round()
    expected = _normal("expectancy", z["expectancy"].to_numpy(), condition)
    columns["expectancy"] = clip_rounded(expected, -np.inf, np.inf)
    return columns


def draw_answers(instrument: str, true_total: Vector, rng: np.random.Generator) -> Vector:
    """Draw the answers of persons whose expected total is known.

    An answer is a latent value cut at the half points of the scale. The latent is placed so
    that the expected total of a person is ``true_total`` whatever the floor and ceiling of the
    items.

    Parameters
    ----------
    instrument : str
        A key of seeds/instruments.toml with a block in seeds/simulator.toml, ``items``.
    true_total : ndarray of shape (n,), points, reversed items reversed
    rng : Generator

    Returns
    -------
    ndarray of shape (n, n_items), points
        As ticked: reversed items are not yet reversed.
    """
    form = load_reference("instruments.toml")[instrument]
    low, high = form["low"], form["high"]
    block = parameters()["items"][instrument]
    shift, loading = np.array(block["shift"]), np.array(block["loading"])
    place = block["centre"] + shift + loading * LATENT_GRID[:, None]
    cuts = np.arange(low, high) + 0.5
    expected = low + ndtr((place[:, :, None] - cuts) / block["noise_sd"]).sum(axis=2)
    latent = np.interp(true_total, expected.sum(axis=1), LATENT_GRID)
    place = block["centre"] + shift + loading * latent[:, None]
    noise = block["noise_sd"] * rng.standard_normal(place.shape)
    answers: Vector = clip_rounded(place + noise, low, high)
    turned = [item - 1 for item in form["reversed"]]
    answers[:, turned] = low + high - answers[:, turned]
    return answers


def clip_rounded(values: Vector, low: float, high: float) -> Vector:
    """Round to whole points within the scale, without the negative zeros of rounding."""
    return np.clip(np.rint(values), low, high) + 0.0


def _true_levels(z_remote: Vector, condition: Codes, rng: np.random.Generator) -> Vector:
    r = marginal("log_ppt_local")["correlation_with_remote"]
    z_local = r * z_remote + np.sqrt(1 - r**2) * rng.standard_normal(len(condition))
    bounds = parameters()["response"]
    levels = []
    for name, z in (("log_ppt_local", z_local), ("log_ppt_remote", z_remote)):
        block = marginal(name)
        mean = np.log(_column(block, "geometric_mean_kpa", condition))
        levels.append(mean + _column(block, "log_sd", condition) * z)
    ends = np.log([bounds["level_low_kpa"], bounds["level_high_kpa"]])
    clipped: Vector = np.clip(np.column_stack(levels), ends[0], ends[1])
    return clipped


def to_device(pressure_kpa: Vector) -> Vector:
    """Clip pressures to what the device can read, kPa."""
    settings = parameters()["response"]
    readable: Vector = np.clip(pressure_kpa, settings["low_kpa"], settings["high_kpa"])
    return readable


def _sensitivity(
    z: pd.DataFrame, condition: Codes, log_ppt: Vector, rng: np.random.Generator
) -> dict[str, Any]:
    """What the familiarisation day shows: its own day and its own trials, not the outcome's."""
    n = len(condition)
    settings = parameters()["response"]
    day = settings["day_sd"] * rng.standard_normal((n, 1))
    # Blocks in columns: baseline local, baseline remote, CPM test alone (remote site).
    level = log_ppt[:, [0, 1, 1]] + day
    factor = sigma_factor(condition)[:, None]
    noise = factor * settings["trial_sd"] / np.sqrt(settings["trials"])
    blocks = to_device(np.exp(level + noise * rng.standard_normal((n, 3)))).round()
    inhibition = _normal("cpm_percent", z["cpm"].to_numpy(), condition) / 100
    rise = _normal("ts_difference_nrs", z["tsp"].to_numpy(), condition)
    first = _beta("ts_first_nrs", rng.standard_normal(n), condition)
    first = np.clip(first, np.maximum(0, -rise), np.minimum(10, 10 - rise)).round(1)
    return {
        "ppt_baseline_local_kpa": blocks[:, 0],
        "ppt_baseline_remote_kpa": blocks[:, 1],
        "cpm_ppt_unconditioned_kpa": blocks[:, 2],
        "cpm_ppt_conditioned_kpa": to_device(blocks[:, 2] * (1 + inhibition)).round(),
        "ts_first_nrs": first,
        "ts_last_nrs": np.clip(first + rise, 0, 10).round(1),
    }


def sigma_factor(condition: Codes) -> Vector:
    """Factor on the spread of responses and of noise, unitless; 1 but for some conditions."""
    settings = parameters()
    factors = settings["response"]["sigma_factor"]
    return np.array([factors.get(name, 1.0) for name in settings["conditions"]])[condition]


def punch_holes(
    table: pd.DataFrame, groups: Sequence[Sequence[str]], rng: np.random.Generator
) -> pd.DataFrame:
    """Blank values completely at random, at the rate of seeds/simulator.toml.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, any)
    groups : columns that are blanked together
    rng : Generator

    Returns
    -------
    DataFrame, a copy
    """
    rate = parameters()["missing"]["rate"]
    blank = rng.random((len(table), len(groups))) < rate
    holed = {
        name: table[name].mask(blank[:, i]) for i, group in enumerate(groups) for name in group
    }
    return table.assign(**holed)
