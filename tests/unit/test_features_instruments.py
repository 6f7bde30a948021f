"""Every instrument of seeds/instruments.toml by hand: scores, missing items, bands, labels."""

import numpy as np
import pandas as pd
import pytest

from features.columns import CASES_BY_NAME
from features.instruments import INSTRUMENTS, Instrument, parse_instrument
from features.questionnaires import (
    QUESTIONNAIRES,
    build_questionnaires,
    classify_cases,
    score_cases,
    single_form_twins,
)
from features.reference import load_reference

NAN = float("nan")
SUMMED = [i for i in INSTRUMENTS if i.items]
SCALES = [(i, s) for i in SUMMED for s in i.scales.values() if s.method != "rule"]


def person(instrument, answers):
    """Cases of one person."""
    columns = instrument.item_columns()
    return pd.DataFrame([answers], columns=columns, dtype="float64")


def scores_of(name, answers):
    instrument = Instrument.load(name)
    scores = score_cases(person(instrument, answers), instrument)
    return {scale: float(values[0]) for scale, values in scores.items()}


def classes_of(name, answers):
    instrument = Instrument.load(name)
    cases = person(instrument, answers)
    found = classify_cases(cases, instrument, score_cases(cases, instrument))
    return {key: float(values[0]) for key, values in found.items()}


