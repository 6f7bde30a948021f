"""Tool ``score``: one questionnaire of a table, from its items or its stored scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns import CASES_BY_NAME, KEYS, Column
from features.contract import Violation, check_columns, disagreeing_totals
from features.instruments import INSTRUMENTS, Instrument, Scale, Vector
from features.psychometrics import Consistency, cronbach_alpha, mcdonald_omega, share_at
from features.questionnaire_guards import (
    Suspicion,
    suspect_forms,
    suspect_reversal,
    suspect_scores,
)
from features.questionnaires import (
    answered_any,
    classify_cases,
    read_answers,
    score_cases,
)
from pipeline.errors import ConfigError, TableError
from pipeline.io import describe, read_table, write_table

METHOD = (
    "alpha: Cronbach (1951); omega: McDonald's omega total of a one-factor model, maximum "
    "likelihood, items as scored (covariances); both from rows without a missing item"
)


@dataclass(frozen=True)
class ScoreOptions:
    """How the table's columns are to be read.

    ``prefix`` stands before the item number or the score's name, "<instrument>_" without one;
    ``already_reversed``: reversed items are stored reversed; ``accept_form``: score although
    the answers look like another form.
    """

    prefix: str | None = None
    already_reversed: bool = False
    accept_form: bool = False


def run(instrument: str, table: Path, options: ScoreOptions, output: Path) -> dict[str, Any]:
    """Score every row of a file, write keys and scores, return the report.

    Raises
    ------
    ConfigError
        If the instrument is not declared.
    TableError
        Where the table has nothing of the instrument, breaks its ranges, contradicts itself or
        looks like another form.
    """
    form = load_instrument(instrument)
    content = read_table(table, allow_repeated=True)
    stored = _stored(form, content, options.prefix, table)
    _require_whole_form(form, stored, table)
    people = _one_row_per_person(content, table)
    if not options.accept_form:
        _refuse(suspect_forms(form, _raw_answers(form, stored, people)), form, table)
    cases = _checked(form, stored, options, table)
    warnings = reversal_warnings(form, cases[people], already_reversed=options.already_reversed)
    _require_agreement(cases, warnings, table)
    scores = score_cases(cases, form)
    if not options.accept_form:
        found = [
            s for n, v in scores.items() if (s := suspect_scores(form, form.scales[n], v[people]))
        ]
        _refuse(found, form, table)
    write_table(_scored_table(form, content, cases, scores), output)
    return _report(form, cases, scores, warnings)


def load_instrument(name: str) -> Instrument:
    """Return a declared instrument, or raise ConfigError with the names there are."""
    known = {i.name: i for i in INSTRUMENTS}
    if name not in known:
        raise ConfigError(f"instrument: expected one of {', '.join(known)}, found '{name}'.")
    return known[name]


# ---- reading ---------------------------------------------------------------------------------


def _stored(
    form: Instrument, content: pd.DataFrame, prefix: str | None, table: Path
) -> pd.DataFrame:
    """Return the instrument's columns under their names in the contract."""
    wanted = {name: name.removeprefix(f"{form.name}_") for name in _columns(form)}
    starts = [f"{form.name}_"] if prefix is None else [prefix, f"{prefix}_"]
    renamed: dict[str, Any] = {}
    for name, ending in wanted.items():
        places = [start + ending for start in starts]
        if form.column == name:
            places = [name] if prefix is None else [prefix, *places]
        found = next((p for p in places if p in content.columns), None)
        if found is not None:
            _require_once(content, found, table)
            renamed[name] = content[found].to_numpy()
    if not renamed:
        first, last = list(wanted)[0], list(wanted)[-1]
        raise TableError(
            f"{table}: expected columns of {form.name} ({first} ... {last}, or with --prefix "
            f"another beginning), found none among {content.shape[1]} columns."
        )
    return pd.DataFrame(renamed)


def _require_once(content: pd.DataFrame, column: str, table: Path) -> None:
    n = int((content.columns == column).sum())
    if n > 1:
        raise TableError(f"{table}, column '{column}': expected it once, found it {n} times.")


def _columns(form: Instrument) -> tuple[str, ...]:
    return (*form.item_columns(), *(form.scale_column(s) for s in form.scales))


