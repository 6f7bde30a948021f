"""The artefact: a folder of JSON (and one native booster), hash-checked, never unpickled.

::

    bundle/
      manifest.json   SHA-256 of every other file
      bundle.json     target, contract, feature specs, training ranges, versions, record
      scorer.json     what the model has learnt
      profile.json    how features and risks were distributed in training, for drift
      booster.ubj     boosted trees only
      tables_*.npy    their tabulated contributions; absent where trees are deeper than four, and
                      in bundles made before there were tables: XGBoost explains then
      uncertainty.json  sets, intervals, domain; where it was calibrated
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.bundle_checks import check_scorer, check_training, check_uncertainty, read_json
from models.errors import BundleError
from models.profile import Profile
from models.scorers import SCORERS, BoostedScorer, Contributions, Scorer
from models.tabulated import check_tables
from models.tree_tables import TABLE_FILES, TreeTables
from models.ubj import check_booster
from models.uncertainty import Uncertainty

FORMAT = 1
# Every name a bundle's file can have.
BUNDLE_FILES = (
    "manifest.json",
    "bundle.json",
    "scorer.json",
    "profile.json",
    "booster.ubj",
    *TABLE_FILES,
    "uncertainty.json",
)
PLAIN_NAME = re.compile(r"\w[\w-]*(\.\w+)*")  # no separator, drive or parent of any system
WORD = re.compile(r"\w{1,40}", re.ASCII)  # becomes part of columns' names and messages
Vector = npt.NDArray[np.float64]
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Bundle:
    """A model ready to predict, and everything needed to trust it.

    Attributes
    ----------
    target : str
        What is predicted: response, hyperalgesia or flare.
    candidate : str
        The rung of the ladder.
    scorer : Scorer
    features : tuple of dict
        Specification of every feature of the table the model was trained on, in order.
    contract : dict of str to str
        Hash of every part of the contract the features were built under.
    training : dict
        Persons, rows, events; per feature its range and share of missing values; which blocks
        of features were there, alike in everyone, or absent; a few probe rows with their
        predictions.
    record : dict
        Study, endpoint, data and split hashes, versions, git commit: where the model is from.
    profile : Profile or None
        What later batches are compared with; None in a bundle that was made without.
    uncertainty : Uncertainty or None
        How sure a prediction is, and when not to conclude anything from it.
    """

    target: str
    candidate: str
    scorer: Scorer
    features: tuple[dict[str, Any], ...]
    contract: dict[str, str]
    training: dict[str, Any]
    record: dict[str, Any]
    profile: Profile | None = None
    uncertainty: Uncertainty | None = None

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return the columns a feature table must have."""
        return tuple(f["name"] for f in self.features)

    @property
    def blocks(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of every block the model was trained with."""
        names: dict[str, tuple[str, ...]] = {}
        for feature in self.features:
            block = feature.get("block", "")
            names[block] = (*names.get(block, ()), feature["name"])
        return names

    def predict(self, features: pd.DataFrame) -> Vector:
        """Probability of the target.

        Parameters
        ----------
        features : DataFrame of shape (n_rows, n_features)
            As built by the program the bundle was made with.

        Returns
        -------
        ndarray of shape (n_rows,), in [0, 1]

        Raises
        ------
        BundleError
            If a column is missing.
        """
        self._check_columns(features)
        return self.scorer.probability(features)

    def explain(self, features: pd.DataFrame) -> Contributions:
        """Contributions on the log-odds scale; see :class:`models.scorers.Contributions`."""
        self._check_columns(features)
        return self.scorer.contributions(features)

    def predict_and_explain(self, features: pd.DataFrame) -> tuple[Vector, Contributions]:
        """Return what ``predict`` and ``explain`` return, in one pass over boosted trees."""
        self._check_columns(features)
        if isinstance(self.scorer, BoostedScorer):
            return self.scorer.explained(features)
        return self.scorer.probability(features), self.scorer.contributions(features)

    def _check_columns(self, features: pd.DataFrame) -> None:
        missing = [n for n in self.feature_names if n not in features.columns]
        if missing:
            raise BundleError(
                f"features: expected the {len(self.features)} columns of the bundle, "
                f"found none of these: {', '.join(missing[:5])}."
            )

    def check_contract(self, running: Mapping[str, str]) -> None:
        """Refuse to predict under another contract, and spell the difference out.

        Raises
        ------
        BundleError
            If the running program reads tables or declares features differently.
        """
        if dict(running) == self.contract:
            return
        added = [f"+ {n}" for n in sorted(set(running) - set(self.contract))]
        gone = [f"- {n}" for n in sorted(set(self.contract) - set(running))]
        changed = [
            f"~ {n}"
            for n in sorted(set(running) & set(self.contract))
            if running[n] != self.contract[n]
        ]
        commit = shown(self.record.get("git_commit") or "unknown")
        raise BundleError(
            f"bundle for {self.target}: was made under another contract (git {commit}) than this "
            f"program's. Predict with that version, or train again. Differences: "
            f"{', '.join(shown(n) for n in added + gone + changed)}."
        )


def to_files(bundle: Bundle) -> dict[str, bytes]:
    """Return the content of a bundle's files by name; the same bundle gives the same bytes."""
    scorer = {f.name: getattr(bundle.scorer, f.name) for f in fields(bundle.scorer)}
    files: dict[str, bytes] = {}
    if isinstance(bundle.scorer, BoostedScorer):
        files["booster.ubj"] = scorer.pop("ubj")
        tables = scorer.pop("tables")
        files |= {} if tables is None else tables.to_files()
    files["scorer.json"] = _json({"kind": bundle.scorer.kind, **scorer})
    files["bundle.json"] = _json(
        {
            "format": FORMAT,
            "target": bundle.target,
            "candidate": bundle.candidate,
            "features": list(bundle.features),
            "contract": bundle.contract,
            "training": bundle.training,
            "record": bundle.record,
        }
    )
    if bundle.profile is not None:
        files["profile.json"] = _json(bundle.profile.to_dict())
    if bundle.uncertainty is not None:
        files["uncertainty.json"] = _json(bundle.uncertainty.to_dict())
    files["manifest.json"] = _json({n: hashlib.sha256(c).hexdigest() for n, c in files.items()})
    return files


def from_files(files: Files, where: str) -> Bundle:
    """Read what :func:`to_files` made, checking every hash first.

    Parameters
    ----------
    files : mapping of file name to content
    where : str
        The bundle's place, for messages.

    Raises
    ------
    BundleError
        For a missing, altered or unexpected file, or an unknown format.
    """
    _check_manifest(files, where)
    try:
        content = read_json(files["bundle.json"])
        if content["format"] != FORMAT:
            raise BundleError(
                f"{where}: expected bundle format {FORMAT}, found {shown(content['format'])}."
            )
        _check_parts(content)
        bundle = Bundle(
            content["target"],
            content["candidate"],
            _scorer(files),
            tuple(content["features"]),
            content["contract"],
            content["training"],
            content["record"],
            _profile(files),
            _uncertainty(files),
        )
        _check_numbers(bundle)
        return bundle
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, BundleError):
            raise BundleError(str(error).replace("boosted trees", where, 1)) from None
        raise BundleError(f"{where}: not a readable bundle ({type(error).__name__}).") from None


