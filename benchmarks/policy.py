"""How often a study tells that the best exercise differs between persons, where it does or not.

Run:  python benchmarks/policy.py [--beta 0.6] [--seeds 1-20] [--persons 300] [--json FILE]

Simulated healthy persons. Expectancy is worth ``beta`` SD of a change per SD under aerobic and
``-beta`` under isometric exercise; with 0 the best exercise is the same for everybody. The true
gain is what the individual rule would give beyond the best on average, by the simulator's truth,
to persons the rules have not learnt from. A study costs some seconds.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before numpy is imported

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest

from features.simulated_counterfactuals import true_outcomes
from features.simulation_parameters import Plan
from features.simulator import make_plan
from pipeline import featurize, label
from pipeline.config import Params
from pipeline.policy import cross_fit, judge
from pipeline.policy_rows import PolicyRows, read_policy_rows
from pipeline.simulate import simulate

Matrix = npt.NDArray[np.float64]
DEFAULTS = Params()
# Those of tests/stages/test_prescription.py.
SETTINGS = replace(
    DEFAULTS,
    train=replace(DEFAULTS.train, repeats=1, folds=5, inner_folds=2, jobs=1),
    policy=replace(DEFAULTS.policy, c=(0.01, 0.1), refits=20, least_persons=4),
)


def design(beta: float) -> dict[str, Any]:
    """Overrides of the simulator: healthy persons, and the interaction of a person's trait."""
    conditions = make_plan(2, "base", 1).parameters["cohort"]["share"]
    return {
        **{f"cohort.share.{c}": float(c == "healthy") for c in conditions},
        "modality_interaction.trait": "expectancy",
        "modality_interaction.beta.aerobic": beta,
        "modality_interaction.beta.isometric": -beta,
    }


def true_utility(plan: Plan, rows: PolicyRows) -> Matrix:
    """P(response) minus P(hyperalgesia) of every row's person under every arm, had it been done."""
    exercises = plan.parameters["exercise"]
    truth = true_outcomes(plan)
    truth = truth[truth["exercise"].map(lambda e: "healthy" in exercises[e]["conditions"])]
    worth = truth["p_response"] - truth["p_hyperalgesia"]
    table = worth.groupby([truth["participant_id"], truth["modality"]]).mean().unstack()
    found = table.loc[rows.two.data.keys["participant_id"], list(rows.arms)]
    return np.asarray(found.to_numpy(dtype=np.float64))


def one_study(n_persons: int, beta: float, seed: int) -> dict[str, Any]:
    """Simulate, judge, and look up the truth."""
    overrides = design(beta)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(n_persons, "base", seed, folder, overrides)
        label.run(SETTINGS.label, folder, folder / "outcomes.parquet")
        featurize.run(SETTINGS.featurize, folder, folder / "features.parquet")
        rows = read_policy_rows(SETTINGS, folder)
        said = cross_fit(rows, SETTINGS.policy)
        result = judge(rows, said, SETTINGS.policy)
    true = true_utility(make_plan(n_persons, "base", seed, overrides), rows)
    each = np.arange(len(true))
    own, best = (np.nanargmax(m, axis=1) for m in (said.individual, said.average))
    person = rows.two.data.person
    gains = {
        "true_gain": true[each, own] - true[each, best],
        "oracle_gain": true.max(axis=1) - true[each, best],
    }
    means = {k: float(pd.Series(v).groupby(person).mean().mean()) for k, v in gains.items()}
    against = result["against_average_best"]
    return {
        "seed": seed,
        **means,
        **{k: against[k] for k in ("estimate", "lower", "upper")},
        "supported": result["individual_supported"],
    }


def summary(studies: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over studies with Monte Carlo intervals, and shares with exact ones."""
    table = pd.DataFrame(list(studies))
    found: dict[str, Any] = {"n_studies": len(table)}
    for column in ("true_gain", "oracle_gain", "estimate"):
        mean, error = table[column].mean(), table[column].std(ddof=1) / np.sqrt(len(table))
        found[column] = [float(mean), float(mean - 1.96 * error), float(mean + 1.96 * error)]
    found["estimate_sd"] = float(table["estimate"].std(ddof=1))
    # A t interval: half its width is about two of its standard errors.
    found["stated_error"] = float(((table["upper"] - table["lower"]) / 3.92).mean())
    held = (table["lower"] <= table["true_gain"]) & (table["true_gain"] <= table["upper"])
    for name, flags in (("supported", table["supported"]), ("truth_held", held)):
        test = binomtest(int(flags.sum()), len(flags)).proportion_ci()
        found[name] = [int(flags.sum()), float(test.low), float(test.high)]
    return found


def main() -> None:
    """Parse options, simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beta", type=float, default=0.6, help="0 = nobody differs")
    parser.add_argument("--seeds", default="1-20", help="first-last")
    parser.add_argument("--persons", type=int, default=300)
    parser.add_argument("--json", help="write the result to FILE, or - for stdout")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    studies = []
    for seed in range(int(first), int(last or first) + 1):
        studies.append(one_study(options.persons, options.beta, seed))
        print(json.dumps(studies[-1]), file=sys.stderr, flush=True)
    result = {"beta": options.beta, "persons": options.persons, "seeds": options.seeds}
    text = json.dumps({**result, **summary(studies), "studies": studies}, indent=2)
    if options.json and options.json != "-":
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    elif options.json:
        print(text)
    else:
        print(json.dumps(summary(studies), indent=2))


if __name__ == "__main__":
    main()
