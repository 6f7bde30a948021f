"""What 'eih policy' stored, read back and checked before anybody is told anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.build import contract_hash
from models.arm_model import ArmModel
from models.domain import Domain
from models.errors import BundleError
from pipeline.design import WORDING
from pipeline.errors import TableError
from pipeline.io import read_json
from pipeline.policy import POLICY


@dataclass(frozen=True)
class Policy:
    """What :mod:`pipeline.policy` stored, read back."""

    record: Mapping[str, Any]
    model: ArmModel
    domain: Domain
    varied: frozenset[str]

    @property
    def simulated(self) -> bool:
        """Return whether it was learnt from simulated data."""
        return bool(self.record["simulated"])


def read_policy(model: Path) -> Policy:
    """Read a policy and refuse one of another contract."""
    places = [model / POLICY, model / "policy" / POLICY]
    found = next((p for p in places if p.is_file()), None)
    if found is None:
        raise TableError(
            f"{model}: expected {POLICY} in it or in its folder policy, found neither. Make it "
            "with 'eih policy'."
        )
    record = read_json(found)
    try:
        if record["contract_hash"] != contract_hash():
            raise BundleError(
                f"{found}: made under another contract of columns and features. Run 'eih policy' "
                "again."
            )
        _check_record(record)
        chosen = "individual" if record["individual_supported"] else "average"
        return Policy(
            record,
            ArmModel.from_dict(record["models"][chosen]),
            Domain.from_dict(record["domain"]),
            frozenset(record["varied_features"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{found}: damaged ({type(error).__name__}).") from None


def _check_record(record: Mapping[str, Any]) -> None:
    """Raise KeyError, TypeError or ValueError where something that is read later is not there."""
    WORDING[record["design"]], str(record["arm"]), record["verdict"], record["overlap_note"]
    dict(record["constant_features"])
    worth = [record["benefit_of_response"], record["harm_of_flare"]]
    flags = [record["simulated"], record["individual_supported"]]
    if not all(type(w) in (int, float) and w > 0 for w in worth):
        raise ValueError("worth")
    if not all(isinstance(flag, bool) for flag in flags):
        raise TypeError("flags")
