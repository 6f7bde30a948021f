"""Several studies as one: tables stacked, and what they have in common said plainly.

Units are canonical and items are stored as answered once a study is in, so that pooling is
stacking. ``study_id`` and ``site_id`` stay, for validation that leaves a study or a laboratory
out. What differs is how the studies define their outcomes; a pool has one only where they agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from features.columns import CASES, KEYS
from features.contract import check_cases, check_measurements
from features.reference import load_reference
from pipeline.errors import ConfigError, TableError
from pipeline.ingest import Ingested, ingest, load_study_map, read_study
from pipeline.io import require_valid

SEPARATOR = "+"
# Required of every study, so that having them in common says nothing.
GIVEN = frozenset({*KEYS, "condition", "modality"})


def ingest_all(
    studies: Sequence[str], sources: Sequence[Path], output: Path, *, cases_only: bool = False
) -> dict[str, Any]:
    """Bring in one study, or several as one; return the report.

    Parameters
    ----------
    studies : sequence of str
        Names of maps or paths to .toml; "a+b" is the same as two entries.
    sources : sequence of Path
        None: each study is looked for as :func:`pipeline.ingest.find_source` does. As many as
        studies: each one's folder, in order. One for several studies: the folder that holds
        the folders that their maps name.
    output : Path
        As in :func:`pipeline.ingest.ingest`.
    cases_only : bool, default=False
        As in :func:`pipeline.ingest.ingest`; of one study.

    Raises
    ------
    ConfigError
        For another number of sources, a study named twice, or studies with nothing in common.
    """
    names = [name for study in studies for name in _names(study)]
    folders = _folders(names, sources)
    if len(names) == 1:
        return ingest(names[0], folders[0], output, cases_only=cases_only)
    if cases_only:
        raise ConfigError(f"--cases-only: expected one study, found {len(names)}.")
    pooled = pool([read_study(n, f) for n, f in zip(names, folders, strict=True)])
    pooled.write(output)
    return pooled.report


def _names(study: str) -> list[str]:
    return [study] if study.endswith(".toml") else study.split(SEPARATOR)


def _folders(names: Sequence[str], sources: Sequence[Path]) -> list[Path | None]:
    if not sources:
        return [None] * len(names)
    if len(sources) == len(names):
        return list(sources)
    if len(sources) == 1:
        return [sources[0] / load_study_map(n).study.folder for n in names]
    raise ConfigError(
        f"--source: expected one folder per study ({len(names)}) or one that holds them all, "
        f"found {len(sources)}."
    )


def pool(studies: Sequence[Ingested]) -> Ingested:
    """Stack studies; the card says which endpoint is whose, and whether there is one outcome.

    Raises
    ------
    ConfigError
        Where a study is named twice, or the studies share neither a measured column of
        ``cases`` nor a measure.
    """
    names = [study.report["study"] for study in studies]
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise ConfigError(f"studies: expected each study once, found '{repeated[0]}' again.")
    common = _common_columns(studies)
    if not common and not _common_measures(studies):
        raise ConfigError(
            f"studies {', '.join(names)}: expected a predictor or a measure that all have, found "
            "none: there is nothing to pool."
        )
    cases = _stack([s.cases for s in studies])
    measurements = _stack([s.measurements for s in studies if len(s.measurements)])
    where = Path(f"pool of {', '.join(names)}")
    cases = require_valid(check_cases(cases), where)
    measurements = require_valid(check_measurements(measurements), where)
    card = _card(studies)
    report = {
        "study": card["study"]["name"],
        "title": card["study"]["title"],
        "simulated": card["study"]["simulated"],
        "no_outcome": card["study"]["no_outcome"],
        "participants": sum(s.report["participants"] for s in studies),
        "bouts": len(cases),
        "measurements": len(measurements),
        "common_columns": common,
        "endpoint_studies": card["endpoint_studies"],
        "studies": [s.report for s in studies],
    }
    return Ingested(cases, measurements, card, report)


def _stack(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    if not tables:
        raise TableError("pool: expected measurements in a study at least, found none in any.")
    # A column that a study never measured is missing for its people, and is left out of the
    # stack first: an empty column has no type of its own.
    filled = [t.dropna(axis=1, how="all") for t in tables]
    names = list(dict.fromkeys(c for t in tables for c in t.columns))
    known = [c.name for c in CASES if c.name in names]
    ordered = [*known, *(n for n in names if n not in known)]
    return pd.concat(filled, ignore_index=True).reindex(columns=ordered)


def _common_columns(studies: Sequence[Ingested]) -> list[str]:
    """Columns of ``cases``, and scores that several forms share, that every study measured."""
    measured = [[str(c) for c in s.cases.columns[s.cases.notna().any()]] for s in studies]
    columns = set.intersection(*(set(names) for names in measured)) - GIVEN
    scores = set.intersection(*(_shared_scores(names) for names in measured))
    return [*(c for c in measured[0] if c in columns), *sorted(scores)]


def _shared_scores(columns: Sequence[str]) -> set[str]:
    """Scores common to several forms (TSK-11, -13 and -17 in percent of their range)."""
    return {
        form["pooled"]
        for instrument, form in load_reference("instruments.toml").items()
        if "pooled" in form and any(c.startswith(f"{instrument}_") for c in columns)
    }


def _common_measures(studies: Sequence[Ingested]) -> set[str]:
    return set.intersection(*(set(s.measurements["measure"]) for s in studies))


# ---- the card --------------------------------------------------------------------------------


def _card(studies: Sequence[Ingested]) -> dict[str, Any]:
    cards = [s.card for s in studies]
    outcome, reason = _pooled_outcome(cards)
    study = {
        "name": SEPARATOR.join(_each(cards, "name")),
        "title": f"Pool: {'; '.join(_each(cards, 'title'))}",
        **{k: " | ".join(_each(cards, k)) for k in ("citation", "doi", "licence", "download")},
        "folder": " | ".join(_each(cards, "folder")),
        "simulated": any(c["study"]["simulated"] for c in cards),
        "no_outcome": reason,
    }
    return {
        "study": study,
        "outcome": outcome,
        "endpoint_studies": _endpoint_studies(cards),
        "pooled": [{"study": c["study"], "outcome": c["outcome"]} for c in cards],
    }


def _each(cards: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    return [str(card["study"][key]) for card in cards]


def _endpoint_studies(cards: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Name the studies of every endpoint, those of most studies first."""
    owners: dict[str, list[str]] = {}
    for card in cards:
        for endpoint in card["outcome"].get("endpoints", []):
            owners.setdefault(endpoint["name"], []).append(card["study"]["name"])
    return dict(sorted(owners.items(), key=lambda pair: -len(pair[1])))


