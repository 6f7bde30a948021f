"""Labels as the training persons of each fold make them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns import KEYS
from features.outcome import PERSON, SOFT_LABELS, OutcomeDesign, label_changes
from models.errors import LeakageError
from models.splits import SplitPlan
from pipeline.io import read_json, read_table
from pipeline.outcome_files import CHANGES, beside
from pipeline.study_folder import outcome_design

Matrix = npt.NDArray[np.float64]
# Which way the change goes in an event of a target.
DIRECTION = {"response": 1.0, "hyperalgesia": -1.0}


@dataclass(frozen=True)
class LabelSource:
    """Changes of one endpoint, and how they become labels: what no person has learnt yet."""

    changes: pd.DataFrame
    design: OutcomeDesign
    target: str

    def labels(self, keys: pd.DataFrame, persons: pd.DataFrame | None, soft: bool) -> Matrix:
        """Hard label, soft label and margin of every bout in ``keys``, learnt from ``persons``.

        Parameters
        ----------
        keys : DataFrame of shape (n_rows, 3)
        persons : DataFrame or None
            ``study_id, participant_id``; None: everybody.
        soft : bool
            Whether the soft labels are asked for; else they are NaN.

        Returns
        -------
        ndarray of shape (3, n_rows); NaN = undecided or unknown
            The margin is how far the change lies beyond the threshold of the target, in the
            unit of the change: positive where a hard rule says 1.
        """
        table = label_changes(self.changes, self.design, persons, probabilities=soft)
        table["_margin"] = DIRECTION[self.target] * table["change"] - table["threshold"]
        columns = [self.target, SOFT_LABELS[self.target], "_margin"]
        joined = keys.merge(table[[*KEYS, *columns]], on=list(KEYS), how="left")
        return joined[columns].to_numpy(dtype=np.float64).T


@dataclass(frozen=True)
class FoldLabels:
    """Labels of every outer fold, each of shape (n_folds, n_rows).

    ``judged`` are hard and what a row is judged by; ``fitted`` is what is learnt from;
    ``margin`` how far the change lies beyond the fold's threshold, None where labels are given.
    """

    judged: Matrix
    fitted: Matrix
    margin: Matrix | None = None


def labels_per_fold(
    source: LabelSource, keys: pd.DataFrame, plan: SplitPlan, soft: bool
) -> FoldLabels:
    """Derive the labels anew for every outer fold, from its training persons.

    Nothing of a test person (rest bouts, trials, changes) has a part in the labels that are
    learnt from in the fold that tests it, nor in the error its own label is judged with.
    """
    found = [
        source.labels(keys, keys.iloc[fold.train][list(PERSON)].drop_duplicates(), soft)
        for fold in plan.folds
    ]
    judged, soft_labels, margin = (np.array(part) for part in zip(*found, strict=True))
    return FoldLabels(judged, soft_labels if soft else judged, margin)


def read_label_source(
    outcomes: Path, table: pd.DataFrame, target: str
) -> tuple[LabelSource | None, str]:
    """Read what labels are made from, if it is there and makes the table's labels.

    Parameters
    ----------
    outcomes : Path
        Outcome table; its companions are looked for beside it.
    table : DataFrame
        Its rows of one endpoint.
    target : str

    Returns
    -------
    source : LabelSource or None
    reason : str
        Why labels are taken as they are, for everybody alike; empty with a source.
    """
    path, summary = beside(outcomes, CHANGES), outcomes.with_suffix(".json")
    if target not in SOFT_LABELS:
        return None, f"'{target}' rests on no estimated error"
    if not (path.exists() and summary.exists()):
        return None, f"no {path.name} with {summary.name} beside {outcomes.name}"
    design = outcome_design(read_json(summary)["design"], str(summary))
    changes = read_table(path)
    changes = changes[changes["endpoint"].isin(table["endpoint"].unique())]
    source = LabelSource(changes, design, target)
    keys = table[list(KEYS)]
    if not len(changes) or not _same(source.labels(keys, None, soft=False)[0], table[target]):
        return None, f"{path.name} does not give the labels of {outcomes.name}"
    return source, ""


def _same(derived: Matrix, stored: pd.Series) -> bool:
    return bool(np.array_equal(derived, stored.to_numpy(dtype=np.float64), equal_nan=True))


def check_coupling(outcomes: Path, endpoint: str, sources: dict[str, tuple[str, ...]]) -> None:
    """Raise LeakageError for features made of the endpoint's own reference trials.

    Parameters
    ----------
    outcomes : Path
        Outcome table; the label stage noted such columns of cases in the JSON beside it.
    endpoint : str
    sources : dict of feature name to columns of cases it is made from
    """
    summary = outcomes.with_suffix(".json")
    noted: list[dict[str, Any]] = read_json(summary).get("coupled", []) if summary.exists() else []
    columns = {c["column"] for c in noted if c["endpoint"] == endpoint}
    coupled = [f"{f} ({c})" for f, used in sources.items() for c in used if c in columns]
    if coupled:
        raise LeakageError(
            f"features: expected a baseline independent of the outcome '{endpoint}', found "
            f"{', '.join(coupled)} made of its reference trials: it predicts their noise. Measure "
            "a block of its own, or reserve trials for it (eih reserve).",
            "EIH011",
        )
