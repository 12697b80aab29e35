"""The page: the firmware as WebAssembly, a recording with the logits that it has to give, and a script around them."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.c_pipeline import EVENT, decision_type
from edgehar.c_wasm import wasm_module
from edgehar.errors import UnsupportedOpError
from edgehar.manifest import Head, Manifest
from edgehar.recording import Channel

MAIN = "page_main.c"
EXAMPLE = "example_main.c"
FUNCTIONS = ("page_reset", "page_push", "page_feed", "page_next", "page_decision")
VARIABLES = ("page_sample", "page_event", "page_counts")
STANDARD_GRAVITY = 9.80665
# What a browser measures, in the units of channels: m/s2 and degrees a second.
FACTORS = {
    ("acc", "g"): 1 / STANDARD_GRAVITY,
    ("acc", "m/s2"): 1.0,
    ("gyro", "rad/s"): float(np.pi / 180),
    ("gyro", "deg/s"): 1.0,
}


@dataclass(frozen=True, eq=False)
class Page:
    """A page and what is in it.

    Attributes:
        html: the file.
        module: WebAssembly, with the exports ``FUNCTIONS``, ``VARIABLES`` and ``memory``.
        decision: layout of ``har_decision``.
    """

    html: bytes
    module: bytes
    decision: np.dtype[Any]


def write_page(
    manifest: Manifest,
    firmware: Mapping[str, bytes],
    samples: NDArray[np.float32],
    logits: Sequence[NDArray[np.int8]],
) -> Page:
    """Return the page of a bundle.

    Args:
        manifest: channels, rate, heads.
        firmware: the bundle's C sources, contents by name.
        samples: ``[T, C]`` raw samples to replay, at the bundle's rate.
        logits: ``[N, K]`` of each head, which the page has to find in them.

    Raises:
        UnsupportedOpError: the network gives an embedding.
        MissingExtraError: the package ``ziglang`` is not installed.
        EngineError: the compiler refuses the sources.
    """
    if manifest.embedding is not None:
        raise UnsupportedOpError("target 'web' cannot show an embedding; it shows heads alone")
    sources = {name: data for name, data in firmware.items() if name.endswith((".c", ".h")) and name != EXAMPLE}
    path = wasm_module({**sources, MAIN: _file(MAIN)}, [*FUNCTIONS, *VARIABLES], what="target 'web'")
    module, decision = path.read_bytes(), decision_type(manifest.heads)
    data = {
        "module": _base64(module),
        "rate_hz": manifest.rate_hz,
        "channels": [_channel(each) for each in manifest.channels],
        "heads": [_head(each, i, decision) for i, each in enumerate(manifest.heads)],
        "event_labels": list(manifest.event_labels),
        "event": {name: _field(EVENT, name)[1] for name in ("kind", "label", "start_ms")},
        "samples": _base64(np.ascontiguousarray(samples, "<f4").tobytes()),
        "logits": [_base64(np.ascontiguousarray(each, np.int8).tobytes()) for each in logits],
    }
    words = {
        "title": html.escape(manifest.name),
        "licence": html.escape(manifest.fact("licence.data")),
        "style": _file("page.css").decode(),
        "data": json.dumps(data).replace("<", "\\u003c"),
        "script": _file("page.js").decode(),
    }
    text = _file("page.html").decode()
    for name, word in words.items():
        text = text.replace(f"@{name}@", word)
    return Page(text.encode(), module, decision)


def _channel(channel: Channel) -> dict[str, Any]:
    """How the page gets it: from which sensor, along which axis, times what; no sensor where browsers have none."""
    factor = FACTORS.get((channel.sensor, channel.unit))
    sensor = None if factor is None else channel.sensor
    return {"name": channel.name, "unit": channel.unit, "sensor": sensor, "axis": channel.name[-1], "factor": factor}


def _head(head: Head, index: int, decision: np.dtype[Any]) -> dict[str, Any]:
    """Its labels, and where in a decision its probabilities and logits begin."""
    kind, begin = _field(decision, f"head_{index}")
    places = {name: begin + _field(kind, name)[1] for name in ("probability", "logits")}
    return {"name": head.name, "labels": list(head.labels), **places}


def _field(struct: np.dtype[Any], name: str) -> tuple[np.dtype[Any], int]:
    """Type and offset of a member."""
    assert struct.fields is not None
    return struct.fields[name][0], struct.fields[name][1]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _file(name: str) -> bytes:
    return resources.files(__package__).joinpath(name).read_bytes()
