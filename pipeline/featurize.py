"""Stage ``featurize``: from cases to the feature table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from features.build import BUILDERS, SPECS, build_features
from features.columns import KEYS
from features.history import HISTORY
from pipeline.config import FeaturizeParams
from pipeline.errors import ConfigError
from pipeline.io import write_table
from pipeline.own_history import with_history
from pipeline.study_folder import read_cases, read_design, read_measurements


def run(params: FeaturizeParams, folder: Path, output: Path) -> dict[str, int]:
    """Write keys and the features of the chosen families; return rows, features, absent ones."""
    unknown = sorted(set(params.families) - set(BUILDERS))
    if unknown:
        raise ConfigError(
            f"featurize, families: expected names from {', '.join(BUILDERS)}, found '{unknown[0]}'."
        )
    cases = read_cases(folder)
    if HISTORY.name in params.families:
        cases = with_history(cases, read_measurements(folder), read_design(folder))
    chosen = [s.name for name in BUILDERS for s in BUILDERS[name].specs if name in params.families]
    features = build_features(cases)[[s.name for s in SPECS if s.name in chosen]]
    write_table(pd.concat([cases[list(KEYS)], features], axis=1), output)
    absent = int(features.isna().all().sum())
    return {"rows": len(features), "features": features.shape[1], "absent": absent}
