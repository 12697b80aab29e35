"""A ``.tflite`` for one window made into the same network for several at once.

Our files fix the batch at 1, also inside the constants of reshapes, so LiteRT's ``resize_tensor_input`` is refused.
Weights, scales and operators stay as they are.
"""

from __future__ import annotations

import numpy as np


def with_batch(model: bytes, batch: int) -> bytes:
    """Return ``model`` with the leading axis of everything it computes ``batch`` long instead of 1.

    Only a claim: whoever uses it compares its outputs with those of the original.

    Raises:
        ImportError: no schema of TensorFlow Lite files is installed.
        ValueError: something it computes has no leading axis of 1.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    root = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    (graph,) = root.subgraphs
    for index in {*graph.inputs, *(output for operator in graph.operators for output in operator.outputs)}:
        tensor = graph.tensors[index]
        shape = [] if tensor.shape is None else [int(n) for n in tensor.shape]
        if not shape or shape[0] != 1:
            raise ValueError(f"tensor {tensor.name!r} has shape {shape}, expected a leading 1")
        tensor.shape, tensor.shapeSignature = [batch, *shape[1:]], None
    for operator in graph.operators:
        code = root.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) != schema.BuiltinOperator.RESHAPE:
            continue
        target = list(graph.tensors[operator.outputs[0]].shape)
        if operator.builtinOptions is not None and operator.builtinOptions.newShape is not None:
            operator.builtinOptions.newShape = target
        if len(operator.inputs) > 1:
            constant = graph.tensors[operator.inputs[1]]
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.array(target, np.int32).tobytes(), np.uint8)
            constant.buffer = len(root.buffers)
            root.buffers.append(buffer)
    builder = flatbuffers.Builder(len(model))
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())
