"""How reliable the measured response is, from what a study repeats, and what follows for models.

Three kinds of repetition tell different things, so that every figure says which it rests on:

``sessions``  the same exercise on two days or more: how far the response is a property of the
              person. Nothing else tells that.
``rest``      a bout of quiet rest: how much a change varies without exercise. A response that
              differs from day to day counts as true here: an upper bound.
``trials``    trials within a block: the noise of single readings. Blind to whatever drifts
              between blocks: a looser upper bound.

The best source with enough persons is used for the ceiling; all are reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from features.agreement import FORMS, intraclass_correlations
from features.change import on_scale
from features.one_way import fit_one_way
from features.outcome import Endpoint, OutcomeDesign, compute_changes
from features.repeatability import bland_altman, within_person_sd
from features.resampling import (
    Figure,
    bootstrap_figure,
    draw_persons,
    person_codes,
    person_sums,
    pooled_variance,
    unknown,
)
from features.sessions import SessionTable, complete_rows, tabulate_sessions, with_sessions
from features.spec import Vector

SOURCES = ("sessions", "rest", "trials")
# Below this many persons with a repetition a source is reported but not used for the ceiling.
LEAST_PERSONS = 10
RESAMPLES = 1000
SEED = 20264
NO_SOURCE = (
    "nothing is repeated: no second session of the same exercise, no quiet rest, no trials, or "
    f"fewer than {LEAST_PERSONS} persons with one"
)
HEADLINE = "ICC(A,1)"
ONE_WAY_REML = "ICC(1), one-way REML of all sessions"


@dataclass(frozen=True)
class Repetition:
    """What one source of repetition says about the change of one endpoint.

    Attributes
    ----------
    source : {'sessions', 'rest', 'trials'}
    icc : Figure
        Reliability of the quantity that was repeated.
    model : str
        Which ICC, or which ratio of variances.
    label_reliability : Figure
        Reliability of the change a label is made from: one bout, its rest bout subtracted where
        the study does so. Differs from ``icc`` where sessions average several bouts or share a
        rest bout.
    sem : Figure
        Error of the repeated quantity, in the unit of the change.
    n_participants, n_values : int
    details : mapping
        Whatever else the source tells.
    notes : sentences a reader needs beside the figures
    """

    source: str
    icc: Figure
    model: str
    label_reliability: Figure
    sem: Figure
    n_participants: int
    n_values: int
    details: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class EndpointChanges:
    """Changes of one endpoint; rows as of :func:`features.sessions.with_sessions`.

    ``label`` are exercise bouts as they are labelled, ``bare`` the same without the rest bout
    subtracted, ``rest`` the rest bouts; ``draws`` the resamples of the study's persons.
    """

    label: pd.DataFrame
    bare: pd.DataFrame
    rest: pd.DataFrame
    draws: Vector

    def variance(self, rows: pd.DataFrame) -> Vector:
        """Variance of the change of ``rows``, in the sample and in each resample."""
        values = rows["change"].to_numpy(dtype=np.float64)
        return pooled_variance(values, rows["_person"].to_numpy(), self.draws)


@dataclass(frozen=True)
class StudyChanges:
    """Changes of a study, with and without the rest bout subtracted, and the trials' noise."""

    label: pd.DataFrame
    bare: pd.DataFrame
    trial_se: pd.Series
    draws: Vector

    def of(self, endpoint: Endpoint) -> EndpointChanges:
        """Return the changes of one endpoint."""

        def chosen(table: pd.DataFrame, is_rest: bool) -> pd.DataFrame:
            rows = (table["endpoint"] == endpoint.name) & (table["is_rest"] == is_rest)
            return table[rows & table["change"].notna()]

        return EndpointChanges(
            chosen(self.label, False), chosen(self.bare, False), chosen(self.bare, True), self.draws
        )


def study_changes(
    cases: pd.DataFrame,
    measurements: pd.DataFrame,
    design: OutcomeDesign,
    n_resamples: int = RESAMPLES,
    seed: int = SEED,
) -> StudyChanges:
    """Prepare the changes of a study for every estimate of reliability."""
    bare_design = replace(design, subtract_rest=False)
    label, bare = (_changes(cases, measurements, d) for d in (design, bare_design))
    n_persons = int(label["_person"].max()) + 1 if len(label) else 1
    draws = draw_persons(n_persons, n_resamples, seed)
    noise = _trial_noise(cases, measurements, bare_design, bare)
    return StudyChanges(label, bare, noise, draws)


def _changes(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign
) -> pd.DataFrame:
    """Changes as they are labelled, with what tells repeats and the person's code."""
    changes = compute_changes(cases, measurements, design)
    changes = on_scale(changes, design, np.ones(len(changes), dtype=bool))
    changes = with_sessions(changes, cases)
    return changes.assign(_person=person_codes(changes))


