"""The full-precision model on the held-out recordings: what every device is compared with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgehar.arrays import dump_npz
from edgehar.files import write_atomic
from edgehar.heads import UNKNOWN, HeadScores, Task, decide, score_head
from edgehar.host import cpu_name
from edgehar.models.heads import outputs_of
from edgehar.recording import Recording
from edgehar.signal import FrontEnd, NetworkInput, input_tensors, sliding_windows
from edgehar.training.config import TrainConfig
from edgehar.training.metrics import Scores, score
from edgehar.training.windows import recording_truth

BATCH = 1024

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Baseline:
    """Full-precision results.

    Attributes:
        device: where they were computed, e.g. ``NVIDIA H200`` or a processor's name.
        tasks: what each head is asked.
        logits: recording name → ``[N, K]`` of each head, for all windows at 0, hop, 2 hop, ...; then the embedding
            ``[N, E]`` where the network has one.
        scores: of the first head, over the scored windows of all recordings.
        heads: of every head.
    """

    device: str
    tasks: tuple[Task, ...]
    logits: dict[str, tuple[F32, ...]]
    scores: Scores
    heads: tuple[HeadScores, ...]

    def metrics(self) -> dict[str, Any]:
        """Return the scores as plain JSON data: the first head's, and under ``heads`` each one's where several are."""
        return {**self.scores.to_dict(), **head_metrics(self.tasks, self.heads)}


def best_device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """Return the name people know the device by."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name()


@torch.inference_mode()
def predict(network: nn.Module, inputs: Sequence[F32], device: torch.device) -> tuple[F32, ...]:
    """Return every output ``[N, K]`` of the network for inputs ``[N, ...]``, in float32 without TF32."""
    chunks = []
    for start in range(0, len(inputs[0]), BATCH):
        part = (torch.from_numpy(np.ascontiguousarray(x[start : start + BATCH])).to(device) for x in inputs)
        chunks.append([y.cpu().numpy() for y in outputs_of(network, *part)])
    return tuple(np.concatenate(parts) for parts in zip(*chunks, strict=True))


def score_outputs(
    tasks: Sequence[Task], truth: Sequence[NDArray[np.int16]], logits: Sequence[F32]
) -> tuple[Scores, tuple[HeadScores, ...]]:
    """Return the scores of the first head, which is multiclass, and those of every head.

    Args:
        tasks: the heads.
        truth: ``[N, W]`` of each.
        logits: ``[N, K]`` of each; an embedding after them is not scored here.
    """
    decided = [decide(task.kind, values) for task, values in zip(tasks, logits, strict=False)]
    known = truth[0][:, 0] != UNKNOWN
    first = score(truth[0][known, 0], decided[0][known, 0], len(tasks[0].labels))
    return first, tuple(map(score_head, tasks, truth, decided))


def head_metrics(tasks: Sequence[Task], heads: Sequence[HeadScores]) -> dict[str, Any]:
    """Return ``{"heads": [...]}`` as plain JSON data, nothing where there is one head."""
    if len(tasks) == 1:
        return {}
    rows = [{"name": t.name, "kind": t.kind, **scores.to_dict()} for t, scores in zip(tasks, heads, strict=True)]
    return {"heads": rows}


def compute_baseline(
    network: nn.Module,
    front_end: FrontEnd,
    inputs: Sequence[NetworkInput],
    config: TrainConfig,
    recordings: Sequence[Recording],
) -> Baseline:
    """Run the network in full precision over every window of ``recordings`` on the best device present."""
    device = best_device()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    network = network.to(device).eval()
    logits, truth = {}, {}
    for recording in recordings:
        windows = sliding_windows(front_end.run(recording.samples), config.window, config.hop)
        if len(windows) == 0:
            continue
        logits[recording.name] = predict(network, input_tensors(inputs, windows), device)
        truth[recording.name] = recording_truth(recording, config.tasks, config.window, config.hop)
    network.cpu()
    every_truth = [np.concatenate(parts) for parts in zip(*truth.values(), strict=True)]
    every_logit = [np.concatenate(parts) for parts in zip(*logits.values(), strict=True)]
    return Baseline(device_name(device), config.tasks, logits, *score_outputs(config.tasks, every_truth, every_logit))


def baseline_files(baseline: Baseline) -> dict[str, bytes]:
    """Return ``baseline.json`` and ``baseline.npz`` as a run folder and a bundle hold them.

    The npz has ``labels/RECORDING`` int8 ``[N]``, ``logits/RECORDING`` float32 ``[N, K]`` for every window, in order;
    for a second, third, ... head ``labels_1/RECORDING`` int8 ``[N, W]`` and ``logits_1/RECORDING``.
    """
    summary = {"device": baseline.device, **baseline.metrics()}
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, outputs in baseline.logits.items():
        first, *others = outputs[: len(baseline.tasks)]
        arrays[f"labels/{name}"] = first.argmax(axis=1).astype(np.int8)
        arrays[f"logits/{name}"] = first
        for i, logits in enumerate(others, start=1):
            arrays[f"labels_{i}/{name}"] = decide(baseline.tasks[i].kind, logits).astype(np.int8)
            arrays[f"logits_{i}/{name}"] = logits
    return {
        "baseline.json": (json.dumps(summary, indent=1) + "\n").encode(),
        "baseline.npz": dump_npz(**arrays),
    }


def save_baseline(folder: Path, baseline: Baseline) -> None:
    """Write both baseline files into ``folder``."""
    for name, data in baseline_files(baseline).items():
        write_atomic(folder / name, data)
