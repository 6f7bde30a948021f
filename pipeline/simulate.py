"""Write a simulated study where a real one would be."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from features.simulation_parameters import leaves, simulation_parameters
from features.simulator import simulate_study
from pipeline.design import CROSSOVER, OBSERVATIONAL
from pipeline.errors import ConfigError
from pipeline.io import check_table, read_toml, require_valid, write_json, write_table

NOTE = "Simulated data show what the software does, not that EIH is predictable."
# An exercise outcome with its own rest control; the rule of the field with its stated error.
OUTCOME = {
    "reference": "pre",
    "subtract_rest": True,
    "rule": "sem",
    "sem_of": "change",
    "sem_source": "rest",
    "flare_rise_nrs": 2.0,
    "endpoints": [
        {"name": "local_ppt", "measure": "ppt", "site_role": "local", "timepoint": "post"},
        {"name": "remote_ppt", "measure": "ppt", "site_role": "remote", "timepoint": "post"},
    ],
}


def read_overrides(file: Path | None, settings: Sequence[str]) -> dict[str, Any]:
    """Collect overridden parameters by dotted path; ``settings`` go over the file.

    Parameters
    ----------
    file : Path, optional
        TOML; tables are the branches of the tree of parameters.
    settings : sequence of str
        ``path=value``, the value as in TOML; what is no TOML value is a text.

    Raises
    ------
    ConfigError
        For a file that is no TOML, or a setting without ``=``.
    """
    overrides: dict[str, Any] = {}
    if file is not None:
        overrides = dict(leaves(read_toml(file)))
    for setting in settings:
        path, mark, text = setting.partition("=")
        if not mark:
            raise ConfigError(f"--set: expected PARAMETER=VALUE, found '{setting}'.")
        overrides[path.strip()] = _toml_value(text.strip())
    return overrides


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def simulate(
    n_participants: int,
    scenario: str,
    seed: int,
    output: Path,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, object]:
    """Simulate a study and write its tables, its description and, apart, the truth.

    Writes ``cases.parquet``, ``measurements.parquet`` (canonical units) and ``study.json`` to
    ``output``, and ``truth/truth.parquet`` below it, which no stage reads.

    Parameters
    ----------
    n_participants : int, >= 1
    scenario : {'base', 'pessimistic', 'optimistic', 'null'}
    seed : int, >= 0
    output : Path
        A folder; made where it does not exist.
    overrides : mapping of dotted path to value, optional
        See :func:`features.simulation_parameters.simulation_parameters`.

    Returns
    -------
    dict
        ``participants``, ``bouts``, ``measurements`` (numbers of rows), ``scenario``, ``seed``.

    Raises
    ------
    ConfigError
        For an unknown scenario or parameter, or impossible values.
    TableError
        Where the folder cannot be written.
    """
    try:
        study = simulate_study(n_participants, scenario, seed, overrides)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    for kind, table in (("cases", study.cases), ("measurements", study.measurements)):
        path = output / f"{kind}.parquet"
        write_table(require_valid(check_table(table, kind), path), path)
    write_table(study.truth, output / "truth" / "truth.parquet")
    card = {"study": _description(scenario, seed, overrides or {}), "outcome": OUTCOME}
    write_json(card, output / "study.json")
    return {
        "participants": n_participants,
        "bouts": len(study.cases),
        "measurements": len(study.measurements),
        "scenario": scenario,
        "seed": seed,
    }


def by_lot(overrides: Mapping[str, Any]) -> bool:
    """Return whether exercises were drawn by lot: the simulated study then is a crossover."""
    strength: float = simulation_parameters(overrides)["assignment"]["strength"]
    return strength == 0


def _description(scenario: str, seed: int, overrides: Mapping[str, Any]) -> dict[str, object]:
    return {
        "name": "simulated",
        "title": f"Simulated study, scenario {scenario}",
        "simulated": True,
        "scenario": scenario,
        "seed": seed,
        "overrides": dict(overrides),
        "citation": "",
        "contrast": CROSSOVER if by_lot(overrides) else OBSERVATIONAL,
        "note": NOTE,
    }