def _check_parts(content: Mapping[str, Any]) -> None:
    """Raise TypeError unless every part is of the kind that the rest of the program relies on."""
    contract, features = content["contract"], content["features"]
    right = (
        all(WORD.fullmatch(content[name]) for name in ("target", "candidate"))
        and isinstance(features, list)
        and all(isinstance(f, dict) and isinstance(f["name"], str) for f in features)
        and all(isinstance(content[name], dict) for name in ("contract", "training", "record"))
        and all(isinstance(f.get("block", ""), str) for f in features)
        and all(isinstance(digest, str) for digest in contract.values())
        and isinstance(content["record"].get("git_commit", ""), str)
    )
    if not right:
        raise TypeError


def _check_numbers(bundle: Bundle) -> None:
    """Raise ValueError, KeyError or TypeError for what no prediction can be made of."""
    check_training(bundle.training)
    check_scorer(bundle.scorer, bundle.feature_names)
    if bundle.uncertainty is not None:
        check_uncertainty(bundle.uncertainty, bundle.feature_names)
    if bundle.profile is not None and not set(bundle.profile.features) <= set(bundle.feature_names):
        raise ValueError("profile, features: expected those of the bundle")


def shown(value: Any) -> str:
    """Return what a bundle says in a form that stays on one line of a message."""
    text = str(value)[:80]
    return text if text.isprintable() else ascii(text)