# ---- one person by hand ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "answers", "expected"),
    [
        (
            "pcs",
            [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2],
            {
                "rumination": 2 + 3 + 4 + 0,
                "magnification": 0 + 1 + 2,
                "helplessness": 0 + 1 + 2 + 3 + 4 + 1,
                "total": 0 + 1 + 2 + 3 + 4 + 0 + 1 + 2 + 3 + 4 + 0 + 1 + 2,
            },
        ),
        # Items 4, 8, 12 and 16 count 5 - answer.
        (
            "tsk17",
            [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1],
            {"total": (1 + 2 + 3) * 4 + 1 + 4 * (5 - 4)},
        ),
        ("tsk13", [1, 2, 3, 4] * 3 + [4], {"total": 10 * 3 + 4}),
        ("tsk11", [4, 3, 2, 1] * 2 + [4, 4, 1], {"total": 10 * 2 + 4 + 4 + 1}),
        # Items 1, 8, 13, 14 and 16 do not count.
        (
            "fabq",
            [6, 1, 2, 3, 4, 5, 6, 6, 0, 1, 2, 3, 6, 6, 4, 6],
            {
                "physical_activity": 1 + 2 + 3 + 4,
                "work": 5 + 6 + 0 + 1 + 2 + 3 + 4,
                "total": 1 + 2 + 3 + 4 + 5 + 6 + 0 + 1 + 2 + 3 + 4,
            },
        ),
        ("csi", [0, 1, 2, 3, 4] * 5, {"total": 5 * (0 + 1 + 2 + 3 + 4)}),
        ("csi9", [4, 3, 2, 1, 0, 4, 3, 2, 1], {"total": 4 + 3 + 2 + 1 + 0 + 4 + 3 + 2 + 1}),
        (
            "hads",
            [3, 0, 2, 1, 3, 0, 2, 1, 3, 0, 2, 1, 3, 0],
            {
                "anxiety": 3 + 2 + 3 + 2 + 3 + 2 + 3,
                "depression": 0 + 1 + 0 + 1 + 0 + 1 + 0,
                "total": 3 + 0 + 2 + 1 + 3 + 0 + 2 + 1 + 3 + 0 + 2 + 1 + 3 + 0,
            },
        ),
        ("phq9", [3, 2, 1, 0, 3, 2, 1, 0, 3], {"total": 3 + 2 + 1 + 0 + 3 + 2 + 1 + 0 + 3}),
        ("gad7", [0, 1, 2, 3, 0, 1, 2], {"total": 0 + 1 + 2 + 3 + 0 + 1 + 2}),
        ("pseq", [6, 5, 4, 3, 2, 1, 0, 6, 5, 4], {"total": 6 + 5 + 4 + 3 + 2 + 1 + 0 + 6 + 5 + 4}),
        ("pseq2", [6, 2], {"total": 6 + 2}),
        (
            "ipaq_sf",
            [3, 30, 2, 45, 5, 60, 300],
            {
                "vigorous": pytest.approx(8.0 * 3 * 30),
                "moderate": pytest.approx(4.0 * 2 * 45),
                "walking": pytest.approx(3.3 * 5 * 60),
                "total": pytest.approx(8.0 * 3 * 30 + 4.0 * 2 * 45 + 3.3 * 5 * 60),
                "sitting": 300,
            },
        ),
        ("paindetect", [5, 4, 3, 2, 1, 0, 5, -1, 2], {"total": 5 + 4 + 3 + 2 + 1 + 0 + 5 - 1 + 2}),
        (
            "bpi",
            [8, 2, 5, 6, 1, 2, 3, 4, 5, 6, 7],
            {
                "severity": (8 + 2 + 5 + 6) / 4,
                "interference": (1 + 2 + 3 + 4 + 5 + 6 + 7) / 7,
                "average": 5,
            },
        ),
        (
            "acr2016",
            [1] * 9 + [0] * 10 + [3, 2, 1, 1, 0, 1, 1],
            {"wpi": 9, "sss": 3 + 2 + 1 + 1 + 0 + 1, "total": 9 + 3 + 2 + 1 + 1 + 0 + 1},
        ),
        ("psqi", [0, 1, 2, 3, 3, 2, 1], {"total": 0 + 1 + 2 + 3 + 3 + 2 + 1}),
        ("isi", [4, 3, 2, 1, 0, 4, 3], {"total": 4 + 3 + 2 + 1 + 0 + 4 + 3}),
        # The ninth answer, "very much", counts one point.
        (
            "start_back",
            [1, 0, 1, 0, 1, 1, 0, 1, 3],
            {"psychosocial": 1 + 1 + 0 + 1 + 1, "total": 1 + 0 + 1 + 0 + 1 + 1 + 0 + 1 + 1},
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_an_instrument_scores_one_person_as_by_hand(name, answers, expected):
    assert scores_of(name, answers) == expected


def test_the_expectation_is_taken_as_delivered():
    scores = score_cases(
        pd.DataFrame({"expectancy": [-10.0, 3.5, NAN]}), Instrument.load("expectancy")
    )

    np.testing.assert_array_equal(scores["total"], [-10.0, 3.5, NAN])


def test_the_instruments_of_the_field_are_all_declared():
    assert {i.name for i in INSTRUMENTS} == {
        *("pcs", "tsk17", "tsk13", "tsk11", "fabq", "csi", "csi9", "hads", "phq9", "gad7", "pseq"),
        *("pseq2", "ipaq_sf", "paindetect", "bpi", "acr2016", "psqi", "isi", "start_back"),
        "expectancy",
    }


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [
        ("pcs_total", 0, 52),
        ("tsk17_total", 17, 68),
        ("tsk13_total", 13, 52),
        ("tsk11_total", 11, 44),
        ("fabq_physical_activity", 0, 24),
        ("fabq_work", 0, 42),
        ("fabq_total", 0, 66),
        ("csi_total", 0, 100),
        ("csi9_total", 0, 36),
        ("hads_anxiety", 0, 21),
        ("hads_depression", 0, 21),
        ("phq9_total", 0, 27),
        ("gad7_total", 0, 21),
        ("pseq_total", 0, 60),
        ("pseq2_total", 0, 12),
        ("paindetect_total", -1, 38),
        ("bpi_severity", 0, 10),
        ("acr2016_wpi", 0, 19),
        ("acr2016_sss", 0, 12),
        ("acr2016_total", 0, 31),
        ("psqi_total", 0, 21),
        ("isi_total", 0, 28),
        ("start_back_total", 0, 9),
        ("start_back_psychosocial", 0, 5),
        ("expectancy", -10, 10),
        ("ipaq_sf_total", 0, 7 * 180 * (3.3 + 4.0 + 8.0)),
    ],
)
def test_a_score_spans_its_published_range(column, low, high):
    assert CASES_BY_NAME[column].low == low
    assert CASES_BY_NAME[column].high == pytest.approx(high)


# ---- missing items ---------------------------------------------------------------------------


@pytest.mark.parametrize(("instrument", "scale"), SCALES, ids=lambda v: getattr(v, "name", ""))
def test_the_missing_item_rule_is_exact_at_its_boundary(instrument, scale):
    n = len(scale.members)
    answers = np.array([[i.high for i in instrument.items]] * 2, dtype=float)
    answers[0, [m - 1 for m in scale.members[: scale.max_missing]]] = NAN
    answers[1, [m - 1 for m in scale.members[: scale.max_missing + 1]]] = NAN

    scored = instrument.score(answers)[scale.name]

    points = [v[0] for v in instrument.points(list(answers.T))]
    left = [points[m - 1] for m in scale.members[scale.max_missing :]]
    mean = sum(left) / len(left)
    assert scored[0] == pytest.approx(mean if scale.method == "mean" else mean * n)
    assert np.isnan(scored[1])


@pytest.mark.parametrize(
    ("name", "scale", "may_lack"),
    [
        ("hads", "anxiety", 3),  # Bell 2016: at least half of the seven
        ("hads", "depression", 3),
        ("hads", "total", 0),
        ("bpi", "interference", 3),  # at least four of seven
        ("bpi", "severity", 0),
        ("isi", "total", 0),
        ("pcs", "total", 1),
        ("tsk17", "total", 1),
        ("csi", "total", 2),
        ("fabq", "work", 0),
    ],
)
def test_a_score_may_lack_what_its_rule_says(name, scale, may_lack):
    assert Instrument.load(name).scales[scale].max_missing == may_lack


def test_an_item_that_no_score_counts_may_be_missing():
    answers = [NAN, 1, 2, 3, 4, 5, 6, NAN, 0, 1, 2, 3, NAN, NAN, 4, NAN]

    assert scores_of("fabq", answers) == {"physical_activity": 10, "work": 21, "total": 31}


# ---- IPAQ ------------------------------------------------------------------------------------


def test_ipaq_truncates_each_activity_at_three_hours():
    scores = scores_of("ipaq_sf", [2, 240, 0, NAN, 0, NAN, NAN])

    assert scores["total"] == pytest.approx(8.0 * 2 * 180)


def test_ipaq_counts_a_skipped_duration_after_no_days_as_none():
    assert scores_of("ipaq_sf", [0, NAN, 0, NAN, 0, NAN, 480])["total"] == 0


def test_ipaq_counts_days_of_less_than_ten_minutes_as_none():
    assert scores_of("ipaq_sf", [0, 0, 0, 0, 5, 9, 0])["total"] == 0
    assert scores_of("ipaq_sf", [0, 0, 0, 0, 5, 10, 0])["total"] == pytest.approx(3.3 * 5 * 10)


@pytest.mark.parametrize(("walked", "kept"), [(960 - 400 - 200, True), (961 - 400 - 200, False)])
def test_ipaq_leaves_out_more_activity_than_a_day_has_waking_hours(walked, kept):
    scores = scores_of("ipaq_sf", [1, 400, 1, 200, 1, walked, 0])

    truncated = 8.0 * 180 + 4.0 * 180 + 3.3 * 180
    assert scores["total"] == pytest.approx(truncated if kept else NAN, nan_ok=True)


@pytest.mark.parametrize("lost", [0, 1, 4, 5])
def test_ipaq_needs_every_day_and_minute(lost):
    answers = [3.0, 30.0, 2.0, 45.0, 5.0, 60.0, 300.0]
    answers[lost] = NAN

    assert np.isnan(scores_of("ipaq_sf", answers)["total"])
    assert np.isnan(classes_of("ipaq_sf", answers)["activity"])


@pytest.mark.parametrize(
    ("answers", "level"),
    [
        ([3, 63, 0, 0, 0, 0], 2),  # three vigorous days and 8 x 3 x 63 = 1512
        ([3, 62, 0, 0, 0, 0], 1),  # 1488 are too few for high, three days of 20 min are moderate
        ([3, 19, 0, 0, 0, 0], 0),  # 19 minutes are too short
        ([3, 20, 0, 0, 0, 0], 1),
        ([0, 0, 3, 30, 2, 30], 1),  # five days of half an hour
        ([0, 0, 3, 30, 2, 29], 0),  # 3 x 4 x 30 + 2 x 3.3 x 29 = 551 in five days
        ([0, 0, 3, 40, 2, 20], 1),  # 3 x 4 x 40 + 2 x 3.3 x 20 = 612 in five days
        ([0, 0, 0, 0, 7, 130], 2),  # 7 x 3.3 x 130 = 3003 in seven days
        ([0, 0, 0, 0, 7, 129], 1),  # 2980
        ([0, 0, 0, 0, 4, 60], 0),  # four days
    ],
)
def test_ipaq_categories_begin_where_the_protocol_says(answers, level):
    assert classes_of("ipaq_sf", [*answers, 0])["activity"] == level


# ---- fibromyalgia 2016 -----------------------------------------------------------------------


def fibromyalgia(sites, severity, months=1.0):
    """Answers with the numbered sites painful."""
    return [float(s in sites) for s in range(1, 20)] + list(severity) + [months]


FOUR_REGIONS = {2, 3, 6, 7, 9, 12, 13}  # seven sites in four regions


@pytest.mark.parametrize(
    ("sites", "severity", "met"),
    [
        (FOUR_REGIONS, [2, 2, 1, 0, 0, 0], 1),  # WPI 7, SSS 5
        (FOUR_REGIONS, [2, 2, 0, 0, 0, 0], 0),  # SSS 4
        ({2, 6, 9, 12}, [3, 3, 3, 0, 0, 0], 1),  # WPI 4, SSS 9
        ({2, 6, 9, 12}, [3, 3, 2, 0, 0, 0], 0),  # SSS 8
        ({2, 6, 9}, [3, 3, 3, 1, 1, 1], 0),  # WPI 3
        # Jaw, chest and abdomen do not make a region painful.
        ({1, 5, 18, 19, 2, 3, 6, 7, 9}, [3, 3, 3, 0, 0, 0], 0),
        ({1, 5, 18, 19, 2, 6, 9, 12}, [3, 3, 3, 0, 0, 0], 1),
    ],
)
def test_the_criterion_for_fibromyalgia_holds_as_published(sites, severity, met):
    assert classes_of("acr2016", fibromyalgia(sites, severity))["criterion"] == met


def test_the_criterion_for_fibromyalgia_needs_three_months():
    severe = [3, 3, 3, 0, 0, 0]

    assert classes_of("acr2016", fibromyalgia(FOUR_REGIONS, severe, 0.0))["criterion"] == 0
    assert np.isnan(classes_of("acr2016", fibromyalgia(FOUR_REGIONS, severe, NAN))["criterion"])


def test_one_part_that_fails_refutes_the_criterion_whatever_is_missing():
    lost_month = fibromyalgia({2}, [0, 0, 0, 0, 0, 0], NAN)
    lost_site = fibromyalgia(FOUR_REGIONS, [3, 3, 3, 0, 0, 0], 0.0)
    lost_site[18] = NAN

    assert classes_of("acr2016", lost_month)["criterion"] == 0
    assert classes_of("acr2016", lost_site)["criterion"] == 0


def test_totals_of_fibromyalgia_alone_leave_the_criterion_open_or_refuted():
    acr = Instrument.load("acr2016")
    table = pd.DataFrame({"acr2016_wpi": [12.0, 2.0], "acr2016_sss": [9.0, 9.0]})

    criterion = classify_cases(table, acr, score_cases(table, acr))["criterion"]

    np.testing.assert_array_equal(criterion, [NAN, 0.0])


# ---- STarT Back ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "group"),
    [
        ([1, 1, 1, 0, 0, 0, 0, 0, 0], 0),  # total 3
        ([1, 1, 1, 1, 0, 0, 0, 0, 0], 1),  # total 4, psychosocial 0
        ([1, 0, 0, 0, 1, 1, 1, 0, 0], 1),  # total 4, psychosocial 3
        ([0, 0, 0, 0, 1, 1, 1, 1, 0], 2),  # psychosocial 4
        ([0, 0, 0, 0, 1, 1, 1, 0, 3], 2),  # the ninth item makes the fourth
        ([0, 0, 0, 0, 1, 1, 1, 0, 2], 0),  # "moderately" does not count
    ],
)
def test_start_back_groups_begin_where_published(answers, group):
    assert classes_of("start_back", answers)["risk"] == group


