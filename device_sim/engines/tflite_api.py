"""The TensorFlow Lite Python API that ``ai_edge_litert`` and ``tflite_runtime`` share, as an engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.engines.protocol import check_model, facts_from_details, native_stderr_captured, refuse, zero_inputs
from device_sim.engines.tflite_batch import with_batch
from edgehar.bundle import Bundle
from edgehar.errors import EngineError
from edgehar.precision import Precision

BATCHES = (64, 8)  # windows at once: 64 takes half of the time of one by one, more than that gains little
FULL = 0.8  # of a batch that is quicker than its windows one by one or in smaller batches
PROBE_SEED = 20261126


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
        self._make, self._model, self._manifest = make, model, bundle.manifest
        self._batched: dict[int, _Batched] | None = None  # by size; made when many windows come for the first time
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

    def infer_many(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Return ``[N, K]`` of each head for N windows. See :class:`device_sim.engines.batches.BatchEngine`."""
        if self._batched is None:
            self._batched = self._batches()
        count = len(inputs[0])
        outputs = tuple(np.empty((count, each.width), each.quant.dtype) for each in self._manifest.outputs)
        at = 0
        try:
            for size, batched in self._batched.items():
                while (left := min(size, count - at)) >= FULL * size:
                    part = slice(at, at + left)
                    batched.infer([array[part] for array in inputs], [rows[part] for rows in outputs])
                    at += left
        except (ValueError, RuntimeError) as error:
            raise EngineError(f"engine {self.name}: inference failed: {' '.join(str(error).split())}") from None
        for i in range(at, count):
            for rows, said in zip(outputs, self.infer(*(array[i] for array in inputs)), strict=True):
                rows[i] = said
        return outputs

    def _batches(self) -> dict[int, _Batched]:
        """Interpreters of several windows, largest first; none where their bits are not those of one by one.

        Integers of one window cannot depend on its neighbours. Float kernels add up in an order that a batch may
        change, and what a network keeps from step to step is reset for one window at a time: those go one by one.
        """
        if self._stateful or self._manifest.precision is not Precision.STATIC_WI8_AI8:
            return {}
        rng = np.random.default_rng(PROBE_SEED)
        shapes = self._manifest.input_shapes
        probe = [rng.integers(-128, 128, (max(BATCHES), *shape[1:]), np.int8) for shape in shapes]
        expected = [self.infer(*window) for window in zip(*probe, strict=True)]
        batches = {}
        for size in BATCHES:
            try:
                with native_stderr_captured():
                    batched = _Batched(self._make(with_batch(self._model, size)))
                    found = [np.empty((size, each.width), each.quant.dtype) for each in self._manifest.outputs]
                    batched.infer([array[:size] for array in probe], found)
            except (ImportError, ValueError, RuntimeError, TypeError):
                return {}
            for rows, said in zip(found, zip(*expected[:size], strict=True), strict=True):
                if not np.array_equal(rows, np.stack(said)):
                    return {}
            batches[size] = batched
        return batches

    def reset(self) -> None:
        """Clear state tensors."""
        self._interpreter.reset_all_variables()

    def memory_bytes(self) -> dict[str, int]:
        """Return the model file's size; the Python API does not tell the arena's."""
        return {"model_bytes": self._model_bytes}


class _Batched:
    """An interpreter for a fixed number of windows."""

    def __init__(self, interpreter: Any) -> None:
        interpreter.allocate_tensors()
        self._interpreter = interpreter
        details = interpreter.get_input_details()
        self._batch = int(details[0]["shape"][0])
        self._inputs = [each["index"] for each in details]
        self._outputs = [each["index"] for each in interpreter.get_output_details()]

    def infer(self, inputs: Sequence[NDArray[Any]], outputs: Sequence[NDArray[Any]]) -> None:
        """Run over ``inputs`` ``[N, ...]``, N at most the batch; fills ``outputs`` ``[N, K]``."""
        for index, array in zip(self._inputs, inputs, strict=True):
            missing = self._batch - len(array)
            if missing:
                array = np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])  # noqa: PLW2901
            self._interpreter.set_tensor(index, array)
        self._interpreter.invoke()
        for index, rows in zip(self._outputs, outputs, strict=True):
            rows[...] = self._interpreter.get_tensor(index)[: len(rows)]