def _require_whole_form(form: Instrument, stored: pd.DataFrame, table: Path) -> None:
    """Refuse a table with too few item columns for any score; one may be missing by the rule."""
    items = [n for n in form.item_columns() if n in stored.columns and _holds_values(stored[n])]
    if not items:
        return
    numbers = {int(n.rpartition("_")[2]) for n in items}
    scored = [s for s in form.scales.values() if s.members]
    lacking = [s for s in scored if len(set(s.members) - numbers) > s.max_missing]
    whole = form.scales.get("total")
    if (whole in lacking) or (scored and len(lacking) == len(scored)):
        raise TableError(
            f"{table}: expected the {form.n_items} items of {form.name}, found {len(items)} "
            "columns with answers. This is a shorter form, or the columns have another name: "
            "see --prefix."
        )


def _holds_values(column: pd.Series) -> bool:
    """Whether any cell is a number: an empty column is no item of the form."""
    return bool(pd.to_numeric(column, errors="coerce").notna().any())


def _one_row_per_person(content: pd.DataFrame, table: Path) -> npt.NDArray[np.bool_]:
    """Mask of each person's first row: bouts of one person are no new evidence about a form."""
    keys = [k for k in KEYS[:2] if k in content.columns]
    for key in keys:
        _require_once(content, key, table)
    if "participant_id" not in keys:
        return np.ones(len(content), dtype=bool)
    return ~content.duplicated(subset=keys).to_numpy()


def _raw_answers(
    form: Instrument, stored: pd.DataFrame, people: npt.NDArray[np.bool_]
) -> list[Vector] | None:
    """Return the answers as stored, in or out of range."""
    numeric = stored.apply(pd.to_numeric, errors="coerce")
    answers = read_answers(numeric, form)
    return None if answers is None else [a[people] for a in answers]


def _checked(
    form: Instrument, stored: pd.DataFrame, options: ScoreOptions, table: Path
) -> pd.DataFrame:
    """Type the columns; raise with every violation; return items as answered."""
    columns: list[Column] = [CASES_BY_NAME[name] for name in stored.columns]
    checked = check_columns(stored, columns)
    violations = [*checked.violations, *_between_steps(form, checked.table)]
    if violations:
        raise TableError(describe(violations, table))
    turned = {}
    for number in form.reversed_items if options.already_reversed else ():
        name, item = f"{form.name}_{number}", form.items[number - 1]
        if name in stored.columns:
            turned[name] = item.low + item.high - checked.table[name]
    return checked.table.assign(**turned)


def _between_steps(form: Instrument, cases: pd.DataFrame) -> list[Violation]:
    """Answers in range that an item with a step of its own cannot take."""
    found = []
    for name, item in zip(form.item_columns(), form.items, strict=True):
        if name not in cases.columns or item.step <= 1:
            continue
        wrong = np.flatnonzero((cases[name].to_numpy() - item.low) % item.step > 0)
        if len(wrong):
            rows = tuple(int(r) for r in wrong)
            steps = f"{item.low:g} to {item.high:g} in steps of {item.step:g}"
            found.append(Violation(name, "out_of_range", rows, steps, f"{len(rows)} between"))
    return found


# ---- guards ----------------------------------------------------------------------------------


def _refuse(found: Sequence[Suspicion], form: Instrument, table: Path) -> None:
    if found:
        lines = [
            f"{table}: expected the {form.title}, found {s.found}. {s.advice} If the form is the "
            "declared one all the same: --accept-form."
            for s in found
        ]
        raise TableError("\n".join(lines))


def reversal_warnings(
    form: Instrument, cases: pd.DataFrame, *, already_reversed: bool
) -> list[str]:
    """Say where undoing the reversal would raise the internal consistency clearly."""
    answers = read_answers(cases, form)
    if answers is None:
        return []
    items = ", ".join(str(i) for i in form.reversed_items)
    cure = (
        "the items look stored as answered: leave --already-reversed out"
        if already_reversed
        else "the items look already reversed: use --already-reversed"
    )
    return [
        f"Cronbach's alpha rises by {gain:.2f} when items {items} are not reversed; {cure}."
        for gain in suspect_reversal(form, form.points(answers))
    ]


def _require_agreement(cases: pd.DataFrame, warnings: Sequence[str], table: Path) -> None:
    violations = disagreeing_totals(cases)
    if violations:
        hints = [f"{table}: {w}" for w in warnings]
        raise TableError("\n".join([describe(violations, table), *hints]))


# ---- results ---------------------------------------------------------------------------------


