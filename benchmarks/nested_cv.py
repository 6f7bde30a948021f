"""Nested cross-validation by person, against scikit-learn's ``cross_val_predict(GridSearchCV)``.

Same folds, same inner folds, same grid of 2 x 4 settings, same number of processes, one thread
each, in the same run. The peer prepares columns with scikit-learn's own imputer and scaler and
fits its own LogisticRegression; both use the same XGBClassifier.

    python benchmarks/nested_cv.py --quick --json -
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before numpy is imported; processes inherit it

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from models.boosted import make_xgboost, xgboost_risks
from models.classifiers import Candidate, logistic_risks, make_logistic
from models.splits import SplitPlan, make_split_plan
from models.validation import cross_validate

COLUMNS = tuple(f"x{i}" for i in range(40))
SUBSETS = (COLUMNS[:20], COLUMNS)
PENALTIES = (0.003, 0.01, 0.03, 0.1)
TREES = (40, 80, 120, 160)


def make_study(n: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    """Simulated people: three informative columns of forty, a twentieth of values missing."""
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(n, len(COLUMNS))), columns=list(COLUMNS))
    log_odds = X["x0"] - 0.7 * X["x1"] + 0.5 * X["x2"]
    y = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float)
    return X.mask(rng.random(X.shape) < 0.05), y


def candidates() -> dict[str, Candidate]:
    """Our candidates: the inner axis of both grids is the one that a single fit can serve."""
    linear = tuple({"columns": s, "c": c} for s, c in product(SUBSETS, PENALTIES))
    trees = tuple(
        {"columns": COLUMNS, "max_depth": d, "n_estimators": n} for d, n in product((1, 3), TREES)
    )
    return {
        "logistic": Candidate("logistic", 3, make_logistic, linear, logistic_risks),
        "xgboost": Candidate("xgboost", 5, make_xgboost, trees, xgboost_risks),
    }


class Planned:
    """The inner splits of a plan, for GridSearchCV: found by the rows it was given."""

    def __init__(self, plan: SplitPlan) -> None:
        self.inner = {f.train.tobytes(): f for f in plan.folds}

    def split(self, X: pd.DataFrame, y: Any = None, groups: Any = None) -> Iterator[Any]:
        """Yield positions within the outer training rows."""
        rows = X.index.to_numpy().astype(np.int64)
        for train, test in self.inner[rows.tobytes()].inner:
            yield np.searchsorted(rows, train), np.searchsorted(rows, test)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of inner folds."""
        return len(next(iter(self.inner.values())).inner)


def peer_model(name: str, plan: SplitPlan) -> GridSearchCV:
    """The same protocol in scikit-learn's own words."""
    if name == "logistic":
        keep = ColumnTransformer([("keep", "passthrough", list(COLUMNS))])
        steps = [
            ("select", keep),
            ("impute", SimpleImputer(strategy="median", add_indicator=True)),
            ("scale", StandardScaler()),
            ("model", LogisticRegression(max_iter=2000)),
        ]
        subsets = [[("keep", "passthrough", list(s))] for s in SUBSETS]
        model: Any = Pipeline(steps)
        grid = {"select__transformers": subsets, "model__C": list(PENALTIES)}
    else:
        model = make_xgboost(COLUMNS, 1, 10)
        grid = {"model__max_depth": [1, 3], "model__n_estimators": list(TREES)}
    return GridSearchCV(model, grid, scoring="neg_log_loss", cv=Planned(plan), n_jobs=1)


def peer_predictions(
    name: str, study: tuple[pd.DataFrame, np.ndarray], plan: SplitPlan, n_jobs: int
) -> np.ndarray:
    """Out-of-fold risks of every repeat, shape (n_repeats, n_rows)."""
    X, y = study
    search = peer_model(name, plan)
    risks = []
    for repeat in range(plan.n_repeats):
        outer = [(f.train, f.test) for f in plan.folds if f.repeat == repeat]
        found = cross_val_predict(
            search, X, y.astype(int), cv=outer, n_jobs=n_jobs, method="predict_proba"
        )
        risks.append(found[:, 1])
    return np.array(risks)


def once(name: str, plan: SplitPlan, n_jobs: int) -> tuple[dict[str, float], np.ndarray]:
    """Time both on one plan, ours first; and how far apart each pair of predictions is."""
    study = make_study()
    candidate = candidates()[name]
    started = time.perf_counter()
    ours = cross_validate(*study, plan, [candidate], n_jobs).predictions[f"p_{name}"]
    ours_s = time.perf_counter() - started
    started = time.perf_counter()
    theirs = peer_predictions(name, study, plan, n_jobs)
    peer_s = time.perf_counter() - started
    gap = np.abs(ours.to_numpy().reshape(theirs.shape) - theirs)
    return {"ratio": peer_s / ours_s, "ours_s": ours_s, "peer_s": peer_s}, gap


def compare(name: str, repeats: int, rounds: int, n_jobs: int) -> dict[str, float]:
    """Let both take turns, so that other work on the machine falls on both.

    The ratio is that of the summed times; the smallest and largest of a round are beside it.
    """
    _, y = make_study()
    plan = make_split_plan(y, np.arange(len(y)), repeats=repeats, folds=5, inner_folds=5, seed=3)
    found = [once(name, plan, n_jobs) for _ in range(rounds)]
    times, gap = [one for one, _ in found], found[0][1]
    ours_s, peer_s = (sum(one[k] for one in times) / rounds for k in ("ours_s", "peer_s"))
    return {
        "ratio": peer_s / ours_s,
        "ratio_lowest": min(one["ratio"] for one in times),
        "ratio_highest": max(one["ratio"] for one in times),
        "ours_s": ours_s,
        "peer_s": peer_s,
        "median_difference": float(np.median(gap)),
        "share_equal_to_1e-3": float((gap < 1e-3).mean()),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare both learners; the headline is the smaller of the two ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="One repeat of five; under 50 s.")
    parser.add_argument("--json", metavar="FILE", help="Write the figures as JSON, - for stdout.")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    repeats, rounds = (1, 2) if options.quick else (5, 3)
    # The processes of both are started, and the libraries imported in them, before the clock.
    compare("logistic", 1, 1, options.jobs)
    learners = {n: compare(n, repeats, rounds, options.jobs) for n in ("logistic", "xgboost")}
    slowest = min(learners.values(), key=lambda found: found["ratio"])
    result: dict[str, Any] = {k: slowest[k] for k in ("ratio", "ours_s", "peer_s")}
    result |= {"repeats": repeats, "rounds": rounds, "learners": learners}
    for name, found in learners.items():
        print(
            f"{name}: ours {found['ours_s']:.2f} s, peer {found['peer_s']:.2f} s, "
            f"{found['ratio']:.1f} times faster ({found['ratio_lowest']:.1f} to "
            f"{found['ratio_highest']:.1f} in {rounds} rounds)",
            file=sys.stderr,
        )
    text = json.dumps(result, indent=2) + "\n"
    if options.json == "-":
        sys.stdout.write(text)
    elif options.json:
        Path(options.json).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
