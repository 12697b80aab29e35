"""Interpreters behind one protocol. The table below is the list of engines; nothing heavy is imported here.

Adding an engine: one module with a function ``Bundle -> Engine`` that imports its interpreter when called, and one
line in ``ENGINES``; the contract tests find it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from device_sim.engines.c_native import open_c_native
from device_sim.engines.cortex_m import open_cortex_m
from device_sim.engines.litert import open_litert, open_litert_ref
from device_sim.engines.onnxruntime import open_onnxruntime
from device_sim.engines.protocol import Engine
from device_sim.engines.tflite_runtime import open_tflite_runtime
from device_sim.engines.tflm import open_tflm
from device_sim.engines.wasm import open_wasm
from edgehar.bundle import Bundle
from edgehar.errors import EngineError, UsageError
from edgehar.manifest import Manifest
from edgehar.precision import Precision

__all__ = ["DEFAULT_ENGINE", "ENGINES", "Engine", "EngineEntry", "open_engine"]


@dataclass(frozen=True)
class EngineEntry:
    """One way to run a bundle.

    Attributes:
        open: loads the bundle's model and checks it against the manifest.
        label: for people.
        extension: of the file that it runs; which of the bundle's, its recipe says
            (:meth:`edgehar.precision.Precision.model_file`).
        package: the import it needs; empty for none.
        extra: install extra that brings the package, or what else it needs.
        golden_lsb: how far its integer logits may be from the golden ones where the bundle does not say (see
            :mod:`device_sim.golden`). 0 is bit for bit; others round differently inside fused kernels.
        precisions: what it has kernels for.
        recurrent: what it has an LSTM kernel for.
        modelled: its time is that of a board, which can be chosen: ``open`` takes its name besides.
    """

    open: Callable[..., Engine]
    label: str
    extension: str
    package: str
    extra: str
    golden_lsb: int
    precisions: Collection[Precision] = (Precision.STATIC_WI8_AI8,)
    recurrent: Collection[Precision] = (Precision.STATIC_WI8_AI8,)
    modelled: bool = False

    def runs(self, manifest: Manifest) -> bool:
        """Return whether it has the kernels for a bundle's network."""
        return manifest.precision in (self.recurrent if manifest.model.get("stateful") else self.precisions)


_EVERY = tuple(Precision)
_NOT_INT16 = tuple(precision for precision in Precision if precision is not Precision.STATIC_WI8_AI16)
_NO_DYNAMIC = tuple(precision for precision in Precision if precision is not Precision.DYNAMIC_WI8)
_INT8_OR_FLOAT = (Precision.STATIC_WI8_AI8, Precision.FLOAT32)
ENGINES: dict[str, EngineEntry] = {
    "litert": EngineEntry(
        open_litert, "LiteRT, XNNPACK kernels", "tflite", "ai_edge_litert", "device", 3, _EVERY, _NOT_INT16
    ),
    "litert_ref": EngineEntry(
        open_litert_ref, "LiteRT, reference kernels", "tflite", "ai_edge_litert", "device", 0, _EVERY, _NOT_INT16
    ),
    "tflite_runtime": EngineEntry(
        open_tflite_runtime, "tflite-runtime 2.14", "tflite", "tflite_runtime", "tflite-runtime", 3, _EVERY, _NOT_INT16
    ),
    "tflm": EngineEntry(
        open_tflm,
        "TensorFlow Lite Micro, reference kernels",
        "tflite",
        "tflite_micro",
        "export",
        0,
        _NO_DYNAMIC,
        _NO_DYNAMIC,
    ),
    "onnxruntime": EngineEntry(
        open_onnxruntime, "ONNX Runtime, CPU", "onnx", "onnxruntime", "export", 3, _INT8_OR_FLOAT, _INT8_OR_FLOAT
    ),
    "c_native": EngineEntry(open_c_native, "C99 firmware, compiled here", "c", "", "firmware", 0),
    "cortex_m": EngineEntry(
        open_cortex_m, "C99 firmware, emulated board, time modelled", "c", "unicorn", "firmware", 0, modelled=True
    ),
    "wasm": EngineEntry(open_wasm, "C99 firmware as WebAssembly, SIMD128", "c", "wasmtime", "firmware", 0),
}
DEFAULT_ENGINE = "litert"


def open_engine(name: str, bundle: Bundle, board: str | None = None) -> Engine:
    """Return the engine ``name`` loaded with the bundle's model.

    Args:
        name: key of ``ENGINES``.
        bundle: what it runs.
        board: whose time it models; None is the engine's own choice.

    Raises:
        UsageError: no engine or board has that name, or the engine models no board.
        MissingExtraError: its interpreter is not installed.
        EngineError: the engine has no kernels for the bundle's recipe, the interpreter refuses the model, or the model
            is not what the manifest says.
        BundleError: the bundle lacks the model file or it was altered.
    """
    entry = ENGINES.get(name)
    if entry is None:
        raise UsageError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
    manifest = bundle.manifest
    if not entry.runs(manifest):
        able = [other for other, its in ENGINES.items() if its.runs(manifest)]
        network = "networks with an LSTM" if manifest.model.get("stateful") else "networks"
        raise EngineError(
            f"engine {name}: has no kernels for {network} in recipe {manifest.recipe}; choose another --engine of "
            f"{', '.join(able) or 'none'}, or export with another --recipe"
        )
    if board is None:
        return entry.open(bundle)
    if not entry.modelled:
        able = [other for other, its in ENGINES.items() if its.modelled]
        raise UsageError(f"engine {name} runs on this computer, not on a board; for a board's time: {', '.join(able)}")
    return entry.open(bundle, board)
