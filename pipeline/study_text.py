"""``study.toml``: what only the people of a study know, for reporting sheets and model cards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from features.reference import load_reference
from pipeline.errors import ConfigError
from pipeline.io import read_toml, write_text

STUDY = "study"
HEAD = """# What only you know of the study, for the reporting sheets (tripod_ai.md, probast_ai.md).
# Write plain sentences between the quotes; an empty text stays a gap, and the sheets say so.
# Then: report.study_text in params.yaml, or eih tripod FOLDER --study-text THIS_FILE

"""


def known_texts() -> dict[str, tuple[str, str]]:
    """Return every key of ``study.toml`` with the items that use it and what they ask."""
    found: dict[str, tuple[str, str]] = {}
    for item in load_reference("tripod_ai.toml")["items"]:
        if item["text"]:
            found[item["text"]] = (f"TRIPOD+AI {item['number']}, {item['topic']}", item["asks"])
    return found


def draft(study: str) -> str:
    """Return an empty ``study.toml`` that says what each text is for.

    Examples
    --------
    >>> draft("demo").splitlines()[4]
    'study = "demo"'
    """
    lines = [f"{STUDY} = {json.dumps(study)}", ""]
    for key, (where, asks) in known_texts().items():
        lines += [f"# {where}: {asks}.", f'{key} = ""', ""]
    return HEAD + "\n".join(lines)


def write_draft(study: str, path: Path) -> None:
    """Write :func:`draft`; a file that is there already is left alone.

    Raises
    ------
    ConfigError
        Where the file exists.
    """
    if path.exists():
        raise ConfigError(f"{path}: expected no file yet, found one. It was left as it is.")
    write_text(draft(study), path)


def read_study_text(path: str, study: str = "") -> Mapping[str, str]:
    """Read ``study.toml``.

    Parameters
    ----------
    path : str
        Empty: nothing was written, every text is a gap.
    study : str
        Name of the study's output folder; a file of another study is refused.

    Raises
    ------
    ConfigError
        For an unknown key, a value that is no text, or the file of another study.
    """
    if not path:
        return {}
    content = read_toml(Path(path))
    for problem in _problems(content, study):
        raise ConfigError(f"{path}: {problem}")
    return {k: str(v).strip() for k, v in content.items() if k != STUDY and str(v).strip()}


def _problems(content: Mapping[str, object], study: str) -> Iterator[str]:
    known = known_texts()
    for key, value in content.items():
        if key != STUDY and key not in known:
            yield f"expected keys of 'eih tripod --draft', found '{key}'."
        if not isinstance(value, str):
            yield f"expected a text for '{key}', found {type(value).__name__}."
    if study and content.get(STUDY) != study:
        yield f"expected the texts of study '{study}', found those of '{content.get(STUDY, '')}'."
