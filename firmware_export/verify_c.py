"""A network's generated C, compiled on this computer and run over windows: the last engine of a verification."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from edgehar.c_compiler import Compiler, shared_library
from edgehar.errors import EngineError
from firmware_export.graph import Graph
from firmware_export.targets.c import Network

I8 = NDArray[np.int8]


def run_c(graph: Graph, network: Network, name: str, compiler: Compiler, windows: tuple[I8, ...]) -> tuple[I8, ...]:
    """Return each output ``[N, ...]`` of a network in C.

    Args:
        graph: that the network was written from.
        network: what ``write_network`` made; its arena starts full of rubbish.
        name: what it was called.
        compiler: builds the sources, or finds them built.
        windows: ``[N, ...]`` of each input.

    Raises:
        EngineError: the compiler refuses the files, or the library cannot be loaded.
    """
    path = shared_library(compiler, network.files)
    try:
        run = getattr(ctypes.CDLL(str(path)), f"{name}_run")
    except (OSError, AttributeError) as error:
        raise EngineError(f"{path}: the compiled network cannot be loaded ({error})") from None
    arena = np.full(-(-network.arena_bytes // 8), 0x5A5A5A5A5A5A5A5A, np.int64)
    outputs = tuple(np.empty((len(windows[0]), *graph.values[o].shape[1:]), np.int8) for o in graph.outputs)
    for row in range(len(windows[0])):
        arrays = [arena, *(np.ascontiguousarray(x[row]) for x in windows), *(y[row : row + 1] for y in outputs)]
        run(*(ctypes.c_void_p(a.ctypes.data) for a in arrays))
    return outputs
