"""What a study's design lets one say about the difference between exercises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CROSSOVER, RANDOMISED, OBSERVATIONAL = "crossover", "randomised", "observational"
WORDING = {
    CROSSOVER: "effect contrast: the same persons did these exercises, in an order by lot",
    RANDOMISED: "effect contrast: the exercises were drawn by lot",
    OBSERVATIONAL: (
        "associational scenario: who did which exercise was not drawn by lot, so that differences "
        "between options may be differences between people"
    ),
}


def design_of(card: Mapping[str, Any]) -> str:
    """Return the design a study card declares (``contrast``); without a word, observational.

    Unlike a marker's wording, nothing is inferred from who did what: that persons did several
    exercises does not say who chose them.

    Examples
    --------
    >>> design_of({"contrast": "crossover"}), design_of({})
    ('crossover', 'observational')
    """
    stated = str(card.get("contrast", ""))
    return stated if stated in (CROSSOVER, RANDOMISED) else OBSERVATIONAL
