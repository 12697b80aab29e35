"""A bundle's ``firmware/`` as a library in this process: the network alone, or samples through the whole pipeline."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.bundle import Bundle
from edgehar.c_compiler import FLAGS, Compiler, shared_library
from edgehar.errors import EngineError
from edgehar.manifest import Head

FOLDER = "firmware/"
REPLAY = "c_replay.c"
EVENT = np.dtype(
    [
        *((name, np.uint64) for name in ("start", "ended_start")),
        *((name, np.uint32) for name in ("start_ms", "ended_start_ms")),
        ("probability", np.float32),
        *((name, np.int16) for name in ("label", "ended")),
        ("kind", np.uint8),
    ],
    align=True,
)
EVENT_ACTIVITY = 1
SIZES = ("context", "decision", "event", "declared_context", "arena", "inputs", "constants", "embedding", "labels")


@dataclass(frozen=True)
class TensorOfC:
    """Input or output of a network in C: shape with the batch, and what its int8 means."""

    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Streaming:
    """How a network in C is fed that computes only the columns which a hop brings, and keeps the others.

    Attributes:
        window, hop: in samples.
        rows: the newest samples of each input, which it is given every hop.
    """

    window: int
    hop: int
    rows: int

    def pieces(self, window: NDArray[np.int8]) -> Iterator[NDArray[np.int8]]:
        """Yield what the network is given, ``[rows, C]`` a hop, until it has seen a window ``[T, C]``; zeros before."""
        padded = np.pad(window, ((self.rows, 0), (0, 0)))
        for end in range((self.window - 1) % self.hop + 1, self.window + 1, self.hop):
            yield padded[end : end + self.rows]

    def whole(self, tensor: TensorOfC) -> TensorOfC:
        """Return an input as the network's author knows it, with all samples of a window."""
        return replace(tensor, shape=(1, self.window, *tensor.shape[2:]))


def streaming_of(text: str) -> Streaming | None:
    """Return what ``HAR_MODEL_STREAMING`` says in JSON; None for an empty text: the network is given whole windows.

    Raises:
        ValueError, TypeError: it says something else.
    """
    return Streaming(*json.loads(text)) if text else None


@dataclass(frozen=True, eq=False)
class Replayed:
    """What the pipeline said to a stretch of samples, an entry a decision.

    Attributes:
        decisions: structured as ``har_decision``: ``start``, ``t_ms``, then ``head_0``, ``head_1``, ... each with
            ``probability``, ``logits`` and ``label`` or ``answers``, then ``embedding`` if the network has one.
        events: structured as ``har_event``; ``kind`` is ``EVENT_ACTIVITY`` where an activity was announced.
        windows: ``[N, bytes]`` int8, what the pipeline holds of the windows of all inputs, one after another
            (:meth:`CPipeline.held`); None where not asked for.
    """

    decisions: NDArray[Any]
    events: NDArray[Any]
    windows: NDArray[np.int8] | None


