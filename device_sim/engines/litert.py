"""LiteRT (``ai-edge-litert``): the default engine with XNNPACK kernels, and the reference kernels."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from device_sim.engines.tflite_api import TfliteApiEngine
from edgehar.bundle import Bundle
from edgehar.errors import MissingExtraError


def _interpreter_module(name: str) -> Any:
    try:
        from ai_edge_litert import interpreter
    except ModuleNotFoundError:
        raise MissingExtraError("ai-edge-litert", "device", f"the engine {name!r}") from None
    return interpreter


def open_litert(bundle: Bundle) -> TfliteApiEngine:
    """Return LiteRT as applications run it: XNNPACK kernels, up to 3 LSB from the reference."""
    module = _interpreter_module("litert")
    return TfliteApiEngine(
        "litert",
        importlib.metadata.version("ai-edge-litert"),
        lambda model: module.Interpreter(model_content=model, num_threads=1),
        bundle,
    )


def open_litert_ref(bundle: Bundle) -> TfliteApiEngine:
    """Return LiteRT with its portable reference kernels: the oracle, bit for bit the firmware's arithmetic."""
    module = _interpreter_module("litert_ref")
    return TfliteApiEngine(
        "litert_ref",
        importlib.metadata.version("ai-edge-litert"),
        lambda model: module.Interpreter(
            model_content=model, num_threads=1, experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF
        ),
        bundle,
    )
