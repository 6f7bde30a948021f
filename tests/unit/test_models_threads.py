"""Fits of a few hundred rows use one thread, wherever they run."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from models.learning import Candidate
from models.runs import run_tasks
from models.threads import one_thread
from models.validation import fit_tuned


def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_a_block_has_one_thread_and_what_follows_has_what_was_there():
    with threadpool_limits(2):
        with one_thread():
            assert threads() == {1}
        assert threads() == {2}


def test_every_task_runs_with_one_thread_also_without_processes():
    def seen():
        return {"threads": sorted(threads())}

    with threadpool_limits(2):
        assert run_tasks({"one": (seen, ())}) == {"one": {"threads": [1]}}
        assert threads() == {2}


def test_a_final_fit_runs_with_one_thread():
    seen = []

    class Watched(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            seen.append(threads())
            return super().fit(X, y, sample_weight)

    candidate = Candidate("watched", 0, Watched, ({},))
    with threadpool_limits(2):
        fit_tuned(
            candidate, pd.DataFrame({"a": [1.0, 2.0]}), np.array([0.0, 1.0]), np.arange(2), ()
        )

    assert seen == [{1}]
