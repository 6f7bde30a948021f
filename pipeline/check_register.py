"""The register of detectors: which function looks for which code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from models.check_list_models import CHECKS
from pipeline.check_evidence import Study, Target

Seen = Iterator[str]
OfStudy = Callable[[Study], Seen]
OfTarget = Callable[[Target], Seen]
STUDY_DETECTORS: dict[str, OfStudy] = {}
TARGET_DETECTORS: dict[str, OfTarget] = {}
Detector = TypeVar("Detector", OfStudy, OfTarget)


def of_study(code: str) -> Callable[[OfStudy], OfStudy]:
    """Make a function the detector of a code that concerns the whole study."""
    return _register(STUDY_DETECTORS, code)


def of_target(code: str) -> Callable[[OfTarget], OfTarget]:
    """Make a function the detector of a code that concerns one target."""
    return _register(TARGET_DETECTORS, code)


def _register(place: dict[str, Detector], code: str) -> Callable[[Detector], Detector]:
    if code not in CHECKS or code in STUDY_DETECTORS or code in TARGET_DETECTORS:
        raise ValueError(f"{code}: expected a code of the list, without a detector.")

    def keep(detector: Detector) -> Detector:
        place[code] = detector
        return detector

    return keep
