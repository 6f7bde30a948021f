"""What a posterior promises: of those given P = 0.8, 80 % truly changed by more than delta."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from features.outcome import compare_rules, compute_changes, describe_rules, label_changes
from features.outcome_design import Endpoint, OutcomeDesign
from features.simulator import simulate_study
from pipeline.io import check_table

PPT = Endpoint("local_ppt", "ppt", "local", "post")
KEY = ["study_id", "participant_id", "session_id"]
TRIAL_SD = 0.1


def study(seed, n, true_sd, *, trials=(2, 3, 6), rest=True, mean=0.05):
    """Persons with two bouts and, for some, a rest bout; trials differ from person to person.

    Returns cases, measurements and the true change per bout.
    """
    rng = np.random.default_rng(seed)
    sessions = [("a", "aerobic"), ("b", "isometric"), *([("r", "rest")] if rest else [])]
    person = np.repeat(np.arange(n), len(sessions))
    modality = np.tile([m for _, m in sessions], n)
    shared = true_sd * math.sqrt(0.6) * rng.standard_normal(n)
    own = true_sd * math.sqrt(0.4) * rng.standard_normal(len(person))
    true = np.where(modality == "rest", 0.0, mean + shared[person] + own)
    level = 5.7 + 0.3 * rng.standard_normal(n)[person]
    keys = pd.DataFrame(
        {
            "study_id": "s",
            "participant_id": [f"p{i:05d}" for i in person],
            "session_id": np.tile([s for s, _ in sessions], n),
        }
    )
    cases = keys.assign(modality=modality, condition="healthy", true=true)
    n_trials = np.asarray(trials)[person % len(trials)]
    parts = []
    for timepoint, height in (("pre", level), ("post", level + true)):
        row = np.repeat(np.arange(len(person)), n_trials)
        value = np.exp(height[row] + TRIAL_SD * rng.standard_normal(len(row)))
        parts.append(keys.iloc[row].assign(timepoint=timepoint, value=value))
    measurements = pd.concat(parts, ignore_index=True).assign(measure="ppt", site_role="local")
    measurements["trial"] = measurements.groupby([*KEY, "timepoint"]).cumcount() + 1.0
    if rest:
        # A third of the persons have no rest bout: nothing is subtracted, the error is smaller.
        gone = {f"p{i:05d}" for i in range(0, n, 3)}
        dropped = (cases["session_id"] == "r") & cases["participant_id"].isin(gone)
        lost = cases[dropped][KEY]
        cases = cases[~dropped]
        merged = measurements.merge(lost, on=KEY, how="left", indicator=True)
        measurements = merged[merged.pop("_merge") == "left_only"]
    return cases.drop(columns="true"), measurements, cases[[*KEY, "true"]]


def with_truth(cases, measurements, truth, **options):
    design = OutcomeDesign((PPT,), rule="posterior", **options)
    table = label_changes(compute_changes(cases, measurements, design), design)
    return table.merge(truth, on=KEY)


def miscalibration(probability, happened, person):
    """Largest |observed - predicted| over ten bins, in standard errors of the bin.

    Bouts of a person are not independent: the error is that of persons' sums, but no less than
    the binomial one, which holds where the sums are too few to tell.
    """
    worst = 0.0
    for low in np.arange(0, 1, 0.1):
        chosen = (probability >= low) & (probability < low + 0.1)
        if chosen.sum() < 50:
            continue
        residual = pd.Series(happened[chosen] - probability[chosen])
        sums = residual.groupby(person[chosen]).sum()
        binomial = (probability[chosen] * (1 - probability[chosen])).sum()
        worst = max(worst, abs(residual.sum()) / math.sqrt(max((sums**2).sum(), binomial)))
    return worst


CASES = {
    "subtracting rest": {"true_sd": 0.1},
    "without rest, from trials": {"true_sd": 0.1, "rest": False, "sem_source": "trials"},
    "few true differences": {"true_sd": 0.03},
    "direction alone": {"true_sd": 0.08, "delta_of": "value", "delta": 0.0},
    "beyond the error of a change": {"true_sd": 0.15, "delta_of": "sem_change"},
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("side", ["response", "hyperalgesia"])
def test_of_those_given_a_probability_that_share_truly_changed(name, seed, side):
    options = dict(CASES[name])
    made = {k: options.pop(k) for k in ("true_sd", "rest") if k in options}
    table = with_truth(*study(seed, 1500, **made), **options)
    sign = 1 if side == "response" else -1
    happened = (sign * table["true"] > table["threshold"]).to_numpy(float)

    found = miscalibration(
        table[f"{side}_probability"].to_numpy(), happened, table["participant_id"].to_numpy()
    )

    # The largest of ten standard normal deviates exceeds 3.7 once in 460 such tests (20 tests
    # here); what the means, tau and the pooled errors are off by adds little at 1500 persons.
    assert found < 3.7


@pytest.mark.parametrize("scenario", ["base", "optimistic"])
@pytest.mark.parametrize("seed", [11, 12])
def test_the_posterior_is_calibrated_on_the_simulator_s_truth(scenario, seed):
    made = simulate_study(1200, scenario, seed)
    cases = check_table(made.cases, "cases").table
    measurements = check_table(made.measurements, "measurements").table
    truth = made.truth.rename(columns={"true_response_local_log": "true"})[[*KEY, "true"]]

    table = with_truth(cases, measurements, truth, sem_by="condition")

    happened = (table["true"] > table["threshold"]).to_numpy(float)
    person = table["participant_id"].to_numpy()
    assert miscalibration(table["response_probability"].to_numpy(), happened, person) < 3.7
    sure = (table["response_probability"] - 0.8).abs() < 0.1
    share = happened[sure].mean()
    # Some 150 to 400 bouts about .8: standard error at most sqrt(.16 / 150) = .033.
    assert share == pytest.approx(table["response_probability"][sure].mean(), abs=4 * 0.033)


def test_an_uncertain_change_is_believed_less_than_the_same_change_measured_well():
    table = with_truth(*study(1, 1500, 0.1))
    near = table[(table["change"] - 0.25).abs() < 0.03]

    few = near[near["error_change"] > near["error_change"].median()]
    many = near[near["error_change"] < near["error_change"].median()]

    assert few["posterior_mean"].mean() < many["posterior_mean"].mean()
    assert few["response_probability"].mean() < many["response_probability"].mean()


def test_shrunk_changes_are_nearer_the_truth_than_measured_ones():
    table = with_truth(*study(2, 1500, 0.08))

    shrunk = ((table["posterior_mean"] - table["true"]) ** 2).mean()
    measured = ((table["change"] - table["true"]) ** 2).mean()

    assert shrunk < 0.6 * measured
    assert table["posterior_sd"].mean() == pytest.approx(math.sqrt(shrunk), rel=0.1)


# ---- noise alone


@pytest.mark.parametrize("seed", range(2))
def test_without_any_true_change_the_shares_are_those_that_noise_is_said_to_give(seed):
    cases, measurements, _ = study(seed, 3000, 0.0, mean=0.0, trials=(3,), rest=False)
    design = OutcomeDesign((PPT,), sem_source="trials", subtract_rest=False)

    found = describe_rules(compare_rules(compute_changes(cases, measurements, design), design))
    rules = found[0]["rules"]

    # 6000 independent bouts: standard error of .24 is .0055, four times .022.
    for rule, share in (("sem_change", 0.1587), ("sem_single", 0.2398), ("mdc95", 0.025)):
        for side in ("hypoalgesia", "hyperalgesia"):
            assert rules[rule][f"noise_{side}"] == pytest.approx(share, abs=1e-3)
            assert rules[rule][f"observed_{side}"] == pytest.approx(share, abs=0.022)
    assert rules["posterior"]["observed_hypoalgesia"] < 0.01
    assert rules["posterior"]["noise_hypoalgesia"] < 0.01


def test_subtracting_a_rest_bout_raises_the_share_of_the_single_value_rule():
    """The error of a change minus a rest change is 2 SEM of a value: P(Z > 1 / 2) = .31."""
    cases, measurements, _ = study(3, 3000, 0.0, mean=0.0, trials=(3,))
    design = OutcomeDesign((PPT,))
    rules = compare_rules(compute_changes(cases, measurements, design), design)
    subtracted = rules["noise_hypoalgesia_sem_single"] > 0.28

    # Two bouts share a rest bout: some 2000 persons, standard error at most sqrt(.21 / 2000).
    observed = (rules["class_sem_single"] == "hypoalgesia")[subtracted].mean()
    assert rules["noise_hypoalgesia_sem_single"][subtracted].mean() == pytest.approx(
        0.3085, abs=1e-3
    )
    assert observed == pytest.approx(0.3085, abs=4 * 0.0103)
