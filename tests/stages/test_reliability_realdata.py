"""How reliable the response of real people is, and what the program concludes from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.agreement import intraclass_correlations
from features.repeatability import bland_altman, within_person_sd
from pipeline.config import LabelParams
from pipeline.ingest import ingest
from pipeline.reliability import describe, run

pytestmark = pytest.mark.realdata
Find = Callable[[str], Path]


@pytest.fixture(scope="module")
def peep(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[str]]:
    """Records and sentences of PEEP, or a skip with the reason."""
    root = os.environ.get("EIH_STUDIES_DIR", "")
    source = Path(root) / "eih_peep_nold2025"
    if not root or not source.is_dir():
        pytest.skip("EIH_STUDIES_DIR is not set, or has no eih_peep_nold2025")
    folder = tmp_path_factory.mktemp("peep")
    ingest("peep", source, folder)
    records = run(LabelParams(), folder)
    return records, describe(records, folder)


def test_peep_pressure_response_does_not_repeat_and_the_report_says_what_follows(
    peep: tuple[dict[str, Any], list[str]],
) -> None:
    records, said = peep
    entry = records["pain_rating_pressure/remote"]

    icc = entry["icc"]
    assert icc["lower"] < 0 < icc["upper"]
    assert icc["estimate"] == pytest.approx(0.0, abs=0.05)
    assert entry["source"] == "sessions"
    assert entry["ceilings"]["response"]["auc"]["lower"] == 0.5
    first = next(i for i, line in enumerate(said) if line.startswith("pain_rating_pressure"))
    assert "no model of the person can be expected to predict it" in said[first + 1]


def test_peep_heat_response_repeats_moderately_between_the_two_days(
    peep: tuple[dict[str, Any], list[str]],
) -> None:
    entry = peep[0]["pain_rating_heat/remote"]

    assert entry["icc"]["estimate"] == pytest.approx(0.44, abs=0.02)
    assert entry["icc"]["lower"] > 0
    # With drift over the blocks taken out; the order of blocks is the same on both days.
    assert entry["icc_adjusted_for_block_order"]["estimate"] == pytest.approx(0.40, abs=0.02)
    assert entry["n_participants_repeated"] == 39
    # A label rests on one of the two hard bouts of a day, and is less reliable than their mean.
    assert 0 < entry["label_reliability"]["estimate"] < entry["icc"]["estimate"]
    assert 0.6 < entry["auc_ceiling"] < 0.85


def test_peep_sessions_are_said_to_differ_in_drug(peep: tuple[dict[str, Any], list[str]]) -> None:
    records, said = peep

    for entry in records.values():
        assert entry["sources"]["sessions"]["varying_between_sessions"] == ["drug"]
        assert np.isnan(entry["sd_individual_response"])
    assert said.count("The sessions differ in drug: this is no clean test-retest.") == 2


def test_peep_single_ratings_agree_as_their_derived_table_says(
    peep: tuple[dict[str, Any], list[str]], real_study: Find
) -> None:
    derived = pd.read_csv(real_study("eih_peep_nold2025") / "peep_subject_level.csv")

    for name in ("heat", "pressure"):
        own = derived[derived["modality_name"] == name]
        table = own.pivot(index="subject", columns="session", values="mean_rating_low")
        expected = intraclass_correlations(table.to_numpy(dtype=np.float64))["ICC(A,1)"].estimate

        found = peep[0][f"pain_rating_{name}/remote"]["single_value"]["sessions"]["icc"]

        # The table averages over trials, the program over levels first: five ratings are lost.
        assert found["estimate"] == pytest.approx(expected, abs=0.005)


def test_kinesiophobia_before_and_after_rehabilitation_agrees_with_what_is_published(
    real_study: Find,
) -> None:
    table = pd.read_csv(
        real_study("kinesiophobia_physical_activity_meta") / "luthi2018_individual.csv"
    )
    pairs = table[["tsk17_admission", "tsk17_discharge"]].dropna().to_numpy(dtype=np.float64)

    found = bland_altman(pairs[:, 0], pairs[:, 1])
    icc = intraclass_correlations(pairs)["ICC(A,1)"]

    assert len(pairs) == 432
    assert found.bias.estimate == pytest.approx(-0.6, abs=0.05)
    sd = (found.upper_limit.estimate - found.lower_limit.estimate) / (2 * 1.959964)
    assert sd == pytest.approx(6.6, abs=0.05)
    # r = .67; the bias of half a point takes next to nothing off.
    assert icc.estimate == pytest.approx(0.67, abs=0.01)
    # The SD within persons of two sessions is that of their differences over the root of two.
    assert within_person_sd(pairs).estimate == pytest.approx(6.6 / np.sqrt(2), abs=0.05)
