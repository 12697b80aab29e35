"""One-op graphs: the settings and shapes every op is run with, and the graph made of them.

A new op adds its line to ``CASES``; ``test_export_ops.py`` fails until it does.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgehar.signal import QuantParams
from firmware_export.graph import Attrs, Graph, Node, Quantization, Shape, Value, assemble
from firmware_export.ops import OPS
from firmware_export.ops.add import Add
from firmware_export.ops.add_constant import AddConstant
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.average_pool2d import AveragePool2d
from firmware_export.ops.batch_matmul import BatchMatmul
from firmware_export.ops.concat import Concat
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.conv2d import Conv2d
from firmware_export.ops.crop1d import Crop1d
from firmware_export.ops.dense import Dense
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.depthwise_conv2d import DepthwiseConv2d
from firmware_export.ops.forest import Forest
from firmware_export.ops.l2_norm import L2Norm
from firmware_export.ops.lstm import Lstm
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.max_pool2d import MaxPool2d
from firmware_export.ops.mean import Mean
from firmware_export.ops.op import (
    Activation,
    Bias,
    Constant,
    FusedActivation,
    Index,
    OutputScale,
    Role,
    Threshold,
    Weight,
)
from firmware_export.ops.relu import Relu
from firmware_export.ops.requantize import Requantize
from firmware_export.ops.reshape import Reshape
from firmware_export.ops.reverse import Reverse
from firmware_export.ops.softmax import Softmax
from firmware_export.ops.transpose import Transpose

RELU, RELU6 = FusedActivation.RELU, FusedActivation.RELU6


@dataclass(frozen=True)
class Case:
    """One op with its settings and the shapes of its operands other than biases."""

    op: str
    attrs: Attrs
    shapes: tuple[Shape, ...]

    def __str__(self) -> str:
        return f"{self.op}-{zlib.crc32(repr(self).encode()):08x}"


def conv(shape: Shape, outputs: int, **settings: object) -> Case:
    attrs = Conv1d(**settings)  # type: ignore[arg-type]
    return Case("conv1d", attrs, (shape, (outputs, attrs.kernel, shape[2] // attrs.groups)))


def depthwise(shape: Shape, **settings: object) -> Case:
    attrs = DepthwiseConv1d(**settings)  # type: ignore[arg-type]
    return Case("depthwise_conv1d", attrs, (shape, (attrs.kernel, shape[2] * attrs.multiplier)))


def conv2d(shape: Shape, outputs: int, **settings: object) -> Case:
    attrs = Conv2d(**settings)  # type: ignore[arg-type]
    return Case("conv2d", attrs, (shape, (outputs, *attrs.kernel, shape[3])))


def depthwise2d(shape: Shape, **settings: object) -> Case:
    attrs = DepthwiseConv2d(**settings)  # type: ignore[arg-type]
    return Case("depthwise_conv2d", attrs, (shape, (*attrs.kernel, shape[3] * attrs.multiplier)))


def lstm(shape: Shape, units: int) -> Case:
    return Case("lstm", Lstm(), (shape, *[(units, shape[2])] * 4, *[(units, units)] * 4))


def forest(features: int, trees: int, depth: int, classes: int) -> Case:
    size = trees << depth
    return Case("forest", Forest(depth), ((1, features), (size,), (size,), (size, classes)))


CASES: Mapping[str, tuple[Case, ...]] = {
    "add": (
        Case("add", Add(), ((1, 9, 5), (1, 9, 5))),
        Case("add", Add(RELU), ((1, 9, 5), (1, 9, 5))),
        Case("add", Add(RELU6), ((1, 12), (1, 12))),
    ),
    "add_constant": (
        Case("add_constant", AddConstant(), ((1, 9, 5), (1, 9, 5))),
        Case("add_constant", AddConstant(RELU), ((1, 12), (1, 12))),
    ),
    "average_pool1d": (
        Case("average_pool1d", AveragePool1d(13, 13), ((1, 13, 6),)),
        Case("average_pool1d", AveragePool1d(4, 3), ((1, 17, 3),)),
        Case("average_pool1d", AveragePool1d(5, 1), ((1, 5, 1),)),
    ),
    "average_pool2d": (
        Case("average_pool2d", AveragePool2d((12, 5), (12, 5)), ((1, 12, 5, 6),)),
        Case("average_pool2d", AveragePool2d((2, 3), (2, 1)), ((1, 7, 5, 3),)),
    ),
    "batch_matmul": (
        Case("batch_matmul", BatchMatmul(transpose_b=True), ((1, 4, 7, 8), (1, 4, 5, 8))),
        Case("batch_matmul", BatchMatmul(transpose_b=False), ((1, 3, 7, 5), (1, 3, 5, 6))),
        Case("batch_matmul", BatchMatmul(transpose_b=False), ((1, 7, 12), (1, 12, 5))),
        Case("batch_matmul", BatchMatmul(transpose_b=True), ((1, 7, 12), (1, 5, 12))),
        Case("batch_matmul", BatchMatmul(transpose_b=True), ((1, 28, 16), (1, 28, 16))),
        Case("batch_matmul", BatchMatmul(transpose_b=False), ((1, 1, 1), (1, 1, 3))),
    ),
    "concat": (
        Case("concat", Concat(), ((1, 9, 3), (1, 9, 5))),
        Case("concat", Concat(), ((1, 4), (1, 2), (1, 7))),
        Case("concat", Concat(), ((1, 5, 2),) * 10),
    ),
    "conv1d": (
        conv((1, 16, 3), 4, kernel=5),
        conv((1, 17, 9), 8, kernel=5, stride=2, activation=RELU),
        conv((1, 20, 4), 6, kernel=3, dilation=3, activation=RELU6),
        conv((1, 16, 3), 4, kernel=16),
        conv((1, 16, 3), 4, kernel=5, padding=(2, 2)),  # TFLite SAME
        conv((1, 16, 3), 4, kernel=16, padding=(7, 8), activation=RELU),  # torch 'same' of an even kernel
        conv((1, 16, 3), 4, kernel=5, stride=2, padding=(2, 2)),  # neither SAME nor VALID
        conv((1, 16, 3), 4, kernel=3, dilation=2, padding=(4, 0)),  # causal
        conv((1, 12, 6), 9, kernel=3, groups=3, activation=RELU),
        conv((1, 7, 130), 3, kernel=9, padding=(4, 4)),  # 1170 products: beyond float32's exact sums
        conv((1, 6, 1), 1, kernel=1),
    ),
    "conv2d": (
        conv2d((1, 9, 7, 3), 4, kernel=(3, 3), padding=((1, 1), (1, 1))),  # TFLite SAME
        conv2d((1, 12, 10, 1), 6, kernel=(10, 4), stride=(2, 2), padding=((4, 4), (1, 1)), activation=RELU),
        conv2d((1, 9, 7, 3), 5, kernel=(3, 2), dilation=(2, 1), activation=RELU6),
        conv2d((1, 9, 7, 2), 3, kernel=(2, 3), stride=(1, 2), padding=((3, 0), (1, 2))),  # neither SAME nor VALID
        conv2d((1, 5, 6, 8), 4),
    ),
    "crop1d": (
        Case("crop1d", Crop1d(4, 5), ((1, 9, 3),)),
        Case("crop1d", Crop1d(0, 7), ((1, 9, 5),)),
        Case("crop1d", Crop1d(8, 1), ((1, 9, 4),)),
    ),
    "dense": (
        Case("dense", Dense(), ((1, 12), (5, 12))),
        Case("dense", Dense(RELU), ((1, 1500), (3, 1500))),
        Case("dense", Dense(RELU6), ((1, 1), (4, 1))),
    ),
    "depthwise_conv1d": (
        depthwise((1, 16, 6), kernel=5),
        depthwise((1, 16, 6), kernel=5, stride=2, activation=RELU),
        depthwise((1, 15, 4), kernel=3, dilation=2, padding=(2, 2), activation=RELU6),
        depthwise((1, 15, 4), kernel=4, stride=3, padding=(3, 1)),
        depthwise((1, 11, 3), kernel=3, multiplier=4),
        depthwise((1, 9, 7), kernel=1),
    ),
    "depthwise_conv2d": (
        depthwise2d((1, 9, 5, 6), kernel=(3, 3), padding=((1, 1), (1, 1)), activation=RELU),
        depthwise2d((1, 9, 8, 4), kernel=(3, 2), stride=(2, 2)),
        depthwise2d((1, 7, 6, 3), kernel=(3, 2), padding=((2, 0), (0, 1)), multiplier=3),
    ),
    "forest": (
        forest(9, trees=5, depth=3, classes=4),
        forest(300, trees=24, depth=5, classes=6),
        forest(1, trees=1, depth=1, classes=2),
        forest(40, trees=3, depth=7, classes=1),
    ),
    "l2_norm": (
        Case("l2_norm", L2Norm(), ((1, 9, 32),)),
        Case("l2_norm", L2Norm(), ((1, 4, 130),)),
        Case("l2_norm", L2Norm(), ((1, 3, 1),)),
        Case("l2_norm", L2Norm(), ((1, 12),)),
    ),
    "lstm": (
        lstm((1, 12, 5), 6),
        lstm((1, 40, 9), 16),
        lstm((1, 1, 3), 1),
    ),
    "max_pool1d": (
        Case("max_pool1d", MaxPool1d(16, 2), ((1, 49, 8),)),
        Case("max_pool1d", MaxPool1d(2, 2), ((1, 9, 3),)),
        Case("max_pool1d", MaxPool1d(3, 1, (1, 1)), ((1, 9, 3),)),
    ),
    "max_pool2d": (
        Case("max_pool2d", MaxPool2d((2, 2), (2, 2)), ((1, 9, 8, 3),)),
        Case("max_pool2d", MaxPool2d((3, 3), (1, 1), ((1, 1), (1, 1))), ((1, 7, 5, 2),)),
    ),
    "mean": (
        Case("mean", Mean(), ((1, 9, 5),)),
        Case("mean", Mean(), ((1, 56, 8),)),
        Case("mean", Mean(), ((1, 16, 8),)),
        Case("mean", Mean(), ((1, 7, 5, 3),)),
    ),
    "relu": (
        Case("relu", Relu(RELU), ((1, 9, 3),)),
        Case("relu", Relu(RELU6), ((1, 14),)),
    ),
    "requantize": (
        Case("requantize", Requantize(), ((1, 9, 5),)),
        Case("requantize", Requantize(), ((1, 12),)),
    ),
    "reshape": (
        Case("reshape", Reshape((1, 27)), ((1, 9, 3),)),
        Case("reshape", Reshape((1, 3, 4)), ((1, 12),)),
        Case("reshape", Reshape((1, 6, 2)), ((1, 4, 3),)),
    ),
    "reverse": (
        Case("reverse", Reverse(), ((1, 9, 3),)),
        Case("reverse", Reverse(), ((1, 2, 5),)),
    ),
    "softmax": (
        Case("softmax", Softmax(), ((1, 6),)),
        Case("softmax", Softmax(), ((1, 2),)),
        Case("softmax", Softmax(), ((1, 5, 12),)),
        Case("softmax", Softmax(), ((1, 2, 5, 7),)),
    ),
    "transpose": (
        Case("transpose", Transpose((0, 2, 1)), ((1, 9, 5),)),
        Case("transpose", Transpose((0, 2, 1, 3)), ((1, 4, 3, 5),)),
        Case("transpose", Transpose((0, 3, 1, 2)), ((1, 4, 3, 5),)),
    ),
}


def roles(case: Case) -> list[Role]:
    """Role of each operand; the only one of a ``concat`` stands for all of its inputs."""
    operands = list(OPS[case.op].operands)
    return operands * len(case.shapes) if case.op == "concat" else operands


def float_graph(case: Case, seed: int) -> Graph:
    """The op over random float operands; activations of an op with two are the same graph input scaled apart."""
    rng = np.random.default_rng(seed)
    values: list[Value] = []
    names: list[str] = []
    operands = iter(case.shapes)
    for index, role in enumerate(roles(case)):
        name = f"in{index}"
        names.append(name)
        if isinstance(role, Activation):
            values.append(Value(name, next(operands)))
            continue
        if isinstance(role, Index):
            data = rng.integers(0, values[0].shape[-1], next(operands)).astype(np.int32)
            values.append(Value(name, data.shape, "int32", data=data))
            continue
        if isinstance(role, Weight | Constant | Threshold):
            data = rng.normal(size=next(operands)).astype(np.float32)
        elif isinstance(role, Bias):
            data = rng.normal(size=_channels(case, values, role)).astype(np.float32)
        values.append(Value(name, data.shape, data=data))
    shape = OPS[case.op].shape(case.attrs, [v.shape for v in values])
    states = [Value("cell", shape)] if case.op == "lstm" else []
    node = Node(case.op, "node", tuple(names), ("out", *(v.name for v in states)), case.attrs)
    inputs = [v.name for v in values if v.data is None]
    return assemble(inputs, ["out"], [node], [*values, Value("out", shape), *states])


def int8_graph(case: Case, seed: int, given: Sequence[Value] = ()) -> Graph:
    """The op over random integers: any zero point, channels of very unlike scales, outputs that saturate.

    Its activations have the scales of ``given``, where there are some.
    """
    rng = np.random.default_rng(seed)
    op = OPS[case.op]
    values: list[Value] = []
    operands, sources = iter(case.shapes), iter(given)
    for index, role in enumerate(roles(case)):
        name = f"in{index}"
        if isinstance(role, Activation):
            quant = Quantization((_f32(rng.uniform(0.002, 0.2)),), int(rng.integers(-128, 128)))
            if values and op.output_scale is OutputScale.SAME_AS_INPUT:
                quant = values[0].quantization
            source = next(sources, None)
            quant = quant if source is None else source.quantization
            values.append(Value(name, next(operands), "int8", quant))
        elif isinstance(role, Weight):
            weight = rng.integers(-127, 128, next(operands)).astype(np.int8)
            scales = 2.0 ** rng.uniform(-12, -6, 1 if role.axis is None else weight.shape[role.axis])
            if case.op == "lstm":  # gates of a few units: fed back through large weights, one step grows without limit
                largest = 128 * values[0].quantization.scale if index < 5 else 1.0
                scales = rng.uniform(1, 3, 1) / (largest * np.abs(weight).sum(axis=1).mean())
            weight_quant = Quantization(tuple(_f32(s) for s in scales), 0, role.axis)
            values.append(Value(name, weight.shape, "int8", weight_quant, weight))
        elif isinstance(role, Index):
            places = rng.integers(0, values[0].shape[-1], next(operands)).astype(np.int32)
            values.append(Value(name, places.shape, "int32", Quantization((1.0,)), places))
        elif isinstance(role, Threshold):
            limits = rng.integers(-128, 128, next(operands)).astype(np.int8)
            values.append(Value(name, limits.shape, "int8", values[role.of].quantization, limits))
        elif isinstance(role, Constant):
            table = rng.integers(-128, 128, next(operands)).astype(np.int8)
            quant = Quantization((_f32(rng.uniform(0.002, 0.2)),), int(rng.integers(-128, 128)))
            values.append(Value(name, table.shape, "int8", quant, table))
        elif isinstance(role, Bias):
            bias = rng.integers(-(2**13), 2**13, _channels(case, values, role)).astype(np.int32)
            of = values[role.of].quantization
            bias_scales = tuple(_f32(values[0].quantization.scale * s) for s in of.scales)
            bias_quant = Quantization(bias_scales, 0, None if of.axis is None else 0)
            values.append(Value(name, bias.shape, "int32", bias_quant, bias))
    shape = op.shape(case.attrs, [v.shape for v in values])
    outputs = [Value("out", shape, "int8", _output_quant(case, values, rng))]
    if case.op == "lstm":
        outputs.append(Value("cell", shape, "int16", Quantization((2.0 ** -int(rng.integers(9, 12)),))))
    inputs = tuple(v.name for v in values)
    node = Node(case.op, "node", inputs, tuple(v.name for v in outputs), case.attrs)
    return assemble([v.name for v in values if v.data is None], ["out"], [node], [*values, *outputs])


def _channels(case: Case, values: list[Value], bias: Bias) -> int:
    weight = roles(case)[bias.of]
    assert isinstance(weight, Weight)
    return values[bias.of].shape[weight.axis or 0]


def _output_quant(case: Case, values: list[Value], rng: np.random.Generator) -> Quantization:
    rule = OPS[case.op].output_scale
    if isinstance(rule, QuantParams):
        return Quantization((rule.scale,), rule.zero_point)
    if rule is OutputScale.SAME_AS_INPUT:
        return values[0].quantization
    if rule is OutputScale.SAME_AS_TABLE:
        return values[[isinstance(role, Constant) for role in roles(case)].index(True)].quantization
    if case.op in ("add", "add_constant"):
        scale = max(v.quantization.scale for v in values) * rng.uniform(0.3, 2)
    elif case.op == "batch_matmul":
        a, b = values
        scale = a.quantization.scale * b.quantization.scale * np.sqrt(a.shape[-1]) * rng.uniform(20, 80)
    elif case.op in ("mean", "requantize"):
        scale = values[0].quantization.scale * rng.uniform(0.2, 1.5)
    elif case.op == "lstm":
        return Quantization((_f32(2.1 / 255),), int(rng.integers(-6, 6)))  # hidden states are in -1..1
    else:
        weight = values[1]
        assert weight.data is not None
        products = weight.data.size / len(weight.quantization.scales)
        scale = values[0].quantization.scale * max(weight.quantization.scales) * np.sqrt(products) * rng.uniform(20, 80)
    return Quantization((_f32(scale),), int(rng.integers(-128, 128)))


def _f32(x: float) -> float:
    return float(np.float32(x))


def saturating_lstms() -> list[Graph]:
    """A small LSTM with gates far beyond their range, at every scale that cells can have."""
    graphs = []
    for fraction in range(9, 16):
        graph = int8_graph(CASES["lstm"][1], fraction)
        rng = np.random.default_rng(fraction)
        values = dict(graph.values)
        for name, value in graph.values.items():
            if value.dtype == "int8" and value.data is not None:
                values[name] = replace(value, quant=Quantization((float(np.float32(2.0 ** rng.uniform(-12, -5))),)))
        values["out"] = replace(values["out"], quant=Quantization((2.0**-8,), int(rng.integers(-128, 128))))
        values["cell"] = replace(values["cell"], quant=Quantization((2.0**-fraction,)))
        graphs.append(assemble(graph.inputs, graph.outputs, graph.nodes, values.values()))
    return graphs


def side_by_side(graphs: list[Graph]) -> Graph:
    """One graph of many that have nothing to do with each other."""
    values, nodes, inputs, outputs = [], [], [], []
    for index, graph in enumerate(graphs):

        def renamed(name: str, index: int = index) -> str:
            return f"g{index}_{name}"

        values += [replace(value, name=renamed(name)) for name, value in graph.values.items()]
        nodes += [
            replace(
                node,
                name=renamed(node.name),
                inputs=tuple(map(renamed, node.inputs)),
                outputs=tuple(map(renamed, node.outputs)),
            )
            for node in graph.nodes
        ]
        inputs += map(renamed, graph.inputs)
        outputs += map(renamed, graph.outputs)
    return assemble(inputs, outputs, nodes, values)
