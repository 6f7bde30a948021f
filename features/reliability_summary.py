"""The reliability of every endpoint as one record each, and in words what it means for models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from features.block_order import has_block_order, without_block_drift
from features.ceiling import (
    CLASS_TARGETS,
    auc_ceiling,
    ceiling,
    in_words,
    kappa_between_labels,
    kappa_ceiling,
    label_shares,
    r2_ceiling,
)
from features.individual_response import (
    Changes,
    IndividualResponse,
    individual_response,
    not_estimable,
)
from features.outcome import Endpoint, OutcomeDesign
from features.reliability import (
    NO_SOURCE,
    EndpointChanges,
    Repetition,
    StudyChanges,
    chosen_repetition,
    from_sessions,
    of_label,
    repetitions,
    study_changes,
)
from features.repeatability import Z95, clustered_kappa, cohen_kappa, mdc95
from features.resampling import Figure, unknown
from features.sessions import with_sessions
from features.single_values import single_values
from features.units import MEASURES


def summarise_reliability(
    cases: pd.DataFrame, measurements: pd.DataFrame, labels: pd.DataFrame, design: OutcomeDesign
) -> dict[str, dict[str, Any]]:
    """Reliability of every endpoint of a study, from the best source it has.

    Parameters
    ----------
    cases, measurements : DataFrame
        Checked tables.
    labels : DataFrame
        Outcome table of the same study and design, from :mod:`features.outcome`.
    design : OutcomeDesign

    Returns
    -------
    dict of '<measure>/<site_role>' (with '/<timepoint>' where a study looks at several) to the
    record of that endpoint

    Notes
    -----
    ``icc`` is that of the change. ``auc_ceiling`` belongs to the label ``response`` as this study
    makes it, from one bout.
    """
    study = study_changes(cases, measurements, design)
    adjusted = None
    if design.reference == "bout" and has_block_order(cases):
        adjusted = study_changes(cases, without_block_drift(cases, measurements), design)
    pairs = Counter((e.measure, e.site_role) for e in design.endpoints)
    records = {}
    for endpoint in design.endpoints:
        key = f"{endpoint.measure}/{endpoint.site_role}"
        if pairs[endpoint.measure, endpoint.site_role] > 1:
            key += f"/{endpoint.timepoint}"
        record = _record(study, labels, cases, endpoint, design)
        record["single_value"] = single_values(study, measurements, endpoint, design)
        if adjusted is not None:
            record["icc_adjusted_for_block_order"] = from_sessions(
                adjusted.of(endpoint)
            ).icc.to_dict()
        record["sentences"] = sentences(key, record)
        records[key] = record
    return records


def label_reliability(
    cases: pd.DataFrame, measurements: pd.DataFrame, labels: pd.DataFrame, design: OutcomeDesign
) -> dict[str, dict[str, Any]]:
    """Reliability of what the labels are made of, per endpoint name, with its source.

    Returns
    -------
    dict of endpoint name to ``estimate, lower, upper, method, reason, source``
    """
    study = study_changes(cases, measurements, design)
    found = {}
    for endpoint in design.endpoints:
        chosen = chosen_repetition(repetitions(study, endpoint, design))
        own = labels[labels["endpoint"] == endpoint.name]
        figure, source = of_label(chosen, own, study.draws)
        found[endpoint.name] = {**figure.to_dict(), "source": source}
    return found


def _record(
    study: StudyChanges,
    labels: pd.DataFrame,
    cases: pd.DataFrame,
    endpoint: Endpoint,
    design: OutcomeDesign,
) -> dict[str, Any]:
    found = repetitions(study, endpoint, design)
    chosen = chosen_repetition(found)
    changes = study.of(endpoint)
    own = labels[labels["endpoint"] == endpoint.name]
    responses = _individual_response(changes, design)
    reliability, source = of_label(chosen, own, study.draws)
    ceilings = _ceilings(reliability, own)
    auc = ceilings["response"]["auc"]
    return {
        "endpoint": endpoint.name,
        "measure": endpoint.measure,
        "site_role": endpoint.site_role,
        "timepoint": endpoint.timepoint,
        "change_scale": _scale(changes),
        **_headline(chosen, changes),
        "label_reliability": {**reliability.to_dict(), "source": source},
        "sd_individual_response": responses.sd.estimate,
        "auc_ceiling": auc["estimate"],
        "r2_ceiling": ceilings["response"]["r2"]["estimate"],
        "kappa_ceiling": ceilings["response"]["kappa"]["estimate"],
        "ceilings": ceilings,
        "individual_response": responses.to_dict(),
        "kappa": _class_agreement(own, cases, changes),
        "sources": {r.source: _source_record(r) for r in found},
        "n_participants": int(changes.label["_person"].nunique()),
        "n_bouts": len(changes.label),
        "n_rest_bouts": len(changes.rest),
    }


def _headline(chosen: Repetition | None, changes: EndpointChanges) -> dict[str, Any]:
    """Figures of the chosen source, NaN with the reason where there is none."""
    icc = chosen.icc if chosen else unknown(NO_SOURCE)
    sem = chosen.sem if chosen else unknown(NO_SOURCE)
    n = chosen.n_participants if chosen else 0
    return {
        "source": chosen.source if chosen else "none",
        "quantity": "change",
        "icc": {**icc.to_dict(), "model": chosen.model if chosen else "none"},
        "sem": sem.estimate,
        "sem_percent": _percent(sem.estimate, changes),
        "mdc95": mdc95(sem.estimate),
        "mdc95_group": mdc95(sem.estimate, n) if n else np.nan,
        "change_beyond_error95": Z95 * sem.estimate,
        "coefficient_of_repeatability": mdc95(sem.estimate),
        "intervals": {
            "sem": sem.to_dict(),
            "mdc95": sem.through(mdc95).to_dict(),
        },
        "n_participants_repeated": n,
        "notes": list(chosen.notes) if chosen else [],
    }


def _percent(sem: float, changes: EndpointChanges) -> float:
    """SEM in percent: as the factor of a ratio, or of the value before exercise."""
    label = changes.label
    if label.empty:
        return np.nan
    scale = _scale(changes)
    if scale == "percent":
        return sem
    # An adjusted change is in the unit of the measure's primary scale.
    primary = MEASURES[str(label["measure"].iloc[0])].primary_scale
    if scale == "log_ratio" or (scale != "absolute" and primary == "log_ratio"):
        return float(100 * np.expm1(sem))
    before = float(label["reference"].mean())
    return 100 * sem / before if before > 0 else np.nan


def _scale(changes: EndpointChanges) -> str:
    return str(changes.label["change_scale"].iloc[0]) if len(changes.label) else ""


def _source_record(repetition: Repetition) -> dict[str, Any]:
    return {
        "icc": {**repetition.icc.to_dict(), "model": repetition.model},
        "label_reliability": repetition.label_reliability.to_dict(),
        "sem": repetition.sem.to_dict(),
        "n_participants": repetition.n_participants,
        "n_values": repetition.n_values,
        "notes": list(repetition.notes),
        **repetition.details,
    }


def _individual_response(changes: EndpointChanges, design: OutcomeDesign) -> IndividualResponse:
    if design.reference != "pre":
        return not_estimable("the change is counted from another bout, not from before exercise")
    if changes.rest.empty:
        return not_estimable("the study has no bouts of quiet rest")

    def columns(rows: pd.DataFrame) -> Changes:
        return Changes(
            rows["change"].to_numpy(dtype=np.float64),
            rows["_person"].to_numpy(),
            np.unique(rows["_exercise"], return_inverse=True)[1],
        )

    return individual_response(columns(changes.bare), columns(changes.rest), changes.draws)


def _ceilings(reliability: Figure, labels: pd.DataFrame) -> dict[str, Any]:
    found = {}
    for target in CLASS_TARGETS:
        shares = label_shares(labels, target)
        measures = {"auc": auc_ceiling, "r2": r2_ceiling, "kappa": kappa_ceiling}
        found[target] = {
            "prevalence": shares.event,
            "unlabelled": shares.unlabelled,
            **{n: ceiling(m, reliability, shares).to_dict() for n, m in measures.items()},
        }
        if shares.unlabelled == 0:
            between = ceiling(kappa_between_labels, reliability, shares)
            found[target]["kappa_between_sessions"] = between.to_dict()
    return found


def _class_agreement(
    labels: pd.DataFrame, cases: pd.DataFrame, changes: EndpointChanges
) -> dict[str, Any]:
    """Cohen's kappa between the classes of the first two sessions of the same exercise."""
    by = ["study_id", "participant_id", "session_id"]
    rows = with_sessions(labels, cases).merge(changes.label[[*by, "_person"]], on=by)
    rows = rows.sort_values(["_person", "_exercise", "_order", "_session", "session_id"])
    unit = rows.groupby(["_person", "_exercise"])
    new_session = unit["_session"].transform(lambda s: pd.factorize(s)[0])
    rows = rows.assign(_rank=new_session)
    rows["_place"] = rows.groupby(["_person", "_exercise", "_rank"]).cumcount()
    rows["class"] = rows["response"] - rows["hyperalgesia"]
    return {
        name: {**figure.to_dict(), "n_pairs": n, "n_participants": persons}
        for name in (*CLASS_TARGETS, "class")
        for figure, n, persons in [_pair_kappa(rows, name, changes)]
    }


