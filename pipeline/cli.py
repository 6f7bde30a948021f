"""The command line: options in, one function of one module called, exit code out.

Subcommands live in the modules ``cli_*``, by topic. They import what they call inside, and paths
are looked at before, so that help, usage errors and wrong paths come at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pipeline import (
    cli_checks,
    cli_data,
    cli_models,
    cli_plan,
    cli_predict,
    cli_prescribe,
    cli_programmes,
    cli_protocols,
    cli_report,
    cli_strata,
    cli_tools,
)
from pipeline.cli_app import app

__all__ = [
    "app",
    "cli_checks",
    "cli_data",
    "cli_models",
    "cli_plan",
    "cli_predict",
    "cli_prescribe",
    "cli_programmes",
    "cli_protocols",
    "cli_report",
    "cli_strata",
    "cli_tools",
    "main",
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    A user's mistake is one line on stderr and a documented code; a defect of the program is a
    traceback and 1.
    """
    try:
        app(args=None if arguments is None else list(arguments))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        from pipeline.errors import exit_code, see_also

        known = exit_code(error)
        if known is None:
            raise
        sys.stderr.write(f"{error}{see_also(error)}\n")
        return known
    return 0
