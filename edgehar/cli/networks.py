"""A model that the user names, as C sources with windows to run: what ``profile`` and ``check`` have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from device_sim.emulator import NetworkSources, Profile
    from device_sim.emulator.boards import Board
    from edgehar.bundle import Bundle
    from firmware_export.graph import Graph

DEFAULT_WINDOWS = 8
MODEL = "model_i8.onnx"


@dataclass(frozen=True, eq=False)
class Network:
    """C sources and what they have to compute.

    Attributes:
        name: of the model.
        sha256: of the file that the network comes from.
        sources: in C.
        windows: ``[N, ...]`` int8 of each input.
        expected: ``[N, K]`` int8 of each output.
        hop_s: time between two decisions; None where nobody knows it.
    """

    name: str
    sha256: str
    sources: NetworkSources
    windows: tuple[NDArray[np.int8], ...]
    expected: tuple[NDArray[np.int8], ...]
    hop_s: float | None

    def is_exact(self, outputs: Sequence[NDArray[np.int8]]) -> bool:
        """Return whether outputs are the expected ones, bit for bit."""
        return all(
            np.array_equal(found.reshape(want.shape), want) for found, want in zip(outputs, self.expected, strict=True)
        )


def network_of_bundle(bundle: Bundle, windows: int, optimize: str = "speed") -> Network:
    """Return a bundle's network with windows of its golden stream.

    Args:
        bundle: with an int8 model.
        windows: how many.
        optimize: ``speed`` or ``size``, what kernels are chosen for.

    Raises:
        UsageError: ``windows`` is not positive, or the bundle's recipe is not int8.
        BundleError: the bundle has no golden stream or no model.
        UnsupportedOpError: an operator has no form in C.
    """
    from device_sim.sources import golden_arrays, stream_of
    from edgehar.errors import UsageError
    from edgehar.precision import Precision
    from firmware_export.targets.c import Optimize, write_network

    if windows < 1:
        raise UsageError(f"--windows {windows}: expected at least 1")
    manifest, arrays = bundle.manifest, golden_arrays(bundle)
    if manifest.precision is not Precision.STATIC_WI8_AI8:
        raise UsageError(
            f"{bundle.path}: its recipe is {manifest.recipe}, the network in C is int8; export with --recipe "
            f"{Precision.STATIC_WI8_AI8}"
        )
    inputs = tuple(stream_of(arrays, "windows", i)[:windows] for i in range(len(manifest.inputs)))
    outputs = tuple(stream_of(arrays, "outputs", i)[:windows] for i in range(len(manifest.heads)))
    return Network(
        manifest.name,
        manifest.files[MODEL].sha256,
        write_network(_integers(bundle, inputs), origin=manifest.name, optimize=Optimize(optimize)),
        inputs,
        outputs,
        manifest.hop / manifest.rate_hz,
    )


def _integers(bundle: Bundle, windows: Sequence[NDArray[np.int8]]) -> Graph:
    """The bundle's quantized graph: scales and integers are those of its QDQ file."""
    from firmware_export.convert import convert

    quants = [each.quant for each in bundle.manifest.inputs]
    reals = tuple(quant.dequantize(x) for quant, x in zip(quants, windows, strict=True))
    return convert(bundle.read(MODEL), reals).integers


def profile_on(network: Network, board: Board, compiler: str, optimise: Sequence[str] = ()) -> Profile:
    """Run the windows on a board's core. Raises as :func:`device_sim.emulator.profile_network`."""
    from device_sim.emulator import profile_network

    return profile_network(network.sources, network.windows, board.processor, compiler, optimise)
