"""What a marker's figures allow to be said, in the vocabulary of BEST; never more.

References
----------
.. [BEST2016] FDA-NIH Biomarker Working Group. BEST (Biomarkers, EndpointS, and other Tools)
   Resource. Prognostic: likelihood of an outcome; predictive: who responds more to one exposure
   than to another; safety: likelihood of an adverse effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.design import CROSSOVER, OBSERVATIONAL, RANDOMISED

CONTRASTS = (RANDOMISED, CROSSOVER)
ALPHA = 0.05
HARMS = ("hyperalgesia", "flare")


def contrast_of(card: Mapping[str, Any], cases: pd.DataFrame) -> str:
    """Return what lets exercises be compared: ``randomised``, ``crossover`` or '' for nothing.

    Randomised where the study card says so (``contrast``); crossover where it says so, or where
    it says nothing and at least half of the persons have bouts of different modalities.
    """
    stated = str(card.get("contrast", ""))
    if stated in CONTRASTS:
        return stated
    if stated == OBSERVATIONAL:
        return ""
    kinds = cases.groupby(["study_id", "participant_id"])["modality"].nunique()
    return "crossover" if (kinds > 1).mean() >= 0.5 else ""


def category(target: str, contrast: str, interaction: Mapping[str, Any]) -> str:
    """Return ``safety``, ``predictive of response`` or ``prognostic``.

    Predictive only where a randomised or crossover contrast exists and the association differs
    between its exercises.
    """
    if target in HARMS:
        return "safety"
    differs = interaction.get("p_value", 1.0) < ALPHA
    return "predictive of response" if contrast and differs else "prognostic"


def sentence(found: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Say in two sentences what a marker showed.

    Parameters
    ----------
    found : dict
        A candidate's record.
    about : dict
        The result it belongs to: ``target``, ``contrast``, ``simulated``, ``n_tests``.
    """
    ratio, test = found["likelihood_ratio"], found["test"]
    p = test["p_value"] if about["n_tests"] < 2 else test["p_holm"]
    shown = p < ALPHA
    verb = "is associated" if shown else "is not shown to be associated"
    opening = "Simulated data: " if about["simulated"] else ""
    first = (
        f"{opening}{found['name']} {verb} with {about['target']} beyond the base set ("
        f"{_strength(found)}likelihood ratio {ratio['statistic']:.2f} on {ratio['df']} df, "
        f"score test p = {test['p_value']:.3g}{_adjusted(test, about['n_tests'])}); out of fold "
        f"the AUC changes by {_difference(found['auc_difference'])}."
    )
    return f"{first} {_in_best(found, about, shown=shown)}"


def _strength(found: Mapping[str, Any]) -> str:
    if len(found["coefficients"]) != 1:
        return ""
    ratio = found["coefficients"][0]["odds_ratio_per_sd"]
    return (
        f"odds ratio per SD {ratio['estimate']:.2f}, {ratio['lower']:.2f} to {ratio['upper']:.2f}; "
    )


def _adjusted(test: Mapping[str, Any], n_tests: int) -> str:
    return "" if n_tests < 2 else f", {test['p_holm']:.3g} by Holm for {n_tests} tests"


def _difference(found: Mapping[str, Any]) -> str:
    return f"{found['estimate']:+.3f} ({found['lower']:+.3f} to {found['upper']:+.3f})"


def _in_best(found: Mapping[str, Any], about: Mapping[str, Any], *, shown: bool) -> str:
    kind = found["best"]["category"]
    if not shown:
        return f"In BEST terms there is no {kind} marker to speak of here."
    if kind == "predictive of response":
        return (
            f"In BEST terms a candidate predictive marker: its association differs between "
            f"exercises ({about['contrast']} comparison), in this one study."
        )
    if kind == "safety":
        return "In BEST terms a candidate safety marker, in this one study."
    missing = (
        "its association was not shown to differ between exercises"
        if about["contrast"]
        else "no randomised or crossover comparison tells who responds to the exercise itself"
    )
    return f"In BEST terms a candidate prognostic marker, not a predictive one: {missing}."
