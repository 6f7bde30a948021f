"""Groups of persons on made data whose truth is known: nothing, a slope, or the groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from models.clustering import choose_number, draw_persons, fit_clusters, jaccard_stability
from models.incremental import Draws
from models.splits import make_split_plan
from models.strata import Grouped, association, compare_codings, mean_of, predict_codings, share_of

Index = npt.NDArray[np.int64]
DRAWS = Draws(100, 5, (0.3,))


def study(seed: int, truth: str, *, persons: int = 120, bouts: int = 1) -> Grouped:
    """Two markers of persons, cut at the medians of those learnt from; the outcome by ``truth``."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(persons), bouts)
    markers = rng.normal(size=(persons, 2))[person]
    logit = {
        "nothing": np.full(len(person), -0.6),
        "slope": -0.6 + 1.0 * markers[:, 0] - 0.6 * markers[:, 1],
        "groups": np.where((markers > 0).all(axis=1), 1.7, -1.7),
    }[truth]
    # Bouts of one person are alike beyond what the markers say.
    own = 0.8 * rng.normal(size=persons)[person] if bouts > 1 else 0.0
    y = (rng.random(len(person)) < 1 / (1 + np.exp(-(logit + own)))).astype(np.float64)

    def grouper(rows: Index) -> Index:
        above = markers > np.median(markers[rows], axis=0)
        return above.astype(np.int64) @ np.array([1, 2])

    plan = make_split_plan(y, person, repeats=1, folds=5, inner_folds=2, seed=seed)
    known = np.ones(len(person), dtype=bool)
    labels = np.broadcast_to(y, (len(plan.folds), len(y)))
    change = logit + rng.normal(size=len(person))
    base = np.empty((len(person), 0))
    return Grouped(markers, base, y, labels, change, known, person, plan, grouper)


@pytest.mark.parametrize("bouts", [1, 3])
def test_groups_and_markers_are_called_no_more_often_than_the_level_where_nothing_is_true(
    bouts: int,
) -> None:
    found = [association(study(i, "nothing", bouts=bouts)) for i in range(150)]

    for test in ("groups_differ", "beyond_markers", "beyond_groups", "change_differs"):
        # Standard error of 5 % in 150 studies: (0.05 * 0.95 / 150) ** 0.5 = 0.018; three of them.
        assert np.mean([f[test]["p_value"] < 0.05 for f in found]) < 0.05 + 0.054


def test_groups_add_to_a_slope_no_more_often_than_the_level_and_the_slope_adds_to_them() -> None:
    found = [association(study(i, "slope", bouts=3)) for i in range(150)]

    def called(test: str) -> float:
        return float(np.mean([f[test]["p_value"] < 0.05 for f in found]))

    assert called("beyond_markers") < 0.05 + 0.054
    assert called("beyond_groups") > 0.5
    # The slope is strong: its groups differ, which says nothing about the cut.
    assert called("groups_differ") > 0.8


def test_groups_add_to_splines_where_the_groups_are_the_truth() -> None:
    found = [association(study(i, "groups", persons=250))["beyond_markers"] for i in range(20)]

    assert np.mean([t["p_value"] < 0.05 for t in found]) > 0.8


@pytest.mark.parametrize(
    ("truth", "persons", "expected", "least"),
    [("nothing", 120, "undecided", 19), ("slope", 800, "worse", 8), ("groups", 600, "better", 8)],
)
def test_groups_beat_their_markers_only_where_the_groups_are_the_truth(
    truth: str, persons: int, expected: str, least: int
) -> None:
    made = 20 if truth == "nothing" else 12
    found = [
        compare_codings(study(i, truth, persons=persons), DRAWS)["verdict"] for i in range(made)
    ]

    # Never the opposite; and not always enough persons for a verdict.
    assert set(found) <= {expected, "undecided"}
    assert found.count(expected) >= least


