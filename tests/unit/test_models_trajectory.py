"""Figures of a programme's follow-ups."""

from __future__ import annotations

import numpy as np

from models.dropout import FollowUp
from models.estimate import Reason
from models.trajectory import EVERYBODY, Programme, describe, sensitivity


def test_a_state_that_nobody_is_in_has_a_share_and_no_interval() -> None:
    n = 30
    values = np.linspace(-1.0, 3.0, n)[:, None]
    follow_up = FollowUp(
        np.ones((n, 1), dtype=bool), values, np.zeros((n, 1)), np.zeros(n, dtype=np.int64)
    )
    states = (values > 0).astype(np.int64)
    names = ("no_change", "hypoalgesia", "indeterminate", "not_seen")
    programme = Programme(follow_up, states, np.arange(n), ("all",), names)

    found = describe(programme, 50, 0)

    nobody = found["seen_share", EVERYBODY, 0, 2, -1]
    assert nobody.estimate == 0
    # Nobody among 30 does not exclude 1 in 30, as an interval from 0 to 0 would say.
    assert np.isnan([nobody.lower, nobody.upper]).all()
    assert nobody.reason is Reason.NO_WIDTH
    some = found["seen_share", EVERYBODY, 0, 1, -1]
    assert some.lower < some.estimate < some.upper
    assert not sensitivity(nobody, 0.5, (1.0,))["has_interval"]