class CPipeline:
    """One compiled firmware.

    Args:
        files: of ``firmware/``, contents by name.
        compiler: builds them, or finds them built.
        flags: of compiler and linker.

    Attributes:
        inputs, outputs: of the network, for whole windows.
        streaming: how the network is fed; None where it is given whole windows.
        sizes: in bytes, keys ``SIZES``; ``labels`` are those that the first head may answer, 0 for its own alone.

    Raises:
        EngineError: the compiler refuses the files.
    """

    def __init__(self, files: Mapping[str, bytes], compiler: Compiler, flags: Sequence[str] = FLAGS) -> None:
        replay = resources.files("edgehar").joinpath(REPLAY).read_bytes()
        sources = {
            name: data for name, data in files.items() if name.endswith((".c", ".h")) and name != "example_main.c"
        }
        path = shared_library(compiler, {**sources, REPLAY: replay}, flags)
        try:
            self._library = ctypes.CDLL(str(path))
        except OSError as error:
            raise EngineError(f"{path}: cannot be loaded ({error}); set CC to a compiler for this computer") from None
        self._library.har_replay.restype = ctypes.c_int64
        given, self.outputs = (
            tuple(TensorOfC(tuple(shape), scale, zero) for shape, scale, zero in tensors)
            for tensors in json.loads(self._text("har_replay_facts"))
        )
        self.streaming = streaming_of(self._text("har_replay_streaming"))
        self.inputs = given if self.streaming is None else tuple(map(self.streaming.whole, given))
        words = (ctypes.c_uint32 * len(SIZES)).in_dll(self._library, "har_replay_bytes")
        self.sizes = dict(zip(SIZES, words, strict=True))
        self._arena = aligned(self.sizes["arena"])

    def infer(self, *inputs: NDArray[np.int8]) -> tuple[NDArray[np.int8], ...]:
        """Return the network's int8 outputs, each ``[K]``, for one window.

        Raises:
            EngineError: the inputs are not of the network's shapes.
        """
        found = [(array.shape, array.dtype) for array in inputs]
        expected = [(tensor.shape[1:], np.dtype(np.int8)) for tensor in self.inputs]
        if found != expected:
            raise EngineError(f"the network in C takes {expected}, it was given {found}")
        outputs = tuple(np.empty(tensor.shape[1:], np.int8) for tensor in self.outputs)
        for given in pieces_of(self.streaming, inputs):
            arrays = [np.ascontiguousarray(array) for array in given]
            self._library.har_model_run(pointer(self._arena), *map(pointer, arrays), *map(pointer, outputs))
        return outputs

    def context(self, heads: Sequence[Head]) -> CContext:
        """Return a fresh pipeline. Raises as :class:`CContext`."""
        return CContext(self._library, heads, self.sizes)

    def held(self, windows: Sequence[NDArray[np.int8]]) -> NDArray[np.int8]:
        """Return of windows ``[N, ...]`` of each input what the pipeline holds at a decision, ``[N, bytes]``."""
        rows = 0 if self.streaming is None else self.streaming.rows  # -0: all
        return np.concatenate([each[:, -rows:].reshape(len(each), -1) for each in windows], axis=1)

    def _text(self, symbol: str) -> str:
        return ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(self._library, symbol))).decode()


class CContext:
    """One ``har_context``, ready for the first sample.

    Attributes:
        memory: its bytes; whoever copies them copies the pipeline with all it remembers.

    Raises:
        EngineError: the firmware has other heads, or was compiled with inexact floating point.
    """

    def __init__(self, library: ctypes.CDLL, heads: Sequence[Head], sizes: Mapping[str, int]) -> None:
        self._library = library
        self._library.har_invalid_samples.restype = ctypes.c_uint64
        self._library.har_activity.restype = ctypes.c_int16
        self._decision = decision_type(heads, sizes["embedding"], sizes["labels"])
        self._input_bytes, self._embedding = sizes["inputs"], sizes["embedding"]
        if (self._decision.itemsize, EVENT.itemsize) != (sizes["decision"], sizes["event"]):
            raise EngineError(
                f"the firmware's decisions have {sizes['decision']} bytes, the manifest's heads make "
                f"{self._decision.itemsize}; export the model again"
            )
        self.memory = aligned(sizes["context"])
        self.reset()

    def reset(self) -> None:
        """Call ``har_init``."""
        self.samples = 0
        status = self._library.har_init(pointer(self.memory))
        if status != 0:
            raise EngineError(f"har_init() returns {status}; compile with -ffp-contract=off and without -ffast-math")

    @property
    def invalid_samples(self) -> int:
        """What ``har_invalid_samples`` says."""
        return int(self._library.har_invalid_samples(pointer(self.memory)))

    @property
    def activity(self) -> int:
        """What ``har_activity`` says."""
        return int(self._library.har_activity(pointer(self.memory)))

    def replay(self, samples: NDArray[np.float32], windows: bool = False) -> Replayed:
        """Push samples ``[T, C]`` one by one; ``t_ms`` is the count of samples before.

        Args:
            samples: raw; NaN and infinite values are allowed.
            windows: also keep the int8 windows.
        """
        samples = np.ascontiguousarray(samples, np.float32)
        most = len(samples) + 1
        decisions, events = np.zeros(most, self._decision), np.zeros(most, EVENT)
        kept = np.empty((most, self._input_bytes), np.int8) if windows else None
        count = self._library.har_replay(
            pointer(self.memory),
            pointer(samples),
            ctypes.c_int64(len(samples)),
            ctypes.c_uint32(self.samples % 2**32),
            pointer(decisions),
            pointer(events),
            None if kept is None else pointer(kept),
        )
        if count < 0:
            raise EngineError(f"har_push() returns {-1 - count}")
        self.samples += len(samples)
        return Replayed(decisions[:count], events[:count], None if kept is None else kept[:count])

    def enroll(self, samples: NDArray[np.float32], label: int, margin: int) -> NDArray[Any]:
        """Push samples ``[T, C]``, and return the prototype ``[1]`` of all windows that they complete.

        Args:
            samples: raw.
            label: index, beyond the first head's own.
            margin: of the threshold, 16,384 a cosine of 1.

        Returns:
            Structured as ``har_prototype``: ``threshold``, ``label``, ``vector``.

        Raises:
            EngineError: the firmware refuses, or cannot enrol.
        """
        if not hasattr(self._library, "har_replay_enroll"):
            raise EngineError("the firmware cannot enrol: its network has no embedding, or its bundle no references")
        samples = np.ascontiguousarray(samples, np.float32)
        prototype = np.zeros(1, prototype_type(self._embedding))
        status = self._library.har_replay_enroll(
            pointer(self.memory),
            pointer(samples),
            ctypes.c_int64(len(samples)),
            ctypes.c_int16(label),
            ctypes.c_int32(margin),
            pointer(prototype),
        )
        if status != 0:
            raise EngineError(f"the firmware refuses to enrol: status {status} of har.h")
        return prototype

    def add_prototype(self, prototype: NDArray[Any]) -> None:
        """Let the pipeline recognise what :meth:`enroll` returned, until it is reset.

        Raises:
            EngineError: the firmware refuses.
        """
        status = self._library.har_add_prototype(pointer(self.memory), pointer(prototype))
        if status != 0:
            raise EngineError(f"the firmware refuses a prototype: status {status} of har.h")


