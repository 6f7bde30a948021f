"""The simulated study: what its tables hold, and what they must not."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from features.build import build_features
from features.columns import KEYS
from features.contract import check_cases, check_measurements
from features.reference import load_reference
from features.simulated_people import draw_answers, trait_correlation
from features.simulated_responses import person_variance
from features.simulator import STUDY_ID, occasion_sd, simulate_study
from features.units import KPA_PER_UNIT
from pipeline.errors import ConfigError
from pipeline.simulate import simulate

SCENARIOS = ("base", "null", "optimistic", "pessimistic")
TABLES = ("cases", "measurements", "truth")
SETTINGS = load_reference("simulator.toml")
CPM = ["cpm_ppt_unconditioned_kpa", "cpm_ppt_conditioned_kpa"]
NEVER_MISSING = [*KEYS, "site_id", "visit_id", "period", "condition", "modality", "duration_min"]


@pytest.fixture(scope="module")
def study():
    return simulate_study(400, "base", seed=11)


@pytest.fixture(scope="module")
def exercise(study):
    return study.cases[study.cases["modality"] != "rest"].reset_index(drop=True)


def persons(cases):
    return cases[cases["modality"] == "rest"].reset_index(drop=True)


# ---- request


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            (10, "rosy", 1),
            "scenario: expected one of null, pessimistic, base, optimistic, found 'rosy'.",
        ),
        ((0, "base", 1), "n_participants: expected at least 1, found 0."),
        ((10, "base", -1), "seed: expected 0 or more, found -1."),
    ],
)
def test_simulate_study_refuses_an_impossible_request_in_one_line(request_, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        simulate_study(*request_)


@pytest.mark.parametrize("table", TABLES)
def test_same_seed_gives_the_same_table_and_another_seed_another(table):
    first, again, other = (simulate_study(30, "base", seed) for seed in (5, 5, 6))

    pd.testing.assert_frame_equal(getattr(first, table), getattr(again, table), check_exact=True)
    assert not getattr(first, table).equals(getattr(other, table))


def test_scenarios_with_one_seed_have_the_same_persons_and_another_truth():
    base, null = (simulate_study(30, scenario, 5) for scenario in ("base", "null"))

    pd.testing.assert_frame_equal(
        base.cases.drop(columns="pain_now_nrs"), null.cases.drop(columns="pain_now_nrs")
    )
    assert not base.truth.equals(null.truth)


# ---- contract


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_tables_keep_the_contract(scenario, seed):
    study = simulate_study(300, scenario, seed)

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
    assert features["intensity_class"].notna().sum() == 2 * 400


# ---- design


def test_everybody_rests_once_and_exercises_twice(study):
    per_person = study.cases.groupby("participant_id")

    assert (per_person["session_id"].agg(list).map(tuple) == ("rest", "bout_1", "bout_2")).all()
    assert (per_person["modality"].agg(lambda m: (m == "rest").sum()) == 1).all()
    assert (study.cases["study_id"] == STUDY_ID).all()


def test_the_two_exercises_differ_and_are_offered_to_the_condition(exercise):
    plan = ["modality", "body_region", "duration_min", "intensity_value", "loads_painful_region"]
    assert not exercise.duplicated(["participant_id", *plan]).any()

    offered = {
        (condition, e["modality"], e["body_region"], float(e["duration_min"]))
        for e in SETTINGS["exercise"]
        for condition in e["conditions"]
    }
    planned = exercise[["condition", "modality", "body_region", "duration_min"]]
    assert set(planned.itertuples(index=False, name=None)) == offered


def test_order_of_visits_is_drawn_by_lot(study):
    periods = study.cases.groupby("participant_id")["period"].agg(lambda p: tuple(sorted(p)))
    assert (periods == (1, 2, 3)).all()

    # A third of 400 people rest first: 133, standard error 9.4.
    rest_first = (persons(study.cases)["period"] == 1).sum()
    assert abs(rest_first - 400 / 3) < 4 * np.sqrt(400 * 2 / 9)


def test_laboratories_use_their_own_metric_unit_and_resolution(study, exercise):
    aerobic = exercise[exercise["modality"] == "aerobic"]
    sites = study.cases.drop_duplicates("participant_id").set_index("participant_id")["site_id"]
    ppt = study.measurements[study.measurements["measure"] == "ppt"]
    ppt_site = ppt["participant_id"].map(sites)

    for lab in SETTINGS["labs"]:
        metrics = aerobic.loc[aerobic["site_id"] == lab["name"], "intensity_metric"]
        readings = ppt[ppt_site == lab["name"]]
        steps = readings["value"] / lab["resolution"]
        assert set(metrics) == {lab["aerobic_metric"]}
        assert set(readings["unit"]) == {lab["unit"]}
        assert np.allclose(steps, steps.round(), atol=1e-6)


def test_an_exercise_has_one_intensity_class_in_every_laboratory(exercise):
    features = build_features(check_cases(exercise).table)
    plan = ["condition", "modality", "body_region", "duration_min"]
    bouts = exercise.assign(ordinal=features["intensity_class"])
    # Healthy people cycle 25 min at two intensities; every other plan has one.
    one = bouts[~((bouts["condition"] == "healthy") & (bouts["duration_min"] == 25))]

    assert (one.groupby(plan)["ordinal"].nunique() == 1).all()


def test_measurements_hold_three_trials_a_block_and_pain_up_to_the_next_day(study):
    cells = study.measurements.groupby(["participant_id", "session_id"])
    ppt = study.measurements[study.measurements["measure"] == "ppt"]
    blocks = ppt.groupby(["participant_id", "session_id", "site_role", "timepoint"])["trial"]
    pain = study.measurements[study.measurements["measure"] == "pain_nrs"]

    assert cells.ngroups == 3 * 400
    assert set(blocks.agg(tuple)) == {(1, 2, 3)}
    assert blocks.ngroups == 3 * 400 * 4
    assert set(pain["site_role"]) == {"clinical"}
    assert set(pain["timepoint"]) == {"pre", "post", "post_24h"}


# ---- what a study does not know


def test_truth_is_not_in_the_tables(study):
    secret = set(study.truth.columns) - set(KEYS)

    assert secret == {
        "true_response_local_log",
        "true_response_remote_log",
        "linear_predictor",
        "p_flare",
    }
    assert not secret & (set(study.cases.columns) | set(study.measurements.columns))
    pd.testing.assert_frame_equal(study.truth[list(KEYS)], study.cases[list(KEYS)])


def test_rest_has_no_response(study):
    rest = study.truth[study.truth["session_id"] == "rest"]

    assert (rest[["true_response_local_log", "true_response_remote_log"]] == 0).all(axis=None)
    assert (rest["linear_predictor"] == 0).all()
    assert set(rest["p_flare"]) == {SETTINGS["flare"]["rest_rate"]}


# ---- questionnaires and body


def test_reversed_items_are_stored_as_ticked(study):
    items = persons(study.cases)[[f"tsk17_{i}" for i in range(1, 18)]]
    turned = [f"tsk17_{i}" for i in (4, 8, 12, 16)]
    correlation = items.corr()

    # 400 people: the standard error of a correlation is .05.
    assert (correlation.loc[turned].drop(columns=turned).mean(axis=1) < -0.05).all()
    assert correlation.loc[turned, turned].to_numpy()[np.triu_indices(4, 1)].mean() > 0


def test_answers_of_extreme_persons_stay_in_the_scale():
    rng = np.random.default_rng(0)
    answers = draw_answers("tsk17", np.array([17.0, 42.5, 68.0]), rng)
    turned = [3, 7, 11, 15]

    assert set(np.unique(answers)) <= {1, 2, 3, 4}
    assert (answers[0, turned] == 4).all()
    assert (np.delete(answers[0], turned) == 1).all()


def test_bmi_belongs_to_height_and_weight(study):
    body = persons(study.cases)[["height_cm", "weight_kg", "bmi_kg_m2"]]
    computed = body["weight_kg"] / (body["height_cm"] / 100) ** 2

    assert (body.isna().nunique(axis=1) == 1).all()
    assert (computed - body["bmi_kg_m2"]).abs().max() <= 0.05 + 1e-9


def test_healthy_people_have_no_pain_history(study):
    healthy = persons(study.cases).query("condition == 'healthy'")

    assert (healthy["pain_duration_months"].dropna() == 0).all()
    assert healthy["pain_now_nrs"].mean() < 0.5
    assert (healthy["pain_now_nrs"] > 1).mean() < 0.05


@pytest.mark.parametrize("table", TABLES)
def test_no_number_is_a_negative_zero(study, table):
    numbers = getattr(study, table).select_dtypes("number").to_numpy(dtype=float)

    assert not (np.signbit(numbers) & (numbers == 0)).any()


# ---- missing values


def test_keys_condition_and_exercise_are_never_missing(study, exercise):
    planned = ["body_region", "loads_painful_region", "intensity_metric", "intensity_value"]

    assert study.cases[NEVER_MISSING].notna().all(axis=None)
    assert exercise[planned].notna().all(axis=None)
    assert study.measurements.notna().all(axis=None)


def test_items_and_covariates_are_missing_at_the_stated_rate(study):
    table = persons(study.cases)
    items = table.filter(regex=r"^(pcs|tsk17)_\d+$")
    covariates = ["age_years", "sex", "bmi_kg_m2", "hads_anxiety", "expectancy", "pain_now_nrs"]

    # 30 items of 400 people: .03, standard error .0016.
    assert items.isna().to_numpy().mean() == pytest.approx(0.03, abs=4 * 0.0016)
    # One column of 400 people: .03, standard error .0085.
    assert (table[covariates].isna().mean() - 0.03).abs().max() < 4 * 0.0085
    # None missing of 400 has a chance of .97^400, five in a million.
    assert table[covariates].isna().any().all()


def test_one_laboratory_measures_no_cpm(study):
    blind = study.cases["site_id"] == "lab_4"

    assert study.cases.loc[blind, [*CPM, "cpm_timing"]].isna().all(axis=None)
    assert study.cases.loc[~blind, "cpm_timing"].notna().all()
    assert study.cases.loc[~blind, CPM].notna().to_numpy().mean() > 0.9


# ---- parameters


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("condition", SETTINGS["conditions"])
def test_traits_explain_less_than_the_reliable_part(scenario, condition):
    assert 0 <= person_variance(scenario, condition) < SETTINGS["response"]["reliability"]


def test_noise_is_more_than_its_trials():
    settings = SETTINGS["response"]
    noise = settings["sigma"] ** 2 * (1 - settings["reliability"])
    trials = 4 * settings["trial_sd"] ** 2 / settings["trials"]

    assert trials / noise == pytest.approx(0.79, abs=0.005)  # as seeds/simulator.toml says
    assert trials + 2 * occasion_sd() ** 2 == pytest.approx(noise)


def test_shares_add_up():
    settings = SETTINGS["response"]

    assert sum(SETTINGS["cohort"]["share"]) == pytest.approx(1)
    assert sum(settings[f"{k}_share"] for k in ("person", "site", "exercise")) == pytest.approx(1)
    assert np.linalg.eigvalsh(trait_correlation())[0] > 0.3


def test_every_block_of_parameters_names_source_and_confidence():
    exempt = {"conditions", "correlation", "metrics", "labs", "marginals", "items", "scenarios"}
    blocks = [v for k, v in SETTINGS.items() if k not in exempt]
    blocks += [b for k in ("marginals", "items", "scenarios") for b in SETTINGS[k].values()]
    blocks += SETTINGS["correlation"]["block"]
    flat = [b for block in blocks for b in (block if isinstance(block, list) else [block])]

    assert all(b["source"] and re.match("[SMWA]", b["confidence"]) for b in flat)


def test_every_condition_is_offered_two_exercises_at_least():
    for condition in SETTINGS["conditions"]:
        assert sum(condition in e["conditions"] for e in SETTINGS["exercise"]) >= 2


# ---- the files


def test_simulate_writes_the_study_and_the_truth_apart(tmp_path):
    report = simulate(20, "base", 3, tmp_path)

    assert report == {
        "participants": 20,
        "bouts": 60,
        "measurements": 60 * (12 + 3),
        "scenario": "base",
        "seed": 3,
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "cases.parquet",
        "measurements.parquet",
        "study.json",
        "truth",
    ]
    assert [p.name for p in (tmp_path / "truth").iterdir()] == ["truth.parquet"]


def test_simulate_writes_canonical_units(tmp_path):
    simulate(20, "base", 3, tmp_path)
    written = pd.read_parquet(tmp_path / "measurements.parquet")
    raw = simulate_study(20, "base", 3).measurements
    factor = raw["unit"].map({**KPA_PER_UNIT, "0-10": 1.0})

    assert set(zip(written["measure"], written["unit"], strict=True)) == {
        ("ppt", "kPa"),
        ("pain_nrs", "0-10"),
    }
    assert raw["unit"].nunique() > 2
    np.testing.assert_allclose(written["value"], raw["value"] * factor)


def test_study_card_says_that_the_study_is_simulated(tmp_path):
    simulate(5, "null", 3, tmp_path)
    card = json.loads((tmp_path / "study.json").read_text())

    assert card["study"]["simulated"] is True
    assert card["study"]["scenario"] == "null"
    assert card["study"]["seed"] == 3
    assert card["outcome"]["subtract_rest"] is True
    assert [e["name"] for e in card["outcome"]["endpoints"]] == ["local_ppt", "remote_ppt"]


def test_simulate_writes_the_same_bytes_twice(tmp_path):
    for folder in ("a", "b"):
        simulate(20, "base", 3, tmp_path / folder)

    for name in ("cases.parquet", "measurements.parquet", "study.json", "truth/truth.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_simulate_ends_an_unknown_scenario_as_a_setting_to_mend(tmp_path):
    with pytest.raises(ConfigError, match="found 'rosy'"):
        simulate(5, "rosy", 1, tmp_path / "new")

    assert not (tmp_path / "new").exists()
