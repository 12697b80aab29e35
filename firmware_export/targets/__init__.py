"""The kinds of files we write. To add one: its folder, its line in ``TARGETS``."""

from __future__ import annotations

from collections.abc import Mapping

from firmware_export.targets import onnx, tflite
from firmware_export.targets.target import Target

TARGETS: Mapping[str, Target] = {
    "onnx": Target(onnx.EMITTERS, onnx.files),
    "tflite": Target(tflite.EMITTERS, tflite.files),
}