def _trial_noise(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign, bare: pd.DataFrame
) -> pd.Series:
    """Standard error, from trials, of every row of ``bare``, on the scale of its change.

    NaN on a scale to which the noise of trials does not add up (percent, adjusted).
    """
    by = ["study_id", "participant_id", "session_id", "endpoint"]
    noise = pd.Series(np.nan, index=bare.index)
    value = measurements["value"].astype("float64")
    logged = measurements.assign(value=np.log(value.where(value > 0)))
    for scale, table in (("absolute", measurements), ("log_ratio", logged)):
        rows = bare["change_scale"] == scale
        if rows.any():
            errors = compute_changes(cases, table, design)[[*by, "se_trials"]]
            joined = bare.loc[rows, by].merge(errors, on=by, how="left")
            noise[rows] = joined["se_trials"].to_numpy()
    return noise


def repetitions(study: StudyChanges, endpoint: Endpoint, design: OutcomeDesign) -> list[Repetition]:
    """Return what every source says about the change of ``endpoint``, the best first."""
    changes = study.of(endpoint)
    found = [from_sessions(changes), from_trials(changes, study.trial_se)]
    if design.reference == "pre":
        # Against another bout, a rest bout is no change without exercise.
        found.insert(1, from_rest(changes))
    return found


def chosen_repetition(found: list[Repetition]) -> Repetition | None:
    """Return the best source with enough persons and an estimate; None without one."""
    for repetition in found:
        known = np.isfinite(repetition.label_reliability.estimate)
        if known and repetition.n_participants >= LEAST_PERSONS:
            return repetition
    return None


def of_label(chosen: Repetition | None, labels: pd.DataFrame, draws: Vector) -> tuple[Figure, str]:
    """Reliability of what an endpoint's labels are made of, and the source it rests on.

    The hard rules cut the change of one bout. The rule ``posterior`` cuts a change that was shrunk
    with what is known of the person's other bouts and may be the more reliable for it: there the
    reliability is the variance of the posterior means over that of true changes, which is the sum
    of the former and of the mean posterior variance. It rests on the model of the error.

    Parameters
    ----------
    chosen : Repetition or None
    labels : DataFrame
        Outcome table of the endpoint.
    draws : ndarray of shape (1 + n_resamples, n_persons)
    """
    if "rule" in labels.columns and (labels["rule"] == "posterior").any():
        return _of_posterior(labels, len(draws) - 1), "posterior"
    if chosen is None:
        return unknown(NO_SOURCE), "none"
    return chosen.label_reliability, chosen.source


def _of_posterior(labels: pd.DataFrame, n_resamples: int) -> Figure:
    known = labels.dropna(subset=["posterior_mean", "posterior_sd"])
    method = "variance of posterior means over that of true changes"
    if len(known) < 3:
        return unknown("fewer than three bouts have a posterior", method)
    person = person_codes(known)
    draws = draw_persons(int(person.max()) + 1, n_resamples, SEED)
    means = pooled_variance(known["posterior_mean"].to_numpy(dtype=np.float64), person, draws)
    n_rows = person_sums(np.ones(len(known)), person, draws)
    squares = known["posterior_sd"].to_numpy(dtype=np.float64) ** 2
    left = person_sums(squares, person, draws) / np.where(n_rows > 0, n_rows, np.nan)
    return bootstrap_figure(means / (means + left), method, "no true change varies")


def from_sessions(changes: EndpointChanges) -> Repetition:
    """Reliability of the change between sessions of the same exercise.

    The exact two-way forms use complete rows (:func:`features.sessions.complete_rows`). Where
    units with two sessions or more are incomplete, or a person repeats two exercises, the
    headline is the one-way REML estimate over all of them, with a person bootstrap.

    Notes
    -----
    Sessions that share one rest bout share its error, which would pass for a property of the
    person: then the change without the rest bout is what is compared. The reliability of the
    label is the variance between persons over the variance of the label itself.
    """
    shared = _share_rest(changes.label)
    rows = changes.bare if shared else changes.label
    table = tabulate_sessions(rows, "change", ["_person", "_exercise"]).repeated
    complete = complete_rows(table.values)
    forms = intraclass_correlations(complete)
    components = fit_one_way(table.values, table.person, changes.draws)
    reml = bootstrap_figure(components.icc, ONE_WAY_REML, _too_few(table))
    icc, model = (forms[HEADLINE], HEADLINE) if table.is_exact else (reml, ONE_WAY_REML)
    label = icc
    if shared or table.bouts_per_session > 1:
        label = bootstrap_figure(
            components.between / changes.variance(changes.label),
            "variance between persons over variance of the label",
            _too_few(table),
        )
    return Repetition(
        source="sessions",
        icc=icc,
        model=model,
        label_reliability=label,
        sem=within_person_sd(complete),
        n_participants=len(np.unique(table.person)),
        n_values=int(np.isfinite(table.values).sum()),
        details={
            "forms": {form: forms[form].to_dict() for form in FORMS},
            "one_way_reml": reml.to_dict(),
            "n_complete_rows": len(complete),
            "n_sessions": complete.shape[1] if len(complete) else 0,
            "bouts_per_session": table.bouts_per_session,
            "rest_shared_between_sessions": shared,
            "varying_between_sessions": list(table.varying),
            "bland_altman": bland_altman(complete[:, 0], complete[:, 1]).to_dict(),
        },
        notes=_session_notes(table, shared),
    )


