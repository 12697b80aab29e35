"""TensorFlow Lite Micro in Python: the interpreter microcontrollers run, with its reference kernels."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import struct
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from device_sim.engines.protocol import (
    TensorFacts,
    check_model,
    facts_from_details,
    native_stderr_captured,
    refuse,
    zero_inputs,
)
from edgehar.bundle import Bundle
from edgehar.errors import EngineError, MissingExtraError

MIN_ARENA_BYTES = 4 * 2**20  # room to load any HAR model; what it uses of it is in memory_bytes


class TflmEngine:
    """Runs the ``.tflite`` of the bundle's recipe. See :class:`device_sim.engines.protocol.Engine`."""

    name = "tflm"

    def __init__(self, bundle: Bundle) -> None:
        """Load the model and check it against the manifest."""
        try:
            from tflite_micro import runtime
        except ModuleNotFoundError:
            raise MissingExtraError("tflite-micro", "export", "the engine 'tflm'") from None
        self.version = importlib.metadata.version("tflite-micro")
        file = bundle.manifest.precision.model_file("tflite")
        model = bundle.read(file)
        self._model_bytes = len(model)
        if model[4:8] != b"TFL3":
            raise EngineError(f"engine tflm: {file} is not a TensorFlow Lite model; export the model again")
        arena = max(10 * len(model), MIN_ARENA_BYTES)
        error: Exception | None = None
        with native_stderr_captured() as log:
            try:
                self._interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena)
                inputs = _described(self._interpreter.get_input_details)
                outputs = _described(self._interpreter.get_output_details)
            # struct.error and TypeError come from its pure-Python reading of damaged flatbuffers
            except (ValueError, RuntimeError, TypeError, IndexError, struct.error) as caught:
                error = caught
        if error is not None:
            raise refuse("tflm", file, error, log)
        check_model("tflm", bundle.manifest, inputs, outputs)
        self._heads = tuple(range(len(outputs)))
        self.infer(*zero_inputs(bundle.manifest))

    def infer(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Return the logits of each head for one window."""
        interpreter = self._interpreter
        try:
            interpreter.reset()
            for index, array in enumerate(inputs):
                interpreter.set_input(array[None], index)
            interpreter.invoke()
            return tuple(interpreter.get_output(i)[0] for i in self._heads)
        except (ValueError, RuntimeError) as error:
            raise EngineError(f"engine tflm: inference failed: {' '.join(str(error).split())}") from None

    def reset(self) -> None:
        """Clear state tensors."""
        self._interpreter.reset()

    def memory_bytes(self) -> dict[str, int]:
        """Return the model file's size and what the recording allocator saw of the arena.

        The recording allocator under-reports temporary memory of kernels: a device needs a little more.
        """
        with native_stderr_captured() as log:
            self._interpreter.print_allocations()
        sizes = {"model_bytes": self._model_bytes}
        for line in log.lines:
            match = re.search(r"Arena allocation (total|head|tail) (\d+) bytes", line)
            if match:
                sizes[f"arena_recorded_{match[1]}_bytes"] = int(match[2])
        return sizes


def _described(details: Callable[[int], dict[str, object]]) -> list[TensorFacts]:
    """Describe all inputs or outputs; the API has no count, it refuses the first index past the end."""
    found: list[TensorFacts] = []
    with contextlib.suppress(IndexError, ValueError):
        while True:
            found.append(facts_from_details(details(len(found))))
    return found


def open_tflm(bundle: Bundle) -> TflmEngine:
    """Return TFLM with the bundle's model."""
    return TflmEngine(bundle)
