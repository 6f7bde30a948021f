"""Whether a straight line is enough for a marker, against a restricted cubic spline.

References
----------
.. [Harrell2015] Harrell. Regression Modeling Strategies, 2nd ed., sections 2.4.6 and 9.3 (splines
   and their test).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.biomarker import compare
from models.nested import Nested, fit_nested, reduced
from models.splines import place_knots, spline_terms

Vector = npt.NDArray[np.float64]


def n_knots(n_persons: int) -> int:
    """Return how many knots the sample bears: 5 from 100 persons, 4 from 30, else 3."""
    return 5 if n_persons >= 100 else 4 if n_persons >= 30 else 3


def shape(nested: Nested, knots: Sequence[float] | None = None) -> dict[str, Any]:
    """Test a straight line against a restricted cubic spline of one added column.

    Wald test of the spline's nonlinear terms, as ``anova`` of the R package rms, and the
    likelihood-ratio test of the same.

    Parameters
    ----------
    nested : Nested
        As :func:`reduced` leaves it.
    knots : sequence of float, optional
        Default: :func:`n_knots` at fixed quantiles.
    """
    if nested.added.shape[1] != 1:
        return {"knots": [], "reason": "a shape is tested of one column, not of a family"}
    column = nested.added[:, 0]
    chosen = tuple(knots) if knots else _bearable(column, n_knots(nested.n_persons))
    if not chosen:
        return {"knots": [], "reason": "too few different values: a straight line only"}
    terms = spline_terms(column, chosen)
    curved = reduced(Nested(nested.y, np.column_stack([nested.base, column]), terms, nested.person))
    fits = fit_nested(curved)
    found = compare(curved, fits)
    test = {k: found["wald"][k] for k in ("statistic", "df", "p_value")}
    if not fits.full.firth and not fits.full.converged:
        return {"knots": list(chosen), "reason": "the spline could not be fitted"}
    return {
        "knots": list(chosen),
        "nonlinear": test,
        "nonlinear_likelihood_ratio": {
            k: found["likelihood_ratio"][k] for k in ("statistic", "df", "p_value")
        },
        "firth": fits.full.firth,
        "reason": "",
    }


def _bearable(column: Vector, most: int) -> tuple[float, ...]:
    for count in range(most, 2, -1):
        if knots := place_knots(column, count):
            return knots
    return ()
