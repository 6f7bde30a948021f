"""Questionnaires by hand: keys, reversed items, missing items, totals as delivered."""

import numpy as np
import pandas as pd
import pytest

from features.columns import CASES_BY_NAME
from features.questionnaires import INSTRUMENTS, Instrument, build_questionnaires, score_cases

ITEMS = {"pcs": 13, "tsk17": 17, "tsk11": 11}


def form(instrument, **answers):
    """One row of items, all answered with the lowest answer but for those named item_<n>."""
    row = {f"{instrument.name}_{i}": instrument.low for i in range(1, instrument.n_items + 1)}
    given = {f"{instrument.name}_{k.removeprefix('item_')}": v for k, v in answers.items()}
    return pd.DataFrame([row | given], dtype="float64")


def one(scores, scale="total"):
    return float(scores[scale][0])


# ---- keys (Sullivan 1995; Vlaeyen 1995; Woby 2005)


def test_the_pain_catastrophizing_scale_has_its_published_key():
    pcs = Instrument.load("pcs")

    assert (pcs.n_items, pcs.low, pcs.high, pcs.reversed_items) == (13, 0, 4, ())
    assert {name: scale.members for name, scale in pcs.scales.items()} == {
        "rumination": (8, 9, 10, 11),
        "magnification": (6, 7, 13),
        "helplessness": (1, 2, 3, 4, 5, 12),
        "total": tuple(range(1, 14)),
    }


def test_the_subscales_of_the_pcs_share_out_its_items():
    scales = Instrument.load("pcs").scales
    parts = [m for s in ("rumination", "magnification", "helplessness") for m in scales[s].members]

    assert sorted(parts) == list(range(1, 14))


def test_the_tampa_scales_have_their_published_keys():
    long, short = Instrument.load("tsk17"), Instrument.load("tsk11")

    assert (long.n_items, long.low, long.high) == (17, 1, 4)
    assert long.reversed_items == (4, 8, 12, 16)
    assert (short.n_items, short.low, short.high, short.reversed_items) == (11, 1, 4, ())


@pytest.mark.parametrize(
    ("name", "low", "high"), [("pcs", 0, 52), ("tsk17", 17, 68), ("tsk11", 11, 44)]
)
def test_totals_span_the_published_range(name, low, high):
    instrument = Instrument.load(name)
    towards_fear = np.full((2, instrument.n_items), [[instrument.low], [instrument.high]], float)
    for item in instrument.reversed_items:
        towards_fear[:, item - 1] = towards_fear[::-1, item - 1]

    total = instrument.score(towards_fear)["total"]

    assert total.tolist() == [low, high]
    assert (CASES_BY_NAME[f"{name}_total"].low, CASES_BY_NAME[f"{name}_total"].high) == (low, high)


@pytest.mark.parametrize("item", range(1, 18))
def test_every_item_of_the_tsk17_counts_once_and_in_its_direction(item):
    tsk = Instrument.load("tsk17")
    lowest = 13 * 1 + 4 * (1 + 4 - 1)

    total = one(score_cases(form(tsk, **{f"item_{item}": 4}), tsk))

    assert total == lowest + (-3 if item in (4, 8, 12, 16) else +3)


@pytest.mark.parametrize(
    ("item", "scale"),
    [
        *((i, "rumination") for i in (8, 9, 10, 11)),
        *((i, "magnification") for i in (6, 7, 13)),
        *((i, "helplessness") for i in (1, 2, 3, 4, 5, 12)),
    ],
)
def test_every_item_of_the_pcs_counts_in_one_subscale_and_in_the_total(item, scale):
    pcs = Instrument.load("pcs")

    scores = score_cases(form(pcs, **{f"item_{item}": 3}), pcs)

    assert {s for s, v in scores.items() if v[0] == 3} == {scale, "total"}
    assert sum(v[0] for v in scores.values()) == 3 + 3


# ---- missing items


