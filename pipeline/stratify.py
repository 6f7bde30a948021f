"""Tool ``stratify``: groups of persons, predefined and found, and what they are worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.reference import load_reference
from features.strata import (
    UNKNOWN,
    CutAxis,
    StrataRule,
    choose_marker,
    group_numbers,
    load_rules,
)
from models.clustering import (
    METHODS,
    choose_number,
    draw_persons,
    fit_clusters,
    jaccard_stability,
)
from models.errors import LeakageError, NotEnoughDataError
from models.strata import Grouped, association, compare_codings, outcome_of_groups
from pipeline.biomarker_study import label_rows, read_study_rows
from pipeline.config import BiomarkerParams, LabelParams
from pipeline.errors import ConfigError, TableError
from pipeline.io import write_json, write_table
from pipeline.paths import make_folder
from pipeline.small_cells import SMALLEST_CELL
from pipeline.stratify_source import NO_RULE, Asked, Source, allowed_marker, base_set
from pipeline.stratify_words import (
    group_sentence,
    number_sentence,
    verdict_sentence,
)

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
RESULT, TABLE = "strata.json", "strata.csv"


def run(params: tuple[BiomarkerParams, LabelParams], folder: Path, asked: Asked) -> dict[str, Any]:
    """Group the persons of a study, and judge the groups.

    Parameters
    ----------
    params : (BiomarkerParams, LabelParams)
        Endpoint, splits and resamples are those of ``eih biomarker``.
    folder : Path
        A study: cases and measurements, and a card where there is one.
    asked : Asked

    Returns
    -------
    dict with ``groupings`` (one record each), ``not_made`` (name and reason) and ``sentences``

    Raises
    ------
    ConfigError
        For a rule or method there is not.
    LeakageError
        For a marker asked for by name that is made of the outcome's own reference.
    """
    _check(asked)
    settings = params[0]
    study = label_rows(read_study_rows(params, folder, asked.target), ())
    base = base_set(study, settings, asked.base)
    source = Source(study, settings, asked, base.columns.to_numpy(dtype=np.float64))
    groupings, not_made = _all_groupings(source)
    result: dict[str, Any] = {
        "study": study.card.get("name", ""),
        "simulated": bool(study.card.get("simulated", False)),
        "ingested": "download" in study.card,
        "target": asked.target,
        "endpoint": study.endpoint,
        "rule": study.rule,
        "base": base.record(),
        "splits": {
            "repeats": settings.repeats,
            "folds": settings.folds,
            "sha256": study.plan.sha256(),
        },
        "groupings": groupings,
        "not_made": not_made,
        "signs": "differences are groups minus the other coding: of log loss and Brier score, "
        "negative is better; a change is positive where pain lessens",
    }
    result["sentences"] = list(_sentences(result))
    return result


def _check(asked: Asked) -> None:
    known = (*load_rules(), NO_RULE)
    if wrong := [r for r in asked.rules if r not in known]:
        raise ConfigError(f"rule: expected {', '.join(known)}, found '{wrong[0]}'.")
    if asked.method not in (*METHODS, NO_RULE):
        raise ConfigError(
            f"method: expected {', '.join((*METHODS, NO_RULE))}, found '{asked.method}'."
        )


def _all_groupings(source: Source) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    asked, made, not_made = source.asked, [], []
    rules = [load_rules()[n] for n in asked.rules or load_rules() if n != NO_RULE]
    for rule in rules:
        try:
            made.append(_by_rule(source, rule))
        except (TableError, NotEnoughDataError, LeakageError) as error:
            if asked.rules:
                raise
            not_made.append({"name": rule.name, "reason": str(error)})
    if asked.method != NO_RULE:
        try:
            made.append(_by_clusters(source))
        except (TableError, NotEnoughDataError, LeakageError) as error:
            if asked.markers:
                raise
            not_made.append({"name": asked.method, "reason": str(error)})
    return made, not_made


def _by_rule(source: Source, rule: StrataRule) -> dict[str, Any]:
    features, refused = _without_leaks(source, rule)
    published = source.asked.cut == "published"
    cut = [choose_marker(axis, features, published=published) for axis in rule.axes]
    axes = [a for a in cut if a is not None]
    if len(axes) < len(cut):
        axis = rule.axes[cut.index(None)]
        names = ", ".join(dict.fromkeys(m.marker for m in axis.markers))
        why = "".join(f" {r}" for r in refused)
        raise TableError(
            f"rule '{rule.name}', axis '{axis.name}': expected one of {names}, known in at least "
            f"half of the rows and different between them, found none.{why}"
        )
    markers = np.column_stack([a.values for a in axes])

    def grouper(rows: Index) -> Index:
        return group_numbers(axes, source.first_rows(rows))

    data = source.grouped(markers, grouper)
    about = {
        "name": rule.name,
        "kind": "predefined",
        "title": rule.title,
        "axes": [_axis_record(a, source.first_rows(np.flatnonzero(data.known))) for a in axes],
        "markers": [a.marker.marker for a in axes],
        "refused": refused,
    }
    return about | _judge(source, data, rule.group_names())


def _without_leaks(source: Source, rule: StrataRule) -> tuple[pd.DataFrame, list[str]]:
    """Return the features without the rule's markers that a model may not have, and why."""
    features, refused = source.study.features, []
    for name in dict.fromkeys(m.marker for a in rule.axes for m in a.markers):
        if name not in features.columns or features[name].isna().all():
            continue
        try:
            allowed_marker(source.study, source.settings, name)
        except LeakageError as error:
            refused.append(str(error))
            features = features.drop(columns=name)
    return features, refused


