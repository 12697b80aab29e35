"""Several windows in one call, where an engine can: the same bits as one by one, for less of this computer's time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from device_sim.engines.protocol import Engine
from edgehar.manifest import Manifest

Outputs = tuple[NDArray[Any], ...]


@runtime_checkable
class BatchEngine(Engine, Protocol):
    """An engine that takes many windows at once."""

    def infer_many(self, *inputs: NDArray[Any]) -> Outputs:
        """Return every output of the manifest, ``[N, K]``, for N windows, one array ``[N, ...]`` an input.

        The same bits as :meth:`Engine.infer` on each.

        Raises:
            EngineError: the interpreter failed.
        """
        ...


def infer_many(engine: Engine, manifest: Manifest) -> Callable[..., Outputs]:
    """Return the engine's own ``infer_many``, or one that calls ``infer`` for each window."""
    if isinstance(engine, BatchEngine):
        return engine.infer_many

    def one_by_one(*inputs: NDArray[Any]) -> Outputs:
        outputs = tuple(np.empty((len(inputs[0]), each.width), each.quant.dtype) for each in manifest.outputs)
        for i, window in enumerate(zip(*inputs, strict=True)):
            for rows, said in zip(outputs, engine.infer(*window), strict=True):
                rows[i] = said
        return outputs

    return one_by_one
