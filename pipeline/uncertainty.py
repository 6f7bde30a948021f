"""How sure every candidate is: learnt in training from out-of-fold risks, stored in its bundle."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.bundle import Bundle
from models.domain import Uses
from models.scorers import ConstantScorer
from models.splits import SplitPlan
from models.uncertainty import (
    Calibration,
    Rules,
    cross_answers,
    fit_uncertainty,
    fold_levels,
)
from pipeline.config import TrainParams
from pipeline.dataset import feature_roles
from pipeline.errors import ConfigError

Matrix = npt.NDArray[np.float64]


def uncertainty_rules(params: TrainParams) -> Rules:
    """Take the promises from the parameters.

    Raises
    ------
    ConfigError
        For a level that is no probability, or limits that nothing could meet.
    """
    if not 0 < params.uncertainty_level < 1:
        raise ConfigError(
            "train, uncertainty_level: expected a number between 0 and 1, found "
            f"{params.uncertainty_level}."
        )
    if not 0 < params.uncertainty_width_limit <= 1:
        raise ConfigError(
            "train, uncertainty_width_limit: expected a number above 0 and up to 1, found "
            f"{params.uncertainty_width_limit}."
        )
    if params.uncertainty_least_persons < 1:
        raise ConfigError(
            "train, uncertainty_least_persons: expected a whole number from 1, found "
            f"{params.uncertainty_least_persons}."
        )
    return Rules(
        params.uncertainty_level,
        params.uncertainty_width_limit,
        params.uncertainty_least_persons,
    )


@dataclass(frozen=True)
class Sureness:
    """Rows that candidates were validated on, and what is promised about new ones.

    Attributes
    ----------
    X : DataFrame of shape (n_rows, n_features)
    person : ndarray of shape (n_rows,), int
    judged : ndarray of shape (n_repeats, n_rows)
        Labels, NaN = not judged.
    plan : SplitPlan
    rules : Rules
    """

    X: pd.DataFrame
    person: npt.NDArray[np.int64]
    judged: Matrix
    plan: SplitPlan
    rules: Rules

    def attach(self, bundle: Bundle, risk: Matrix) -> Bundle:
        """Return the bundle with what it needs to say how sure it is.

        Parameters
        ----------
        bundle : Bundle
        risk : ndarray of shape (n_repeats, n_rows)
            Its candidate's out-of-fold risks.
        """
        data = self._calibration(bundle, risk)
        found = fit_uncertainty(data, uses_of(bundle), self.rules)
        return replace(bundle, uncertainty=found)

    def cross_answered(self, bundle: Bundle, risk: Matrix, keys: pd.DataFrame) -> pd.DataFrame:
        """What would have been said of every row, had its fold been new.

        Returns
        -------
        DataFrame of shape (n_repeats * n_rows, any)
            The keys, ``repeat``, ``y``, ``p``, ``p_lower``, ``p_upper``, ``set``, ``distance``
            and ``abstain_reasons``.
        """
        data = self._calibration(bundle, risk)
        said = cross_answers(data, self.plan, uses_of(bundle), self.rules)
        parts = [
            keys.reset_index(drop=True).assign(
                repeat=repeat,
                y=self.judged[repeat],
                p=data.risk[repeat],
                p_lower=answers.lower,
                p_upper=answers.upper,
                set=answers.set_names.shown,
                distance=answers.distance,
                abstain_reasons=answers.reason_texts.shown,
            )
            for repeat, answers in enumerate(said)
        ]
        return pd.concat(parts, ignore_index=True)

    def _calibration(self, bundle: Bundle, risk: Matrix) -> Calibration:
        if isinstance(bundle.scorer, ConstantScorer):
            # The last digit of a constant must not decide on which side of a threshold it is.
            same = np.full_like(risk, bundle.scorer.risk)
            return Calibration(self.judged, same, None, self.person, self.X)
        level = fold_levels(self.judged, self.plan)
        return Calibration(self.judged, risk, level, self.person, self.X)


def uses_of(bundle: Bundle) -> Uses:
    """Say what of a row the bundle's model uses, and what makes a cell of the study's design."""
    columns: tuple[str, ...] = getattr(bundle.scorer, "columns", ())
    blocks = {
        name: tuple(c for c in members if c in columns) for name, members in bundle.blocks.items()
    }
    # Intensity is ordered: whether it is one that was learnt from is a matter of its range.
    graded = bundle.blocks.get("exercise_intensity", ())
    stratum = feature_roles(list(bundle.feature_names)).stratum
    cells = tuple(c for c in stratum if c not in graded)
    return Uses(columns, cells, {n: c for n, c in blocks.items() if c})
