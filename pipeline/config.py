"""params.yaml as frozen dataclasses: unknown, missing and wrongly typed keys are errors."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from pipeline.errors import ConfigError

PARAMS = Path("params.yaml")


@dataclass(frozen=True)
class StudyParams:
    """Which study: ``demo`` is simulated, any other name is a study map, ``a+b`` pools two.

    ``reserve_baseline`` divides the trials before exercise between predictor and outcome, for a
    study without a baseline block of its own.
    """

    name: str = "demo"
    source: str = ""
    participants: int = 300
    scenario: str = "base"
    seed: int = 1
    reserve_baseline: Literal["none", "odd", "even"] = "none"


@dataclass(frozen=True)
class LabelParams:
    """The responder rule; ``study`` (and null) leave it to the study's own design.

    What each key means is said in :class:`features.outcome_design.OutcomeDesign`.
    """

    rule: Literal["study", "sem", "mdc95", "posterior"] = "study"
    change_scale: Literal["study", "primary", "log_ratio", "absolute", "percent", "ancova"] = (
        "study"
    )
    sem_of: Literal["study", "change", "single"] = "study"
    sem_by: Literal["study", "pooled", "condition"] = "study"
    delta_of: Literal["study", "sem_single", "sem_change", "value"] = "study"
    delta: float | None = None
    certainty: float | None = None
    prior_by: Literal["study", "pooled", "condition"] = "study"
    # Endpoints change_at_week_<k> beside the study's own: programmes with follow-ups only.
    every_week: bool = False


@dataclass(frozen=True)
class FeaturizeParams:
    """Which feature families a model may see; ``biology`` and ``history`` are off unless named."""

    families: tuple[str, ...] = ("person", "condition", "questionnaires", "modulation", "exercise")


@dataclass(frozen=True)
class TrainParams:
    """How candidates are validated and tuned.

    With ``soft_labels`` they learn from the probability of a true response, not from its cut;
    they are judged by the hard labels either way.
    """

    endpoint: str = "primary"
    decision_time: Literal["screening", "baseline"] = "baseline"
    soft_labels: bool = False
    seed: int = 20261
    repeats: int = 3
    folds: int = 5
    inner_folds: int = 4
    jobs: int = 2
    stratum_prior_strength: tuple[float, ...] = (2.0, 8.0, 32.0)
    logistic_c: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    xgboost_max_depth: tuple[int, ...] = (1, 3)
    xgboost_n_estimators: tuple[int, ...] = (40, 120)
    # Restricted cubic splines of the logistic rung: knots tried, 0 = straight lines (3, 4, 5).
    logistic_spline_knots: tuple[int, ...] = (0,)
    # Penalties of the regression of the change: how strong, and the share that sets coefficients
    # to zero (0 = ridge, between = elastic net, 1 = lasso).
    regression_alpha: tuple[float, ...] = (10.0, 30.0, 100.0, 300.0, 1000.0)
    regression_l1_ratio: tuple[float, ...] = (0.0,)
    # Map of the trees' risks, learnt on tuning-split predictions.
    xgboost_calibration: Literal["none", "platt", "beta"] = "platt"
    # Whether trees keep to the signs in seeds/evidence_signs.toml.
    xgboost_monotone: bool = True
    # Share of persons of either class whose class the prediction set holds.
    uncertainty_level: float = 0.9
    # A prediction abstains beyond this width of the probability's interval, and in cells of
    # condition and exercise with fewer persons than this.
    uncertainty_width_limit: float = 0.2
    uncertainty_least_persons: int = 5

    def __post_init__(self) -> None:
        """Refuse what no fit could use."""
        if not self.regression_l1_ratio or not all(0 <= r <= 1 for r in self.regression_l1_ratio):
            raise ValueError("regression_l1_ratio: expected a list of numbers from 0 to 1.")


@dataclass(frozen=True)
class JointParams:
    """The model of both risks at once, and what a flare weighs against a response.

    ``c`` are the ridge penalties tried; ``harm_of_flare`` and ``benefit_of_response`` give the
    rows of the decision table. Splits, endpoint and decision time are those of ``train``.
    """

    c: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1)
    harm_of_flare: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    benefit_of_response: float = 1.0


@dataclass(frozen=True)
class PolicyParams:
    """Which exercise for whom: the arms compared, and who may respond to them differently.

    ``arm`` is the column of cases whose values are compared, ``modifiers`` the features whose
    coefficient may differ between arms (those at hand are used), ``c`` the ridge penalties tried.
    An arm needs ``least_persons`` of a condition to be open to it. Utility is
    ``benefit_of_response`` * P(response) - ``harm_of_flare`` * P(hyperalgesia). ``refits`` on
    resampled persons give the intervals.
    """

    arm: str = "modality"
    modifiers: tuple[str, ...] = (
        "age_years",
        "sex_female",
        "expectancy",
        "pain_now_nrs",
        "pcs_total",
        "tsk17_total",
        "cpm_ppt_log_ratio",
        "ts_difference_nrs",
    )
    c: tuple[float, ...] = (0.001, 0.01, 0.1)
    harm_of_flare: float = 1.0
    benefit_of_response: float = 1.0
    least_persons: int = 10
    refits: int = 100
    seed: int = 20268


@dataclass(frozen=True)
class EvaluateParams:
    """How predictions are judged.

    ``resamples`` of persons for an interval; ``interval`` of the AUC (auto: DeLong for one row per
    person, clustered where rows repeat, bootstrap for cross-validated risks); ``thresholds`` at
    which net benefit is reported; ``harm_ratio`` of needless to needed action, which gives the
    threshold h / (1 + h) (null: chosen within the folds); the smallest subgroup that is reported;
    lower ends of the age bands after the first; the C statistic anticipated before the study,
    for the sample-size verdict.
    """

    resamples: int = 1000
    seed: int = 7
    interval: Literal["auto", "delong", "clustered", "bootstrap"] = "auto"
    thresholds: tuple[float, ...] = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6)
    harm_ratio: float | None = None
    subgroups: tuple[str, ...] = ("sex", "age_band", "condition", "site_id")
    age_bands: tuple[float, ...] = (40.0, 60.0)
    minimum_cell_persons: int = 20
    minimum_cell_events: int = 5
    anticipated_c_statistic: float = 0.7


@dataclass(frozen=True)
class CheckParams:
    """Which checks are muted: code to the reason, which is recorded (``eih checks`` lists them)."""

    mute: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BiomarkerParams:
    """A panel of markers, and the base set each of them is judged over.

    Names are features, columns of cases or families; what a study did not measure is left out
    and said. ``rules`` and ``learners`` (unpenalised, logistic, xgboost) make the robustness
    table; ``thresholds`` are those at which net benefit and reclassification are reported,
    declared before looking; ``reliability`` of markers as name=0.7.
    """

    candidates: tuple[str, ...] = ("psychosocial", "modulation", "sensitivity")
    base: tuple[str, ...] = ("age_years", "sex", "condition", "modality")
    endpoint: str = "primary"
    decision_time: Literal["screening", "baseline"] = "baseline"
    seed: int = 20266
    repeats: int = 3
    folds: int = 5
    resamples: int = 500
    thresholds: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    rules: tuple[str, ...] = ("sem_change", "sem_single", "mdc95", "posterior")
    learners: tuple[str, ...] = ("unpenalised", "logistic", "xgboost")
    reliability: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExplainParams:
    """Which candidates are explained, and how many features a figure shows.

    ``refits``: resamples of the persons on which the whole procedure is repeated, for intervals
    of ranks and recurring reasons; 0 = none. ``top_reasons``: how many of a row's largest
    contributions count as its reasons.
    """

    candidates: tuple[str, ...] = ("logistic", "xgboost")
    max_display: int = 15
    refits: int = 20
    top_reasons: int = 3


@dataclass(frozen=True)
class PredictParams:
    """How many rows are held in memory at a time (0: by their size); the result is the same."""

    chunk_rows: int = 0


@dataclass(frozen=True)
class ReportParams:
    """Title of the report (empty: the study's own), and the file of what only people know.

    ``study_text``: path of a ``study.toml`` as ``eih tripod --draft`` writes it; empty: none.
    """

    title: str = ""
    study_text: str = ""


@dataclass(frozen=True)
class RegisterParams:
    """Where runs are tracked."""

    tracking_uri: str = "sqlite:///outputs/mlflow.db"
    experiment: str = "eih"


@dataclass(frozen=True)
class Params:
    """Everything in params.yaml: one section per stage, and the targets of the matrix stages."""

    targets: tuple[str, ...] = ("response", "hyperalgesia")
    study: StudyParams = field(default_factory=StudyParams)
    label: LabelParams = field(default_factory=LabelParams)
    featurize: FeaturizeParams = field(default_factory=FeaturizeParams)
    train: TrainParams = field(default_factory=TrainParams)
    joint: JointParams = field(default_factory=JointParams)
    policy: PolicyParams = field(default_factory=PolicyParams)
    evaluate: EvaluateParams = field(default_factory=EvaluateParams)
    biomarker: BiomarkerParams = field(default_factory=BiomarkerParams)
    explain: ExplainParams = field(default_factory=ExplainParams)
    predict: PredictParams = field(default_factory=PredictParams)
    check: CheckParams = field(default_factory=CheckParams)
    report: ReportParams = field(default_factory=ReportParams)
    register: RegisterParams = field(default_factory=RegisterParams)


def load_params(path: Path | None = None) -> Params:
    """Read params.yaml.

    Parameters
    ----------
    path : Path, optional
        Default: ``params.yaml`` in the current folder, or the built-in defaults without one.

    Raises
    ------
    ConfigError
        Naming the key that is unknown, missing or of the wrong type.
    """
    if path is None and not PARAMS.exists():
        return Params()
    chosen = path or PARAMS
    if not chosen.exists():
        raise ConfigError(f"{chosen}: expected a params file, found nothing there.")
    try:
        content = yaml.safe_load(chosen.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        line = str(error).replace("\n", " ")[:120]
        raise ConfigError(f"{chosen}: expected YAML ({line}).") from None
    params: Params = build(Params, content, str(chosen), complete=True)
    return params


def build(kind: Any, content: Any, where: str, complete: bool = False) -> Any:
    """Turn plain content into ``kind``: a dataclass, a tuple of them, or a scalar.

    Parameters
    ----------
    kind : type
    content : dict, list or scalar
    where : str
        The place, for messages.
    complete : bool, default=False
        Whether keys that have a default must be given all the same.

    Raises
    ------
    ConfigError
        One line: the key, what is accepted, what was found.
    """
    if is_dataclass(kind):
        return _build_dataclass(kind, content, where, complete)
    origin = get_origin(kind)
    if origin is Literal:
        if content not in get_args(kind):
            raise ConfigError(f"{where}: expected {_one_of(get_args(kind))}, found '{content}'.")
        return content
    if origin is tuple:
        if not isinstance(content, list | tuple):
            raise ConfigError(f"{where}: expected a list, found {_kind_of(content)}.")
        member = get_args(kind)[0]
        return tuple(build(member, c, f"{where}[{i}]", complete) for i, c in enumerate(content))
    if origin in (Union, types.UnionType):
        member = next(a for a in get_args(kind) if a is not type(None))
        return None if content is None else build(member, content, where, complete)
    return _build_scalar(kind, content, where)


def _build_dataclass(kind: Any, content: Any, where: str, complete: bool) -> Any:
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where}: expected keys and values, found {_kind_of(content)}.")
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)]
    unknown = sorted(set(content) - set(names))
    if unknown:
        raise ConfigError(f"{where}: expected {_one_of(names)}, found '{unknown[0]}'.")
    required = [
        f.name
        for f in fields(kind)
        if complete or (f.default is MISSING and f.default_factory is MISSING)
    ]
    missing = [n for n in required if n not in content]
    if missing:
        raise ConfigError(f"{where}: expected the key '{missing[0]}', found it missing.")
    values = {n: build(hints[n], c, f"{where}, {n}", complete) for n, c in content.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(f"{where}, {error}") from None


def _build_scalar(kind: Any, content: Any, where: str) -> Any:
    if kind is float and isinstance(content, int) and not isinstance(content, bool):
        return float(content)
    plain = {str: str, int: int, float: float, bool: bool}.get(kind)
    if plain is None:
        return content
    if not isinstance(content, plain) or (plain is not bool and isinstance(content, bool)):
        raise ConfigError(f"{where}: expected {plain.__name__}, found {_kind_of(content)}.")
    return content


def _one_of(names: Any) -> str:
    return "one of " + ", ".join(str(n) for n in names)


def _kind_of(content: Any) -> str:
    return "nothing" if content is None else type(content).__name__
