"""Nested models of a marker: tests, shape, interaction, settings; p values; attenuation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, ncx2
from scipy.stats import f as f_distribution

from models.attenuation import averaged_reliability, disattenuate, remaining_share
from models.biomarker import coefficients, compare
from models.confirmation import persons_for_r2, persons_to_confirm
from models.errors import NotEnoughDataError
from models.linear_increment import explained_by_base, linear_increment
from models.marker_settings import heterogeneity, interaction
from models.marker_shape import shape
from models.multiplicity import benjamini_hochberg, holm
from models.nested import Nested, fit_nested, reduced
from models.score_test import score_test


def draw(n: int = 400, effect: float = 1.0, bouts: int = 1, seed: int = 1, **more: float) -> Nested:
    """People with one base column and a marker of known effect on the log-odds."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n), bouts)
    base, marker = rng.normal(size=(2, n))
    eta = (-0.3 + 0.5 * base + effect * marker + more.get("curve", 0.0) * (marker**2 - 1))[person]
    y = (rng.random(len(person)) < 1 / (1 + np.exp(-eta))).astype(float)
    return Nested(y, base[person][:, None], marker[person][:, None], person)


def test_a_linear_function_of_the_base_adds_nothing() -> None:
    data = draw()
    proxy = Nested(data.y, data.base, 3 - 2 * data.base, data.person)

    kept = reduced(proxy)
    test = compare(kept, fit_nested(kept))

    assert (test["likelihood_ratio"]["statistic"], test["likelihood_ratio"]["df"]) == (0.0, 0)
    assert test["adequacy"] == {"base": 1.0, "new_information": 0.0}
    assert "linear function" in test["likelihood_ratio"]["reason"]


def test_constant_and_repeated_columns_are_left_out_of_the_base() -> None:
    data = draw()
    wide = np.column_stack([data.base, np.ones(len(data.y)), 2 * data.base + 1])

    kept = reduced(Nested(data.y, wide, data.added, data.person))

    assert kept.base.shape[1] == 1
    assert kept.added.shape[1] == 1


def test_too_few_persons_for_the_coefficients_are_refused() -> None:
    data = draw(n=5)

    with pytest.raises(NotEnoughDataError, match="found . events in 5 rows"):
        reduced(data)


def test_copied_bouts_leave_the_test_where_the_plain_one_falls() -> None:
    data = draw(n=150, effect=0.3, bouts=2)
    copies = Nested(
        *(np.concatenate([part] * 4) for part in (data.y, data.base, data.added, data.person))
    )

    tests, tests_of_copies = (compare(d, fit_nested(d)) for d in (data, copies))
    once, four = tests["likelihood_ratio"], tests_of_copies["likelihood_ratio"]

    assert four["statistic"] == pytest.approx(4 * once["statistic"], rel=1e-6)
    assert four["p_value_independent_rows"] < once["p_value"] ** 2
    assert four["p_value"] == pytest.approx(once["p_value"], rel=1e-9)
    assert tests_of_copies["test"]["p_value"] == four["p_value"]


def test_the_score_test_of_a_table_is_pearsons_chi_square_made_smaller() -> None:
    a, b, c, d = 12, 8, 6, 14
    y = np.repeat([1.0, 0.0, 1.0, 0.0], [a, b, c, d])
    exposed = np.repeat([1.0, 1.0, 0.0, 0.0], [a, b, c, d])[:, None]
    n = a + b + c + d

    found = score_test(y, np.empty((n, 0)), exposed, np.arange(n))

    pearson = n * (a * d - b * c) ** 2 / ((a + b) * (c + d) * (a + c) * (b + d))
    assert found.statistic == pytest.approx(pearson * (n - 1) / n)
    assert found.p_value == pytest.approx(f_distribution.sf(pearson * (n - 1) / n, 1, n - 2))


def test_the_score_test_of_repeated_rows_is_hotellings_of_the_persons_sums() -> None:
    data = draw(n=50, bouts=3)
    empty = np.empty((len(data.y), 0))

    found = score_test(data.y, empty, data.added, data.person)

    score = (data.added[:, 0] - data.added.mean()) * (data.y - data.y.mean())
    sums = score.reshape(50, 3).sum(axis=1)
    t_squared = 50 * sums.mean() ** 2 / sums.var(ddof=1)
    # Two coefficients were fitted: 48 degrees of freedom stand where 49 would.
    assert found.statistic == pytest.approx(t_squared * 48 / 49)
    assert (found.df, found.df_persons) == (1, 48)


def test_the_score_test_stands_where_the_base_separates() -> None:
    data = draw(n=60)
    base = np.where(data.y == 1, 1.0, -1.0)[:, None] + 0.1 * data.base

    found = score_test(data.y, base, data.added, data.person)

    assert 0 < found.p_value < 1


def test_firth_is_said_where_the_marker_separates() -> None:
    data = draw(n=40)
    marker = np.where(data.y == 1, 1.0, -1.0)[:, None] + 0.1 * data.added
    data = Nested(data.y, data.base, marker, data.person)

    fits = fit_nested(data)
    test = compare(data, fits)["likelihood_ratio"]
    row = coefficients(data, fits)[0]

    assert fits.full.firth
    assert "Firth" in test["method"]
    assert test["p_value"] < 1e-6
    assert 0 < row["per_unit"]["lower"] < row["per_unit"]["estimate"] < np.inf


def test_a_curve_is_told_from_a_line() -> None:
    # Noncentralities: none for the line; the curve's is far beyond 30.
    line, curve = draw(effect=0.7, seed=3), draw(n=800, effect=0.5, curve=0.5, seed=3)

    assert shape(line)["nonlinear"]["p_value"] > 0.01
    assert shape(curve)["nonlinear"]["p_value"] < 1e-4