def test_start_back_groups_follow_from_delivered_scores():
    start = Instrument.load("start_back")
    table = pd.DataFrame(
        {"start_back_total": [3.0, 5.0, 5.0, 5.0], "start_back_psychosocial": [NAN, 3, 4, NAN]}
    )

    risk = classify_cases(table, start, score_cases(table, start))["risk"]

    np.testing.assert_array_equal(risk, [0.0, 1.0, 2.0, NAN])


# ---- bands -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scale", "scores", "bands"),
    [
        ("pcs", "total", [30, 31], ["up to 30", "above 30"]),
        ("tsk17", "total", [37, 38], ["up to 37", "above 37"]),
        (
            "csi",
            "total",
            [29, 30, 40, 50, 60],
            ["subclinical", "mild", "moderate", "severe", "extreme"],
        ),
        ("hads", "anxiety", [7, 8, 10, 11], ["normal", "borderline", "borderline", "abnormal"]),
        ("gad7", "total", [4, 5, 10, 15], ["minimal", "mild", "moderate", "severe"]),
        ("phq9", "total", [9, 19, 20], ["mild", "moderately severe", "severe"]),
        ("pseq", "total", [19, 20, 31, 41], ["severe", "moderate", "mild", "minimal"]),
        (
            "paindetect",
            "total",
            [-1, 12, 13, 18, 19],
            ["unlikely"] * 2 + ["unclear"] * 2 + ["likely"],
        ),
        ("isi", "total", [7, 8, 15, 22], ["none", "subthreshold", "moderate", "severe"]),
        ("bpi", "average", [3, 4, 6, 7], ["mild", "moderate", "moderate", "severe"]),
        ("fabq", "work", [34, 35], ["up to 34", "above 34"]),
    ],
)
def test_a_band_begins_at_its_published_score(name, scale, scores, bands):
    found = Instrument.load(name).scales[scale].band_of(np.array(scores, dtype=float))

    assert found.tolist() == bands


