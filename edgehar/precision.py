"""Which precision a recipe's name says, and so which model file of a bundle holds that network. No imports of ours."""

from __future__ import annotations

from enum import StrEnum


class Precision(StrEnum):
    """Of weights and activations. A recipe is called after its precision, then how ranges are chosen, if said at all.

    Example: ``static_wi8_ai8`` and ``static_wi8_ai8_mse`` are both int8 throughout.
    """

    STATIC_WI8_AI8 = "static_wi8_ai8"  # weights and activations int8, biases and sums int32
    STATIC_WI8_AI16 = "static_wi8_ai16"  # weights int8, activations int16, biases and sums int64
    MIXED_WI8 = "mixed_wi8"  # weights int8, activations int8, those of few layers int16: chosen by their cost
    DYNAMIC_WI8 = "dynamic_wi8"  # weights int8, activations float32, rounded to int8 inside LiteRT's kernels
    FLOAT32 = "float32"

    @classmethod
    def of(cls, recipe: str) -> Precision:
        """Return the precision that a recipe's name starts with.

        Raises:
            ValueError: it starts with none.
        """
        for precision in cls:
            if recipe == precision or recipe.startswith(f"{precision}_"):
                return precision
        raise ValueError(f"recipe {recipe!r} starts with none of the precisions {', '.join(cls)}")

    @property
    def label(self) -> str:
        """For people, and in the names of a bundle's scores (``int8_accuracy``)."""
        return _LABELS[self]

    def model_file(self, extension: str) -> str:
        """Return the name in a bundle of the file with this network; ``extension`` is ``tflite`` or ``onnx``."""
        return f"{_STEMS[self]}.{extension}"


_LABELS = {
    Precision.STATIC_WI8_AI8: "int8",
    Precision.STATIC_WI8_AI16: "int16",
    Precision.MIXED_WI8: "mixed",
    Precision.DYNAMIC_WI8: "dynamic",
    Precision.FLOAT32: "float32",
}
_STEMS = {
    Precision.STATIC_WI8_AI8: "model_i8",
    Precision.STATIC_WI8_AI16: "model_i16",
    Precision.MIXED_WI8: "model_mixed",
    Precision.DYNAMIC_WI8: "model_w8",
    Precision.FLOAT32: "model_f32",
}
