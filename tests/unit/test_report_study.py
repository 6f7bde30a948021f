"""The report's table of who took part."""

from __future__ import annotations

import pandas as pd

from pipeline.report_study import _people


def test_a_small_group_cannot_be_subtracted_from_the_others() -> None:
    sexes = ["female"] * 21 + ["male"] * 3
    persons = [str(n) for n in range(24)]
    cases = pd.DataFrame({"participant_id": persons, "sex": sexes, "modality": "aerobic"})

    shown = _people(cases).table.set_index("level_or_unit")["value"]

    # 24 - 21 = 3: where both are known, hiding one hides nothing.
    assert shown[["female", "male"]].tolist() == ["not given", "fewer than 5"]
    assert shown["aerobic"] == "24 (100%)"
