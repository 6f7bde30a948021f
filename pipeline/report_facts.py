"""What a study's artefacts say, read once for the texts of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.check_results import read_checks
from pipeline.io import read_json
from pipeline.study_folder import read_card
from pipeline.target_folder import NOT_ENOUGH_DATA, SELECTION
from pipeline.use import Use, use_of


@dataclass(frozen=True)
class TargetFacts:
    """One target's artefacts; ``reason`` where it has no model, and nothing else then."""

    name: str
    reason: str
    metrics: Mapping[str, Any]
    bundle: Mapping[str, Any]
    selection: Mapping[str, Any]
    use: Use
    protocols: tuple[str, ...]

    @property
    def folds(self) -> tuple[int, int]:
        """Folds and repeats of the validation."""
        tuning = self.selection["tuning"]
        return 1 + max(t["fold"] for t in tuning), 1 + max(t["repeat"] for t in tuning)


@dataclass(frozen=True)
class Facts:
    """A study's artefacts."""

    folder: Path
    study: Mapping[str, Any]
    labels: Mapping[str, Any]
    targets: tuple[TargetFacts, ...]
    checks: Mapping[str, Any] | None

    @property
    def judged(self) -> tuple[TargetFacts, ...]:
        """Targets with a model."""
        return tuple(t for t in self.targets if not t.reason)

    @property
    def simulated(self) -> bool:
        """Whether nobody in it is real."""
        return bool(self.study.get("simulated"))


def read_facts(folder: Path, targets: tuple[str, ...]) -> Facts:
    """Read what the stages up to ``check`` left in ``outputs/<study>``."""
    return Facts(
        folder,
        read_card(folder)["study"],
        read_json(folder / "outcomes.json"),
        tuple(read_target(folder / t) for t in targets),
        read_checks(folder),
    )


def read_target(folder: Path) -> TargetFacts:
    """Read what the stages up to ``evaluate`` left in ``outputs/<study>/<target>``."""
    metrics = read_json(folder / "evaluate" / "metrics.json")
    reason = str(metrics.get(NOT_ENOUGH_DATA, ""))
    bundle = folder / "bundle" / "bundle.json"
    selection = folder / "train" / SELECTION
    return TargetFacts(
        folder.name,
        reason,
        metrics,
        read_json(bundle) if bundle.exists() and not reason else {},
        read_json(selection) if selection.exists() and not reason else {},
        Use([], []) if reason else use_of(folder),
        tuple(sorted(p.stem for p in (folder / "protocols").glob("*.json"))),
    )
