"""int8 ``.tflite`` files in the architectures of MLPerf Tiny's keyword and anomaly models, with random weights.

The published files cannot be downloaded here. These have the same layers, operators and shapes, laid out as
TensorFlow's converter does: ``FULLY_CONNECTED`` with one scale, per-channel convolutions, SAME padding, a softmax.

    python tests/foreign_networks.py FOLDER      # writes them
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from tflite_files import TfliteFile

RELU = 1  # ActivationFunctionType
SAME, VALID = 0, 1


class Layers:
    """A chain of layers; weights are scaled so that activations keep a standard deviation of about 1."""

    def __init__(self, seed: int, shape: Sequence[int]) -> None:
        self.rng = np.random.default_rng(seed)
        self.file = TfliteFile()
        self.scale, self.zero = 8 / 255, -1
        self.first = self.last = self.file.tensor(shape, "int8", self.scale, self.zero, name="input")

    def weights(self, shape: tuple[int, ...], axis: int | None, inputs: int) -> tuple[int, int]:
        """Filter and bias, symmetric, one scale an entry of ``axis`` or one in all."""
        real = self.rng.normal(scale=np.sqrt(2 / inputs), size=shape)
        others = tuple(i for i in range(len(shape)) if i != axis) if axis is not None else None
        scales = np.abs(real).max(axis=others) / 127
        column = [1] * len(shape)
        if axis is not None:
            column[axis] = -1
        integers = np.rint(real / np.reshape(scales, column if axis is not None else ()))
        outputs = shape[0] if axis in (0, None) else shape[axis]
        bias_scale = np.float32(self.scale) * np.asarray(scales, np.float32)
        bias = np.rint(self.rng.normal(scale=0.2, size=outputs) / bias_scale)
        return (
            self.file.tensor(shape, "int8", scales, data=integers, axis=axis or 0),
            self.file.tensor((outputs,), "int32", bias_scale, data=bias),
        )

    def layer(self, code: str, shape: Sequence[int], weights: tuple[int, int], *, relu: bool, **options: int) -> None:
        source = self.last
        self.scale, self.zero = (5 / 255, -128) if relu else (9 / 255, 3)
        self.last = self.file.tensor(shape, "int8", self.scale, self.zero)
        self.file.add(code, [source, *weights], [self.last], fusedActivationFunction=RELU if relu else 0, **options)

    def conv(self, shape: Sequence[int], outputs: int, kernel: tuple[int, int], stride: tuple[int, int]) -> list[int]:
        """CONV_2D with SAME padding and ReLU; the output's shape."""
        made = [1, -(-shape[1] // stride[0]), -(-shape[2] // stride[1]), outputs]
        weights = self.weights((outputs, *kernel, shape[3]), 0, kernel[0] * kernel[1] * shape[3])
        self.layer("CONV_2D", made, weights, relu=True, padding=SAME, strideH=stride[0], strideW=stride[1])
        return made

    def depthwise(self, shape: list[int]) -> None:
        """DEPTHWISE_CONV_2D, 3 by 3, with SAME padding and ReLU."""
        weights = self.weights((1, 3, 3, shape[3]), 3, 9)
        options = {"strideH": 1, "strideW": 1, "depthMultiplier": 1}
        self.layer("DEPTHWISE_CONV_2D", shape, weights, relu=True, padding=SAME, **options)

    def move(self, code: str, shape: Sequence[int], inputs: Sequence[int] = (), **options: int) -> None:
        """An operator that keeps the scale."""
        source = self.last
        self.last = self.file.tensor(shape, "int8", self.scale, self.zero)
        self.file.add(code, [source, *inputs], [self.last], **options)

    def dense(self, inputs: int, outputs: int, *, relu: bool) -> None:
        """FULLY_CONNECTED with one weight scale."""
        self.layer("FULLY_CONNECTED", [1, outputs], self.weights((outputs, inputs), None, inputs), relu=relu)

    def finish(self) -> bytes:
        return self.file.finish([self.first], [self.last])


def keyword(*, small: bool = False, seed: int = 0) -> bytes:
    """DS-CNN: 49 × 10 features, 64 channels, four depthwise-separable blocks, 12 words."""
    height, width, channels, blocks = (11, 6, 4, 1) if small else (49, 10, 64, 4)
    net = Layers(seed, [1, height, width, 1])
    shape = net.conv([1, height, width, 1], channels, (10, 4), (2, 2))
    for _ in range(blocks):
        net.depthwise(shape)
        shape = net.conv(shape, channels, (1, 1), (1, 1))
    pool = {"filterHeight": shape[1], "filterWidth": shape[2], "strideH": shape[1], "strideW": shape[2]}
    net.move("AVERAGE_POOL_2D", [1, 1, 1, channels], padding=VALID, **pool)
    net.move("RESHAPE", [1, channels], [net.file.numbers([-1, channels])])
    net.dense(channels, 12, relu=False)
    net.scale, net.zero = 1 / 256, -128
    net.move("SOFTMAX", [1, 12], beta=1)
    return net.finish()


def anomaly(*, small: bool = False, seed: int = 1) -> bytes:
    """Autoencoder: 640 → 128 four times → 8 → 128 four times → 640."""
    widths = [20, 6, 3, 6, 20] if small else [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    net = Layers(seed, [1, widths[0]])
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        net.dense(inputs, outputs, relu=index < len(widths) - 2)
    return net.finish()


def float_edges(*, small: bool = False, seed: int = 2) -> bytes:
    """Float at both ends, QUANTIZE and DEQUANTIZE inside: the default of TensorFlow's converter."""
    width = 8 if small else 40
    net = Layers(seed, [1, width])
    net.dense(width, 5, relu=True)
    net.dense(5, 4, relu=False)
    source, sink = net.file.tensor([1, width], name="x"), net.file.tensor([1, 4], name="y")
    net.file.add("DEQUANTIZE", [net.last], [sink])
    net.file.add("QUANTIZE", [source], [net.first])
    net.file.operators.insert(0, net.file.operators.pop())
    return net.file.finish([source], [sink])


NETWORKS: Mapping[str, Callable[..., bytes]] = {"keyword": keyword, "anomaly": anomaly, "float_edges": float_edges}

if __name__ == "__main__":
    for name, network in NETWORKS.items():
        (Path(sys.argv[1]) / f"{name}.tflite").write_bytes(network())
