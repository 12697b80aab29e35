"""Give bundles that were exported without them the C sources of their pipeline, verified as the export would have.

    python tools/add_firmware.py edgehar/zoo/*.edgehar

The network is the one in the bundle's own ``model_i8.tflite``. Every window of the held-out people goes through the
compiled firmware, sample by sample, and through the numpy reference; a bit that differs leaves the bundle as it was.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from device_sim.sources import golden_arrays, stream_of
from edgehar.bundle import Bundle, write_bundle
from edgehar.c_pipeline import FOLDER, is_streaming
from edgehar.cli.networks import integers_of
from edgehar.datasets import load_dataset
from edgehar.datasets.splits import select
from edgehar.references import find_references
from edgehar.signal import input_tensors, sliding_windows
from firmware_export.model_card import model_card
from firmware_export.reference import run
from firmware_export.targets.c import write_firmware
from firmware_export.verify_firmware import verify_firmware

ENGINE = "c_native"


def add_firmware(bundle: Bundle) -> Bundle:
    manifest = bundle.manifest
    data = manifest.provenance["data"]
    recordings = select(load_dataset(data["dataset"]), data["test_subjects"])
    parts = []
    for recording in recordings:
        features = manifest.front_end.run(recording.samples)
        tensors = input_tensors(manifest.inputs, sliding_windows(features, manifest.window, manifest.hop))
        parts.append([each.quant.quantize(x) for each, x in zip(manifest.inputs, tensors, strict=True)])
    windows = tuple(map(np.concatenate, zip(*parts, strict=True)))
    integers = integers_of(bundle)
    golden = golden_arrays(bundle)
    stream = tuple(stream_of(golden, "windows", i) for i in range(len(manifest.inputs)))
    expected = [stream_of(golden, "outputs", i) for i in range(len(manifest.outputs))]
    if not all(map(np.array_equal, run(integers, stream), expected)):
        raise SystemExit(f"{bundle.path}: the network read back does not give the golden outputs; nothing was written")
    origin = (
        f"{manifest.name}, made by: {manifest.provenance['command']}; SHA-256 of the bundle before: {bundle.sha256}"
    )
    known, streaming = find_references(bundle), is_streaming(bundle)
    firmware = write_firmware(manifest, integers, origin, references=known, streaming=streaming).files
    report = verify_firmware(firmware, manifest, [r.samples for r in recordings], windows, run(integers, windows))
    evidence = manifest.provenance["verification"]
    engines = [row for row in evidence["engines"] if row["engine"] != ENGINE]
    verification = {**evidence, "engines": [*engines, asdict(report)]}
    manifest = replace(manifest, provenance={**manifest.provenance, "verification": verification})
    files = {name: bundle.read(name) for name in manifest.files if not name.startswith(FOLDER)}
    files |= {FOLDER + name: content for name, content in firmware.items()}
    sizes = {name: len(content) for name, content in files.items() if name != "MODEL_CARD.md"}
    files["MODEL_CARD.md"] = model_card(manifest, sizes, json.loads(files["baseline.json"])).encode()
    print(f"{bundle.path.name}: {report.windows:,} windows, {report.max_lsb} steps apart at most")
    return write_bundle(bundle.path, manifest, files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    for path in parser.parse_args().bundles:
        add_firmware(Bundle.open(path))


if __name__ == "__main__":
    main()
