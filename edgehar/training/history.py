"""The metrics of every epoch, as a callback that survives a resume."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from edgehar.files import write_atomic

COLUMNS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "validation_macro_f1")


class History(pl.Callback):
    """Collects one row an epoch and writes ``history.csv`` after each; checkpoints carry the rows.

    Attributes:
        rows: ``{"epoch": 1.., metric: value}``; validation metrics are absent without validation people.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Append this epoch's row and write the file."""
        del pl_module
        metrics = {name: float(trainer.callback_metrics[name]) for name in COLUMNS if name in trainer.callback_metrics}
        self.rows.append({"epoch": trainer.current_epoch + 1, **metrics})
        buffer = io.StringIO()
        table = csv.DictWriter(buffer, ["epoch", *COLUMNS], lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        write_atomic(self._path, buffer.getvalue().encode())

    def state_dict(self) -> dict[str, Any]:
        """Rows so far, for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the rows of the checkpoint."""
        self.rows = list(state_dict["rows"])
