"""A model that the user names, as C sources with what they have to compute: for ``profile`` and ``check``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from device_sim.emulator import NetworkSources
    from device_sim.emulator.boards import Board
    from edgehar.bundle import Bundle
    from edgehar.manifest import Head
    from firmware_export.graph import Graph

DEFAULT_WINDOWS = 8
MODEL = "model_i8.tflite"


@dataclass(frozen=True, eq=False)
class Pipeline:
    """The firmware around a network.

    Attributes:
        files: of ``firmware/``, contents by name.
        heads: of the manifest.
        samples: ``[T, C]`` float32 raw samples that end with the network's last window.
    """

    files: Mapping[str, bytes]
    heads: Sequence[Head]
    samples: NDArray[np.float32]


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
        pipeline: around it; None where there is none in C.
    """

    name: str
    sha256: str
    sources: NetworkSources
    windows: tuple[NDArray[np.int8], ...]
    expected: tuple[NDArray[np.int8], ...]
    hop_s: float | None
    pipeline: Pipeline | None

    def is_exact(self, outputs: Sequence[NDArray[np.int8]]) -> bool:
        """Return whether outputs are the expected ones, bit for bit."""
        return all(
            np.array_equal(found.reshape(want.shape), want) for found, want in zip(outputs, self.expected, strict=True)
        )


def network_of_bundle(bundle: Bundle, windows: int, optimize: str | None = None) -> Network:
    """Return a bundle's network with windows of its golden stream.

    Args:
        bundle: with an int8 model.
        windows: how many.
        optimize: ``speed``, ``balanced``, ``size`` or ``mve``, what kernels are chosen for in C sources made anew; None
            takes the bundle's own, and makes some for speed where it has none.

    Raises:
        UsageError: ``windows`` is not positive, or the bundle's recipe is not int8.
        BundleError: the bundle has no golden stream or no model.
        UnsupportedOpError: an operator has no form in C.
    """
    from device_sim.emulator.sources import read_sources
    from device_sim.sources import golden_arrays, stream_of
    from edgehar.c_pipeline import FOLDER, firmware_files, is_streaming
    from edgehar.errors import ExportError, UsageError
    from edgehar.precision import Precision
    from edgehar.references import find_references
    from firmware_export.targets.c import Optimize, write_firmware, write_network

    if windows < 1:
        raise UsageError(f"--windows {windows}: expected at least 1")
    manifest, arrays = bundle.manifest, golden_arrays(bundle)
    if manifest.precision is not Precision.STATIC_WI8_AI8:
        raise UsageError(
            f"{bundle.path}: its recipe is {manifest.recipe}, the network in C is int8; export with --recipe "
            f"{Precision.STATIC_WI8_AI8}"
        )
    inputs = tuple(stream_of(arrays, "windows", i)[:windows] for i in range(len(manifest.inputs)))
    outputs = tuple(stream_of(arrays, "outputs", i)[:windows] for i in range(len(manifest.outputs)))
    files: Mapping[str, bytes] | None
    if optimize is None and any(name.startswith(FOLDER) for name in manifest.files):
        files = firmware_files(bundle)
        sources: NetworkSources = read_sources(files)
    else:
        integers, kernels = integers_of(bundle), Optimize(optimize or "speed")
        known, streaming = find_references(bundle), is_streaming(bundle)
        try:
            files = write_firmware(manifest, integers, manifest.name, kernels, known, streaming=streaming).files
            sources = read_sources(files)
        except ExportError:  # the network has a form in C, what is around it has none
            files = None
            sources = write_network(integers, origin=manifest.name, optimize=kernels)
    count = manifest.window + (len(inputs[0]) - 1) * manifest.hop
    return Network(
        manifest.name,
        manifest.files[MODEL].sha256,
        sources,
        inputs,
        outputs,
        manifest.hop / manifest.rate_hz,
        None if files is None else Pipeline(files, manifest.heads, arrays["stream_samples"][:count]),
    )