def _axis_record(axis: CutAxis, rows: Index) -> dict[str, Any]:
    return {
        "name": axis.axis.name,
        "upper": axis.axis.upper,
        "lower": axis.axis.lower,
        "marker": axis.marker.marker,
        "cut": axis.cut_of(rows),
        "cut_by": "published" if axis.published else "median of the training persons",
        "low_is_upper": axis.marker.reverse,
        "source": axis.marker.source,
        "confidence": axis.marker.confidence if axis.published else "A",
    }


def _by_clusters(source: Source) -> dict[str, Any]:
    asked, seed = source.asked, source.settings.seed
    names, values, left_out = _cluster_markers(source)
    complete = np.asarray(np.isfinite(values).all(axis=1))
    persons = _person_means(values, source.study.person, np.flatnonzero(complete))
    number = choose_number(persons, asked.method, asked.most, seed)
    chosen = asked.number or number.chosen
    about: dict[str, Any] = {
        "name": asked.method,
        "kind": "data-driven",
        "title": f"clusters of {', '.join(names)}",
        "markers": names,
        "left_out": left_out,
        "n_clustered": len(persons),
        "number": {
            "used": chosen,
            "supported": number.chosen,
            "criterion": number.criterion,
            "by_number": number.by_number,
        },
    }
    if chosen == 1:
        return about | {"groups": []}

    def grouper(rows: Index) -> Index:
        learnt = rows[complete[rows]]
        means = _person_means(values, source.study.person, learnt)
        group = np.full(len(values), UNKNOWN, dtype=np.int64)
        group[complete] = fit_clusters(means, asked.method, chosen, seed)(values[complete])
        return group

    def cluster(rows: Matrix) -> Index:
        return fit_clusters(rows, asked.method, chosen, seed)(rows)

    draws = draw_persons(len(persons), asked.resamples, seed)
    stability = jaccard_stability(persons, cluster, draws).summary()
    assigned = cluster(persons)
    data = source.grouped(values, grouper)
    titles = tuple(f"cluster {i + 1}" for i in range(chosen))
    about["stability_resamples"] = asked.resamples
    judged = _judge(source, data, titles)
    present = dict(zip(np.unique(assigned), stability, strict=True))
    for at, record in enumerate(judged["groups"]):
        record["stability"] = present.get(at, {"jaccard": np.nan, "word": "empty"})
        record["profile"] = _profile(persons[assigned == at], names)
    return about | judged


