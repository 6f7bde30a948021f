"""Tool ``rehearse``: the whole pipeline on many simulated studies of one design.

How large a study has to be, how often nothing is taken for something, and whether intervals say
what they promise, before a single person is measured. Every finished study is one line of a file
that names its design; a run that was stopped goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from features.build import contract_hash
from features.columns import KEYS
from models.errors import NotEnoughDataError
from models.judged import Judged
from models.metrics import auc
from models.operating import summarise_runs
from pipeline import evaluate, featurize, label, train
from pipeline.artefacts import read_bundle
from pipeline.config import Params
from pipeline.errors import ConfigError
from pipeline.io import append_line, read_lines, read_table, write_json, write_text
from pipeline.simulate import NOTE, simulate

# The population's persons are other people than any study's: studies count up from 0.
POPULATION_SEED = 2**31 - 1
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Design:
    """The studies to be rehearsed.

    Parameters
    ----------
    scenario : str
    participants : int
        Persons of a study.
    target : {'response', 'hyperalgesia', 'flare'}
    overrides : mapping of dotted path to value
        Parameters of the simulator other than the published.
    population : int
        Persons of the population in which a fitted model's true AUC is measured. The standard
        error of that AUC is about .35 / sqrt(population).
    """

    scenario: str
    participants: int
    target: str = "response"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    population: int = 3000

    def name(self) -> str:
        """Short name of the design, for files and tables."""
        return f"{self.scenario}_{self.participants}_{self.target}"


def run(
    designs: Sequence[Design],
    params: Params,
    output: Path,
    runs: int,
    jobs: int = 1,
    progress: Progress = lambda done: None,
) -> dict[str, Any]:
    """Rehearse every design; go on with what was finished before.

    Parameters
    ----------
    designs : sequence of Design
    params : Params
        How studies are labelled, trained and judged.
    output : Path
        Folder: ``<design>-<hash>.jsonl`` (one study a line), ``operating_characteristics.json``
        and ``.md``.
    runs : int
        Studies of each design, with the seeds 0 ... runs - 1.
    jobs : int
        Processes. The call goes through joblib: within ``joblib.parallel_config(backend=...)``
        the same studies run on Dask or Ray.
    progress : callable
        Told the number of studies that were finished.

    Returns
    -------
    dict with ``note`` and, per design, :func:`models.operating.summarise_runs`
    """
    results = []
    for design in designs:
        path = output / f"{design.name()}-{fingerprint(design, params)}.jsonl"
        done = {line["seed"]: line for line in read_lines(path)}
        waiting = [seed for seed in range(runs) if seed not in done]
        progress(runs - len(waiting))
        studies = Parallel(n_jobs=jobs, return_as="generator_unordered")(
            delayed(rehearse_study)(design, params, seed) for seed in waiting
        )
        for study in studies:
            append_line(study, path)
            done[study["seed"]] = study
            progress(1)
        finished = [done[seed] for seed in range(runs)]
        results.append({"design": asdict(design), **summarise_runs(finished)})
    content = {"note": NOTE, "designs": results}
    write_json(content, output / "operating_characteristics.json")
    write_text(as_markdown(content), output / "operating_characteristics.md")
    return content


def sizes(text: str) -> list[int]:
    """Read numbers of persons joined by commas.

    Raises
    ------
    ConfigError
        For anything that is no positive whole number.
    """
    parts = [p.strip() for p in text.split(",")]
    if not all(p.isdigit() and int(p) > 0 for p in parts):
        raise ConfigError(f"--participants: expected whole numbers from 1, found '{text}'.")
    return [int(p) for p in parts]


def fingerprint(design: Design, params: Params) -> str:
    """Sixteen digits that change with the design, the parameters or the program's contract."""
    content = {
        "design": asdict(design),
        "label": asdict(params.label),
        "featurize": asdict(params.featurize),
        "train": {k: v for k, v in asdict(params.train).items() if k != "jobs"},
        "evaluate": asdict(params.evaluate),
        "contract": contract_hash(),
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rehearse_study(design: Design, params: Params, seed: int) -> dict[str, Any]:
    """Simulate one study, take it through every stage, and look up the truth.

    Returns
    -------
    dict with ``seed, selected, promoted, auc`` (see :func:`models.operating.summarise_runs`), or
    ``seed, not_enough_data``
    """
    # One process a study: stages that ask for more would share the cores with other studies.
    params = replace(params, train=replace(params.train, jobs=1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            metrics = _take_through(design, params, seed, folder)
        except NotEnoughDataError as error:
            return {"seed": seed, "not_enough_data": str(error)}
        true = _true_aucs(design, params, folder / design.target / "train" / "candidates")
    estimated = {n: c["auc"] for n, c in metrics["candidates"].items()}
    return {
        "seed": seed,
        "selected": metrics["selected"],
        "promoted": bool(metrics["verdict"]["promoted"]),
        "auc": {
            n: {k: e[k] for k in ("estimate", "lower", "upper")} | {"true": true[n]}
            for n, e in estimated.items()
        },
    }


def _take_through(design: Design, params: Params, seed: int, folder: Path) -> dict[str, Any]:
    tables = _prepare(design, params, design.participants, seed, folder)
    target = folder / design.target
    train.run(params.train, tables, design.target, target)
    judging = replace(params.evaluate, subgroups=())
    return evaluate.run_ladder(judging, target / "train" / "predictions.parquet", target / "judged")


def _prepare(
    design: Design, params: Params, participants: int, seed: int, folder: Path
) -> tuple[Path, Path]:
    """Simulate, label and featurize; return the two tables that training reads."""
    tables = (folder / "features.parquet", folder / "outcomes.parquet")
    simulate(participants, design.scenario, seed, folder, design.overrides)
    label.run(params.label, folder, tables[1])
    featurize.run(params.featurize, folder, tables[0])
    return tables


def _true_aucs(design: Design, params: Params, candidates: Path) -> dict[str, float]:
    """AUC of every fitted candidate in the population."""
    key = json.dumps([asdict(design), asdict(params.label), asdict(params.featurize)], default=str)
    features, y = _population(key, design, params)
    judged = Judged(y, np.arange(len(y)), np.zeros((1, len(y)), dtype=np.int64))
    one = np.ones((1, len(y)))
    return {
        folder.name: float(
            auc(judged, read_bundle(folder).predict(features), one, judged.block[0])[0]
        )
        for folder in sorted(candidates.iterdir())
    }


_populations: dict[str, tuple[pd.DataFrame, np.ndarray]] = {}


def _population(key: str, design: Design, params: Params) -> tuple[pd.DataFrame, np.ndarray]:
    """Features and labels of the population, made once in every process."""
    if key not in _populations:
        with tempfile.TemporaryDirectory() as name:
            tables = _prepare(design, params, design.population, POPULATION_SEED, Path(name))
            features, outcomes = (read_table(t) for t in tables)
        primary = outcomes.loc[outcomes["is_primary"], [*KEYS, design.target]]
        joined = features.merge(primary.dropna(), on=list(KEYS))
        _populations[key] = (joined, joined[design.target].to_numpy(dtype=np.float64))
    return _populations[key]


def as_markdown(content: Mapping[str, Any]) -> str:
    """Lay the results out as two tables; the first line says that they are simulated."""
    lines = [f"**{content['note']}**", "", *_promotion_table(content["designs"]), ""]
    return "\n".join([*lines, *_auc_table(content["designs"]), ""])


def _promotion_table(designs: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "| scenario | persons | target | studies | too few events | promoted (95 %) | chosen |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for found in designs:
        design, rate = found["design"], found["promoted"]
        chosen = ", ".join(f"{n} {k}" for n, k in found["selected"].items())
        lines.append(
            f"| {design['scenario']} | {design['participants']} | {design['target']} | "
            f"{found['n_runs']} | {found['n_not_enough_data']} | {_rate(rate)} | {chosen} |"
        )
    return lines


def _auc_table(designs: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "| scenario | persons | candidate | AUC estimated | AUC true | bias (SE) | "
        "width of interval | covers this model's AUC | covers the procedure's AUC |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for found in designs:
        for name, figures in found["auc"].items():
            if figures["n"]:
                lines.append(
                    f"| {found['design']['scenario']} | {found['design']['participants']} | {name} "
                    f"| {figures['mean_estimate']:.3f} | {figures['mean_true']:.3f} | "
                    f"{figures['bias']:+.3f} ({figures['bias_standard_error']:.3f}) | "
                    f"{figures['mean_width']:.2f} | {_rate(figures['coverage_conditional'])} | "
                    f"{_rate(figures['coverage_procedure'])} |"
                )
    return lines


def _rate(rate: Mapping[str, Any]) -> str:
    if not rate["n"]:
        return "-"
    low, high = 100 * rate["lower"], 100 * rate["upper"]
    return f"{100 * rate['estimate']:.1f} % ({low:.1f} to {high:.1f})"
