"""What can be wrong with data or a model, seen from inside ``models``.

``pipeline.errors`` gives each of these its exit code.
"""

from __future__ import annotations


class LeakageError(ValueError):
    """Something a model may not know has reached it: a person, an outcome, a later value."""


class NotEnoughDataError(ValueError):
    """Too few persons or events for what was asked."""


class BundleError(ValueError):
    """A model bundle that is damaged, or was made by a program that works differently."""
