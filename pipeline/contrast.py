"""Tool ``contrast``: how much two exercises differ, as far as the study's design can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.build import SPECS, build_features
from features.columns import KEYS
from features.outcome import PERSON, OutcomeDesign, summarise_trials
from features.outcome_design import Endpoint
from features.spec import LEARNT_ROLES
from features.units import MEASURES
from models.arm_difference import Arms, arm_differences, tipping_line
from models.errors import NotEnoughDataError
from models.estimate import Reason, unknown
from models.within_person import METHOD as WITHIN
from models.within_person import Bouts, difference_by, within_person_difference
from pipeline.design import CROSSOVER, OBSERVATIONAL, design_of
from pipeline.errors import ConfigError
from pipeline.io import write_table
from pipeline.study_folder import read_card, read_cases, read_design, read_measurements

Vector = npt.NDArray[np.float64]
FOLDS, SEED = 5, 20267
DELTAS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
# Covariates of a trial: what was known of more than this share of the persons.
LEAST_KNOWN = 0.7
# Values of a column that an error message lists.
MOST_LISTED = 8
# Baseline columns that predict dropout and outcome in rehabilitation (evidence C3, C4).
COVARIATES = (
    "pain_now_nrs", "age_years", "sex_female", "pain_duration_log_months", "pcs_total",
    "tsk17_total", "hads_anxiety", "hads_depression", "fabq_total",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """Which exercises are compared, in whom.

    Parameters
    ----------
    by : str
        Column of cases whose values are the exercises.
    reference : str
        The value that the other is compared with.
    where : mapping of column to value
        Only bouts with these values.
    subgroups : tuple of str
        Columns of cases; a number is cut at its median and tested as it is.
    endpoints : tuple of str
        Names; none: all of the study.
    """

    by: str
    reference: str
    where: Mapping[str, str]
    subgroups: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()


def run(folder: Path, question: Question, output: Path | None) -> dict[str, Any]:
    """Compare two exercises by the estimator that the study's design allows.

    A crossover is compared within persons; randomised arms by complete cases, weighting and a
    doubly robust score, with a line of how wrong the assumption about dropout may be. Without
    either design no effect is given.

    Returns
    -------
    dict
        ``design``, ``by``, ``reference``, ``other`` and per endpoint the estimates, positive =
        less pain after the other exercise than after the reference.

    Raises
    ------
    ConfigError
        For an unknown column, value or endpoint, and for an observational study.
    NotEnoughDataError
    """
    card = read_card(folder)["study"]
    design = design_of(card)
    if design == OBSERVATIONAL:
        raise ConfigError(
            f"{folder}: expected a study whose card declares contrast = 'crossover' or "
            "'randomised', found neither. Who did which exercise may depend on how they were; "
            "no effect of it can be stated."
        )
    cases, other = _chosen_cases(read_cases(folder), question, folder)
    outcome = read_design(folder)
    summary = summarise_trials(read_measurements(folder))
    compare: Callable[..., dict[str, Any]] = (
        _crossover if design == CROSSOVER else _randomised(outcome, folder, question)
    )
    found = [
        {"endpoint": e.name, "timepoint": e.timepoint, "unit": MEASURES[e.measure].unit}
        | compare(_outcome(cases, summary, e), e, summary, question)
        for e in _endpoints(outcome, question)
    ]
    result = {
        "study": card["name"],
        "simulated": bool(card.get("simulated")),
        "design": design,
        "by": question.by,
        "reference": question.reference,
        "other": other,
        "where": dict(question.where),
        "sign": "positive = less pain after the other exercise than after the reference",
        "endpoints": found,
    }
    if output is not None:
        write_table(as_table(result), output)
    return result


def lines(result: Mapping[str, Any]) -> list[str]:
    """Say every estimate in a line."""
    said = ["simulated data"] if result["simulated"] else []
    said.append(
        f"{result['design']}: {result['by']} {result['other']} against {result['reference']}, "
        f"{result['sign']}"
    )
    for found in result["endpoints"]:
        for part in found["estimates"]:
            group = f", {part['subgroup']} {part['level']}" if part["subgroup"] else ""
            figures = (
                f"{part['estimate']:+.2f} ({part['lower']:+.2f} to {part['upper']:+.2f})"
                if np.isfinite(part["estimate"])
                else part["reason"]
            )
            said.append(
                f"  {found['endpoint']}, {part['estimator']}{group.rstrip()}: {figures}, "
                f"{part['n_participants']} persons"
            )
    return said


def as_table(result: Mapping[str, Any]) -> pd.DataFrame:
    """One row per endpoint, estimator and subgroup."""
    rows = []
    for found in result["endpoints"]:
        for part in found["estimates"]:
            rows.append({"endpoint": found["endpoint"], "unit": found["unit"], **part})
    return pd.DataFrame(rows)


# ---- which rows ------------------------------------------------------------------------------


def _chosen_cases(
    cases: pd.DataFrame, question: Question, folder: Path
) -> tuple[pd.DataFrame, str]:
    names = [question.by, *question.where, *question.subgroups]
    unknown = [n for n in names if n not in cases.columns]
    if unknown:
        raise ConfigError(f"{folder}: expected columns of cases, found no '{unknown[0]}'.")
    if keys := [n for n in (question.by, *question.subgroups) if n in (*KEYS[1:], "visit_id")]:
        raise ConfigError(
            f"'{keys[0]}': expected a column of what was done or of who did it, found one that "
            "names persons or bouts."
        )
    kept = cases[cases["modality"] != "rest"]
    for column, value in question.where.items():
        kept = kept[_as_text(kept[column]) == value]
    kept = kept[kept[question.by].notna()]
    values = sorted(_as_text(kept[question.by]).unique())
    if question.reference not in values or len(values) != 2:
        raise ConfigError(
            f"{folder}, '{question.by}': expected two values of which '{question.reference}' is "
            f"one, found {_few(values)}. Choose bouts with --where."
        )
    other = next(v for v in values if v != question.reference)
    exercise = (_as_text(kept[question.by]) == other).astype(np.float64)
    return kept.assign(_exercise=exercise), other


def _few(values: Sequence[str]) -> str:
    """List exercises; of many, which are a measurement of persons, only how many."""
    return ", ".join(values) or "none" if len(values) <= MOST_LISTED else f"{len(values)} values"


def _as_text(values: pd.Series) -> pd.Series:
    """Text of a value as a user would type it: 55, not 55.0."""
    if pd.api.types.is_numeric_dtype(values):
        return pd.Series([f"{v:.12g}" for v in values.to_numpy(np.float64)], index=values.index)
    return values.astype("str")


def _endpoints(outcome: OutcomeDesign, question: Question) -> list[Endpoint]:
    names = [e.name for e in outcome.endpoints]
    unknown = [n for n in question.endpoints if n not in names]
    if unknown:
        raise ConfigError(f"endpoint: expected one of {', '.join(names)}, found '{unknown[0]}'.")
    wanted = question.endpoints or tuple(names)
    return [e for e in outcome.endpoints if e.name in wanted]


def _outcome(cases: pd.DataFrame, summary: pd.DataFrame, endpoint: Endpoint) -> pd.DataFrame:
    """Cases with ``_after``: the value after the bout, positive = less pain, NaN = missing."""
    after = _value(summary, endpoint, endpoint.timepoint)
    joined = cases.merge(after.rename(columns={"mean": "_after"}), on=list(KEYS), how="left")
    return joined.assign(_after=MEASURES[endpoint.measure].less_pain * joined["_after"])


def _value(summary: pd.DataFrame, endpoint: Endpoint, timepoint: str) -> pd.DataFrame:
    wanted = (
        (summary["measure"] == endpoint.measure)
        & (summary["site_role"] == endpoint.site_role)
        & (summary["timepoint"] == timepoint)
    )
    return summary.loc[wanted, [*KEYS, "mean"]]


# ---- crossover -------------------------------------------------------------------------------


def _crossover(
    rows: pd.DataFrame, endpoint: Endpoint, summary: pd.DataFrame, question: Question
) -> dict[str, Any]:
    bouts = _bouts(rows)
    estimates = [_part(bouts, "within_person"), _part(bouts, "within_person_period", period=True)]
    for column in question.subgroups:
        estimates += _by_subgroup(bouts, rows, column)
    return {"estimates": estimates}


def _bouts(rows: pd.DataFrame) -> Bouts:
    person = np.asarray(rows.groupby(list(PERSON), sort=True).ngroup(), dtype=np.int64)
    visit = rows["visit_id"].fillna("") if "visit_id" in rows.columns else person
    stratum = pd.DataFrame({"p": person, "v": np.asarray(visit)}).groupby(["p", "v"]).ngroup()
    order = next((c for c in ("block_number", "period") if c in rows.columns), None)
    period = np.full(len(rows), np.nan) if order is None else rows[order].to_numpy(np.float64)
    compared = Bouts(
        rows["_after"].to_numpy(np.float64),
        rows["_exercise"].to_numpy(np.float64),
        person,
        np.asarray(stratum, dtype=np.int64),
        period,
    )
    # Visits of one exercise each: persons are compared across their visits.
    return (
        compared
        if len(compared.compared().y)
        else Bouts(compared.y, compared.exercise, person, person, period)
    )


def _part(
    bouts: Bouts, estimator: str, group: tuple[str, str] = ("", ""), *, period: bool = False
) -> dict[str, Any]:
    compared = bouts.compared()
    found = within_person_difference(bouts, adjust_period=period)
    return {
        "estimator": estimator,
        "subgroup": group[0],
        "level": group[1],
        "n_participants": len(np.unique(compared.person)),
        "n": len(compared.y),
        **found.to_dict(),
    }


def _by_subgroup(bouts: Bouts, rows: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    """Each side of a property, and how the difference changes with it.

    A side of too few persons, and rows of unknown value, are listed too; they have no estimate.
    """
    values = rows[column]
    if pd.api.types.is_numeric_dtype(values):
        label, levels, modifier = _cut_in_two(bouts, values)
    else:
        names = sorted(str(n) for n in values.dropna().unique())
        label = f"{column}, {names[-1]} against others" if names else column
        texts = values.astype("str").where(values.notna())
        levels = {n: (texts == n).to_numpy(dtype=bool) for n in names}
        last = (texts == (names or [""])[-1]).to_numpy(np.float64)
        modifier = np.where(values.isna(), np.nan, last)
    if (unknown_here := values.isna().to_numpy()).any():
        levels["unknown"] = unknown_here
    parts = [_part_of(bouts, among, (column, name)) for name, among in levels.items()]
    known = bouts.at(np.isfinite(modifier)).compared()
    try:
        found = difference_by(bouts, modifier)
    except NotEnoughDataError:
        found = unknown(Reason.SMALL_CELL, WITHIN)
    n = len(np.unique(known.person))
    row = {"estimator": "interaction", "subgroup": label, "level": "", "n_participants": n}
    return [*parts, {**row, "n": len(known.y), **found.to_dict()}]


def _part_of(bouts: Bouts, among: npt.NDArray[np.bool_], group: tuple[str, str]) -> dict[str, Any]:
    try:
        return _part(bouts.at(among), "within_person", group)
    except NotEnoughDataError:
        own = bouts.at(among).compared()
        counts = {"n_participants": len(np.unique(own.person)), "n": len(own.y)}
        about = {"estimator": "within_person", "subgroup": group[0], "level": group[1]}
        return about | counts | unknown(Reason.SMALL_CELL, WITHIN).to_dict()


def _cut_in_two(
    bouts: Bouts, values: pd.Series
) -> tuple[str, dict[str, npt.NDArray[np.bool_]], Vector]:
    """Cut a number at the median of the persons; as a modifier it is taken per SD."""
    numeric = values.to_numpy(np.float64)
    persons = pd.Series(numeric).groupby(bouts.person).first().dropna()
    label = f"{values.name}, per SD"
    if persons.nunique() < 2:
        alike = {f"{v:g}": numeric == v for v in persons.unique()}
        return label, alike, np.where(np.isnan(numeric), np.nan, 0.0)
    # Of a mark that most persons lack, the median is its least value, below which is nobody.
    cut = max(float(persons.median()), float(np.unique(persons)[1]))
    levels = {f"below {cut:g}": numeric < cut, f"{cut:g} and more": numeric >= cut}
    return label, levels, (numeric - cut) / float(persons.std())


# ---- randomised arms -------------------------------------------------------------------------


def _randomised(outcome: OutcomeDesign, folder: Path, question: Question) -> Any:
    if outcome.reference != "pre":
        raise ConfigError(
            f"{folder}: expected randomised arms with a value before (reference = 'pre'), found "
            f"reference = '{outcome.reference}'."
        )
    if question.subgroups:
        raise ConfigError("--subgroups: expected a crossover; arms are compared as a whole.")
    return _arms


def _arms(
    rows: pd.DataFrame, endpoint: Endpoint, summary: pd.DataFrame, question: Question
) -> dict[str, Any]:
    """Compare the arms at one follow-up; the outcome is the change from before."""
    if rows.duplicated(list(PERSON)).any():
        raise ConfigError("randomised arms: expected one row per person. Choose with --where.")
    before = _value(summary, endpoint, "pre").rename(columns={"mean": "_before"})
    joined = rows.merge(before, on=list(KEYS), how="left")
    change = joined["_after"] - MEASURES[endpoint.measure].less_pain * joined["_before"]
    X, names = _covariates(joined)
    arms = Arms(change.to_numpy(np.float64), joined["_exercise"].to_numpy(np.float64), X)
    found = arm_differences(arms, FOLDS, SEED)
    n = int(arms.observed.sum())
    return {
        "covariates": names,
        "randomised": [int((arms.arm == side).sum()) for side in (0, 1)],
        "observed": [int((arms.observed & (arms.arm == side)).sum()) for side in (0, 1)],
        "estimates": [
            {"estimator": name, "subgroup": "", "level": "", "n_participants": n, "n": n}
            | estimate.to_dict()
            for name, estimate in found.items()
        ],
        "tipping": tipping_line(arms, found["doubly_robust"], DELTAS),
    }


def _covariates(rows: pd.DataFrame) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Baseline features, standardised, the missing at the mean; the value before among them."""
    learnt = {s.name for s in SPECS if s.role in LEARNT_ROLES}
    built = build_features(rows)
    names: Sequence[str] = [n for n in COVARIATES if n in learnt and n in built.columns]
    table = built[list(names)].assign(_before=rows["_before"].to_numpy(np.float64))
    kept = table.loc[:, (table.notna().mean() > LEAST_KNOWN) & (table.std() > 0)]
    z = (kept - kept.mean()) / kept.std()
    return z.fillna(0.0).to_numpy(np.float64), [c.lstrip("_") for c in kept.columns]
