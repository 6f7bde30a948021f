"""What the sets, intervals and abstentions promise, on persons whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.special import expit

from models.classifiers import make_logistic
from models.domain import Uses
from models.judged import Judged
from models.selective import FEWER_ERRORS, Resamples, abstention_effect
from models.splits import make_split_plan
from models.uncertainty import (
    Answers,
    Calibration,
    Rules,
    Uncertainty,
    fit_uncertainty,
    fold_levels,
)
from models.venn_abers import fit_venn_abers, merged

Vector = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
COLUMNS = ("a", "b", "c", "d", "e")
USES = Uses(COLUMNS, (), {})
PERSONS, NEW_PERSONS = 200, 600
STUDIES = 40


def simulate(
    rng: np.random.Generator, n_persons: int, shift: float = 0.0
) -> tuple[pd.DataFrame, Vector, Index]:
    """1 to 5 bouts of each person: more bouts for persons of higher risk, and a person's own level.

    Rows of a person are alike in features and in what no feature shows. With ``shift`` the
    persons differ from others in a feature, and the outcome turns round among them.
    """
    level = rng.normal(size=n_persons)
    n_bouts = 1 + rng.binomial(4, expit(2 * level))
    person = np.repeat(np.arange(n_persons), n_bouts)
    own = rng.normal(size=(n_persons, len(COLUMNS)))
    X = own[person] + 0.3 * rng.normal(size=(len(person), len(COLUMNS)))
    eta = (1.5 * X[:, 0] - X[:, 1]) * (1.0 if shift == 0 else -1.0) + level[person] - 0.5
    y = (rng.random(len(person)) < expit(eta)).astype(np.float64)
    return pd.DataFrame(X + shift, columns=COLUMNS), y, person


def learn(seed: int) -> tuple[object, Uncertainty]:
    """A ridge model on all persons, calibrated on the out-of-fold risks of five folds."""
    X, y, person = simulate(np.random.default_rng([seed, 0]), PERSONS)
    plan = make_split_plan(y, person, repeats=1, folds=5, inner_folds=2, seed=seed)
    risk = np.empty(len(y))
    for fold in plan.folds:
        fitted = make_logistic(COLUMNS, 0.1).fit(X.iloc[fold.train], y[fold.train])
        risk[fold.test] = fitted.predict_proba(X.iloc[fold.test])[:, 1]
    data = Calibration(y[None], risk[None], fold_levels(y[None], plan), person, X)
    found = fit_uncertainty(data, USES, Rules())
    return make_logistic(COLUMNS, 0.1).fit(X, y), found


@cache
def answer(seed: int, shift: float = 0.0) -> tuple[Vector, Vector, Index, Answers]:
    """Risks, outcomes, persons and answers of new persons."""
    model, found = learn(seed)
    X, y, person = simulate(np.random.default_rng([seed, 1]), NEW_PERSONS, shift)
    risk = model.predict_proba(X)[:, 1]  # type: ignore[attr-defined]
    return risk, y, person, found.answer(risk, X)


def person_coverage(y: Vector, person: Index, answers: Answers) -> list[float]:
    """Per class, the mean over persons of the share of their rows of the class that are covered."""
    covered = np.where(y == 1, answers.sets[1], answers.sets[0]).astype(np.float64)
    return [float(pd.Series(covered[y == c]).groupby(person[y == c]).mean().mean()) for c in (0, 1)]


def test_ninety_percent_sets_cover_88_to_92_percent_of_persons_of_either_class() -> None:
    # STUDIES studies: the standard error of the mean coverage is the SD between studies over
    # the root of their number, about .0045: the bounds lie four standard errors from .90.
    found = np.array([person_coverage(*answer(seed)[1:]) for seed in range(STUDIES)])

    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (error < 0.006).all()
    assert ((mean > 0.88) & (mean < 0.92)).all()


def gaps(studies: Sequence[Vector], said: Sequence[Vector], person: Sequence[Index]) -> Vector:
    """Observed minus said in each fifth of what was said, every person counting once."""
    share = np.concatenate([1.0 / np.bincount(p)[p] for p in person])
    y, claim = np.concatenate(studies), np.concatenate(said)
    fifth = np.searchsorted(np.quantile(claim, [0.2, 0.4, 0.6, 0.8]), claim)
    return np.array(
        [np.average((y - claim)[fifth == k], weights=share[fifth == k]) for k in range(5)]
    )


def test_the_probability_of_the_label_that_came_is_calibrated_with_one_bout_each() -> None:
    # The theorem [Vovk2014]. 100 studies, 200 persons in calibration and 600 new: a fifth's gap
    # has a standard error of .005 at the ends and .025 in the middle, where few studies'
    # steps lie (measured between studies).
    labels, said, persons = [], [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        risk = rng.uniform(size=PERSONS + NEW_PERSONS)
        y = (rng.random(len(risk)) < risk**2).astype(np.float64)
        everybody = np.arange(len(risk))
        old, new = everybody[:PERSONS], everybody[PERSONS:]
        lower, upper = fit_venn_abers(y[old], risk[old], old).interval(risk[new])
        labels.append(y[new])
        said.append(np.where(y[new] == 1, upper, lower))
        persons.append(new - PERSONS)

    found = np.abs(gaps(labels, said, persons))

    assert found[[0, 4]].max() < 0.02
    assert found.max() < 0.06


def test_probabilities_are_calibrated_in_new_persons_with_several_bouts() -> None:
    # A fifth holds rows of some 5000 persons in 40 studies: SE .004 to .010; the models of the
    # folds are less extreme than the final one, which costs up to .02 at the ends.
    parts = [answer(seed) for seed in range(STUDIES)]
    labels, person = [y for _, y, _, _ in parts], [p for _, _, p, _ in parts]
    single = [merged(a.lower, a.upper) for *_, a in parts]
    raw = [risk for risk, *_ in parts]

    assert np.abs(gaps(labels, single, person)).max() < 0.03
    assert np.abs(gaps(labels, raw, person)).max() > 0.05


@pytest.mark.parametrize("seed", range(3))
def test_abstention_refuses_persons_of_another_kind_and_lowers_error(seed: int) -> None:
    near, far = answer(seed), answer(seed, shift=6.0)
    refused = np.concatenate([near[3].abstained, far[3].abstained])
    y, risk = (np.concatenate([near[i], far[i]]) for i in (1, 0))
    person = np.concatenate([near[2], far[2] + NEW_PERSONS])
    judged = Judged(y, person, np.zeros((1, len(y)), dtype=np.int64))

    effect = abstention_effect(Resamples(judged, risk[None], 200, 0), refused[None])

    assert near[3].abstained.mean() < 0.1
    assert far[3].abstained.mean() > 0.95
    assert effect["wrong_side"]["sentence"] == FEWER_ERRORS
    assert effect["brier"]["sentence"] == FEWER_ERRORS


def test_abstention_is_not_said_to_help_where_it_does_not() -> None:
    # Refused at random: three studies of 600 persons, all intervals hold zero or one in twenty
    # does not; with these seeds all do.
    for seed in range(3):
        risk, y, person, _ = answer(seed)
        refused = np.random.default_rng(seed).random(len(y)) < 0.3
        judged = Judged(y, person, np.zeros((1, len(y)), dtype=np.int64))

        effect = abstention_effect(Resamples(judged, risk[None], 200, 0), refused[None])

        assert effect["wrong_side"]["sentence"] == "no difference in error has been shown"
