"""One marker judged over the base set: every figure of its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.attenuation import disattenuate
from models.biomarker import coefficients, compare
from models.confirmation import persons_for_r2, persons_to_confirm
from models.errors import NotEnoughDataError
from models.incremental import (
    Draws,
    Trial,
    apparent_auc_difference,
    describe,
    increments,
    out_of_fold,
    r2_difference,
    reclassification,
    summarise,
)
from models.linear_increment import explained_by_base, linear_increment
from models.marker_settings import heterogeneity, interaction
from models.marker_shape import shape
from models.nested import Fits, Nested, fit_nested, reduced
from pipeline.biomarker_columns import Marker
from pipeline.biomarker_reliability import RECORDS, Reliability
from pipeline.biomarker_study import OWN_RULE, Labels, StudyRows
from pipeline.biomarker_words import category
from pipeline.config import BiomarkerParams

OWN_LEARNER = "unpenalised"


@dataclass(frozen=True)
class Judging:
    """One marker over the base set, on the rows where both are known."""

    study: StudyRows
    settings: BiomarkerParams
    base: pd.DataFrame
    marker: Marker
    reliability: Reliability | None

    @property
    def names(self) -> list[str]:
        """Return the columns the marker has beyond the base set."""
        return [c for c in self.marker.columns.columns if c not in self.base.columns]

    @property
    def base_matrix(self) -> npt.NDArray[np.float64]:
        """Return the base set's columns, shape (n_rows, n_base)."""
        n = len(self.study.cases)
        return self.base.to_numpy(dtype=np.float64) if len(self.base.columns) else np.empty((n, 0))

    @property
    def added(self) -> npt.NDArray[np.float64]:
        """Return the marker's own columns, shape (n_rows, n_added)."""
        return self.marker.columns[self.names].to_numpy(dtype=np.float64)

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Return on which rows marker and base set are known."""
        both = np.column_stack([self.base_matrix, self.added])
        return np.asarray(np.isfinite(both).all(axis=1))

    def rows(self, labels: Labels) -> npt.NDArray[np.bool_]:
        """Return the rows on which the label is known too."""
        return self.known & np.isfinite(labels.y)

    def nested(self, labels: Labels) -> Nested:
        """Return the rows as nested models take them."""
        rows = self.rows(labels)
        return reduced(
            Nested(
                labels.y[rows], self.base_matrix[rows], self.added[rows], self.study.person[rows]
            )
        )

    def trial(self, labels: Labels) -> Trial:
        """Return the rows as out-of-fold models take them."""
        both = np.column_stack([self.base_matrix, self.added])
        return Trial(
            self.base_matrix,
            both,
            labels.by_fold,
            self.known,
            self.study.person,
            self.study.plan,
        )

    @property
    def draws(self) -> Draws:
        """Return how persons are resampled, and the declared thresholds."""
        return Draws(self.settings.resamples, self.settings.seed, self.settings.thresholds)

    def record(self, target: str, contrast: str) -> dict[str, Any]:
        """Return the marker's record: tests, increments, robustness, and what may be said."""
        labels = self.study.labels[OWN_RULE]
        nested = self.nested(labels)
        fits = fit_nested(nested)
        tests = compare(nested, fits)
        interactions = self._interactions(labels, nested)
        change = self._change(labels, nested)
        return {
            "name": self.marker.name,
            **self._about(labels, nested, fits),
            **tests,
            "coefficients": self._coefficients(nested, fits),
            "shape": shape(nested),
            **self._out_of_fold(labels),
            "apparent": {
                "auc_difference": apparent_auc_difference(
                    nested.y, nested.person, (fits.base.risk, fits.full.risk)
                ).to_dict()
                | {"note": "on the rows fitted to: optimistic, no test of the marker"}
            },
            "change": change,
            "robustness": self._robustness(),
            "interactions": interactions,
            "heterogeneity": self._heterogeneity(labels, nested),
            "attenuation": self._attenuation(nested, fits),
            "persons_to_confirm": self._confirm(nested, tests, change),
            "best": {
                "category": category(target, contrast, interactions["exercise"]),
                "contrast": contrast,
            },
        }

    def _about(self, labels: Labels, nested: Nested, fits: Fits) -> dict[str, Any]:
        terms = len(fits.full.coefficients) - 1
        events = int(nested.y.sum())
        return {
            "kind": self.marker.kind,
            "columns": self.names,
            "note": self.marker.note,
            "n": len(nested.y),
            "n_participants": nested.n_persons,
            "n_events": events,
            "n_left_out": int((~self.rows(labels)).sum()),
            "rows_repeat": nested.repeats,
            "events_per_parameter": min(events, len(nested.y) - events) / max(terms, 1),
            "firth": fits.full.firth,
        }

    def _coefficients(self, nested: Nested, fits: Fits) -> list[dict[str, Any]]:
        kept = _kept_names(self.added[self.rows(self.study.labels[OWN_RULE])], nested, self.names)
        return [
            {"column": name, "unit": self.marker.units[name], **row}
            for name, row in zip(kept, coefficients(nested, fits), strict=True)
        ]

    def _out_of_fold(self, labels: Labels) -> dict[str, Any]:
        trial = self.trial(labels)
        judged, *risks = out_of_fold(trial, OWN_LEARNER)
        pair = (risks[0], risks[1])
        differences = increments(judged, pair, self.draws)
        thresholds = self.settings.thresholds
        return {
            **describe(differences, thresholds),
            "reclassification": reclassification(judged, pair, differences, thresholds),
        }

    def _change(self, labels: Labels, nested: Nested) -> dict[str, Any]:
        change = self.study.change
        rows = self.rows(labels)
        found = linear_increment(change[rows], nested)
        return {**found, "r2_difference": r2_difference(self.trial(labels), change, self.draws)}

    def _robustness(self) -> list[dict[str, Any]]:
        """Repeat the main figures under every rule, and with every member of the ladder."""
        runs = [(rule, OWN_LEARNER) for rule in self.study.labels]
        runs += [(OWN_RULE, n) for n in self.settings.learners if n != OWN_LEARNER]
        unlabelled = [
            {"rule": rule, "learner": OWN_LEARNER, "reason": reason}
            for rule, reason in self.study.unlabelled.items()
        ]
        return [self._run(rule, learner) for rule, learner in runs] + unlabelled

    def _run(self, rule: str, learner: str) -> dict[str, Any]:
        labels = self.study.labels[rule]
        about = {"rule": rule, "learner": learner}
        try:
            nested = self.nested(labels)
            judged, *risks = out_of_fold(self.trial(labels), learner)
        except NotEnoughDataError as error:
            return {**about, "reason": str(error)}
        differences = increments(judged, (risks[0], risks[1]), self.draws)
        row: dict[str, Any] = {
            **about,
            "n": len(nested.y),
            "n_events": int(nested.y.sum()),
            **{f"{n}_difference": summarise(differences[n]) for n in ("auc", "brier", "log_loss")},
            "reason": "",
        }
        if learner == OWN_LEARNER:
            fits = fit_nested(nested)
            tests = compare(nested, fits)
            row |= {name: tests[name] for name in ("test", "likelihood_ratio")}
            slopes = coefficients(nested, fits)
            row["per_sd"] = slopes[0]["per_sd"] if len(slopes) == 1 else None
        return row

    def _interactions(self, labels: Labels, nested: Nested) -> dict[str, Any]:
        rows = self.rows(labels)
        found = {}
        for name, column in (("condition", "condition"), ("exercise", "modality")):
            level = self.study.cases[column].astype(str).to_numpy()[rows]
            found[name] = interaction(nested, level)
        return found

    def _heterogeneity(self, labels: Labels, nested: Nested) -> dict[str, Any]:
        cases = self.study.cases
        several = cases["study_id"].nunique() > 1
        column = "study_id" if several or "site_id" not in cases.columns else "site_id"
        level = cases[column].astype(str).to_numpy()[self.rows(labels)]
        return {"between": column, **heterogeneity(nested, level)}

    def _attenuation(self, nested: Nested, fits: Fits) -> dict[str, Any]:
        if self.reliability is None:
            return {
                "reason": "no reliability of the marker was stated (--reliability name=0.7), and "
                f"the study's folder holds none ({RECORDS})"
            }
        slopes = coefficients(nested, fits)
        if len(slopes) != 1:
            return {"reason": "for one column, not for a family"}
        per_sd = slopes[0]["per_sd"]["estimate"]
        found = disattenuate(per_sd, self.reliability.value, explained_by_base(nested))
        return {**found, "source": self.reliability.source}

    def _confirm(
        self, nested: Nested, tests: dict[str, Any], change: dict[str, Any]
    ) -> dict[str, Any]:
        df = tests["likelihood_ratio"]["df"]
        if not df:
            return {"reason": "the marker is a function of the base set: nothing to confirm"}
        which = tests["wald" if nested.repeats else "likelihood_ratio"]["statistic"]
        terms = 1 + nested.base.shape[1] + df
        # What columns of noise would add on average is no finding to confirm.
        noise = df * (1 - change["r2_full"]) / max(nested.n_persons - terms, 1)
        increment = change["r2_increment"] - noise
        return {
            "class": persons_to_confirm(which, df, nested.n_persons),
            "change": persons_for_r2(increment, change["r2_full"], df),
        }


def _kept_names(added: npt.NDArray[np.float64], nested: Nested, names: Sequence[str]) -> list[str]:
    """Names of the added columns that were not left out as functions of the others."""
    kept = []
    for column in nested.added.T:
        at = next(
            i for i, c in enumerate(added.T) if names[i] not in kept and np.array_equal(c, column)
        )
        kept.append(names[at])
    return kept
