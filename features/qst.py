"""Z-scores of quantitative sensory testing against a reference table the user supplies.

No reference data are shipped: they belong to a laboratory's equipment, site, sex and age.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns_modulation import QST, QST_Z
from features.spec import Vector

REFERENCE_COLUMNS = ("parameter", "site", "sex", "age_low_years", "age_high_years", "mean", "sd")
Mask = npt.NDArray[np.bool_]


def transform(value: Vector, parameter: str) -> Vector:
    """Bring a parameter onto the scale on which it is normal: log10 where the DFNS has it.

    Parameters
    ----------
    value : ndarray of shape (n_rows,), in the unit of the parameter's column, NaN allowed
    parameter : str
        A key of seeds/qst_parameters.toml: cdt, wdt, tsl, phs, cpt, hpt, ppt, mpt, ...

    Returns
    -------
    ndarray of shape (n_rows,); NaN where a logarithm does not exist

    Examples
    --------
    >>> transform(np.array([100.0, 0.0]), "ppt"), transform(np.array([45.0]), "hpt")
    (array([ 2., nan]), array([45.]))
    """
    declared = QST[parameter]
    if not declared["log"]:
        return value
    shifted = value + declared.get("plus", 0.0)
    usable = shifted > 0
    return np.where(usable, np.log10(np.where(usable, shifted, 1.0)), np.nan)


def check_reference(reference: pd.DataFrame) -> pd.DataFrame:
    """Type a reference table, and refuse one that cannot be used.

    Dynamic mechanical allodynia and paradoxical heat sensations have no z-score: healthy people
    do not have them.

    Parameters
    ----------
    reference : DataFrame
        One row per parameter and group of people. ``parameter``: a key of
        seeds/qst_parameters.toml; ``site`` and ``sex``: empty = any; ``age_low_years`` and
        ``age_high_years``: both included, empty = no bound; ``mean`` and ``sd``: of healthy
        people, on the transformed scale (log10 where the parameter has it). Columns other than
        ``parameter``, ``mean`` and ``sd`` may be left out.

    Raises
    ------
    ValueError
        For a missing column, an unknown parameter, a mean or sd that is no number, or sd <= 0.
    """
    missing = [c for c in ("parameter", "mean", "sd") if c not in reference.columns]
    if missing:
        raise ValueError(f"expected the column '{missing[0]}', found it missing.")
    typed = pd.DataFrame(index=range(len(reference)))
    for name in REFERENCE_COLUMNS:
        if name not in reference.columns:
            typed[name] = np.nan
        elif name in ("parameter", "site", "sex"):
            words = reference[name].astype("object").where(reference[name].notna(), "")
            typed[name] = words.map(lambda w: str(w).strip() or np.nan).to_numpy()
        else:
            typed[name] = pd.to_numeric(reference[name], errors="coerce").to_numpy(dtype=float)
    strange = np.flatnonzero(~typed["parameter"].isin(QST_Z))
    if len(strange):
        raise ValueError(
            f"column 'parameter': expected one of {', '.join(QST_Z)}, found another "
            f"(row {strange[0]})."
        )
    useless = np.flatnonzero(~(np.isfinite(typed["mean"]) & (typed["sd"] > 0)))
    if len(useless):
        raise ValueError(
            f"columns 'mean' and 'sd': expected numbers, sd above 0, found other (row "
            f"{useless[0]})."
        )
    return typed


def qst_z_scores(values: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Z-scores of every parameter the reference knows, + = gain of function.

    z = (transformed value - mean) / sd, turned so that more sensitive is positive (a lower
    pressure threshold, a higher pinprick rating). Site-, sex- and age-specific as the reference
    is (Magerl 2010). |z| > 1.96 lies outside the middle 95 % of healthy people.

    Parameters
    ----------
    values : DataFrame of shape (n_rows, any)
        Checked cases: the parameters' columns (``qst_ppt_kpa`` ...), and ``qst_site``, ``sex``,
        ``age_years`` where the reference asks for them.
    reference : DataFrame
        As :func:`check_reference` wants it.

    Returns
    -------
    DataFrame of shape (n_rows, n_parameters), columns ``qst_<parameter>_z``, index of ``values``
        NaN where a value is missing, or no row of the reference is for the person.

    Raises
    ------
    ValueError
        If the reference cannot be used, or two of its rows are for one person.

    References
    ----------
    Magerl W et al. Reference data for quantitative sensory testing. Pain 2010;151:598-605,
    10.1016/j.pain.2010.07.026. Rolke R et al. Eur J Pain 2006;10:77-88
    (which parameters need a logarithm).

    Examples
    --------
    Twice as sensitive to pressure as the average healthy person, with an sd of log10(2):

    >>> values = pd.DataFrame({"qst_ppt_kpa": [200.0]})
    >>> norm = pd.DataFrame({"parameter": ["ppt"], "mean": [np.log10(400)], "sd": [np.log10(2)]})
    >>> qst_z_scores(values, norm)["qst_ppt_z"].round(6).tolist()
    [1.0]
    """
    rows = check_reference(reference)
    scores = {
        f"qst_{name}_z": _score(values, str(name), group)
        for name, group in rows.groupby("parameter", sort=False)
        if QST[str(name)]["column"] in values.columns
    }
    return pd.DataFrame(scores, index=values.index)


def _score(values: pd.DataFrame, name: str, rows: pd.DataFrame) -> Vector:
    declared = QST[name]
    mean, sd = np.full(len(values), np.nan), np.full(len(values), np.nan)
    matched = np.zeros(len(values), dtype=bool)
    for row in rows.to_dict("records"):
        fits = _fits(values, row)
        if (fits & matched).any():
            raise ValueError(
                f"parameter '{name}': expected one row for each person, found two (row "
                f"{np.flatnonzero(fits & matched)[0]} of the values)."
            )
        matched |= fits
        mean[fits], sd[fits] = row["mean"], row["sd"]
    value = transform(values[declared["column"]].to_numpy(dtype=np.float64), name)
    score: Vector = declared["gain"] * (value - mean) / sd
    return score


def _fits(values: pd.DataFrame, row: Mapping[Any, Any]) -> Mask:
    """Rows of ``values`` for which a row of the reference is meant."""
    fits = np.ones(len(values), dtype=bool)
    for column, wanted in (("qst_site", row["site"]), ("sex", row["sex"])):
        if isinstance(wanted, str):
            fits &= _column(values, column).eq(wanted).to_numpy(dtype=bool)
    age = pd.to_numeric(_column(values, "age_years")).to_numpy(dtype=np.float64)
    low, high = row["age_low_years"], row["age_high_years"]
    if not np.isnan(low):
        fits &= age >= low
    if not np.isnan(high):
        fits &= age <= high
    return fits


def _column(values: pd.DataFrame, name: str) -> pd.Series:
    if name in values.columns:
        return values[name]
    return pd.Series(np.nan, index=values.index)
