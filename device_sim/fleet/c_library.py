"""``fleet.c``, compiled on this computer."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib import resources

from edgehar.c_compiler import FLAGS, find_compiler, shared_library
from edgehar.errors import EngineError

SOURCE = "fleet.c"
FAST = (*FLAGS, "-O3", "-fno-trapping-math")  # vectors; nobody asks for floating-point exceptions


@cache
def fleet_library() -> ctypes.CDLL | None:
    """Return the library; None where there is no C compiler that takes the source, so that numpy has to do its work."""
    compiler = find_compiler()
    if compiler is None:
        return None
    source = resources.files("device_sim.fleet").joinpath(SOURCE).read_bytes()
    try:
        return ctypes.CDLL(str(shared_library(compiler, {SOURCE: source}, FAST)))
    except (EngineError, OSError):
        return None
