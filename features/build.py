"""Every feature family, and the one function that makes features from cases.

Training and prediction both call :func:`build_features`; there is no second way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from functools import cache

import numpy as np
import pandas as pd

from features.biology import BIOLOGY
from features.blocks import with_block
from features.columns import CASES, Column
from features.condition import CONDITION
from features.exercise import EXERCISE
from features.history import HISTORY
from features.modulation import MODULATION
from features.person import PERSON
from features.questionnaires import QUESTIONNAIRES
from features.reference import load_reference
from features.spec import Builder, FeatureSpec

BUILDERS: Mapping[str, Builder] = {
    b.name: b for b in (PERSON, CONDITION, QUESTIONNAIRES, MODULATION, EXERCISE, BIOLOGY, HISTORY)
}
SPECS: tuple[FeatureSpec, ...] = tuple(with_block(s) for b in BUILDERS.values() for s in b.specs)

# Reference data that decide a feature's value.
REFERENCES = (
    "biology.toml",
    "conditions.toml",
    "exercise_intensity.toml",
    "instruments.toml",
    "modulation.toml",
    "qst_parameters.toml",
)


def build_features(cases: pd.DataFrame, only: Collection[str] | None = None) -> pd.DataFrame:
    """Build every feature from checked cases.

    Parameters
    ----------
    cases : DataFrame of shape (n_rows, any)
        As returned by :func:`features.contract.check_cases`; columns the study does not have
        may be absent.
    only : collection of str, optional
        Features to return: a model that needs a quarter of them is served at a quarter of the
        memory. Default: all.

    Returns
    -------
    DataFrame of shape (n_rows, n_features), float64, index of ``cases``
        The columns of ``SPECS`` (those in ``only``) in their order; NaN = missing. A row's
        features depend on that row alone.

    Raises
    ------
    RuntimeError
        If a builder returns other columns than it declares (a defect of the builder).
    """
    # One block, a feature a row of it: filled once, never copied, never fragmented.
    names = [s.name for s in SPECS if only is None or s.name in only]
    table = np.empty((len(names), len(cases)))
    places = {name: place for place, name in enumerate(names)}
    delivered = set(cases.columns)
    for builder in BUILDERS.values():
        wanted = [s for s in builder.specs if s.name in places]
        if only is not None and delivered.isdisjoint(c for s in wanted for c in s.sources):
            # Nothing comes of nothing: a feature is missing where all its columns are absent.
            table[[places[s.name] for s in wanted]] = np.nan
            continue
        built = builder.build(cases)
        declared = [s.name for s in builder.specs]
        if sorted(built) != sorted(declared):
            raise RuntimeError(
                f"builder '{builder.name}': declared and built columns differ: "
                f"{sorted(set(built) ^ set(declared))}"
            )
        for name in declared:
            if name in places:
                table[places[name]] = built[name]
    index = names if only is None else pd.Index(names, dtype="object")
    return pd.DataFrame(table.T, index=cases.index, columns=index, copy=False)


def contract_parts() -> dict[str, str]:
    """Return a SHA-256 per part of what turns a table into features.

    Two programs with equal parts read cases alike and declare the same features. Where a
    bundle's parts differ from the program's, the names tell what changed.
    """
    parts: dict[str, Column | FeatureSpec] = {
        **{f"column {c.name}": c for c in CASES},
        **{f"feature {s.name}": s for s in SPECS},
    }
    return {
        **{name: _sha256_of(declared) for name, declared in parts.items()},
        **{f"seeds/{name}": _sha256(load_reference(name)) for name in REFERENCES},
    }


def contract_hash(parts: Mapping[str, str] | None = None) -> str:
    """SHA-256 over :func:`contract_parts`."""
    return _sha256(dict(contract_parts() if parts is None else parts))


@cache
def _sha256_of(declared: Column | FeatureSpec) -> str:
    # Asked for by every bundle that is read: a tenth of a second each time.
    return _sha256(asdict(declared))


def _sha256(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
