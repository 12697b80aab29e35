"""ONNX Runtime on one CPU thread, running the float or the QDQ file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from device_sim.engines.protocol import NativeLog, check_counts, native_stderr_captured, refuse, zero_inputs
from edgehar.bundle import Bundle
from edgehar.errors import EngineError, MissingExtraError
from edgehar.manifest import Manifest

TYPES = {"tensor(int8)": "int8", "tensor(float)": "float32"}


class OnnxRuntimeEngine:
    """Runs the ``.onnx`` of the bundle's recipe. See :class:`device_sim.engines.protocol.Engine`.

    The file of an int8 recipe may take and give int8, or real numbers as QDQ files usually do: then the window is
    dequantized before and the logits quantized after, with the manifest's scales. A session does not tell the scales
    inside the file, so shapes and types alone are checked here; the golden outputs check the rest.
    """

    name = "onnxruntime"

    def __init__(self, bundle: Bundle) -> None:
        """Load the model and check it against the manifest."""
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise MissingExtraError("onnxruntime", "export", "the engine 'onnxruntime'") from None
        self.version = str(onnxruntime.__version__)
        file = bundle.manifest.precision.model_file("onnx")
        model = bundle.read(file)
        self._model_bytes = len(model)
        self._manifest = bundle.manifest
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        error: Exception | None = None
        log = NativeLog()
        with native_stderr_captured():
            try:
                self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            # its exceptions are direct subclasses of Exception, made in C++, with no public base of their own
            except Exception as caught:
                error = caught
        if error is not None:
            raise refuse("onnxruntime", file, error, log)
        self._real_in, self._real_out = _check(self._session, bundle.manifest)
        self._inputs = [i.name for i in self._session.get_inputs()]
        self._outputs = [o.name for o in self._session.get_outputs()]
        self._run = self._session.run
        self.infer(*zero_inputs(bundle.manifest))

    def infer(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Return every output of the manifest for one window."""
        fed: Sequence[NDArray[Any]] = inputs
        if self._real_in:
            fed = [i.quant.dequantize(array) for i, array in zip(self._manifest.inputs, inputs, strict=True)]
        try:
            outputs = self._run(self._outputs, {n: array[None] for n, array in zip(self._inputs, fed, strict=True)})
        except Exception as error:  # as above
            raise EngineError(f"engine onnxruntime: inference failed: {' '.join(str(error).split())[:300]}") from None
        if self._real_out:
            return tuple(each.quant.quantize(o[0]) for each, o in zip(self._manifest.outputs, outputs, strict=True))
        return tuple(o[0] for o in outputs)

    def reset(self) -> None:
        """Nothing to do: a session keeps no state between runs."""

    def memory_bytes(self) -> dict[str, int]:
        """Return the model file's size; the Python API does not tell the arena's."""
        return {"model_bytes": self._model_bytes}


def _check(session: object, manifest: Manifest) -> tuple[bool, bool]:
    """Compare shapes and types with the manifest; returns whether inputs and outputs are real numbers."""
    inputs, outputs = session.get_inputs(), session.get_outputs()  # type: ignore[attr-defined]
    check_counts("onnxruntime", manifest, len(inputs), len(outputs))
    fed = [
        _kind(f"input {each.name!r}", tensor, shape, each.quant.dtype)
        for each, tensor, shape in zip(manifest.inputs, inputs, manifest.input_shapes, strict=True)
    ]
    given = [
        _kind(f"output {each.name!r}", tensor, (1, each.width), each.quant.dtype)
        for each, tensor in zip(manifest.outputs, outputs, strict=True)
    ]
    for role, kinds in (("inputs", fed), ("outputs", given)):
        if len(set(kinds)) > 1:
            raise EngineError(f"engine onnxruntime: {role} are of several types ({', '.join(kinds)}), expected one")
    return fed[0] == "float32", given[0] == "float32"


def _kind(role: str, tensor: object, shape: tuple[int, ...], dtype: str) -> str:
    found, kind = list(tensor.shape), TYPES.get(tensor.type)  # type: ignore[attr-defined]
    fits = len(found) == len(shape) and all(
        not isinstance(n, int) or n == want for n, want in zip(found, shape, strict=True)
    )  # a name or None stands for any length
    if not fits or kind not in (dtype, "float32"):
        raise EngineError(
            f"engine onnxruntime: the model's {role} is {tensor.type} {found}, "  # type: ignore[attr-defined]
            f"the manifest says {' or '.join(dict.fromkeys((dtype, 'float32')))} {list(shape)}; export the model again"
        )
    return kind


def open_onnxruntime(bundle: Bundle) -> OnnxRuntimeEngine:
    """Return ONNX Runtime with the bundle's model."""
    return OnnxRuntimeEngine(bundle)
