"""From a trained network's ONNX to a verified bundle: convert, verify on every held-out window, describe, write."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.bundle import Bundle, DecisionSpec, Head, Manifest, dump_npz, write_bundle
from edgehar.errors import ExportError, UsageError
from edgehar.recording import UNLABELLED, Recording
from edgehar.signal import FrontEnd, QuantParams, sliding_windows, window_labels
from firmware_export.convert import Converted, convert
from firmware_export.model_card import model_card
from firmware_export.reference import run
from firmware_export.verify import VerificationReport, verify

GOLDEN_WINDOWS = 32
NO_SMOOTHING = DecisionSpec()  # averaging costs up to a point of window accuracy
TARGET_FILES = {
    "tflite": ("model_f32.tflite", "model_i8.tflite"),
    "onnx": ("model_f32.onnx", "model_i8.onnx"),
}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One held-out recording as the exporter needs it.

    Attributes:
        recording: raw samples.
        labels: ``[T]`` int16 index into the classes, -1 elsewhere.
        baseline_logits: ``[N, K]`` float32 of the full-precision model for windows at 0, hop, ...
    """

    recording: Recording
    labels: NDArray[np.int16]
    baseline_logits: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ExportPlan:
    """Everything an export is made of.

    Attributes:
        name: of the bundle.
        onnx: the float network, features ``[1, window, F]`` to logits ``[1, K]``.
        front_end: fitted.
        window, hop: in samples.
        classes: label of each logit.
        calibration: ``[N, window, F]`` float32 features of training windows.
        held_out: recordings nobody trained on.
        baseline: ``baseline.json`` and ``baseline.npz`` as bytes.
        model: name, total_stride and whatever else describes the architecture.
        provenance: config, seed, data, packages, command.
        licence: of data and model.
        recipe: how to quantize.
        decision: smoothing and debounce on the device.
        targets: which formats go into the bundle.
        slim: leave out the float files and the baseline's logits (what ships inside a package).
    """

    name: str
    onnx: bytes
    front_end: FrontEnd
    window: int
    hop: int
    classes: tuple[str, ...]
    calibration: NDArray[np.float32]
    held_out: Sequence[HeldOut]
    baseline: Mapping[str, bytes]
    model: Mapping[str, Any]
    provenance: Mapping[str, Any]
    licence: Mapping[str, str]
    recipe: str = "static_wi8_ai8"
    decision: DecisionSpec = NO_SMOOTHING
    targets: tuple[str, ...] = ("tflite", "onnx")
    slim: bool = False


@dataclass(frozen=True, eq=False)
class Exported:
    """The written bundle with the evidence for it; ``timings_s`` are the seconds of each stage after the ONNX."""

    bundle: Bundle
    converted: Converted
    verification: VerificationReport
    timings_s: Mapping[str, float]


def export_bundle(plan: ExportPlan, out: Path, say: Callable[[str], None] = lambda _: None) -> Exported:
    """Convert, verify on every held-out window, and write the bundle ``out``.

    Args:
        plan: what to export.
        out: the bundle folder; an older bundle there is replaced, anything else is refused.
        say: told what is being done, for a progress line.

    Raises:
        VerificationError: engines disagree by more than their bound; nothing is written.
        UnsupportedOpError: the network has an operator that cannot be exported.
        UsageError: an unknown target, or ``out`` is not a bundle.
    """
    _check(plan, out)
    say("converting")
    begin = time.perf_counter()
    converted = convert(plan.onnx, plan.calibration, plan.recipe)
    windows = [_device_windows(plan, item, converted.input_quant) for item in plan.held_out]
    say(f"verifying {sum(map(len, windows)):,} held-out windows on five engines")
    every_window = np.concatenate(windows)
    files = converted.files
    outputs = run(converted.integers, every_window)
    report = verify(converted.integers, files["model_i8.tflite"], files["model_i8.onnx"], every_window, outputs)
    verified = time.perf_counter()
    say("writing the bundle")
    head = Head("activity", "multiclass", plan.classes, converted.output_quants[0])
    accuracy = _int8_scores(plan, outputs[0])
    manifest = Manifest(
        name=plan.name,
        rate_hz=plan.held_out[0].recording.rate_hz,
        channels=plan.held_out[0].recording.channels,
        window=plan.window,
        hop=plan.hop,
        front_end=plan.front_end,
        input=converted.input_quant,
        heads=(head,),
        decision=plan.decision,
        recipe=plan.recipe,
        # No op of the graph keeps state between windows yet; one that does changes this.
        model={**plan.model, "parameters": converted.parameters, "macs": converted.macs, "stateful": False},
        provenance={**plan.provenance, "verification": {**report.to_dict(), **accuracy}},
        licence=plan.licence,
    )
    files = {n: converted.files[n] for target in plan.targets for n in TARGET_FILES[target]}
    files |= plan.baseline
    if plan.slim:
        files = {n: data for n, data in files.items() if "_f32" not in n}
        files["baseline.npz"] = _without_logits(plan)
    files["golden.npz"] = _golden(plan, converted)
    sizes = {name: len(data) for name, data in files.items()}
    files["MODEL_CARD.md"] = model_card(manifest, sizes, json.loads(files["baseline.json"])).encode()
    bundle = write_bundle(out, manifest, files)
    timings = {
        **converted.timings_s,
        "verify": verified - begin - sum(converted.timings_s.values()),
        "write": time.perf_counter() - verified,
        "total": time.perf_counter() - begin,
    }
    return Exported(bundle, converted, report, timings)


