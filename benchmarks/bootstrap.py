"""How fast every metric is resampled by person, against a loop over resamples.

Run:  python benchmarks/bootstrap.py [--quick] [--json FILE]

The peer resamples persons one draw at a time and calls scikit-learn (AUC, average precision,
Brier score, log loss, recalibration by unpenalised logistic regression): what one writes first.
It leaves out what scikit-learn does not have (the lowess errors), so the ratio understates ours.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported: one thread each

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.calibration import logit
from models.judged import Judged, person_counts
from models.metrics import resample_metrics

Vector = npt.NDArray[np.float64]
RESAMPLES, SEED = 2000, 1
# One draw costs the peer the same as another: a part is timed and scaled up.
PEER_DRAWS, PEER_DRAWS_QUICK = 500, 100


def sample(n_rows: int = 1000, bouts: int = 2) -> tuple[Judged, Vector]:
    """Return 1,000 rows of 500 persons, and one model's risks."""
    rng = np.random.default_rng(0)
    n_persons = n_rows // bouts
    person = np.repeat(np.arange(n_persons), bouts)
    trait = rng.normal(size=n_persons)[person]
    y = (rng.random(n_rows) < 1 / (1 + np.exp(-trait))).astype(float)
    risk = 1 / (1 + np.exp(-(trait + rng.normal(size=n_rows))))
    return Judged(y, person, np.zeros((1, n_rows), dtype=np.int64)), risk


def peer(judged: Judged, risk: Vector, n_draws: int) -> list[list[float]]:
    """Resample persons one draw at a time, with scikit-learn's metrics."""
    rows_of = [np.flatnonzero(judged.person == i) for i in range(judged.n_persons)]
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(n_draws):
        drawn = rng.integers(0, judged.n_persons, judged.n_persons)
        rows = np.concatenate([rows_of[i] for i in drawn])
        y, p = judged.y[rows], risk[rows]
        model = LogisticRegression(C=np.inf).fit(logit(p)[:, None], y)
        found.append(
            [
                roc_auc_score(y, p),
                average_precision_score(y, p),
                brier_score_loss(y, p),
                log_loss(y, p),
                y.sum() / p.sum(),
                float(model.intercept_[0]),
                float(model.coef_[0, 0]),
            ]
        )
    return found


def measure(peer_draws: int) -> dict[str, float]:
    """Time both on the same rows; check that they agree on the AUC's spread."""
    judged, risk = sample()
    person_counts(judged.n_persons, 10, SEED)  # first calls import and allocate
    start = time.perf_counter()
    values = resample_metrics(judged, {"m": risk[None]}, n_resamples=RESAMPLES, seed=SEED)["m"]
    ours = time.perf_counter() - start
    start = time.perf_counter()
    theirs = np.array(peer(judged, risk, peer_draws))
    scaled = (time.perf_counter() - start) * RESAMPLES / peer_draws
    # Two estimates of one standard error from that many draws: within four of its own errors.
    spread = values["auc"][1:].std(), theirs[:, 0].std()
    if abs(spread[0] / spread[1] - 1) > 4 / np.sqrt(2 * peer_draws):
        raise SystemExit(f"bootstrap: the spreads of the AUC differ: {spread}")
    return {
        "ratio": scaled / ours,
        "ours_s": ours,
        "peer_s": scaled,
        "resamples": RESAMPLES,
        "rows": len(judged.y),
        "metrics": len(values),
        "peer_draws_timed": peer_draws,
    }


def main() -> None:
    """Parse options, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="time fewer draws of the peer")
    parser.add_argument("--json", help="write the result to FILE, or - for stdout")
    options = parser.parse_args()
    result = measure(PEER_DRAWS_QUICK if options.quick else PEER_DRAWS)
    text = json.dumps(result, indent=2)
    if options.json == "-":
        print(text)
    else:
        print(
            f"{result['metrics']} metrics, {RESAMPLES} resamples by person, {result['rows']} rows: "
            f"{result['ours_s']:.2f} s; a loop with scikit-learn {result['peer_s']:.1f} s "
            f"({result['ratio']:.0f} times)"
        )
    if options.json and options.json != "-":
        Path(options.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
