"""Which functions and buffers the C sources of a bundle have, read from the header that the exporter wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgehar.errors import EngineError

NAME = "har_model"
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
    """A network in C. See :class:`device_sim.emulator.profile.NetworkSources`."""

    files: Mapping[str, bytes]
    name: str
    input_bytes: tuple[int, ...]
    output_bytes: tuple[int, ...]
    layers: tuple[CLayer, ...]


def read_sources(files: Mapping[str, bytes]) -> CNetwork:
    """Return the network in a folder of generated C sources.

    Args:
        files: contents by name; ``har_model.h`` among them.

    Raises:
        EngineError: the header is missing, or does not say what it should.
    """
    header = files.get(f"{NAME}.h", b"").decode("utf-8", "replace")
    run = re.search(rf"void {NAME}_run\({NAME}_arena \*arena, ([^)]*)\);", header)
    layers = re.search(rf'^#define {NAME.upper()}_LAYERS "([^"]*)"', header, re.MULTILINE)
    try:
        if run is None or layers is None:
            raise ValueError("no declaration of the network or no list of its layers")
        parameters = [re.fullmatch(r"(const )?int8_t \w+\[(\d+)\]", p.strip()) for p in run[1].split(",")]
        inputs = tuple(int(p[2]) for p in parameters if p and p[1])
        outputs = tuple(int(p[2]) for p in parameters if p and not p[1])
        text = OCTAL.sub(lambda code: chr(int(code[1], 8)), layers[1])
        found = tuple(CLayer(str(f), str(name), str(op), int(macs)) for f, name, op, macs in json.loads(text))
    except (ValueError, TypeError) as error:
        raise EngineError(
            f"{NAME}.h does not describe its network ({error}); export the model again with this edgehar"
        ) from None
    names = (".c", ".h")
    return CNetwork({n: d for n, d in files.items() if n.endswith(names)}, NAME, inputs, outputs, found)