def network_of_file(path: Path, windows: int, optimize: str | None = None) -> Network:
    """Return the network of an int8 ``.tflite`` with random windows; what it has to compute says the numpy reference.

    Args:
        path: the file.
        windows: how many.
        optimize: ``speed`` (also for None), ``balanced``, ``size`` or ``mve``, what kernels are chosen for.

    Raises:
        UsageError: ``windows`` is not positive, or the file is not int8.
        ExportError: it is no readable ``.tflite``.
        UnsupportedOpError: an operator is not known, or has no form in C.
    """
    from edgehar.errors import UsageError
    from edgehar.files import sha256_bytes
    from firmware_export.passes import LAYOUT_PASSES, run_passes
    from firmware_export.reference import run
    from firmware_export.targets.c import Optimize, write_network
    from firmware_export.tflite_reader import read_tflite

    if windows < 1:
        raise UsageError(f"--windows {windows}: expected at least 1")
    data = path.read_bytes()
    graph = read_tflite(data)
    if graph.input_dtype != "int8":
        raise UsageError(
            f"{path}: it takes {graph.input_dtype}, the network in C is int8; quantize it first: edgehar export --from "
            f"{path.name} --target tflite --out FOLDER"
        )
    graph = run_passes(graph, LAYOUT_PASSES)
    rng = np.random.default_rng(0)
    inputs = tuple(
        rng.integers(-128, 128, (windows, *graph.values[name].shape[1:])).astype(np.int8) for name in graph.inputs
    )
    sources = write_network(graph, origin=path.name, optimize=Optimize(optimize or "speed"))
    return Network(path.name, sha256_bytes(data), sources, inputs, run(graph, inputs), None, None)


def network_of(model: str, windows: int, optimize: str | None = None) -> Network:
    """Return the network of a bundle or a ``.tflite``, whichever ``model`` names. Raises as the two functions above."""
    from edgehar.bundle import Bundle

    if model.endswith(".tflite"):
        return network_of_file(Path(model), windows, optimize)
    return network_of_bundle(Bundle.open(model), windows, optimize)


def integers_of(bundle: Bundle) -> Graph:
    """Return a bundle's quantized graph, read back from its ``.tflite``: of an LSTM, too, the integers are all there.

    Raises:
        BundleError: the bundle has no such file.
    """
    from firmware_export.passes import LAYOUT_PASSES, run_passes
    from firmware_export.tflite_reader import read_tflite

    return run_passes(read_tflite(bundle.read(MODEL)), LAYOUT_PASSES)


def cost_on(network: Network, board: Board, compiler: str, optimise: Sequence[str] = ()) -> dict[str, Any]:
    """Run network and pipeline on a board's core; return ``profile.json`` as plain data.

    Raises:
        UsageError, MissingExtraError: no compiler or emulator.
        EngineError: the compiler refuses the sources, or they fault.
    """
    from device_sim.emulator import profile_network
    from device_sim.emulator.firmware import EmulatedFirmware
    from device_sim.emulator.summary import pipeline_summary, profile_summary
    from edgehar.c_pipeline import raw_outputs

    core = board.processor
    profile = profile_network(network.sources, network.windows, core, compiler, optimise)
    summary = profile_summary(
        profile,
        board,
        name=network.name,
        model_sha256=network.sha256,
        bit_exact=network.is_exact(profile.outputs),
        hop_s=network.hop_s,
    )
    if network.pipeline is None:
        return {**summary, "pipeline": None}
    firmware = EmulatedFirmware(network.pipeline.files, network.pipeline.heads, core, compiler, optimise)
    decisions = firmware.replay(network.pipeline.samples).decisions
    exact = network.is_exact(raw_outputs(decisions))
    whole = pipeline_summary(firmware.profile(), board, bit_exact=exact, hop_s=network.hop_s)
    return {**summary, "pipeline": whole}
