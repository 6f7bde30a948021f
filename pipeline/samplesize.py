"""Tool ``samplesize``: how many persons a study needs before a model is developed on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.sample_size import (
    SampleSize,
    binary_sample_size,
    continuous_sample_size,
    r2_of_c_statistic,
)
from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Question:
    """What is anticipated of the outcome and of the model; None = not said."""

    outcome: str
    parameters: int
    prevalence: float | None = None
    c_statistic: float | None = None
    r2: float | None = None
    mean: float | None = None
    sd: float | None = None
    shrinkage: float = 0.9


def run(question: Question, bouts: float = 1.0, icc: float = 0.0) -> dict[str, Any]:
    """Return the sample that meets every criterion, and what repeated bouts make of it.

    Parameters
    ----------
    question : Question
    bouts : float, >= 1
        Bouts per person.
    icc : float in [0, 1]
        Correlation of the outcome between two bouts of a person.

    Raises
    ------
    ConfigError
        For an option that is missing, superfluous or impossible.
    """
    if question.outcome not in ("binary", "continuous"):
        raise ConfigError(f"--outcome: expected binary or continuous, found '{question.outcome}'.")
    if not (bouts >= 1 and 0 <= icc <= 1):
        raise ConfigError(
            f"--bouts and --icc: expected at least 1 and between 0 and 1, found {bouts} and {icc}."
        )
    try:
        size = _binary(question) if question.outcome == "binary" else _continuous(question)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    asked = {"outcome": question.outcome, "shrinkage": question.shrinkage}
    if question.c_statistic is not None:
        asked["c_statistic"] = question.c_statistic
    return {**size.to_dict(), **asked, "with_repeated_bouts": size.repeated(bouts, icc)}


def _binary(question: Question) -> SampleSize:
    prevalence = _needed(question.prevalence, "--prevalence", "binary")
    if (question.c_statistic is None) == (question.r2 is None):
        raise ConfigError(
            "--c-statistic, --r2: expected one of them for a binary outcome, found "
            f"{'neither' if question.r2 is None else 'both'}."
        )
    r2 = question.r2
    if question.c_statistic is not None:
        r2 = r2_of_c_statistic(question.c_statistic, prevalence)
    return binary_sample_size(
        question.parameters, prevalence, _needed(r2, "--r2", "binary"), question.shrinkage
    )


def _continuous(question: Question) -> SampleSize:
    return continuous_sample_size(
        question.parameters,
        _needed(question.r2, "--r2", "continuous"),
        _needed(question.mean, "--mean", "continuous"),
        _needed(question.sd, "--sd", "continuous"),
        question.shrinkage,
    )


def _needed(value: float | None, option: str, outcome: str) -> float:
    if value is None:
        raise ConfigError(f"{option}: expected a value for a {outcome} outcome, found none.")
    return value


def sentence(result: dict[str, Any]) -> str:
    """Say the result of :func:`run` in one line."""
    events = "" if result["minimum_events"] is None else f", {result['minimum_events']} events"
    needed = result["with_repeated_bouts"]
    repeated = (
        f"; with {needed['bouts_per_person']:g} bouts each and a correlation of "
        f"{needed['icc']:g}: {needed['minimum_participants']} persons, "
        f"{needed['minimum_bouts']} bouts"
    )
    criteria = ", ".join(f"criterion {n}: {v}" for n, v in result["criteria"].items())
    return (
        f"{result['minimum_n']} persons{events} ({criteria})"
        f"{repeated if needed['bouts_per_person'] > 1 else ''}"
    )
