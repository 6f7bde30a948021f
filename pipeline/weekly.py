"""Endpoints of programmes: the change at every follow-up week, each a target of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd

from features.outcome import Endpoint, OutcomeDesign
from models.errors import NotEnoughDataError

WEEK = re.compile(r"week_(\d+)")
TARGET = "change_at_week_"


def weekly_design(
    design: OutcomeDesign, measurements: pd.DataFrame, where: Path | str
) -> OutcomeDesign:
    """Return the design with one endpoint per follow-up week of the first endpoint's measure.

    Endpoints are called ``change_at_week_<k>``: a target of its own for any week there is.

    Raises
    ------
    NotEnoughDataError
        Where that measure has no follow-up in weeks.
    """
    first = design.endpoints[0]
    own = measurements[
        (measurements["measure"] == first.measure)
        & (measurements["site_role"] == first.site_role)
        & measurements["value"].notna()
    ]
    matches = [WEEK.fullmatch(str(t)) for t in own["timepoint"].unique()]
    weeks = sorted(int(m.group(1)) for m in matches if m)
    if not weeks:
        raise NotEnoughDataError(
            f"{where}: expected follow-ups of {first.measure}, {first.site_role}, in weeks "
            "(timepoint week_<n>), found none. Trajectories are of programmes, not of single bouts."
        )
    endpoints = tuple(
        Endpoint(f"{TARGET}{w}", first.measure, first.site_role, f"week_{w}") for w in weeks
    )
    return replace(design, endpoints=endpoints)


def with_weeks(
    design: OutcomeDesign, measurements: pd.DataFrame, where: Path | str
) -> OutcomeDesign:
    """Return the design with the endpoints of every week after its own, which stay as they are.

    Raises
    ------
    NotEnoughDataError
        As :func:`weekly_design`.
    """
    taken = {e.name for e in design.endpoints}
    weekly = weekly_design(design, measurements, where).endpoints
    added = tuple(e for e in weekly if e.name not in taken)
    return replace(design, endpoints=(*design.endpoints, *added))
