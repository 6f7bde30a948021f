"""The parameters of simulated studies: one tree, from the plan and the published evidence.

seeds/simulator.toml holds the plan (bounds, designs, sessions), seeds/evidence/*.csv the figures,
one cell a row with source and confidence. A leaf of the tree has a dotted path, such as
``response.reliability`` or ``marginals.pcs_total.mean.fibromyalgia``; every leaf can be
overridden.
"""

from __future__ import annotations

import copy
import difflib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from features.reference import load_evidence, load_reference
from features.spec import Vector

Parameters = dict[str, Any]
# Figures that the simulated data must show; no parameters of the simulator.
TARGETS = "target"
# The latents that questionnaires measure with error: their correlations are given for the
# observed totals.
INSTRUMENT_OF = {"pcs": "pcs", "tsk": "tsk17"}
SHARES = (("response", ("person_share", "site_share", "exercise_share")), ("cohort.share", ()))


def evidence_targets() -> dict[str, float]:
    """Figures of the evidence that simulated data are held against, by name.

    Examples
    --------
    >>> evidence_targets()["auc_stratum"]
    0.66
    """
    mark = f"{TARGETS}."
    return {
        c["parameter"].removeprefix(mark): float(c["value"])
        for c in load_evidence()
        if c["parameter"].startswith(mark)
    }


@cache
def _published() -> Parameters:
    tree = copy.deepcopy(load_reference("simulator.toml"))
    for cell in load_evidence():
        *branch, leaf = cell["parameter"].split(".")
        if branch[0] != TARGETS:
            node = tree
            for name in branch:
                node = node.setdefault(name, {})
            node[leaf] = float(cell["value"])
    return tree


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted path and the value of every leaf: a number, a text or a list."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def simulation_parameters(overrides: Mapping[str, Any] | None = None) -> Parameters:
    """Return the tree of parameters, some leaves overridden.

    Parameters
    ----------
    overrides : mapping of dotted path to value, optional
        A number for a number, a text for a text, a list for a list of the same length.

    Returns
    -------
    dict
        A copy of the caller's own.

    Raises
    ------
    ValueError
        In one line, for an unknown path (with near matches), a value of another kind, or values
        that cannot be true together.

    Examples
    --------
    >>> simulation_parameters({"response.reliability": 0.6})["response"]["reliability"]
    0.6
    """
    tree = copy.deepcopy(_published())
    known = dict(leaves(tree))
    for path, value in (overrides or {}).items():
        if path not in known:
            raise ValueError(_unknown(path, list(known)))
        *branch, leaf = path.split(".")
        node = tree
        for name in branch:
            node = node[name]
        node[leaf] = _of_kind(path, value, known[path])
    if overrides:
        check_parameters(tree)
    return tree


def _unknown(path: str, known: list[str]) -> str:
    near = difflib.get_close_matches(path, known, n=3, cutoff=0.5)
    near += [k for k in known if k.rpartition(".")[2] == path.rpartition(".")[2]][: 3 - len(near)]
    hint = f"; near: {', '.join(dict.fromkeys(near))}" if near else ""
    return f"parameter '{path}': expected a parameter of the simulator, found none{hint}."


def _of_kind(path: str, value: Any, old: Any) -> Any:
    """Return ``value`` if it is what ``old`` is, a whole number as a float where one is meant."""
    if isinstance(old, list):
        if not isinstance(value, list) or len(value) != len(old):
            raise ValueError(f"parameter '{path}': expected a list of {len(old)}, found another.")
        return [_of_kind(path, v, o) for v, o in zip(value, old, strict=True)]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(old, str):
        if not isinstance(value, str):
            raise ValueError(f"parameter '{path}': expected a text, found {value!r}.")
        return value
    if not is_number or not np.isfinite(value):
        raise ValueError(f"parameter '{path}': expected a number, found {value!r}.")
    return value


def check_parameters(tree: Parameters) -> None:
    """Raise ValueError, in one line, where parameters cannot be true together."""
    for path, value in leaves(tree):
        _check_leaf(path, value)
    for where, names in SHARES:
        node = tree["cohort"]["share"] if where == "cohort.share" else tree[where]
        total = sum(node[n] for n in (names or node))
        if abs(total - 1) > 1e-9:
            raise ValueError(f"{where}: expected shares that add up to 1, found {total:.4g}.")
    smallest = float(np.linalg.eigvalsh(trait_correlation(tree))[0])
    if smallest <= 0:
        raise ValueError(
            "correlation: expected correlations that can be true together (a positive definite "
            f"matrix), found a smallest eigenvalue of {smallest:.3g}."
        )


