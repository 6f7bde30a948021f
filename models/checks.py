"""Checks for the sins of clinical prediction: stable codes, findings, and muting that is recorded.

What each code looks at is text in ``check_list`` (data and outcome) and ``check_list_models``
(validation and model); the functions that look are in ``check_tables`` and ``check_figures``, and
in ``features.check_study`` where they need to know the study's tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
PAGE = "docs/checks.md"
CODE = re.compile(r"EIH\d{3}")


@dataclass(frozen=True)
class Check:
    """One sin that a program can see.

    Attributes
    ----------
    code : str
        ``EIH`` and three digits; never given to another check.
    name : str
        In words, joined by hyphens.
    severity : {'error', 'warning', 'note'}
        error: the figures cannot be believed; warning: they can mislead, or hold for less than
        they seem to; note: something a reader has to know.
    trap : int
        1 to 15, the group of sins it belongs to (``TRAPS``).
    looks_at : str
        Which artefact, and when it fires.
    why : str
        What goes wrong.
    advice : str
        What to do.
    source : str
        Where the evidence is from.
    refused : bool
        Training refuses such data as well; then it cannot be muted.
    """

    code: str
    name: str
    severity: Severity
    trap: int
    looks_at: str
    why: str
    advice: str
    source: str
    refused: bool = False

    @property
    def link(self) -> str:
        """Return where the check is explained.

        Examples
        --------
        >>> Check("EIH001", "a-b", "note", 1, "", "", "", "").link
        'docs/checks.md#eih001'
        """
        return f"{PAGE}#{self.code.lower()}"


@dataclass(frozen=True)
class Finding:
    """A check that fired.

    Attributes
    ----------
    code, name, severity : str
    target : str
        The outcome it concerns; empty for the whole study.
    evidence : str
        What was seen: counts, columns, rows; never a participant's values.
    advice, link : str
    muted : str
        The reason it was muted; empty if it was not.
    """

    code: str
    name: str
    severity: Severity
    target: str
    evidence: str
    advice: str
    link: str
    muted: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict."""
        return asdict(self)

    def in_words(self) -> str:
        """Return the finding as one line.

        Examples
        --------
        >>> about = ("EIH001", "a-b", "error", "response", "2 persons.", "Mend it.", "docs#1")
        >>> Finding(*about).in_words()
        'EIH001 error a-b (response): 2 persons. Mend it. [docs#1]'
        """
        where = f" ({self.target})" if self.target else ""
        said = f"{self.code} {self.severity} {self.name}{where}: {self.evidence}"
        return (
            f"{said} Muted: {self.muted}" if self.muted else f"{said} {self.advice} [{self.link}]"
        )


def find(check: Check, target: str, evidence: str, mute: Mapping[str, str]) -> Finding:
    """Make a finding of a check, with the reason it is muted for, if it is."""
    return Finding(
        check.code,
        check.name,
        check.severity,
        target,
        " ".join(evidence.split()),
        check.advice,
        check.link,
        mute.get(check.code, ""),
    )


def check_mute(mute: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, str]:
    """Return what is muted, if it may be.

    Parameters
    ----------
    mute : mapping of code to the reason it is muted for
    checks : mapping of code to Check

    Raises
    ------
    ValueError
        For an unknown code, one without a reason, or one that training refuses.

    Examples
    --------
    >>> check_mute({"EIH999": "no matter"}, {})
    Traceback (most recent call last):
    ValueError: expected the code of a check (eih checks lists them), found 'EIH999'.
    """
    for code, reason in mute.items():
        if code not in checks:
            raise ValueError(
                f"expected the code of a check (eih checks lists them), found '{code}'."
            )
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError(f"{code}: expected the reason for muting it, found none.")
        if checks[code].refused:
            raise ValueError(
                f"{code}: expected a check that may be muted, found '{checks[code].name}', which "
                "training refuses. Mend the data."
            )
    return {code: reason.strip() for code, reason in mute.items()}


def by_code(checks: Iterable[Check]) -> dict[str, Check]:
    """Index checks by their codes.

    Raises
    ------
    ValueError
        For a code given twice, or one that is no code (a defect of the list).
    """
    found: dict[str, Check] = {}
    for check in checks:
        if check.code in found or not CODE.fullmatch(check.code):
            raise ValueError(f"{check.code}: expected a code of its own.")
        found[check.code] = check
    return found


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Count what was found by severity; muted findings apart."""
    result = dict.fromkeys((*SEVERITIES, "muted"), 0)
    for finding in findings:
        result["muted" if finding.muted else finding.severity] += 1
    return result
