"""tflite-runtime: LiteRT's predecessor with the same API; last release 2.14, CPython up to 3.11, numpy below 2."""

from __future__ import annotations

import importlib.metadata

from device_sim.engines.tflite_api import TfliteApiEngine
from edgehar.bundle import Bundle
from edgehar.errors import MissingExtraError


def open_tflite_runtime(bundle: Bundle) -> TfliteApiEngine:
    """Return tflite-runtime with its default (XNNPACK) kernels."""
    try:
        from tflite_runtime import interpreter
    except ModuleNotFoundError:
        raise MissingExtraError("tflite-runtime", "tflite-runtime", "the engine 'tflite_runtime'") from None
    return TfliteApiEngine(
        "tflite_runtime",
        importlib.metadata.version("tflite-runtime"),
        lambda model: interpreter.Interpreter(model_content=model, num_threads=1),
        bundle,
    )
