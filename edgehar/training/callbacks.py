"""What a training does between Lightning's steps: tell the batches their epoch, time them, stop on Ctrl-C, show a bar.

The metrics of every epoch are in :mod:`edgehar.training.history`.
"""

from __future__ import annotations

import contextlib
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import TQDMProgressBar

from edgehar.training.windows import TrainingBatches

clock = time.perf_counter  # of the pace; tools/bench/train.py puts the process's own here on a busy machine


class SetEpoch(pl.Callback):
    """Tells the batches which epoch they belong to, also after a resume."""

    def __init__(self, batches: TrainingBatches) -> None:
        self._batches = batches

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell them."""
        del pl_module
        self._batches.epoch = trainer.current_epoch


class Pace(pl.Callback):
    """Times each epoch's batches, without the validation after them."""

    def __init__(self) -> None:
        self._begin = 0.0
        self.epoch_s: list[float] = []

    def on_train_epoch_start(self, *_: object) -> None:
        """Start the clock."""
        self._begin = clock()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Stop it after the last batch, when an accelerator is done with it."""
        if trainer.is_last_batch:
            if trainer.strategy.root_device.type == "cuda":
                torch.cuda.synchronize()
            self.epoch_s.append(clock() - self._begin)

    def per_second(self, windows: int) -> float | None:
        """Return windows a second in the median epoch of ``windows``; None when a resume had no epoch left to run."""
        return round(windows / statistics.median(self.epoch_s), 1) if self.epoch_s else None


class StopBetweenBatches(pl.Callback):
    """Lets Ctrl-C take effect after the batch it falls into, and a second one at once.

    Anywhere else it may fall into a lock of the log writer's queue, which closing the writer then waits for forever.
    """

    def __init__(self) -> None:
        self.asked = False

    def on_train_batch_end(self, *_: object) -> None:
        """Stop the training if that was asked for; raises KeyboardInterrupt."""
        if self.asked:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Take over SIGINT, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _ask(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


class ProgressBar(TQDMProgressBar):
    """Lightning's bar without the logger's version, which says nothing here."""

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return what stands behind the bar."""
        metrics: dict[str, Any] = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics
