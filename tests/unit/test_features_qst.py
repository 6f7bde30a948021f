"""Z-scores against a reference table: by hand, and on healthy people."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.columns_modulation import QST, QST_Z
from features.qst import check_reference, qst_z_scores, transform

NAN = float("nan")


def norm(**columns):
    return pd.DataFrame({"parameter": ["ppt"], "mean": [2.6], "sd": [0.2], **columns})


def test_a_lower_pressure_threshold_is_a_gain_of_function():
    values = pd.DataFrame({"qst_ppt_kpa": [10**2.6, 10**2.4, 10**2.8, NAN]})

    found = qst_z_scores(values, norm())

    np.testing.assert_allclose(found["qst_ppt_z"], [0, 1, -1, NAN], atol=1e-12)


# + = gain: what is more sensitive than the average healthy person, for every parameter.
MORE_SENSITIVE = {
    "cdt": "less",
    "wdt": "less",
    "tsl": "less",
    "cpt": "more",
    "hpt": "less",
    "ppt": "less",
    "mpt": "less",
    "mps": "more",
    "wur": "more",
    "mdt": "less",
    "vdt": "more",
}


@pytest.mark.parametrize("parameter", QST_Z)
def test_a_gain_of_function_is_positive_in_every_parameter(parameter):
    column = QST[parameter]["column"]
    values = pd.DataFrame({column: [2.0, 2.5]})

    z = qst_z_scores(values, norm(parameter=[parameter], mean=[0.3], sd=[0.1]))

    rises = z.iloc[1, 0] > z.iloc[0, 0]
    assert rises == (MORE_SENSITIVE[parameter] == "more")


def test_a_logarithm_is_taken_where_the_protocol_has_it():
    assert {p for p in QST if not QST[p]["log"]} == {"phs", "cpt", "hpt", "vdt"}
    assert transform(np.array([1000.0]), "mpt").tolist() == [3.0]
    assert transform(np.array([45.0]), "hpt").tolist() == [45.0]
    # A rating of 0 is not lost to the logarithm.
    np.testing.assert_allclose(transform(np.array([0.0]), "mps"), [np.log10(0.1)])


def test_the_reference_of_a_person_s_site_sex_and_age_is_used():
    reference = pd.DataFrame(
        {
            "parameter": ["ppt"] * 3,
            "site": ["hand", "hand", "foot"],
            "sex": ["female", "male", ""],
            "age_low_years": [18, 18, NAN],
            "age_high_years": [40, 40, NAN],
            "mean": [2.5, 2.7, 2.6],
            "sd": [0.1, 0.2, 0.1],
        }
    )
    values = pd.DataFrame(
        {
            "qst_ppt_kpa": [10**2.4] * 5,
            "qst_site": ["hand", "hand", "foot", "face", "hand"],
            "sex": ["female", "male", "male", "male", "male"],
            "age_years": [30.0, 40.0, NAN, 30.0, 41.0],
        }
    )

    found = qst_z_scores(values, reference)["qst_ppt_z"]

    np.testing.assert_allclose(found, [0.1 / 0.1, 0.3 / 0.2, 0.2 / 0.1, NAN, NAN], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameter": ["xyz"]}, "column 'parameter': expected one of cdt, wdt"),
        (
            {"sd": [0.0]},
            "columns 'mean' and 'sd': expected numbers, sd above 0, found other (row 0).",
        ),
        ({"mean": ["high"]}, "columns 'mean' and 'sd': expected numbers, sd above 0"),
    ],
)
def test_a_reference_that_cannot_be_used_is_refused(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_reference(norm(**change))


@pytest.mark.parametrize("parameter", ["dma", "phs"])
def test_what_healthy_people_do_not_have_gets_no_z_score(parameter):
    with pytest.raises(ValueError, match="column 'parameter': expected one of"):
        check_reference(norm(parameter=[parameter]))


def test_a_reference_without_its_columns_is_refused():
    with pytest.raises(ValueError, match="expected the column 'sd', found it missing"):
        check_reference(norm().drop(columns="sd"))


def test_two_references_for_one_person_are_refused():
    reference = pd.concat([norm(), norm(sex=["male"])])
    values = pd.DataFrame({"qst_ppt_kpa": [300.0, 300.0], "sex": ["female", "male"]})

    with pytest.raises(ValueError, match=r"'ppt': expected one row for each person, .*\(row 1 of"):
        qst_z_scores(values, reference)


@pytest.mark.realdata
def test_healthy_people_have_z_scores_around_zero_with_a_spread_of_one(
    real_study: Callable[[str], Path],
) -> None:
    """Every second healthy person against a reference made of the others.

    One file holds log10(x + 1) of 72 people, the other raw thresholds of 125 more.
    """
    folder = real_study("qst_healthy_lotsch")
    logged = pd.read_csv(folder / "QSTpainEJPtransf.csv")
    plain = pd.read_csv(folder / "PainThresholds.csv")
    names = ("cdt", "wdt", "tsl", "ppt", "mpt", "wur", "mdt")
    raw = pd.DataFrame({QST[p]["column"]: 10 ** logged[p.upper()] - 1 for p in names})
    people = {
        "logged": raw.where(raw > 0),
        "plain": pd.DataFrame({"qst_hpt_degc": plain["Heat"], "qst_cpt_degc": plain["Cold"]}),
    }

    for table in people.values():
        others, mine = table.iloc[0::2], table.iloc[1::2]
        z = qst_z_scores(mine, reference_of(others))

        # Difference of two means of n / 2 people, and ratio of two standard deviations, each
        # taken at four standard errors: nine parameters are looked at.
        n = table.shape[0] / 2
        assert (z.notna().sum() > 0.9 * (n - 1)).all()
        assert (z.mean().abs() < 4 * np.sqrt(2 / n)).all()
        assert (np.log(z.std()).abs() < 4 * np.sqrt(2 / (2 * n))).all()


def reference_of(people: pd.DataFrame) -> pd.DataFrame:
    parameters = {p: QST[p]["column"] for p in QST if QST[p]["column"] in people.columns}
    values = {p: transform(people[c].to_numpy(), p) for p, c in parameters.items()}
    return pd.DataFrame(
        {
            "parameter": list(values),
            "mean": [np.nanmean(v) for v in values.values()],
            "sd": [np.nanstd(v, ddof=1) for v in values.values()],
        }
    )
