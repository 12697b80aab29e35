"""Small random int8 networks for windows: convolutions, pools, crops, residuals, and an end that sees all columns."""

from __future__ import annotations

import numpy as np

from firmware_export.graph import Attrs, Graph, Node, Quantization, Value, assemble
from firmware_export.ops import OPS
from firmware_export.ops.add import Add
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.concat import Concat
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.crop1d import Crop1d
from firmware_export.ops.dense import Dense
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.op import FusedActivation
from firmware_export.ops.relu import Relu
from firmware_export.ops.reshape import Reshape

ACT = Quantization((2.0**-4,), 3)
RELU = FusedActivation.RELU


class Builder:
    """Adds one node after another; every activation has the same scale."""

    def __init__(self, window: int, channels: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.values = {"x": Value("x", (1, window, channels), "int8", ACT)}
        self.inputs = ["x"]
        self.nodes: list[Node] = []

    def add(self, op: str, attrs: Attrs, *inputs: str, weight: tuple[int, ...] = (), axis: int = 0) -> str:
        """Add a node, with weights of this shape and a bias where it has them; returns the name of its output."""
        name = f"v{len(self.nodes)}"
        operands = list(inputs)
        if weight:
            data = self.rng.integers(-127, 128, weight).astype(np.int8)
            size = float(2 ** -np.ceil(np.log2(80 * np.sqrt(data.size / weight[axis]))))
            scales = Quantization((size,) * weight[axis], 0, axis)
            bias = self.rng.integers(-500, 500, weight[axis]).astype(np.int32)
            of_bias = Quantization((size * ACT.scale,) * weight[axis], 0, 0)
            self.values[f"{name}_w"] = Value(f"{name}_w", weight, "int8", scales, data)
            self.values[f"{name}_b"] = Value(f"{name}_b", bias.shape, "int32", of_bias, bias)
            operands += [f"{name}_w", f"{name}_b"]
        shape = OPS[op].shape(attrs, [self.values[i].shape for i in operands])
        self.values[name] = Value(name, shape, "int8", ACT)
        self.nodes.append(Node(op, f"n_{name}", tuple(operands), (name,), attrs))
        return name

    def conv(self, x: str, outputs: int, **settings: object) -> str:
        """Add a convolution."""
        attrs = Conv1d(**settings)  # type: ignore[arg-type]
        return self.add("conv1d", attrs, x, weight=(outputs, attrs.kernel, self.shape(x)[2] // attrs.groups))

    def depthwise(self, x: str, **settings: object) -> str:
        """Add a depthwise convolution."""
        attrs = DepthwiseConv1d(**settings)  # type: ignore[arg-type]
        return self.add("depthwise_conv1d", attrs, x, weight=(attrs.kernel, self.shape(x)[2]), axis=1)

    def crop(self, x: str, start: int, length: int) -> str:
        """Add a crop."""
        return self.add("crop1d", Crop1d(start, length), x)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value."""
        return self.values[name].shape

    def end(self, x: str, mean: bool, outputs: int = 3) -> Graph:
        """Return the graph that ends in a dense layer on all columns, or on their mean."""
        _, columns, channels = self.shape(x)
        if mean:
            x, columns = self.add("average_pool1d", AveragePool1d(columns, columns), x), 1
        x = self.add("reshape", Reshape((1, columns * channels)), x)
        x = self.add("dense", Dense(), x, weight=(outputs, columns * channels))
        return assemble(self.inputs, [x], self.nodes, self.values.values())


def random_network(seed: int, window: int, channels: int, layers: int) -> Graph:
    """Return a network in which only the end sees the whole window."""
    b = Builder(window, channels, seed)

    def draw(low: int, high: int) -> int:
        return int(b.rng.integers(low, high + 1))

    x = "x"
    for _ in range(layers):
        columns = b.shape(x)[1]
        if columns < 6:
            break
        kernel, stride, dilation = draw(1, min(5, columns // 2)), draw(1, 3), 1
        if (kernel - 1) * 2 < columns // 2:
            dilation = draw(1, 2)
        slide = {
            "kernel": kernel,
            "stride": stride,
            "dilation": dilation,
            "activation": (RELU, FusedActivation.NONE)[draw(0, 1)],
        }
        match draw(0, 7):
            case 0 | 1:
                x = b.conv(x, draw(1, 6), **slide)
            case 2:
                x = b.depthwise(x, **slide)
            case 3:
                x = b.add("max_pool1d", MaxPool1d(max(2, kernel), stride), x)
            case 4:
                x = b.add("average_pool1d", AveragePool1d(kernel, stride), x)
            case 5:  # the columns of a residual, aligned anywhere
                y = b.conv(x, b.shape(x)[2], kernel=kernel, dilation=dilation)
                length = b.shape(y)[1]
                x = b.add("add", Add(RELU), y, b.crop(x, draw(0, columns - length), length))
            case 6:
                y = b.depthwise(x, kernel=kernel)
                z = b.crop(b.add("relu", Relu(RELU), x), columns - b.shape(y)[1], b.shape(y)[1])
                x = b.add("concat", Concat(), y, z)
            case 7:
                x = b.add("relu", Relu(RELU), b.crop(x, draw(0, 1), columns - draw(1, 2)))
    return b.end(x, mean=bool(draw(0, 1)))
