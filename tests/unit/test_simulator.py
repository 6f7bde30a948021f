"""The simulated study: what its tables hold, and what they must not."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from features.build import build_features
from features.columns import KEYS
from features.contract import check_cases, check_measurements
from features.reference import load_evidence
from features.simulated_people import draw_answers
from features.simulated_tables import STUDY_ID
from features.simulation_parameters import (
    condition_names,
    occasion_sd,
    person_variance,
    simulation_parameters,
    trait_correlation,
    trial_sd,
)
from features.simulator import make_plan, simulate_study
from pipeline.errors import ConfigError
from pipeline.simulate import NOTE, simulate

SCENARIOS = ("base", "null", "optimistic", "pessimistic")
TABLES = ("cases", "measurements", "truth")
TREE = simulation_parameters()
RESPONSE = TREE["response"]
CPM = ["cpm_ppt_unconditioned_kpa", "cpm_ppt_conditioned_kpa"]
NEVER_MISSING = [*KEYS, "site_id", "visit_id", "period", "condition", "modality", "duration_min"]
N = 400


@pytest.fixture(scope="module")
def study():
    return simulate_study(N, "base", seed=11)


@pytest.fixture(scope="module")
def bouts(study):
    """Acute bouts of exercise."""
    acute = study.cases["session_id"].str.startswith("bout")
    return study.cases[acute].reset_index(drop=True)


def persons(cases):
    return cases.drop_duplicates("participant_id").reset_index(drop=True)


# ---- request


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            (10, "rosy", 1),
            "scenario: expected one of pessimistic, base, optimistic, null, found 'rosy'.",
        ),
        ((0, "base", 1), "n_participants: expected at least 1, found 0."),
        ((10, "base", -1), "seed: expected 0 or more, found -1."),
        (
            (10, "base", 1, {"response.reliabilty": 0.6}),
            "parameter 'response.reliabilty': expected a parameter of the simulator, found none; "
            "near: response.reliability, response.reliability_trials, response.trials.",
        ),
        (
            (10, "base", 1, {"response.reliability": "high"}),
            "parameter 'response.reliability': expected a number, found 'high'.",
        ),
        (
            (10, "base", 1, {"response.reliability": 1.5}),
            "parameter 'response.reliability': expected 0 to 1, found 1.5.",
        ),
        (
            (10, "base", 1, {"response.person_share": 0.9}),
            "response: expected shares that add up to 1, found 1.3.",
        ),
    ],
)
def test_simulate_study_refuses_an_impossible_request_in_one_line(request_, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        simulate_study(*request_)


def test_traits_that_would_explain_more_than_is_reliable_are_refused():
    with pytest.raises(ValueError, match="expected the traits to explain at most the reliable"):
        simulate_study(10, "optimistic", 1, {"response.reliability": 0.2})


@pytest.mark.parametrize("table", TABLES)
def test_same_seed_gives_the_same_table_and_another_seed_another(table):
    first, again, other = (simulate_study(30, "base", seed) for seed in (5, 5, 6))

    pd.testing.assert_frame_equal(getattr(first, table), getattr(again, table), check_exact=True)
    assert not getattr(first, table).equals(getattr(other, table))


@pytest.mark.parametrize("table", TABLES)
def test_a_person_does_not_depend_on_how_many_follow(table):
    few, many = (getattr(simulate_study(n, "base", 5), table) for n in (20, 50))

    # Sums over a matrix of another height may differ in the last bit.
    pd.testing.assert_frame_equal(
        few, many[many["participant_id"].isin(few["participant_id"])], rtol=1e-12
    )


def test_scenarios_with_one_seed_have_the_same_persons_and_another_truth():
    base, null = (simulate_study(30, scenario, 5) for scenario in ("base", "null"))

    pd.testing.assert_frame_equal(base.cases, null.cases)
    assert not base.truth.equals(null.truth)


def test_an_overridden_parameter_is_used_and_the_published_ones_stay():
    more = simulate_study(40, "base", 5, {"sessions.repeat_share": 1.0})

    assert (more.cases["session_id"] == "bout_3").sum() == 40
    assert simulation_parameters()["sessions"]["repeat_share"] == 0.25


# ---- contract


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_tables_keep_the_contract(scenario, seed):
    study = simulate_study(200, scenario, seed)

    assert check_cases(study.cases).violations == ()
    assert check_measurements(study.measurements).violations == ()


def test_a_study_of_one_person_keeps_the_contract():
    study = simulate_study(1, "base", 0)

    assert check_cases(study.cases).violations == ()
    assert check_measurements(study.measurements).violations == ()


def test_features_can_be_built_from_the_cases(study):
    features = build_features(check_cases(study.cases).table)

    used = ["pcs_total", "tsk17_total", "cpm_ppt_log_ratio", "ts_difference_nrs", "expectancy"]
    assert features[used].notna().mean().min() > 0.7
    assert features["intensity_class"].notna().sum() == (study.cases["modality"] != "rest").sum()


# ---- design


def test_every_bout_has_the_rest_bout_of_its_visit(study):
    sessions = study.cases.groupby("participant_id")["session_id"].agg(set)

    assert all({"rest_1", "bout_1", "rest_2", "bout_2"} <= s for s in sessions)
    assert all(("rest_3" in s) == ("bout_3" in s) for s in sessions)
    visits = study.cases[study.cases["session_id"] != "programme"]
    pairs = visits.groupby(["participant_id", "visit_id"])["session_id"].agg(list)
    assert all(a[-2:] == b[-2:] and a[:4] == "rest" and b[:4] == "bout" for a, b in pairs)
    assert (study.cases["study_id"] == STUDY_ID).all()


def test_a_quarter_comes_a_third_time_and_repeats_the_first_exercise(study, bouts):
    plan = ["modality", "body_region", "duration_min", "intensity_value", "loads_painful_region"]
    by_session = bouts.set_index(["participant_id", "session_id"])[plan].unstack("session_id")
    third = by_session[("modality", "bout_3")].notna()

    # .25 of 400 people: standard error .022; the design asks for at least a fifth.
    assert third.mean() == pytest.approx(0.25, abs=4 * 0.022)
    for column in plan:
        came = by_session.loc[third, column]
        assert came["bout_1"].equals(came["bout_3"].rename("bout_1"))


def test_the_two_exercises_differ_and_are_offered_to_the_condition(bouts):
    plan = ["modality", "body_region", "duration_min", "intensity_value", "loads_painful_region"]
    two = bouts[bouts["session_id"] != "bout_3"]
    assert not two.duplicated(["participant_id", *plan]).any()

    offered = {
        (condition, e["modality"], e["body_region"], float(e["duration_min"]))
        for e in TREE["exercise"].values()
        for condition in e["conditions"]
    }
    planned = bouts[["condition", "modality", "body_region", "duration_min"]]
    assert set(planned.itertuples(index=False, name=None)) <= offered


def test_order_of_the_two_visits_is_drawn_by_lot(study):
    first = study.cases.query("session_id == 'bout_1'")["visit_id"] == "visit_1"

    # A half of 400 people: standard error .025.
    assert first.mean() == pytest.approx(0.5, abs=4 * 0.025)


def test_programmes_are_trained_by_people_in_pain(study):
    programmes = study.cases.query("session_id == 'programme'")
    in_pain = persons(study.cases).query("condition != 'healthy'")
    weeks = f"week_{TREE['programme']['weeks']}"
    read = study.measurements.query("session_id == 'programme'")

    assert "healthy" not in set(programmes["condition"])
    assert programmes[["programme_weeks", "frequency_per_week"]].notna().all(axis=None)
    # .15 of about 250 people: standard error .023.
    assert len(programmes) / len(in_pain) == pytest.approx(0.15, abs=4 * 0.023)
    assert set(read["timepoint"]) == {"pre", weeks}


def test_laboratories_use_their_own_metric_unit_and_resolution(study, bouts):
    aerobic = bouts[bouts["modality"] == "aerobic"]
    sites = persons(study.cases).set_index("participant_id")["site_id"]
    ppt = study.measurements[study.measurements["measure"] == "ppt"]
    ppt_site = ppt["participant_id"].map(sites)

    assert len({lab["unit"] for lab in TREE["labs"].values()}) > 1
    for name, lab in TREE["labs"].items():
        metrics = aerobic.loc[aerobic["site_id"] == name, "intensity_metric"]
        readings = ppt[ppt_site == name]
        steps = readings["value"] / lab["resolution"]
        assert set(metrics) == {lab["aerobic_metric"]}
        assert set(readings["unit"]) == {lab["unit"]}
        assert np.allclose(steps, steps.round(), atol=1e-6)


def test_a_block_holds_the_trials_of_the_parameters(study):
    ppt = study.measurements[study.measurements["measure"] == "ppt"]
    blocks = ppt.groupby(["participant_id", "session_id", "site_role", "timepoint"])["trial"]

    assert set(blocks.agg(tuple)) == {(1, 2, 3)}
    assert set(ppt["site_role"]) == {"local", "remote"}


# ---- what a study does not know


def test_truth_is_not_in_the_tables(study):
    secret = set(study.truth.columns) - set(KEYS)

    assert {"true_response_local_log", "true_response_remote_log", "p_flare"} <= secret
    assert not secret & (set(study.cases.columns) | set(study.measurements.columns))
    pd.testing.assert_frame_equal(study.truth[list(KEYS)], study.cases[list(KEYS)])


def test_rest_has_no_response(study):
    rest = study.truth[study.truth["session_id"].str.startswith("rest")]

    assert (rest[["true_response_local_log", "true_response_remote_log"]] == 0).all(axis=None)
    assert (rest["linear_predictor"] == 0).all()
    assert set(rest["p_flare"]) == {TREE["flare"]["rest_rate"]}


# ---- questionnaires and body


def test_reversed_items_are_stored_as_ticked(study):
    items = persons(study.cases)[[f"tsk17_{i}" for i in range(1, 18)]]
    turned = [f"tsk17_{i}" for i in (4, 8, 12, 16)]
    correlation = items.corr()

    # 400 people: the standard error of a correlation is .05.
    assert (correlation.loc[turned].drop(columns=turned).mean(axis=1) < -0.05).all()
    assert correlation.loc[turned, turned].to_numpy()[np.triu_indices(4, 1)].mean() > 0


def test_answers_of_extreme_persons_stay_in_the_scale():
    plan = make_plan(3, "base", 0)

    answers = draw_answers(plan, "tsk17", "total", np.array([17.0, 42.5, 68.0]))

    turned = [f"tsk17_{i}" for i in (4, 8, 12, 16)]
    assert {float(v) for values in answers.values() for v in values} <= {1.0, 2.0, 3.0, 4.0}
    assert all((answers[name][0] == 4) == (name in turned) for name in answers)


def test_bmi_belongs_to_height_and_weight(study):
    body = persons(study.cases)[["height_cm", "weight_kg", "bmi_kg_m2"]]
    computed = body["weight_kg"] / (body["height_cm"] / 100) ** 2

    assert (body.isna().nunique(axis=1) == 1).all()
    assert (computed - body["bmi_kg_m2"]).abs().max() <= 0.05 + 1e-9


def test_healthy_people_have_no_pain_history(study):
    healthy = persons(study.cases).query("condition == 'healthy'")

    assert (healthy["pain_duration_months"].dropna() == 0).all()
    assert healthy["pain_now_nrs"].mean() < 0.5


@pytest.mark.parametrize("table", TABLES)
def test_no_number_is_a_negative_zero(study, table):
    numbers = getattr(study, table).select_dtypes("number").to_numpy(dtype=float)

    assert not (np.signbit(numbers) & (numbers == 0)).any()


# ---- missing values


def test_keys_condition_and_exercise_are_never_missing(study, bouts):
    planned = ["body_region", "loads_painful_region", "intensity_metric", "intensity_value"]

    assert study.cases[NEVER_MISSING].notna().all(axis=None)
    assert bouts[planned].notna().all(axis=None)
    assert study.measurements.notna().all(axis=None)


def test_items_and_covariates_are_missing_completely_at_random_at_the_stated_rate(study):
    table = persons(study.cases)
    items = table.filter(regex=r"^(pcs|tsk17)_\d+$")
    covariates = ["age_years", "sex", "bmi_kg_m2", "expectancy", "pain_now_nrs"]
    rate = TREE["missing"]["completely_at_random"]["rate"]

    # 30 items of 400 people: standard error sqrt(.03 * .97 / 12,000) = .0016.
    assert items.isna().to_numpy().mean() == pytest.approx(rate, abs=4 * 0.0016)
    # One column of 400 people: standard error .0085.
    assert (table[covariates].isna().mean() - rate).abs().max() < 4 * 0.0085


def test_forms_sent_home_are_missing_more_often_with_pain():
    table = persons(simulate_study(4000, "base", seed=3).cases)
    lost = table["hads_1"].isna() & table["hads_2"].isna()
    rule = TREE["missing"]["at_random"]
    for low, high in ((0, 1), (5, 6)):
        rows = table["pain_now_nrs"].between(low, high)
        chance = rule["at_no_pain"] + rule["per_point"] * table.loc[rows, "pain_now_nrs"].mean()
        error = np.sqrt(chance * (1 - chance) / rows.sum())
        assert lost[rows].mean() == pytest.approx(chance, abs=4 * error + 0.002)


def test_people_leave_more_often_after_a_flare():
    # Whose chance of a flare is high leaves more often: readings are missing not at random.
    study = simulate_study(4000, "base", seed=3)
    ppt = study.measurements.query("measure == 'ppt' and timepoint == 'post'")
    stayed = set(zip(ppt["participant_id"], ppt["session_id"], strict=True))
    acute = study.truth[study.truth["session_id"].str.startswith("bout")]
    keys = zip(acute["participant_id"], acute["session_id"], strict=True)
    left = np.array([key not in stayed for key in keys])
    rule = TREE["missing"]["not_at_random"]
    expected = rule["without_flare"] + acute["p_flare"] * (
        rule["with_flare"] - rule["without_flare"]
    )
    for group in (acute["p_flare"] < 0.1, acute["p_flare"] > 0.3):
        error = np.sqrt(expected[group].mean() / group.sum())
        assert left[group].mean() == pytest.approx(expected[group].mean(), abs=4 * error)


def test_a_laboratory_without_cpm_has_none(study):
    blind = study.cases["site_id"].isin([n for n, v in TREE["labs"].items() if not v["cpm_timing"]])

    assert blind.any()
    assert study.cases.loc[blind, [*CPM, "cpm_timing"]].isna().all(axis=None)
    assert study.cases.loc[~blind, "cpm_timing"].notna().all()
    assert study.cases.loc[~blind, CPM].notna().to_numpy().mean() > 0.9


# ---- parameters


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("condition", condition_names(TREE))
def test_traits_explain_less_than_the_reliable_part(scenario, condition):
    assert 0 <= person_variance(TREE, scenario, condition) < RESPONSE["reliability"]


def test_noise_is_made_of_trials_and_occasions():
    noise = RESPONSE["sigma"] ** 2 * (1 - RESPONSE["reliability"])
    trials = 4 * trial_sd(TREE) ** 2 / RESPONSE["reliability_trials"]

    assert trials / noise == pytest.approx(RESPONSE["trial_share"])
    assert trials + 2 * occasion_sd(TREE) ** 2 == pytest.approx(noise)


def test_correlations_can_be_true_together():
    assert np.linalg.eigvalsh(trait_correlation(TREE))[0] > 0.2


def test_every_cell_of_the_evidence_names_source_and_confidence():
    cells = load_evidence()

    assert len(cells) > 300
    assert len({c["parameter"] for c in cells}) == len(cells)
    for cell in cells:
        assert np.isfinite(float(cell["value"])), cell
        assert cell["source"], cell
        assert cell["confidence"] in {"S", "M", "W", "A"}, cell
        assert re.fullmatch(r"|10\.\d{4,}/\S+", cell["doi"]), cell


def test_every_condition_is_offered_two_exercises_at_least():
    for condition in condition_names(TREE):
        assert sum(condition in e["conditions"] for e in TREE["exercise"].values()) >= 2


# ---- the files


def test_simulate_writes_the_study_and_the_truth_apart(tmp_path):
    report = simulate(25, "base", 3, tmp_path)

    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")) == [
        "cases.parquet",
        "measurements.parquet",
        "study.json",
        "truth/truth.parquet",
    ]
    assert report["participants"] == 25
    assert report["bouts"] == len(pd.read_parquet(tmp_path / "cases.parquet"))


def test_simulate_writes_canonical_units(tmp_path):
    simulate(25, "base", 3, tmp_path)

    table = pd.read_parquet(tmp_path / "measurements.parquet")
    assert table.groupby("measure")["unit"].unique().map(list).to_dict() == {
        "pain_nrs": ["0-10"],
        "ppt": ["kPa"],
    }


def test_study_card_says_that_the_study_is_simulated(tmp_path):
    simulate(10, "null", 3, tmp_path, {"response.sigma": 0.2})

    card = json.loads((tmp_path / "study.json").read_text())
    assert card["study"]["simulated"] is True
    assert card["study"]["scenario"] == "null"
    assert card["study"]["overrides"] == {"response.sigma": 0.2}
    assert card["study"]["note"] == NOTE


def test_simulate_writes_the_same_bytes_twice(tmp_path):
    for name in ("a", "b"):
        simulate(15, "base", 3, tmp_path / name)

    for path in (tmp_path / "a").rglob("*.*"):
        twin = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == twin.read_bytes()


def test_simulate_ends_an_unknown_scenario_as_a_setting_to_mend(tmp_path):
    with pytest.raises(ConfigError, match=r"^scenario: expected one of .* found 'rosy'\.$"):
        simulate(10, "rosy", 3, tmp_path)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("response.sigm=1", "parameter 'response.sigm': expected a parameter of the simulator"),
        ("response.sigma", "--set: expected PARAMETER=VALUE, found 'response.sigma'."),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line_and_10(tmp_path, eih, setting, line):
    said = eih("simulate", "--participants", "5", "--set", setting, "--output", tmp_path / "s")

    assert said.code == 10
    assert said.err.startswith(line)
    assert said.err.count("\n") == 1


def test_parameters_come_from_a_file_and_the_command_line_goes_over_it(tmp_path, eih):
    file = tmp_path / "mine.toml"
    file.write_text("[response]\nsigma = 0.2\nreliability = 0.6\n")

    said = eih(
        "simulate", "--participants", "5", "--set-file", file,
        "--set", "response.sigma=0.3", "--output", tmp_path / "s",
    )  # fmt: skip

    card = json.loads((tmp_path / "s" / "study.json").read_text())
    assert card["study"]["overrides"] == {"response.sigma": 0.3, "response.reliability": 0.6}
    assert said.out.startswith(NOTE)
