"""The full-precision model on the held-out recordings: what every device is compared with."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgehar.bundle import dump_npz
from edgehar.files import write_atomic
from edgehar.recording import UNLABELLED, Recording
from edgehar.signal import FrontEnd, sliding_windows, window_labels
from edgehar.training.config import TrainConfig
from edgehar.training.metrics import Scores, score
from edgehar.training.windows import class_labels

BATCH = 1024


@dataclass(frozen=True, eq=False)
class Baseline:
    """Full-precision results.

    Attributes:
        device: where they were computed, e.g. ``NVIDIA H200`` or a processor's name.
        logits: recording name → ``[N, K]`` float32 of all windows at 0, hop, 2 hop, ...
        truth: recording name → ``[N]`` int16, -1 where a window is not scored.
        scores: over the scored windows of all recordings.
    """

    device: str
    logits: dict[str, NDArray[np.float32]]
    truth: dict[str, NDArray[np.int16]]
    scores: Scores


def best_device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """Return the name people know the device by."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name()


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@torch.inference_mode()
def predict(network: nn.Module, features: NDArray[np.float32], device: torch.device) -> NDArray[np.float32]:
    """Return logits ``[N, K]`` of features ``[N, T, F]``, in float32 without TF32."""
    chunks = [
        network(torch.from_numpy(np.ascontiguousarray(features[i : i + BATCH])).to(device)).cpu().numpy()
        for i in range(0, len(features), BATCH)
    ]
    return np.concatenate(chunks)


def compute_baseline(
    network: nn.Module, front_end: FrontEnd, config: TrainConfig, recordings: Sequence[Recording]
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
        logits[recording.name] = predict(network, windows, device)
        truth[recording.name] = window_labels(class_labels(recording, config.labels), config.window, config.hop)
    network.cpu()
    all_truth = np.concatenate(list(truth.values()))
    decided = np.concatenate([values.argmax(axis=1) for values in logits.values()])
    scored = all_truth != UNLABELLED
    return Baseline(device_name(device), logits, truth, score(all_truth[scored], decided[scored], len(config.labels)))


def baseline_files(baseline: Baseline) -> dict[str, bytes]:
    """Return ``baseline.json`` and ``baseline.npz`` as a run folder and a bundle hold them.

    The npz has ``labels/RECORDING`` int8 ``[N]``, ``logits/RECORDING`` float32 ``[N, K]`` for every window, in order.
    """
    summary = {"device": baseline.device, **baseline.scores.to_dict()}
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, logits in baseline.logits.items():
        arrays[f"labels/{name}"] = logits.argmax(axis=1).astype(np.int8)
        arrays[f"logits/{name}"] = logits
    return {
        "baseline.json": (json.dumps(summary, indent=1) + "\n").encode(),
        "baseline.npz": dump_npz(**arrays),
    }


def save_baseline(folder: Path, baseline: Baseline) -> None:
    """Write both baseline files into ``folder``."""
    for name, data in baseline_files(baseline).items():
        write_atomic(folder / name, data)