def _check_leaf(path: str, value: Any) -> None:
    name = path.rpartition(".")[2]
    unit_range = ("share", "reliability", "alpha", "rate", "dropout", "loading")
    last = path.split(".")[-2] if path.startswith(("cohort", "marginals.")) else name
    if isinstance(value, int | float):
        spread = {name, last} & {"sd", "log_sd", "sigma", "day_sd", "noise_sd", "laboratory_sd"}
        if spread and value < 0:
            raise ValueError(f"parameter '{path}': expected 0 or more, found {value:.4g}.")
        in_unit = any(name == n or name.endswith(f"_{n}") for n in unit_range) or path.startswith(
            ("flare.rate.", "cohort.share.", "missing.")
        )
        if in_unit and not 0 <= value <= 1:
            raise ValueError(f"parameter '{path}': expected 0 to 1, found {value:.4g}.")
        if name in ("trials", "reliability_trials", "weeks") and (value < 1 or value != int(value)):
            raise ValueError(f"parameter '{path}': expected a whole number from 1, found {value}.")


def check_scenario(tree: Parameters, scenario: str) -> None:
    """Raise ValueError, in one line, for a scenario that is unknown or explains too much."""
    if scenario not in tree["scenarios"]:
        known = ", ".join(tree["scenarios"])
        raise ValueError(f"scenario: expected one of {known}, found '{scenario}'.")
    reliability = tree["response"]["reliability"]
    for condition in condition_names(tree):
        r2 = person_variance(tree, scenario, condition)
        if r2 > reliability:
            raise ValueError(
                f"scenario '{scenario}', {condition}: expected the traits to explain at most the "
                f"reliable part of a change ({reliability:.3g}), found {r2:.3g}. Raise "
                "response.reliability or lower the coefficients."
            )


def condition_names(tree: Parameters) -> list[str]:
    """Return the conditions, in the order of ``cohort.share``."""
    return list(tree["cohort"]["share"])


def trait_correlation(tree: Parameters) -> Vector:
    """Correlation matrix of the latent traits, in the order of ``traits.names``.

    Correlations of PCS and TSK are divided by the root of alpha, so that the totals, which
    measure the latent with error, correlate as published.
    """
    names = tree["traits"]["names"]
    matrix = np.eye(len(names))
    for first, others in tree["correlation"].items():
        for second, r in others.items():
            i, j = names.index(first), names.index(second)
            both = root_alpha(tree, first) * root_alpha(tree, second)
            matrix[i, j] = matrix[j, i] = r / both
    return matrix


def root_alpha(tree: Parameters, trait: str) -> float:
    """Correlation of a questionnaire's total with what it measures; 1 for other traits."""
    if trait not in INSTRUMENT_OF:
        return 1.0
    return float(np.sqrt(tree["items"][INSTRUMENT_OF[trait]]["alpha"]))


def coefficients(tree: Parameters, scenario: str, condition: str) -> Vector:
    """Coefficients per SD of the traits within a condition, interactions included."""
    own = dict(tree["scenarios"][scenario]["beta"])
    if any(own.values()):
        for trait, beta in tree["interactions"].get(condition, {}).items():
            own[trait] = own.get(trait, 0.0) + beta
    return np.array([own.get(name, 0.0) for name in tree["traits"]["names"]])


def person_variance(tree: Parameters, scenario: str, condition: str) -> float:
    """Share of the variance of an observed change that the traits explain within a condition.

    Returns
    -------
    float, unitless in [0, 1]
        R2 = beta' R beta, with R the correlation matrix of the traits.
    """
    beta = coefficients(tree, scenario, condition)
    return float(beta @ trait_correlation(tree) @ beta)


def trial_sd(tree: Parameters) -> float:
    """SD of one trial about its block, log units, of conditions with a sigma factor of 1.

    Examples
    --------
    >>> round(trial_sd(simulation_parameters()), 3)
    0.08
    """
    response = tree["response"]
    trials = response["trial_share"] * _noise(response)
    return float(np.sqrt(trials * response["reliability_trials"] / 4))


def occasion_sd(tree: Parameters) -> float:
    """SD of the noise of one bout that is not trial noise, log units.

    What remains of the noise of a change when the trials of its four blocks are taken out; half
    of it comes from the bout, half from the rest bout.

    Examples
    --------
    >>> round(occasion_sd(simulation_parameters()), 3)
    0.034
    """
    response = tree["response"]
    return float(np.sqrt((1 - response["trial_share"]) * _noise(response) / 2))


def _noise(response: Parameters) -> float:
    """Variance of the noise of one change with the trials that ``reliability`` was read for."""
    return float(response["sigma"] ** 2 * (1 - response["reliability"]))


@dataclass(frozen=True)
class Plan:
    """One simulated study to be: its size, scenario, seed and parameters."""

    n_participants: int
    scenario: str
    seed: int
    parameters: Parameters

    def rng(self, step: str) -> np.random.Generator:
        """Return the random numbers of one step.

        Every step has a stream of its own: a change in one step leaves the others alone, and
        since arrays are filled person by person, a person's numbers do not depend on how many
        follow.
        """
        return np.random.default_rng([self.seed, zlib.crc32(step.encode())])
