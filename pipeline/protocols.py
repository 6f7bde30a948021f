"""What the validation protocols share: a study's data and ladder, and where results are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.build import contract_hash
from features.columns import KEYS
from models.classifiers import make_ladder
from models.fold_labels import judged_labels, learnable
from models.learning import Candidate, Learning
from models.procedure import Procedure
from models.protocol_plans import Protocol
from models.splits import SplitPlan
from models.validation import Execution, cross_validate
from pipeline.artefacts import stack_versions
from pipeline.config import TrainParams
from pipeline.dataset import Dataset, feature_roles, load_dataset, usable_columns
from pipeline.errors import ConfigError, TableError
from pipeline.io import read_table, write_json
from pipeline.progress import show_progress
from pipeline.relabel import FoldLabels
from pipeline.resume import LineStore, fingerprint
from pipeline.train import fold_labels, ladder_settings, risks_by_candidate

# The candidate of this name is the ladder with selection inside the procedure.
SELECTED = "selected"


@dataclass(frozen=True)
class Subject:
    """One target of one study, ready for a protocol.

    Attributes
    ----------
    folder : Path
        Output folder of the study: holds features, outcomes and cases.
    target : str
    params : TrainParams
        How candidates are tuned, and the processes used.
    data : Dataset
    X : DataFrame of shape (n_rows, n_usable)
    ladder : tuple of Candidate
    """

    folder: Path
    target: str
    params: TrainParams
    data: Dataset
    X: pd.DataFrame
    ladder: tuple[Candidate, ...]

    @property
    def learning(self) -> Learning:
        """Return the rows to learn from."""
        return Learning(self.X, self.data.y, None, self.data.margin)

    @property
    def protocol(self) -> Protocol:
        """Return the folds and the seed of the parameters."""
        return Protocol(self.params.folds, self.params.inner_folds, self.params.seed)

    def candidates(self, names: Sequence[str]) -> tuple[Candidate, ...]:
        """Return the named rungs in the order of the ladder.

        Raises
        ------
        ConfigError
            For a name the ladder does not have.
        """
        known = [c.name for c in self.ladder]
        unknown = [n for n in names if n not in known]
        if unknown:
            raise ConfigError(
                f"candidate: expected one of {', '.join([*known, SELECTED])}, found '{unknown[0]}'."
            )
        return tuple(c for c in self.ladder if c.name in names)

    def procedure(self, candidate: str) -> Procedure:
        """Return the procedure that ends with a candidate, or with the ladder's choice."""
        chosen = self.ladder if candidate == SELECTED else self.candidates([candidate])
        return Procedure(chosen, self.params.inner_folds, self.params.seed)

    def execution(self, name: str, *about: Any) -> Execution:
        """Return how a run is carried out: resumed from its file, with progress on stderr.

        Parameters
        ----------
        name : str
            Names the file ``<target>/protocols/<name>.jsonl``.
        about : JSON content
            What else the pieces of this run depend on, besides data and parameters.
        """
        settings = asdict(replace(self.params, jobs=0))
        run = fingerprint(
            self.data.sha256(), settings, contract_hash(), stack_versions(), name, list(about)
        )
        store = LineStore(self.protocols / f"{name}.jsonl", run)
        return Execution(self.params.jobs, store, show_progress(f"{name} {self.target}"))

    @property
    def protocols(self) -> Path:
        """Return the folder that protocols write to."""
        return self.folder / self.target / "protocols"

    def column(self, name: str) -> pd.Series:
        """Return a column of the study's cases for every row, in their order.

        Raises
        ------
        TableError
            If cases have no such column.
        """
        path = self.folder / "cases.parquet"
        cases = read_table(path)
        if name not in cases.columns:
            raise TableError(f"{path}: expected the column '{name}', found it missing.")
        if name in KEYS:
            return self.data.keys[name].reset_index(drop=True)
        joined = self.data.keys.merge(
            cases[[*KEYS, name]], on=list(KEYS), how="left", validate="one_to_one"
        )
        return joined[name]

    def predict(
        self,
        plan: SplitPlan,
        candidates: Sequence[Candidate],
        execution: Execution,
        labels: FoldLabels | None = None,
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Predict out of fold, every fold on the labels that its training persons make.

        Parameters
        ----------
        labels : FoldLabels, optional
            Other labels than those.

        Returns
        -------
        risks : dict of candidate to ndarray of shape (n_repeats, n_rows)
        judged : ndarray of shape (n_repeats, n_rows)
            The label each row is judged by; NaN = not judged.
        """
        used = fold_labels(self.data, plan, soft=False) if labels is None else labels
        usable = learnable(plan, used.fitted, self.data.y)
        found = cross_validate(
            self.X, used.fitted, usable, candidates, margin=used.margin, execution=execution
        )
        return risks_by_candidate(found, plan), judged_labels(used.judged, plan)

    def write(self, content: dict[str, Any], name: str) -> dict[str, Any]:
        """Write a protocol's result beside the others, with what it is about, and return it."""
        about = {
            "study": ", ".join(sorted(self.data.keys["study_id"].unique())),
            "target": self.target,
            "endpoint": self.data.endpoint,
            "n_without_target": self.data.n_without_target,
            "data_sha256": self.data.sha256(),
        }
        write_json({**about, **content}, self.protocols / f"{name}.json")
        return {**about, **content}


def open_subject(params: TrainParams, folder: Path, target: str) -> Subject:
    """Read one target of a study, as training does.

    Rows that the responder rule leaves undecided take no part; they are counted.

    Parameters
    ----------
    folder : Path
        Output folder of a study after label and featurize.
    """
    tables = (folder / "features.parquet", folder / "outcomes.parquet")
    return subject_of(params, tables, folder, target)


def subject_of(
    params: TrainParams, tables: tuple[Path, Path], folder: Path, target: str
) -> Subject:
    """As :func:`open_subject`, with the (features, outcomes) tables wherever they are."""
    data = _decided(load_dataset(*tables, params.endpoint, target, params.decision_time))
    columns = usable_columns(data.X)
    ladder = make_ladder(feature_roles(columns), ladder_settings(params, data, target))
    return Subject(folder, target, params, data, data.X[columns], ladder)


def _decided(data: Dataset) -> Dataset:
    """Keep the rows whose label is known with everybody learnt from."""
    rows = np.flatnonzero(np.isfinite(data.y))
    _, person = np.unique(data.person[rows], return_inverse=True)
    return replace(
        data,
        keys=data.keys.iloc[rows].reset_index(drop=True),
        X=data.X.iloc[rows].reset_index(drop=True),
        y=data.y[rows],
        soft=data.soft[rows],
        person=person,
        n_without_target=data.n_without_target + len(data.y) - len(rows),
        margin=None if data.margin is None else data.margin[rows],
    )
