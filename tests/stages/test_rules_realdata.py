"""The rules on real studies: every rule labels, and noise alone is told beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import label
from pipeline.config import LabelParams
from pipeline.ingest import ingest
from pipeline.io import read_table

pytestmark = pytest.mark.realdata


def test_peep_is_labelled_by_every_rule(real_study: Callable[[str], Path], tmp_path: Path) -> None:
    ingest("peep", real_study("eih_peep_nold2025"), tmp_path)

    summary = label.run(LabelParams(rule="posterior"), tmp_path, tmp_path / "outcomes.parquet")

    heat = next(e for e in summary["rules"] if e["endpoint"] == "heat")["rules"]
    # No rest bout is subtracted: the field's three shares hold as they are.
    assert heat["sem_change"]["noise_hypoalgesia"] == pytest.approx(0.159, abs=0.001)
    assert heat["sem_single"]["noise_hypoalgesia"] == pytest.approx(0.240, abs=0.001)
    assert heat["mdc95"]["noise_hypoalgesia"] == pytest.approx(0.025, abs=0.001)
    assert 0 < heat["posterior"]["n_indeterminate"] < 156
    table = read_table(tmp_path / "outcomes.parquet")
    assert table["response_probability"].between(0, 1).all()
    assert summary["coupled"] == []


def test_a_programme_without_trials_or_rest_is_labelled_by_its_stated_error(
    real_study: Callable[[str], Path], tmp_path: Path
) -> None:
    ingest(
        "cervical_radiculopathy_rct", real_study("cervical_radiculopathy_exercise_rct"), tmp_path
    )

    summary = label.run(LabelParams(), tmp_path, tmp_path / "outcomes.parquet")

    month_3 = summary["rules"][0]["rules"]
    assert month_3["sem_change"]["n_indeterminate"] == 0
    assert month_3["posterior"]["noise_hypoalgesia"] < 0.01
    assert summary["coupled"] == []