def _scored_table(
    form: Instrument, content: pd.DataFrame, cases: pd.DataFrame, scores: Mapping[str, Vector]
) -> pd.DataFrame:
    keys = [k for k in KEYS if k in content.columns]
    columns: dict[str, Any] = {k: content[k].to_numpy() for k in keys}
    if not keys:
        columns["row"] = np.arange(len(content))
    for name, values in scores.items():
        columns[f"{form.name}_{name}"] = values
        if form.scales[name].bands:
            columns[f"{form.name}_{name}_band"] = form.scales[name].band_of(values)
    for name, values in classify_cases(cases, form, scores).items():
        levels = np.array([None, *form.classes[name]], dtype=object)
        columns[f"{form.name}_{name}"] = levels[
            np.where(np.isnan(values), -1, values).astype(int) + 1
        ]
    return pd.DataFrame(columns)


def _report(
    form: Instrument, cases: pd.DataFrame, scores: Mapping[str, Vector], warnings: list[str]
) -> dict[str, Any]:
    answers = read_answers(cases, form)
    points = None if answers is None else form.points(answers)
    return {
        "instrument": form.name,
        "title": form.title,
        "status": form.status,
        "missing_rule_status": form.missing_status,
        "source": form.source,
        "rows": len(cases),
        "from": "items" if answers is not None else "stored scores",
        "warnings": warnings,
        "method": METHOD,
        "scores": {
            name: _score_report(form, form.scales[name], values, answers, points)
            for name, values in scores.items()
        },
    }


def _score_report(
    form: Instrument,
    scale: Scale,
    values: Vector,
    answers: Sequence[Vector] | None,
    points: Sequence[Vector] | None,
) -> dict[str, Any]:
    alpha = omega = Consistency(float("nan"), "needs the items")
    if points is not None and scale.members:
        chosen = np.column_stack([points[m - 1] for m in scale.members])
        alpha, omega = cronbach_alpha(chosen), mcdonald_omega(chosen)
    known = values[~np.isnan(values)]
    return {
        "n_scored": len(known),
        "n_missing": _missing(form, scale, values, answers),
        "range": [scale.low, scale.high],
        "mean": float(known.mean()) if len(known) else float("nan"),
        "sd": float(known.std(ddof=1)) if len(known) > 1 else float("nan"),
        "floor_share": share_at(values, scale.low),
        "ceiling_share": share_at(values, scale.high),
        "alpha": {"value": alpha.value, "reason": alpha.reason},
        "omega": {"value": omega.value, "reason": omega.reason},
    }


def _missing(
    form: Instrument, scale: Scale, values: Vector, answers: Sequence[Vector] | None
) -> dict[str, int]:
    """Count the rows without a score by reason; every such row has exactly one."""
    left = np.isnan(values)
    if answers is None:
        return {"not stored": int(left.sum())} if left.any() else {}
    reasons = {"no item answered": ~answered_any(answers)}
    if scale.method == "rule" and form.rule is not None and form.rule.exclusions is not None:
        reasons |= form.rule.exclusions(answers, form.options)
    reasons[f"more than {scale.max_missing} of its items missing"] = np.ones(len(values), bool)
    counts = {}
    for reason, rows in reasons.items():
        counts[reason] = int((left & rows).sum())
        left = left & ~rows
    return {reason: n for reason, n in counts.items() if n}


def describe_report(report: Mapping[str, Any]) -> list[str]:
    """Return the scoring report as lines for a terminal."""
    unverified = [
        f"  {what} unverified"
        for what, key in (("scoring key", "status"), ("missing-item rule", "missing_rule_status"))
        if report[key] == "unverified"
    ]
    head = f"{report['title']}, from {report['from']} of {report['rows']} rows"
    return [head, *unverified, *(_describe_score(n, s) for n, s in report["scores"].items())]


def _describe_score(name: str, score: Mapping[str, Any]) -> str:
    missing = "".join(f", {n} {reason}" for reason, n in score["n_missing"].items())
    parts = [f"  {name}: {score['n_scored']} scored{missing}"]
    if score["n_scored"]:
        parts.append(
            f"mean {score['mean']:.1f}, floor {score['floor_share']:.0%}, "
            f"ceiling {score['ceiling_share']:.0%}"
        )
    for key in ("alpha", "omega"):
        value, reason = score[key]["value"], score[key]["reason"]
        known = value == value  # NaN differs from itself
        parts.append(f"{key} {value:.3f}" if known else f"no {key} ({reason})")
    return "; ".join(parts)
