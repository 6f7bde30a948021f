"""The data dictionary of a REDCap project: which words its codes stand for."""

from __future__ import annotations

import pandas as pd

from pipeline.errors import TableError
from pipeline.map_keys import alike

FIELD = "Variable / Field Name"
KIND = "Field Type"
CHOICES = "Choices, Calculations, OR Slider Labels"
CODED = ("radio", "dropdown", "checkbox")
FIXED = {"yesno": {"1": "Yes", "0": "No"}, "truefalse": {"1": "True", "0": "False"}}


def read_labels(dictionary: pd.DataFrame, where: str) -> dict[str, dict[str, str]]:
    """Return the label of every code of every coded field.

    Parameters
    ----------
    dictionary : DataFrame of text
        As REDCap exports it ("Download the current Data Dictionary").
    where : str
        How errors name the file.

    Returns
    -------
    dict of field name to code (see :func:`pipeline.map_keys.alike`) to label
        A field with boxes is there too; its columns in the data are ``<field>___<code>``.

    Raises
    ------
    TableError
        Where a column of the dictionary is missing or a list of choices cannot be read.

    Examples
    --------
    >>> table = pd.DataFrame({FIELD: ["sex"], KIND: ["radio"], CHOICES: ["1, Female | 2, Male"]})
    >>> read_labels(table, "dictionary.csv")
    {'sex': {'1': 'Female', '2': 'Male'}}
    """
    for column in (FIELD, KIND, CHOICES):
        if column not in dictionary.columns:
            raise TableError(
                f"{where}: expected the column '{column}' of a REDCap data dictionary, found "
                f"{dictionary.shape[1]} others. Export it from REDCap in English."
            )
    labels = {}
    for row, (name, kind, choices) in enumerate(
        dictionary[[FIELD, KIND, CHOICES]].fillna("").itertuples(index=False)
    ):
        if kind in FIXED:
            labels[name] = FIXED[kind]
        elif kind in CODED:
            labels[name] = _read_choices(choices, f"{where}, row {row}, field '{name}'")
    return labels


def _read_choices(text: str, where: str) -> dict[str, str]:
    choices = {}
    for choice in text.split("|"):
        code, comma, label = choice.partition(",")
        if not comma or not code.strip():
            raise TableError(f"{where}: expected choices such as '1, Female | 2, Male'.")
        choices[alike(code)] = label.strip()
    return choices
