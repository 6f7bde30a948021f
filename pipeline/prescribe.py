"""Tool ``prescribe``: a menu of exercises per person, safety first, ranked where data carry it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.build import SPECS, build_features
from features.columns import KEYS
from features.contract import check_cases
from features.menu import Option, offered, option_features
from features.reference import load_reference
from features.safety import Offer, SafetyRule, holds
from models.prescription import rank_options
from pipeline.config import build
from pipeline.design import OBSERVATIONAL, WORDING
from pipeline.errors import ConfigError, TableError
from pipeline.io import read_table, read_toml, write_table
from pipeline.policy import utility_of
from pipeline.policy_words import SIMULATED
from pipeline.rejects import list_rejects
from pipeline.stored_policy import Policy, read_policy

Vector = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
RANKED, BLOCKED, HELD, NO_EVIDENCE = "ranked", "blocked", "held", "no_evidence"
MENU, RULES = "exercise_menu.toml", "safety_rules.toml"
UNKNOWN_REGION = "painful region unknown: whether it is loaded cannot be said"
# What an option decides, and no person: dose features that mix both are left to their ranges.
OF_OPTIONS = {
    s.name: s.sources
    for s in SPECS
    if s.name.startswith(("modality_", "body_region_", "frequency", "programme", "cointervention_"))
}
# How many terms are named as reasons of an option's place.
TOP_TERMS = 2


@dataclass(frozen=True)
class Offers:
    """One option for every person, before it is ranked."""

    option: Option
    utility: Vector  # (1 + n_refits, n_persons)
    response: Vector
    harm: Vector
    terms: Vector  # (n_persons, n_terms), contribution to the linear predictor
    missing: list[list[str]]  # why there is no evidence, per person
    marks: list[list[str]]
    held: Flags
    blocked: Flags

    @property
    def silent(self) -> Flags:
        """Return for whom the data say nothing."""
        return _any(self.missing)


def _any(reasons: Sequence[Sequence[str]]) -> Flags:
    # Of no rows too it is an array of flags.
    return np.array([bool(r) for r in reasons], dtype=bool)


def run(
    model: Path, source: Path, output: Path, menu: Path | None, *, allow_associational: bool
) -> dict[str, Any]:
    """Rank the options of a menu for every row of cases.

    Parameters
    ----------
    model : Path
        What 'eih policy' wrote, or the study folder that holds it.
    source : Path
        Cases; the exercise they name, if any, is not looked at.
    output : Path
        Table with one row per person and option; rejected rows go beside it.
    menu : Path, optional
        TOML of options; default: seeds/exercise_menu.toml.
    allow_associational : bool
        Whether options are ranked where the design carries no effect; every row then says so.

    Returns
    -------
    dict with ``note, wording, verdict, rows_in, rows, options, rejected, by_status, blocked,
    screening_unknown, rejects``

    Raises
    ------
    ConfigError
        For a menu that cannot be read, and for an observational policy that was not allowed.
    BundleError
        For a policy of another contract.
    """
    policy = read_policy(model)
    if policy.record["design"] == OBSERVATIONAL and not allow_associational:
        raise ConfigError(
            f"{model}: expected a policy of a crossover or of randomised arms, found an "
            "observational one. No option is ranked; --allow-associational gives an associational "
            f"scenario. {policy.record['overlap_note']}"
        )
    options, rules = read_menu(menu), read_rules()
    cases, position, rejects = _read_cases(source)
    table = prescribe(policy, cases, options, rules)
    table.insert(0, "row", np.repeat(position, len(options)))
    write_table(table, output)
    rejects_file = output.with_name(f"{output.stem}.rejects.csv")
    write_table(rejects, rejects_file)
    statuses = table["status"].value_counts()
    return {
        "note": SIMULATED if policy.simulated else "",
        "wording": WORDING[policy.record["design"]],
        "verdict": policy.record["verdict"],
        "rows_in": len(position) + len(rejects),
        "rows": len(position),
        "options": len(options),
        "rejected": len(rejects),
        "by_status": {str(k): int(v) for k, v in statuses.items()},
        "blocked": int((table["status"] == BLOCKED).sum() / len(options)),
        "screening_unknown": int((table["screening"] == "unknown").sum() / len(options)),
        "rejects": str(rejects_file),
    }


def lines(result: Mapping[str, Any]) -> list[str]:
    """Say what was ranked and on what grounds."""
    said = [result["note"]] if result["note"] else []
    counts = ", ".join(f"{k} {v}" for k, v in result["by_status"].items())
    return [
        *said,
        f"{result['wording']}.",
        f"{result['verdict']}.",
        f"{result['rows']} rows x {result['options']} options: {counts}; "
        f"{result['blocked']} rows blocked, {result['screening_unknown']} with unknown screening, "
        f"{result['rejected']} rejected. No prediction is a clearance.",
    ]


# ---- what is read ----------------------------------------------------------------------------


def read_menu(path: Path | None) -> dict[str, Option]:
    """Read a menu of options by name.

    Raises
    ------
    ConfigError
        Naming the option and the key that is wrong.
    """
    content = load_reference(MENU) if path is None else read_toml(path)
    where = "menu" if path is None else str(path)
    if not content:
        raise ConfigError(f"{where}: expected at least one option, found none.")
    return {name: build(Option, entry, f"{where}, {name}") for name, entry in content.items()}


def read_rules() -> dict[str, SafetyRule]:
    """Read the safety rules of the project."""
    content = load_reference(RULES)
    return {name: build(SafetyRule, entry, f"{RULES}, {name}") for name, entry in content.items()}


def _read_cases(source: Path) -> tuple[pd.DataFrame, npt.NDArray[np.int64], pd.DataFrame]:
    """Checked cases with their positions, and the rejects; a modality is not asked for."""
    raw = read_table(source)
    if "modality" not in raw.columns:
        raw = raw.assign(modality="aerobic")  # replaced by every option's own
    checked = check_cases(raw, unique=False)
    whole = [v for v in checked.violations if not v.rows]
    if whole:
        raise TableError("\n".join(v.message(str(source)) for v in whole))
    violations = [v for v in checked.violations if v.rows]
    good = np.ones(len(raw), dtype=bool)
    for violation in violations:
        good[list(violation.rows)] = False
    position = np.arange(len(raw))
    rejects = list_rejects(raw, position, violations)
    return checked.table[good].reset_index(drop=True), position[good], rejects


# ---- what is said ----------------------------------------------------------------------------


def prescribe(
    policy: Policy,
    cases: pd.DataFrame,
    options: Mapping[str, Option],
    rules: Mapping[str, SafetyRule],
) -> pd.DataFrame:
    """One row per case and option; see :func:`run`.

    Returns
    -------
    DataFrame
        The keys, ``option, label, status`` (ranked, held, no_evidence or blocked), ``rank`` (1 =
        best; shared where options cannot be told apart), ``tied_with_best``, ``p_response``,
        ``p_hyperalgesia``, ``utility`` with ``_lower`` and ``_upper``, ``screening``, ``safety``,
        ``reasons``, ``wording``. A blocked person's row holds no probability and no rank.
    """
    offers = [_offer(policy, cases, option, rules) for option in options.values()]
    ranked = np.column_stack([~o.silent & ~o.held & ~o.blocked for o in offers]).astype(bool)
    ranking = rank_options(np.stack([o.utility for o in offers], axis=2), ranked)
    screening = _screening(cases)
    places = np.where(np.isnan(screening), "unknown", np.where(screening == 1, "positive", "clear"))
    parts = []
    for place, (name, offer) in enumerate(zip(options, offers, strict=True)):
        silent = offer.blocked | offer.silent
        hide = np.where(silent, np.nan, 1.0)
        status = _statuses(offer)
        parts.append(
            cases[list(KEYS)].assign(
                option=name,
                label=offer.option.label,
                status=status,
                rank=ranking.rank[:, place],
                tied_with_best=ranking.tied_with_best[:, place],
                p_response=hide * offer.response,
                p_hyperalgesia=hide * offer.harm,
                utility=hide * ranking.utility[:, place],
                utility_lower=hide * ranking.lower[:, place],
                utility_upper=hide * ranking.upper[:, place],
                screening=places,
                safety=["; ".join(m) for m in offer.marks],
                reasons=_reasons(policy, offers, (place, ranked, status)),
                wording=_wording(policy),
                _row=np.arange(len(cases)),
                _place=place,
            )
        )
    table = pd.concat(parts, ignore_index=True).sort_values(["_row", "_place"], ignore_index=True)
    return table.drop(columns=["_row", "_place"])


def _wording(policy: Policy) -> str:
    words = WORDING[policy.record["design"]].split(":")[0]
    who = "by person" if policy.record["individual_supported"] else "best on average"
    simulated = "simulated; " if policy.simulated else ""
    return f"{simulated}{words}; {who}"


def _screening(cases: pd.DataFrame) -> Vector:
    if "screening_flag" not in cases.columns:
        return np.full(len(cases), np.nan)
    return np.asarray(cases["screening_flag"].to_numpy(dtype=np.float64))


def _offer(
    policy: Policy, cases: pd.DataFrame, option: Option, rules: Mapping[str, SafetyRule]
) -> Offers:
    X = build_features(offered(cases, option))
    arms = policy.model.terms.arms
    value = _arm_of(policy, option)
    known_arm = value in arms
    arm = np.full(len(X), arms.index(value) if known_arm else 0)
    p = policy.model.probabilities(X, arm)
    missing = _no_evidence(policy, X, option, known_arm=known_arm)
    silent = _any(missing)
    offer = Offer(
        _screening(cases),
        X["loads_painful_region"].to_numpy(dtype=np.float64),
        X["intensity_class"].to_numpy(dtype=np.float64),
        np.where(silent, np.nan, p[0, :, 0]),
    )
    marks, acting = _safety(rules, offer)
    terms = policy.model.terms.matrix(X, arm) * policy.model.coefficients[0]
    worth = (policy.record["benefit_of_response"], policy.record["harm_of_flare"])
    held, blocked = acting["hold"], acting["block"]
    utility = utility_of(p, *worth)
    return Offers(option, utility, p[0, :, 2], p[0, :, 0], terms, missing, marks, held, blocked)


def _safety(
    rules: Mapping[str, SafetyRule], offer: Offer
) -> tuple[list[list[str]], dict[str, Flags]]:
    """What the rules say of an option for every person, and whom they hold or block."""
    n = len(offer.screening)
    marks: list[list[str]] = [[] for _ in range(n)]
    acting = {action: np.zeros(n, dtype=bool) for action in ("block", "hold", "mark", "say")}
    for rule in rules.values():
        holding = holds(rule, offer)
        acting[rule.action] |= holding
        for row in np.flatnonzero(holding):
            marks[row].append(f"{rule.text} [{rule.confidence}]")
    for row in np.flatnonzero(np.isnan(offer.painful)):
        marks[row].append(UNKNOWN_REGION)
    return marks, acting


def _arm_of(policy: Policy, option: Option) -> str:
    """The arm an option belongs to: its value of the column the policy compares."""
    value = option.columns().get(policy.record["arm"])
    return f"{value:g}" if isinstance(value, float) else str(value)


def _no_evidence(
    policy: Policy, X: pd.DataFrame, option: Option, *, known_arm: bool
) -> list[list[str]]:
    """Why the training data say nothing about an option, per person; nothing where they do."""
    common = [] if known_arm else [f"not_in_data:{policy.record['arm']}"]
    found = [list(common) for _ in range(len(X))]
    for feature, apart in _beyond_constants(policy, X, option).items():
        for row in np.flatnonzero(apart):
            found[row].append(f"not_in_data:{feature}")
    place = policy.domain.place(X)
    for reasons, far, few in zip(found, place.outside, place.in_small_cell, strict=True):
        reasons += ["outside_training_range"] * bool(far)
        reasons += ["cell_too_small"] * bool(few)
    return found


def _beyond_constants(policy: Policy, X: pd.DataFrame, option: Option) -> dict[str, Flags]:
    """Features the option sets to what no training row had: never measured, or always another."""
    constants, varied = policy.record["constant_features"], policy.varied
    found = {}
    for feature in option_features(option, OF_OPTIONS):
        values = X[feature].to_numpy(dtype=np.float64)
        if feature in varied or np.isnan(values).all():
            continue
        never = np.full(len(X), feature not in constants)
        found[feature] = ~np.isnan(values) & (never | (values != constants.get(feature, np.nan)))
    return {f: apart for f, apart in found.items() if apart.any()}


def _statuses(offer: Offers) -> list[str]:
    """Blocked comes first, then what is not known, then what is held back."""
    found = []
    for row, missing in enumerate(offer.missing):
        if offer.blocked[row]:
            found.append(BLOCKED)
        elif missing:
            found.append(NO_EVIDENCE)
        else:
            found.append(HELD if offer.held[row] else RANKED)
    return found


def _reasons(
    policy: Policy, offers: Sequence[Offers], about: tuple[int, Flags, Sequence[str]]
) -> list[str]:
    """Why there is no evidence, or the terms that set a ranked option apart from the others."""
    place, ranked, status = about
    names = policy.model.terms.names
    every = np.stack([o.terms for o in offers], axis=1)
    said = []
    for row, state in enumerate(status):
        if state == NO_EVIDENCE:
            said.append("; ".join(offers[place].missing[row]))
        elif state == RANKED and ranked[row].sum() > 1:
            apart = every[row, place] - every[row, ranked[row]].mean(axis=0)
            top = [k for k in np.argsort(-np.abs(apart))[:TOP_TERMS] if abs(apart[k]) > 1e-9]
            said.append("; ".join(f"{names[k]} {apart[k]:+.2f}" for k in top))
        else:
            said.append("")
    return said
