"""What the simulator costs on top of the bare interpreter: ``python tools/bench/simulator.py BUNDLE``.

Streams the bundle's golden samples, repeated to ``--windows`` windows, in one process and interleaved:

- bare: ``set_tensor``, ``invoke``, ``get_tensor`` over the finished int8 windows, LiteRT as the default engine has it
- run: ``Device.run`` with telemetry, as ``edgehar simulate`` does: front end, ring, engine, decisions, events
- push: ``Device.push`` sample by sample with telemetry

and prints the median of the ratios to bare of ``--repeats`` rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from device_sim.device import Device
from device_sim.engines import open_engine
from device_sim.engines.protocol import native_stderr_captured
from device_sim.sources import golden_recording
from device_sim.telemetry import Telemetry
from edgehar.bundle import Bundle
from edgehar.errors import EdgeharError
from edgehar.files import write_atomic
from edgehar.signal import sliding_windows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="folder NAME.edgehar, or zoo:NAME")
    parser.add_argument("--windows", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    try:
        figures = measure(Bundle.open(options.bundle), options.windows, options.repeats)
    except EdgeharError as error:
        print(f"edgehar: error: {error}", file=sys.stderr)
        return error.exit_code
    for name, value in figures.items():
        print(f"{name:24} {value:12.3f}")
    if options.json is not None:
        write_atomic(options.json, (json.dumps(figures, indent=1) + "\n").encode())
    return 0


def measure(bundle: Bundle, windows: int, repeats: int) -> dict[str, float]:
    """Return µs a window of each way, ratios to bare, and multiples of real time."""
    manifest = bundle.manifest
    samples = golden_recording(bundle).samples
    wanted = manifest.window + (windows - 1) * manifest.hop
    samples = np.tile(samples, (-(-wanted // len(samples)), 1))[:wanted]
    features = manifest.input.quantize(manifest.front_end.run(samples))
    offline = [np.ascontiguousarray(w)[None] for w in sliding_windows(features, manifest.window, manifest.hop)]

    with native_stderr_captured():
        interpreter = Interpreter(model_content=bundle.read("model_i8.tflite"), num_threads=1)
        interpreter.allocate_tensors()
    at_input = interpreter.get_input_details()[0]["index"]
    at_output = interpreter.get_output_details()[0]["index"]
    device = Device(
        bundle, open_engine("litert", bundle), Telemetry(1 / manifest.rate_hz, manifest.hop / manifest.rate_hz)
    )

    def bare() -> list[object]:
        outputs: list[object] = []
        for window in offline:
            interpreter.set_tensor(at_input, window)
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(at_output))
        return outputs

    def run() -> list[object]:
        device.reset()
        return [decision.outputs for decision in device.run(samples)]

    def push() -> list[object]:
        device.reset()
        return [d.outputs for sample in samples if (d := device.push(sample)) is not None]

    ways: dict[str, Callable[[], list[object]]] = {"bare": bare, "run": run, "push": push}
    expected = np.array(bare()).reshape(len(offline), -1)
    for name, way in ways.items():
        if not np.array_equal(np.array(way()).reshape(expected.shape), expected):
            raise SystemExit(f"{name} gives other logits than the bare interpreter")
    rounds = [{name: _seconds(way) for name, way in ways.items()} for _ in range(repeats)]
    figures = {
        f"{name}_us_per_window": 1e6 * statistics.median(r[name] for r in rounds) / len(offline) for name in ways
    }
    for name in ("run", "push"):
        figures[f"{name}_ratio"] = statistics.median(r[name] / r["bare"] for r in rounds)
        figures[f"{name}_x_real_time"] = len(samples) / manifest.rate_hz / statistics.median(r[name] for r in rounds)
    return figures


def _seconds(way: Callable[[], list[object]]) -> float:
    begin = time.perf_counter()
    way()
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