def test_a_shape_is_not_tested_of_a_marker_with_two_values() -> None:
    data = draw()
    binary = Nested(data.y, data.base, (data.added > 0).astype(float), data.person)

    assert "too few different values" in shape(binary)["reason"]


def test_interaction_finds_an_association_that_differs_between_levels() -> None:
    first, second = draw(effect=1.2, seed=4), draw(effect=-1.2, seed=5)
    both = Nested(
        np.r_[first.y, second.y],
        np.vstack([first.base, second.base]),
        np.vstack([first.added, second.added]),
        np.arange(800),
    )
    level = np.repeat(["aerobic", "isometric"], 400)

    found = interaction(both, level)

    assert found["df"] == 1
    assert found["p_value"] < 1e-6


def test_interaction_leaves_out_small_levels_and_counts_them() -> None:
    data = draw()
    level = np.where(np.arange(400) < 10, "rare", "usual")

    found = interaction(data, level)

    assert (found["levels"], found["n_left_out"]) == (["usual"], 10)
    assert found["reason"] == "fewer than two usable levels"


def test_settings_are_pooled_per_common_sd() -> None:
    data = draw(n=900, effect=0.8, seed=6)
    setting = np.repeat(["a", "b", "c"], 300)

    found = heterogeneity(data, setting)

    assert [r["setting"] for r in found["settings"]] == ["a", "b", "c"]
    pooled = found["pooled"]
    # Three settings of 300: standard error of the mean about 0.08; four of them.
    assert pooled["estimate"] == pytest.approx(0.8, abs=0.32)
    assert pooled["prediction_lower"] <= pooled["lower"] <= pooled["estimate"]


def test_increment_of_r2_is_the_squared_partial_correlation_of_what_is_left() -> None:
    data = draw(n=300)
    rng = np.random.default_rng(7)
    change = data.base[:, 0] + 0.5 * data.added[:, 0] + rng.normal(size=300)

    found = linear_increment(change, data)

    def residual(values: np.ndarray) -> np.ndarray:
        design = np.column_stack([np.ones(300), data.base])
        return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]

    partial = np.corrcoef(residual(change), residual(data.added[:, 0]))[0, 1] ** 2
    assert found["r2_increment"] == pytest.approx(partial * (1 - found["r2_base"]))


def test_holm_and_benjamini_hochberg_leave_what_was_not_tried_out() -> None:
    p = np.array([0.01, np.nan, 0.02, 0.5])

    assert holm(p) == pytest.approx([3 * 0.01, np.nan, 2 * 0.02, 0.5], nan_ok=True)
    assert benjamini_hochberg(p) == pytest.approx(
        [3 * 0.01 / 1, np.nan, 3 * 0.02 / 2, 0.5], nan_ok=True
    )


def test_averaging_trials_follows_spearman_and_brown() -> None:
    assert averaged_reliability(0.6, 4) == pytest.approx(4 * 0.6 / (1 + 3 * 0.6))
    assert averaged_reliability(1.0, 5) == 1.0


def test_without_a_base_the_disattenuated_association_is_divided_by_the_reliability() -> None:
    found = disattenuate(0.4, 0.5, 0.0, averaged=(1, 3))

    assert found["disattenuated"] == pytest.approx(0.4 / 0.5)
    assert found["averaged"][0]["per_sd"] == pytest.approx(0.4)
    # Three trials: reliability 0.75.
    assert found["averaged"][1]["per_sd"] == pytest.approx(0.4 * 0.75 / 0.5)
    assert found["averaged"][1]["ratio"] == pytest.approx(0.75 / 0.5)


def test_attenuation_is_unknown_where_the_base_explains_all_that_is_reliable() -> None:
    assert np.isnan(remaining_share(0.5, 0.6))
    assert disattenuate(0.4, 0.5, 0.6)["reason"]


def test_attenuation_recovers_the_coefficient_of_the_marker_without_error() -> None:
    rng = np.random.default_rng(8)
    n = 40_000
    base = rng.normal(size=n)
    true = 0.6 * base + 0.8 * rng.normal(size=n)
    observed = true + rng.normal(scale=np.sqrt(3 / 7), size=n)  # reliability 0.7
    change = base + 0.5 * true + rng.normal(size=n)
    y = (change > 0).astype(float)
    data = Nested(y, base[:, None], observed[:, None], np.arange(n))

    per_sd = linear_increment(change, data)["per_sd"][0]["estimate"]
    found = disattenuate(per_sd, 0.7, explained_by_base(data))

    # Per SD of the observed marker. Standard error of the coefficient about 0.006, divided by
    # the share 0.6: four of them.
    assert found["disattenuated"] == pytest.approx(0.5 * observed.std(), abs=0.04)


def test_persons_to_confirm_reach_the_power_asked_for() -> None:
    found = persons_to_confirm(12.0, 2, 100)

    needed = found["power_80"]
    noncentrality = (12.0 - 2) / 100 * needed
    power = ncx2.sf(chi2.ppf(0.95, 2), 2, noncentrality)
    assert 0.8 <= power < 0.81
    assert found["power_80_at_half_the_effect"] == pytest.approx(4 * needed, abs=4)


def test_nothing_is_confirmed_where_nothing_was_added() -> None:
    assert persons_to_confirm(0.8, 1, 100)["power_80"] is None
    assert persons_for_r2(0.0, 0.1, 1)["power_90"] is None
    # f² = 0.02 / 0.9; 7.85 / f²
    assert persons_for_r2(0.02, 0.1, 1)["power_80"] == pytest.approx(7.849 / (0.02 / 0.9), abs=1)
