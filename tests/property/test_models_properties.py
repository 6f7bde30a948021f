"""What must hold for any data: splits, figures, calibration and bundles.

Every property is preceded by the sentence that makes it true.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from models.bundle import Bundle, from_files, to_files
from models.calibration import calibration_in_the_large, recalibrate
from models.errors import BundleError, NotEnoughDataError
from models.metrics import Judged, auc, bootstrap_weights, brier, with_interval
from models.scorers import BoostedScorer, ConstantScorer, LinearScorer, StratumScorer
from models.splits import SplitPlan, make_split_plan

BUNDLES = {
    "constant": ConstantScorer(0.25),
    "stratum": StratumScorer(("a",), {"1": 0.5}, 0.25),
    "linear": LinearScorer(("a",), (0.0,), ("a",), (1.0, 0.5), (2.0, 0.5), (1.0, -1.0), 0.1),
    "boosted": BoostedScorer(("a",), b"{"),
}


@st.composite
def outcomes_of_persons(draw):
    """0/1 outcomes of up to 60 rows that belong to up to 20 persons, in any order."""
    n = draw(st.integers(1, 60))
    person = draw(st.lists(st.integers(0, 19), min_size=n, max_size=n))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    return np.array(y, dtype=float), np.array(person)


@st.composite
def predictions(draw, low=0.01, high=0.99):
    """Outcomes of both classes with risks on a coarse grid (ties) and weights of 0 to 3."""
    n = draw(st.integers(2, 40))
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), dtype=float)
    grid = st.integers(0, 20).map(lambda k: low + (high - low) * k / 20)
    risk = np.array(draw(st.lists(grid, min_size=n, max_size=n)))
    weights = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=float)
    assume((weights @ y) > 0)
    assume((weights @ (1 - y)) > 0)
    return y, risk, weights


def every_split(plan):
    inner = [split for fold in plan.folds for split in fold.inner]
    return [*((f.train, f.test) for f in plan.folds), *inner, *plan.final]


def judged_rows(y):
    return Judged(y, np.arange(len(y)), np.zeros((1, len(y)), dtype=int))


# ---- splits


@settings(deadline=None, max_examples=80)
@given(outcomes_of_persons(), st.integers(2, 4), st.integers(2, 4), st.integers(0, 5))
def test_a_plan_never_has_a_person_on_both_sides_or_is_refused(rows, folds, inner_folds, seed):
    # Persons are dealt into folds, and rows follow their person.
    y, person = rows
    try:
        plan = make_split_plan(
            y, person, repeats=2, folds=folds, inner_folds=inner_folds, seed=seed
        )
    except NotEnoughDataError:
        with_event = len(set(person[y == 1]))
        assert min(with_event, len(set(person)) - with_event) < folds
        return

    for train, test in every_split(plan):
        assert not set(person[train]) & set(person[test])
        assert len(train)
        assert len(test)
    for repeat in range(2):
        tested = np.concatenate([f.test for f in plan.folds if f.repeat == repeat])
        assert sorted(tested) == list(range(len(y)))


@settings(deadline=None, max_examples=40)
@given(outcomes_of_persons(), st.integers(0, 5))
def test_every_fold_holds_persons_of_both_kinds_on_both_sides(rows, seed):
    # Stratified by person with at least as many persons of each kind as folds.
    y, person = rows
    with_event = np.isin(person, person[y == 1])
    assume(min(len(set(person[with_event])), len(set(person[~with_event]))) >= 3)

    plan = make_split_plan(y, person, repeats=1, folds=3, inner_folds=2, seed=seed)

    for train, test in every_split(plan):
        assert set(with_event[train]) == {True, False}
        assert set(with_event[test]) == {True, False}


@settings(deadline=None, max_examples=40)
@given(outcomes_of_persons(), st.integers(0, 5))
def test_a_plan_is_the_same_after_json(rows, seed):
    # A plan is integers only.
    y, person = rows
    try:
        plan = make_split_plan(y, person, repeats=1, folds=2, inner_folds=2, seed=seed)
    except NotEnoughDataError:
        assume(False)

    read = SplitPlan.from_dict(json.loads(json.dumps(plan.to_dict())))

    assert read.sha256() == plan.sha256()


# ---- figures


@settings(deadline=None, max_examples=100)
@given(predictions())
def test_auc_is_that_of_scikit_learn_on_repeated_rows(rows):
    # An integer weight is so many copies of a row; ties count one half in both.
    y, risk, weights = rows
    copies = np.repeat(np.arange(len(y)), weights.astype(int))

    found = auc(judged_rows(y), risk, weights[None], np.zeros(len(y), dtype=int))

    assert found[0] == pytest.approx(roc_auc_score(y[copies], risk[copies]), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(predictions())
def test_auc_sees_ranks_only_and_turns_round_with_them(rows):
    # A monotone transform keeps every pair's order; a falling one swaps it.
    y, risk, weights = rows
    one_block = np.zeros(len(y), dtype=int)
    found = auc(judged_rows(y), risk, weights[None], one_block)

    transformed = auc(judged_rows(y), risk**3, weights[None], one_block)
    turned = auc(judged_rows(y), 1 - risk, weights[None], one_block)

    assert transformed[0] == pytest.approx(found[0], abs=1e-12)
    assert turned[0] == pytest.approx(1 - found[0], abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(predictions(), st.integers(0, 5))
def test_auc_over_folds_is_the_mean_weighted_by_pairs(rows, seed):
    # Pairs within folds are all there is; each counts once.
    y, risk, weights = rows
    block = np.random.default_rng(seed).integers(0, 3, len(y))
    judged = judged_rows(y)
    won = pairs = 0.0
    for b in range(3):
        inside = weights * (block == b)
        count = (inside @ y) * (inside @ (1 - y))
        if count:
            won += count * auc(judged, risk, inside[None], np.zeros(len(y), dtype=int))[0]
            pairs += count

    found = auc(judged, risk, weights[None], block)

    assert found[0] == pytest.approx(won / pairs, abs=1e-12) if pairs else np.isnan(found[0])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=20), st.integers(0, 5))
def test_a_resample_weighs_all_rows_of_a_person_alike(sizes, seed):
    # Persons are drawn, as many as there are.
    person = np.repeat(np.arange(len(sizes)), sizes)
    judged = Judged(np.zeros(len(person)), person, np.zeros((1, len(person)), dtype=int))

    weights = bootstrap_weights(judged, 20, seed)

    draws = np.array([weights[:, person == p].mean(axis=1) for p in range(len(sizes))]).T
    np.testing.assert_array_equal(weights, draws[:, person])
    np.testing.assert_array_equal(draws.sum(axis=1), len(sizes))
    np.testing.assert_array_equal(weights.sum(axis=1), draws @ np.array(sizes))


# ---- calibration


@settings(deadline=None, max_examples=150)
@given(predictions(low=1e-4, high=1 - 1e-4))
def test_calibration_in_the_large_makes_the_mean_risk_the_event_rate(rows):
    # The score equation of an intercept: the sum of w (y - p) is zero.
    y, risk, weights = rows
    log_odds = np.log(risk / (1 - risk))

    shift = calibration_in_the_large(y, log_odds, weights[None])[0]

    shifted = 1 / (1 + np.exp(-(log_odds + shift)))
    assert weights @ (y - shifted) == pytest.approx(0, abs=1e-7 * weights.sum())


@settings(deadline=None, max_examples=150)
@given(predictions())
def test_recalibration_solves_both_score_equations_or_is_nan_for_a_reason(rows):
    # At a maximum both sums are zero; without overlap of the classes there is no maximum.
    y, risk, weights = rows
    log_odds = np.log(risk / (1 - risk))
    used = weights > 0
    events, others = log_odds[used & (y == 1)], log_odds[used & (y == 0)]
    overlap = events.min() < others.max() - 1e-9 and others.min() < events.max() - 1e-9

    intercept, slope = (v[0] for v in recalibrate(y, log_odds, weights[None]))

    assert np.isfinite(slope) == overlap
    if overlap:
        residual = weights * (y - 1 / (1 + np.exp(-(intercept + slope * log_odds))))
        assert residual.sum() == pytest.approx(0, abs=1e-7 * weights.sum())
        assert residual @ log_odds == pytest.approx(0, abs=1e-6 * weights.sum())


# ---- bundles


def resealed(files):
    content = {name: body for name, body in files.items() if name != "manifest.json"}
    manifest = {name: hashlib.sha256(body).hexdigest() for name, body in content.items()}
    return {**content, "manifest.json": json.dumps(manifest).encode()}


def read_or_refuse(files):
    try:
        from_files(files, "place")
    except BundleError as error:
        return str(error)
    return ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "format", "columns", "x"]), part, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", BUNDLES)
@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(["manifest.json", "bundle.json", "scorer.json", "booster.ubj"]),
    content=st.binary(max_size=60) | JSON.map(lambda c: json.dumps(c).encode()),
    seal=st.booleans(),
)
def test_no_content_of_any_file_raises_anything_but_a_bundle_error(kind, name, content, seal):
    # Reading parses JSON and looks at its shape; it never runs what it reads.
    bundle = Bundle("response", kind, BUNDLES[kind], (), {}, {}, {})
    files = {**to_files(bundle), name: content}

    message = read_or_refuse(resealed(files) if seal and name != "manifest.json" else files)

    assert not message or message.startswith("place: ")


@pytest.mark.parametrize("kind", BUNDLES)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_one_changed_byte_is_always_noticed(kind, data):
    # The manifest holds the SHA-256 of every file.
    files = to_files(Bundle("response", kind, BUNDLES[kind], (), {}, {}, {}))
    name = data.draw(st.sampled_from(sorted(set(files) - {"manifest.json"})))
    content = bytearray(files[name])
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))

    message = read_or_refuse({**files, name: bytes(content)})

    assert message == f"place: the bundle is damaged: {name} was altered."


# ---- coverage


def clustered_losses(seed, n_persons=60, n_rows=3):
    """Persons with a risk of .1 or .9 of their own, and predictions of .3 or .6 at random."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n_persons), n_rows)
    y = (rng.random(len(person)) < rng.choice([0.1, 0.9], n_persons)[person]).astype(float)
    return y, person, rng.choice([0.3, 0.6], n_persons)[person]