def _pooled_outcome(cards: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], str]:
    """Return the outcome all studies agree on, or none and the reason.

    They agree where every setting but the endpoints is equal, and endpoints of one name are one
    and the same; then those that all have come first, and a study's own follow.
    """
    without = [c["study"]["name"] for c in cards if not c["outcome"]]
    if len(without) == len(cards):
        return {}, "studies that have none"
    if without:
        return {}, f"{', '.join(without)} without one; label the other studies by themselves"
    designs = [dict(c["outcome"]) for c in cards]
    endpoints = [{e["name"]: dict(e) for e in d.pop("endpoints", [])} for d in designs]
    differing = sorted({k for d in designs for k in d if any(o.get(k) != d[k] for o in designs)})
    if differing:
        return {}, (
            f"outcomes that the studies define differently ({', '.join(differing)}); label each "
            "study by itself"
        )
    merged: dict[str, Any] = {}
    for own in endpoints:
        for name, endpoint in own.items():
            if merged.setdefault(name, endpoint) != endpoint:
                return {}, (
                    f"endpoint '{name}', which the studies define differently; give it two names"
                )
    shared = [n for n in merged if all(n in own for own in endpoints)]
    if not shared:
        return {}, "studies without an endpoint in common; label each study by itself"
    order = [*shared, *(n for n in merged if n not in shared)]
    return {**designs[0], "endpoints": [merged[n] for n in order]}, ""
