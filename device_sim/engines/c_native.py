"""The bundle's own C sources, compiled on this computer: the arithmetic that the firmware has on a board."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device_sim.engines.protocol import TensorFacts, check_model
from edgehar.bundle import Bundle
from edgehar.c_compiler import Compiler, find_compiler
from edgehar.c_pipeline import CPipeline, TensorOfC, firmware_files
from edgehar.errors import EngineError, MissingExtraError

MODEL = "firmware/har_model.c"


class CNativeEngine:
    """Runs ``har_model_run``. See :class:`device_sim.engines.protocol.Engine`.

    Attributes:
        pipeline: the whole firmware, of which the engine runs the network.
    """

    name = "c_native"

    def __init__(self, bundle: Bundle, compiler: Compiler) -> None:
        """Compile the sources, or find them compiled, and check them against the manifest."""
        self.version = compiler.version
        files = firmware_files(bundle)
        try:
            self.pipeline = CPipeline(files, compiler)
        except EngineError as error:
            raise EngineError(f"engine c_native: {MODEL} cannot be used: {error}; export the model again") from None
        facts = [[tensor_facts(tensor) for tensor in part] for part in (self.pipeline.inputs, self.pipeline.outputs)]
        check_model("c_native", bundle.manifest, *facts)
        self._model_bytes = bundle.manifest.files[MODEL].bytes

    def infer(self, *inputs: NDArray[np.int8]) -> tuple[NDArray[np.int8], ...]:
        """Return the int8 logits of each head for one window."""
        return self.pipeline.infer(*inputs)

    def reset(self) -> None:
        """Nothing is kept from window to window."""

    def memory_bytes(self) -> dict[str, int]:
        """Return the size of the source, and what the firmware takes on a board, code and stack aside."""
        sizes = self.pipeline.sizes
        return {
            "model_bytes": self._model_bytes,
            **{f"firmware_{name}_bytes": sizes[name] for name in ("context", "arena", "constants")},
        }


def tensor_facts(tensor: TensorOfC) -> TensorFacts:
    """Return what the C sources say of an input or output."""
    return TensorFacts(tensor.shape, "int8", (float(np.float32(tensor.scale)), tensor.zero_point))


def open_c_native(bundle: Bundle) -> CNativeEngine:
    """Return the bundle's C sources, compiled."""
    compiler = find_compiler()
    if compiler is None:
        raise MissingExtraError("ziglang", "firmware", "the engine 'c_native', where there is no C compiler (cc, CC)")
    return CNativeEngine(bundle, compiler)