@pytest.mark.parametrize("name", ITEMS)
def test_one_missing_item_is_prorated_and_two_are_not(name):
    instrument = Instrument.load(name)
    n = ITEMS[name]
    answers = np.full((3, n), 2.0)
    # The items missing here are not reversed.
    answers[1, 0] = np.nan
    answers[2, [0, 1]] = np.nan
    n_reversed = len(instrument.reversed_items)
    complete = 2 * (n - n_reversed) + (1 + 4 - 2) * n_reversed

    total = instrument.score(answers)["total"]

    assert total[0] == complete
    assert total[1] == pytest.approx((complete - 2) / (n - 1) * n)
    assert np.isnan(total[2])


def test_a_missing_reversed_item_is_prorated_from_the_others_as_scored():
    tsk = Instrument.load("tsk17")
    answers = np.full((1, 17), 1.0)
    answers[0, 4 - 1] = np.nan
    others = 13 * 1 + 3 * (1 + 4 - 1)

    total = one(tsk.score(answers))

    assert total == pytest.approx(others / 16 * 17)


def test_a_subscale_is_prorated_over_its_own_items():
    pcs = Instrument.load("pcs")
    row = form(pcs, item_6=np.nan, item_7=2, item_13=3, item_8=4)

    scores = score_cases(row, pcs)

    assert one(scores, "magnification") == pytest.approx((2 + 3) / 2 * 3)
    assert one(scores, "rumination") == 4
    assert one(scores, "total") == pytest.approx((2 + 3 + 4) / 12 * 13)


def test_two_missing_items_empty_the_scales_they_belong_to_and_no_other():
    pcs = Instrument.load("pcs")

    scores = score_cases(form(pcs, item_1=np.nan, item_2=np.nan), pcs)

    empty = {scale for scale, values in scores.items() if np.isnan(values[0])}
    assert empty == {"total", "helplessness"}


def test_score_leaves_the_answers_alone():
    tsk = Instrument.load("tsk17")
    answers = np.full((2, 17), 1.0)

    tsk.score(answers)

    assert (answers == 1.0).all()


# ---- items or totals


def test_a_total_is_taken_as_delivered_where_there_are_no_items():
    pcs = Instrument.load("pcs")
    table = pd.DataFrame({"pcs_total": [30.0, np.nan], "pcs_rumination": [9.0, 10.0]})

    scores = score_cases(table, pcs)

    np.testing.assert_array_equal(scores["total"], [30.0, np.nan])
    np.testing.assert_array_equal(scores["rumination"], [9.0, 10.0])
    assert np.isnan(scores["helplessness"]).all()


def test_items_win_over_the_total_row_by_row():
    pcs = Instrument.load("pcs")
    blank = {f"item_{i}": np.nan for i in range(1, 14)}
    rows = [form(pcs, item_1=3), form(pcs, **blank), form(pcs, **{**blank, "item_1": 3})]
    table = pd.concat(rows).assign(pcs_total=40.0)

    total = score_cases(table, pcs)["total"]

    # Answered; not answered at all; begun, but too little of it to be scored.
    np.testing.assert_array_equal(total, [3.0, 40.0, np.nan])


def test_absent_item_columns_count_as_missing_items():
    pcs = Instrument.load("pcs")
    one_short = form(pcs, item_1=4).drop(columns="pcs_13")
    two_short = one_short.drop(columns="pcs_12")

    assert one(score_cases(one_short, pcs)) == pytest.approx(4 / 12 * 13)
    assert np.isnan(one(score_cases(two_short, pcs)))


def test_a_study_without_questionnaires_gets_missing_scores():
    built = build_questionnaires(pd.DataFrame({"study_id": ["s", "s"]}))

    assert all(np.isnan(v).all() and v.shape == (2,) for v in built.values())
    assert {"pcs_total", "tsk17_total", "tsk11_total", "hads_anxiety", "expectancy"} <= set(built)


def test_scores_that_come_as_one_number_pass_unchanged():
    scores = {
        "hads_anxiety": [7.0],
        "hads_depression": [8.0],
        "fabq_total": [9.0],
        "expectancy": [-3.0],
    }

    built = build_questionnaires(pd.DataFrame(scores))

    assert {k: built[k].tolist() for k in scores} == scores


def test_every_scale_of_every_instrument_is_a_column_of_cases():
    scales = {i.scale_column(s) for i in INSTRUMENTS for s in i.scales}

    assert scales <= set(CASES_BY_NAME)
