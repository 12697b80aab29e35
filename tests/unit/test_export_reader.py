"""ONNX to graph: layouts against torch, strangers' files against ONNX Runtime, refusals with name and place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgehar.errors import ExportError, UnsupportedOpError
from firmware_export.graph import Graph
from firmware_export.onnx_reader import read_onnx
from firmware_export.passes import PASSES, run_passes
from firmware_export.reference import run
from firmware_export.to_onnx import export_onnx

T, C = 24, 5


class Net(nn.Module):
    """Layers and a function of them, so that a test shows its network in one place."""

    def __init__(self, steps: Callable[[Net, torch.Tensor], torch.Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.steps = steps
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.steps(self, x)


NETWORKS = {
    "conv_flatten_linear": lambda: Net(
        lambda m, x: m.fc(torch.relu(m.conv(x.transpose(1, 2))).flatten(1)),
        conv=nn.Conv1d(C, 3, 5, stride=2),
        fc=nn.Linear(30, 4),
    ),
    "flatten_in_time_order": lambda: Net(
        lambda m, x: m.fc(m.conv(x.transpose(1, 2)).transpose(1, 2).flatten(1)),
        conv=nn.Conv1d(C, 3, 5, stride=2),
        fc=nn.Linear(30, 4),
    ),
    "flatten_relu_norm_linear": lambda: Net(
        lambda m, x: m.fc(m.norm(torch.relu(m.conv(x.transpose(1, 2)).flatten(1)))),
        conv=nn.Conv1d(C, 3, 5, stride=2),
        norm=nn.BatchNorm1d(30),
        fc=nn.Linear(30, 4),
    ),
    "adaptive_pool": lambda: Net(
        lambda m, x: m.fc(m.pool(m.conv(x.transpose(1, 2))).squeeze(-1)),
        conv=nn.Conv1d(C, 6, 3, padding="same"),
        pool=nn.AdaptiveAvgPool1d(1),
        fc=nn.Linear(6, 4),
    ),
    "pools": lambda: Net(
        lambda m, x: m.net(x.transpose(1, 2)).amax(-1),
        net=nn.Sequential(nn.Conv1d(C, 6, 3), nn.MaxPool1d(3, 2, padding=1), nn.ReLU6(), nn.AvgPool1d(2)),
    ),
    "residual": lambda: Net(
        lambda m, x: m.fc(torch.relu(m.outer(x.transpose(1, 2)) + m.inner(m.outer(x.transpose(1, 2)))).mean(-1)),
        outer=nn.Conv1d(C, 6, 1),
        inner=nn.Sequential(nn.Conv1d(6, 6, 3, padding=2, dilation=2, groups=2), nn.BatchNorm1d(6)),
        fc=nn.Linear(6, 4),
    ),
    "depthwise": lambda: Net(
        lambda m, x: m.net(x.transpose(1, 2)).mean(-1),
        net=nn.Sequential(nn.Conv1d(C, 2 * C, 5, groups=C), nn.ReLU(), nn.Conv1d(2 * C, 4, 1)),
    ),
    "mlp": lambda: Net(
        lambda m, x: m.net(x.flatten(1)),
        net=nn.Sequential(nn.Linear(T * C, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 4), nn.Softmax(-1)),
    ),
    "norm_first": lambda: Net(
        lambda m, x: m.net((x - 0.5).transpose(1, 2)).mean(-1),
        net=nn.Sequential(nn.BatchNorm1d(C), nn.Conv1d(C, 4, 3), nn.MaxPool1d(2), nn.ReLU()),
    ),
}


def random_network(name: str) -> nn.Module:
    torch.manual_seed(3)
    module = NETWORKS[name]()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d):
            assert layer.running_mean is not None and layer.running_var is not None
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.3, 2)
            nn.init.uniform_(layer.weight, -1, 2)  # of either sign
            nn.init.normal_(layer.bias)
    return module.eval()


def read(data: bytes) -> Graph:
    return run_passes(read_onnx(data), PASSES)


@pytest.mark.parametrize("name", NETWORKS)
def test_graph_equals_torch(name: str) -> None:
    module = random_network(name)
    windows = np.random.default_rng(0).normal(size=(40, T, C)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(windows)).numpy()
    graph = read(export_onnx(module, torch.zeros(1, T, C)))
    assert "batch_norm" not in {node.op for node in graph.nodes}
    (found,) = run(graph, windows)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


IMAGES = {
    "keyword": lambda: Net(
        lambda m, x: m.fc(m.net(x).flatten(1)),
        net=nn.Sequential(
            nn.Conv2d(2, 6, (5, 3), stride=(2, 1), padding=(2, 1)),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, padding=1, groups=6),
            nn.ReLU6(),
            nn.MaxPool2d(2),
            nn.AvgPool2d((2, 1)),
        ),
        fc=nn.Linear(6 * 1 * 4, 4),
    ),
    "global_pools": lambda: Net(
        lambda m, x: m.fc(torch.cat([m.conv(x).mean((2, 3)), m.conv(x).amax((2, 3))], 1)),
        conv=nn.Conv2d(2, 3, 3, dilation=(2, 1)),
        fc=nn.Linear(6, 4),
    ),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_equal_torch(name: str) -> None:
    torch.manual_seed(3)
    module = IMAGES[name]().eval()
    images = np.random.default_rng(0).normal(size=(20, 2, 12, 9)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    graph = read(export_onnx(module, torch.from_numpy(images[:1])))
    (found,) = run(graph, np.ascontiguousarray(images.transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_export_is_deterministic_quiet_and_leaves_the_module_alone(capfd: pytest.CaptureFixture[str]) -> None:
    module = random_network("residual").train()
    first = export_onnx(module, torch.zeros(1, T, C))
    assert module.training and module.inner.training
    assert export_onnx(module, torch.randn(7, T, C)) == first
    assert capfd.readouterr() == ("", "")
    model = onnx.load_model_from_string(first)
    assert [v.name for v in (*model.graph.input, *model.graph.output)] == ["features", "logits"]
    assert model.opset_import[0].version == 20
    assert b".py" not in first  # a stack trace would name this machine's folders


def test_export_of_a_module_torch_cannot_follow() -> None:
    module = Net(lambda m, x: x.mean(1) if float(x.sum()) > 0 else x.amax(1))
    with pytest.raises(ExportError, match="torch cannot export Net for input \\[1, 24, 5\\]"):
        export_onnx(module, torch.zeros(1, T, C))


def stranger(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], shape: list[int | str], out: int) -> bytes:
    """A file of another exporter: channels-first input ``x``, output ``y``."""
    graph = helper.make_graph(
        nodes,
        "stranger",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, out])],
        [numpy_helper.from_array(np.asarray(data), name) for name, data in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def test_channels_first_file_with_batch_norm_and_auto_pad() -> None:
    rng = np.random.default_rng(4)
    f32 = {
        "w": rng.normal(size=(6, C, 4)),
        "gamma": rng.normal(size=6),
        "beta": rng.normal(size=6),
        "mean": rng.normal(size=6),
        "var": rng.uniform(0.5, 2, 6),
        "m": rng.normal(size=(6 * 12, 3)),
        "b": rng.normal(size=3),
    }
    constants = {name: data.astype(np.float32) for name, data in f32.items()}
    constants["shape"] = np.array([0, -1], np.int64)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], auto_pad="SAME_LOWER", strides=[2]),
        helper.make_node("BatchNormalization", ["c", "gamma", "beta", "mean", "var"], ["n"]),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("Reshape", ["r", "shape"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["d"]),
        helper.make_node("Add", ["b", "d"], ["y"]),
    ]
    file = stranger(nodes, constants, [1, C, T], 3)
    graph = read(file)
    assert [node.op for node in graph.nodes] == ["conv1d", "reshape", "dense"]
    assert graph.values["x"].shape == (1, T, C)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    windows = rng.normal(size=(9, T, C)).astype(np.float32)
    expected = np.concatenate([session.run(None, {"x": w.T[None]})[0] for w in windows])
    np.testing.assert_allclose(run(graph, windows)[0], expected, rtol=1e-4, atol=1e-4)


def test_unknown_operator_names_itself_its_node_and_its_place() -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"], name="pool"),
        helper.make_node("Erf", ["p"], ["e"], name="gelu_inside"),
        helper.make_node("Flatten", ["e"], ["y"]),
    ]
    with pytest.raises(UnsupportedOpError) as caught:
        read_onnx(stranger(nodes, {}, [1, C, T], C))
    assert "operator Erf (node 'gelu_inside', 2 of 3, reads 'p')" in str(caught.value)
    assert "known are Add" in str(caught.value)


def test_unknown_operator_of_torch_names_the_module_and_the_other_converter() -> None:
    gelu = helper.make_node("Gelu", ["x"], ["y"], name="node_gelu")
    entry = gelu.metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.name_scopes", "['', 'body', 'body.1', 'gelu']"
    with pytest.raises(UnsupportedOpError, match=r"reads 'x', in module 'body\.1'\).*--converter litert"):
        read_onnx(stranger([gelu], {}, [1, C, T], C))


def test_unknown_domain_is_named() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="odd", domain="com.example")]
    with pytest.raises(UnsupportedOpError, match=r"Relu \(node 'odd'.*com\.example"):
        read_onnx(stranger(nodes, {}, [1, C, T], C))


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([helper.make_node("ReduceMean", ["x"], ["y"], axes=[2])], "reduced over axes"),
        ([helper.make_node("Clip", ["x", "low", "high"], ["y"])], "clamp to -1.0..1.0"),
        ([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2], strides=[2], dilations=[2])], r"dilations \[2\]"),
        ([helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[3], pads=[1, 1])], "padding"),
        ([helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[99])], "reaches over 99 samples"),
        ([helper.make_node("Softmax", ["x"], ["y"], axis=1)], "softmax"),
        ([helper.make_node("Mul", ["x", "w"], ["y"])], "one number"),
    ],
    ids=lambda p: p[0].op_type if isinstance(p, list) else None,
)
def test_settings_that_cannot_be_placed_are_refused(nodes: list[onnx.NodeProto], reason: str) -> None:
    constants = {
        "low": np.float32(-1),
        "high": np.float32(1),
        "w": np.zeros((2, C, 99), np.float32),
    }
    with pytest.raises(UnsupportedOpError, match=reason):
        read_onnx(
            stranger(nodes, constants, [1, C, T] if nodes[0].op_type not in ("ReduceMean", "Softmax") else [1, T, C], C)
        )


def test_files_that_are_no_model_or_have_no_fixed_window() -> None:
    with pytest.raises(ExportError, match="7 bytes are not a readable ONNX model"):
        read_onnx(b"garbage")
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["y"])]
    with pytest.raises(ExportError, match=r"'x' has shape \['1', '5', 'time'\].*fixed window"):
        read_onnx(stranger(nodes, {}, [1, C, "time"], C))
    with pytest.raises(ExportError, match="channels-first"):
        read_onnx(stranger([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2])], {}, [1, C, T], C))
