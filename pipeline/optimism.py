"""Tool ``optimism``: performance of the whole procedure, corrected by a bootstrap of persons."""

from __future__ import annotations

from typing import Any

from models.bootstrap import Resampled, resample_procedure
from models.optimism import correct, headline
from pipeline.protocols import Subject


def bootstrap(subject: Subject, candidate: str, n_resamples: int) -> Resampled:
    """Repeat a candidate's whole procedure on resamples of the persons.

    Kept under ``bootstrap_<candidate>``: optimism and stability read the same run, and more
    resamples continue it.
    """
    return resample_procedure(
        subject.procedure(candidate),
        subject.learning,
        subject.data.person,
        n_resamples,
        subject.execution(f"bootstrap_{candidate}"),
    )


def run(subject: Subject, candidate: str, n_resamples: int) -> dict[str, Any]:
    """Correct a candidate's performance for optimism.

    Returns
    -------
    dict with the counts of resamples, ``headline`` (which correction to quote, and why) and
    ``metrics`` (every metric: apparent, optimism, corrected with interval, out of bag, .632+)
    """
    resampled = bootstrap(subject, candidate, n_resamples)
    corrected = correct(resampled)
    most = max(resampled.chosen, key=lambda name: resampled.chosen[name])
    content = {
        "candidate": candidate,
        **resampled.summary(),
        "headline": headline(most, corrected),
        "metrics": {name: c.to_dict() for name, c in corrected.items()},
    }
    return subject.write(content, f"optimism_{candidate}")
