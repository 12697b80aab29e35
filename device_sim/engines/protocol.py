"""What every engine offers, and the checks that all of them make on a model before it runs."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from device_sim.emulator.boards import Board
from device_sim.telemetry import Telemetry
from edgehar.errors import EngineError
from edgehar.manifest import Manifest
from edgehar.signal import QuantParams


class Engine(Protocol):
    """An interpreter with one model in it, one thread.

    Attributes:
        name: key in ``ENGINES``.
        version: of the interpreter's package.
    """

    name: str
    version: str

    def infer(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Return every output of the manifest, ``[K]``, for one window, one array an input, as the manifest has them.

        Windows are independent: what an earlier one left in state tensors is cleared first.

        Raises:
            EngineError: the interpreter failed.
        """
        ...

    def reset(self) -> None:
        """Forget everything, as after power-on."""
        ...

    def memory_bytes(self) -> dict[str, int]:
        """Return what the interpreter tells of its memory, each figure under a name that says what it counts."""
        ...


@runtime_checkable
class ModelledEngine(Engine, Protocol):
    """An engine whose time on this computer means nothing: it knows how long a board takes, and says so itself.

    Attributes:
        board: the one whose time it is.
        telemetry: gets the modelled time of every stage with each window; None: nobody asks.
    """

    board: Board
    telemetry: Telemetry | None


@dataclass(frozen=True)
class TensorFacts:
    """Input or output of a model as its interpreter describes it. ``quant`` is None where it cannot say."""

    shape: tuple[int, ...]
    dtype: str
    quant: tuple[float, int] | None


def facts_from_details(details: dict[str, object]) -> TensorFacts:
    """Read the dictionary that LiteRT, tflite-runtime and TFLM share (``get_input_details``)."""
    params = details["quantization_parameters"]
    assert isinstance(params, dict)
    scales, zero_points = params["scales"], params["zero_points"]
    quant = (float(scales[0]), int(zero_points[0])) if len(scales) == 1 else None
    shape = tuple(int(n) for n in details["shape"])  # type: ignore[attr-defined]
    return TensorFacts(shape, np.dtype(details["dtype"]).name, quant)  # type: ignore[call-overload]


def check_model(name: str, manifest: Manifest, inputs: Sequence[TensorFacts], outputs: Sequence[TensorFacts]) -> None:
    """Compare a loaded model with the manifest: tensor counts, shapes, types, scales and zero points.

    Raises:
        EngineError: they differ; the message names what the model has and what the manifest says.
    """
    check_counts(name, manifest, len(inputs), len(outputs))
    for facts, each, shape in zip(inputs, manifest.inputs, manifest.input_shapes, strict=True):
        _check_tensor(name, f"input {each.name!r}", facts, shape, each.quant)
    for facts, output in zip(outputs, manifest.outputs, strict=True):
        _check_tensor(name, f"output {output.name!r}", facts, (1, output.width), output.quant)


def check_counts(name: str, manifest: Manifest, inputs: int, outputs: int) -> None:
    """Compare the number of a model's inputs and outputs with the manifest.

    Raises:
        EngineError: they differ.
    """
    if inputs != len(manifest.inputs) or outputs != len(manifest.outputs):
        raise EngineError(
            f"engine {name}: the model has {inputs} inputs and {outputs} outputs, the manifest says "
            f"{len(manifest.inputs)} inputs ({', '.join(i.name for i in manifest.inputs)}) and {len(manifest.outputs)} "
            f"outputs ({', '.join(o.name for o in manifest.outputs)}); export the model again"
        )


def zero_inputs(manifest: Manifest) -> list[NDArray[Any]]:
    """Return arrays that an engine can be tried with before the first window."""
    shapes = zip(manifest.inputs, manifest.input_shapes, strict=True)
    return [np.zeros(shape[1:], each.quant.dtype) for each, shape in shapes]


def _check_tensor(name: str, role: str, found: TensorFacts, shape: tuple[int, ...], quant: QuantParams) -> None:
    pair = None if quant.dtype == "float32" else (float(np.float32(quant.scale)), quant.zero_point)
    expected = TensorFacts(shape, quant.dtype, pair)
    if found != expected:
        raise EngineError(
            f"engine {name}: the model's {role} is {_words(found)}, the manifest says {_words(expected)}; "
            "export the model again"
        )


def _words(facts: TensorFacts) -> str:
    quant = "not quantized" if facts.quant is None else f"scale {facts.quant[0]:.9g}, zero point {facts.quant[1]}"
    return f"{facts.dtype} {list(facts.shape)} ({quant})"


@dataclass
class NativeLog:
    """Lines that native code wrote to file descriptor 2 while it was captured."""

    lines: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """The last line that says what went wrong, or nothing."""
        wrong = [line for line in self.lines if not line.startswith(("INFO", "WARNING", "W0", "I0"))]
        return wrong[-1] if wrong else ""


@contextlib.contextmanager
def native_stderr_captured() -> Iterator[NativeLog]:
    """Keep what C++ code prints to stderr away from the user's terminal; the lines are there afterwards."""
    log = NativeLog()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as sink:
        saved = os.dup(2)
        try:
            os.dup2(sink.fileno(), 2)
            yield log
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            log.lines.extend(sink.read().decode("utf-8", "replace").splitlines())


def refuse(name: str, model: str, error: BaseException, log: NativeLog) -> EngineError:
    """Return the error for a model that an interpreter does not take, in one line."""
    found = log.reason or str(error).strip() or type(error).__name__
    return EngineError(
        f"engine {name}: the interpreter refuses {model} ({' '.join(found.split())[:300]}); "
        "the file is damaged or uses operators this interpreter does not have: export the model again"
    )
