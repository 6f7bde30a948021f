"""Curves of risk over dose as the points of a drawing: made here, drawn by the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 480.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 12.0, 12.0, 40.0
N_TICKS = 5
# As the style sheet draws them: lines are told apart without their colours too.
STROKES = {"response": "solid", "hyperalgesia": "dashed", "flare": "dotted"}


@dataclass(frozen=True)
class Line:
    """Risks of one target at ascending doses; ``lower`` and ``upper`` may be empty."""

    target: str
    at: tuple[float, ...]
    p: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    abstained: tuple[bool, ...]

    @property
    def abstains_everywhere(self) -> bool:
        """Whether nothing may be concluded at any dose shown."""
        return all(self.abstained)


@dataclass(frozen=True)
class Curve:
    """Risks over intensity or duration.

    Parameters
    ----------
    what, unit : str
    span : (low, high)
        Ends of the horizontal axis.
    here : float
        The dose that was entered.
    lines : tuple of Line
    """

    what: str
    unit: str
    span: tuple[float, float]
    here: float
    lines: tuple[Line, ...]

    def x(self, dose: float) -> float:
        """Horizontal place of a dose."""
        low, high = self.span
        return round(LEFT + (dose - low) / (high - low) * (WIDTH - LEFT - RIGHT), 2)

    @staticmethod
    def y(risk: float) -> float:
        """Vertical place of a risk.

        Examples
        --------
        >>> Curve.y(1.0), Curve.y(0.0)
        (12.0, 220.0)
        """
        return round(TOP + (1.0 - risk) * (HEIGHT - TOP - BOTTOM), 2)

    @property
    def shows_here(self) -> bool:
        """Whether the dose entered lies on the axis."""
        return self.span[0] <= self.here <= self.span[1]

    @property
    def dose_ticks(self) -> list[float]:
        """Doses that are labelled."""
        low, high = self.span
        return [low + i * (high - low) / (N_TICKS - 1) for i in range(N_TICKS)]

    def path(self, line: Line) -> str:
        """Points of a line of risk."""
        return self._points(line.at, line.p)

    def band(self, line: Line) -> str:
        """Outline of the interval; '' where there is none."""
        if not line.lower:
            return ""
        back = self._points(line.at[::-1], line.lower[::-1])
        return f"{self._points(line.at, line.upper)} {back}"

    def _points(self, doses: Sequence[float], risks: Sequence[float]) -> str:
        return " ".join(f"{self.x(d)},{self.y(p)}" for d, p in zip(doses, risks, strict=True))
