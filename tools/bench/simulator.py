"""What the simulator costs on top of the bare interpreter: ``python tools/bench/simulator.py BUNDLE``.

On the bundle's held-out recordings (its golden stream where their data set is missing), in one process, interleaved:

- bare: ``set_tensor``, ``invoke``, ``get_tensor`` over the finished int8 windows, LiteRT as the default engine has it
- simulate: ``device_sim.simulate`` as ``edgehar simulate`` calls it: front end, ring, engine, decisions, events, scores
- push: ``Device.push`` sample by sample with telemetry, on the first recording

and prints medians and the median of the ratios to bare of ``--repeats`` rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from device_sim.device import Device
from device_sim.engines import open_engine
from device_sim.engines.protocol import native_stderr_captured
from device_sim.simulate import simulate
from device_sim.telemetry import Telemetry
from edgehar.bundle import Bundle
from edgehar.cli.held_out import choose_recordings
from edgehar.errors import EdgeharError
from edgehar.files import write_json
from edgehar.signal import sliding_windows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="folder NAME.edgehar, or zoo:NAME")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    try:
        figures = measure(Bundle.open(options.bundle), options.repeats)
    except EdgeharError as error:
        print(f"edgehar: error: {error}", file=sys.stderr)
        return error.exit_code
    for name, value in figures.items():
        print(f"{name:28} {value:12.3f}")
    if options.json is not None:
        write_json(options.json, figures)
    return 0


def measure(bundle: Bundle, repeats: int) -> dict[str, float]:
    """Return µs a window of each way, ratios to bare, and multiples of real time."""
    manifest = bundle.manifest
    recordings, _ = choose_recordings(bundle, [], [])
    windows = []
    for recording in recordings:
        series = sliding_windows(manifest.front_end.run(recording.samples), manifest.window, manifest.hop)
        tensors = [each.quant.quantize(each.tensor(series)) for each in manifest.inputs]
        windows += [[np.ascontiguousarray(x)[None] for x in window] for window in zip(*tensors, strict=True)]
    with native_stderr_captured():
        interpreter = Interpreter(model_content=bundle.read("model_i8.tflite"), num_threads=1)
        interpreter.allocate_tensors()
    at_inputs = [details["index"] for details in interpreter.get_input_details()]
    at_output = interpreter.get_output_details()[0]["index"]
    first = recordings[0].samples
    telemetry = Telemetry(1 / manifest.rate_hz, manifest.hop / manifest.rate_hz)
    device = Device(bundle, open_engine("litert", bundle), telemetry)

    def bare() -> np.ndarray:
        outputs = []
        for window in windows:
            for index, array in zip(at_inputs, window, strict=True):
                interpreter.set_tensor(index, array)
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(at_output))
        return np.concatenate(outputs)

    def push() -> float:
        device.reset()
        begin = time.perf_counter()
        for sample in first:
            device.push(sample)
        return time.perf_counter() - begin

    streamed = np.concatenate([trace.outputs for trace in simulate(bundle, recordings).traces])
    if not np.array_equal(streamed, bare()):
        raise SystemExit("the simulated device gives other logits than the bare interpreter")
    rounds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        bare()
        bare_s = time.perf_counter() - begin
        rounds.append((bare_s, simulate(bundle, recordings).summary["wall_s"], push()))
    seconds = sum(len(r.samples) for r in recordings) / manifest.rate_hz
    bare_us, simulate_us = (
        1e6 * statistics.median(column) / len(windows) for column in list(zip(*rounds, strict=True))[:2]
    )
    push_s = statistics.median(r[2] for r in rounds)
    pushed = len(first) / manifest.rate_hz
    share = pushed / seconds
    return {
        "windows": len(windows),
        "bare_us_per_window": bare_us,
        "simulate_us_per_window": simulate_us,
        "simulate_ratio": statistics.median(r[1] / r[0] for r in rounds),
        "simulate_x_real_time": seconds / statistics.median(r[1] for r in rounds),
        "push_ratio": statistics.median(r[2] / (r[0] * share) for r in rounds),
        "push_x_real_time": pushed / push_s,
    }


if __name__ == "__main__":
    sys.exit(main())
