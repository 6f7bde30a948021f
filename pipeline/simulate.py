"""Write a simulated study where a real one would be."""

from __future__ import annotations

from pathlib import Path

from features.simulator import check_request, simulate_study
from pipeline.errors import ConfigError
from pipeline.io import check_table, require_valid, write_json, write_table

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


def simulate(n_participants: int, scenario: str, seed: int, output: Path) -> dict[str, object]:
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

    Returns
    -------
    dict
        ``participants``, ``bouts``, ``measurements`` (numbers of rows), ``scenario``, ``seed``.

    Raises
    ------
    ConfigError
        For an unknown scenario, or an impossible number or seed.
    TableError
        Where the folder cannot be written.
    """
    try:
        check_request(n_participants, scenario, seed)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    study = simulate_study(n_participants, scenario, seed)
    for kind, table in (("cases", study.cases), ("measurements", study.measurements)):
        path = output / f"{kind}.parquet"
        write_table(require_valid(check_table(table, kind), path), path)
    write_table(study.truth, output / "truth" / "truth.parquet")
    write_json({"study": _description(scenario, seed), "outcome": OUTCOME}, output / "study.json")
    return {
        "participants": n_participants,
        "bouts": len(study.cases),
        "measurements": len(study.measurements),
        "scenario": scenario,
        "seed": seed,
    }


def _description(scenario: str, seed: int) -> dict[str, object]:
    return {
        "name": "simulated",
        "title": f"Simulated study, scenario {scenario}",
        "simulated": True,
        "scenario": scenario,
        "seed": seed,
        "citation": "",
        "note": "Simulated data show what the software does, not that EIH is predictable.",
    }
