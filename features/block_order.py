"""Take out what the order of the bouts within a visit does to the readings.

Where bouts of one visit are compared with each other and every person has the same order on
every visit, a drift over blocks looks like a property of the person and inflates the agreement
between visits.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.columns import KEYS
from features.outcome import summarise_trials
from features.sessions import exercise_codes

BY = ("measure", "site_role", "timepoint")
BOUT = "block_number"


def has_block_order(cases: pd.DataFrame) -> bool:
    """Whether bouts of one visit stand in a recorded order."""
    if not {BOUT, "visit_id"} <= set(cases.columns):
        return False
    visits = cases.groupby(["study_id", "participant_id", "visit_id"])[BOUT].nunique()
    return bool((visits > 1).any())


def without_block_drift(cases: pd.DataFrame, measurements: pd.DataFrame) -> pd.DataFrame:
    """Subtract from every reading the mean drift of its block.

    The drift is estimated per measure, site and timepoint by least squares, within visits and
    with the exercise held fixed, on the means of bouts. The first block keeps its values.

    Parameters
    ----------
    cases, measurements : DataFrame
        Checked tables; ``cases`` as :func:`has_block_order` asks.

    Returns
    -------
    DataFrame, a copy of ``measurements`` with other values
    """
    bouts = cases[[*KEYS, "visit_id", BOUT]].assign(_exercise=exercise_codes(cases))
    means = summarise_trials(measurements).merge(bouts, on=list(KEYS), validate="many_to_one")
    cells = means.dropna(subset=[BOUT, "mean"])
    parts = []
    for name in cells[list(BY)].drop_duplicates().itertuples(index=False):
        own = (cells[list(BY)] == list(name)).all(axis=1)
        parts.append(_drift(cells[own]).assign(**{c: getattr(name, c) for c in BY}))
    drift = pd.concat(parts)
    joined = measurements.merge(cases[[*KEYS, BOUT]], on=list(KEYS), how="left")
    joined = joined.merge(drift, on=[*BY, BOUT], how="left")
    shift = joined["_drift"].fillna(0.0).to_numpy()
    return measurements.assign(value=measurements["value"].to_numpy(dtype=np.float64) - shift)


def _drift(cell: pd.DataFrame) -> pd.DataFrame:
    """Effect of every block on the mean reading, relative to the first."""
    blocks = np.sort(cell[BOUT].unique())
    exercises = np.unique(cell["_exercise"])
    design = (
        np.column_stack(
            [
                *(cell[BOUT].to_numpy() == b for b in blocks[1:]),
                *(cell["_exercise"].to_numpy() == e for e in exercises[1:]),
            ]
        )
        .astype(np.float64)
        .reshape(len(cell), -1)
    )
    visit = cell.groupby(["study_id", "participant_id", "visit_id"]).ngroup().to_numpy()
    centred = pd.DataFrame(np.column_stack([design, cell["mean"].to_numpy()]))
    centred = centred - centred.groupby(visit).transform("mean")
    within = centred.to_numpy()
    effects = np.linalg.lstsq(within[:, :-1], within[:, -1], rcond=None)[0]
    return pd.DataFrame({BOUT: blocks, "_drift": [0.0, *effects[: len(blocks) - 1]]})
