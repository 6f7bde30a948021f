"""Tool ``trajectory``: how a programme's outcome runs over its follow-ups, dropout among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns import CASES_BY_NAME, KEYS
from features.outcome import OutcomeDesign, compute_changes, outcome_table
from features.responder import CLASSES
from models.dropout import FollowUp
from models.errors import NotEnoughDataError
from models.estimate import Estimate
from models.trajectory import (
    EVERYBODY,
    Label,
    Programme,
    describe,
    fit_waves,
    sensitivity,
    weight_report,
)
from pipeline.biomarker_words import contrast_of
from pipeline.config import LabelParams
from pipeline.errors import TableError
from pipeline.io import write_json, write_table
from pipeline.label import chosen_design
from pipeline.paths import make_folder
from pipeline.small_cells import SMALLEST_CELL
from pipeline.study_folder import read_card, read_cases, read_design, read_measurements
from pipeline.weekly import TARGET, weekly_design

Vector = npt.NDArray[np.float64]
STATES = (*CLASSES, "not_seen")
INDETERMINATE, NOT_SEEN = STATES.index("indeterminate"), len(STATES) - 1
# Shifts of the unseen, in standard deviations of the changes seen at a wave.
SHIFTS_SD = (-1.0, -0.5, 0.0, 0.5, 1.0)
# More are a measurement, or names of persons, and no groups.
MOST_GROUPS = 12
WEEKS_PER_YEAR = 365.25 / 7
RESULT, TABLE = "trajectory.json", "trajectory.csv"
PROGRAMME_WEEKS = "programme_weeks"


@dataclass(frozen=True)
class Asked:
    """What is asked of a programme.

    ``by``: column of cases that makes the groups, or empty; ``known``: columns of cases, besides
    the outcome's reference, that the weights rest on, of which a study may lack some.
    """

    by: str = "modality"
    known: tuple[str, ...] = ("age_years", "sex")
    resamples: int = 500
    seed: int = 20268


@dataclass(frozen=True)
class Rows:
    """The programmes of a study whose outcome has a reference; one row each."""

    programme: Programme
    reference: Vector
    weeks: tuple[int, ...]
    known: tuple[str, ...]
    n_without_reference: int


def run(params: LabelParams, folder: Path, asked: Asked) -> dict[str, Any]:
    """Describe the follow-ups of a study's programmes.

    Parameters
    ----------
    params : LabelParams
        The responder rule.
    folder : Path
        A study: cases and measurements, and a card where there is one.
    asked : Asked

    Returns
    -------
    dict with ``waves`` (who was seen, and the weights), ``figures`` (every mean, share and
    transition with its interval), ``mixed``, ``sensitivity`` and ``sentences``

    Raises
    ------
    NotEnoughDataError
        For a study without follow-ups in weeks, or of fewer than five persons.
    """
    card = read_card(folder)["study"]
    cases, measurements = read_cases(folder), read_measurements(folder)
    _check_known(cases, asked.known)
    design = weekly_design(chosen_design(read_design(folder), params), measurements, folder)
    rows = _rows(cases, measurements, design, asked)
    n_persons = len(np.unique(rows.programme.person))
    if n_persons < SMALLEST_CELL:
        raise NotEnoughDataError(
            f"{folder}: expected at least {SMALLEST_CELL} persons with a value before the "
            f"programme, found {n_persons}. Resamples of so few would show no spread."
        )
    figures = describe(rows.programme, asked.resamples, asked.seed)
    waves = weight_report(rows.programme)
    for week, wave in zip(rows.weeks, waves, strict=True):
        wave["target"], wave["week"] = f"{TARGET}{week}", week
    result: dict[str, Any] = {
        "study": card.get("name", ""),
        "simulated": bool(card.get("simulated", False)),
        "ingested": "download" in card,
        "contrast": contrast_of(card, cases),
        "measure": design.endpoints[0].measure,
        "site_role": design.endpoints[0].site_role,
        "rule": design.rule,
        "n_programmes": len(rows.reference),
        "n_persons": n_persons,
        "n_without_reference": rows.n_without_reference,
        "by": asked.by if len(rows.programme.group_names) > 1 else "",
        "groups": _group_counts(rows.programme),
        "weights_know": [
            "reference",
            *rows.known,
            "group",
            "last known change, seen at the wave before",
        ],
        "waves": waves,
        "figures": [_record(label, e, rows.weeks) for label, e in figures.items()],
        "mixed": _mixed(rows),
        "sensitivity": _sensitivity(rows, figures),
        "signs": "a change is positive where pain lessens; a shift is added to those not seen",
    }
    result["sentences"] = list(_sentences(result))
    return result


def _check_known(cases: pd.DataFrame, known: tuple[str, ...]) -> None:
    """A study may lack a column of the contract; a name that nobody knows is a slip."""
    strange = [n for n in known if n not in CASES_BY_NAME and n not in cases.columns]
    if strange:
        raise TableError(f"cases: expected the column '{strange[0]}' to weigh by, found none.")


def _rows(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign, asked: Asked
) -> Rows:
    changes = compute_changes(cases, measurements, design)
    table = outcome_table(changes, measurements, design)
    programmes = _programmes(cases)
    reference = _reference(measurements, design)
    joined = programmes.merge(reference, on=list(KEYS), how="left")
    there = joined["reference"].notna()
    joined = joined[there].sort_values(list(KEYS), ignore_index=True)
    index = pd.MultiIndex.from_frame(joined[list(KEYS)])
    values, states = [], []
    for endpoint in design.endpoints:
        own = table[table["endpoint"] == endpoint.name].set_index(list(KEYS)).reindex(index)
        change = own["change"].to_numpy(dtype=np.float64)
        state = own["class"].map({name: i for i, name in enumerate(STATES)}).to_numpy(np.float64)
        values.append(change)
        states.append(np.where(np.isnan(change), NOT_SEEN, np.nan_to_num(state, nan=INDETERMINATE)))
    changes_seen = np.column_stack(values)
    group, names = _group(joined, asked.by)
    baseline, known = _baseline(joined, asked.known)
    arms = np.column_stack(
        [group == g for g in range(1, len(names))] or [np.empty((len(group), 0))]
    )
    follow_up = FollowUp(
        seen=np.isfinite(changes_seen),
        values=changes_seen,
        baseline=np.column_stack([baseline, arms.astype(np.float64)]),
        group=group,
    )
    person = joined.groupby(["study_id", "participant_id"], sort=True).ngroup().to_numpy()
    programme = Programme(
        follow_up,
        np.column_stack(states).astype(np.int64),
        np.asarray(person, dtype=np.int64),
        names,
        STATES,
    )
    weeks = tuple(int(e.timepoint.removeprefix("week_")) for e in design.endpoints)
    own_reference = joined["reference"].to_numpy(dtype=np.float64)
    return Rows(programme, own_reference, weeks, known, int((~there).sum()))


def _programmes(cases: pd.DataFrame) -> pd.DataFrame:
    """Cases that are programmes: all where the study does not say which are."""
    weeks = cases.get(PROGRAMME_WEEKS)
    if weeks is None or weeks.isna().all():
        return cases
    return cases[weeks.notna()]


def _reference(measurements: pd.DataFrame, design: OutcomeDesign) -> pd.DataFrame:
    first = design.endpoints[0]
    own = measurements[
        (measurements["measure"] == first.measure)
        & (measurements["site_role"] == first.site_role)
        & (measurements["timepoint"] == "pre")
    ]
    mean = own.groupby(list(KEYS))["value"].mean().rename("reference")
    return mean.reset_index()


def _group(rows: pd.DataFrame, by: str) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    if not by:
        return np.zeros(len(rows), dtype=np.int64), (EVERYBODY,)
    if by not in rows.columns:
        raise TableError(f"cases: expected the column '{by}' to group by, found it missing.")
    label = rows[by].astype("str").where(rows[by].notna(), "missing")
    codes, names = pd.factorize(label, sort=True)
    if len(names) > MOST_GROUPS:
        raise TableError(
            f"cases, column '{by}': expected at most {MOST_GROUPS} groups, found {len(names)}. "
            "Cut a measurement into a few before."
        )
    return np.asarray(codes, dtype=np.int64), tuple(str(n) for n in names)


def _baseline(rows: pd.DataFrame, known: tuple[str, ...]) -> tuple[Vector, tuple[str, ...]]:
    """Columns that weights rest on: standardised, unknown as the mean and marked as unknown."""
    kept, columns = [], []
    for name in ("reference", *known):
        if name not in rows.columns or rows[name].isna().all():
            continue
        values = _numeric(rows[name])
        unknown = np.isnan(values)
        filled = np.where(unknown, np.nanmean(values), values)
        spread = float(filled.std())
        columns.append((filled - filled.mean()) / (spread if spread > 0 else 1.0))
        columns += [unknown.astype(np.float64)] if unknown.any() else []
        kept += [name] if name != "reference" else []
    return np.column_stack(columns), tuple(kept)


def _numeric(column: pd.Series) -> Vector:
    """Numbers as they are; two levels of a word as 0 and 1."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    levels = sorted(column.dropna().astype(str).unique())
    if len(levels) > 2:
        raise TableError(
            f"cases, column '{column.name}': expected numbers or two levels, found "
            f"{len(levels)} levels."
        )
    codes = {level: float(i) for i, level in enumerate(levels)}
    return column.map(lambda v: codes[str(v)] if pd.notna(v) else np.nan).to_numpy(np.float64)


