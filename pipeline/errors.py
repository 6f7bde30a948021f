"""What a user can do wrong, and the exit code each mistake ends with.

::

    EihError
    |-- ConfigError       10   params.yaml, a study map or an option's value
    |-- WorkerLostError   10   a process of a batch run was killed from outside
    |-- TableError        11   a file that cannot be read, or a table that breaks the contract
    |-- DriftError        14   a model in use has drifted; for schedulers, the result is written
    models.errors
    |-- LeakageError      11   a table that would let the outcome into the predictors
    |-- BundleError       12   a damaged bundle, or one of another contract
    |-- NotEnoughDataError 13  too few persons or events

The command line itself ends with 2 on a usage error. Anything else is a defect of the program:
traceback and 1.
"""

from __future__ import annotations

from models.errors import BundleError, LeakageError, NotEnoughDataError


class EihError(Exception):
    """A mistake that the message tells how to mend: one line, no traceback."""


class ConfigError(EihError):
    """A setting that is unknown, missing or impossible."""


class WorkerLostError(ConfigError):
    """A worker process that was killed: more was asked of the machine than it has."""


class TableError(EihError):
    """A table that cannot be read or that breaks the contract."""


class DriftError(EihError):
    """What comes in, or what came of it, differs from training by more than was allowed."""


EXIT_CODES: dict[type[Exception], int] = {
    ConfigError: 10,
    TableError: 11,
    LeakageError: 11,
    BundleError: 12,
    NotEnoughDataError: 13,
    DriftError: 14,
}


def see_also(error: Exception) -> str:
    """Return where a leak's check is explained, as the end of its message; else nothing."""
    code = getattr(error, "code", "") if isinstance(error, LeakageError) else ""
    return f" [{code}, docs/checks.md]" if code else ""


def exit_code(error: Exception) -> int | None:
    """Return the documented exit code of a user's mistake, None for a defect of the program."""
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), None)
