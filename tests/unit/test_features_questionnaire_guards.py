"""Guards against other forms and reversed items: both sides, by simulation with fixed seeds.

The shares are those of many simulated studies. With N studies, a share p is known within
3 sqrt(p (1 - p) / N); every bound below leaves at least that room to the share measured.
"""

import numpy as np
import pytest

from features.instruments import Instrument
from features.questionnaire_guards import suspect_forms, suspect_reversal, suspect_scores

PCS, TSK = Instrument.load("pcs"), Instrument.load("tsk17")
TOTAL = PCS.scales["total"]
N_STUDIES = 60


def full_totals(rng, n, shapes):
    """Totals of a full PCS: beta-binomial over 0 to 52."""
    return rng.binomial(52, rng.beta(*shapes, n)).astype(float)


def answers(rng, n, *, middle=0.0, noise=1.0, turned=True, weak=1.0):
    """Columns of TSK-17 answers around one trait; ``weak`` is the reversed items' loading."""
    trait = rng.standard_normal((n, 1))
    loading = np.where(np.isin(np.arange(1, 18), TSK.reversed_items), weak, 1.0)
    latent = 2.5 + middle + 0.7 * loading * trait + noise * rng.standard_normal((n, 17))
    scored = np.clip(np.rint(latent), 1, 4)
    if turned:  # as answered: reversed items not yet reversed
        for item in TSK.reversed_items:
            scored[:, item - 1] = 5 - scored[:, item - 1]
    return list(scored.T)


def share(suspect):
    return sum(suspect(np.random.default_rng(s)) for s in range(N_STUDIES)) / N_STUDIES


# ---- the total of a shorter form


@pytest.mark.parametrize("shapes", [(1.2, 6.5), (0.6, 4.0), (2.5, 9.0), (3.0, 5.0)])
@pytest.mark.parametrize("n", [40, 150])
def test_a_full_form_is_hardly_ever_taken_for_a_short_one(shapes, n):
    # Means of 7 to 20 of 52: healthy groups, whose totals seldom pass the middle. In 4,800 such
    # studies two were refused (0.04 %).
    refused = share(lambda r: suspect_scores(PCS, TOTAL, full_totals(r, n, shapes)) is not None)

    assert refused <= 1 / N_STUDIES


@pytest.mark.parametrize(("n", "least"), [(100, 0.9), (200, 0.98)])
def test_a_pcs_that_never_exceeds_24_is_recognised(n, least):
    def even(rng):
        return suspect_scores(PCS, TOTAL, rng.integers(0, 25, n).astype(float)) is not None

    assert share(even) >= least


def test_the_reason_names_the_end_the_rows_and_what_to_do():
    found = suspect_scores(PCS, TOTAL, np.tile(np.arange(25.0), 6))

    assert found.code == "short_form"
    assert "no score above 24 in 150 rows" in found.found
    assert "goes up to 52" in found.found
    assert "short form" in found.advice


def test_few_rows_are_no_evidence_of_a_short_form():
    assert suspect_scores(PCS, TOTAL, np.tile(np.arange(0.0, 25), 2)[:29]) is None


def test_a_tampa_counted_from_zero_is_recognised_from_its_totals():
    totals = np.array([12.0, 20.0, 31.0, np.nan])

    found = suspect_scores(TSK, TSK.scales["total"], totals)

    assert found.code == "shifted_form"
    assert "1 of 3 scores below 17" in found.found
    assert "counted from 0 instead of 1" in found.advice


def test_a_low_total_among_totals_that_need_the_full_scale_is_not_called_shifted():
    # 60 cannot come from 17 answers of 0 to 3 (51): the low total is a fault of its own.
    assert suspect_scores(TSK, TSK.scales["total"], np.array([12.0, 60.0])) is None


# ---- another scale of answers


@pytest.mark.parametrize(
    ("offset", "words"), [(-1, "add 1 to each"), (1, "take 1 from each")], ids=["from 0", "to 5"]
)
def test_answers_on_a_shifted_scale_are_recognised(offset, words):
    stored = [a + offset for a in answers(np.random.default_rng(1), 50)]

    (found,) = suspect_forms(TSK, stored)

    assert found.code == "shifted_form"
    assert words in found.advice


def test_answers_that_need_the_declared_scale_are_not_called_shifted():
    stored = answers(np.random.default_rng(1), 50)
    stored[0][0] = 0.0  # one slip

    assert (np.concatenate(stored) == 4).any()
    assert suspect_forms(TSK, stored) == []


def pcs_answers(rng, n, severity):
    trait = rng.standard_normal((n, 1))
    return np.clip(np.rint(severity + trait + rng.standard_normal((n, 13))), 0, 4)


@pytest.mark.parametrize("severity", [0.0, 1.0, 2.5, 4.0])
def test_answers_of_mild_and_severe_groups_are_not_called_narrow(severity):
    alarms = share(lambda r: bool(suspect_forms(PCS, list(pcs_answers(r, 60, severity).T))))

    assert alarms == 0


def test_answers_that_end_below_the_scale_are_called_narrow():
    stored = np.minimum(pcs_answers(np.random.default_rng(2), 60, 2.0), 3)

    (found,) = suspect_forms(PCS, list(stored.T))

    assert found.code == "narrow_form"
    assert "answers that end at 3 in" in found.found
    assert "not one of 4" in found.found


def test_a_table_without_answers_says_nothing():
    assert suspect_forms(PCS, None) == []
    assert suspect_forms(PCS, [np.full(40, np.nan)] * 13) == []


# ---- items already reversed


def warned(columns):
    return bool(list(suspect_reversal(TSK, TSK.points(columns))))


@pytest.mark.parametrize("weak", [1.0, 0.5])
def test_items_stored_reversed_are_recognised(weak):
    found = share(lambda r: warned(answers(r, 100, turned=False, weak=weak)))

    assert found >= 0.9


@pytest.mark.parametrize(("weak", "n"), [(1.0, 100), (0.3, 100), (0.0, 100), (0.0, 30)])
def test_items_stored_as_answered_raise_no_warning(weak, n):
    # Reversed items that have nothing to do with the others (weak = 0) are the hardest case: among
    # few people alpha then often rises by chance on undoing.
    assert share(lambda r: warned(answers(r, n, weak=weak))) <= 1 / N_STUDIES


def test_a_questionnaire_without_reversed_items_raises_no_warning():
    columns = list(pcs_answers(np.random.default_rng(3), 100, 1.0).T)

    assert list(suspect_reversal(PCS, PCS.points(columns))) == []


def test_few_people_raise_no_warning():
    assert not warned(answers(np.random.default_rng(4), 29, turned=False))
