"""Tool ``reserve``: divide a study's pre-exercise trials between baseline feature and outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from features.baseline_block import COLUMNS, Reserved, reserve_trials
from pipeline.errors import TableError
from pipeline.io import write_json, write_table
from pipeline.study_folder import (
    CARD,
    CASES,
    MEASUREMENTS,
    read_card,
    read_cases,
    read_measurements,
)


def reserve(folder: Path, trials: Reserved, output: Path) -> dict[str, Any]:
    """Write the study of ``folder``, its trials divided, to ``output``.

    Parameters
    ----------
    folder, output : Path
        Study folders; may be the same one.
    trials : {'odd', 'even'}
        Which pre-exercise trials of each bout become its baseline.

    Returns
    -------
    dict with ``trials``, ``n_readings`` moved and, per column, ``n_bouts`` with a value

    Raises
    ------
    TableError
        Where the study has an independent baseline already, or no trial to spare.
    """
    cases, measurements = read_cases(folder), read_measurements(folder)
    try:
        divided, moved = reserve_trials(cases, measurements, trials)
    except ValueError as error:
        raise TableError(f"{folder}: {error}") from None
    n_moved = int((moved["timepoint"] != measurements["timepoint"]).sum())
    if n_moved == 0:
        raise TableError(
            f"{folder}: expected bouts with two or more trials of the pressure threshold at "
            "'pre', found none. There is nothing to reserve for a baseline."
        )
    report = {
        "trials": trials,
        "n_readings": n_moved,
        "n_bouts": {c: int(divided[c].notna().sum()) for c in COLUMNS.values()},
    }
    card = read_card(folder)
    write_table(divided, output / CASES)
    write_table(moved, output / MEASUREMENTS)
    write_json({**card, "reserved_baseline": report}, output / CARD)
    return report