def _group_counts(programme: Programme) -> list[dict[str, Any]]:
    return [
        {"name": name, "n": int((programme.follow_up.group == g).sum())}
        for g, name in enumerate(programme.group_names)
    ]


def _record(label: Label, estimate: Estimate, weeks: tuple[int, ...]) -> dict[str, Any]:
    kind, group, wave, state, following = label
    return {
        "kind": kind,
        "group": group,
        "week": weeks[wave],
        "state": STATES[state] if state >= 0 else "",
        "next_state": STATES[following] if following >= 0 else "",
        **estimate.to_dict(),
    }


def _mixed(rows: Rows) -> dict[str, Any]:
    years = np.array(rows.weeks) / WEEKS_PER_YEAR
    try:
        model = fit_waves(rows.programme, rows.reference, years)
    except NotEnoughDataError as error:
        return {"fitted": False, "reason": str(error)}
    names = rows.programme.group_names
    return {
        "fitted": True,
        "n_rows": model.n_rows,
        "n_persons": model.n_persons,
        "means": [
            {"group": group, "week": rows.weeks[wave], **estimate.to_dict()}
            for (group, wave), estimate in model.means.items()
        ],
        "differences": [
            {"of": f"{names[1]} minus {names[0]}", "week": week, **estimate.to_dict()}
            for week, estimate in zip(rows.weeks, model.differences, strict=False)
        ],
        "random_covariance": model.fit.random_covariance.tolist(),
        "residual_variance": model.fit.residual_variance,
        "singular": model.fit.singular,
    }