def coverage(by_person, n_simulations=200):
    """Share of simulated studies whose 95 % interval of the Brier score holds the true value."""
    # E (y - r)² = E y (1 - 2 r) + r² with E y = 1/2: 1/2 - r + r², at .3 and at .6.
    truth = ((0.5 - 0.3 + 0.3**2) + (0.5 - 0.6 + 0.6**2)) / 2
    hits = 0
    for seed in range(n_simulations):
        y, person, risk = clustered_losses(seed)
        judged = Judged(
            y, person if by_person else np.arange(len(y)), np.zeros((1, len(y)), dtype=int)
        )
        found = with_interval(brier(judged, risk, bootstrap_weights(judged, 400, seed)), "")
        hits += found.lower <= truth <= found.upper
    return hits / n_simulations


def test_the_interval_over_persons_covers_the_truth_as_often_as_it_says():
    # Standard error of a share of .95 in 200 simulations: sqrt(.95 * .05 / 200) = .015. The
    # percentile bootstrap of 60 persons is known to fall a little short.
    assert 0.90 <= coverage(by_person=True) <= 0.99


def test_the_same_interval_over_rows_would_cover_far_too_rarely():
    # Losses of one person correlate by about .6, so that three rows are worth 3 / (1 + 2 * .6) =
    # 1.4: the interval is 1.5 times too narrow, and covers near .81 (standard error .03).
    assert coverage(by_person=False) < 0.90
