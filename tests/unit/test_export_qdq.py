"""QDQ files: their integers are kept; ONNX Runtime's own quantizer, fake quantization and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import nn

from edgehar.errors import ExportError, UnsupportedOpError
from firmware_export.affine import to_integers, to_real
from firmware_export.calibration import calibrate
from firmware_export.graph import Fixed, Graph, Node, Quantization, Range, Value, assemble
from firmware_export.onnx_reader import read_onnx
from firmware_export.onnx_reader.stored import dequantized, fixed_integers
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.concat import Concat
from firmware_export.passes import PASSES, RANGE_PASSES, run_passes
from firmware_export.quantize import quantize
from firmware_export.reference import run
from firmware_export.to_onnx import export_onnx

T, C = 24, 5


class Series(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv1d(C, 8, 3, padding=1), nn.Conv1d(8, 8, 3, groups=8)
        self.point, self.head = nn.Conv1d(8, 12, 1), nn.Linear(12 * 11, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.depthwise(torch.relu(self.stem(x.transpose(1, 2)))))
        return self.head(nn.functional.max_pool1d(self.point(x), 2).flatten(1))  # type: ignore[no-any-return]


class Image(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(1, 8, (10, 4), stride=2, padding=(5, 1)), nn.Conv2d(8, 8, 3, 1, 1, 1, 8)
        self.point, self.head = nn.Conv2d(8, 12, 1), nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(self.point(x + torch.relu(self.depthwise(x))))
        return torch.softmax(self.head(x.mean((2, 3))), -1)


NETWORKS = {"series": (Series, (1, T, C), (0, 1, 2)), "image": (Image, (1, 1, 49, 10), (0, 2, 3, 1))}


class Windows(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, windows: np.ndarray) -> None:
        self.rest: Iterator[np.ndarray] = iter(windows)

    def get_next(self) -> dict[str, np.ndarray] | None:
        window = next(self.rest, None)
        return None if window is None else {"features": window[None]}


def quantized(graph: Graph) -> Graph:
    """To integers without calibration: the file must have fixed every scale."""
    return quantize(run_passes(run_passes(graph, PASSES), RANGE_PASSES))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("activations", "per_channel"), [("QInt8", True), ("QUInt8", False)])
def test_static_quantization_of_onnxruntime(name: str, activations: str, per_channel: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    kind, shape, order = NETWORKS[name]
    windows = np.random.default_rng(0).normal(size=(48, *shape[1:])).astype(np.float32)
    (tmp_path / "f.onnx").write_bytes(export_onnx(kind().eval(), torch.zeros(shape)))
    quantize_static(
        tmp_path / "f.onnx",
        tmp_path / "q.onnx",
        Windows(windows),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType[activations],
        weight_type=QuantType.QInt8,
        per_channel=per_channel,
    )
    file = (tmp_path / "q.onnx").read_bytes()
    graph = quantized(read_onnx(file))
    stored = {i.name: numpy_helper.to_array(i) for i in onnx.load_model_from_string(file).graph.initializer}
    ours = sorted(v.data.ravel().tolist() for v in graph.values.values() if v.data is not None and v.dtype == "int32")
    assert ours == sorted(a.ravel().tolist() for name, a in stored.items() if name.endswith("bias_quantized"))
    source, sink = (graph.values[n].quantization for n in (graph.inputs[0], graph.outputs[0]))
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"features": w[None]})[0] for w in windows])
    (found,) = run(graph, to_integers(windows.transpose(order), source))
    # ONNX Runtime rescales in float32; on the softmax it keeps its own scale
    assert np.abs(to_real(found, sink) - expected).max() <= 2.01 * sink.scale


def test_fake_quantization_overrides_calibration() -> None:
    """What torch exports of quantization-aware training: activations, weights a channel and a tensor, float biases."""
    torch.manual_seed(1)
    conv, head = nn.Conv1d(C, 8, 3), nn.Linear(8, 4)
    scales = conv.weight.detach().abs().amax((1, 2)) / 100

    class Trained(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = conv, head

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            fake = torch.fake_quantize_per_tensor_affine
            zeros = torch.zeros(8, dtype=torch.int32)
            weight = torch.fake_quantize_per_channel_affine(conv.weight, scales, zeros, 0, -128, 127)
            x = torch.relu(nn.functional.conv1d(fake(x, 0.05, 3, -128, 127).transpose(1, 2), weight, conv.bias))
            x = fake(x, 0.02, -128, -128, 127).mean(-1)
            return nn.functional.linear(x, fake(head.weight, 0.003, 0, -128, 127), head.bias)

    graph = run_passes(read_onnx(export_onnx(Trained().eval(), torch.zeros(1, T, C))), PASSES)
    windows = np.random.default_rng(0).normal(size=(32, T, C)).astype(np.float32)
    with pytest.raises(ExportError, match="'logits' has no calibrated range"):  # the last layer's output is free
        quantize(run_passes(graph, RANGE_PASSES))
    integers = quantize(run_passes(calibrate(graph, windows), RANGE_PASSES))
    quants = {name: value.quantization for name, value in integers.values.items()}
    assert quants["features"] == Quantization((float(np.float32(0.05)),), 3)
    assert quants["relu"] == quants["mean"] == Quantization((float(np.float32(0.02)),), -128)
    weight, dense = (integers.nodes[i].inputs[1] for i in (0, -1))
    assert quants[weight].scales == tuple(scales.tolist())
    expected = torch.round(conv.weight.detach() / scales[:, None, None]).to(torch.int8).numpy().transpose(0, 2, 1)
    assert np.array_equal(integers.values[weight].data, expected)
    assert np.array_equal(integers.values[dense].data, np.rint(head.weight.detach().numpy() / np.float32(0.003)))
    with torch.no_grad():
        real = Trained()(torch.from_numpy(windows)).numpy()
    sink = integers.values[integers.outputs[0]].quantization
    (found,) = run(integers, to_integers(windows, quants["features"]))
    # the mean over time is rounded too, which training did not see
    assert np.abs(to_real(found, sink) - real).max() < 0.05


def qdq(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], dtype: int = TensorProto.FLOAT) -> bytes:
    graph = helper.make_graph(
        nodes,
        "stranger",
        [helper.make_tensor_value_info("x", dtype, [1, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6])],
        [numpy_helper.from_array(np.asarray(data), name) for name, data in constants.items()],
    )
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())


Q, DQ = "QuantizeLinear", "DequantizeLinear"


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([(Q, "x s8 z8", "q"), (DQ, "q s8 z16", "y")], r"zero points of type int16.*per tensor to 8 bits"),
        ([(Q, "x s6 z6", "q"), (DQ, "q s6 z6", "y")], "an activation with 6 scales"),
        ([(Q, "x s8 z8", "q"), (DQ, "q s8 z8", "d"), (Q, "d s9 z8", "r"), (DQ, "r s9 z8", "y")], "each tensor once"),
        ([(Q, "x s0 z8", "q"), (DQ, "q s0 z8", "y")], "expected positive numbers"),
    ],
)
def test_what_has_no_place_is_refused(nodes: list[tuple[str, str, str]], reason: str) -> None:
    constants = {
        "s8": np.float32(0.5),
        "s9": np.float32(0.25),
        "s0": np.float32(0),
        "s6": np.full(6, 0.5, np.float32),
        "z8": np.int8(3),
        "z16": np.int16(3),
        "z6": np.zeros(6, np.int8),
    }
    made = [helper.make_node(op, inputs.split(), [output]) for op, inputs, output in nodes]
    with pytest.raises(UnsupportedOpError, match=reason):
        read_onnx(qdq(made, constants))


def test_integer_input_needs_a_scale() -> None:
    nodes = [helper.make_node("Flatten", ["x"], ["y"])]
    with pytest.raises(ExportError, match="'x' is INT8 and no DequantizeLinear says of which scale"):
        read_onnx(qdq(nodes, {}, TensorProto.INT8))
    nodes = [helper.make_node(DQ, ["x", "s"], ["y"])]  # no zero point: uint8, 0
    graph = read_onnx(qdq(nodes, {"s": np.float32(0.5)}, TensorProto.UINT8))
    fixed = graph.values["x"].fixed
    assert fixed is not None and fixed.quant == Quantization((0.5,), -128)


def test_integers_are_found_again_wherever_they_lie() -> None:
    rng = np.random.default_rng(2)
    for dtype in (np.int8, np.int32):
        limits = np.iinfo(dtype)
        integers = rng.integers(limits.min, limits.max, (6, 5, 3), dtype=dtype, endpoint=True)
        scales = (2.0 ** rng.uniform(-12, 2, 6)).astype(np.float32)
        real, stored = dequantized(integers, scales, None, 0)
        found = fixed_integers(real.transpose(1, 2, 0)[::-1], stored)
        assert found is not None and found.quant == Quantization(tuple(scales.tolist()), 0, 2)
        assert np.array_equal(found.integers, integers.transpose(1, 2, 0)[::-1])
        assert fixed_integers(real * 1.01, stored) is None
        assert fixed_integers(real.reshape(3, -1), stored) is None
    with pytest.raises(ValueError, match="6 scales along axis 1"):
        dequantized(integers, scales, None, 1)


def pooled(fixed: dict[str, Quantization], ranges: dict[str, Range]) -> Graph:
    """Two inputs side by side, then their mean over time."""
    shapes = {"a": (1, 4, 2), "b": (1, 4, 3), "both": (1, 4, 5), "y": (1, 1, 5)}
    values = [
        Value(n, shape, fixed=Fixed(fixed[n]) if n in fixed else None, range=ranges.get(n))
        for n, shape in shapes.items()
    ]
    nodes = [
        Node("concat", "concat", ("a", "b"), ("both",), Concat()),
        Node("average_pool1d", "pool", ("both",), ("y",), AveragePool1d(4, 4)),
    ]
    return run_passes(assemble(["a", "b"], ["y"], nodes, values), RANGE_PASSES)


def test_one_fixed_scale_holds_for_all_that_must_share_it() -> None:
    graph = quantize(pooled({"both": Quantization((0.5,), 7)}, {"a": Range(-1, 1)}))
    assert {v.quantization for v in graph.values.values()} == {Quantization((0.5,), 7)}


def test_several_fixed_scales_are_covered_by_one() -> None:
    graph = quantize(pooled({"a": Quantization((0.5,), 0), "b": Quantization((1.0,), -128)}, {"y": Range(-70, 0)}))
    (quant,) = {v.quantization for v in graph.values.values()}
    low, high = ((end - quant.zero_point) * quant.scale for end in (-128, 127))
    assert low == pytest.approx(-70, abs=1) and high == pytest.approx(255, abs=1)
