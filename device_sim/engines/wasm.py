"""The bundle's own C sources as WebAssembly in wasmtime: what a browser runs, and no native code of the bundle's."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from device_sim.emulator.profile import STEP, NetworkSources, main_source
from device_sim.emulator.sources import read_sources
from device_sim.engines.c_native import tensor_facts
from device_sim.engines.protocol import check_model
from edgehar.bundle import Bundle
from edgehar.c_pipeline import firmware_files, pieces_of
from edgehar.c_wasm import wasm_module
from edgehar.errors import EngineError, MissingExtraError

if TYPE_CHECKING:
    import wasmtime

MODEL = "firmware/har_model.c"
NEEDS = "the engine 'wasm'"
Int8 = NDArray[np.int8]


class WasmNetwork:
    """A network's module, run window by window.

    Args:
        network: in C.
        simd: use vectors of 16 bytes.

    Attributes:
        module_bytes: of the file.
        memory_bytes: of the module's memory, with constants and stack.

    Raises:
        MissingExtraError: compiler or wasmtime are not installed.
        EngineError: the compiler refuses the sources.
    """

    def __init__(self, network: NetworkSources, *, simd: bool = True) -> None:
        try:
            import wasmtime
        except ModuleNotFoundError:
            raise MissingExtraError("wasmtime", "firmware", NEEDS) from None
        self._network = network
        given, answered = (range(len(sizes)) for sizes in (network.input_bytes, network.output_bytes))
        buffers = [f"image_in{i}" for i in given], [f"image_out{i}" for i in answered]
        files = {**network.files, "image_main.c": main_source(network)}
        code = wasm_module(files, [STEP, *buffers[0], *buffers[1]], simd=simd, what=NEEDS).read_bytes()
        engine = wasmtime.Engine()
        self._store = wasmtime.Store(engine)
        exports = wasmtime.Instance(self._store, wasmtime.Module(engine, code), []).exports(self._store)
        self._step: Any = exports[STEP]
        self._memory: wasmtime.Memory = exports["memory"]  # type: ignore[assignment]
        inputs, outputs = ([exports[name].value(self._store) for name in names] for names in buffers)  # type: ignore[union-attr]
        self._inputs = tuple(zip(inputs, network.input_bytes, strict=True))
        self._outputs = tuple(zip(outputs, network.output_bytes, strict=True))
        self.module_bytes = len(code)
        self.memory_bytes = int(self._memory.data_len(self._store))

    def infer(self, *inputs: Int8) -> tuple[Int8, ...]:
        """Return each output of one window as bytes.

        Raises:
            ValueError: the inputs are not of the network's sizes.
        """
        for piece in pieces_of(self._network.streaming, inputs):
            for array, (address, size) in zip(piece, self._inputs, strict=True):
                if array.dtype != np.int8 or array.size != size:
                    raise ValueError(f"{array.dtype}{list(array.shape)}, expected {size} of int8")
                self._memory.write(self._store, array.tobytes(), address)
            self.step()
        return tuple(
            np.frombuffer(self._memory.read(self._store, address, address + size), np.int8)
            for address, size in self._outputs
        )

    def step(self) -> None:
        """Run over what the input buffers hold."""
        self._step(self._store)


class WasmEngine:
    """Runs ``har_model_run``. See :class:`device_sim.engines.protocol.Engine`."""

    name = "wasm"

    def __init__(self, bundle: Bundle) -> None:
        """Build the module, or find it built, and check the network against the manifest."""
        files, manifest = firmware_files(bundle), bundle.manifest
        try:
            sources = read_sources(files)
            self._network = WasmNetwork(sources)
        except EngineError as error:
            raise EngineError(f"engine wasm: {MODEL} cannot be used: {error}; export the model again") from None
        check_model("wasm", manifest, *([tensor_facts(t) for t in part] for part in (sources.inputs, sources.outputs)))
        self.version = importlib.metadata.version("wasmtime")
        self._model_bytes = manifest.files[MODEL].bytes

    def infer(self, *inputs: Int8) -> tuple[Int8, ...]:
        """Return the int8 logits of each head for one window."""
        return self._network.infer(*inputs)

    def reset(self) -> None:
        """Nothing is kept from window to window."""

    def memory_bytes(self) -> dict[str, int]:
        """Return the size of the source, of the module and of its memory."""
        return {
            "model_bytes": self._model_bytes,
            "wasm_module_bytes": self._network.module_bytes,
            "wasm_memory_bytes": self._network.memory_bytes,
        }


def open_wasm(bundle: Bundle) -> WasmEngine:
    """Return the bundle's C sources as WebAssembly."""
    return WasmEngine(bundle)