def _check(plan: ExportPlan, out: Path) -> None:
    unknown = [t for t in plan.targets if t not in TARGET_FILES]
    if unknown or not plan.targets:
        raise UsageError(f"target {', '.join(unknown) or '(none)'} is not known; there are {', '.join(TARGET_FILES)}")
    if out.exists() and not (out / "manifest.json").is_file():
        raise UsageError(f"{out}: exists and is not a bundle; choose another --out, nothing was written")
    if not plan.held_out:
        raise ExportError("there are no held-out recordings to verify on; name test_subjects in the training's config")


def _device_windows(plan: ExportPlan, item: HeldOut, quant: QuantParams) -> NDArray[np.int8]:
    """All windows of a recording as the device would hold them, ``[N, window, F]`` int8."""
    features = plan.front_end.run(item.recording.samples)
    return sliding_windows(quant.quantize(features), plan.window, plan.hop)


def _window_truth(plan: ExportPlan, item: HeldOut) -> NDArray[np.int16]:
    return window_labels(item.labels, plan.window, plan.hop)


def _int8_scores(plan: ExportPlan, outputs: NDArray[np.int8]) -> dict[str, Any]:
    """Accuracy of the integer network on the scored windows, and its agreement with the baseline."""
    truth = np.concatenate([_window_truth(plan, item) for item in plan.held_out])
    decided = outputs.argmax(axis=1)
    baseline = np.concatenate([item.baseline_logits for item in plan.held_out]).argmax(axis=1)
    scored = truth != UNLABELLED
    truth, decided, baseline = truth[scored], decided[scored], baseline[scored]
    f1 = []
    for label in np.unique(truth):
        hits = np.sum((truth == label) & (decided == label))
        f1.append(2 * hits / (np.sum(truth == label) + np.sum(decided == label)))
    return {
        "scored_windows": len(truth),
        "int8_accuracy": float(np.mean(truth == decided)),
        "int8_macro_f1": float(np.mean(f1)),
        "agreement_with_baseline": float(np.mean(decided == baseline)),
    }


def _without_logits(plan: ExportPlan) -> bytes:
    labels = {f"labels/{i.recording.name}": i.baseline_logits.argmax(axis=1).astype(np.int8) for i in plan.held_out}
    return dump_npz(**labels)


def _golden(plan: ExportPlan, converted: Converted) -> bytes:
    """``golden.npz``: a stretch of held-out stream from raw samples to integer outputs, for any engine to reproduce.

    The stretch with the most activities is taken; the front end starts from reset at its first sample.
    """
    length = plan.window + (GOLDEN_WINDOWS - 1) * plan.hop
    item, start = max(_stretches(plan, length), key=lambda place: _activities(place[0].labels, place[1], length))
    stretch = item.recording.cut(start, start + length)
    features = plan.front_end.run(stretch.samples)
    quantized = sliding_windows(converted.input_quant.quantize(features), plan.window, plan.hop)
    meta = {"recording": item.recording.name, "subject": item.recording.subject, "start_sample": start}
    meta["dataset"] = plan.provenance["data"]["dataset"]
    return dump_npz(
        stream_samples=stretch.samples,
        stream_labels=item.labels[start : start + length],
        stream_windows=quantized,
        stream_outputs=run(converted.integers, quantized)[0],
        stream_logits=run(converted.float_graph, sliding_windows(features, plan.window, plan.hop))[0],
        meta=np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8),
    )


def _stretches(plan: ExportPlan, length: int) -> Iterator[tuple[HeldOut, int]]:
    for item in plan.held_out:
        for start in range(0, max(1, len(item.labels) - length + 1), plan.hop):
            yield item, start


def _activities(labels: NDArray[np.int16], start: int, length: int) -> int:
    return len(set(np.unique(labels[start : start + length]).tolist()) - {UNLABELLED})
