"""All detectors by code: importing this module registers every one."""

from __future__ import annotations

from pipeline import check_detectors_data, check_detectors_models
from pipeline.check_register import STUDY_DETECTORS, TARGET_DETECTORS

__all__ = [
    "STUDY_DETECTORS",
    "TARGET_DETECTORS",
    "check_detectors_data",
    "check_detectors_models",
]
