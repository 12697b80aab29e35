"""A network in C on an emulated core: its outputs, and what every layer costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from device_sim.emulator.cores import Core
from device_sim.emulator.machine import Machine
from device_sim.emulator.meter import Meter
from device_sim.emulator.toolchain import build_image
from edgehar.c_pipeline import Streaming, pieces_of

STEP = "image_step"
Int8 = NDArray[np.int8]


class LayerFunction(Protocol):
    """The C function of one layer."""

    @property
    def function(self) -> str:
        """Its symbol."""
        ...

    @property
    def name(self) -> str:
        """Of the layer."""
        ...

    @property
    def op(self) -> str:
        """What it computes."""
        ...

    @property
    def macs(self) -> int:
        """Multiply-accumulates a window."""
        ...


class NetworkSources(Protocol):
    """A network in C, as ``firmware_export.targets.c`` writes it."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """Contents by name."""
        ...

    @property
    def name(self) -> str:
        """What every public C name begins with: ``{name}.h``, ``{name}_arena``, ``{name}_run``."""
        ...

    @property
    def input_bytes(self) -> tuple[int, ...]:
        """Of each input."""
        ...

    @property
    def output_bytes(self) -> tuple[int, ...]:
        """Of each output."""
        ...

    @property
    def layers(self) -> Sequence[LayerFunction]:
        """In running order."""
        ...

    @property
    def streaming(self) -> Streaming | None:
        """How it is fed; None where it is given whole windows."""
        ...


@dataclass(frozen=True)
class LayerProfile:
    """One layer, per decision: ``instructions`` and ``cycles`` with everything it calls."""

    name: str
    op: str
    macs: int
    instructions: int
    cycles: int


@dataclass(frozen=True, eq=False)
class Profile:
    """A network on a core, per decision: of one that streams the last hop of each window.

    Attributes:
        core: key of ``CORES``.
        windows: how many were run; figures are means over them, rounded.
        instructions: executed, those among them that their condition skips.
        worst_instructions, worst_cycles: of the slowest window.
        cycles: modelled, memory answering at once.
        flash_bytes: start-up code, network and its constants.
        ram_bytes: arena, inputs and outputs.
        stack_bytes: deepest use.
        layers: in running order; what is left of ``instructions`` calls them.
        outputs: of each output ``[N, bytes]`` int8.
    """

    core: str
    windows: int
    instructions: int
    worst_instructions: int
    cycles: int
    worst_cycles: int
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    layers: tuple[LayerProfile, ...]
    outputs: tuple[Int8, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates a decision."""
        return sum(layer.macs for layer in self.layers)


class NetworkMachine:
    """A network's image on a core, run window by window.

    Args:
        network: what to build.
        core: where to run it.
        compiler, optimise: see :func:`device_sim.emulator.toolchain.build_image`.

    Attributes:
        machine: the core.
        instructions, cycles: ``[regions]`` of the last decision; of a network that streams, its hop alone.
    """

    def __init__(
        self, network: NetworkSources, core: Core, compiler: str = "zig", optimise: Sequence[str] = ()
    ) -> None:
        self._network = network
        files = {**network.files, "image_main.c": main_source(network)}
        image = build_image(core, files, [STEP], compiler, optimise)
        self.machine = Machine(image, core, {layer.function: layer.function for layer in network.layers})
        self._meter = Meter(self.machine)
        self.instructions, self.cycles = self._meter.instructions(), self._meter.cycles()

    def infer(self, *inputs: Int8) -> tuple[Int8, ...]:
        """Return each output of one window ``[T, C]`` as bytes.

        Raises:
            EngineError: the image faulted.
        """
        for piece in pieces_of(self._network.streaming, inputs):
            before = self._meter.instructions(), self._meter.cycles()
            outputs = self._run(*piece)
            self.instructions = self._meter.instructions() - before[0]
            self.cycles = self._meter.cycles() - before[1]
        return outputs

    def _run(self, *inputs: Int8) -> tuple[Int8, ...]:
        for index, (array, size) in enumerate(zip(inputs, self._network.input_bytes, strict=True)):
            if array.dtype != np.int8 or array.size != size:
                raise ValueError(f"input {index} is {array.dtype}{list(array.shape)}, expected {size} of int8")
            self.machine.write(f"image_in{index}", array.tobytes())
        self.machine.call(STEP)
        return tuple(
            np.frombuffer(self.machine.read(f"image_out{index}", size), np.int8)
            for index, size in enumerate(self._network.output_bytes)
        )


def profile_network(
    network: NetworkSources,
    windows: Int8 | Sequence[Int8],
    core: Core,
    compiler: str = "zig",
    optimise: Sequence[str] = (),
) -> Profile:
    """Run a network over windows on an emulated core.

    Args:
        network: in C.
        windows: ``[N, ...]`` int8 of each input; bare where there is one input.
        core: of ``CORES``.
        compiler: ``zig`` or ``gcc``.
        optimise: compiler flags that replace the usual ones, e.g. ``("-Os",)``.

    Raises:
        MissingExtraError: compiler, emulator or disassembler are not installed.
        EngineError: the compiler refuses the sources, or the image faulted.
    """
    given = [windows] if isinstance(windows, np.ndarray) else list(windows)
    running = NetworkMachine(network, core, compiler, optimise)
    outputs, each = [], []
    for window in zip(*given, strict=True):
        outputs.append(running.infer(*window))
        each.append((running.instructions, running.cycles))
    if not outputs:
        raise ValueError("no windows, expected at least one")
    count = len(outputs)
    instructions, cycles = np.stack(each, axis=1)  # [windows, regions]
    rows = {name: row for row, name in enumerate(running.machine.regions)}
    return Profile(
        core=core.name,
        windows=count,
        instructions=_mean(instructions),
        worst_instructions=int(instructions.sum(axis=1).max()),
        cycles=_mean(cycles),
        worst_cycles=int(cycles.sum(axis=1).max()),
        flash_bytes=running.machine.image.flash_bytes,
        ram_bytes=running.machine.image.ram_bytes,
        stack_bytes=running.machine.stack_bytes,
        layers=tuple(
            LayerProfile(
                layer.name,
                layer.op,
                layer.macs,
                _mean(instructions[:, rows[layer.function]]),
                _mean(cycles[:, rows[layer.function]]),
            )
            for layer in network.layers
        ),
        outputs=tuple(np.stack(arrays) for arrays in zip(*outputs, strict=True)),
    )


def _mean(counts: NDArray[np.int64]) -> int:
    """Of windows ``[N, ...]``, all regions together."""
    return round(int(counts.sum()) / len(counts))


def main_source(network: NetworkSources) -> bytes:
    """Return C: one run of the network over its own buffers, as firmware would hold them."""
    inputs = [(f"image_in{i}", size) for i, size in enumerate(network.input_bytes)]
    outputs = [(f"image_out{i}", size) for i, size in enumerate(network.output_bytes)]
    buffers = "\n".join(f"int8_t {name}[{size}] __attribute__((aligned(8)));" for name, size in (*inputs, *outputs))
    arguments = ", ".join(["&arena", *(name for name, _ in (*inputs, *outputs))])
    return f"""#include "{network.name}.h"

static {network.name}_arena arena;
{buffers}

void {STEP}(void)
{{
    {network.name}_run({arguments});
}}
""".encode()
