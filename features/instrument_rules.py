"""What the scoring of some instruments needs beyond sums: IPAQ, ACR 2016, STarT Back.

A rule takes answers as given (one array per item, in the order of the item numbers, NaN =
missing) and the options of its declaration in seeds/instruments.toml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Answers = Sequence[Vector]
Options = Mapping[str, Any]
Scores = Mapping[str, Vector]


@dataclass(frozen=True)
class Rule:
    """Functions that an instrument may need; what it does not need is None.

    ``scales`` makes the scores whose method is ``rule`` from the answers; ``classes`` makes the
    declared classes from answers and scores, as ordinals; ``exclusions`` names the rows that
    the scoring protocol leaves out, by reason.
    """

    scales: Callable[[Answers, Options], dict[str, Vector]] | None = None
    classes: Callable[[Answers, Scores, Options], dict[str, Vector]] | None = None
    exclusions: Callable[[Answers, Options], dict[str, Mask]] | None = None


# ---- IPAQ short form -------------------------------------------------------------------------

ACTIVITIES = ("vigorous", "moderate", "walking")  # items 1-2, 3-4, 5-6: days, minutes a day


@dataclass(frozen=True)
class ActivityWeek:
    """Days per week and minutes per day of one activity, cleaned; NaN = not known."""

    days: Vector
    minutes: Vector


def ipaq_weeks(answers: Answers, options: Options) -> dict[str, ActivityWeek]:
    """Days and minutes of each activity as the protocol reads them.

    No day, and a day of less than ten minutes, is none of both: the form skips the minutes
    after "no days". Minutes are not yet truncated.
    """
    weeks = {}
    for place, activity in enumerate(ACTIVITIES):
        days, minutes = answers[2 * place], answers[2 * place + 1]
        none = (days == 0) | (minutes < options["shortest_min"])
        weeks[activity] = ActivityWeek(np.where(none, 0.0, days), np.where(none, 0.0, minutes))
    return weeks


def ipaq_exclusions(answers: Answers, options: Options) -> dict[str, Mask]:
    """Rows without a score: an activity not known, or more minutes a day than one is awake."""
    weeks = ipaq_weeks(answers, options)
    parts = [part for week in weeks.values() for part in (week.days, week.minutes)]
    unknown = np.isnan(np.column_stack(parts)).any(axis=1)
    awake = np.column_stack([week.minutes for week in weeks.values()]).sum(axis=1)
    return {
        "days or minutes missing": unknown,
        f"more than {options['exclude_above_min']} minutes of activity a day": (
            ~unknown & (awake > options["exclude_above_min"])
        ),
    }


def ipaq_scales(answers: Answers, options: Options) -> dict[str, Vector]:
    """MET-minutes per week of each activity and in all, and minutes sat a day."""
    left_out = np.logical_or.reduce(list(ipaq_exclusions(answers, options).values()))
    scores = {
        activity: np.where(
            left_out,
            np.nan,
            options["met"][activity]
            * week.days
            * np.minimum(week.minutes, options["truncate_above_min"]),
        )
        for activity, week in ipaq_weeks(answers, options).items()
    }
    total = scores["vigorous"] + scores["moderate"] + scores["walking"]
    return {**scores, "total": total, "sitting": answers[6]}


def ipaq_classes(answers: Answers, scores: Scores, options: Options) -> dict[str, Vector]:
    """Category of activity (IPAQ 2005): 0 = low, 1 = moderate, 2 = high.

    High: three days of vigorous activity and 1500 MET-min in all, or seven days of anything and
    3000. Moderate: three days of vigorous activity of 20 minutes, five of moderate activity or
    walking of 30, or five of anything and 600 MET-min.
    """
    weeks = ipaq_weeks(answers, options)
    total = scores["total"]
    vigorous, moderate, walking = (weeks[a] for a in ACTIVITIES)
    days = vigorous.days + moderate.days + walking.days
    half_hours = np.where(moderate.minutes >= 30, moderate.days, 0.0)
    half_hours = half_hours + np.where(walking.minutes >= 30, walking.days, 0.0)
    middle = (
        ((vigorous.days >= 3) & (vigorous.minutes >= 20))
        | (half_hours >= 5)
        | ((days >= 5) & (total >= 600))
    )
    high = ((vigorous.days >= 3) & (total >= 1500)) | ((days >= 7) & (total >= 3000))
    level = np.where(high, 2.0, np.where(middle, 1.0, 0.0))
    known = ~np.isnan(total) & ~np.isnan(days)
    return {"activity": np.where(known, level, np.nan)}


# ---- ACR 2016 fibromyalgia -------------------------------------------------------------------


def acr_classes(answers: Answers, scores: Scores, options: Options) -> dict[str, Vector]:
    """Criterion for fibromyalgia (Wolfe 2016): 1 = met, 0 = not met.

    (WPI >= 7 and SSS >= 5) or (WPI 4 to 6 and SSS >= 9); pain in four of five regions, jaw,
    chest and abdomen left aside; for three months. One part known not to hold is enough for 0;
    all must be known to hold for 1.
    """
    wpi, sss = scores["wpi"], scores["sss"]
    severe = ((wpi >= 7) & (sss >= 5)) | ((wpi >= 4) & (wpi <= 6) & (sss >= 9))
    parts = [
        np.where(np.isnan(wpi) | np.isnan(sss), np.nan, severe),
        _generalized(answers, options["regions"], options["regions_needed"]),
        answers[options["duration_item"] - 1],
    ]
    refuted = np.logical_or.reduce([part == 0 for part in parts])
    shown = np.logical_and.reduce([part == 1 for part in parts])
    return {"criterion": np.where(refuted, 0.0, np.where(shown, 1.0, np.nan))}


def _generalized(answers: Answers, regions: Sequence[Sequence[int]], needed: int) -> Vector:
    """1 where enough regions hurt, 0 where they cannot any more, NaN where sites are missing."""
    painful = np.zeros(len(answers[0]))
    possible = np.zeros(len(answers[0]))
    for sites in regions:
        region = np.column_stack([answers[site - 1] for site in sites])
        hurts = (region == 1).any(axis=1)
        painful += hurts
        possible += hurts | np.isnan(region).any(axis=1)
    return np.where(painful >= needed, 1.0, np.where(possible < needed, 0.0, np.nan))


# ---- STarT Back ------------------------------------------------------------------------------


def start_back_classes(answers: Answers, scores: Scores, options: Options) -> dict[str, Vector]:
    """Risk group: 0 = low (total <= 3), 1 = medium, 2 = high (psychosocial >= 4)."""
    total, psychosocial = scores["total"], scores["psychosocial"]
    above = np.where(psychosocial >= options["high_from"], 2.0, 1.0)
    above = np.where(np.isnan(psychosocial), np.nan, above)
    group = np.where(total <= options["low_to"], 0.0, above)
    return {"risk": np.where(np.isnan(total), np.nan, group)}


RULES: Mapping[str, Rule] = {
    "ipaq_sf": Rule(ipaq_scales, ipaq_classes, ipaq_exclusions),
    "acr2016": Rule(classes=acr_classes),
    "start_back": Rule(classes=start_back_classes),
}
