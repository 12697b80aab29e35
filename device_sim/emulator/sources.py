"""Which functions and buffers the C sources of a bundle have, read from the header that the exporter wrote."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgehar.c_pipeline import Streaming, TensorOfC, streaming_of
from edgehar.errors import EngineError

NAME = "har_model"
PIPELINE = "har.c"  # what is around the network
EXAMPLE = "example_main.c"
OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class CLayer:
    """One layer's C function. See :class:`device_sim.emulator.profile.LayerFunction`."""

    function: str
    name: str
    op: str
    macs: int


@dataclass(frozen=True)
class CNetwork:
    """A network in C. See :class:`device_sim.emulator.profile.NetworkSources`.

    Attributes:
        files: contents by name, those of the network alone.
        name: what every public C name begins with.
        inputs, outputs: shapes, for whole windows, and what their int8 means.
        layers: in running order.
        streaming: how it is fed; None where it is given whole windows.
        input_bytes: of each input, as it is given.
    """

    files: Mapping[str, bytes]
    name: str
    inputs: tuple[TensorOfC, ...]
    outputs: tuple[TensorOfC, ...]
    layers: tuple[CLayer, ...]
    streaming: Streaming | None
    input_bytes: tuple[int, ...]

    @property
    def output_bytes(self) -> tuple[int, ...]:
        """Of each output."""
        return tuple(math.prod(tensor.shape) for tensor in self.outputs)


def read_sources(files: Mapping[str, bytes]) -> CNetwork:
    """Return the network in a folder of generated C sources.

    Args:
        files: contents by name; ``har_model.h`` among them.

    Raises:
        EngineError: the header is missing, or does not say what it should.
    """
    header = files.get(f"{NAME}.h", b"").decode("utf-8", "replace")
    try:
        inputs, outputs = (
            tuple(TensorOfC(tuple(s), float(a), int(z)) for s, a, z in t) for t in _json(header, "FACTS")
        )
        streaming = streaming_of(_text(header, "STREAMING", ""))
        layers = tuple(CLayer(str(f), str(name), str(op), int(n)) for f, name, op, n in _json(header, "LAYERS"))
    except (ValueError, TypeError) as error:
        raise EngineError(
            f"{NAME}.h does not describe its network ({error}); export the model again with this edgehar"
        ) from None
    own = {name: data for name, data in library_sources(files).items() if name != PIPELINE}
    sizes = tuple(math.prod(tensor.shape) for tensor in inputs)
    if streaming is not None:
        inputs = tuple(map(streaming.whole, inputs))
    return CNetwork(own, NAME, inputs, outputs, layers, streaming, sizes)


def library_sources(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the sources and headers of ``firmware/`` without the example program, by name."""
    return {name: data for name, data in files.items() if name.endswith((".c", ".h")) and name != EXAMPLE}


def _json(header: str, macro: str) -> Any:
    """What stands in a macro as JSON in a C string."""
    return json.loads(_text(header, macro))


def _text(header: str, macro: str, otherwise: str | None = None) -> str:
    """What stands in a macro as a C string."""
    found = re.search(rf'^#define {NAME.upper()}_{macro} "([^"]*)"', header, re.MULTILINE)
    if found is None and otherwise is not None:
        return otherwise
    if found is None:
        raise ValueError(f"no {NAME.upper()}_{macro}")
    return OCTAL.sub(lambda code: chr(int(code[1], 8)), found[1])
