"""The simulator does what the evidence says, within a stated error.

Every property is preceded by the sentence that makes it true. Persons are the unit of every
standard error, since a person's visits share traits.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from features.columns import KEYS
from features.instruments import Instrument
from features.simulation_parameters import (
    condition_names,
    evidence_targets,
    occasion_sd,
    person_variance,
    simulation_parameters,
    trial_sd,
)
from features.simulator import simulate_study

N = 8_000
TREE = simulation_parameters()
RESPONSE = TREE["response"]
TARGETS = evidence_targets()
CONDITIONS = condition_names(TREE)
STRATUM = ["condition", "modality", "body_region", "duration_min", "relative_class"]
SITES = ("local", "remote")
QUIET = {"response.laboratory_sd": 0.0}


def changes(study):
    """Acute bouts with the change of both sites, the rest bout of the visit subtracted."""
    ppt = study.measurements[study.measurements["measure"] == "ppt"]
    # A log ratio needs no common unit: pre and post were read on one device.
    mean = ppt.groupby([*KEYS, "site_role", "timepoint"])["value"].mean().unstack("timepoint")
    bare = np.log(mean["post"] / mean["pre"]).unstack("site_role")
    pre = np.log(mean["pre"]).unstack("site_role").add_prefix("log_pre_")
    table = study.cases.merge(study.truth, on=list(KEYS))
    table = table.merge(bare.add_prefix("bare_").join(pre).reset_index(), on=list(KEYS))
    table["visit"] = table["session_id"].str[-1]
    rest = table[table["session_id"].str.startswith("rest")]
    table = table[table["session_id"].str.startswith("bout")]
    columns = [f"bare_{site}" for site in SITES]
    rest = rest[["participant_id", "visit", *columns]]
    table = table.merge(rest, on=["participant_id", "visit"], suffixes=("", "_rest"))
    for site in SITES:
        table[f"change_{site}"] = table[f"bare_{site}"] - table[f"bare_{site}_rest"]
    vigorous = {"percent_hrr": 60, "percent_hrmax": 77, "rpe_6_20": 14, "percent_vo2max": 64}
    light = {"percent_hrr": 40, "percent_hrmax": 64, "rpe_6_20": 12, "percent_vo2max": 46}
    value, metric = table["intensity_value"], table["intensity_metric"]
    table["relative_class"] = (value >= metric.map(light)) * 1 + (value >= metric.map(vigorous))
    return table.dropna(subset=[f"change_{site}" for site in SITES])  # some left before post


def figure(value, condition):
    """A published figure of one condition, or the one figure for all."""
    return value[condition] if isinstance(value, dict) else value


def persons(study):
    return study.cases.drop_duplicates("participant_id").reset_index(drop=True)


@pytest.fixture(scope="module")
def base_study():
    return simulate_study(N, "base", seed=2)


@pytest.fixture(scope="module")
def base(base_study):
    return changes(base_study)


@pytest.fixture(scope="module")
def null():
    return changes(simulate_study(N, "null", seed=3, overrides=QUIET))


@pytest.fixture(scope="module")
def totals(base_study):
    """Totals of complete forms, beside the condition."""
    people = persons(base_study)
    table = people[["condition"]].copy()
    for name in ("pcs", "tsk17"):
        form = Instrument.load(name)
        items = people[list(form.item_columns())].to_numpy(copy=True)
        complete = ~np.isnan(items).any(axis=1)
        table[name] = np.where(complete, form.score(items)["total"], np.nan)
    return table


def within(table, column, groups):
    return table[column] - table.groupby(groups)[column].transform("mean")


# ---- persons


@pytest.mark.parametrize("name", ["pcs", "tsk17"])
def test_totals_have_the_published_mean_and_sd(totals, name):
    block = TREE["marginals"][f"{name}_total"]
    for condition in CONDITIONS:
        scores = totals.loc[totals["condition"] == condition, name].dropna()
        mean, sd = (figure(block[k], condition) for k in ("mean", "sd"))
        error = sd / np.sqrt(len(scores))

        # The mean is met by construction: four standard errors, and .2 points for rounding.
        assert abs(scores.mean() - mean) < 4 * error + 0.2, condition
        # The SD rests on alpha, which differs by condition: .5 points beside its own error.
        assert abs(scores.std() - sd) < 4 * error / np.sqrt(2) + 0.5, condition


@pytest.mark.parametrize("name", ["age_years", "bmi_kg_m2"])
def test_bodies_have_the_published_mean(base_study, name):
    people = persons(base_study)
    block = TREE["marginals"][name]
    for condition in CONDITIONS:
        values = people.loc[people["condition"] == condition, name].dropna()
        error = values.std() / np.sqrt(len(values))
        # Bounds cut the tails: a tenth of an SD beside four standard errors.
        tolerance = 4 * error + 0.1 * values.std()
        assert values.mean() == pytest.approx(figure(block["mean"], condition), abs=tolerance)


@pytest.mark.parametrize(("name", "tolerance"), [("pcs", 0.03), ("tsk17", 0.06)])
def test_items_have_the_published_alpha(base_study, name, tolerance):
    people, form = persons(base_study), Instrument.load(name)
    for condition in CONDITIONS:
        rows = people[people["condition"] == condition]
        items = rows[list(form.item_columns())].dropna()
        for number in form.reversed_items:
            item = form.items[number - 1]
            items[f"{name}_{number}"] = item.low + item.high - items[f"{name}_{number}"]
        k = len(form.items)
        ratio = items.var(ddof=1).sum() / items.sum(axis=1).var(ddof=1)

        # One noise serves all conditions: alpha rises with the spread of a condition.
        alpha = TREE["items"][name]["alpha"]
        assert k / (k - 1) * (1 - ratio) == pytest.approx(alpha, abs=tolerance), condition


def test_totals_correlate_as_published(totals):
    # On the scale of totals: the latent correlation was raised by both alphas.
    complete = totals.dropna()
    centred = complete[["pcs", "tsk17"]] - complete.groupby("condition").transform("mean")

    published = TREE["correlation"]["pcs"]["tsk"]
    # Standard error .75 / sqrt(n) = .01; floor and ceiling take a little.
    assert centred.corr().iloc[0, 1] == pytest.approx(published, abs=0.04)


def test_catastrophizing_splits_as_published(base_study):
    # The published clinic mean is 29.8; fibromyalgia (27) is the nearest condition.
    rows = persons(base_study).query("condition == 'fibromyalgia'")
    form = Instrument.load("pcs")
    scores = form.score(rows[list(form.item_columns())].dropna().to_numpy())
    for scale in ("rumination", "magnification", "helplessness"):
        share = scores[scale].mean() / scores["total"].mean()
        assert share == pytest.approx(TARGETS[f"pcs_split.{scale}"], abs=0.02)


# ---- noise


@pytest.mark.parametrize("site", SITES)
def test_observed_change_has_its_sd_and_reliability(base, site):
    # Within stratum and laboratory what is left is sigma^2, of which the reliable part is true.
    # Fibromyalgia spreads more in both parts: the ratio is the same, the SD is not.
    groups = [*STRATUM, "site_id"]
    table = base[base["condition"] != "fibromyalgia"]
    true = within(table, f"true_response_{site}_log", groups)
    observed = within(table, f"change_{site}", groups)

    # A variance of 7,000 persons has a relative error of sqrt(2 / 7,000) = .017, so the SD one
    # of .0012 and the ratio one of .008; small strata lose a little more.
    assert observed.std() == pytest.approx(RESPONSE["sigma"], abs=0.005)
    assert true.var() / observed.var() == pytest.approx(RESPONSE["reliability"], abs=0.035)
    # The regression of observed on true has slope 1: the noise knows nothing of the truth.
    assert np.cov(true, observed)[0, 1] / true.var() == pytest.approx(1, abs=0.05)


def test_repeated_sessions_of_one_exercise_have_the_reliability_as_their_correlation(base):
    # Every bout has the rest bout of its own visit: two changes share nothing but what is
    # stable, so that their correlation is the reliability of a single change.
    table = base.assign(left=within(base, "change_local", [*STRATUM, "site_id"]))
    wide = table.pivot(index="participant_id", columns="session_id", values="left").dropna()
    different = RESPONSE["reliability"] - RESPONSE["exercise_share"] * (
        RESPONSE["reliability"] - person_variance(TREE, "base", "healthy")
    )

    # Standard error (1 - r^2) / sqrt(1,900) = .018.
    first = wide["bout_1"]
    assert first.corr(wide["bout_3"]) == pytest.approx(RESPONSE["reliability"], abs=4 * 0.018)
    assert first.corr(wide["bout_2"]) == pytest.approx(different, abs=4 * 0.018)


@pytest.mark.parametrize("site", SITES)
def test_half_of_the_noise_is_the_rest_bouts(base, site):
    expected = RESPONSE["sigma"] ** 2 * (1 - RESPONSE["reliability"]) / 2
    table = base[base["condition"] != "fibromyalgia"]

    # Relative error of the variance sqrt(2 / 14,000) = .012; rounding to .05 kgf/cm2 adds .01.
    assert table[f"bare_{site}_rest"].var() == pytest.approx(expected, rel=0.06)


def test_trials_make_the_stated_share_of_the_noise(base_study):
    people = persons(base_study).set_index("participant_id")
    ppt = base_study.measurements.query("measure == 'ppt' and unit == 'kPa'")
    # Devices read in steps of 1 kPa here: rounding adds nothing that matters.
    ppt = ppt[ppt["participant_id"].map(people["condition"]) != "fibromyalgia"]
    log_value = np.log(ppt["value"])
    block = log_value.groupby([ppt[c] for c in (*KEYS, "site_role", "timepoint")])
    trial_variance = block.var().mean()
    noise = RESPONSE["sigma"] ** 2 * (1 - RESPONSE["reliability"])

    # More than 50,000 blocks of two degrees of freedom: relative error below .005.
    assert np.sqrt(trial_variance) == pytest.approx(trial_sd(TREE), rel=0.02)
    share = RESPONSE["trial_share"]
    assert 4 * trial_variance / 3 / noise == pytest.approx(share, abs=0.03)
    assert 2 * occasion_sd(TREE) ** 2 / noise == pytest.approx(1 - share)


def test_baseline_block_is_not_coupled_to_the_outcome_but_the_pre_block_is(null):
    # Without any effect of the person, only shared noise can make a correlation with change.
    groups = [*STRATUM, "site_id"]
    left = within(null, "change_local", groups)
    baseline = np.log(null["ppt_baseline_local_kpa"])
    table = null.assign(baseline=baseline, pre_beyond=null["log_pre_local"] - baseline)

    # cov(pre, change) = -trial_sd^2 / 3, SD of pre about the baseline day .22: r = -.07.
    # Standard error 1 / sqrt(8,000) = .011.
    assert left.corr(within(table, "pre_beyond", groups)) == pytest.approx(-0.07, abs=0.045)
    assert abs(left.corr(within(table, "baseline", groups))) < 0.045


@pytest.mark.parametrize("sigma", [0.14, 0.5])
def test_coupling_of_pre_and_change_has_the_size_of_the_arithmetic(sigma):
    # Two readings of one level with nothing between them, whose correlation is rho:
    # r(pre, post - pre) is -sqrt((1 - rho) / 2). Rest bouts are such pairs.
    study = simulate_study(N, "null", seed=4, overrides={**QUIET, "response.sigma": sigma})
    ppt = study.measurements.query(
        "measure == 'ppt' and site_role == 'local' and unit == 'kPa' and session_id == 'rest_1'"
    )
    people = persons(study).query("condition == 'healthy'")["participant_id"]
    ppt = ppt[ppt["participant_id"].isin(people)]
    wide = np.log(ppt.groupby(["participant_id", "timepoint"])["value"].mean()).unstack()

    rho = wide.corr().loc["pre", "post"]
    r = wide["pre"].corr(wide["post"] - wide["pre"])

    # Standard error below 1 / sqrt(1,000) = .03; equal spread before and after to that accuracy.
    assert r == pytest.approx(-np.sqrt((1 - rho) / 2), abs=4 * 0.03)
    assert TARGETS["coupling.75"] == pytest.approx(-np.sqrt(0.25 / 2), abs=0.005)
    assert TARGETS["coupling.90"] == pytest.approx(-np.sqrt(0.10 / 2), abs=0.005)


def test_baseline_block_is_of_another_day(null):
    # Two days and two blocks of three trials lie between the baseline and the bout's pre.
    labs = [name for name, lab in TREE["labs"].items() if lab["unit"] == "kPa"]
    table = null[(null["condition"] != "fibromyalgia") & null["site_id"].isin(labs)]
    apart = np.log(table["ppt_baseline_local_kpa"]) - table["log_pre_local"]
    expected = np.sqrt(2 * RESPONSE["day_sd"] ** 2 + 2 * trial_sd(TREE) ** 2 / 3)

    # Relative error of an SD of 2,800 persons 1 / sqrt(5,600) = .013.
    assert apart.std() == pytest.approx(expected, rel=0.05)


# ---- response


def test_null_scenario_has_no_linear_predictor(null):
    assert (null["linear_predictor"] == 0).all()


@pytest.mark.parametrize("predictor", ["expectancy", "hads_1", "pcs_5", "ts_last_nrs"])
def test_null_truth_does_not_depend_on_the_person_within_a_stratum(null, predictor):
    groups = [*STRATUM, "site_id"]
    x = within(null, predictor, groups)

    # Standard error 1 / sqrt(8,000) = .011 where all bouts of a person count as one.
    for truth in ("true_response_local_log", "true_response_remote_log"):
        assert abs(x.corr(within(null, truth, groups))) < 4 * 0.0112


def test_null_flare_depends_on_condition_and_exercise_only(null):
    assert null.groupby(STRATUM)["p_flare"].nunique().max() == 1


@pytest.mark.parametrize(("predictor", "sign"), [("expectancy", 1), ("hads_1", -1)])
def test_base_truth_depends_on_the_person_within_a_stratum(base, predictor, sign):
    groups = [*STRATUM, "site_id"]
    truth = within(base, "true_response_local_log", groups)

    assert sign * within(base, predictor, groups).corr(truth) > 0.1


@pytest.mark.parametrize("scenario", ["null", "pessimistic", "base", "optimistic"])
def test_linear_predictor_explains_what_the_scenario_says(scenario):
    study = simulate_study(4_000, scenario, seed=1)
    truth = study.truth.merge(study.cases[[*KEYS, "condition"]], on=list(KEYS))
    truth = truth[truth["session_id"] == "bout_1"]
    left = within(truth, "linear_predictor", ["condition"])
    r2 = TARGETS.get(f"r2.{scenario}", 0.0)

    # In units of sigma^2. Relative error sqrt(2 / 4,000) = .022; interactions (knee, neck)
    # move the pooled figure by less than .01.
    assert left.var() == pytest.approx(r2, abs=0.01 + 4 * 0.022 * r2)


def bouts_of(table, condition, exercise):
    intensity = (exercise["relative"] >= 0.4) + (exercise["relative"] >= 0.6)
    return table[
        (table["condition"] == condition)
        & (table["modality"] == exercise["modality"])
        & (table["body_region"] == exercise["body_region"])
        & (table["duration_min"] == exercise["duration_min"])
        & ((table["modality"] != "aerobic") | (table["relative_class"] == intensity))
    ]


@pytest.mark.parametrize("name", TREE["exercise"])
def test_strata_have_their_published_means(null, name):
    exercise = TREE["exercise"][name]
    table = null[null["age_years"] < 50] if "mean_old" in exercise else null
    for condition in exercise["conditions"]:
        bouts = bouts_of(table, condition, exercise)
        for site in SITES:
            # Noise averages out: the SD of a change is .14 (fibromyalgia .17).
            error = 1.2 * RESPONSE["sigma"] / np.sqrt(len(bouts))
            mean = exercise["mean"][site]
            assert bouts[f"change_{site}"].mean() == pytest.approx(mean, abs=4 * error)


def test_handgrip_turns_with_age(null):
    handgrip = TREE["exercise"]["handgrip"]
    bouts = bouts_of(null, "healthy", handgrip)
    old = bouts[bouts["age_years"] >= 60]

    # The truth has the SD of the reliable part, .09.
    error = RESPONSE["sigma"] * np.sqrt(RESPONSE["reliability"] / len(old))
    truth = old["true_response_local_log"].mean()
    assert truth == pytest.approx(handgrip["mean_old"]["local"], abs=4 * error)


# ---- what a model can hope for


@pytest.fixture(scope="module")
def local():
    """Local endpoint: classes by the SEM of the change, taken from the rest bouts."""
    table = changes(simulate_study(10_000, "base", seed=5, overrides=QUIET))
    # The change holds the noise of two bouts, rest that of one.
    sem_change = np.sqrt(2) * table["bare_local_rest"].std()
    return table.assign(
        sem_change=sem_change,
        response=table["change_local"] > sem_change,
        hyperalgesia=table["change_local"] < -sem_change,
        stratum=table.groupby(STRATUM)["true_response_local_log"].transform("mean"),
    )


def test_shares_of_responders_are_those_of_the_evidence(local):
    # Pooled over the strata of the evidence; standard error .004; the design here weighs the
    # exercises of a condition alike: tolerance .03.
    for target in ("response", "hyperalgesia"):
        assert local[target].mean() == pytest.approx(TARGETS[f"share.{target}"], abs=0.03)


def test_stratum_alone_reaches_the_auc_of_the_evidence(local):
    # Condition and exercise alone; standard error .005; the weights of the strata differ from
    # those of the evidence: .03.
    found = roc_auc_score(local["response"], local["stratum"])
    assert found == pytest.approx(TARGETS["auc_stratum"], abs=0.03)


def test_known_coefficients_reach_the_auc_of_the_evidence(local):
    known = local["stratum"] + RESPONSE["sigma"] * local["linear_predictor"]

    # Standard error .005.
    found = roc_auc_score(local["response"], known)
    assert found == pytest.approx(TARGETS["auc_known.base"], abs=0.02)


def test_known_coefficients_explain_the_stated_share_of_one_observed_change(local):
    # The evidence's R2 of .13: of the variance of one observed change within its stratum.
    table = local[local["condition"] != "fibromyalgia"]
    observed = within(table, "change_local", STRATUM)
    explained = within(table, "linear_predictor", STRATUM)

    # Standard error of an R2 of .13 with 9,000 persons: 2 * .36 * .87 / 95 = .007.
    assert observed.corr(explained) ** 2 == pytest.approx(TARGETS["r2.base"], abs=0.03)


@pytest.mark.parametrize(
    ("target", "of_sem"), [("sem_change", 1.0), ("sem_single", 1 / np.sqrt(2)), ("mdc95", 1.96)]
)
def test_noise_alone_gives_the_stated_share_of_responders(target, of_sem):
    # Without any response only noise passes the threshold. The SEM of the change here is that
    # of a bare pre-post difference; a rest bout is nothing but such a difference.
    study = simulate_study(4_000, "null", seed=6, overrides=QUIET)
    rest = changes(study)["bare_local_rest"]

    # 8,000 bouts of 4,000 persons: standard error below .006.
    share = (rest > of_sem * rest.std()).mean()
    assert share == pytest.approx(TARGETS[f"noise_only.{target}"], abs=4 * 0.006)


@pytest.mark.parametrize("reliability", [20, 45, 60])
def test_the_truth_reaches_the_ceiling_of_its_reliability(reliability):
    # What a perfect model of the person reaches against a median split of one change.
    overrides = {**QUIET, "response.reliability": reliability / 100}
    table = changes(simulate_study(6_000, "null", seed=7, overrides=overrides))
    table = table[(table["session_id"] == "bout_1") & (table["condition"] != "fibromyalgia")]
    true = within(table, "true_response_local_log", STRATUM)
    observed = within(table, "change_local", STRATUM)

    # Standard error of an AUC of 5,400 persons: .007.
    found = roc_auc_score(observed > observed.median(), true)
    assert found == pytest.approx(TARGETS[f"auc_ceiling.{reliability}"], abs=4 * 0.007)


# ---- flare


def test_flares_happen_as_often_as_the_truth_says(base_study):
    pain = base_study.measurements.query("measure == 'pain_nrs'")
    wide = pain.pivot_table(index=list(KEYS), columns="timepoint", values="value")
    wide = wide.dropna(subset=["post", "post_24h"])
    rise = wide[["post", "post_24h"]].max(axis=1) - wide["pre"]
    table = base_study.truth.set_index(list(KEYS)).join(rise.rename("rise"), how="inner")
    # Those who left after a flare are not seen: the share among those who stayed is
    # p (1 - a) / (p (1 - a) + (1 - p) (1 - b)), a and b the chances to leave with and without.
    rule = TREE["missing"]["not_at_random"]
    acute = table.index.get_level_values("session_id").str.startswith("bout")
    p = table["p_flare"].where(~acute, _seen(table["p_flare"], rule))
    table = table.assign(p=p, flare=(table["rise"] >= 2).astype(float))
    tenth = pd.qcut(table["p"], 10, duplicates="drop")
    observed = table.groupby(tenth, observed=True)[["flare", "p"]].mean()
    size = table.groupby(tenth, observed=True).size()
    error = np.sqrt(observed["p"] * (1 - observed["p"]) / size)

    assert ((observed["flare"] - observed["p"]).abs() < 4 * error).all()


def _seen(p, rule):
    with_flare, without = 1 - rule["with_flare"], 1 - rule["without_flare"]
    return p * with_flare / (p * with_flare + (1 - p) * without)


def test_flare_rates_of_calm_exercise_are_those_of_the_conditions(base):
    # A bout that neither loads the painful region nor is vigorous.
    calm = base[(base["loads_painful_region"] == 0) & (base["relative_class"] < 2)]
    for condition in CONDITIONS:
        rows = calm[calm["condition"] == condition]
        if len(rows):  # every exercise of fibromyalgia loads a painful region
            # Spread of p_flare within a condition is at most .15; approximation of the
            # intercept: .01.
            tolerance = 4 * 0.15 / np.sqrt(rows["participant_id"].nunique()) + 0.01
            rate = figure(TREE["flare"]["rate"], condition)
            assert rows["p_flare"].mean() == pytest.approx(rate, abs=tolerance), condition
