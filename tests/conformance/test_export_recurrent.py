"""Recurrent networks from random torch weights: fused operators, exact float, TFLM's bits, small files, refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tflite_micro import runtime
from torch import Tensor, nn

from edgehar.errors import UnsupportedOpError, VerificationError
from firmware_export.affine import cell_quantization
from firmware_export.convert import convert
from firmware_export.graph import Range
from firmware_export.onnx_reader import read_onnx
from firmware_export.ops import is_stateful
from firmware_export.reference import run
from firmware_export.to_onnx import export_onnx
from firmware_export.verify import RECURRENT_BOUNDS, RECURRENT_WINDOWS, bounds_of, verify

T, C, K = 40, 5, 4


class Net(nn.Module):
    """An LSTM whose results a function of ``(output, (h, c))`` turns into one row of features."""

    def __init__(self, rows: Callable[..., Tensor], width: int, features: int = C, **settings: object) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, batch_first=True, **settings)  # type: ignore[arg-type]
        self.rows, self.head = rows, nn.Linear(width, K)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rows(*self.lstm(x)))  # type: ignore[no-any-return]


NETWORKS = {
    "mean": lambda: Net(lambda y, _: y.mean(1), 6, hidden_size=6),
    "last_step": lambda: Net(lambda y, _: y[:, -1], 6, hidden_size=6, num_layers=2),
    "slice": lambda: Net(lambda y, _: y[:, 10:30].mean(1), 6, hidden_size=6),
    "last_state": lambda: Net(lambda _, states: states[0][0], 6, hidden_size=6),
    "no_bias": lambda: Net(lambda y, _: y.mean(1), 6, hidden_size=6, bias=False),
    "bidirectional": lambda: Net(lambda y, _: y.mean(1), 12, hidden_size=6, bidirectional=True),
    "stacked": lambda: Net(lambda y, _: y[:, -1], 14, hidden_size=7, num_layers=3, bidirectional=True),
}


def windows_of(n: int, t: int = T, c: int = C) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, t, c)).astype(np.float32)


@pytest.mark.parametrize("name", NETWORKS)
def test_float_follows_torch_and_integers_follow_the_engines(name: str) -> None:
    torch.manual_seed(3)
    module = NETWORKS[name]().eval()
    windows = windows_of(48)
    converted = convert(export_onnx(module, torch.zeros(1, T, C)), windows)
    with torch.no_grad():
        expected = module(torch.from_numpy(windows)).numpy()
    np.testing.assert_allclose(run(converted.float_graph, windows)[0], expected, rtol=1e-5, atol=1e-5)
    integers = converted.input_quants[0].quantize(windows)
    files = converted.files
    report = verify(converted.integers, files["model_i8.tflite"], files["model_i8.onnx"], integers)
    assert {e.engine: e.max_lsb for e in report.engines}["tflm"] == 0
    found = converted.output_quants[0].dequantize(run(converted.integers, integers)[0])
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.1 * np.std(expected)
    assert is_stateful(converted.integers) and bounds_of(converted.integers) == RECURRENT_BOUNDS


def test_of_a_recurrent_network_a_share_of_many_windows_is_verified() -> None:
    torch.manual_seed(3)
    module = NETWORKS["mean"]().eval()
    converted = convert(export_onnx(module, torch.zeros(1, T, C)), windows_of(8))
    integers = converted.input_quants[0].quantize(windows_of(RECURRENT_WINDOWS + 1))
    files = converted.files
    report = verify(converted.integers, files["model_i8.tflite"], files["model_i8.onnx"], integers)
    assert {e.windows for e in report.engines} == {RECURRENT_WINDOWS // 2 + 1}
    expected = tuple(np.where(output < 100, output + 1, output) for output in run(converted.integers, integers))
    with pytest.raises(VerificationError, match=r"'tflm' differs by 1 LSB, at most 0 are allowed"):
        verify(converted.integers, files["model_i8.tflite"], files["model_i8.onnx"], integers, expected)


def test_float_file_starts_every_window_afresh_once_it_is_reset() -> None:
    torch.manual_seed(4)
    module = NETWORKS["bidirectional"]().eval()
    windows = windows_of(3)
    file = convert(export_onnx(module, torch.zeros(1, T, C)), windows, "float32").files["model_f32.tflite"]
    with torch.no_grad():
        expected = module(torch.from_numpy(windows)).numpy()
    litert, tflm = Interpreter(model_content=file), runtime.Interpreter.from_bytes(file, arena_size=2**20)
    litert.allocate_tensors()
    (source,), (sink,) = litert.get_input_details(), litert.get_output_details()
    for window, row in zip(windows, expected, strict=True):
        litert.reset_all_variables()
        litert.set_tensor(source["index"], window[None])
        litert.invoke()
        np.testing.assert_allclose(litert.get_tensor(sink["index"])[0], row, rtol=1e-4, atol=1e-5)
        tflm.reset()
        tflm.set_input(window[None], 0)
        tflm.invoke()
        np.testing.assert_allclose(tflm.get_output(0)[0], row, rtol=1e-4, atol=1e-5)
    tflm.set_input(windows[-1:], 0)
    tflm.invoke()  # not reset: the state of the last window is still there
    assert np.abs(tflm.get_output(0)[0] - expected[-1]).max() > 1e-4


def test_bilstm_of_two_layers_is_small() -> None:
    """BiLSTM 2 x 64 over a window of 128 samples and 9 features. Measured: 151.6 kB, arena of 48.8 kB."""
    torch.manual_seed(0)
    module = Net(lambda y, _: y.mean(1), 128, 9, hidden_size=64, num_layers=2, bidirectional=True).eval()
    converted = convert(export_onnx(module, torch.zeros(1, 128, 9)), windows_of(4, 128, 9))
    file = converted.files["model_i8.tflite"]
    assert len(file) < 152_000
    model = schema.Model.GetRootAsModel(file, 0)
    graph = model.Subgraphs(0)
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    codes = Counter(model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode() for operator in operators)
    builtin = schema.BuiltinOperator
    assert codes == {
        builtin.UNIDIRECTIONAL_SEQUENCE_LSTM: 4, builtin.REVERSE_V2: 4, builtin.CONCATENATION: 2,
        builtin.RESHAPE: 2, builtin.AVERAGE_POOL_2D: 1, builtin.CONV_2D: 1,
    }  # fmt: skip
    lstm = next(o for o in operators if o.InputsLength() == 24)
    absent = [i for i in range(24) if lstm.Inputs(i) == -1]
    assert absent == [9, 10, 11, 16, 17, 20, 21, 22, 23]
    hidden, cell, output = (graph.Tensors(i) for i in (lstm.Inputs(18), lstm.Inputs(19), lstm.Outputs(0)))
    assert hidden.IsVariable() and cell.IsVariable()
    assert (hidden.Type(), cell.Type()) == (schema.TensorType.INT8, schema.TensorType.INT16)
    scale, zero_point = output.Quantization().Scale(0), output.Quantization().ZeroPoint(0)
    intermediate = graph.Tensors(lstm.Intermediates(4)).Quantization()
    for quant in (hidden.Quantization(), intermediate):
        assert (quant.Scale(0), quant.ZeroPoint(0)) == (scale, zero_point)
    assert np.log2(cell.Quantization().Scale(0)) in range(-15, -8)
    runtime.Interpreter.from_bytes(file, arena_size=64 * 1024)


def test_both_directions_and_their_concatenation_share_one_scale() -> None:
    torch.manual_seed(2)
    module = Net(lambda y, _: y.mean(1), 12, hidden_size=6, bidirectional=True).eval()
    with torch.no_grad():
        module.lstm.bias_ih_l0_reverse.fill_(2.0)  # the directions' own ranges differ
    graph = convert(export_onnx(module, torch.zeros(1, T, C)), windows_of(20)).integers
    concat = next(node for node in graph.nodes if node.op == "concat")
    names = [*concat.inputs, concat.output]
    names += [name for node in graph.nodes if node.op == "reverse" for name in (*node.inputs, node.output)]
    hidden = {graph.values[name].quantization for name in names} - {graph.values["features"].quantization}
    assert len(hidden) == 1


def test_cell_scale_covers_the_range_within_what_litert_computes() -> None:
    for largest, bits in ((0.3, 15), (1.0, 14), (3.0, 13), (31.0, 10), (60.0, 9), (101.0, 9)):
        assert cell_quantization(Range(-largest, 0.1)).scale == 2.0**-bits
        assert cell_quantization(Range(0.0, largest)).scale == 2.0**-bits


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda _, states: states[1][0], "last cell state .Y_c. is used"),
        (lambda y, states: y.mean(1) + states[0][0], None),
    ],
)
def test_states_behind_the_output(rows: Callable[..., Tensor], message: str | None) -> None:
    torch.manual_seed(0)
    file = export_onnx(Net(rows, 6, hidden_size=6).eval(), torch.zeros(1, T, C))
    if message is None:
        assert [node.op for node in read_onnx(file).nodes].count("lstm") == 1
        return
    with pytest.raises(UnsupportedOpError, match=message):
        read_onnx(file)


def test_last_states_of_two_directions_are_refused_with_a_way_out() -> None:
    net = Net(lambda _, states: torch.cat([states[0][0], states[0][1]], 1), 12, hidden_size=6, bidirectional=True)
    with pytest.raises(UnsupportedOpError, match=r"\(Y_h\) of two directions are used; pool the output"):
        read_onnx(export_onnx(net.eval(), torch.zeros(1, T, C)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip": 3.0}, "clip and input_forget"),
        ({"activations": ["Sigmoid", "Relu", "Tanh"]}, "activations"),
        ({"initial_h": 0.5}, "initial_h other than zero"),
    ],
)
def test_other_lstms_are_refused(changes: dict[str, object], message: str) -> None:
    model = onnx.load_model_from_string(export_onnx(NETWORKS["mean"]().eval(), torch.zeros(1, T, C)))
    node = next(n for n in model.graph.node if n.op_type == "LSTM")
    for name, value in changes.items():
        if name == "initial_h":
            start = np.full((1, 1, 6), value, np.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(start, "start"))
            node.input[5] = "start"
        else:
            node.attribute.append(onnx.helper.make_attribute(name, value))
    with pytest.raises(UnsupportedOpError, match=message):
        read_onnx(model.SerializeToString())
