"""From a trained network's ONNX to a verified bundle: convert, verify on held-out windows, describe, write."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.arrays import dump_npz
from edgehar.bundle import REFERENCES, Bundle, assemble
from edgehar.c_pipeline import FOLDER
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import ExportError, UsageError
from edgehar.files import sha256_bytes
from edgehar.heads import Task, decide, label_sources, sample_truth, score_head, share_alike, window_truth
from edgehar.manifest import Embedding, Head, Manifest, ModelInput
from edgehar.precision import Precision
from edgehar.recording import Recording
from edgehar.references import References
from edgehar.signal import FrontEnd, NetworkInput, QuantParams, input_tensors, sliding_windows
from firmware_export.convert import Converted, convert
from firmware_export.model_card import model_card
from firmware_export.ops import is_stateful
from firmware_export.reference import run
from firmware_export.targets.c import Optimize, write_firmware
from firmware_export.targets.c.streaming import Stream, stream
from firmware_export.verify import VerificationReport, verified_every
from firmware_export.verify_firmware import verify_firmware
from firmware_export.verify_real import RealVerification

GOLDEN_WINDOWS = 32
EMBEDDING = "embedding"
NO_SMOOTHING = DecisionSpec()  # averaging costs up to a point of window accuracy
TARGETS = ("tflite", "onnx", "c")  # extensions of their files; c is firmware/, which holds more than the network


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One held-out recording as the exporter needs it.

    Attributes:
        recording: raw samples and the data set's own labels.
        baseline_logits: ``[N, K]`` float32 of each output of the full-precision model for windows at 0, hop, ...
    """

    recording: Recording
    baseline_logits: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, eq=False)
class ReferenceWindows:
    """Windows of activities that the network knows.

    Attributes:
        tensors: ``[N, ...]`` float32 of each input.
        people: ``[N]`` whose window it is, of at least two people.
    """

    tensors: tuple[NDArray[np.float32], ...]
    people: NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class ExportPlan:
    """Everything an export is made of.

    Attributes:
        name: of the bundle.
        onnx: the float network, ``[1, window, C]`` of each input to logits ``[1, K]``, one output a head; of the other
            converter a ``.tflite``.
        front_end: fitted.
        inputs: which front-end columns each input gets, in the order of the inputs.
        window, hop: in samples.
        tasks: what each head is asked, in the order of the outputs; the first is multiclass.
        calibration: ``[N, window, C]`` float32 of each input for training windows.
        held_out: recordings nobody trained on.
        baseline: ``baseline.json`` and ``baseline.npz`` as bytes.
        model: name, total_stride and whatever else describes the architecture.
        provenance: config, seed, data, packages, command.
        licence: of data and model.
        recipe: how to quantize.
        decision: smoothing and debounce on the device.
        targets: which formats go into the bundle.
        optimize: what the C kernels are chosen for.
        streaming: the C network computes only the columns that a hop brings.
        embedding: name of the network's last output where that is an embedding and not a head's logits.
        references: known windows to enrol against, of people that the network or its settings were fitted on.
        slim: leave out the float files and the baseline's logits (what ships inside a package).
    """

    name: str
    onnx: bytes
    front_end: FrontEnd
    inputs: tuple[NetworkInput, ...]
    window: int
    hop: int
    tasks: tuple[Task, ...]
    calibration: tuple[NDArray[np.float32], ...]
    held_out: Sequence[HeldOut]
    baseline: Mapping[str, bytes]
    model: Mapping[str, Any]
    provenance: Mapping[str, Any]
    licence: Mapping[str, str]
    recipe: str = "static_wi8_ai8"
    decision: DecisionSpec = NO_SMOOTHING
    targets: tuple[str, ...] = ("tflite", "onnx")
    optimize: Optimize = Optimize.SPEED
    streaming: bool = False
    embedding: str = ""
    references: ReferenceWindows | None = None
    slim: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of each output: its head's, or ``embedding``, which is compared by the signs of its numbers."""
        return (*(task.kind for task in self.tasks), *([EMBEDDING] if self.embedding else []))


@dataclass(frozen=True, eq=False)
class Exported:
    """The bundle, unwritten, with the evidence for it; ``timings_s`` are the seconds of each stage after the ONNX."""

    bundle: Bundle
    converted: Converted
    verification: VerificationReport | RealVerification
    timings_s: Mapping[str, float]


