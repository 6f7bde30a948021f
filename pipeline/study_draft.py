"""Write a first study map for an unknown table, every guess commented (``eih ingest --draft``)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from features.columns import CONDITIONS, MODALITIES
from features.units import MEASURES
from pipeline.column_match import Battery, Matches, match_columns
from pipeline.column_readings import Reading
from pipeline.column_values import Guess
from pipeline.errors import ConfigError
from pipeline.io import guess_delimiter, write_text
from pipeline.labelled import read_source
from pipeline.map_keys import BLANK
from pipeline.source_table import SourceTable, texts
from pipeline.study_map import SourceFile

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
ROW = "row"
STUDY_BLANKS = {
    "title": "what was studied, in one line",
    "citation": "authors, title, journal, year",
    "doi": "the doi, or 'not stated'",
    "licence": "under which licence the data may be used",
    "download": "where the file comes from",
}


def run(table: Path, output: Path | None, dictionary: Path | None = None) -> str:
    """Draft a study map for ``table``; write it to ``output`` where one is given.

    Parameters
    ----------
    table : Path
        .csv, .tsv, .txt, .parquet, .xlsx or .sav.
    output : Path or None
        A .toml file that does not exist yet.
    dictionary : Path, optional
        REDCap's data dictionary of the table, in its folder: says what its codes mean.

    Returns
    -------
    str
        The map as TOML. It loads once every place marked FILL IN is filled in or deleted.

    Raises
    ------
    ConfigError
        Where ``output`` is no .toml file or exists already, or the dictionary lies elsewhere.
    TableError
        Where the table cannot be read.
    """
    if output is not None and output.suffix != ".toml":
        raise ConfigError(f"{output}: expected a file that ends in .toml to write the map to.")
    if output is not None and output.exists():
        raise ConfigError(f"{output}: expected no file there, found one. Delete it first.")
    if dictionary is not None and dictionary.resolve().parent != table.resolve().parent:
        raise ConfigError(
            f"{dictionary}: expected the dictionary in the folder of {table}, found it elsewhere. "
            "Put a copy there: ingest reads both from one folder."
        )
    named = None if dictionary is None else dictionary.name
    file = replace(_describe_file(table), dictionary=named)
    source = _read(table, file)
    draft = render(source, file, match_columns(source))
    if output is not None:
        write_text(draft, output)
    return draft


def _describe_file(table: Path) -> SourceFile:
    delimiter = guess_delimiter(table)
    plain = SourceFile(table.name, delimiter, number_repeated=True)
    raw = read_source(table, plain).table
    names = [str(c) for c in raw.columns]
    repeated = any(n.endswith(".2") and n.removesuffix(".2") in names for n in names)
    commas = any(
        texts(raw[c]).dropna().map(lambda v: bool(DECIMAL_COMMA.fullmatch(str(v)))).any()
        for c in raw.columns
    )
    return SourceFile(table.name, delimiter, number_repeated=repeated, decimal_comma=commas)


def _read(table: Path, file: SourceFile) -> SourceTable:
    read = read_source(table, file)
    return SourceTable(str(table), read.table.reset_index(drop=True), read.labels)


# ---- rendering -------------------------------------------------------------------------------


def render(source: SourceTable, file: SourceFile, matches: Matches) -> str:
    """Return the map as TOML, every guess with its reason and confidence.

    Where no column names the person, the map numbers the rows and leaves the choice open.
    """
    by_target = {g.target: g for g in matches.guesses}
    if "participant_id" not in by_target:
        file = replace(file, number_rows=ROW)
        blank = f"{BLANK}: the column that names the person, or {ROW} if each row is another one"
        by_target = {"participant_id": Guess("participant_id", blank, "no such name", "low")}
        by_target |= {g.target: g for g in matches.guesses}
    lines = [
        *_head(source, file, matches),
        *_cases(source, by_target),
        *(line for battery in matches.batteries for line in _battery(battery)),
        *_measurements(matches),
        *_outcome(matches),
        *_unmatched(matches.unmatched),
    ]
    return "\n".join(lines) + "\n"


def _head(source: SourceTable, file: SourceFile, matches: Matches) -> list[str]:
    path = Path(source.where)
    lines = [
        f"# First map of {path.name}, drafted from the names and ranges of its columns.",
        f"# Every guess is commented. Fill in or delete what is marked {BLANK}, check the rest.",
        "",
        "[study]",
        f"name = {_text(re.sub(r'[^a-z0-9]+', '_', path.stem.lower()).strip('_') or 'study')}",
        *(f"{key} = {_text(f'{BLANK}: {hint}')}" for key, hint in STUDY_BLANKS.items()),
        f"folder = {_text(path.resolve().parent.name or 'study')}",
    ]
    if not _has_change(matches):
        lines += [
            "# No reading before and after a bout was found; delete this line if there is one.",
            f"no_outcome = {_text(f'{BLANK}: why, such as one assessment without exercise')}",
        ]
    lines += ["", "[files.table]", f"path = {_text(file.path)}"]
    if file.delimiter:
        lines.append(f"delimiter = {_text(file.delimiter)}")
    if file.dictionary:
        lines += ["# What the codes mean.", f"dictionary = {_text(file.dictionary)}"]
    if file.decimal_comma:
        lines += ["# Some numbers have decimal commas.", "decimal_comma = true"]
    if file.number_repeated:
        lines += [
            "# A column's name occurs twice; the second is <name>.2.",
            "number_repeated = true",
        ]
    if file.number_rows:
        lines += ["# Adds a column with the row's number.", f"number_rows = {_text(ROW)}"]
    return lines


def _cases(source: SourceTable, by_target: Mapping[str, Guess]) -> list[str]:
    person = by_target["participant_id"]
    rows = [person.source]
    rows += [by_target["session_id"].source] if "session_id" in by_target else []
    n_rows = len(source.table)
    known = [r for r in rows if r in source.table.columns]
    n_cases = len(source.table[known].drop_duplicates()) if known == rows else n_rows
    constants = {"session_id": "session"} if "session_id" not in by_target else {}
    hints = {"condition": CONDITIONS, "modality": MODALITIES}
    constants |= {
        k: f"{BLANK}: one of {', '.join(v)}" for k, v in hints.items() if k not in by_target
    }
    lines = [
        "",
        "[cases]",
        'file = "table"',
        f"# {n_cases} cases in {n_rows} rows.",
        f"rows = [{', '.join(_text(r) for r in rows)}]",
    ]
    if constants:
        lines += ["", "[cases.constants]"]
        lines += [f"{key} = {_text(value)}" for key, value in constants.items()]
    simple = [g for g in by_target.values() if g.scale is None and not g.values]
    lines += ["", "[cases.columns]"]
    for guess in simple:
        lines += [_comment(guess), f"{guess.target} = {_text(guess.source)}"]
    for guess in by_target.values():
        if guess not in simple:
            lines += ["", *_column("cases.columns", guess)]
    return lines


def _comment(guess: Guess) -> str:
    return f"# {guess.why} ({guess.confidence})"


def _column(section: str, guess: Guess) -> list[str]:
    lines = [_comment(guess), f"[{section}.{guess.target}]", f"from = {_text(guess.source)}"]
    if guess.scale is not None:
        lines.append(f"scale = {guess.scale:g}" if guess.scale >= 1 else f"scale = {guess.scale}")
    if guess.values:
        lines += [f"[{section}.{guess.target}.values]"]
        lines += [f"{_key(code)} = {_value(level)}" for code, level in guess.values.items()]
    return lines


def _battery(battery: Battery) -> list[str]:
    return [
        "",
        f"# {battery.why} (high). Whether reversed items are",
        "# stored as answered cannot be told from names: 'eih score' warns where they are not.",
        f"[cases.items.{battery.instrument}]",
        f"pattern = {_text(battery.pattern)}",
        "already_reversed = false",
    ]


def _measurements(matches: Matches) -> list[str]:
    if matches.long:
        return [line for r in matches.readings for line in _long_block(r, matches.long)]
    blocks: dict[tuple[str, str], list[Reading]] = {}
    for reading in matches.readings:
        blocks.setdefault((reading.measure, reading.unit), []).append(reading)
    return [line for readings in blocks.values() for line in _wide_block(readings)]


def _block_head(reading: Reading) -> list[str]:
    return ["", f"# {reading.why}", "[[measurements]]", 'file = "table"']


def _wide_block(readings: Sequence[Reading]) -> list[str]:
    first = readings[0]
    constants = {"measure": first.measure, "unit": first.unit}
    shared = {
        k: v
        for k, v in first.constants.items()
        if k != "trial" and all(r.constants.get(k) == v for r in readings)
    }
    lines = [*_block_head(first), f"constants = {_inline({**constants, **shared})}"]
    lines.append("[measurements.stack]")
    for reading in readings:
        own = {k: v for k, v in reading.constants.items() if k not in shared}
        lines.append(f"{_key(reading.source)} = {_inline(own)}")
    return lines


def _long_block(reading: Reading, long: Mapping[str, Guess]) -> list[str]:
    constants = {"measure": reading.measure, "unit": reading.unit}
    constants |= {k: str(v) for k, v in reading.constants.items() if k not in long}
    columns = {"value": reading.source}
    columns |= {t: g.source for t, g in long.items() if not g.values}
    lines = [*_block_head(reading), f"constants = {_inline(constants)}", "[measurements.columns]"]
    lines += [f"{target} = {_text(name)}" for target, name in columns.items()]
    for guess in long.values():
        lines += _column("measurements.columns", guess) if guess.values else []
    return lines


def _moments(matches: Matches) -> set[str]:
    moments = {
        str(r.constants["timepoint"]) for r in matches.readings if "timepoint" in r.constants
    }
    if "timepoint" in matches.long:
        moments |= {str(v) for v in matches.long["timepoint"].values.values()}
    return moments


def _has_change(matches: Matches) -> bool:
    return bool(matches.readings) and {"pre", "post"} <= _moments(matches)


def _outcome(matches: Matches) -> list[str]:
    if not _has_change(matches):
        return []
    lines = ["", "# A proposal: the change from before to after the bout."]
    lines += ["[outcome]", 'reference = "pre"', *_error_of_measurement(matches)]
    for measure, site_role in _endpoints(matches):
        lines += [
            "",
            "[[outcome.endpoints]]",
            f"name = {_text(measure if site_role.startswith(BLANK) else f'{site_role}_{measure}')}",
            f"measure = {_text(measure)}",
            f"site_role = {_text(site_role)}",
            'timepoint = "post"',
        ]
    return lines


def _error_of_measurement(matches: Matches) -> list[str]:
    """The spread of rest bouts where there are any, else a figure from outside the study."""
    modality = {g.target: g for g in matches.guesses}.get("modality")
    if modality is not None and "rest" in modality.values.values():
        return ["# There are rest bouts.", "subtract_rest = true", 'sem_source = "rest"']
    lines = ["# No rest bout was found.", "subtract_rest = false", 'sem_source = "stated"']
    for measure in dict.fromkeys(m for m, _ in _endpoints(matches)):
        scale = MEASURES[measure].primary_scale
        lines += [
            "[[outcome.stated_sem]]",
            f"measure = {_text(measure)}",
            f"sem_single = {_text(f'{BLANK}: standard error of a single value, scale {scale}')}",
            f"source = {_text(f'{BLANK}: where the figure comes from')}",
        ]
    return lines


def _endpoints(matches: Matches) -> list[tuple[str, str]]:
    """Measure and site role of what was read after the bout; unknown roles are left out."""
    if "site_role" in matches.long:
        roles = [str(v) for v in matches.long["site_role"].values.values()]
        found = [(r.measure, role) for r in matches.readings for role in roles]
    else:
        after = [r for r in matches.readings if r.constants.get("timepoint", "post") == "post"]
        found = [(r.measure, str(r.constants["site_role"])) for r in after]
    return list(dict.fromkeys((m, r) for m, r in found if MEASURES[m].less_pain))


def _unmatched(unmatched: Mapping[str, str]) -> list[str]:
    if not unmatched:
        return []
    by_reason: dict[str, list[str]] = {}
    for name, reason in unmatched.items():
        by_reason.setdefault(reason, []).append(name)
    lines = ["", "# Not matched:"]
    for reason, names in by_reason.items():
        lines += [f"# - {reason}: {', '.join(' '.join(n.split()) for n in names)}"]
    return lines


# ---- TOML ------------------------------------------------------------------------------------


def _text(value: str) -> str:
    """Return a basic string; JSON's escapes are TOML's."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: str | int) -> str:
    return str(value) if isinstance(value, int) else _text(value)


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _text(name)


def _inline(pairs: Mapping[str, str | int]) -> str:
    if not pairs:
        return "{}"
    return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in pairs.items()) + " }"
