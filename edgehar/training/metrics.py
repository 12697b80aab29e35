"""Accuracy and macro-F1 of decided labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score


@dataclass(frozen=True)
class Scores:
    """Fractions in 0..1; ``confusion[truth][decided]`` counts windows."""

    windows: int
    accuracy: float
    macro_f1: float
    confusion: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "windows": self.windows,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "confusion": [list(row) for row in self.confusion],
        }


def score(truth: NDArray[Any], decided: NDArray[Any], classes: int) -> Scores:
    """Return the scores of ``decided`` ``[N]`` against ``truth`` ``[N]``; macro-F1 over the classes in ``truth``."""
    matrix = confusion_matrix(truth, decided, labels=np.arange(classes))
    return Scores(
        windows=len(truth),
        accuracy=float(accuracy_score(truth, decided)),
        macro_f1=float(f1_score(truth, decided, labels=np.unique(truth), average="macro", zero_division=0)),
        confusion=tuple(tuple(int(v) for v in row) for row in matrix),
    )
