"""Detectors of sins in data, outcome and settings: each yields what it saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from features import check_study as tables
from features.build import BUILDERS, SPECS, build_features
from features.columns import KEYS
from features.spec import LEARNT_ROLES
from models import check_figures as figures
from models import check_tables as rows
from models.check_words import causal_words, claims_of_validity
from models.errors import LeakageError
from models.leakage import check_known_at, check_no_outcome_copy
from pipeline.check_evidence import PERSON, Study, Target, UnseenError, need
from pipeline.check_register import Seen, of_study, of_target
from pipeline.dataset import numeric_outcomes

ROLE = {s.name: s.role for s in SPECS}
KNOWN_AT = {s.name: s.known_at for s in SPECS}
SOURCES = {s.name: s.sources for s in SPECS}
BLOCK = {s.name: s.block for s in SPECS}


# ---- persons


@of_target("EIH001")
def person_on_both_sides(t: Target) -> Seen:
    """Audit the stored splits."""
    yield from rows.persons_on_both_sides(need(t.plan, f"{t.name}/train/splits.json"), t.people())


@of_target("EIH002")
def person_under_two_names(t: Target) -> Seen:
    """Compare persons by features and change."""
    known = t.known()
    person = np.asarray(known.groupby(PERSON, sort=True).ngroup(), dtype=np.int64)
    columns = [*t.study.names(), *(c for c in ("change",) if c in known.columns)]
    yield from rows.persons_under_two_names(known[columns], person)


# ---- the label


@of_study("EIH003")
def any_change_is_a_response(s: Study) -> Seen:
    """Look for classes without a threshold."""
    yield from tables.without_threshold(s.labels())


@of_target("EIH004")
def reliability_unknown(t: Target) -> Seen:
    """Look for a reliability."""
    yield from figures.unknown_reliability(_reliability(t))


@of_target("EIH005")
def unreliable_label(t: Target) -> Seen:
    """Look at the reliability."""
    yield from figures.poor_reliability(_reliability(t))


def _reliability(t: Target) -> dict[str, Any]:
    found = t.trained().get("reliability")
    return dict(need(found or None, f"reliability in {t.name}/train/selection.json"))


@of_target("EIH006")
def auc_above_ceiling(t: Target) -> Seen:
    """Repeat the alarm of the evaluation."""
    yield from figures.above_ceiling(need(t.judged().get("ceiling"), "ceiling in metrics.json"))


@of_study("EIH007")
def class_depends_on_rule(s: Study) -> Seen:
    """Compare the rule in use with the other hard rules."""
    design, name = s.design(), s.endpoint()
    if design["rule"] == "posterior":
        raise UnseenError("hard rule in use: 'posterior' leaves bouts undecided")
    rule = f"sem_{design['sem_of']}" if design["rule"] == "sem" else str(design["rule"])
    for endpoint in need(s.summary, "outcomes.json")["rules"]:
        if endpoint["endpoint"] == name:
            yield from figures.disagreeing_rules(endpoint["agreement"], rule)


@of_target("EIH008")
def labels_from_everybody(t: Target) -> Seen:
    """Look for labels that were taken as given, where an error of measurement was estimated."""
    said = str(t.trained().get("labels", ""))
    if said.startswith("as given") and "rests on no estimated error" not in said:
        yield f"labels are {said}."


@of_target("EIH009")
def undecided_left_out(t: Target) -> Seen:
    """Count bouts without a class."""
    table = need(t.predictions, f"{t.name}/train/predictions.parquet")
    yield from figures.undecided(t.trained(), int((table["repeat"] == 0).sum()))


@of_study("EIH010")
def error_from_trials(s: Study) -> Seen:
    """Look where the error of measurement comes from."""
    if s.design()["sem_source"] == "trials":
        yield "the error of measurement is that of trials within a bout."


# ---- coupling


@of_study("EIH011")
def baseline_is_the_reference(s: Study) -> Seen:
    """Look for features made of the reference trials."""
    coupled = need(s.summary, "outcomes.json").get("coupled", [])
    sources = {n: SOURCES[n] for n in s.names() if n in SOURCES}
    yield from tables.made_of_reference(coupled, s.endpoint(), sources)


@of_study("EIH012")
def percent_change(s: Study) -> Seen:
    """Look at the scale of the change."""
    if s.design()["change_scale"] == "percent":
        yield "the labelled change is a percentage of the value before."


@of_study("EIH013")
def no_rest_control(s: Study) -> Seen:
    """Look for quiet-rest bouts."""
    yield from tables.without_rest(s.labels(), s.design()["reference"])


@of_study("EIH014")
def pain_is_predictor_and_reference(s: Study) -> Seen:
    """Look for pain on both sides."""
    measure = str(s.labels()["measure"].iloc[0]) if len(s.labels()) else ""
    yield from tables.pain_twice(measure, s.design()["reference"], list(s.learnt().columns))


@of_study("EIH015")
def no_baseline_comparator(s: Study) -> Seen:
    """Look for a column of the role baseline."""
    if not any(ROLE[c] == "baseline" for c in s.learnt().columns):
        yield "no column of pain or sensitivity before the bout varies."


# ---- selection and preparation


@of_target("EIH016")
def selection_saw_outcomes(t: Target) -> Seen:
    """Compare the columns kept with those left out, of the families that are in use."""
    known = t.known()
    whole = _rebuilt(t.study).set_index([*KEYS]).loc[pd.MultiIndex.from_frame(known[[*KEYS]])]
    change = known["change"] if "change" in known.columns else known[t.name]
    y = change.to_numpy(dtype=np.float64)
    yield from rows.chosen_by_outcome(whole, t.study.names(), y)


@of_study("EIH017")
def columns_left_out(s: Study) -> Seen:
    """Look for columns that the builders make and the table lacks."""
    measured = [c for c in _rebuilt(s).columns if c not in KEYS]
    yield from rows.lost_columns(s.names(), measured)


def _rebuilt(s: Study) -> pd.DataFrame:
    """Build features again: keys and every learnt, varying column of the families in the table."""
    cases = need(s.cases, "cases.parquet")
    present = set(s.names())
    used = [b for b in BUILDERS.values() if any(spec.name in present for spec in b.specs)]
    built = build_features(cases)
    names = [
        spec.name
        for builder in used
        for spec in builder.specs
        if spec.role in LEARNT_ROLES and built[spec.name].nunique() > 1
    ]
    return pd.concat([cases[[*KEYS]], built[names]], axis=1)


@of_target("EIH018")
def fitted_before_split(t: Target) -> Seen:
    """Look for fitted parts in the ladder."""
    yield from rows.fitted_parts(dict(need(t.ladder, "ladder: training refuses the data")))


@of_study("EIH019")
def scaled_with_everybody(s: Study) -> Seen:
    """Look for standardised columns."""
    numbers = need(s.features, "features.parquet")[s.names()]
    yield from rows.scaled_columns(numbers.select_dtypes("number"))


@of_study("EIH020")
def imputed_with_everybody(s: Study) -> Seen:
    """Look for columns filled in with their mean."""
    yield from rows.imputed_columns(need(s.cases, "cases.parquet").select_dtypes("number"))


# ---- later knowledge


@of_study("EIH021")
def known_too_late(s: Study) -> Seen:
    """Look for features of a later moment."""
    known_at = {n: KNOWN_AT[n] for n in s.names() if n in KNOWN_AT}
    yield from _refusal(lambda: check_known_at(known_at, s.params.train.decision_time))


@of_study("EIH022")
def undeclared_feature(s: Study) -> Seen:
    """Look for columns that no builder declares."""
    unknown = [n for n in s.names() if n not in KNOWN_AT]
    if unknown:
        yield f"no builder declares {rows.listed(unknown)}."


@of_target("EIH023")
def outcome_among_features(t: Target) -> Seen:
    """Look for a copy of an outcome; there is none where training accepts the data."""
    if t.data_sha256:
        return
    known = t.known()
    numbers = [c for c in t.study.names() if pd.api.types.is_numeric_dtype(known[c])]
    outcomes = numeric_outcomes(known, t.study.labels())
    yield from _refusal(lambda: check_no_outcome_copy(known[numbers], outcomes))


def _refusal(guard: Callable[[], None]) -> Seen:
    try:
        guard()
    except LeakageError as error:
        yield str(error)


@of_target("EIH024")
def one_feature_too_good(t: Target) -> Seen:
    """Look for a column that alone is better than a perfect model."""
    known = t.known()
    ceiling = known["auc_ceiling"].iloc[0] if "auc_ceiling" in known.columns else np.nan
    limit = float(ceiling) if t.name == "response" and pd.notna(ceiling) else np.nan
    y = known[t.name].to_numpy(dtype=np.float64)
    numbers = known[t.study.names()].select_dtypes("number")
    yield from rows.strong_features(numbers, y, limit)


# ---- settings


@of_target("EIH039")
def settings_never_left_out(t: Target) -> Seen:
    """Look for settings that the internal-external protocol was not run for."""
    cases = need(t.study.cases, "cases.parquet")
    start = "internal_external_"
    done = [n.removeprefix(start) for n in t.protocols if n.startswith(start)]
    yield from tables.never_left_out(cases, done)


@of_study("EIH040")
def condition_tied_to_site(s: Study) -> Seen:
    """Look whether conditions can be told from labs."""
    yield from tables.tied_conditions(need(s.cases, "cases.parquet"))


@of_study("EIH041")
def one_stratum(s: Study) -> Seen:
    """Count conditions and kinds of exercise."""
    yield from tables.one_stratum(need(s.cases, "cases.parquet"))


@of_study("EIH042")
def missing_by_setting(s: Study) -> Seen:
    """Look for columns that one lab never measured."""
    cases, learnt = need(s.cases, "cases.parquet"), s.learnt()
    places = [c for c in ("study_id", "site_id") if c in cases.columns]
    own = need(s.features, "features.parquet")[[*KEYS]]
    joined = own.merge(cases[list(dict.fromkeys([*KEYS, *places]))], on=[*KEYS], how="left")
    setting = joined[places].astype(str).agg(" ".join, axis=1).to_numpy(dtype=object)
    yield from rows.missing_by_setting(learnt.reset_index(drop=True), setting)


# ---- words and what-if


@of_study("EIH043")
def columns_say_the_same(s: Study) -> Seen:
    """Look for columns of different blocks with nearly the same ranks."""
    yield from rows.same_columns(s.learnt(), BLOCK)


@of_study("EIH044")
def causal_words_in_texts(s: Study) -> Seen:
    """Read what goes into the report as it is."""
    yield from causal_words(s.texts)


@of_study("EIH045")
def called_validated(s: Study) -> Seen:
    """Read what goes into the report as it is."""
    yield from claims_of_validity(s.texts)


@of_study("EIH046")
def exercise_between_persons(s: Study) -> Seen:
    """Look whether anybody did two kinds of exercise."""
    yield from tables.exercises_between_persons(need(s.cases, "cases.parquet"))


@of_study("EIH047")
def exercise_tied_to_condition(s: Study) -> Seen:
    """Look for conditions with one kind of exercise."""
    yield from tables.exercise_tied_to_condition(need(s.cases, "cases.parquet"))
