"""Stage and tool ``biomarker``: does a marker add anything to what is known already?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.errors import LeakageError, NotEnoughDataError
from models.incremental import LEARNERS
from models.multiplicity import benjamini_hochberg, holm
from pipeline.biomarker_columns import Marker, refuse_leaks, resolve
from pipeline.biomarker_page import write_page
from pipeline.biomarker_record import Judging
from pipeline.biomarker_reliability import known_reliability, read_reliability
from pipeline.biomarker_study import MEASURED, StudyRows, label_rows, read_study_rows
from pipeline.biomarker_words import contrast_of, sentence
from pipeline.config import BiomarkerParams, LabelParams
from pipeline.errors import ConfigError, TableError
from pipeline.figures import forest_figure
from pipeline.io import write_json, write_table
from pipeline.paths import make_folder
from pipeline.progress import tracked
from pipeline.target_folder import NOT_ENOUGH_DATA

RESULT, TABLE, ROBUSTNESS, FOREST = (
    "biomarker.json",
    "biomarker.csv",
    "robustness.csv",
    "forest.png",
)


@dataclass(frozen=True)
class Question:
    """What is asked: which markers, over which base set, of which target.

    ``candidates`` and ``base`` empty: the panel and base set of the parameters, of which a study
    may lack some. ``reliability`` of markers, by name.
    """

    target: str = "response"
    candidates: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    reliability: Mapping[str, float] = field(default_factory=dict)


def run(
    params: tuple[BiomarkerParams, LabelParams], folder: Path, question: Question
) -> dict[str, Any]:
    """Judge every candidate over the base set.

    Parameters
    ----------
    params : (BiomarkerParams, LabelParams)
    folder : Path
        A study: cases and measurements, and a card where there is one.
    question : Question

    Returns
    -------
    dict with ``candidates`` (one record each), ``skipped``, ``base``, ``n_candidates_tried``

    Raises
    ------
    LeakageError
        For a marker known too late, or made of the outcome's own reference.
    """
    settings = params[0]
    _check(settings)
    study = read_study_rows(params, folder, question.target)
    base, left_out = _markers(study, settings, question.base, settings.base)
    asked, skipped = _markers(study, settings, question.candidates, settings.candidates)
    study = label_rows(study, settings.rules)
    stated = {**read_reliability(settings.reliability), **question.reliability}
    reliability = known_reliability(stated, folder)
    contrast = contrast_of(study.card, study.cases)
    found = []
    for marker in tracked(asked, "biomarker", "markers"):
        try:
            judged = Judging(study, settings, _joined(base), marker, reliability.get(marker.name))
            found.append(judged.record(question.target, contrast))
        except NotEnoughDataError as error:
            if question.candidates:
                raise NotEnoughDataError(f"marker '{marker.name}': {error}") from None
            skipped.append({"name": marker.name, "reason": str(error)})
    about = {
        "target": question.target,
        "contrast": contrast,
        "simulated": bool(study.card.get("simulated", False)),
    }
    result = _result(study, about, (base, left_out), (found, skipped), settings)
    count_tries([result])
    return result


def _check(settings: BiomarkerParams) -> None:
    unknown = [n for n in settings.learners if n not in LEARNERS]
    if unknown:
        raise ConfigError(
            f"biomarker, learners: expected {', '.join(LEARNERS)}, found '{unknown[0]}'."
        )
    if bad := [t for t in settings.thresholds if not 0 < t < 1]:
        raise ConfigError(f"biomarker, thresholds: expected risks between 0 and 1, found {bad[0]}.")


def _markers(
    study: StudyRows, settings: BiomarkerParams, asked: tuple[str, ...], default: tuple[str, ...]
) -> tuple[list[Marker], list[dict[str, str]]]:
    """Resolve names; those of the parameters may be missing in a study, those asked for may not."""
    measured = study.outcomes[[c for c in MEASURED if c in study.outcomes.columns]]
    found, skipped = [], []
    for name in dict.fromkeys(asked or default):
        try:
            marker = resolve(name, study.cases, study.features)
            refuse_leaks(marker, measured, study.coupled, settings.decision_time)
        except (TableError, LeakageError) as error:
            if asked:
                raise
            skipped.append({"name": name, "reason": str(error)})
            continue
        found.append(marker)
    return found, skipped


def _joined(markers: Sequence[Marker]) -> pd.DataFrame:
    columns = pd.concat([m.columns for m in markers], axis=1) if markers else pd.DataFrame()
    return columns.loc[:, ~columns.columns.duplicated()]


def count_tries(results: Sequence[dict[str, Any]]) -> None:
    """Add the p values that count every test made, and the sentences that rest on them.

    Parameters
    ----------
    results : sequence of dict
        Of :func:`run`, one per endpoint: a marker tried at three endpoints was tried three times.
    """
    found = [(r, c) for r in results for c in r["candidates"]]
    p = np.array([c["test"]["p_value"] for _, c in found], dtype=np.float64)
    for (result, record), by_holm, by_bh in zip(found, holm(p), benjamini_hochberg(p), strict=True):
        result["n_tests"] = len(found)
        record["test"] |= {
            "p_holm": float(by_holm),
            "p_benjamini_hochberg": float(by_bh),
        }
        record["sentence"] = sentence(record, result)


def _result(
    study: StudyRows,
    about: Mapping[str, Any],
    base: tuple[Sequence[Marker], list[dict[str, str]]],
    candidates: tuple[list[dict[str, Any]], list[dict[str, str]]],
    settings: BiomarkerParams,
) -> dict[str, Any]:
    found, skipped = candidates
    return {
        "study": study.card.get("name", ""),
        "simulated": about["simulated"],
        "target": about["target"],
        "endpoint": study.endpoint,
        "rule": study.rule,
        "contrast": about["contrast"],
        "base": {
            "asked": [m.name for m in base[0]],
            "columns": list(_joined(base[0]).columns),
            "left_out": base[1],
        },
        "splits": {
            "repeats": settings.repeats,
            "folds": settings.folds,
            "sha256": study.plan.sha256(),
        },
        "ingested": "download" in study.card,
        "n_candidates_tried": len(found),
        "n_tests": len(found),
        "skipped": skipped,
        "candidates": found,
        "signs": "differences are full minus base model: of Brier score and log loss, negative "
        "is better; a change is positive where pain lessens",
    }


def write(result: dict[str, Any], output: Path) -> None:
    """Write the result as JSON, as tables and as a forest plot."""
    make_folder(output)
    write_json(result, output / RESULT)
    if NOT_ENOUGH_DATA in result:
        return
    table = flat_table(result["candidates"])
    write_table(table, output / TABLE)
    write_table(_robustness_table(result["candidates"]), output / ROBUSTNESS)
    forest_figure(table, result["simulated"], output / FOREST)


@dataclass(frozen=True)
class Written:
    """Where results go: a folder, a Markdown page; and whether too little data is a result."""

    output: Path | None = None
    page: Path | None = None
    record_too_few: bool = False


def run_endpoints(
    params: tuple[BiomarkerParams, LabelParams],
    folder: Path,
    question: Question,
    endpoints: tuple[str, ...],
    written: Written,
) -> list[dict[str, Any]]:
    """Ask the same question of one or several endpoints, and write what was found.

    Of several endpoints, each has its own folder in ``written.output``.
    """
    results = []
    for endpoint in endpoints:
        settings = (replace(params[0], endpoint=endpoint), params[1])
        result = _run_or_record(settings, folder, question, record=written.record_too_few)
        results.append(result)
    if len(results) > 1:
        count_tries(results)
    if written.output is not None:
        for endpoint, result in zip(endpoints, results, strict=True):
            write(result, written.output / endpoint if len(endpoints) > 1 else written.output)
    if written.page is not None:
        asked = command(folder, question, endpoints, written.page)
        write_page(results, (folder.as_posix(), asked), written.page)
    return results


def _run_or_record(
    params: tuple[BiomarkerParams, LabelParams], folder: Path, question: Question, *, record: bool
) -> dict[str, Any]:
    try:
        return run(params, folder, question)
    except NotEnoughDataError as error:
        if not record:
            raise
        return {NOT_ENOUGH_DATA: str(error), "candidates": [], "n_candidates_tried": 0}


def command(folder: Path, question: Question, endpoints: tuple[str, ...], page: Path) -> str:
    """Return the command line that asks the question."""
    parts = [f"eih biomarker {folder.as_posix()}", f"--target {question.target}"]
    parts += [f"--endpoint {','.join(endpoints)}"]
    parts += [f"--candidate {c}" for c in question.candidates]
    parts += [f"--base {','.join(question.base)}"] if question.base else []
    parts += [f"--reliability {name}={value:g}" for name, value in question.reliability.items()]
    return " ".join([*parts, f"--page {page.as_posix()}"])


def flat_table(candidates: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per candidate: its test, its odds ratio per SD and its differences."""
    rows = []
    for c in candidates:
        ratio, test = c["likelihood_ratio"], c["test"]
        single = c["coefficients"][0] if len(c["coefficients"]) == 1 else None
        row = {
            "name": c["name"],
            **{k: c[k] for k in ("kind", "n", "n_participants", "n_events", "firth")},
            "likelihood_ratio": ratio["statistic"],
            "df": ratio["df"],
            **{k: test[k] for k in ("p_value", "p_holm", "p_benjamini_hochberg")},
            "adequacy_of_base": c["adequacy"]["base"],
        }
        nothing = dict.fromkeys(("estimate", "lower", "upper"), np.nan)
        pairs = {
            "odds_ratio_per_sd": single["odds_ratio_per_sd"] if single else nothing,
            **{n: c[n] for n in ("auc_difference", "brier_difference", "log_loss_difference")},
            "r2_difference": c["change"]["r2_difference"],
        }
        for name, found in pairs.items():
            row |= {f"{name}_{k}": found[k] for k in ("estimate", "lower", "upper")}
        rows.append(row)
    return pd.DataFrame(rows)