def _sensitivity(rows: Rows, figures: Mapping[Label, Estimate]) -> list[dict[str, Any]]:
    """Shift those not seen, of every weighted mean and difference."""
    records = []
    seen, group = rows.programme.follow_up.seen, rows.programme.follow_up.group
    for (kind, name, wave, _, _), estimate in figures.items():
        if kind not in ("weighted_mean", "weighted_difference"):
            continue
        everybody = name == EVERYBODY
        own = (
            np.ones(len(group), dtype=bool)
            if everybody
            else (group == rows.programme.group_names.index(name))
        )
        spread = float(np.nanstd(rows.programme.follow_up.values[:, wave], ddof=1))
        shifts = tuple(s * spread for s in SHIFTS_SD)
        share = float(1 - seen[own, wave].mean())
        found = sensitivity(estimate, share, shifts)
        records.append({"kind": kind, "group": name, "week": rows.weeks[wave], **found})
    return records


def _sentences(result: Mapping[str, Any]) -> list[str]:
    said = ["Simulated data."] if result["simulated"] else []
    tips = {(s["kind"], s["group"], s["week"]): s for s in result["sensitivity"]}
    waves = {w["week"]: w for w in result["waves"]}
    for found in result["figures"]:
        if found["kind"] == "weighted_mean" and found["group"] == EVERYBODY:
            wave = waves[found["week"]]
            said.append(
                f"week {found['week']}: {wave['n_seen']} of {result['n_programmes']} seen, "
                f"weighing as much as {wave['effective_size']:.0f}; mean change "
                f"{with_limits(found)} weighted for dropout; "
                + _tip(tips["weighted_mean", EVERYBODY, found["week"]])
            )
    for found in result["figures"]:
        if found["kind"] == "weighted_difference":
            said.append(
                f"week {found['week']}, {found['group']} minus {result['groups'][0]['name']}: "
                f"{with_limits(found)} weighted for dropout ({_kind_of(result['contrast'])}); "
                + _tip(tips["weighted_difference", found["group"], found["week"]])
            )
    return said


def with_limits(found: Mapping[str, Any]) -> str:
    """Lay out a mean change with its interval, if it has one."""
    if np.isnan(found["lower"]):
        return f"{found['estimate']:+.2f} (no interval)"
    return f"{found['estimate']:+.2f} ({found['lower']:+.2f} to {found['upper']:+.2f})"


def _kind_of(contrast: str) -> str:
    return (
        "randomised groups"
        if contrast == "randomised"
        else "groups that were not randomised: no effect of the exercise"
    )


def _tip(found: Mapping[str, Any]) -> str:
    shift = found["tipping_shift"]
    if not found["has_interval"]:
        return "without an interval nothing can be undone"
    if np.isnan(shift):
        return "the interval holds zero" if found["share_unseen"] > 0 else "nobody is unseen"
    return f"reaches zero if those not seen fare {shift:+.2f} from what the weights suppose"


def write(result: Mapping[str, Any], output: Path) -> None:
    """Write the result as JSON, and its figures as a table ready to draw."""
    make_folder(output)
    write_json(dict(result), output / RESULT)
    write_table(pd.DataFrame(result["figures"]), output / TABLE)
