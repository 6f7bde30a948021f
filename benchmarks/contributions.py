"""Contributions from tables against XGBoost's ``pred_contribs``, in one run.

    python benchmarks/contributions.py [--quick] [--json FILE]

``ratio`` is how many times faster the tables are, on the same booster, rows and threads, for
the worse of the two models (100 trees of depth 3, 300 of depth 4). ``against_predict`` is the
time of prediction and explanation together over that of ``Booster.inplace_predict`` alone, at
100 trees of depth 3.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from models.tree_scoring import score_tables
from models.tree_tables import build_tables

THREADS = 2
SHAPES = ((100, 3), (300, 4))


def best_time(run: Callable[[], Any], repeats: int) -> float:
    """Seconds of the fastest of some runs."""
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def rows(n: int, seed: int) -> np.ndarray:
    """Forty columns with a tenth of the values missing."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 40))
    X[rng.random(X.shape) < 0.1] = np.nan
    return X


def compare(n_trees: int, depth: int, n_rows: int, repeats: int) -> dict[str, float]:
    """Times of one model."""
    train = rows(5000, 0)
    signal = np.nan_to_num(train[:, :6]).sum(axis=1) + np.nan_to_num(train[:, 6] * train[:, 7])
    y = (signal + np.random.default_rng(1).normal(size=len(train)) > 0).astype(int)
    settings = {"objective": "binary:logistic", "max_depth": depth, "eta": 0.1, "nthread": THREADS}
    booster = xgboost.train(settings, xgboost.DMatrix(train, y), n_trees)
    X = rows(n_rows, 2)

    def theirs() -> Any:  # a new matrix each time: predicting one twice measures a cache
        return booster.predict(xgboost.DMatrix(X, nthread=THREADS), pred_contribs=True)

    tables = build_tables(booster)
    log_odds, contributions = score_tables(tables, X, THREADS)  # compiles, too
    gap = float(np.abs(contributions.T - theirs()[:, :-1]).max())
    found = {
        "build_s": best_time(lambda: build_tables(booster), 1),
        "ours_s": best_time(lambda: score_tables(tables, X, THREADS), repeats),
        "peer_s": best_time(theirs, max(1, repeats // 3)),
        "predict_s": best_time(lambda: booster.inplace_predict(X), repeats),
        "largest_difference": gap,
    }
    found["ratio"] = found["peer_s"] / found["ours_s"]
    found["rows_s"] = n_rows / found["ours_s"]
    return found


def main() -> None:
    """Compare, print, and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rows: under 50 s on 2 cores")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    n_rows, repeats = (20_000, 3) if options.quick else (200_000, 5)
    models = {f"{n}x{d}": compare(n, d, n_rows, repeats) for n, d in SHAPES}
    worst = min(models.values(), key=lambda m: m["ratio"])
    result = {
        "ratio": worst["ratio"],
        "ours_s": worst["ours_s"],
        "peer_s": worst["peer_s"],
        "against_predict": models["100x3"]["ours_s"] / models["100x3"]["predict_s"],
        "xgboost": xgboost.__version__,
        "rows": n_rows,
        "models": models,
    }
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
