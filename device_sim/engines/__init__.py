"""Interpreters behind one protocol. The table below is the list of engines; nothing heavy is imported here.

Adding an engine: one module with a function ``Bundle -> Engine`` that imports its interpreter when called, and one
line in ``ENGINES``; the contract tests find it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from device_sim.engines.litert import open_litert, open_litert_ref
from device_sim.engines.onnxruntime import open_onnxruntime
from device_sim.engines.protocol import Engine
from device_sim.engines.tflite_runtime import open_tflite_runtime
from device_sim.engines.tflm import open_tflm
from edgehar.bundle import Bundle
from edgehar.errors import UsageError

__all__ = ["DEFAULT_ENGINE", "ENGINES", "Engine", "EngineEntry", "open_engine"]


@dataclass(frozen=True)
class EngineEntry:
    """One way to run a bundle.

    Attributes:
        open: loads the bundle's model and checks it against the manifest.
        label: for people.
        model: file of the bundle that it runs.
        package: the import it needs.
        extra: install extra that brings the package.
        golden_lsb: how far its int8 logits may be from the golden ones. 0 is bit for bit; others round differently
            inside fused kernels.
    """

    open: Callable[[Bundle], Engine]
    label: str
    model: str
    package: str
    extra: str
    golden_lsb: int


ENGINES: dict[str, EngineEntry] = {
    "litert": EngineEntry(open_litert, "LiteRT, XNNPACK kernels", "model_i8.tflite", "ai_edge_litert", "device", 3),
    "litert_ref": EngineEntry(
        open_litert_ref, "LiteRT, reference kernels", "model_i8.tflite", "ai_edge_litert", "device", 0
    ),
    "tflite_runtime": EngineEntry(
        open_tflite_runtime, "tflite-runtime 2.14", "model_i8.tflite", "tflite_runtime", "tflite-runtime", 3
    ),
    "tflm": EngineEntry(
        open_tflm, "TensorFlow Lite Micro, reference kernels", "model_i8.tflite", "tflite_micro", "export", 0
    ),
    "onnxruntime": EngineEntry(open_onnxruntime, "ONNX Runtime, CPU", "model_i8.onnx", "onnxruntime", "export", 3),
}
DEFAULT_ENGINE = "litert"


def open_engine(name: str, bundle: Bundle) -> Engine:
    """Return the engine ``name`` loaded with the bundle's model.

    Raises:
        UsageError: no engine has that name.
        MissingExtraError: its interpreter is not installed.
        EngineError: the interpreter refuses the model, or the model is not what the manifest says.
        BundleError: the bundle lacks the model file or it was altered.
    """
    entry = ENGINES.get(name)
    if entry is None:
        raise UsageError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
    return entry.open(bundle)