def _check_manifest(files: Files, where: str) -> None:
    if "manifest.json" not in files:
        raise BundleError(f"{where}: expected a bundle folder, found no manifest.json in it.")
    try:
        manifest = read_json(files["manifest.json"])
        named = {str(name): str(digest) for name, digest in manifest.items()}
    except (ValueError, AttributeError, RecursionError):
        raise BundleError(f"{where}: manifest.json is not a JSON object.") from None
    if not all(PLAIN_NAME.fullmatch(name) for name in named):
        raise BundleError(f"{where}: manifest.json names files outside the bundle.")
    present = {n for n in files if n != "manifest.json"}
    altered = [n for n in named if n in files and hashlib.sha256(files[n]).hexdigest() != named[n]]
    faults = [
        *(f"{n} is missing" for n in sorted(set(named) - present)),
        *(f"{shown(n)} is not in the manifest" for n in sorted(present - set(named))),
        *(f"{n} was altered" for n in altered),
    ]
    if faults:
        raise BundleError(f"{where}: the bundle is damaged: {', '.join(faults)}.")


def _scorer(files: Files) -> Scorer:
    content = read_json(files["scorer.json"])
    kind: Callable[..., Scorer] = SCORERS[content.pop("kind")]
    if kind is BoostedScorer:
        content["ubj"] = files["booster.ubj"]
        content["tables"] = _tables(files)
    scorer = kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in content.items()})
    if isinstance(scorer, BoostedScorer):
        check_booster(scorer.ubj, len(scorer.columns))
        if scorer.tables is not None:
            scorer.tables.check(len(scorer.columns))
            check_tables(scorer.tables, scorer.booster, len(scorer.columns))
    return scorer


def _tables(files: Files) -> TreeTables | None:
    return TreeTables.from_files(files) if any(n in files for n in TABLE_FILES) else None


def _profile(files: Files) -> Profile | None:
    if "profile.json" not in files:
        return None
    return Profile.from_dict(read_json(files["profile.json"]))


def _uncertainty(files: Files) -> Uncertainty | None:
    if "uncertainty.json" not in files:
        return None
    return Uncertainty.from_dict(read_json(files["uncertainty.json"]))


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def describe_training(
    features: pd.DataFrame, y: Vector, persons: npt.NDArray[Any]
) -> dict[str, Any]:
    """Record who a model was trained on: counts, and each feature's range and missingness.

    Ranges are the 1st and 99th percentiles, so that no single person's value is published.
    """
    ranges = {}
    for name in features.columns:
        known = features[name].dropna().to_numpy()
        low, high = np.quantile(known, [0.01, 0.99]) if len(known) else (None, None)
        ranges[name] = {
            "low": None if low is None else float(low),
            "high": None if high is None else float(high),
            "missing": float(features[name].isna().mean()),
        }
    return {
        "n_rows": len(features),
        "n_participants": len(np.unique(persons)),
        "n_events": int(y.sum()),
        "features": ranges,
        "absent": [n for n, r in ranges.items() if r["missing"] == 1.0],
    }


def spec_dict(spec: Any) -> dict[str, Any]:
    """Return a dataclass as plain JSON content."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(spec)))
    return plain
