"""Tool ``monitor``: has a model in use drifted, from its predictions and the outcomes known since?

Three questions, each with what it takes: do the risks look as in training (the bundle), do the
cases (the summary that ``eih predict --json`` wrote), and are the risks right (outcomes)?
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.columns import KEYS
from models.bundle import Bundle
from models.calibration_drift import CalibrationLimits, calibration_drift
from models.drift import RISK, Limits, drift_of
from models.drift_counts import BatchCounts, PersonSample, count_batch
from models.judged import Judged
from models.label_free import expected_performance
from pipeline.artefacts import find_bundles
from pipeline.errors import ConfigError, DriftError, TableError
from pipeline.io import DELIMITERS, iter_tables, read_json
from pipeline.judging import read_known
from pipeline.watch import PERSON

PREFIX = "p_"
CHUNK_ROWS = 65_536
LEAST_RESAMPLES = 1000
LEAST_ALPHA = 1e-4
SEED = 7


@dataclass(frozen=True)
class Watching:
    """What is compared with what.

    Parameters
    ----------
    outcomes : Path, optional
        Keys and one 0/1 column per target, as ``eih label`` writes them.
    model : Path, optional
        A bundle, or a study's output folder: gives the training profile of the risks.
    summary : Path, optional
        What ``eih predict --json`` wrote: gives the drift of the cases.
    """

    outcomes: Path | None = None
    model: Path | None = None
    summary: Path | None = None


@dataclass(frozen=True)
class MonitorLimits:
    """What is called drift; see :mod:`models.drift` and :mod:`models.calibration_drift`."""

    batch: Limits = field(default_factory=Limits)
    calibration: CalibrationLimits = field(default_factory=CalibrationLimits)

    def check(self) -> None:
        """Refuse limits that nothing, or everything, would exceed.

        Raises
        ------
        ConfigError
        """
        found = {
            "--max-psi": self.batch.psi,
            "--max-shift": self.calibration.in_the_large,
            "--max-slope-error": self.calibration.slope,
        }
        for option, value in found.items():
            if not 0 <= value < np.inf:
                raise ConfigError(f"{option}: expected a number of 0 or more, found {value}.")
        if not 1 <= self.calibration.oe_ratio < np.inf:
            raise ConfigError(
                f"--max-oe: expected a ratio of 1 or more, found {self.calibration.oe_ratio}."
            )
        if not LEAST_ALPHA <= self.batch.alpha < 1:
            raise ConfigError(
                f"--alpha: expected a probability of {LEAST_ALPHA:g} to 1, found "
                f"{self.batch.alpha}."
            )


def run(predictions: Path, watching: Watching, limits: MonitorLimits) -> dict[str, Any]:
    """Compare predictions with training and with outcomes.

    Parameters
    ----------
    predictions : Path
        As ``eih predict`` wrote them; read in pieces.
    watching : Watching
    limits : MonitorLimits

    Returns
    -------
    dict with ``targets``: of each, ``rows, expected_performance, risk, calibration``;
    ``cases``: drift of the features by target; ``exceeded``: what has drifted, in words

    Raises
    ------
    TableError, BundleError, ConfigError
    """
    limits.check()
    bundles = find_bundles(watching.model) if watching.model else {}
    outcomes = None if watching.outcomes is None else _read_outcomes(watching.outcomes)
    counted = _Counted()
    for chunk in _chunks(predictions):
        counted.add(chunk, outcomes)
    if counted.rows == 0:
        raise TableError(f"{predictions}: expected at least one row, found none.")
    found = {t: _target(t, counted, bundles, outcomes, limits) for t in counted.risks}
    cases = {} if watching.summary is None else _cases(watching.summary, limits.batch)
    exceeded = [f"{t}: {what}" for t, f in found.items() for what in _exceeded(f)]
    exceeded += [f"{t}: {what}" for t, f in cases.items() for what in f["drifted"] if what != RISK]
    return {"targets": found, "cases": cases, "exceeded": exceeded, "join": counted.join(outcomes)}


def require_no_drift(result: Mapping[str, Any]) -> None:
    """Raise DriftError where :func:`run` found any."""
    if result["exceeded"]:
        raise DriftError(f"drift: {'; '.join(result['exceeded'])}.")


def sentences(result: Mapping[str, Any]) -> list[str]:
    """Say the main figures of :func:`run`, a line for each target."""
    lines = []
    for target, found in result["targets"].items():
        risk = found["risk"]
        parts = [f"{found['rows']} rows"]
        if risk["psi"] is not None and np.isfinite(risk["psi"]):
            parts.append(
                f"PSI of the risk {risk['psi']:.3f} (by chance to {risk['by_chance']:.3f})"
            )
        figures = found.get("calibration", {}).get("figures", {})
        for name, label in (("oe_ratio", "O:E"), ("slope", "slope")):
            if name in figures:
                f = figures[name]
                interval = f"{f['lower']:.2f} to {f['upper']:.2f}"
                parts.append(f"{label} {f['estimate']:.2f} ({interval})")
        parts.append(found["calibration"].get("reason", ""))
        lines.append(f"{target}: {', '.join(p for p in parts if p)}")
    return lines


def _chunks(path: Path) -> Iterator[pd.DataFrame]:
    """Yield the keys and risks of a predictions file."""
    delimited = path.suffix.lower() in DELIMITERS
    for frame, ragged in iter_tables(path, CHUNK_ROWS):
        if ragged:
            raise TableError(
                f"{path}, row {ragged[0][0]}: expected as many cells as in the header, found "
                f"{ragged[0][1]}."
            )
        risks = [c for c in frame.columns if str(c).startswith(PREFIX)]
        _require(frame, [*KEYS], path)
        if not risks:
            raise TableError(f"{path}: expected a column {PREFIX}<target>, found none.")
        chunk = frame[[*KEYS, *risks]].copy()
        for key in KEYS:
            chunk[key] = chunk[key].astype("str")
            if delimited:
                # The writer puts an apostrophe before what a spreadsheet would run.
                chunk[key] = chunk[key].str.removeprefix("'")
        for name in risks:
            chunk[name] = _risks(chunk[name], name, path)
        yield chunk


def _risks(column: pd.Series, name: str, path: Path) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    bad = np.flatnonzero(~((numbers >= 0) & (numbers <= 1)))
    if len(bad):
        raise TableError(
            f"{path}, column '{name}': expected probabilities in 0 to 1, found {len(bad)} other "
            f"values (first in row {column.index[bad[0]]})."
        )
    return numbers.astype(np.float64)


def _require(table: pd.DataFrame, columns: list[str], path: Path) -> None:
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise TableError(f"{path}: expected the column '{missing[0]}', found it missing.")


def _read_outcomes(path: Path) -> pd.DataFrame:
    """Read outcomes by key; of several endpoints the primary one."""
    table = read_known(path)
    _require(table, [*KEYS], path)
    if "is_primary" in table.columns:
        primary = table["is_primary"].astype("str").str.lower().isin(["true", "1", "1.0"])
        table = table[primary].reset_index(drop=True)
    for key in KEYS:
        table[key] = table[key].astype("str")
    twice = np.flatnonzero(table.duplicated(list(KEYS)))
    if len(twice):
        raise TableError(
            f"{path}: expected one outcome per bout, found {len(twice)} keys again (first in row "
            f"{twice[0]})."
        )
    return table


@dataclass
class _Counted:
    """What is kept of the predictions while they are read."""

    rows: int = 0
    persons: PersonSample = field(default_factory=PersonSample)
    risks: dict[str, BatchCounts] = field(default_factory=dict)
    joined: list[pd.DataFrame] = field(default_factory=list)

    def add(self, chunk: pd.DataFrame, outcomes: pd.DataFrame | None) -> None:
        self.rows += len(chunk)
        self.persons.add(chunk[PERSON])
        for name in chunk.columns.drop(list(KEYS)):
            counts = count_batch(None, chunk[[]], chunk[name].to_numpy())
            target = name.removeprefix(PREFIX)
            if target in self.risks:
                self.risks[target].merge(counts)
            else:
                self.risks[target] = counts
        if outcomes is not None:
            wanted = [*KEYS, *(t for t in self.risks if t in outcomes.columns)]
            self.joined.append(chunk.merge(outcomes[wanted], on=list(KEYS), how="inner"))

    def join(self, outcomes: pd.DataFrame | None) -> dict[str, int]:
        """Say how many predictions and outcomes have found each other."""
        if outcomes is None:
            return {}
        both = sum(len(j) for j in self.joined)
        return {
            "matched": both,
            "without_outcome": self.rows - both,
            "without_prediction": len(outcomes) - both,
        }


def _target(
    target: str,
    counted: _Counted,
    bundles: Mapping[str, Bundle],
    outcomes: pd.DataFrame | None,
    limits: MonitorLimits,
) -> dict[str, Any]:
    counts, bundle = counted.risks[target], bundles.get(target)
    threshold = None if bundle is None else bundle.training.get("threshold", {}).get("value")
    risk: dict[str, Any] = {"psi": np.nan, "by_chance": np.nan, "drifted": False}
    if bundle is None or bundle.profile is None:
        risk["reason"] = "no bundle with a training profile was given (--model)"
    else:
        risk = drift_of(bundle.profile, counts, counted.persons, limits.batch).to_dict()["risk"]
    return {
        "rows": counts.n_rows,
        "risk": risk,
        "expected_performance": expected_performance(counts.risk, threshold),
        "calibration": _calibration(target, counted, outcomes, limits.calibration),
    }


def _calibration(
    target: str, counted: _Counted, outcomes: pd.DataFrame | None, limits: CalibrationLimits
) -> dict[str, Any]:
    if outcomes is None or target not in outcomes.columns:
        return {"drifted": [], "reason": "no outcomes of this target"}
    joined = pd.concat(counted.joined, ignore_index=True)
    y = pd.to_numeric(joined[target], errors="coerce")
    wrong = int((~(y.isin([0, 1]) | joined[target].isna())).sum())
    if wrong:
        raise TableError(
            f"outcomes, column '{target}': expected 0 or 1, found {wrong} other values."
        )
    twice = int(joined.duplicated(list(KEYS)).sum())
    if twice:
        raise TableError(f"predictions: expected each bout once, found {twice} keys again.")
    known = joined[y.notna()].reset_index(drop=True)
    if len(known) == 0:
        return {"drifted": [], "reason": "no prediction has a known outcome"}
    person = np.asarray(known.groupby(PERSON, sort=True).ngroup(), dtype=np.int64)
    judged = Judged(
        y=y[y.notna()].to_numpy(dtype=np.float64),
        person=person,
        block=np.zeros((1, len(known)), dtype=np.int64),
    )
    risk = known[PREFIX + target].to_numpy(dtype=np.float64)
    # A p value of the bootstrap is no smaller than 2 / resamples: enough to fall below alpha / 3.
    resamples = max(LEAST_RESAMPLES, math.ceil(12 / limits.alpha))
    found = calibration_drift(judged, risk, limits, resamples, SEED)
    people = {"n": len(known), "n_participants": judged.n_persons, "n_events": int(judged.y.sum())}
    return {**people, **found}


def _exceeded(found: Mapping[str, Any]) -> list[str]:
    words = [RISK] if found["risk"]["drifted"] else []
    return [*words, *found["calibration"]["drifted"]]


def _cases(path: Path, limits: Limits) -> dict[str, Any]:
    """Judge the drift in a summary of ``eih predict`` by these limits."""
    content = read_json(path)
    try:
        return {t: _judged_again(drift, limits) for t, drift in content["drift"].items()}
    except (KeyError, TypeError, AttributeError):
        raise TableError(
            f"{path}: expected what 'eih predict --json' writes, with its drift; found other "
            "content."
        ) from None


def _judged_again(drift: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    features = drift.get("features", {})
    drifted = []
    for name, found in features.items():
        shifts = (found["values"], found["missingness"])
        # JSON has null for what could not be computed.
        known = [s for s in shifts if s["psi"] is not None and s["by_chance"] is not None]
        if any(s["psi"] > max(limits.psi, s["by_chance"]) for s in known):
            drifted.append(name)
    return {"drifted": drifted, "n_rows": drift.get("n_rows"), "reason": drift.get("reason", "")}