def _robustness_table(candidates: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = []
    for c in candidates:
        for r in c["robustness"]:
            test, slope = r.get("test") or {}, r.get("per_sd") or {}
            row = {"name": c["name"], **{k: r.get(k) for k in ("rule", "learner", "n", "n_events")}}
            row["likelihood_ratio"] = (r.get("likelihood_ratio") or {}).get("statistic")
            row |= {k: test.get(k) for k in ("df", "p_value")}
            row |= {f"log_odds_per_sd_{k}": slope.get(k) for k in ("estimate", "lower", "upper")}
            for name in ("auc_difference", "log_loss_difference"):
                own = r.get(name) or {}
                row |= {f"{name}_{k}": own.get(k) for k in ("estimate", "lower", "upper")}
            rows.append(row | {"reason": r.get("reason", "")})
    return pd.DataFrame(rows)


def lines(result: Mapping[str, Any]) -> list[str]:
    """Say in a few lines what was tried and what it showed."""
    if NOT_ENOUGH_DATA in result:
        return [f"not enough data: {result[NOT_ENOUGH_DATA]}"]
    tried = result["n_candidates_tried"]
    head = (
        f"{result['endpoint']}: {tried} {'candidate' if tried == 1 else 'candidates'} tried over "
        f"{', '.join(result['base']['asked']) or 'no base set'}"
    )
    skipped = [f"not judged: {s['reason']}" for s in result["skipped"]]
    simulated = ["Simulated data."] if result["simulated"] else []
    return [*simulated, head, *(c["sentence"] for c in result["candidates"]), *skipped]
