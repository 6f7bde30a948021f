"""One thread for small problems: handing a few hundred rows out to cores takes longer than solving.

On two busy cores a nested cross-validation took 19 s with two threads of linear algebra and 0.8 s
with one. Results are also then the same on machines of any number of cores.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[Any]:
    """Hold the linear algebra of this process to one thread, for as long as the block lasts."""
    limit: AbstractContextManager[Any] = _controller().limit(limits=1)
    return limit


@cache
def _controller() -> ThreadpoolController:
    # Looked for once: finding the libraries takes milliseconds, setting them microseconds.
    return ThreadpoolController()
