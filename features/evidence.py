"""Directions of predictors that published evidence agrees on."""

from __future__ import annotations

from features.reference import load_reference

# Strong or moderate: pooled or randomised, or single studies with none against.
ACCEPTED = ("S", "M")
# A response is a change upwards, hyperalgesia one downwards; a flare has evidence of its own.
OUTCOME = {"response": ("change", 1), "hyperalgesia": ("change", -1), "flare": ("flare", 1)}


def evidence_signs(target: str) -> dict[str, int]:
    """Return the sign of every feature whose direction is agreed on for a target.

    Parameters
    ----------
    target : {'response', 'hyperalgesia', 'flare'}

    Returns
    -------
    dict of feature name to +1 or -1 (the risk of the target rises or falls with it)

    Examples
    --------
    >>> evidence_signs("response")["expectancy"], evidence_signs("hyperalgesia")["expectancy"]
    (1, -1)
    >>> "age_years" in evidence_signs("response")
    False
    """
    outcome, direction = OUTCOME[target]
    return {
        str(s["feature"]): direction * int(s["sign"])
        for s in load_reference("evidence_signs.toml")["signs"]
        if s["outcome"] == outcome and s["confidence"] in ACCEPTED
    }
