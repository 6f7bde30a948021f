"""What checks look for in a study's own tables: how the outcome was made, who did what, where.

Every function yields one sentence of evidence per fault, and nothing where there is none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import pandas as pd

PERSON = ("study_id", "participant_id")
SETTINGS = ("study_id", "site_id", "condition")
REST = "rest"


def without_threshold(outcomes: pd.DataFrame) -> Iterator[str]:
    """Say in how many classified bouts any change, however small, decides the class.

    Parameters
    ----------
    outcomes : DataFrame
        Rows of one endpoint of the outcome table.
    """
    if "threshold" not in outcomes.columns:
        yield "the outcome table has no threshold."
        return
    hard = outcomes
    if "rule" in outcomes.columns:
        # The posterior rule has the error of measurement in its width, whatever it asks for.
        hard = outcomes[outcomes["rule"] != "posterior"]
    classed = hard[hard[["response", "hyperalgesia"]].notna().any(axis=1)]
    bare = int((~(classed["threshold"] > 0)).sum())
    if bare:
        yield f"{bare} of {len(classed)} classified bouts have no threshold above 0."


def without_rest(outcomes: pd.DataFrame, reference: str) -> Iterator[str]:
    """Say that no bout's change was compared with quiet rest."""
    rest = outcomes["n_rest"] if "n_rest" in outcomes.columns else pd.Series(0.0, outcomes.index)
    if reference == "pre" and not (rest > 0).any():
        yield f"none of {len(outcomes)} bouts was compared with quiet rest."


def pain_twice(measure: str, reference: str, columns: Collection[str]) -> Iterator[str]:
    """Say that pain before is both a predictor and what the change is counted from."""
    pain = [c for c in columns if c.startswith("pain_") and c.endswith("_nrs")]
    if measure == "pain_nrs" and reference == "pre" and pain:
        yield f"the change is that of pain, and {', '.join(pain)} are among the columns."


def made_of_reference(
    coupled: Iterable[Mapping[str, object]], endpoint: str, sources: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """Name features made of the trials that the change of an endpoint refers to.

    Parameters
    ----------
    coupled : iterable of {endpoint, column, ...}
        As :func:`features.coupling.coupled_columns` found them.
    endpoint : str
    sources : mapping of feature to the columns of cases it is made from
    """
    columns = {c["column"] for c in coupled if c["endpoint"] == endpoint}
    for feature, used in sources.items():
        for column in used:
            if column in columns:
                yield f"{feature} is made of {column}, which the reference trials determine."


def settings(cases: pd.DataFrame) -> list[str]:
    """Return the columns (study, lab, condition) that divide the persons into several groups."""
    return [c for c in SETTINGS if c in cases.columns and cases[c].nunique() > 1]


def never_left_out(cases: pd.DataFrame, done: Collection[str]) -> Iterator[str]:
    """Name columns with several settings of which none was ever left out."""
    open_ = [c for c in settings(cases) if c not in done]
    if open_:
        counted = ", ".join(f"{c} ({cases[c].nunique()})" for c in open_)
        yield f"several settings were never left out: {counted}."


def tied_conditions(cases: pd.DataFrame) -> Iterator[str]:
    """Say that every condition comes from one of several labs or studies."""
    if "condition" not in cases.columns or cases["condition"].nunique() < 2:
        return
    for place in ("study_id", "site_id"):
        if place not in cases.columns or cases[place].nunique() < 2:
            continue
        known = cases[cases[place].notna()]
        if (known.groupby("condition", observed=True)[place].nunique() == 1).all():
            yield f"each of {cases['condition'].nunique()} conditions has one {place} only."


def one_stratum(cases: pd.DataFrame) -> Iterator[str]:
    """Say that there is one condition, or one kind of exercise."""
    active = cases[cases["modality"] != REST] if "modality" in cases.columns else cases
    single = [
        f"one {name}"
        for name in ("condition", "modality")
        if name in active.columns and active[name].nunique() == 1
    ]
    if single:
        yield f"all bouts have {' and '.join(single)}."


def exercises_between_persons(cases: pd.DataFrame) -> Iterator[str]:
    """Say that several kinds of exercise were done, and nobody did two (quiet rest counts)."""
    if "modality" not in cases.columns or cases["modality"].nunique() < 2:
        return
    own = cases.groupby([*PERSON], observed=True)["modality"].nunique()
    if own.max() < 2:
        yield f"{cases['modality'].nunique()} kinds of exercise, one per person."


def exercise_tied_to_condition(cases: pd.DataFrame) -> Iterator[str]:
    """Name conditions in which one of several kinds of exercise was done only."""
    if not {"modality", "condition"} <= set(cases.columns):
        return
    active = cases[cases["modality"] != REST]
    if active["modality"].nunique() < 2 or active["condition"].nunique() < 2:
        return
    kinds = active.groupby("condition", observed=True)["modality"].nunique()
    tied = sorted(str(c) for c in kinds[kinds == 1].index)
    if tied:
        yield f"one kind of exercise only in: {', '.join(tied)}."
