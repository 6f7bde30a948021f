"""What a fitted candidate has learnt, as plain numbers: enough to predict and to explain.

A scorer is made from a fitted scikit-learn pipeline, holds no pickled object, and gives the
same probabilities as the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost
from scipy.special import expit, log_ndtr, ndtr
from sklearn.pipeline import Pipeline

from models.calibration import logit
from models.classifiers import look_up_rates, stratum_keys
from models.recalibration import Recalibrated, Recalibration
from models.standardised import Standardised, expand
from models.tabulated import score, tabulate
from models.tree_interactions import pair_contributions
from models.tree_tables import TreeTables

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contributions:
    """Additive explanation on the log-odds scale: baseline + sum of a row's values = log-odds.

    Attributes
    ----------
    names : tuple of str
        What contributes; one column of ``values`` each.
    values : ndarray of shape (n_rows, n_names), log-odds
    baseline : float, log-odds
    """

    names: tuple[str, ...]
    values: Matrix
    baseline: float


@dataclass(frozen=True)
class ConstantScorer:
    """The same risk for everybody."""

    kind: ClassVar[str] = "constant"
    risk: float

    def probability(self, X: pd.DataFrame) -> Vector:
        """Return the risk of every row, shape (n_rows,)."""
        return np.full(len(X), self.risk)

    def log_odds(self, X: pd.DataFrame) -> Vector:
        """Return the log-odds of every row, shape (n_rows,)."""
        return logit(self.probability(X))

    def contributions(self, X: pd.DataFrame) -> Contributions:
        """Explain: nothing contributes."""
        return Contributions((), np.zeros((len(X), 0)), float(logit(np.array([self.risk]))[0]))


@dataclass(frozen=True)
class StratumScorer:
    """Shrunken event rate of each combination of ``columns``."""

    kind: ClassVar[str] = "stratum"
    columns: tuple[str, ...]
    rates: Mapping[str, float]
    default: float

    def probability(self, X: pd.DataFrame) -> Vector:
        """Return the risk of every row, shape (n_rows,)."""
        return look_up_rates(stratum_keys(X, self.columns), self.rates, self.default)

    def log_odds(self, X: pd.DataFrame) -> Vector:
        """Return the log-odds of every row, shape (n_rows,)."""
        return logit(self.probability(X))

    def contributions(self, X: pd.DataFrame) -> Contributions:
        """Explain: the stratum as a whole, against the overall rate."""
        baseline = float(logit(np.array([self.default]))[0])
        return Contributions(("stratum",), (self.log_odds(X) - baseline)[:, None], baseline)


@dataclass(frozen=True)
class _Terms:
    """Imputed, indicator-marked, splined, standardised columns and their coefficients.

    ``mean``, ``scale`` and ``coefficients`` have one value per column, then one per column of
    ``indicators`` (columns whose missingness is itself a term), then one per spline term of
    ``spline_columns``, column by column; ``spline_knots`` holds their knots one after another.
    """

    columns: tuple[str, ...]
    fill: tuple[float, ...]
    indicators: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    spline_columns: tuple[str, ...] = ()
    spline_knots: tuple[float, ...] = ()

    def _standardised(self, X: pd.DataFrame) -> Matrix:
        values = X[list(self.columns)].to_numpy(dtype=np.float64)
        learnt = (np.array(self.fill), self.indicators, self._knots())
        centred = expand(values, self.columns, learnt) - np.array(self.mean)
        return np.asarray(centred / np.array(self.scale), dtype=np.float64)

    def _knots(self) -> dict[str, tuple[float, ...]]:
        each = len(self.spline_knots) // max(len(self.spline_columns), 1)
        return {
            name: self.spline_knots[i * each : (i + 1) * each]
            for i, name in enumerate(self.spline_columns)
        }

    def _sources(self) -> list[str]:
        """Name the column that every term is made from."""
        each = len(self.spline_knots) // max(len(self.spline_columns), 1) - 2
        splined = [name for name in self.spline_columns for _ in range(each)]
        return [*self.columns, *self.indicators, *splined]

    def predictor(self, X: pd.DataFrame) -> Vector:
        """Return the linear predictor of every row, shape (n_rows,)."""
        # Column by column: a matrix product sums in an order that depends on the number of
        # rows, and a row's prediction must not depend on its neighbours.
        z = self._standardised(X)
        total = np.full(len(X), self.intercept)
        for column, coefficient in zip(z.T, self.coefficients, strict=True):
            total += column * coefficient
        return total

    def terms_by_column(self, X: pd.DataFrame) -> Matrix:
        """Return what each column adds to the linear predictor, shape (n_rows, n_columns).

        The terms that mark a value as missing or bend a column belong to that column.
        """
        terms = self._standardised(X) * np.array(self.coefficients)
        values: Matrix = terms[:, : len(self.columns)].copy()
        for i, name in enumerate(self._sources()[len(self.columns) :], start=len(self.columns)):
            values[:, self.columns.index(name)] += terms[:, i]
        return values


@dataclass(frozen=True)
class LinearScorer(_Terms):
    """Logistic regression: the linear predictor is the log-odds."""

    kind: ClassVar[str] = "linear"

    def log_odds(self, X: pd.DataFrame) -> Vector:
        """Return the log-odds of every row, shape (n_rows,)."""
        return self.predictor(X)

    def probability(self, X: pd.DataFrame) -> Vector:
        """Return the risk of every row, shape (n_rows,)."""
        return np.asarray(expit(self.log_odds(X)), dtype=np.float64)

    def contributions(self, X: pd.DataFrame) -> Contributions:
        """Exact SHAP values of a linear model: coefficient times distance from the mean.

        The background is the training data, whose standardised means are zero.
        """
        return Contributions(self.columns, self.terms_by_column(X), self.intercept)


@dataclass(frozen=True)
class MarginScorer(_Terms):
    """Regression of the change: the linear predictor is the expected margin.

    The risk is Phi(expected margin / spread): the share of normal residuals that leaves the
    change beyond the threshold.
    """

    kind: ClassVar[str] = "margin"
    spread: float = 1.0

    def log_odds(self, X: pd.DataFrame) -> Vector:
        """Return the log-odds of every row, shape (n_rows,)."""
        return self._of_margin(self.predictor(X))

    def _of_margin(self, margin: Vector) -> Vector:
        z = margin / self.spread
        return np.asarray(log_ndtr(z) - log_ndtr(-z))

    def probability(self, X: pd.DataFrame) -> Vector:
        """Return the risk of every row, shape (n_rows,)."""
        return np.asarray(ndtr(self.predictor(X) / self.spread), dtype=np.float64)

    def contributions(self, X: pd.DataFrame) -> Contributions:
        """Exact on the margin scale, then stretched to the log-odds; see :func:`stretch`."""
        on_margin = Contributions(self.columns, self.terms_by_column(X), self.intercept)
        return stretch(on_margin, self._of_margin)


@dataclass(frozen=True)
class BoostedScorer:
    """Boosted trees, as XGBoost's own binary format (UBJ), and their tabulated contributions.

    ``recalibration``: intercept and slopes of the map its risks go through, see
    :class:`models.recalibration.Recalibration`. ``tables``: None for trees too deep to be
    tabulated, whose contributions XGBoost computes.
    """

    kind: ClassVar[str] = "boosted"
    columns: tuple[str, ...]
    ubj: bytes
    recalibration: tuple[float, ...] = (0.0, 1.0, 1.0)
    tables: TreeTables | None = field(default=None, compare=False, repr=False)

    @cached_property
    def booster(self) -> xgboost.Booster:
        """Return the trees, ready to predict with one thread."""
        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(self.ubj))
        return booster

    @property
    def _map(self) -> Recalibration:
        return Recalibration(*self.recalibration)

    def _matrix(self, X: pd.DataFrame) -> Matrix:
        names = list(self.columns)
        # Most often the table holds just these: picking them out would copy it.
        return (X if list(X.columns) == names else X[names]).to_numpy(dtype=np.float64)

    def probability(self, X: pd.DataFrame) -> Vector:
        """Return the risk of every row, shape (n_rows,), at the resolution of float32 log-odds."""
        return np.asarray(expit(self.log_odds(X)), dtype=np.float64)

    def log_odds(self, X: pd.DataFrame) -> Vector:
        """Return the log-odds of every row, shape (n_rows,)."""
        margin = self.booster.inplace_predict(self._matrix(X), predict_type="margin")
        # No rows come back in two dimensions from XGBoost 3.4.
        return self._map.log_odds(np.asarray(margin, dtype=np.float64).reshape(len(X)))

    def contributions(self, X: pd.DataFrame) -> Contributions:
        """Exact path-dependent TreeSHAP on the scale of the recalibrated risk.

        A map with one slope is a straight line on the log-odds scale: contributions are
        multiplied by it, and stay exact. Beta calibration is not, see :func:`stretch`.
        """
        found = self.explained(X)[1]
        # A row's contributions beside each other: whoever reads them reads rows.
        return replace(found, values=np.ascontiguousarray(found.values))

    def explained(self, X: pd.DataFrame) -> tuple[Vector, Contributions]:
        """Return risk and contributions of every row; with tables both come from one pass.

        The risk is that of :meth:`probability` to the last bit: the tables add the same leaves
        in the same order. A feature's contributions lie beside each other: they are written so.
        """
        if self.tables is None:
            return self.probability(X), self._recalibrated(*self._by_xgboost(X))
        margin, values = score(self.tables, self._matrix(X))
        risk = expit(self._map.log_odds(margin.astype(np.float64)))
        found = self._recalibrated(values.T, float(self.tables.baseline[0]))
        return np.asarray(risk, dtype=np.float64), found

    def pairs(self, X: pd.DataFrame) -> dict[tuple[str, str], Vector] | None:
        """Return joint contributions of pairs, see :func:`pair_contributions`.

        None where there are none to be had: trees that are not tabulated, and beta calibration,
        which bends the scale that they add up on.
        """
        if self.tables is None or self._map.up != self._map.down:
            return None
        found = pair_contributions(self.booster, self.tables, self._matrix(X))
        names = self.columns
        return {(names[i], names[j]): self._map.up * v for (i, j), v in found.items()}

    def _by_xgboost(self, X: pd.DataFrame) -> tuple[npt.NDArray[np.float32], float]:
        if len(X) == 0:  # XGBoost answers an empty matrix with an array of one dimension
            return np.zeros((0, len(self.columns)), dtype=np.float32), 0.0
        data = xgboost.DMatrix(self._matrix(X), nthread=1)
        parts = self.booster.predict(data, pred_contribs=True)
        return parts[:, :-1], float(parts[0, -1])

    def _recalibrated(self, values: npt.NDArray[np.float32], baseline: float) -> Contributions:
        """Carry the trees' contributions to the risk's own scale, in double precision."""
        found = self._map
        if found.up != found.down:
            raw = Contributions(self.columns, values.astype(np.float64), baseline)
            return stretch(raw, found.log_odds)
        scaled = np.multiply(values, found.up, dtype=np.float64)
        return Contributions(self.columns, scaled, found.intercept + found.up * baseline)


def stretch(raw: Contributions, to_log_odds: Callable[[Vector], Vector]) -> Contributions:
    """Carry contributions through a rising map to the log-odds scale.

    Every contribution of a row is multiplied by the same factor: the slope of the chord of the
    map between the baseline and the row's own value. Signs and shares stay as they are on the
    scale where the model is additive, and the contributions add up to the log-odds exactly. On
    the log-odds scale itself they are this rule's division, not Shapley values of the map.
    """
    # One name after another: in the same order for any number of rows.
    total = reduce(np.add, raw.values.T, np.zeros(len(raw.values)))
    start = np.full(len(total), raw.baseline)
    # Where a row lies at the baseline the chord is the tangent; contributions are near 0 there.
    width = np.where(np.abs(total) > 1e-6, total, 1e-6)
    factor = (to_log_odds(start + width) - to_log_odds(start)) / width
    baseline = float(to_log_odds(np.array([raw.baseline]))[0])
    return Contributions(raw.names, raw.values * factor[:, None], baseline)


Scorer = ConstantScorer | StratumScorer | LinearScorer | MarginScorer | BoostedScorer
SCORERS: dict[str, type[Scorer]] = {
    s.kind: s for s in (ConstantScorer, StratumScorer, LinearScorer, MarginScorer, BoostedScorer)
}


def make_scorer(fitted: Pipeline | Recalibrated, *, tabulated: bool = True) -> Scorer:
    """Take out of a fitted candidate what it has learnt.

    Parameters
    ----------
    fitted : fitted candidate
    tabulated : bool, default=True
        Whether to tabulate the contributions of shallow trees: worth it for a model that is
        kept, not for one that explains a few hundred rows once.

    Raises
    ------
    TypeError
        For a pipeline that is no rung of the ladder.
    BundleError
        If tabulated contributions are not those of XGBoost.
    """
    if isinstance(fitted, Recalibrated):
        scorer = make_scorer(fitted.fitted, tabulated=tabulated)
        if isinstance(scorer, BoostedScorer):
            found = fitted.recalibration
            return replace(scorer, recalibration=(found.intercept, found.up, found.down))
        raise TypeError(f"no scorer for a recalibrated {type(scorer).__name__}")
    model = fitted.named_steps["model"]
    name = type(model).__name__
    if name == "DummyClassifier":
        return ConstantScorer(float(model.class_prior_[1]))
    if name == "StratumClassifier":
        return StratumScorer(tuple(model.columns), dict(model.rates_), model.rate_)
    if name == "RidgeLogistic":
        return LinearScorer(**_terms(fitted.named_steps["prepare"], model.coef_[0], model))
    if name in ("RidgeMargin", "ElasticNetMargin"):
        terms = _terms(fitted.named_steps["prepare"], model.coef_, model)
        return MarginScorer(**terms, spread=float(model.spread_))
    if name == "XGBClassifier":
        columns = tuple(fitted.named_steps["select"].columns)
        scorer = BoostedScorer(columns, bytes(model.get_booster().save_raw("ubj")))
        tables = tabulate(scorer.booster, len(columns)) if tabulated else None
        return replace(scorer, tables=tables)
    raise TypeError(f"no scorer for {name}")


def _terms(prepare: Standardised, coefficients: Vector, model: Any) -> dict[str, Any]:
    """Return the fields of :class:`_Terms`."""
    knots = prepare.knots_
    return {
        "columns": tuple(prepare.columns),
        "fill": _floats(prepare.fill_),
        "indicators": prepare.indicators_,
        "mean": _floats(prepare.mean_),
        "scale": _floats(prepare.scale_),
        "coefficients": _floats(coefficients),
        "intercept": float(np.ravel(model.intercept_)[0]),
        "spline_columns": tuple(knots),
        "spline_knots": _floats(k for at in knots.values() for k in at),
    }


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
