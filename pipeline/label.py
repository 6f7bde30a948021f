"""Stage ``label``: from measurements to the outcome table, its counts and its rules compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from features.coupling import coupled_columns
from features.outcome import (
    OutcomeDesign,
    compare_rules,
    compute_changes,
    describe_outcomes,
    describe_rules,
    outcome_table,
)
from features.reliability_summary import label_reliability
from features.responder import CLASSES
from pipeline.ceiling import with_reliability
from pipeline.config import LabelParams
from pipeline.errors import ConfigError
from pipeline.io import write_json, write_table
from pipeline.outcome_files import CHANGES, RULES, beside
from pipeline.study_folder import read_cases, read_design, read_measurements
from pipeline.weekly import with_weeks


def chosen_design(design: OutcomeDesign, params: LabelParams) -> OutcomeDesign:
    """Apply what params.yaml overrides in the study's own design."""
    changes = {k: v for k, v in asdict(params).items() if k != "every_week"}
    changes = {k: v for k, v in changes.items() if v not in ("study", None)}
    try:
        return replace(design, **changes)
    except ValueError as error:
        raise ConfigError(f"params, label, {error}") from None


def outcome_design(folder: Path, params: LabelParams) -> OutcomeDesign:
    """Return a study's design as the parameters change it, every week's endpoint among them.

    Raises
    ------
    NotEnoughDataError
        Where ``every_week`` is asked of a study without follow-ups in weeks.
    """
    design = chosen_design(read_design(folder), params)
    # A study without an exercise outcome has been refused by now, readings or none.
    return with_weeks(design, read_measurements(folder), folder) if params.every_week else design


def run(params: LabelParams, folder: Path, output: Path) -> dict[str, Any]:
    """Write the outcome table to ``output`` and what belongs to it beside it.

    ``<name>.json`` holds the design, counts, the rules compared and the baseline columns that
    are coupled to the outcome; ``<name>_changes.parquet`` what a validation derives the labels
    of each fold from; ``<name>_rules.csv`` every bout's class under every rule.

    Returns
    -------
    dict with ``design``; per endpoint, persons, bouts, events and the error of measurement
    (``endpoints``), every rule's classes (``rules``) and the reliability of the labelled change
    (``reliability``); ``coupled``
    """
    design = outcome_design(folder, params)
    cases, measurements = read_cases(folder), read_measurements(folder)
    changes = compute_changes(cases, measurements, design)
    labels = outcome_table(changes, measurements, design)
    reliability = label_reliability(cases, measurements, labels, design)
    table = with_reliability(labels, reliability)
    rules = compare_rules(changes, design)
    summary = {
        "design": {**asdict(design), "reference_where": dict(design.reference_where)},
        "endpoints": describe_outcomes(table, design.endpoints),
        "rules": describe_rules(rules),
        "reliability": reliability,
        "coupled": [asdict(c) for c in coupled_columns(cases, measurements, design)],
    }
    write_table(table, output)
    write_table(changes, beside(output, CHANGES))
    write_table(rules, beside(output, RULES))
    write_json(summary, output.with_suffix(".json"))
    return summary


def rules_in_words(summary: dict[str, Any]) -> Iterator[str]:
    """Lay out the rules side by side: classes, shares, and what noise alone would give."""
    for endpoint in summary["rules"]:
        header = f"  {'':<10} " + " ".join(CLASSES)
        yield f"{endpoint['endpoint']}: bouts per class; shares beyond (+ / -)"
        yield f"{header}  {'observed':<15}  noise alone"
        for rule, found in endpoint["rules"].items():
            counts = " ".join(f"{found[f'n_{c}']:>{len(c)}}" for c in CLASSES)
            yield f"  {rule:<10} {counts}  {_shares(found, 'observed'):<15}  " + _shares(
                found, "noise"
            )
        for pair in endpoint["agreement"]:
            yield (
                f"  {' and '.join(pair['rules'])}: same class {100 * pair['same_class']:.0f} %, "
                f"kappa {pair['kappa']:.2f}"
            )
    for found in summary["coupled"]:
        yield (
            f"coupled: '{found['column']}' is made of the reference trials of "
            f"'{found['endpoint']}' ({found['n_bouts']} bouts); training will refuse it"
        )


def _shares(found: dict[str, Any], kind: str) -> str:
    up, down = (100 * found[f"{kind}_{c}"] for c in ("hypoalgesia", "hyperalgesia"))
    return f"{up:.1f} / {down:.1f} %"
