"""What the full-precision model decided on the same windows, from the bundle; through the same decision stage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions import Labelling, softmax
from device_sim.sources import GOLDEN, golden_arrays, golden_recording, stream_of
from edgehar.bundle import Bundle
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import BundleError
from edgehar.heads import decide

BASELINE_JSON = "baseline.json"
BASELINE_NPZ = "baseline.npz"


@dataclass(frozen=True)
class Baseline:
    """Full-precision labels (and logits where kept) of the held-out recordings and of the golden stream.

    Attributes:
        device: where they were computed.
        labels: ``[N]`` of each recording, windows at 0, hop, 2 hop, ...
        logits: ``[N, K]`` float32 of each recording that has them.
        decision: of the device, which the baseline goes through too: the drop is quantization alone.
        classes: K.
        enrolled: labels that the device has and the baseline has not, between the head's and those for rejections.
        others: answers ``[N, W]`` of each recording, of each head after the first.
    """

    device: str
    labels: dict[str, NDArray[np.integer[Any]]]
    logits: dict[str, NDArray[np.float32]]
    decision: DecisionSpec
    classes: int
    enrolled: int = 0
    others: tuple[dict[str, NDArray[np.integer[Any]]], ...] = ()

    def decisions(self, recording: str, windows: int) -> NDArray[np.int16] | None:
        """Return labels ``[windows]`` of the first windows of ``recording``; None if it was not in the held-out set.

        They went through the device's decision stage where it is said that they can (:meth:`smooths`).
        """
        labels = self.labels.get(recording)
        if labels is None or len(labels) < windows:
            return None
        logits, spec = self.logits.get(recording), self.decision
        if not self.smooths(recording) or (spec.smoothing == "none" and not (spec.hysteresis or spec.rejections)):
            return labels[:windows].astype(np.int16)
        votes = np.eye(self.classes)[labels[:windows]]
        outputs = votes if logits is None else logits[:windows]
        probabilities = votes if logits is None else softmax(outputs, spec.temperature)
        found = Labelling(spec, self.classes).update(probabilities, outputs)[0]
        return np.where(found < self.classes, found, found + np.int16(self.enrolled))

    def smooths(self, recording: str) -> bool:
        """Return whether :meth:`decisions` are smoothed as the device's are.

        Votes of 1 for a window's label can be averaged; they are no evidence for a filter, nor for how sure a
        window is.
        """
        return recording in self.logits or (self.decision.smoothing != "hmm" and not self.decision.rejections)

    def answers(self, head: int, recording: str, windows: int) -> NDArray[np.int16] | None:
        """Return answers ``[windows, W]`` of a head after the first (1, 2, ...), None where there are none."""
        found = self.others[head - 1].get(recording)
        return None if found is None or len(found) < windows else found[:windows].astype(np.int16)


def read_baseline(bundle: Bundle) -> Baseline | None:
    """Return the bundle's baseline, None when it carries none.

    Raises:
        BundleError: it is malformed.
    """
    files = bundle.manifest.files
    if BASELINE_JSON not in files or BASELINE_NPZ not in files:
        return None
    classes = len(bundle.manifest.heads[0].labels)
    try:
        device = str(json.loads(bundle.read(BASELINE_JSON).decode("utf-8"))["device"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{bundle.path / BASELINE_JSON}: is malformed ({error!r}); export the model again") from None
    arrays = bundle.arrays(BASELINE_NPZ)
    labels = {name.removeprefix("labels/"): a for name, a in arrays.items() if name.startswith("labels/")}
    logits = {name.removeprefix("logits/"): a for name, a in arrays.items() if name.startswith("logits/")}
    for name, array in labels.items():
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer) or _outside(array, classes):
            raise BundleError(
                f"{bundle.path / BASELINE_NPZ}: labels/{name} is {array.dtype} {array.shape}, expected label indices "
                f"0..{classes - 1} a window; export the model again"
            )
        if name in logits and logits[name].shape != (len(array), classes):
            raise BundleError(
                f"{bundle.path / BASELINE_NPZ}: logits/{name} has shape {logits[name].shape}, expected "
                f"{(len(array), classes)}; export the model again"
            )
    others = tuple(_answers(bundle, arrays, i) for i in range(1, len(bundle.manifest.heads)))
    if GOLDEN in files:
        name, golden = golden_recording(bundle).name, golden_arrays(bundle)
        labels[name], logits[name] = golden["stream_logits"].argmax(axis=1), golden["stream_logits"]
        for i, answers in enumerate(others, start=1):
            answers[name] = decide(bundle.manifest.heads[i].kind, stream_of(golden, "logits", i))
    enrolled = len(bundle.manifest.announced.labels) - classes
    return Baseline(device, labels, logits, bundle.manifest.decision, classes, enrolled, others)


def _answers(bundle: Bundle, arrays: Mapping[str, NDArray[Any]], head: int) -> dict[str, NDArray[np.integer[Any]]]:
    """Answers of a head after the first, from ``labels_1/RECORDING`` and so on."""
    task, prefix = bundle.manifest.heads[head].task, f"labels_{head}/"
    found = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    values = len(task.labels) if task.kind == "multiclass" else 2
    for name, array in found.items():
        if array.ndim != 2 or array.shape[1] != task.columns or _outside(array, values):
            raise BundleError(
                f"{bundle.path / BASELINE_NPZ}: {prefix}{name} is {array.dtype} {array.shape}, expected [N, "
                f"{task.columns}] answers 0..{values - 1} of head {task.name!r}; export the model again"
            )
    return found


def _outside(labels: NDArray[Any], classes: int) -> bool:
    return bool(len(labels)) and not 0 <= int(labels.min()) <= int(labels.max()) < classes
