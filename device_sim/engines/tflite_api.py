"""The TensorFlow Lite Python API that ``ai_edge_litert`` and ``tflite_runtime`` share, as an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from device_sim.engines.protocol import check_model, facts_from_details, native_stderr_captured, refuse, zero_inputs
from edgehar.bundle import Bundle
from edgehar.errors import EngineError


class TfliteApiEngine:
    """Runs the ``.tflite`` of the bundle's recipe, one thread. See :class:`device_sim.engines.protocol.Engine`."""

    def __init__(self, name: str, version: str, make: Callable[[bytes], Any], bundle: Bundle) -> None:
        """Load the model with ``make(model bytes) -> Interpreter`` and check it against the manifest."""
        self.name = name
        self.version = version
        file = bundle.manifest.precision.model_file("tflite")
        model = bundle.read(file)
        self._model_bytes = len(model)
        if model[4:8] != b"TFL3":
            raise EngineError(f"engine {name}: {file} is not a TensorFlow Lite model; export the model again")
        error: Exception | None = None
        with native_stderr_captured() as log:
            try:
                self._interpreter = make(model)
                self._interpreter.allocate_tensors()
            except (ValueError, RuntimeError, TypeError) as caught:
                error = caught
        if error is not None:
            raise refuse(name, file, error, log)
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        check_model(
            name, bundle.manifest, [facts_from_details(d) for d in inputs], [facts_from_details(d) for d in outputs]
        )
        self._stateful = bool(bundle.manifest.model.get("stateful", True))
        self._inputs = tuple(d["index"] for d in inputs)
        self._outputs = tuple(d["index"] for d in outputs)
        self._output = self._outputs[0]
        self._only_one = len(self._outputs) == 1
        with native_stderr_captured():
            self.infer(*zero_inputs(bundle.manifest))  # delegates do their lazy work here

    def infer(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Return the logits of each head for one window."""
        interpreter = self._interpreter
        try:
            if self._stateful:  # a window classifier starts every window afresh
                interpreter.reset_all_variables()
            for index, array in zip(self._inputs, inputs, strict=True):
                interpreter.set_tensor(index, array[None])
            interpreter.invoke()
            if self._only_one:
                return (interpreter.get_tensor(self._output)[0],)
            return tuple(interpreter.get_tensor(i)[0] for i in self._outputs)
        except (ValueError, RuntimeError) as error:
            raise EngineError(f"engine {self.name}: inference failed: {' '.join(str(error).split())}") from None

    def reset(self) -> None:
        """Clear state tensors."""
        self._interpreter.reset_all_variables()

    def memory_bytes(self) -> dict[str, int]:
        """Return the model file's size; the Python API does not tell the arena's."""
        return {"model_bytes": self._model_bytes}
