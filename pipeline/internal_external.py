"""Tool ``internal-external``: every setting predicted by models of the others, then pooled."""

from __future__ import annotations

from typing import Any

from models.internal_external import judge_settings
from models.protocol_plans import leave_setting_out
from pipeline.protocols import Subject

RESAMPLES = 500


def run(subject: Subject, by: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Leave out each value of a column of cases in turn.

    Parameters
    ----------
    by : str
        ``study_id``, ``site_id``, ``condition`` or any other column of cases.
    names : tuple of str
        Candidates to judge.
    """
    data = subject.data
    plan, settings, left_out = leave_setting_out(
        data.y, data.person, subject.column(by), subject.protocol
    )
    execution = subject.execution(f"internal_external_{by}", by)
    risks, judged = subject.predict(plan, subject.candidates(names), execution)
    found = {
        name: judge_settings(judged[0], data.person, risks[name][0], plan, settings, RESAMPLES)
        for name in names
    }
    content = {
        "by": by,
        "settings": settings,
        "not_left_out": left_out,
        "candidates": {name: across.to_dict() for name, across in found.items()},
    }
    return subject.write(content, f"internal_external_{by}")