def test_a_missing_score_has_no_band():
    assert Instrument.load("pcs").scales["total"].band_of(np.array([NAN])).tolist() == [None]


# ---- honest labels ---------------------------------------------------------------------------


def test_unverified_keys_are_labelled_in_every_column_and_feature_they_make():
    unverified = {i.name for i in INSTRUMENTS if i.status == "unverified"}
    assert unverified == {"tsk13", "csi9", "pseq2", "ipaq_sf", "paindetect"}

    for instrument in INSTRUMENTS:
        for scale in instrument.scales:
            text = CASES_BY_NAME[instrument.scale_column(scale)].description
            assert ("unverified" in text) == (instrument.name in unverified)


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda i: i.name)
def test_every_entry_names_its_source_and_the_standing_of_its_missing_rule(instrument):
    form = load_reference("instruments.toml")[instrument.name]

    assert instrument.source
    assert instrument.higher in ("worse", "better")
    # A rule that is said to be verified says where it was read.
    assert instrument.missing_status == "unverified" or "missing_source" in form


def test_an_unverified_missing_rule_is_called_a_proposal():
    assert Instrument.load("pcs").missing_status == "unverified"
    assert "proposal" in Instrument.load("pcs").missing_source
    assert Instrument.load("hads").missing_status == "verified"