def export_bundle(plan: ExportPlan, out: Path, say: Callable[[str], None] = lambda _: None) -> Exported:
    """Convert, verify on the held-out windows, and return the bundle that is to be written to ``out``.

    Every held-out window is verified; of a network with an LSTM an even share (``firmware_export.verify``).

    Args:
        plan: what to export.
        out: the bundle folder; anything else than an older bundle there is refused.
        say: told what is being done, for a progress line.

    Raises:
        VerificationError: engines disagree by more than their bound.
        UnsupportedOpError: the network has an operator that cannot be exported, or does not stream though it is to.
        UsageError: an unknown target, ``out`` is not a bundle, or the hop does not stream.
    """
    _check(plan, out)
    say("converting")
    begin = time.perf_counter()
    converted = convert(plan.onnx, plan.calibration, plan.recipe)
    if plan.streaming:
        stream(converted.integers, plan.window, plan.hop)  # refused before the long work rather than after it
    windows = [device_tensors(plan, item.recording, converted.input_quants) for item in plan.held_out]
    every_window = tuple(map(np.concatenate, zip(*windows, strict=True)))
    count = len(every_window[0])
    say(f"verifying {-(-count // verified_every(converted.graph, count)):,} held-out windows in every engine")
    outputs = converted.run(every_window)
    report = converted.verify(every_window, outputs, plan.kinds)
    verified = time.perf_counter()
    say("putting the bundle together")
    heads = tuple(
        Head(task.name, task.kind, task.labels, quant, task.groups, task.purity)
        for task, quant in zip(plan.tasks, converted.output_quants, strict=False)  # the embedding's comes after them
    )
    scores = _device_scores(plan, heads, outputs, converted.precision)
    manifest = Manifest(
        name=plan.name,
        rate_hz=plan.held_out[0].recording.rate_hz,
        channels=plan.held_out[0].recording.channels,
        window=plan.window,
        hop=plan.hop,
        front_end=plan.front_end,
        inputs=tuple(
            ModelInput(**vars(each), quant=quant)
            for each, quant in zip(plan.inputs, converted.input_quants, strict=True)
        ),
        heads=heads,
        decision=plan.decision,
        recipe=plan.recipe,
        model={
            **plan.model,
            "parameters": converted.parameters,
            "macs": converted.macs,
            "stateful": is_stateful(converted.graph),
        },
        provenance={**plan.provenance, "verification": {**report.to_dict(), **scores, **_mixed(converted)}},
        licence=plan.licence,
        embedding=_embedding(plan, converted),
    )
    wanted = [Precision.FLOAT32, converted.precision] if not plan.slim else [converted.precision]
    names = [precision.model_file(target) for target in plan.targets for precision in wanted]
    files = {name: converted.files[name] for name in names if name in converted.files}
    references = None if plan.references is None else _reference_embeddings(plan.references, converted)
    if "c" in plan.targets:
        say("compiling and verifying the firmware")
        firmware = write_firmware(
            manifest, converted.graph, _origin(plan), plan.optimize, references, streaming=plan.streaming
        )
        samples = [item.recording.samples for item in plan.held_out]
        row = asdict(verify_firmware(firmware.files, manifest, samples, every_window, outputs))
        evidence = {**_with_engine(manifest.provenance["verification"], row), **_streaming(firmware.stream)}
        manifest = replace(manifest, provenance={**manifest.provenance, "verification": evidence})
        files |= {FOLDER + name: data for name, data in firmware.files.items()}
    files |= plan.baseline
    if plan.slim:
        files["baseline.npz"] = _without_logits(plan)
    files["golden.npz"] = _golden(plan, converted)
    if references is not None:
        files[REFERENCES] = dump_npz(embeddings=references.embeddings, people=references.people)
    sizes = {name: len(data) for name, data in files.items()}
    files["MODEL_CARD.md"] = model_card(manifest, sizes, json.loads(files["baseline.json"])).encode()
    bundle = assemble(out, manifest, files)
    timings = {
        **converted.timings_s,
        "verify": verified - begin - sum(converted.timings_s.values()),
        "write": time.perf_counter() - verified,
        "total": time.perf_counter() - begin,
    }
    return Exported(bundle, converted, report, timings)