def test_groups_that_differ_by_their_mix_of_conditions_alone_do_not_beside_the_condition() -> None:
    def mixed(seed: int) -> Grouped:
        rng = np.random.default_rng(seed)
        data = study(seed, "nothing", persons=200)
        ill = (rng.random(200) < 1 / (1 + np.exp(-2 * data.markers[:, 0]))).astype(np.float64)
        y = (rng.random(200) < np.where(ill == 1, 0.2, 0.6)).astype(np.float64)
        return replace(data, y=y, base=ill[:, None])

    made = [mixed(i) for i in range(100)]
    alone = [association(replace(d, base=d.base[:, :0]))["groups_differ"] for d in made]
    beside = [association(d)["groups_differ"] for d in made]

    assert np.mean([t["p_value"] < 0.05 for t in alone]) > 0.5
    # Standard error of 5 % in 100 studies: 0.022; three of them.
    assert np.mean([t["p_value"] < 0.05 for t in beside]) < 0.05 + 0.066


def test_cut_points_are_learnt_from_persons_who_are_not_predicted() -> None:
    data = study(1, "slope", persons=60, bouts=2)
    asked: list[set[int]] = []

    def grouper(rows: Index) -> Index:
        asked.append(set(data.person[rows].tolist()))
        return data.grouper(rows)

    predict_codings(replace(data, grouper=grouper))

    judged = [set(data.person[fold.test].tolist()) for fold in data.plan.folds]
    assert len(asked) == len(judged)
    for learnt, tested in zip(asked, judged, strict=True):
        assert learnt | tested == set(range(60))
        assert not learnt & tested


@pytest.mark.parametrize(("persons", "bouts"), [(12, 1), (12, 4), (40, 4)])
def test_intervals_of_a_group_cover_its_share_and_mean(persons: int, bouts: int) -> None:
    rng = np.random.default_rng(persons + bouts)
    person = np.repeat(np.arange(persons), bouts)
    covered = np.zeros(2)
    n = 1500
    for _ in range(n):
        # Intraclass correlation 1 / (1 + a + b) = 0.25 between the bouts of a person.
        own = rng.beta(0.3 * 3, 0.7 * 3, persons)
        y = (rng.random(len(person)) < own[person]).astype(np.float64)
        change = rng.normal(size=persons)[person] + rng.normal(size=len(person))
        share, mean = share_of(y, person), mean_of(change, person)
        covered += [share.lower <= 0.3 <= share.upper, mean.lower <= 0 <= mean.upper]
    # Standard error of 95 % in 1,500 groups: 0.0056; three of them. Wilson's interval of few
    # persons is wide: no more than that is promised.
    assert covered[0] / n > 0.95 - 0.017
    assert abs(covered[1] / n - 0.95) < 0.017


def clouds(seed: int, centres: list[tuple[float, float]], persons: int) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    where = np.array(centres)[np.arange(persons) % len(centres)]
    return np.asarray(where + rng.normal(size=(persons, 2)))


@pytest.mark.parametrize("method", ["mixture", "kmeans"])
@pytest.mark.parametrize("centres", [[(0, 0)], [(0, 0), (8, 0), (0, 8)]])
def test_number_of_clusters_is_that_of_the_clouds(
    method: str, centres: list[tuple[float, float]]
) -> None:
    found = [choose_number(clouds(i, centres, 120), method, 4, 1).chosen for i in range(2)]

    assert found == [len(centres)] * 2


def test_clusters_are_stable_where_there_are_clouds_and_not_where_one_is_cut() -> None:
    def mean_similarity(values: npt.NDArray[np.float64], number: int) -> list[float]:
        draws = draw_persons(len(values), 30, 2)
        found = jaccard_stability(
            values, lambda rows: fit_clusters(rows, "kmeans", number, 1)(rows), draws
        )
        return [s["jaccard"] for s in found.summary()]

    apart = mean_similarity(clouds(1, [(0, 0), (8, 0), (0, 8)], 120), 3)
    cut = mean_similarity(clouds(1, [(0, 0)], 120), 4)

    assert min(apart) > 0.95
    assert max(cut) < 0.75
