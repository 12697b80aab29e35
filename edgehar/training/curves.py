"""The learning curves as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from edgehar.files import write_atomic

PANELS = {
    "loss": ("train_loss", "validation_loss"),
    "accuracy": ("train_accuracy", "validation_accuracy"),
}


def draw_curves(
    rows: Sequence[Mapping[str, float]],
    title: str,
    path: Path,
    legend: tuple[str, str] = ("training, augmented", "validation people"),
) -> None:
    """Write ``learning_curves.png``: loss and accuracy of what was trained on, and of what was held out of it."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (panel, names) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        for name, label, colour in zip(names, legend, ("#0072B2", "#D55E00"), strict=True):
            points = [(row["epoch"], row[name]) for row in rows if name in row]
            if points:
                epochs, values = zip(*points, strict=True)
                axes.plot(epochs, values, color=colour, label=label, linewidth=1.8)
        axes.set_xlabel("epoch")
        axes.set_ylabel(panel)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    write_atomic(path, buffer.getvalue())
