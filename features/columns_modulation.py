"""Columns of pain modulation and of sensitivity before the bout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from features.column import Column, choice, count, number
from features.reference import load_reference

CPM_TIMINGS = ("parallel", "sequential")
CPM_PARADIGMS = (
    "cold_pressor",
    "ischaemic",
    "contact_heat",
    "cuff_pressure",
    "hand_held_pressure",
    "other",
)
TRAIN = 10  # ratings of a train of stimuli; the DFNS gives ten pinpricks (Rolke 2006)
PPT_TRIALS = 3
PPT_KPA = (20.0, 2000.0)
CUFF_KPA = (1.0, 120.0)
NRS = (0.0, 10.0)
SITES = ("local", "remote")
QST: dict[str, dict[str, Any]] = load_reference("qst_parameters.toml")["parameters"]
QST_Z = tuple(name for name, parameter in QST.items() if parameter.get("z", True))
Z_SPAN = (-20.0, 20.0)


def _test_stimuli() -> tuple[Column, ...]:
    kinds = (
        ("cpm_ppt", "kpa", "kPa", PPT_KPA, "threshold of a hand-held algometer"),
        ("cpm_cuff", "kpa", "kPa", CUFF_KPA, "threshold of a cuff algometer"),
        ("cpm_heat", "degc", "degC", (30.0, 55.0), "heat pain threshold"),
        ("cpm_rating", "nrs", "points", NRS, "rating of a fixed stimulus"),
    )
    return tuple(
        column
        for name, suffix, unit, span, text in kinds
        for column in (
            number(f"{name}_unconditioned_{suffix}", unit, span, f"CPM test: {text}, alone"),
            number(
                f"{name}_conditioned_{suffix}", unit, span, f"CPM test: {text}, with conditioning"
            ),
        )
    )


def _baseline_columns() -> tuple[Column, ...]:
    means = [
        number(
            f"ppt_baseline_{site}_kpa",
            "kPa",
            PPT_KPA,
            "threshold, block independent of the outcome",
        )
        for site in SITES
    ]
    trials = [
        number(
            f"ppt_baseline_{site}_{trial}_kpa",
            "kPa",
            PPT_KPA,
            f"trial {trial} of ppt_baseline_{site}_kpa; the mean of the trials stands in for it",
        )
        for site in SITES
        for trial in range(1, PPT_TRIALS + 1)
    ]
    cuff = [
        number(
            f"cuff_ppt_baseline_{site}_kpa",
            "kPa",
            CUFF_KPA,
            "cuff pressure threshold, block independent of the outcome; another scale than a "
            "hand-held algometer's, never mixed with it",
        )
        for site in SITES
    ]
    return (*means, *trials, *cuff)


MODULATION_COLUMNS: tuple[Column, ...] = (
    *_test_stimuli(),
    choice("cpm_timing", CPM_TIMINGS, "test stimulus during or after the conditioning stimulus"),
    choice("cpm_paradigm", CPM_PARADIGMS, "conditioning stimulus"),
    number(
        "cpm_ppt_sem_kpa",
        "kPa",
        (0.1, 500),
        "standard error of measurement of cpm_ppt in this laboratory",
        source="its own; published ones in seeds/modulation.toml",
    ),
    number(
        "cpm_rating_sem_nrs",
        "points",
        (0.01, 10),
        "standard error of measurement of cpm_rating in this laboratory",
        source="its own; published ones in seeds/modulation.toml",
    ),
    number("ts_first_nrs", "points", NRS, "temporal summation, first rating of the train"),
    number("ts_last_nrs", "points", NRS, "temporal summation, last rating of the train"),
    *(
        number(f"ts_rating_{i}", "points", NRS, f"temporal summation, rating {i} of the train")
        for i in range(1, TRAIN + 1)
    ),
    number("ts_single_nrs", "points", NRS, "wind-up, mean rating of the single stimuli"),
    number("ts_train_nrs", "points", NRS, "wind-up, mean rating of the trains"),
    number("oa_t1_nrs", "points", NRS, "offset analgesia, rating of the first temperature (T1)"),
    number("oa_t2_nrs", "points", NRS, "offset analgesia, peak rating 1 degC higher (T2)"),
    number("oa_t3_nrs", "points", NRS, "offset analgesia, lowest rating back at T1 (T3)"),
    number(
        "oa_constant_t3_nrs",
        "points",
        NRS,
        "offset analgesia, rating of the constant trial at the time of T3",
    ),
    *_baseline_columns(),
    count("ppt_baseline_n_trials", (1, 20), "trials behind a delivered mean threshold"),
    number("ppt_tip_area_cm2", "cm2", (0.05, 10), "area of the algometer's tip"),
    number("ppt_ramp_kpa_s", "kPa/s", (1, 300), "rate of the pressure ramp"),
    number("ppt_cutoff_kpa", "kPa", (100, 2000), "pressure at which a trial is stopped"),
)


def _qst_columns() -> Iterator[Column]:
    source = "seeds/qst_parameters.toml"
    yield Column("qst_site", "text", "baseline", "QST: site tested, in the words of the reference")
    for name, p in QST.items():
        text = f"QST: {p['title']}"
        span = (p["low"], p["high"])
        yield number(p["column"], p["unit"], span, f"{text}, as measured", source=source)
        if name in QST_Z:
            gain = f"{text}, z-score, + = gain of function"
            yield number(f"qst_{name}_z", "z", Z_SPAN, gain, source=source)


QST_COLUMNS: tuple[Column, ...] = tuple(_qst_columns())