# ---- features --------------------------------------------------------------------------------


def test_the_tampa_forms_meet_on_percent_of_their_range():
    table = pd.DataFrame(
        {
            "tsk17_total": [17.0, NAN, NAN, NAN, 68.0],
            "tsk13_total": [NAN, 26.0, NAN, NAN, 13.0],
            "tsk11_total": [NAN, NAN, 44.0, NAN, 11.0],
        }
    )

    percent = build_questionnaires(table)["tsk_percent_of_range"]

    thirds = 100 * (26 - 13) / (52 - 13)
    np.testing.assert_allclose(percent, [0.0, thirds, 100.0, NAN, 100.0])


def test_the_description_of_the_pooled_feature_says_what_it_is_not():
    spec = next(s for s in QUESTIONNAIRES.specs if s.name == "tsk_percent_of_range")

    assert "harmonisation" in spec.description
    assert "not the same instrument" in spec.description


@pytest.mark.parametrize(
    ("columns", "twins"),
    [
        (["tsk17_total", "tsk_percent_of_range"], {"tsk_percent_of_range"}),
        (["tsk17_total", "tsk11_total", "tsk_percent_of_range"], set()),
        (["pcs_total"], set()),
    ],
)
def test_the_pooled_feature_is_a_twin_where_one_form_was_used(columns, twins):
    assert single_form_twins(columns) & set(columns) == twins


def test_scores_of_instruments_nobody_answered_share_one_empty_array():
    built = build_questionnaires(pd.DataFrame({"pcs_total": [3.0]}))

    assert built["csi_total"] is built["isi_total"]
    assert np.isnan(built["csi_total"]).all()


# ---- declarations ----------------------------------------------------------------------------

MINIMAL = {"title": "t", "items": 3, "low": 0, "high": 2, "source": "s", "status": "unverified"}


def test_a_minimal_declaration_sums_every_item():
    made = parse_instrument("made_up", MINIMAL)

    assert made.score(np.array([[0.0, 1.0, 2.0]]))["total"].tolist() == [3.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maxmissing": 1}, "unknown key 'maxmissing'"),
        ({"reversed": [4]}, "item numbers up to 3"),
        ({"subscales": {"a": [1, 1]}}, "each once"),
        ({"status": "certain"}, "verified or unverified"),
    ],
)
def test_a_wrong_declaration_names_entry_and_key(change, message):
    with pytest.raises(ValueError, match=rf"\[made_up\].*{message}"):
        parse_instrument("made_up", MINIMAL | change)


def test_a_declaration_without_a_source_is_refused():
    with pytest.raises(ValueError, match="expected the key 'source'"):
        parse_instrument("made_up", {k: v for k, v in MINIMAL.items() if k != "source"})
