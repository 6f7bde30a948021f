"""What artefacts say about the items of TRIPOD+AI: one function an item, a text and where to look.

A function returns an empty text where its artefact is missing: then the item is a gap.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from pipeline.paper import reference_words
from pipeline.report_exhibit import figure_text, interval_text
from pipeline.report_facts import Facts, TargetFacts

NOT_EXTERNAL = "not applicable"
Said = tuple[str, str]
Item = Callable[[Facts], Said]


def of_judged(item: Item) -> Item:
    """Leave an item a gap where no target was judged."""

    @wraps(item)
    def said(facts: Facts) -> Said:
        return item(facts) if facts.judged else ("", "")

    return said


def title(facts: Facts) -> Said:
    """Item 1."""
    name = facts.study.get("title") or facts.folder.name
    outcomes = " and ".join(t.name for t in facts.targets)
    return (
        f"{name}: development and internal validation of models of {outcomes} to a bout of "
        "exercise.",
        "index.html",
    )


def target_population(facts: Facts) -> Said:
    """Item 3b: whom the training data hold."""
    said = [" ".join(t.use.covered) for t in facts.judged[:1]]
    return " ".join(said), "index.html#verdict"


def objectives(facts: Facts) -> Said:
    """Item 4."""
    outcomes = ", ".join(t.name for t in facts.targets)
    return (
        f"To develop models of {outcomes} before a bout, to validate them internally, and to see "
        "whether predictors beat condition and exercise alone.",
        "index.html#methods",
    )


def data_source(facts: Facts) -> Said:
    """Item 5a; simulated data are declared."""
    if facts.simulated:
        return (
            f"Simulated data (scenario {facts.study.get('scenario', 'unknown')}): no person is "
            "real, nothing is represented.",
            "../study.json",
        )
    cited = str(facts.study.get("citation", ""))
    return (
        cited and f"{cited}. Downloaded from: {facts.study.get('download', '')}",
        "../study.json",
    )


def sites(facts: Facts) -> Said:
    """Item 6a: only the number of settings that protocols or subgroups name is known."""
    found = [t for t in facts.judged if any(p.startswith("internal_ext") for p in t.protocols)]
    return (
        (
            "Centres are those of the table 'Each site predicted from the others'.",
            "index.html#trust",
        )
        if found
        else ("", "")
    )


def exercise(facts: Facts) -> Said:
    """Item 6c: the exercise is the treatment."""
    modality = [s for t in facts.judged[:1] for s in t.use.covered if s.startswith("Modality")]
    return (f"The bout itself. {modality[0]}" if modality else "", "index.html#flow")


def preparation(facts: Facts) -> Said:
    """Item 7."""
    if facts.checks is None:
        return "", ""
    counts = facts.checks["counts"]
    return (
        "Units and ranges are checked once, at ingest, by one contract for everybody; every row "
        f"left out is counted. Checks: {counts['error']} errors, {counts['warning']} warnings, "
        f"{counts['note']} notes.",
        "index.html#checks",
    )


def outcome(facts: Facts) -> Said:
    """Item 8a."""
    design, first = facts.labels["design"], facts.labels["endpoints"][0]
    reliability = facts.labels["reliability"].get(first["endpoint"], {})
    return (
        f"Change of {first['endpoint']} ({first['change_scale'].replace('_', ' ')}, positive = "
        f"less pain) from {reference_words(design['reference'])}; class by rule "
        f"'{design['rule']}' of the {design['sem_of']}, error from {design['sem_source']}; "
        f"reliability {interval_text(reliability)}.",
        "index.html#outcome",
    )


@of_judged
def predictor_choice(facts: Facts) -> Said:
    """Item 9a."""
    families = sorted({f["family"] for f in facts.judged[0].bundle["features"]})
    return (
        f"By family, before looking at outcomes: {', '.join(families)}. Nothing is selected by "
        "the outcome outside the folds.",
        "../../../seeds/README.md",
    )


@of_judged
def predictors(facts: Facts) -> Said:
    """Item 9b."""
    found = facts.judged[0].bundle["features"]
    times = sorted({f["known_at"] for f in found})
    return (
        f"{len(found)} features, each with unit and source in the bundle; known at: "
        f"{', '.join(times)}.",
        f"../{facts.judged[0].name}/bundle/bundle.json",
    )


def sample_size(facts: Facts) -> Said:
    """Item 10."""
    said = [f"{t.name}: {t.metrics['sample_size']['sentence']}" for t in facts.judged]
    return " ".join(said), "index.html#performance"


@of_judged
def missing_data(facts: Facts) -> Said:
    """Item 11."""
    return (
        "Missing values stay missing in the tables; inside each fold linear models fill in the "
        "training median with an indicator, trees send them down a learnt side. Rows without an "
        "outcome class are left out and counted.",
        "index.html#flow",
    )


@of_judged
def partition(facts: Facts) -> Said:
    """Item 12a."""
    folds, repeats = facts.judged[0].folds
    return (
        f"Persons, never rows, in {folds} folds, {repeats} times; tuning on inner folds of the "
        "training persons. No separate test set.",
        f"../{facts.judged[0].name}/train/splits.json",
    )


@of_judged
def form(facts: Facts) -> Said:
    """Item 12b."""
    logs = [f["name"] for f in facts.judged[0].bundle["features"] if f["unit"].startswith("ln")]
    return (
        f"Thresholds and skewed quantities on a logarithmic scale ({', '.join(logs) or 'none'}); "
        "levels as indicators; no cutting into groups.",
        "index.html#methods",
    )


@of_judged
def building(facts: Facts) -> Said:
    """Item 12c."""
    names = ", ".join(facts.judged[0].metrics["candidates"])
    return (
        f"Candidates, all reported: {names}. The simplest within one standard error of the best "
        "log loss is chosen, tuning included in every fold.",
        "index.html#methods",
    )


def clusters(facts: Facts) -> Said:
    """Item 12d."""
    found = sorted({p for t in facts.judged for p in t.protocols if p.startswith("internal_ext")})
    return (
        ", ".join(found) and f"Settings left out in turn: {', '.join(found)}.",
        "index.html#trust",
    )


@of_judged
def measures(facts: Facts) -> Said:
    """Item 12e."""
    return (
        "AUC, Brier score, log loss, calibration in the large, slope and smooth curve, net "
        "benefit; 95 % intervals by resampling persons; paired differences against condition and "
        "exercise alone.",
        "index.html#performance",
    )


@of_judged
def predictions(facts: Facts) -> Said:
    """Item 12g."""
    return "Out of fold, by the model of the fold that left the person out.", "index.html#methods"


@of_judged
def imbalance(facts: Facts) -> Said:
    """Item 13."""
    return (
        "None: no resampling of classes and no weights. Boosted trees are recalibrated on "
        "predictions of inner folds.",
        "index.html#methods",
    )


def subgroups(facts: Facts) -> Said:
    """Items 14: what was looked at; what should be done about it is for people to say."""
    made = [t for t in facts.judged if (facts.folder / t.name / "evaluate/subgroups.csv").exists()]
    return (
        (
            "Performance by subgroup (sex, age, condition, site where measured) is reported.",
            "index.html#trust",
        )
        if made
        else ("", "")
    )


@of_judged
def output(facts: Facts) -> Said:
    """Item 15."""
    cuts = [
        f"{t.name}: {figure_text(t.bundle['training']['threshold']['value'], 2)} "
        f"({t.bundle['training']['threshold']['rule']})"
        for t in facts.judged
    ]
    return (
        f"A probability with an interval, a set of classes and reasons for silence. Thresholds: "
        f"{'; '.join(cuts)}.",
        "index.html#performance",
    )


@of_judged
def differences(facts: Facts) -> Said:
    """Item 16."""
    return "None: the same study, other persons of it.", "index.html#flow"


def licence(facts: Facts) -> Said:
    """Item 18e."""
    if facts.simulated:
        return "Made anew by 'eih simulate' with the recorded seed.", "../study.json"
    said = str(facts.study.get("licence", ""))
    return (said and f"Licence: {said}.", "../study.json")


@of_judged
def code(facts: Facts) -> Said:
    """Item 18f."""
    record = facts.judged[0].bundle["record"]
    return (
        f"eih {record['versions']['eih']}, commit {record['git_commit']}, Apache-2.0.",
        f"../{facts.judged[0].name}/bundle/bundle.json",
    )


def flow(facts: Facts) -> Said:
    """Item 20a."""
    first = facts.labels["endpoints"][0]
    return (
        f"{first['n_participants']} persons with {first['n_bouts']} bouts have a change of "
        f"{first['endpoint']}.",
        "index.html#flow",
    )


def characteristics(facts: Facts) -> Said:
    """Item 20b."""
    there = (facts.folder / "cases.parquet").exists()
    return (
        ("Table 'Who took part', with missing values.", "study-people.csv") if there else ("", "")
    )


def numbers(facts: Facts) -> Said:
    """Item 21."""
    said = [
        f"{t.name}: {t.metrics['n_participants']} persons, {t.metrics['n']} bouts, "
        f"{figure_text(t.metrics['n_events'], 0)} events."
        for t in facts.judged
    ]
    said += [f"{t.name}: no model ({t.reason})" for t in facts.targets if t.reason]
    return " ".join(said), "index.html#flow"


@of_judged
def full_model(facts: Facts) -> Said:
    """Item 22."""
    said = ", ".join(f"{t.name} ('{t.bundle['candidate']}')" for t in facts.judged)
    return (
        f"Bundles without pickles: every coefficient or tree, and what is needed to apply it: "
        f"{said}.",
        f"../{facts.judged[0].name}/bundle",
    )


def performance(facts: Facts) -> Said:
    """Item 23a."""
    said = [_performance(t) for t in facts.judged]
    return " ".join(said), "results_table.md"


def _performance(target: TargetFacts) -> str:
    own = target.metrics["candidates"][target.metrics["selected"]]
    return (
        f"{target.name}, '{target.metrics['selected']}': AUC {interval_text(own['auc'])}, "
        f"calibration slope {interval_text(own['intervals']['slope'])}; 'stratum' "
        f"{interval_text(target.metrics['candidates']['stratum']['auc'])}, 'baseline' "
        f"{interval_text(target.metrics['candidates']['baseline']['auc'])}."
    )


def verdict(facts: Facts) -> Said:
    """Item 25."""
    said = [f"{t.name}: {t.metrics['verdict']['sentence']}" for t in facts.judged]
    return " ".join(said), "index.html#verdict"


def limitations(facts: Facts) -> Said:
    """Item 26: what the checks found."""
    if facts.checks is None:
        return "", ""
    found = [f["code"] for f in facts.checks["findings"] if f["severity"] != "note"]
    opening = "Simulated data. " if facts.simulated else ""
    return (
        f"{opening}Internal validation only. Open findings of the checks: "
        f"{', '.join(dict.fromkeys(found)) or 'none'}.",
        "index.html#checks",
    )


@of_judged
def poor_input(facts: Facts) -> Said:
    """Item 27a."""
    return (
        "Rows that break the contract get no risk but a reason; outside the training range, in "
        "cells with few persons or without a whole block the model abstains and says why.",
        "index.html#uncertainty",
    )


def not_external(facts: Facts) -> Said:
    """Items of an evaluation in other data: there was none."""
    return NOT_EXTERNAL, ""


REPORTS: dict[str, Item] = {
    f.__name__: f
    for f in (
        title,
        target_population,
        objectives,
        data_source,
        sites,
        exercise,
        preparation,
        outcome,
        predictor_choice,
        predictors,
        sample_size,
        missing_data,
        partition,
        form,
        building,
        clusters,
        measures,
        predictions,
        imbalance,
        subgroups,
        output,
        differences,
        licence,
        code,
        flow,
        characteristics,
        numbers,
        full_model,
        performance,
        verdict,
        limitations,
        poor_input,
        not_external,
    )
}
