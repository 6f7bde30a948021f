"""Stage ``check``: look for the sins of clinical prediction in a study and all its artefacts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from models.check_list_models import CHECKS
from models.checks import SEVERITIES, Finding, check_mute, counts, find
from pipeline.check_detectors import STUDY_DETECTORS, TARGET_DETECTORS
from pipeline.check_evidence import Study, Target, UnseenError, read_study, read_target
from pipeline.config import Params
from pipeline.errors import ConfigError
from pipeline.io import write_json
from pipeline.progress import tracked
from pipeline.study_folder import read_card

Evidence = TypeVar("Evidence", Study, Target)


@dataclass(frozen=True)
class Looked:
    """What came of looking: findings, codes that are clear, and codes that could not be looked at.

    ``clear`` and ``unseen`` hold (code, target) and (code, target, why not).
    """

    findings: tuple[Finding, ...]
    clear: tuple[tuple[str, str], ...]
    unseen: tuple[tuple[str, str, str], ...]

    def __add__(self, other: Looked) -> Looked:
        """Join what was seen in two places."""
        return Looked(
            self.findings + other.findings, self.clear + other.clear, self.unseen + other.unseen
        )


def run(params: Params, folder: Path, output: Path) -> dict[str, Any]:
    """Check a study and every target, and write what was found to ``output``.

    Parameters
    ----------
    params : Params
        ``check.mute``; the targets; the endpoint and moment of decision of ``train``.
    folder : Path
        ``outputs/<study>``, as far as the stages have come.
    output : Path
        A JSON file.

    Returns
    -------
    dict with ``findings`` (the gravest first), ``counts`` by severity, ``muted`` (code, reason,
    how many findings it silenced), ``clear`` and ``not_looked_at``

    Raises
    ------
    ConfigError
        If something is muted that may not be.
    """
    mute = muted(params)
    study = read_study(folder, params)
    looked = look(study, "", STUDY_DETECTORS, mute)
    for name in params.targets:
        looked += look(read_target(study, folder, name), name, TARGET_DETECTORS, mute)
    content = {
        "simulated": bool(read_card(folder)["study"].get("simulated")),
        **record(looked, mute),
    }
    write_json(content, output)
    return content


def muted(params: Params) -> dict[str, str]:
    """Return what params.yaml mutes.

    Raises
    ------
    ConfigError
        For an unknown code, one without a reason, or a leak, which training refuses.
    """
    if not isinstance(params.check.mute, Mapping):
        raise ConfigError("check, mute: expected codes with reasons, found other content.")
    try:
        return check_mute(params.check.mute, CHECKS)
    except ValueError as error:
        raise ConfigError(f"check, mute: {error}") from None


def look(
    evidence: Evidence,
    target: str,
    detectors: Mapping[str, Callable[[Evidence], Iterator[str]]],
    mute: Mapping[str, str],
) -> Looked:
    """Let every detector look at the evidence."""
    findings: list[Finding] = []
    clear: list[tuple[str, str]] = []
    unseen: list[tuple[str, str, str]] = []
    for code, detector in tracked(list(detectors.items()), f"check {target}".strip(), "checks"):
        try:
            seen = list(detector(evidence))
        except UnseenError as error:
            unseen.append((code, target, str(error)))
            continue
        findings += [find(CHECKS[code], target, text, mute) for text in seen]
        if not seen:
            clear.append((code, target))
    return Looked(tuple(findings), tuple(clear), tuple(unseen))


def record(looked: Looked, mute: Mapping[str, str]) -> dict[str, Any]:
    """Return plain content: the gravest findings first, muted ones last."""
    grave = sorted(
        looked.findings,
        key=lambda f: (bool(f.muted), SEVERITIES.index(f.severity), f.code, f.target),
    )
    return {
        "counts": counts(grave),
        "findings": [f.to_dict() for f in grave],
        "muted": [
            {"code": c, "reason": reason, "n_findings": sum(f.code == c for f in grave)}
            for c, reason in sorted(mute.items())
        ],
        "clear": [{"code": c, "target": t} for c, t in sorted(looked.clear)],
        "not_looked_at": [
            {"code": c, "target": t, "reason": why} for c, t, why in sorted(looked.unseen)
        ],
    }
