"""Reliability of a single reading before exercise: the threshold or rating, not its change.

A threshold can be very reliable and its change not at all; both are shown, apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from features.agreement import FORMS, intraclass_correlations
from features.outcome import Endpoint, OutcomeDesign
from features.reliability import HEADLINE, StudyChanges
from features.repeatability import bland_altman, mdc95, within_person_sd
from features.sessions import complete_rows, tabulate_sessions
from features.spec import Vector


def single_values(
    study: StudyChanges, measurements: pd.DataFrame, endpoint: Endpoint, design: OutcomeDesign
) -> dict[str, dict[str, Any]]:
    """Agreement of the reading that changes are counted from, by source of repetition.

    Returns
    -------
    dict with, where the study has them,
        ``sessions``: the mean of the block before the bout on different visits, in their order;
        ``rest``: the blocks before and after quiet rest, minutes apart;
        ``trials``: single trials of the first block of each person.
    """
    rows = study.bare[study.bare["endpoint"] == endpoint.name]
    tables = {"sessions": complete_rows(tabulate_sessions(rows, "reference", ["_person"]).values)}
    if design.reference == "pre":
        tables["rest"] = _rest_pairs(rows)
        tables["trials"] = _trials(rows, measurements, endpoint)
    return {s: agreement_of(t) for s, t in tables.items() if min(t.shape) >= 2}


def agreement_of(table: Vector) -> dict[str, Any]:
    """Everything agreement has to say about one complete table, in its unit.

    Parameters
    ----------
    table : ndarray of shape (n_persons, k)
    """
    forms = intraclass_correlations(table)
    sem = within_person_sd(table)
    mean = float(table.mean())
    return {
        "icc": {**forms[HEADLINE].to_dict(), "model": HEADLINE},
        "forms": {form: forms[form].to_dict() for form in FORMS},
        "mean": mean,
        "sem": sem.estimate,
        "sem_percent": 100 * sem.estimate / mean if mean > 0 else np.nan,
        "mdc95": mdc95(sem.estimate),
        "mdc95_group": mdc95(sem.estimate, len(table)),
        "coefficient_of_repeatability": sem.through(mdc95).to_dict(),
        "bland_altman": bland_altman(table[:, 0], table[:, 1]).to_dict(),
        "n_participants": len(table),
        "n_repeats": table.shape[1],
    }


def _rest_pairs(rows: pd.DataFrame) -> Vector:
    """Before and after quiet rest, the first rest bout of each person."""
    rest = rows[rows["is_rest"]].sort_values("_order", kind="stable").drop_duplicates("_person")
    pairs: Vector = rest[["reference", "after"]].to_numpy(dtype=np.float64).reshape(-1, 2)
    return pairs


def _trials(rows: pd.DataFrame, measurements: pd.DataFrame, endpoint: Endpoint) -> Vector:
    """Trials of each person's first block; none where stimuli were given at several levels."""
    cell = measurements[
        (measurements["measure"] == endpoint.measure)
        & (measurements["site_role"] == endpoint.site_role)
        & (measurements["timepoint"] == "pre")
    ].dropna(subset=["value"])
    for column in ("body_site", "stimulus_level"):
        if column in cell.columns and cell[column].nunique() > 1:
            return np.empty((0, 2))
    if "trial" not in cell.columns:
        return np.empty((0, 2))
    first = rows.sort_values(["_order", "_session"], kind="stable").drop_duplicates("_person")
    keys = ["study_id", "participant_id", "session_id"]
    own = cell.merge(first[[*keys, "_person"]], on=keys)
    own = own.sort_values(["_person", "trial"], kind="stable")
    own["_rank"] = own.groupby("_person").cumcount()
    wide = own.pivot(index="_person", columns="_rank", values="value")
    return complete_rows(wide.to_numpy(dtype=np.float64).reshape(len(wide), -1))
