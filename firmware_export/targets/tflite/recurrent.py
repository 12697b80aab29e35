"""How ``lstm`` and what makes it bidirectional are written in TFLite: fused, one operator a layer and direction."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from edgehar.errors import UnsupportedOpError
from firmware_export.graph import Node
from firmware_export.ops.lstm import BIASES, INPUT_WEIGHTS, RECURRENT_WEIGHTS
from firmware_export.targets.tflite.writer import Writer

LEFT_OUT = -1
MOST_CONCATENATED = 10  # inputs that TFLite Micro's CONCATENATION takes
TIME = 1  # of a plain [1, T, C]


def emit_lstm(writer: Writer, node: Node) -> None:
    """UNIDIRECTIONAL_SEQUENCE_LSTM with 24 inputs; peepholes, projection and layer norm are left out.

    The hidden state has the output's scale and zero point. LiteRT reads the fifth intermediate for them and wants all
    five to be there; TFLM ignores them, but they must be empty.
    """
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    x = writer.plain(node.inputs[0])
    weights = [_constant(writer, name) for name in (*node.inputs[INPUT_WEIGHTS], *node.inputs[RECURRENT_WEIGHTS])]
    biases = [_constant(writer, name) for name in node.inputs[BIASES]]
    hidden, cell = (writer.graph.values[name] for name in node.outputs)
    state_shape = (1, hidden.shape[2])
    states = [
        writer.variable(f"{node.output}/hidden", state_shape, hidden.dtype, hidden.quant),
        writer.variable(f"{node.output}/cell", state_shape, cell.dtype, cell.quant),
    ]
    inputs = [x, *weights, *[LEFT_OUT] * 3, *biases, *[LEFT_OUT] * 2, *states, *[LEFT_OUT] * 4]
    intermediates = []
    if hidden.quant is not None:
        intermediates = [writer.scratch(f"{node.output}/scale", (0,), node.output)] * 5
    writer.operator(
        schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM,
        inputs,
        [writer.plain(node.output)],
        (schema.BuiltinOptions.UnidirectionalSequenceLSTMOptions, options),
        intermediates,
    )


def emit_reverse(writer: Writer, node: Node) -> None:
    """REVERSE_V2 along time."""
    axis = writer.numbers(f"{node.output}/axis", [TIME])
    inputs, results = [writer.plain(node.inputs[0]), axis], [writer.plain(node.output)]
    none = (schema.BuiltinOptions.ReverseV2Options, schema.ReverseV2OptionsT())
    writer.operator(schema.BuiltinOperator.REVERSE_V2, inputs, results, none)


def emit_concat(writer: Writer, node: Node) -> None:
    """CONCATENATION along channels, the last axis of either form."""
    if len(node.inputs) > MOST_CONCATENATED:
        raise UnsupportedOpError(
            f"target 'tflite': concat {node.name!r} has {len(node.inputs)} inputs, TFLite Micro takes "
            f"{MOST_CONCATENATED}; concatenate in two steps"
        )
    form = writer.plain if all(writer.is_plain(name) for name in node.inputs) else writer.tensor
    inputs, result = [form(name) for name in node.inputs], form(node.output)
    options = schema.ConcatenationOptionsT()
    options.axis = len(writer.shape(result)) - 1
    code = schema.BuiltinOperator.CONCATENATION
    writer.operator(code, inputs, [result], (schema.BuiltinOptions.ConcatenationOptions, options))


def _constant(writer: Writer, name: str) -> int:
    return writer.constant(name, writer.graph.values[name].shape, axis=None)
