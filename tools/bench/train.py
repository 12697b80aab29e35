"""Training windows a second, ours against a plain DataLoader loop: ``python tools/bench/train.py [--set KEY=VALUE]``.

The same model, windows, augmentation, optimizer, schedule and average of the weights on the same device, in one
process, an epoch of each in turn:

- plain: a Dataset object that cuts, changes and transforms a window at a time, a DataLoader, a loop that logs losses
- edgehar: ``edgehar.training.fit.train`` as ``edgehar train`` calls it
- step: forward, backward and optimizer alone, on one batch that lies on the device: what no loop can be faster than

Prints medians of ``--repeats`` rounds, and the medians of each round's ratios. ``--processor-time`` counts this
process's seconds on a processor instead of the wall's, for a machine that others use too.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from edgehar.datasets import load_dataset
from edgehar.datasets.splits import select
from edgehar.errors import ConfigError, EdgeharError
from edgehar.files import write_json
from edgehar.recording import Recording
from edgehar.signal import FrontEnd, window_starts
from edgehar.training import callbacks, fit
from edgehar.training.baseline import best_device, device_name
from edgehar.training.config import TrainConfig, load_config
from edgehar.training.run_folder import build_network
from edgehar.training.windows import recording_truth, shifting_windows

TIMED_EPOCHS = 3  # of a round of ours; its median leaves out the first, in which torch.compile works


class Windows(Dataset):  # type: ignore[type-arg]
    """One labelled window an index, cut, changed and transformed when it is asked for."""

    def __init__(self, recordings: Sequence[Recording], front_end: FrontEnd, config: TrainConfig) -> None:
        self.front_end = front_end
        self.config = config
        self.rng = np.random.default_rng(config.seed)
        self.windows = []
        for recording in recordings:
            (truth,) = recording_truth(recording, config.tasks, config.window, hop=1)
            starts = window_starts(len(recording.samples), config.window, config.hop)
            for window in shifting_windows(truth, starts, config.augmentation.shift):
                self.windows.append((recording.samples, window.first, window.last, window.truth[0]))

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        samples, first, last, label = self.windows[index]
        start = int(self.rng.integers(first, last + 1))
        begin = max(0, start - self.front_end.memory_samples)
        raw = samples[begin : start + self.config.window].copy()
        rotation = self.rotation()
        raw[:, 0:3] = raw[:, 0:3] @ rotation
        raw[:, 3:6] = raw[:, 3:6] @ rotation
        scale = self.config.augmentation.scale
        raw *= np.float32(self.rng.uniform(1 - scale, 1 + scale))
        features = self.front_end.run(raw)[-self.config.window :]
        return torch.from_numpy(features.copy()), label

    def rotation(self) -> np.ndarray:
        """Return a rotation about a random axis."""
        axis = self.rng.normal(size=3)
        x, y, z = axis / np.linalg.norm(axis)
        largest = self.config.augmentation.rotation_deg
        angle = math.radians(self.rng.uniform(-largest, largest))
        k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        return (np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * (k @ k)).astype(np.float32)


class PlainLoop:
    """The loop of every tutorial, an epoch a call."""

    def __init__(self, network: nn.Module, windows: Windows, config: TrainConfig, workers: int) -> None:
        self.device = best_device()
        self.network = network.to(self.device)
        self.averaged = AveragedModel(
            network, multi_avg_fn=get_ema_multi_avg_fn(config.average_decay), use_buffers=True
        )
        self.loader = DataLoader(windows, config.batch_size, shuffle=True, drop_last=True, num_workers=workers)
        self.loss = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, config.epochs * len(self.loader))
        self.mixup = config.mixup
        self.rng = np.random.default_rng(config.seed)

    def epoch(self) -> float:
        """Train an epoch and return the mean loss."""
        self.network.train()
        total = 0.0
        for x, y in self.loader:
            total += self.step(x.to(self.device), y.to(self.device)).item()
            self.schedule.step()
            self.averaged.update_parameters(self.network)
        return total / len(self.loader)

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """Take one optimizer step."""
        share = float(self.rng.beta(self.mixup, self.mixup)) if self.mixup else 1.0
        partner = torch.randperm(len(x), device=self.device)
        self.optimizer.zero_grad()
        logits = self.network(share * x + (1 - share) * x[partner])
        loss: Tensor = share * self.loss(logits, y) + (1 - share) * self.loss(logits, y[partner])
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def measure(config: TrainConfig, repeats: int, workers: int) -> dict[str, Any]:
    """Return windows a second of each way, and the ratios."""
    if len(config.tasks) > 1 or config.augmentation.time_warp or config.augmentation.sensor_dropout:
        raise ConfigError("the plain loop has one head, no time_warp and no sensor_dropout; leave them out")
    recordings = load_dataset(config.dataset)
    split = fit.make_split(config, recordings)
    training = select(recordings, split.train_subjects)
    front_end = fit.fit_front_end(config, training)
    torch.manual_seed(config.seed)
    inputs = fit.fit_inputs(config, front_end, training)
    windows = Windows(training, front_end, config)
    plain = PlainLoop(build_network(config, inputs), windows, config, workers)
    batch = [part.to(plain.device) for part in next(iter(plain.loader))]
    steps = len(plain.loader)
    seen = steps * config.batch_size

    def timed(work: Any) -> float:
        begin = callbacks.clock()
        work()
        if plain.device.type == "cuda":
            torch.cuda.synchronize()
        return seen / (callbacks.clock() - begin)

    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(repeats):
            ours = fit.train(config, Path(folder) / str(i), progress=False).record["training_windows_per_s"]
            rounds.append((timed(plain.epoch), ours, timed(lambda: [plain.step(*batch) for _ in range(steps)])))
    columns = [[row[i] for row in rounds] for i in range(3)]
    return {
        "device": device_name(plain.device),
        "threads": torch.get_num_threads(),
        "workers": workers,
        "clock": callbacks.clock.__name__,
        "model": config.model,
        "windows_an_epoch": seen,
        "plain_per_s": statistics.median(columns[0]),
        "edgehar_per_s": statistics.median(columns[1]),
        "step_per_s": statistics.median(columns[2]),
        "edgehar_over_plain": statistics.median(ours / plain for plain, ours, _ in rounds),
        "edgehar_over_step": statistics.median(ours / step for _, ours, step in rounds),
        "rounds": [dict(zip(("plain_per_s", "edgehar_per_s", "step_per_s"), row, strict=True)) for row in rounds],
    }


WAYS = {
    "plain_per_s": "plain: a Dataset object a window, a DataLoader, the loop of every tutorial",
    "edgehar_per_s": "`edgehar train`",
    "step_per_s": "forward, backward and optimizer alone, on one batch that does not change",
}


def table(found: dict[str, Any]) -> str:
    """Return the three ways in Markdown."""
    rows = [f"| {words} | {found[way]:,.0f} |" for way, words in WAYS.items()]
    return "\n".join(["| | windows a second |", "|---|---|", *rows]) + "\n"


def settings(*found: dict[str, Any]) -> str:
    """Return the same of ``edgehar train`` with settings, and without, in Markdown."""
    lines = [
        "| `--set` | `edgehar train`, windows a second | times the plain loop | times the bare float32 step |",
        "|---|---|---|---|",
    ]
    for each in found:
        words = ", ".join(f"`{setting}`" for setting in each["set"]) or "–"
        ratios = (each["edgehar_over_plain"], each["edgehar_over_step"])
        lines.append(f"| {words} | {each['edgehar_per_s']:,.0f} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, metavar="FILE")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=0, help="processes of the plain loop's DataLoader")
    parser.add_argument("--processor-time", action="store_true", help="of this process, on a CPU without workers")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.processor_time:
        if options.workers or best_device().type != "cpu":
            parser.error("--processor-time sees neither workers nor a GPU")
        callbacks.clock = time.process_time
    fixed = [f"epochs={TIMED_EPOCHS}", "validation_subjects=0"]
    try:
        config = load_config(options.config, [*options.set, *fixed])
        figures = {"set": options.set, **measure(config, options.repeats, options.workers)}
    except EdgeharError as error:
        print(f"edgehar: error: {error}", file=sys.stderr)
        return error.exit_code
    for name, value in figures.items():
        if name != "rounds":
            print(f"{name:20} {value:.2f}" if isinstance(value, float) else f"{name:20} {value}")
    if options.json is not None:
        write_json(options.json, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
