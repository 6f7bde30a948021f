"""Raw cases in, probabilities and rejects out: the one way from a row to a prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from features.build import build_features
from features.columns import KEYS
from features.contract import Violation, check_cases
from models.blocks import absent_blocks, blocks_of
from models.bundle import Bundle
from models.feature_columns import FeatureColumns
from models.flags import CodedTexts
from models.ranges import out_of_range, training_ranges
from models.scorers import Contributions
from pipeline.errors import TableError
from pipeline.io import describe
from pipeline.key_texts import pseudonym_of, texts, unsafe_keys
from pipeline.rejects import NO_EXERCISE, REJECT_COLUMNS, list_rejects
from pipeline.sure_columns import FLAG_PREFIXES, TEXT_PREFIXES, agreeing, sure_columns
from pipeline.watch import watch

PERSON = "participant_id"
ABSENT_BLOCKS = "absent_blocks"
OUT_OF_RANGE = "out_of_range"
FATAL = frozenset({"missing_column", "repeated_column"})
TEXTS = frozenset({*REJECT_COLUMNS[1:], ABSENT_BLOCKS, OUT_OF_RANGE})


class ScoredTables(NamedTuple):
    """A scored piece: its tables, and what :mod:`pipeline.watch` counts of it."""

    predictions: pa.Table
    rejects: pa.Table
    watched: dict[str, Any]


ScoreBatch = Callable[[pd.DataFrame], ScoredTables]


@dataclass(frozen=True)
class ScoreOptions:
    """What a prediction holds besides the probabilities.

    Parameters
    ----------
    explain : bool, default=False
        Each target's contributions on the log-odds scale.
    top : int, default=0
        Each target's so many largest contributions with their names, instead of all.
    pseudonym_key : bytes, optional
        Replaces every participant's id by a keyed hash.
    """

    explain: bool = False
    top: int = 0
    pseudonym_key: bytes | None = None


@dataclass(frozen=True)
class Scored:
    """Predictions and rejects of a chunk; together they hold every input row once.

    ``features`` are those of the predicted rows, as far as the models need them.
    """

    predictions: pd.DataFrame
    rejects: pd.DataFrame
    features: pd.DataFrame


PLAIN = ScoreOptions()


def predict(
    cases: pd.DataFrame,
    bundles: Mapping[str, Bundle],
    *,
    explain: bool = False,
    options: ScoreOptions = PLAIN,
) -> Scored:
    """Score raw cases.

    Parameters
    ----------
    cases : DataFrame of shape (n_rows, any)
        Raw rows, text or typed; the index is taken as the row's position in its source.
    bundles : mapping of target to Bundle
    explain : bool, default=False
        Short for ``options=ScoreOptions(explain=True)``.
    options : ScoreOptions

    Returns
    -------
    Scored
        ``predictions`` has ``row``, the keys, ``absent_blocks`` (what the models were trained
        with and the row has no value of), ``out_of_range`` (features clearly outside what they
        were trained on), both joined by ';', and of every target ``p_<target>`` and, where the
        bundle stores a threshold, ``class_<target>`` (1 = the risk reaches it), and how sure
        that is (:mod:`pipeline.sure_columns`). ``rejects`` has one line per rejected row with
        everything that is wrong with it.

    Raises
    ------
    TableError
        If a required column is missing or a known one is there twice: then no row could be
        scored.

    Notes
    -----
    A row's prediction depends on that row alone. Rows that repeat another's keys are scored.
    """
    if explain:
        options = ScoreOptions(True, options.top, options.pseudonym_key)
    found = _score(cases, bundles, options)
    predictions = pd.DataFrame({n: _shown(c) for n, c in found.columns.items()}, copy=False)
    return Scored(predictions, found.rejects, found.features)


def _shown(column: Any) -> Any:
    return column.shown if isinstance(column, CodedTexts) else column


class _Found(NamedTuple):
    """What :func:`predict` returns, before it is put into tables."""

    columns: dict[str, Any]
    rejects: pd.DataFrame
    features: pd.DataFrame
    read: FeatureColumns


def _score(cases: pd.DataFrame, bundles: Mapping[str, Bundle], options: ScoreOptions) -> _Found:
    position = cases.index.to_numpy()
    table, violations = _check(cases)
    good = np.ones(len(table), dtype=bool)
    for violation in violations:
        good[list(violation.rows)] = False
    rejects = list_rejects(cases, position, violations)
    if not good.all():
        table, position = table[good].reset_index(drop=True), position[good]
    columns: dict[str, Any] = {"row": position, **{k: table[k] for k in KEYS}}
    needed = {name for bundle in bundles.values() for name in bundle.feature_names}
    features = build_features(table, needed)
    read = FeatureColumns(features)
    columns |= _answers(features, read, bundles, options)
    if options.pseudonym_key is not None:
        columns[PERSON] = _pseudonyms(columns[PERSON], options.pseudonym_key)
        rejects[PERSON] = _pseudonyms(rejects[PERSON], options.pseudonym_key)
    return _Found(columns, rejects, features, read)


def _check(cases: pd.DataFrame) -> tuple[pd.DataFrame, list[Violation]]:
    checked = check_cases(cases, unique=False, categorical=True)
    fatal = [v for v in checked.table_violations() if v.code in FATAL]
    if fatal:
        raise TableError(describe(fatal, Path("input")))
    table = checked.table
    violations = [v for v in checked.violations if v.rows]
    return table, [*violations, *unsafe_keys(table), *_resting(table)]


def _resting(table: pd.DataFrame) -> list[Violation]:
    rows = tuple(int(r) for r in np.flatnonzero(table["modality"] == "rest"))
    expected = "an exercise; a quiet-rest control has no response to predict"
    return [Violation("modality", NO_EXERCISE, rows, expected, "rest")] if rows else []


def _answers(
    features: pd.DataFrame,
    read: FeatureColumns,
    bundles: Mapping[str, Bundle],
    options: ScoreOptions,
) -> dict[str, Any]:
    columns: dict[str, Any] = {
        ABSENT_BLOCKS: absent_blocks(read, blocks_of(bundles.values())),
        OUT_OF_RANGE: out_of_range(read, training_ranges(bundles.values())),
    }
    for target, bundle in bundles.items():
        explained = None
        if options.top or options.explain:
            risk, explained = bundle.predict_and_explain(features)
        else:
            risk = bundle.predict(features) if len(features) else np.zeros(0)
        columns[f"p_{target}"] = risk
        threshold = bundle.training.get("threshold")
        if threshold is not None:
            columns[f"class_{target}"] = (risk >= threshold["value"]).astype(np.int8)
        columns |= sure_columns(target, bundle, risk, read)
        if explained is not None:
            columns |= _explanation(target, explained, options.top)
    return agreeing(columns)


def _explanation(target: str, explained: Contributions, top: int) -> dict[str, Any]:
    return _reasons(target, explained, top) if top else _contributions(target, explained)


def _contributions(target: str, explained: Contributions) -> dict[str, Any]:
    values = {
        f"{target}_contribution_{name}": explained.values[:, i]
        for i, name in enumerate(explained.names)
    }
    return {f"{target}_baseline_log_odds": explained.baseline, **values}


def _reasons(target: str, explained: Contributions, top: int) -> dict[str, Any]:
    """Name the contributions of the largest size, and give them; nothing where all are spent."""
    names = np.array([*explained.names, None], dtype=object)
    # Row after row: the largest of each is looked for. The last is that of no name.
    values = np.zeros((len(explained.values), len(names)))
    values[:, :-1] = explained.values
    size = np.abs(values)
    rows = np.arange(len(values))
    columns: dict[str, Any] = {}
    for place in range(1, top + 1):
        at = size.argmax(axis=1)
        spent = size[rows, at] <= 0
        columns[f"{target}_reason_{place}"] = np.where(spent, None, names[at])
        columns[f"{target}_reason_{place}_log_odds"] = np.where(spent, np.nan, values[rows, at])
        size[rows, at] = 0
    return columns


def _pseudonyms(ids: pd.Series, key: bytes) -> pd.Series:
    return ids.map(pseudonym_of(key), na_action="ignore")


def score_batch(bundles: Mapping[str, Bundle], options: ScoreOptions = PLAIN) -> ScoreBatch:
    """Return the function from a frame of raw cases to the Arrow tables of a batch run.

    Parameters
    ----------
    bundles : mapping of target to Bundle
    options : ScoreOptions

    Returns
    -------
    callable
        Takes what :func:`predict` takes; gives predictions, rejects and counts. Columns' types
        depend on the columns' names alone, so that no batch can decide otherwise.
    """

    def score(cases: pd.DataFrame) -> ScoredTables:
        found = _score(cases, bundles, options)
        counts = watch(bundles, found.read, found.columns)
        tables = (to_arrow(found.columns), to_arrow(found.rejects))
        return ScoredTables(*tables, counts.to_dict())

    return score


def to_arrow(columns: Mapping[str, Any] | pd.DataFrame) -> pa.Table:
    """Fix every column's type by its name, so that no chunk can decide otherwise.

    Texts of few kinds stay codes; :func:`pipeline.batch_parts.plain_texts` spells them out.
    """
    n_rows = len(columns["row"])
    return pa.table({str(name): _array(c, str(name), n_rows) for name, c in columns.items()})


def _array(column: Any, name: str, n_rows: int) -> pa.Array:
    if isinstance(column, CodedTexts):
        codes = pa.array(column.codes, pa.int32())
        return pa.DictionaryArray.from_arrays(codes, pa.array(column.texts, pa.string()))
    text = name in TEXTS or name.startswith(TEXT_PREFIXES)
    if text or name.rpartition("_")[0].endswith("_reason"):
        return texts(column)
    values = np.broadcast_to(np.asarray(column), n_rows)
    if name == "row":
        return pa.array(values, pa.int64())
    return pa.array(values, pa.int8() if name.startswith(FLAG_PREFIXES) else pa.float64())