def pieces_of(
    streaming: Streaming | None, window: Sequence[NDArray[np.int8]]
) -> Iterator[tuple[NDArray[np.int8], ...]]:
    """Yield what a network is given of each input's window, run by run; the last run's outputs are the window's."""
    return iter([tuple(window)]) if streaming is None else zip(*map(streaming.pieces, window), strict=True)


def firmware_files(bundle: Bundle) -> dict[str, bytes]:
    """Return the files of a bundle's ``firmware/`` by name.

    Raises:
        EngineError: it has none.
    """
    names = [name for name in bundle.manifest.files if name.startswith(FOLDER)]
    if not names:
        raise EngineError(
            f"{bundle.path}: this bundle has no C sources; make one that has: "
            "edgehar export RUN --target tflite,onnx,c --out BUNDLE"
        )
    return {name.removeprefix(FOLDER): bundle.read(name) for name in names}


def is_streaming(bundle: Bundle) -> bool:
    """Return whether a bundle has firmware whose network computes only the columns that a hop brings."""
    header = f"{FOLDER}har_model.h"
    return header in bundle.manifest.files and b"#define HAR_MODEL_STREAMING " in bundle.read(header)


def decision_type(heads: Sequence[Head], embedding: int = 0, labels: int = 0) -> np.dtype[Any]:
    """Return the layout of ``har_decision``; the members of heads are called ``head_0``, ``head_1``, ...

    Args:
        heads: of the manifest.
        embedding: its width, 0 for none.
        labels: that the first head may answer, its own and enrolled ones; 0 for its own alone.
    """
    members: list[Any] = [("start", np.uint64), ("t_ms", np.uint32)]
    for index, head in enumerate(heads):
        count = (len(head.labels),)
        probabilities = (labels,) if labels and index == 0 else count
        answer = ("label", np.int16) if head.kind == "multiclass" else ("answers", np.int8, count)
        fields: list[Any] = [("probability", np.float32, probabilities), answer, ("logits", np.int8, count)]
        members.append((f"head_{index}", np.dtype(fields, align=True)))
    if embedding:
        members.append(("embedding", np.int8, (embedding,)))
    return np.dtype(members, align=True)


def raw_outputs(decisions: NDArray[Any]) -> list[NDArray[np.int8]]:
    """Return the network's outputs in decisions ``[N]``: the logits ``[N, K]`` of each head, then the embedding."""
    names = decisions.dtype.names or ()
    heads = [decisions[name]["logits"] for name in names if name.startswith("head_")]
    return [*heads, *([decisions["embedding"]] if "embedding" in names else [])]


def prototype_type(embedding: int) -> np.dtype[Any]:
    """Return the layout of ``har_prototype`` for an embedding of this width."""
    members: list[Any] = [("threshold", np.int32), ("label", np.int16), ("vector", np.int8, (embedding,))]
    return np.dtype(members, align=True)


def aligned(size: int) -> NDArray[np.int64]:
    """Return memory of at least ``size`` bytes for any C type, full of rubbish."""
    return np.full(-(-size // 8), 0x5A5A5A5A5A5A5A5A, np.int64)


def pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    """Return the address of an array's first number."""
    return ctypes.c_void_p(array.ctypes.data)