def _cluster_markers(source: Source) -> tuple[list[str], Matrix, list[dict[str, str]]]:
    """Return the clusters' markers; of the default ones, those the study knows enough of."""
    asked = source.asked.markers
    columns, left_out = [], []
    for name in asked or load_reference("strata.toml")["clusters"]["markers"]:
        try:
            found = allowed_marker(source.study, source.settings, name).columns
            if not asked and float(found.notna().all(axis=1).mean()) < 0.5:
                raise TableError(f"marker '{name}': known in fewer than half of the rows.")
        except (TableError, LeakageError) as error:
            if asked:
                raise
            left_out.append({"name": name, "reason": str(error)})
            continue
        columns.append(found)
    joined = pd.concat(columns, axis=1) if columns else pd.DataFrame()
    if joined.shape[1] < 2:
        raise NotEnoughDataError(
            f"clusters: expected two markers at least, found {joined.shape[1]}. Name markers the "
            "study measured (--marker)."
        )
    return list(joined.columns), joined.to_numpy(dtype=np.float64), left_out


def _person_means(values: Matrix, person: Index, rows: Index) -> Matrix:
    """Return one row per person: the mean of the rows given."""
    number = np.unique(person[rows], return_inverse=True)[1]
    size = np.bincount(number)
    return np.column_stack([np.bincount(number, column) / size for column in values[rows].T])


def _profile(persons: Matrix, names: Sequence[str]) -> dict[str, float]:
    if len(persons) < SMALLEST_CELL:
        return {}
    return dict(zip(names, persons.mean(axis=0).tolist(), strict=True))


def _judge(source: Source, data: Grouped, names: Sequence[str]) -> dict[str, Any]:
    """Outcomes of the groups, whether they differ, and how they predict."""
    outcomes = outcome_of_groups(data, len(names), SMALLEST_CELL)
    compared = source.beside_base(data)
    judged: dict[str, Any] = {
        "n_rows": int(data.known.sum()),
        "n_participants": len(np.unique(data.person[data.known])),
        "n_rows_unknown": int((~data.known).sum()),
        "n_rows_compared": int(compared.known.sum()),
        "groups": [{"name": n, **o} for n, o in zip(names, outcomes, strict=True)],
        **association(compared),
    }
    try:
        judged["comparison"] = compare_codings(compared, source.draws)
    except NotEnoughDataError as error:
        judged["comparison"] = {"versus": {}, "verdict": "unknown", "reason": str(error)}
    return judged


def _sentences(result: Mapping[str, Any]) -> Iterator[str]:
    if result["simulated"]:
        yield "Simulated data."
    for grouping in result["groupings"]:
        if grouping["kind"] == "data-driven":
            yield number_sentence(grouping)
        for group in grouping["groups"]:
            yield group_sentence(grouping, group, result["target"])
        if grouping["groups"]:
            grouping["sentence"] = verdict_sentence(grouping, result)
            yield grouping["sentence"]
    for left in result["not_made"]:
        yield f"not made: {left['reason']}"


def write(result: Mapping[str, Any], output: Path) -> None:
    """Write the result as JSON, and the groups as a table ready to draw."""
    make_folder(output)
    write_json(dict(result), output / RESULT)
    write_table(flat_table(result), output / TABLE)


def flat_table(result: Mapping[str, Any]) -> pd.DataFrame:
    """One row per group: its size, its outcomes, and its stability where it was found."""
    rows = []
    for grouping in result["groupings"]:
        for group in grouping["groups"]:
            row = {"grouping": grouping["name"], "group": group["name"]}
            row |= {k: group[k] for k in ("n_rows", "n_participants", "n_judged", "n_events")}
            for figure in ("share", "change"):
                row |= {f"{figure}_{k}": group[figure][k] for k in ("estimate", "lower", "upper")}
            rows.append(row | {"jaccard": group.get("stability", {}).get("jaccard", np.nan)})
    return pd.DataFrame(rows)
