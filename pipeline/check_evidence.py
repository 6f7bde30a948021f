"""What the checks look at: a study and its targets, as far as the stages have come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns import KEYS
from models.classifiers import make_ladder
from models.errors import BundleError, LeakageError, NotEnoughDataError
from models.splits import SplitPlan
from pipeline.artefacts import read_bundle
from pipeline.config import Params
from pipeline.dataset import feature_roles, load_dataset, of_endpoint, usable_columns
from pipeline.errors import TableError
from pipeline.io import read_json, read_table
from pipeline.study_folder import CARD, has_table, read_card, read_cases
from pipeline.target_folder import SELECTION
from pipeline.train import ladder_settings

PERSON = ["study_id", "participant_id"]
T = TypeVar("T")


class UnseenError(Exception):
    """An artefact that a check looks at is not there; the text says which."""


@dataclass(frozen=True)
class Study:
    """A study's tables; None where a stage has not made them.

    Attributes
    ----------
    cases, features, outcomes : DataFrame or None
    summary : dict or None
        ``outcomes.json``.
    texts : mapping of where it stands to text
        What goes into the report as it is.
    params : Params
        The endpoint and the moment of decision that training uses.
    """

    cases: pd.DataFrame | None
    features: pd.DataFrame | None
    outcomes: pd.DataFrame | None
    summary: dict[str, Any] | None
    texts: Mapping[str, str]
    params: Params

    def labels(self) -> pd.DataFrame:
        """Return the outcome table's rows of the endpoint that is trained on."""
        table = need(self.outcomes, "outcomes.parquet")
        return of_endpoint(table, self.params.train.endpoint, Path("outcomes.parquet"))

    def endpoint(self) -> str:
        """Return the name of the endpoint that is trained on."""
        rows = self.labels()
        if rows.empty:
            raise UnseenError("no bout of the endpoint")
        return str(rows["endpoint"].iloc[0])

    def design(self) -> dict[str, Any]:
        """Return how the outcome was defined."""
        return dict(need(self.summary, "outcomes.json")["design"])

    def names(self) -> list[str]:
        """Return the feature table's columns."""
        return [c for c in need(self.features, "features.parquet").columns if c not in KEYS]

    def learnt(self) -> pd.DataFrame:
        """Return the feature table's columns that a model may learn from."""
        table = need(self.features, "features.parquet")
        return table[usable_columns(table[self.names()])]


@dataclass(frozen=True)
class Target:
    """One target's artefacts; None (or nothing) where a stage has not made them.

    Attributes
    ----------
    study : Study
    name : str
    selection, metrics, subgroups : dict or None
        What training and evaluation wrote.
    predictions : DataFrame or None
    plan : SplitPlan or None
    bundles : mapping of candidate to the content of its ``bundle.json``
    refused : str
        Why this program does not accept the bundle of the chosen candidate; empty if it does.
    protocols : mapping of name to the result of a protocol that was run
    ladder : mapping of candidate to an unfitted estimator, or None
    data_sha256 : str
        Hash of the data that training would use now; empty where it would refuse them.
    """

    study: Study
    name: str
    selection: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    subgroups: dict[str, Any] | None = None
    predictions: pd.DataFrame | None = None
    plan: SplitPlan | None = None
    bundles: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    refused: str = ""
    protocols: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    ladder: Mapping[str, Any] | None = None
    data_sha256: str = ""

    def known(self) -> pd.DataFrame:
        """Return features joined with the target's labels, as training joins them."""
        features = need(self.study.features, "features.parquet")
        rows = features.merge(self.study.labels(), on=list(KEYS), how="inner")
        if self.name not in rows.columns:
            raise UnseenError(f"'{self.name}' is not in the outcome table")
        return rows[rows[self.name].notna()].sort_values(list(KEYS), ignore_index=True)

    def trained(self) -> dict[str, Any]:
        """Return what training said; nothing to see where there was too little data."""
        found = need(self.selection, f"{self.name}/train/{SELECTION}")
        if "selected" not in found:
            raise UnseenError("there is no model")
        return found

    def judged(self) -> dict[str, Any]:
        """Return the metrics; nothing to see where there is no model."""
        found = need(self.metrics, f"{self.name}/evaluate/metrics.json")
        if "candidates" not in found:
            raise UnseenError("there is no model")
        return found

    def shown(self) -> dict[str, Any]:
        """Return the figures of the candidate that the verdict is about."""
        judged = self.judged()
        return dict(judged["candidates"][judged["verdict"]["shown"]])

    def people(self) -> npt.NDArray[np.int64]:
        """Return the number of the person of every row of the splits."""
        table = need(self.predictions, f"{self.name}/train/predictions.parquet")
        first = table[table["repeat"] == 0].sort_values("row")
        return np.asarray(first.groupby(PERSON, sort=True).ngroup(), dtype=np.int64)


