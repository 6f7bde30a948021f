"""What must hold of every way predictions are judged, whatever they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.decision import interventions_avoided, net_benefit
from models.discrimination import clustered_variance, placements
from models.judged import Judged
from models.metrics import all_metrics
from models.sample_size import binary_sample_size, largest_r2, r2_of_c_statistic
from pipeline.judging import Columns, read_predictions

FEW = settings(max_examples=60, deadline=None)
THRESHOLDS = np.array([0.1, 0.3, 0.6])
# Weights count like copies, except where neighbourhoods are held to the data's (the smooth).
COPIED = (
    "auc",
    "average_precision",
    "brier",
    "brier_scaled",
    "log_loss",
    "r2_nagelkerke",
    "oe_ratio",
    "in_the_large",
    "intercept",
    "slope",
)
TURNED = {"in_the_large": -1, "intercept": -1}


@st.composite
def predictions(draw: st.DrawFn) -> tuple[Judged, np.ndarray]:
    """Rows of both classes, risks with ties, several rows a person."""
    n = draw(st.integers(8, 40))
    y = np.array([1.0, 0.0, *draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n))])
    risk = np.array(draw(st.lists(st.integers(1, 99), min_size=n + 2, max_size=n + 2))) / 100
    person = np.array(draw(st.lists(st.integers(0, 9), min_size=n + 2, max_size=n + 2)))
    person = np.unique(person, return_inverse=True)[1]
    return Judged(y, person, np.zeros((1, n + 2), dtype=int)), risk


def figures(
    judged: Judged, risk: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, float]:
    weights = np.ones((1, len(risk))) if weights is None else weights[None].astype(float)
    return {n: v[0] for n, v in all_metrics(judged, risk[None], weights).items()}


def same(found: float, expected: float) -> bool:
    return found == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True)


@FEW
@given(predictions(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_figure(sample, random) -> None:
    judged, risk = sample
    order = list(range(len(risk)))
    random.shuffle(order)
    turned = Judged(judged.y[order], judged.person[order], judged.block[:, order])

    before, after = figures(judged, risk), figures(turned, risk[order])

    for name in before:
        assert same(after[name], before[name]), name


@FEW
@given(predictions(), st.integers(0, 2**32 - 1))
def test_a_weight_counts_like_so_many_copies_of_the_row(sample, seed) -> None:
    judged, risk = sample
    counts = np.random.default_rng(seed).integers(0, 4, len(risk))
    counts[:2] = 1  # both classes stay
    rows = np.repeat(np.arange(len(risk)), counts)
    copied = Judged(judged.y[rows], judged.person[rows], judged.block[:, rows])

    weighted, plain = figures(judged, risk, counts), figures(copied, risk[rows])

    for name in COPIED:
        assert same(weighted[name], plain[name]), name


# The opposite event has the opposite risk: the same people, described the other way round.
@FEW
@given(predictions())
def test_the_opposite_event_is_predicted_as_well(sample) -> None:
    judged, risk = sample
    opposite = Judged(1 - judged.y, judged.person, judged.block)

    there, back = figures(judged, risk), figures(opposite, 1 - risk)

    for name in set(there) - {"average_precision", "oe_ratio"}:
        assert same(back[name], TURNED.get(name, 1) * there[name]), name


@FEW
@given(predictions())
def test_errors_of_calibration_are_ordered(sample) -> None:
    found = figures(*sample)

    assert 0 <= found["e50"] <= found["e90"] <= found["emax"]
    assert found["ici"] <= found["emax"] + 1e-12


@FEW
@given(predictions())
def test_placements_of_either_class_average_to_the_auc(sample) -> None:
    judged, risk = sample
    placed = placements(judged.y, risk, judged.person)

    assert placed.value[placed.is_event].mean() == pytest.approx(figures(judged, risk)["auc"])
    assert placed.value[~placed.is_event].mean() == pytest.approx(figures(judged, risk)["auc"])


@FEW
@given(predictions(), st.permutations(range(10)))
def test_the_names_of_the_persons_do_not_matter(sample, names) -> None:
    judged, risk = sample
    renamed = np.array(names)[judged.person]

    assert same(
        clustered_variance(placements(judged.y, risk, renamed)),
        clustered_variance(placements(judged.y, risk, judged.person)),
    )


# Nobody can gain more than acting on exactly those with the event, nor avoid more than everybody
# without it.
@FEW
@given(predictions())
def test_net_benefit_is_at_most_the_prevalence(sample) -> None:
    judged, risk = sample
    once = np.ones((1, len(risk)))

    model, treat_all = net_benefit(judged.y, risk, once, THRESHOLDS)
    perfect, _ = net_benefit(judged.y, judged.y, once, THRESHOLDS)

    assert (model <= judged.y.mean() + 1e-12).all()
    np.testing.assert_allclose(perfect, judged.y.mean())
    assert (
        interventions_avoided(model, treat_all, THRESHOLDS) <= 1 - judged.y.mean() + 1e-12
    ).all()


@FEW
@given(st.integers(1, 60), st.floats(0.02, 0.98), st.floats(0.55, 0.95))
def test_more_parameters_never_need_fewer_persons(parameters, prevalence, c_statistic) -> None:
    r2 = r2_of_c_statistic(c_statistic, prevalence)

    fewer, more = (binary_sample_size(p, prevalence, r2) for p in (parameters, parameters + 1))

    assert 0 < r2 < largest_r2(prevalence)
    assert fewer.minimum_n <= more.minimum_n
    assert fewer.criteria["3"] == more.criteria["3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("predictions")


@FEW
@given(
    st.lists(
        st.tuples(st.sampled_from(["0", "1", "", "NA"]), st.sampled_from(["0.3", "0", "1", ""])),
        min_size=1,
        max_size=30,
    )
)
def test_every_row_of_a_file_is_judged_or_counted(folder: Path, rows) -> None:
    rows = [("1", "0.5"), *rows]
    path = folder / "p.csv"
    pd.DataFrame(rows, columns=["y", "p"]).to_csv(path, index=False)

    read = read_predictions(path, Columns(), ["p"])

    assert len(read.judged.y) + sum(read.left_out.values()) == len(rows)
    assert read.left_out["no_outcome"] == sum(y in ("", "NA") for y, _ in rows)
