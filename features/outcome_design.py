"""How a study's outcome is defined: endpoints, reference, scale, rule, and whose error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Rule = Literal["sem", "mdc95", "posterior"]
ChangeScale = Literal["primary", "log_ratio", "absolute", "percent", "ancova"]
SemOf = Literal["change", "single"]


@dataclass(frozen=True)
class Endpoint:
    """One outcome of a study: a measure at a site and a moment, under a name."""

    name: str
    measure: str
    site_role: str
    timepoint: str


@dataclass(frozen=True)
class StatedSem:
    """A standard error of measurement from outside the study, in the unit of the change scale."""

    measure: str
    sem_single: float
    source: str
    status: str = "unverified"


@dataclass(frozen=True)
class OutcomeDesign:
    """How a study's outcome is defined; part of every outcome table's record.

    Parameters
    ----------
    reference : {'pre', 'bout'}
        What the measurement after the bout is compared with: the one before it, or another
        bout of the same person and visit, marked by ``reference_where`` (columns of cases).
    subtract_rest : bool
        Whether the change of the person's quiet-rest bout is subtracted, where there is one.
    change_scale : {'primary', 'log_ratio', 'absolute', 'percent', 'ancova'}
        The scale classes are made on. ``primary`` is that of the measure (log ratio for
        thresholds, absolute for ratings and temperatures); ``ancova`` is the primary scale,
        adjusted for the reference by a slope learnt on the training persons.
    rule : {'sem', 'mdc95', 'posterior'}
        ``sem``: beyond one standard error of measurement; ``mdc95``: beyond the minimal
        detectable change, 1.96 errors of a change; ``posterior``: probably truly beyond
        ``delta``, after shrinkage (:mod:`features.posterior`).
    sem_of : {'change', 'single'}
        The SEM of the change itself (16 % of people without any effect exceed it), or of a
        single value (24 %; the usual reading of the rest-bout rule). See evidence A3.
    sem_by : {'pooled', 'condition'}
        One error for everybody, or one per pain condition (where it has enough values).
    sem_source : {'rest', 'trials', 'stated'}
        From the spread of rest bouts, from repeated trials within a bout, or ``stated_sem``.
    delta_of : {'sem_single', 'sem_change', 'value'}
        What a true change has to exceed under ``posterior``: the error of a single value, that
        of a change, or ``delta``.
    delta : float, unit of the change scale, >= 0
        Read with ``delta_of = 'value'`` only; 0 asks for the direction alone.
    certainty : float in 0.5 to 1
        Probability from which ``posterior`` decides; below it a class is indeterminate.
    prior_by : {'condition', 'pooled'}
        Towards which mean ``posterior`` shrinks: of the person's pain condition, or of all.
    flare_rise_nrs : float, points of 10
        Rise of clinical pain that counts as a flare.

    Notes
    -----
    The default ``delta`` is the SEM of a single value, because a posterior has measurement
    error in its width already: asking for the larger SEM of a change would count the error
    twice and leave almost nobody decided, and asking for 0 would call any true change a
    response and leave no room for ``no_change``. It is the threshold that the field's own
    rest-bout rule names (evidence A1, A5).
    """

    endpoints: tuple[Endpoint, ...]
    reference: Literal["pre", "bout"] = "pre"
    reference_where: Mapping[str, object] = field(default_factory=dict)
    subtract_rest: bool = True
    change_scale: ChangeScale = "primary"
    rule: Rule = "sem"
    sem_of: SemOf = "change"
    sem_by: Literal["pooled", "condition"] = "pooled"
    sem_source: Literal["rest", "trials", "stated"] = "rest"
    stated_sem: tuple[StatedSem, ...] = ()
    delta_of: Literal["sem_single", "sem_change", "value"] = "sem_single"
    delta: float = 0.0
    certainty: float = 0.8
    prior_by: Literal["pooled", "condition"] = "condition"
    flare_rise_nrs: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what no rule can work with."""
        if not 0.5 < self.certainty < 1:
            raise ValueError(
                f"certainty: expected more than 0.5 and below 1, found {self.certainty}."
            )
        if self.delta < 0:
            raise ValueError(f"delta: expected 0 or more, found {self.delta}.")
