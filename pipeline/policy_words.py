"""What stage ``policy`` leaves in its folder, and the words its numbers are told in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from models.estimate import Estimate
from pipeline.target_folder import NOT_ENOUGH_DATA

METRICS, OVERLAP, TARGETING = "metrics.json", "overlap.csv", "targeting.csv"
SIMULATED = "Simulated data: this shows what the software does, not which exercise is best."


def sentence(result: Mapping[str, Any]) -> str:
    """Say in one line whether individual recommendations are supported."""
    if NOT_ENOUGH_DATA in result:
        return f"policy: not enough data, {result[NOT_ENOUGH_DATA]}"
    found = result["against_average_best"]
    head = f"{SIMULATED} " if result["simulated"] else ""
    return (
        f"{head}{result['wording'].capitalize()}. {result['verdict']} (utility per bout "
        f"{found['estimate']:+.3f}, 95 % {found['lower']:+.3f} to {found['upper']:+.3f}, "
        f"{result['n_participants']} persons)."
    )


def verdict(*, designed: bool, against: Estimate) -> str:
    """Say what may be concluded from the value of the individual rule over the average best."""
    if not designed:
        return (
            "No effect is stated: the design is observational, the exercises people had may "
            "reflect how they were"
        )
    if against.lower > 0:
        return "Individual recommendations do better than the best exercise on average"
    return (
        "Individualisation is not supported: recommendations by person have not been shown to do "
        "better than the best exercise on average, which is recommended to everybody"
    )


def overlap_note(overlap: pd.DataFrame) -> str:
    """Say in what those who had an exercise differ most from others, against what lot would do."""
    worst = overlap[overlap["imbalanced"]]
    if worst.empty:
        return "No covariate differs between those who had an exercise and others beyond chance."
    row = worst.iloc[int(worst["standardised_difference"].abs().to_numpy().argmax())]
    return (
        f"Those who had '{row['arm']}' differ from others of their condition in "
        f"'{row['covariate']}' by {row['standardised_difference']:+.2f} SD; by lot the largest "
        f"difference would not exceed {row['by_chance']:.2f}."
    )