def _pair_kappa(rows: pd.DataFrame, name: str, changes: EndpointChanges) -> tuple[Figure, int, int]:
    known = rows[rows["_rank"] < 2].dropna(subset=[name])
    pairs = known.pivot(index=["_person", "_exercise", "_place"], columns="_rank", values=name)
    pairs = pairs.reindex(columns=[0, 1]).dropna()
    person = pairs.index.get_level_values("_person").to_numpy()
    n_persons = len(np.unique(person))
    if len(pairs) < 2:
        return unknown("fewer than two persons have a class in two sessions"), len(pairs), n_persons
    first, second = pairs.to_numpy(dtype=np.float64).T
    if n_persons == len(pairs):
        return cohen_kappa(first, second), len(pairs), n_persons
    return clustered_kappa(first, second, changes.draws[:, person]), len(pairs), n_persons


def sentences(key: str, record: Mapping[str, Any]) -> list[str]:
    """Say what a record means for any model, in sentences for the report."""
    reliability = _figure(record["label_reliability"])
    if np.isnan(reliability.estimate):
        return [
            f"{key}: the reliability of the change cannot be estimated ({reliability.reason}); "
            "no ceiling can be stated, and no result can be told from noise by it."
        ]
    said = [
        _reliability_sentence(key, record, reliability),
        in_words(reliability, _figure(record["ceilings"]["response"]["auc"])),
        *record["notes"],
    ]
    if "icc_adjusted_for_block_order" in record:
        adjusted = _figure(record["icc_adjusted_for_block_order"])
        said.append(
            "Drift over the bouts of a visit counts as agreement where their order repeats; with "
            f"it taken out the ICC is {adjusted.in_words()}."
        )
    return [*said, record["individual_response"]["sentence"]]


def _reliability_sentence(key: str, record: Mapping[str, Any], label: Figure) -> str:
    where = {
        "sessions": "between sessions",
        "rest": "against quiet rest",
        "trials": "against the noise of trials",
        "none": "unknown",
    }[record["source"]]
    return (
        f"{key}: reliability of the change {where} {_figure(record['icc']).in_words()}, "
        f"{record['icc']['model']}, {record['n_participants_repeated']} persons; of the label "
        f"{label.in_words()}."
    )


def _figure(record: Mapping[str, Any]) -> Figure:
    return Figure(**{name: record[name] for name in Figure.__dataclass_fields__})