def need(content: T | None, what: str) -> T:
    """Return content that is there.

    Raises
    ------
    UnseenError
        Naming what is not.
    """
    if content is None:
        raise UnseenError(f"no {what}")
    return content


def read_study(folder: Path, params: Params) -> Study:
    """Read a study's folder as far as its stages have come.

    Raises
    ------
    TableError
        If there is no study at all, or a table that breaks the contract.
    """
    if not has_table(folder, "cases") and not (folder / "features.parquet").exists():
        raise TableError(
            f"{folder}: expected the output folder of a study (cases or features), found neither. "
            "Check the path."
        )
    card = read_card(folder)["study"] if (folder / CARD).exists() else {}
    texts = {f"{CARD}, {k}": card[k] for k in ("title", "note") if isinstance(card.get(k), str)}
    return Study(
        cases=read_cases(folder) if has_table(folder, "cases") else None,
        features=_table(folder / "features.parquet"),
        outcomes=_table(folder / "outcomes.parquet"),
        summary=_json(folder / "outcomes.json"),
        texts={"report.title": params.report.title, **texts},
        params=params,
    )


def read_target(study: Study, folder: Path, name: str) -> Target:
    """Read the artefacts of one target of a study's folder, as far as its stages have come."""
    train, evaluate = folder / name / "train", folder / name / "evaluate"
    splits = _json(train / "splits.json")
    ladder, sha256 = _as_trained(study, folder, name)
    return Target(
        study=study,
        name=name,
        selection=_json(train / SELECTION),
        metrics=_json(evaluate / "metrics.json"),
        subgroups=_json(evaluate / "subgroups.json"),
        predictions=_table(train / "predictions.parquet"),
        plan=None if splits is None else SplitPlan.from_dict(splits),
        bundles={p.parent.name: read_json(p) for p in sorted(train.glob("*/*/bundle.json"))},
        refused=_refused(folder / name / "bundle"),
        protocols={p.stem: read_json(p) for p in sorted((folder / name).glob("protocols/*.json"))},
        ladder=ladder,
        data_sha256=sha256,
    )


def _as_trained(study: Study, folder: Path, name: str) -> tuple[dict[str, Any] | None, str]:
    """Return the unfitted ladder, and the hash of the data, as training would take them."""
    tables = (folder / "features.parquet", folder / "outcomes.parquet")
    if not all(t.exists() for t in tables):
        return None, ""
    params = study.params.train
    try:
        data = load_dataset(*tables, params.endpoint, name, params.decision_time)
    except (LeakageError, NotEnoughDataError):
        return None, ""
    roles = feature_roles(usable_columns(data.X))
    ladder = make_ladder(roles, ladder_settings(params, data, name))
    return {c.name: c.make(**c.grid[0]) for c in ladder}, data.sha256()


def _refused(folder: Path) -> str:
    if not (folder / "bundle.json").exists():
        return ""
    try:
        read_bundle(folder)
    except BundleError as error:
        return str(error)
    return ""


def _table(path: Path) -> pd.DataFrame | None:
    return read_table(path) if path.exists() else None


def _json(path: Path) -> dict[str, Any] | None:
    return dict(read_json(path)) if path.exists() else None
