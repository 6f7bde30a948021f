"""The persons of a simulated study: who they are, how they answer, how sensitive they are.

A plan in, tables out. Figures and sources: features/simulation_parameters.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import root
from scipy.special import betainc, betaincinv, ndtr, ndtri
from scipy.stats import truncnorm

from features.reference import load_reference
from features.simulation_parameters import (
    INSTRUMENT_OF,
    Parameters,
    Plan,
    condition_names,
    root_alpha,
    trait_correlation,
    trial_sd,
)
from features.spec import Vector

Codes = npt.NDArray[np.intp]
LATENT_GRID = np.linspace(-15.0, 15.0, 3001)


@dataclass(frozen=True)
class People:
    """Everything about n persons that does not depend on a bout.

    Parameters
    ----------
    table : DataFrame of shape (n, any)
        Person columns of ``cases``, complete: nothing is missing yet.
    traits : DataFrame of shape (n, n_traits), SD units within the condition
        The latent variables, ``traits.names``.
    log_ppt : ndarray of shape (n, 2), ln kPa
        True level of the pressure pain threshold, local and remote.
    pain_nrs : ndarray of shape (n,), points of 10
        Usual clinical pain.
    condition, lab : ndarray of shape (n,), int
        Positions in ``cohort.share`` and ``labs``.
    """

    table: pd.DataFrame
    traits: pd.DataFrame
    log_ppt: Vector
    pain_nrs: Vector
    condition: Codes
    lab: Codes


@dataclass(frozen=True)
class _Draw:
    """What the variables of all persons are drawn from."""

    plan: Plan
    condition: Codes
    traits: pd.DataFrame

    def normal(self, step: str, *shape: int) -> Vector:
        """Standard normal numbers of shape (n, *shape)."""
        return self.plan.rng(step).standard_normal((len(self.condition), *shape))

    def block(self, name: str) -> dict[str, Any]:
        """Marginal distribution of one variable."""
        block: dict[str, Any] = self.plan.parameters["marginals"][name]
        return block

    def figure(self, name: str, key: str) -> Vector:
        """Give every person the figure of the own condition (or the one figure for all)."""
        return by_condition(self.plan.parameters, self.block(name)[key])[self.condition]


def by_condition(tree: Parameters, value: Any) -> Vector:
    """Array over conditions of a figure given per condition, or once for all."""
    names = condition_names(tree)
    given = [value[c] for c in names] if isinstance(value, dict) else [value] * len(names)
    return np.array(given, dtype=np.float64)


def draw_people(plan: Plan) -> People:
    """Draw persons: condition, laboratory, traits and what they show."""
    tree = plan.parameters
    n = plan.n_participants
    cumulated = np.cumsum(list(tree["cohort"]["share"].values()))
    lot = plan.rng("condition").random(n)
    condition = np.searchsorted(cumulated / cumulated[-1], lot, side="right")
    lab = (plan.rng("laboratory").random(n) * len(tree["labs"])).astype(np.intp)
    names = tree["traits"]["names"]
    independent = plan.rng("traits").standard_normal((n, len(names)))
    z = pd.DataFrame(independent @ np.linalg.cholesky(trait_correlation(tree)).T, columns=names)
    draw = _Draw(plan, condition, z)
    log_ppt = _true_levels(draw)
    columns = {
        "condition": np.array(condition_names(tree))[condition],
        **_body(draw),
        **_history(draw),
        **_questionnaires(draw),
        **_sensitivity(draw, log_ppt),
    }
    return People(pd.DataFrame(columns), z, log_ppt, _pain(draw), condition, lab)


def _normal(draw: _Draw, name: str, z: Vector) -> Vector:
    block = draw.block(name)
    values = draw.figure(name, "mean") + draw.figure(name, "sd") * z
    return np.clip(values, block["low"], block["high"])


def _truncated_normal(draw: _Draw, name: str, z: Vector) -> Vector:
    """Normal cut at its bounds; the published mean and SD are those of what is left."""
    block = draw.block(name)
    low, high = block["low"], block["high"]
    given = np.column_stack([draw.figure(name, "mean"), draw.figure(name, "sd")])
    kinds, kind = np.unique(given, axis=0, return_inverse=True)
    parents = np.array([_before_the_cut(mean, sd, low, high) for mean, sd in kinds])
    mean, sd = parents[kind.ravel()].T
    below, upto = ndtr((block["low"] - mean) / sd), ndtr((block["high"] - mean) / sd)
    values: Vector = mean + sd * ndtri(below + ndtr(z) * (upto - below))
    return values


def _before_the_cut(mean: float, sd: float, low: float, high: float) -> Vector:
    """Mean and SD of the normal that has ``mean`` and ``sd`` once it is cut at its bounds."""

    def miss(parent: Vector) -> list[float]:
        centre, spread = parent[0], np.exp(parent[1])
        cut = truncnorm((low - centre) / spread, (high - centre) / spread, centre, spread)
        return [float(cut.mean()) - mean, float(cut.std()) - sd]

    found = root(miss, [mean, np.log(sd)])
    if not found.success:
        raise ValueError(
            f"expected a mean and SD that a normal between {low:g} and {high:g} can have, found "
            f"{mean:g} and {sd:g}."
        )
    return np.array([found.x[0], np.exp(found.x[1])])


def _log_normal(draw: _Draw, name: str, z: Vector) -> Vector:
    """Log-normal given by mean and SD, or by median and SD of the logarithm."""
    block = draw.block(name)
    if "median" in block:
        median, log_sd = draw.figure(name, "median"), draw.figure(name, "log_sd")
    else:
        mean = draw.figure(name, "mean")
        log_sd = np.sqrt(np.log1p((draw.figure(name, "sd") / mean) ** 2))
        median = mean * np.exp(-(log_sd**2) / 2)
    return np.clip(median * np.exp(log_sd * z), block["low"], block["high"])


def _beta_shape(draw: _Draw, name: str, sd_factor: float) -> tuple[Vector, Vector]:
    block = draw.block(name)
    span = block["high"] - block["low"]
    mean = (draw.figure(name, "mean") - block["low"]) / span
    sd = draw.figure(name, "sd") * sd_factor / span
    weight = mean * (1 - mean) / sd**2 - 1
    if (weight <= 0).any():
        raise ValueError(
            f"marginals.{name}: expected a mean inside {block['low']:g} to {block['high']:g} and "
            "an SD that this range leaves room for, found others."
        )
    return mean * weight, (1 - mean) * weight


def _beta(draw: _Draw, name: str, z: Vector, sd_factor: float = 1.0) -> Vector:
    block = draw.block(name)
    a, b = _beta_shape(draw, name, sd_factor)
    values: Vector = block["low"] + (block["high"] - block["low"]) * betaincinv(a, b, ndtr(z))
    return values


def _pain(draw: _Draw) -> Vector:
    """Usual pain: the beta distribution below the cut at which exercise is not begun."""
    block = draw.block("pain_nrs")
    a, b = _beta_shape(draw, "pain_nrs", 1.0)
    eligible = betainc(a, b, block["cut"] / block["high"])
    z = draw.traits["pain"].to_numpy()
    values: Vector = block["high"] * betaincinv(a, b, ndtr(z) * eligible)
    return values


def _body(draw: _Draw) -> dict[str, Any]:
    female = ndtr(-draw.traits["female"].to_numpy()) < draw.figure("female", "share")
    block = draw.block("height_cm")
    mean, sd = (np.where(female, block[k]["female"], block[k]["male"]) for k in ("mean", "sd"))
    height = np.clip(mean + sd * draw.normal("height"), block["low"], block["high"]).round()
    bmi = _log_normal(draw, "bmi_kg_m2", draw.traits["bmi"].to_numpy())
    weight = (bmi * (height / 100) ** 2).round(1)
    return {
        "age_years": _truncated_normal(draw, "age_years", draw.traits["age"].to_numpy()).round(),
        "sex": np.where(female, "female", "male"),
        "height_cm": height,
        "weight_kg": weight,
        "bmi_kg_m2": (weight / (height / 100) ** 2).round(1),
    }


def _history(draw: _Draw) -> dict[str, Any]:
    duration = _log_normal(draw, "pain_duration_months", draw.normal("duration")).round()
    in_pain = draw.figure("pain_duration_months", "median") > 0
    opioid = draw.plan.rng("opioid").random(len(in_pain)) < draw.figure("opioid_use", "share")
    activity = _log_normal(draw, "physical_activity_met_min_week", draw.traits["mvpa"].to_numpy())
    return {
        "pain_duration_months": np.where(in_pain, duration, 0.0),
        "opioid_use": opioid.astype(np.float64),
        "physical_activity_met_min_week": activity.round(),
    }


def _questionnaires(draw: _Draw) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    tree = draw.plan.parameters
    for trait, instrument in INSTRUMENT_OF.items():
        # Items add noise to the true total: alpha is the share of variance that is true.
        z = draw.traits[trait].to_numpy()
        true_total = _beta(draw, f"{instrument}_total", z, root_alpha(tree, trait))
        columns |= draw_answers(draw.plan, instrument, "total", true_total)
    halves: dict[str, Any] = {}
    alpha = float(np.sqrt(tree["items"]["hads"]["alpha"]))
    for scale in ("anxiety", "depression"):
        name = f"hads_{scale}"
        loading = draw.block(name)["loading"]
        # The loading is that of the observed score, whose reliable part is root alpha of it.
        loading = min(1.0, loading / alpha)
        z = loading * draw.traits["distress"] + np.sqrt(1 - loading**2) * draw.normal(name)
        halves |= draw_answers(draw.plan, "hads", scale, _beta(draw, name, z.to_numpy(), alpha))
    columns |= {f"hads_{i}": halves[f"hads_{i}"] for i in range(1, len(halves) + 1)}
    expected = _normal(draw, "expectancy", draw.traits["expectancy"].to_numpy())
    columns["expectancy"] = clip_rounded(expected, -np.inf, np.inf)
    return columns


def draw_answers(plan: Plan, instrument: str, scale: str, true_score: Vector) -> dict[str, Vector]:
    """Draw the answers of persons whose expected score is known.

    An answer is a latent value cut at the half points of the scale. The latent is placed so
    that the expected score of a person is ``true_score`` whatever the floor and ceiling of the
    items.

    Parameters
    ----------
    plan : Plan
    instrument : str
        A key of seeds/instruments.toml with a block in seeds/simulator.toml, ``items``.
    scale : str
        ``total``, or a subscale of the instrument.
    true_score : ndarray of shape (n,), points, reversed items reversed

    Returns
    -------
    dict of item column to ndarray of shape (n,), points
        As ticked: reversed items are not yet reversed.
    """
    form = load_reference("instruments.toml")[instrument]
    low, high = form["low"], form["high"]
    members = form["subscales"][scale] if scale != "total" else range(1, form["items"] + 1)
    at = np.array(members) - 1
    block = plan.parameters["items"][instrument]
    shift, loading = np.array(block["shift"])[at], np.array(block["loading"])[at]
    place = block["centre"] + shift + loading * LATENT_GRID[:, None]
    cuts = np.arange(low, high) + 0.5
    expected = low + ndtr((place[:, :, None] - cuts) / block["noise_sd"]).sum(axis=2)
    latent = np.interp(true_score, expected.sum(axis=1), LATENT_GRID)
    place = block["centre"] + shift + loading * latent[:, None]
    noise = plan.rng(f"answers {instrument} {scale}").standard_normal(place.shape)
    answers: Vector = clip_rounded(place + block["noise_sd"] * noise, low, high)
    turned = np.isin(at + 1, form["reversed"])
    answers[:, turned] = low + high - answers[:, turned]
    return {f"{instrument}_{i + 1}": a for i, a in zip(at, answers.T, strict=True)}


def clip_rounded(values: Vector, low: float, high: float) -> Vector:
    """Round to whole points within the scale, without the negative zeros of rounding."""
    return np.clip(np.rint(values), low, high) + 0.0


def _true_levels(draw: _Draw) -> Vector:
    z_remote = draw.traits["ppt"].to_numpy()
    r = draw.block("log_ppt_local")["correlation_with_remote"]
    z_local = r * z_remote + np.sqrt(1 - r**2) * draw.normal("local level")
    bounds = draw.plan.parameters["response"]
    levels = [
        np.log(draw.figure(name, "geometric_mean_kpa")) + draw.figure(name, "log_sd") * z
        for name, z in (("log_ppt_local", z_local), ("log_ppt_remote", z_remote))
    ]
    ends = np.log([bounds["level_low_kpa"], bounds["level_high_kpa"]])
    clipped: Vector = np.clip(np.column_stack(levels), ends[0], ends[1])
    return clipped


def to_device(tree: Parameters, pressure_kpa: Vector) -> Vector:
    """Clip pressures to what the device can read, kPa."""
    bounds = tree["response"]
    readable: Vector = np.clip(pressure_kpa, bounds["low_kpa"], bounds["high_kpa"])
    return readable


def _sensitivity(draw: _Draw, log_ppt: Vector) -> dict[str, Any]:
    """What the familiarisation day shows: its own day and its own trials, not the outcome's."""
    tree = draw.plan.parameters
    day = tree["response"]["day_sd"] * draw.normal("familiarisation day", 1)
    # Blocks in columns: baseline local, baseline remote, CPM test alone (remote site).
    level = log_ppt[:, [0, 1, 1]] + day
    noise = sigma_factor(tree, draw.condition)[:, None] * trial_sd(tree)
    noise = noise / np.sqrt(tree["response"]["trials"]) * draw.normal("familiarisation trials", 3)
    blocks = to_device(tree, np.exp(level + noise)).round()
    inhibition = _normal(draw, "cpm_percent", draw.traits["cpm"].to_numpy()) / 100
    rise = _normal(draw, "ts_difference_nrs", draw.traits["tsp"].to_numpy())
    first = _beta(draw, "ts_first_nrs", draw.normal("summation"))
    first = np.clip(first, np.maximum(0, -rise), np.minimum(10, 10 - rise)).round(1)
    return {
        "ppt_baseline_local_kpa": blocks[:, 0],
        "ppt_baseline_remote_kpa": blocks[:, 1],
        "cpm_ppt_unconditioned_kpa": blocks[:, 2],
        "cpm_ppt_conditioned_kpa": to_device(tree, blocks[:, 2] * (1 + inhibition)).round(),
        "ts_first_nrs": first,
        "ts_last_nrs": np.clip(first + rise, 0, 10).round(1),
    }


def sigma_factor(tree: Parameters, condition: Codes) -> Vector:
    """Factor on the spread of responses and of noise, unitless; 1 but for some conditions."""
    return by_condition(tree, tree["response"]["sigma_factor"])[condition]