def _share_rest(label: pd.DataFrame) -> bool:
    """Whether two sessions of a unit had the same rest bout subtracted."""
    subtracted = label[label["rest_change"].notna()]
    sessions = subtracted.groupby(["_person", "_exercise"]).agg(
        sessions=("_session", "nunique"), rests=("rest_change", "nunique")
    )
    return bool((sessions["rests"] < sessions["sessions"]).any())


def _too_few(table: SessionTable) -> str:
    if len(table.values) < 2:
        return "fewer than two persons have a second session of the same exercise"
    return "no variance within persons"


def _session_notes(table: SessionTable, shared: bool) -> tuple[str, ...]:
    notes = [
        f"The sessions differ in {name}: this is no clean test-retest." for name in table.varying
    ]
    if shared:
        notes.append(
            "The sessions share one rest bout, whose error would pass for a trait: they are "
            "compared without it."
        )
    if table.bouts_per_session > 1:
        notes.append(
            f"A session's value is the mean of up to {table.bouts_per_session} bouts; a label "
            "rests on one of them and is less reliable."
        )
    return tuple(notes)


def from_rest(changes: EndpointChanges) -> Repetition:
    """Reliability of the change as one minus the share that quiet rest varies by itself.

    Where the rest bout is subtracted, its error is in the label twice: once in the bout, once in
    what is subtracted.
    """
    method = "1 - error variance from rest / variance of the change"
    n_persons = changes.rest["_person"].nunique()
    if len(changes.rest) < 3:
        reason = "fewer than three bouts of quiet rest"
        nothing = unknown(reason, method)
        return Repetition("rest", nothing, method, nothing, nothing, n_persons, 0, {})
    label = changes.label
    rest, variance = changes.variance(changes.rest), changes.variance(label)
    copies = 1.0 + float(label["rest_change"].notna().mean())
    reliability = bootstrap_figure(
        1 - copies * rest / variance, method, "the change does not vary, or too few bouts"
    )
    sem = bootstrap_figure(np.sqrt(copies * rest), "SD of change after rest", "too few rest bouts")
    return Repetition(
        source="rest",
        icc=reliability,
        model=method,
        label_reliability=reliability,
        sem=sem,
        n_participants=n_persons,
        n_values=len(changes.rest),
        details={"error_variances_in_the_change": copies},
        notes=(
            "From quiet rest: a response that differs from day to day counts as true, so that "
            "this is an upper bound of the reliability between sessions.",
        ),
    )


def from_trials(changes: EndpointChanges, trial_se: pd.Series) -> Repetition:
    """Reliability of the change if the noise of single trials were its only error."""
    method = "1 - error variance from trials / variance of the change"
    label = changes.label
    own = trial_se.reindex(changes.bare.index).dropna()
    n_persons = int(changes.bare.loc[own.index, "_person"].nunique())
    if len(own) < 3 or len(label) < 3:
        nothing = unknown("no trials are repeated within a block", method)
        return Repetition("trials", nothing, method, nothing, nothing, n_persons, 0, {})
    person = changes.bare.loc[own.index, "_person"].to_numpy()
    n_rows = person_sums(np.ones(len(own)), person, changes.draws)
    noise = person_sums(own.to_numpy() ** 2, person, changes.draws) / np.where(
        n_rows > 0, n_rows, np.nan
    )
    rest = trial_se.reindex(changes.rest.index).dropna()
    subtracted = float(label["rest_change"].notna().mean())
    if subtracted and len(rest):
        noise = noise + subtracted * float((rest**2).mean())
    variance = changes.variance(label)
    reliability = bootstrap_figure(1 - noise / variance, method, "the change does not vary")
    return Repetition(
        source="trials",
        icc=reliability,
        model=method,
        label_reliability=reliability,
        sem=bootstrap_figure(np.sqrt(noise), "root mean square error from trials", "no trials"),
        n_participants=n_persons,
        n_values=len(own),
        details={},
        notes=(
            "From trials within a block: blind to whatever drifts between blocks and days, so "
            "that this is an upper bound of the reliability between sessions.",
        ),
    )
