"""Words that say more than a prediction model can: causes, treatment, validity."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

# A verb of cause, or advice; 'effect' alone is a word of designs and measures, not a claim.
CAUSAL = re.compile(
    r"\b(causes?d?|causing|drives?|driven by|determinants?|leads? to|results? in|"
    r"reduces? (?:the )?(?:pain|risk)|increases? (?:the )?(?:pain|risk|response)|"
    r"treat(?:ed)? with|should (?:be treated|exercise|avoid)|prescribe)\b",
    re.IGNORECASE,
)
VALIDATED = re.compile(r"(?<!not )(?<!internally )(?<!un)\bvalidated\b|\bexternally valid\b", re.I)


def causal_words(texts: Mapping[str, str]) -> Iterator[str]:
    """Name texts that speak of causes or of treatment.

    Examples
    --------
    >>> list(causal_words({"title": "Catastrophising drives pain after exercise"}))
    ["title: 'drives'."]
    >>> list(causal_words({"title": "Who responds to exercise with less pain"}))
    []
    """
    yield from _found(CAUSAL, texts)


def claims_of_validity(texts: Mapping[str, str]) -> Iterator[str]:
    """Name texts that call a model validated without saying how.

    Examples
    --------
    >>> list(claims_of_validity({"title": "A validated model", "note": "internally validated"}))
    ["title: 'validated'."]
    """
    yield from _found(VALIDATED, texts)


def _found(pattern: re.Pattern[str], texts: Mapping[str, str]) -> Iterator[str]:
    for where, text in texts.items():
        words = list(dict.fromkeys(m[0].lower() for m in pattern.finditer(text)))
        if words:
            yield f"{where}: {', '.join(repr(w) for w in words)}."
