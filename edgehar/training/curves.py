"""The learning curves as a picture."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from matplotlib.figure import Figure

from edgehar.files import write_atomic

PANELS = {
    "loss": ("train_loss", "validation_loss"),
    "accuracy": ("train_accuracy", "validation_accuracy"),
}


def read_history(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Return metric → ``[(epoch, value), ...]`` of a ``history.csv``."""
    history: dict[str, list[tuple[int, float]]] = {}
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            for name, value in row.items():
                if name not in ("epoch", "step") and value:
                    history.setdefault(name, []).append((int(row["epoch"]), float(value)))
    return history


def draw_curves(history: dict[str, list[tuple[int, float]]], title: str, path: Path) -> None:
    """Write ``learning_curves.png``: loss and accuracy of training and of held-out training people."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (panel, names) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        for name, colour in zip(names, ("#0072B2", "#D55E00"), strict=True):
            points = history.get(name, [])
            if points:
                epochs, values = zip(*points, strict=True)
                label = "training, augmented" if name.startswith("train") else "validation people"
                axes.plot([e + 1 for e in epochs], values, color=colour, label=label, linewidth=1.8)
        axes.set_xlabel("epoch")
        axes.set_ylabel(panel)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    write_atomic(path, buffer.getvalue())
