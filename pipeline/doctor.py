"""Tool ``doctor``: does this installation work, and if not, what is to be done."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.artefacts import git_commit, stack_versions
from pipeline.errors import ConfigError, EihError

OLDEST, NEWEST = (3, 11), (3, 14)
# The demo study's outputs and the store take 200 MB.
LEAST_FREE_BYTES = 2**30
# SHAP adds up in single precision.
ADDITIVE_TO = 1e-4


def examine(store: str | None = None) -> dict[str, Any]:
    """Look at everything; nothing that fails keeps the rest from being looked at.

    Parameters
    ----------
    store : str, optional
        MLflow's tracking URI; default: that of ``params.yaml``, or the built-in one.

    Returns
    -------
    dict
        ``healthy``, ``git_commit``, ``versions`` and ``checks``: of each ``name``, ``ok``,
        ``found`` and, where it is not ok, ``advice``.
    """
    checks = [
        _looked_at("python", _python, "Use Python 3.11, 3.12 or 3.13."),
        _looked_at("shap x xgboost", _explains, "Install the versions of requirements.lock."),
        _looked_at("store", lambda: _store(store), "Check register.tracking_uri in params.yaml."),
        _looked_at("disk", _disk, "Free a gigabyte, or work elsewhere."),
    ]
    return {
        "healthy": all(c["ok"] for c in checks),
        "git_commit": git_commit(),
        "platform": platform.platform(),
        "versions": stack_versions(),
        "checks": checks,
    }


def _looked_at(name: str, look: Callable[[], tuple[bool, str]], advice: str) -> dict[str, Any]:
    try:
        ok, found = look()
    except (EihError, ImportError, OSError, LookupError, TypeError, ValueError, RuntimeError) as e:
        ok, found = False, f"{type(e).__name__}: {' '.join(str(e).split()).rstrip('.')}."
    return {"name": name, "ok": ok, "found": found} | ({} if ok else {"advice": advice})


def _python() -> tuple[bool, str]:
    return OLDEST <= sys.version_info[:2] < NEWEST, platform.python_version()


def _explains() -> tuple[bool, str]:
    """Whether SHAP, XGBoost's own contributions and its margin agree on a small forest."""
    import shap
    import xgboost

    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    table.iloc[::7, 1] = np.nan
    y = (table["a"] + rng.normal(size=60) > 0).astype(int)
    forest = xgboost.XGBClassifier(n_estimators=8, max_depth=2, n_jobs=1).fit(table, y)
    booster, rows = forest.get_booster(), xgboost.DMatrix(table)
    margin = booster.predict(rows, output_margin=True)
    own = booster.predict(rows, pred_contribs=True)
    explainer = shap.TreeExplainer(forest)
    theirs = np.asarray(explainer.shap_values(table))
    gap = max(
        float(np.abs(own.sum(axis=1) - margin).max()), float(np.abs(own[:, :-1] - theirs).max())
    )
    return gap <= ADDITIVE_TO, f"contributions agree to {gap:.1e} log-odds"


def _store(store: str | None) -> tuple[bool, str]:
    from pipeline.config import load_params
    from pipeline.tracking import count_experiments

    uri = store or load_params(None).register.tracking_uri
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        return True, f"{_shown(uri)}: not there yet; the first registration makes it"
    return True, f"{_shown(uri)}: answers, {count_experiments(uri)} experiments"


def _shown(uri: str) -> str:
    """The address without user and password."""
    scheme, found, rest = uri.partition("://")
    return f"{scheme}{found}{rest.rpartition('@')[2]}"


def _disk() -> tuple[bool, str]:
    free = shutil.disk_usage(Path.cwd()).free
    return free >= LEAST_FREE_BYTES, f"{free / 2**30:.1f} GiB free here"


def in_words(found: dict[str, Any]) -> list[str]:
    """One line a check, then the versions."""
    lines = [
        f"{'ok ' if c['ok'] else 'BAD'} {c['name']}: {c['found']}"
        + (f" {c['advice']}" if "advice" in c else "")
        for c in found["checks"]
    ]
    return [*lines, ", ".join(f"{n} {v}" for n, v in found["versions"].items())]


def require_healthy(found: dict[str, Any]) -> None:
    """Raise where something is wrong.

    Raises
    ------
    ConfigError
    """
    bad = [c["name"] for c in found["checks"] if not c["ok"]]
    if bad:
        raise ConfigError(
            f"doctor: expected every check ok, found {', '.join(bad)} bad (eih doctor)."
        )
