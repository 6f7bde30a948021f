"""What can be wrong with data or a model, seen from inside ``models``.

``pipeline.errors`` gives each of these its exit code.
"""

from __future__ import annotations


class LeakageError(ValueError):
    """Something a model may not know has reached it: a person, an outcome, a later value.

    Parameters
    ----------
    message : str
    code : str
        The check that looks for it (:mod:`models.checks`); empty where none does.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NotEnoughDataError(ValueError):
    """Too few persons or events for what was asked."""


class BundleError(ValueError):
    """A model bundle that is damaged, or was made by a program that works differently."""