def _check(plan: ExportPlan, out: Path) -> None:
    unknown = [t for t in plan.targets if t not in TARGETS]
    if unknown or not plan.targets:
        raise UsageError(f"target {', '.join(unknown) or '(none)'} is not known; there are {', '.join(TARGETS)}")
    if out.exists() and not (out / "manifest.json").is_file():
        raise UsageError(f"{out}: exists and is not a bundle; choose another --out, nothing was written")
    if not plan.held_out:
        raise ExportError("there are no held-out recordings to verify on; name test_subjects in the training's config")


def _origin(plan: ExportPlan) -> str:
    """What the first lines of generated files say: how to make the network again, and which one it was."""
    command = f"{plan.provenance['command']}; edgehar export RUN --target c --recipe {plan.recipe}"
    if plan.hop != plan.provenance["config"].get("hop", plan.hop):
        command += f" --hop {plan.hop}"
    if plan.streaming:
        command += " --streaming"
    return f"{plan.name}, made by: {command}. SHA-256 of the float model: {sha256_bytes(plan.onnx)}"


def _with_engine(evidence: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """The verification with a further engine."""
    return {**evidence, "engines": [*evidence["engines"], row]}


def _streaming(hops: Stream | None) -> dict[str, Any]:
    """What of the network the firmware computes every hop; nothing where it computes whole windows."""
    if hops is None:
        return {}
    return {"streaming": {"macs": hops.macs, "window_macs": hops.window_macs, "rest": hops.rest}}


def _windows(plan: ExportPlan, recording: Recording) -> NDArray[np.float32]:
    """All windows of a recording after the front end, ``[N, window, F]``."""
    return sliding_windows(plan.front_end.run(recording.samples), plan.window, plan.hop)


def device_tensors(plan: ExportPlan, recording: Recording, quants: Sequence[QuantParams]) -> tuple[NDArray[Any], ...]:
    """Each input for all windows of a recording as the device would hold it, ``[N, window, C]`` in its format."""
    tensors = input_tensors(plan.inputs, _windows(plan, recording))
    return tuple(quant.quantize(x) for quant, x in zip(quants, tensors, strict=True))


def _device_scores(
    plan: ExportPlan, heads: tuple[Head, ...], outputs: tuple[NDArray[Any], ...], precision: Precision
) -> dict[str, Any]:
    """Scores of the device's network, and its agreement with the baseline: the first head's, and each one's if several.

    ``baseline_accuracy`` and ``baseline_macro_f1`` of each head stand beside its own, so that the card needs no more.
    """
    rows = []
    for i, (head, logits) in enumerate(zip(heads, outputs, strict=False)):
        truth = np.concatenate([_window_truth(plan, item, head.task) for item in plan.held_out])
        decided = decide(head.kind, logits, head.quant.zero_point)
        baseline = decide(head.kind, np.concatenate([item.baseline_logits[i] for item in plan.held_out]))
        scores, reference = score_head(head.task, truth, decided), score_head(head.task, truth, baseline)
        rows.append(
            {
                "name": head.name,
                "kind": head.kind,
                **scores.to_dict(),
                "baseline_accuracy": reference.accuracy,
                "baseline_macro_f1": reference.macro_f1,
                "agreement": share_alike(truth, decided, baseline),
            }
        )
    first = rows[0]
    return {
        "scored_windows": first["windows"],
        f"{precision.label}_accuracy": first["accuracy"],
        f"{precision.label}_macro_f1": first["macro_f1"],
        "agreement_with_baseline": first["agreement"],
        **({"heads": rows} if len(rows) > 1 else {}),
        **({"embedding_cosine": _cosine(plan, outputs[-1])} if plan.embedding else {}),
    }


def _mixed(converted: Converted) -> dict[str, Any]:
    """Which layers of a mixed recipe are int16, and why; nothing under other recipes."""
    return {} if converted.choice is None else {"mixed": converted.choice.to_dict()}


def _cosine(plan: ExportPlan, integers: NDArray[Any]) -> dict[str, float]:
    """Cosine of each held-out window's embedding on the device with that of the full-precision network."""
    found = integers.astype(np.float64)  # its zero point is 0
    real = np.concatenate([item.baseline_logits[-1] for item in plan.held_out]).astype(np.float64)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(real, axis=1)
    cosines = (found * real).sum(axis=1) / np.maximum(lengths, np.finfo(np.float64).tiny)
    return {"mean": float(cosines.mean()), "p1": float(np.percentile(cosines, 1)), "min": float(cosines.min())}


def _embedding(plan: ExportPlan, converted: Converted) -> Embedding | None:
    if not plan.embedding:
        return None
    *_, (_, width) = (converted.graph.values[name].shape for name in converted.graph.outputs)
    return Embedding(plan.embedding, width, converted.output_quants[-1])


def _reference_embeddings(references: ReferenceWindows, converted: Converted) -> References:
    """The device's embedding ``[N, E]`` of each window and whose it is."""
    given = zip(converted.input_quants, references.tensors, strict=True)
    *_, embeddings = converted.run(tuple(quant.quantize(x) for quant, x in given))
    return References(embeddings, references.people)


def _window_truth(plan: ExportPlan, item: HeldOut, task: Task) -> NDArray[np.int16]:
    labels, names = _labels(item.recording), item.recording.label_names
    return window_truth(task, labels, names, plan.window, plan.hop)


def _labels(recording: Recording) -> NDArray[np.int16]:
    if recording.labels is None:
        raise ExportError(f"recording {recording.name!r} has no labels; scoring the export needs one a sample")
    return recording.labels


def _without_logits(plan: ExportPlan) -> bytes:
    labels = {}
    for item in plan.held_out:
        for i, (task, logits) in enumerate(zip(plan.tasks, item.baseline_logits, strict=False)):
            decided = decide(task.kind, logits).astype(np.int8)
            labels[f"labels{_suffix(i)}/{item.recording.name}"] = decided if i else decided[:, 0]
    return dump_npz(**labels)


def _suffix(index: int) -> str:
    """What arrays of the second, third, ... head or input carry in their name: ``_1``, ``_2``; of the first nothing."""
    return f"_{index}" if index else ""


def _golden(plan: ExportPlan, converted: Converted) -> bytes:
    """``golden.npz``: a stretch of held-out stream from raw samples to raw outputs, for any engine to reproduce.

    The stretch with the most activities is taken; the front end starts from reset at its first sample. Where the
    heads' labels are not simply the data set's, its own labels travel along, so that every head can be scored.
    """
    length = plan.window + (GOLDEN_WINDOWS - 1) * plan.hop
    item, start = max(_stretches(plan, length), key=lambda place: _activities(plan, place[0], place[1], length))
    stretch = item.recording.cut(start, start + length)
    quantized = device_tensors(plan, stretch, converted.input_quants)
    meta: dict[str, Any] = {"recording": item.recording.name, "subject": item.recording.subject, "start_sample": start}
    meta["dataset"] = plan.provenance["data"]["dataset"]
    outputs = converted.run(quantized)
    logits = run(converted.float_graph, input_tensors(plan.inputs, _windows(plan, stretch)))
    arrays: dict[str, NDArray[Any]] = {f"stream_windows{_suffix(i)}": x for i, x in enumerate(quantized)}
    for i in range(len(outputs)):
        arrays[f"stream_outputs{_suffix(i)}"] = outputs[i]
        arrays[f"stream_logits{_suffix(i)}"] = logits[i]
    if len(plan.tasks) > 1 or not plan.tasks[0].is_plain:
        arrays["stream_source_labels"] = _labels(stretch)
        meta["label_names"] = list(stretch.label_names)
    return dump_npz(
        stream_samples=stretch.samples,
        stream_labels=_sample_classes(plan, stretch),
        meta=np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8),
        **arrays,
    )


def _sample_classes(plan: ExportPlan, recording: Recording) -> NDArray[np.int16]:
    """``[T]`` classes of the first head, -1 where unknown."""
    return sample_truth(plan.tasks[0], _labels(recording), recording.label_names)[:, 0]


def _stretches(plan: ExportPlan, length: int) -> Iterator[tuple[HeldOut, int]]:
    for item in plan.held_out:
        for start in range(0, max(1, len(item.recording.samples) - length + 1), plan.hop):
            yield item, start


def _activities(plan: ExportPlan, item: HeldOut, start: int, length: int) -> int:
    """How many activities a stretch holds that the heads know."""
    known = {i for i, name in enumerate(item.recording.label_names) if name in label_sources(plan.tasks)}
    found = np.unique(_labels(item.recording)[start : start + length]).tolist()
    return len(known & set(found))
