"""Builds the QDQ file. A series ``[1, T, C]`` of ours is ``[1, C, T]`` inside, an image ``[1, C, H, W]``."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from firmware_export.affine import INT8_MAX, INT8_MIN
from firmware_export.graph import Graph, Quantization
from firmware_export.ops.op import FusedActivation, int8_limits

OPSET = 20
ML_DOMAIN, ML_OPSET = "ai.onnx.ml", 3  # trees
IR_VERSION = 9  # what ONNX Runtime 1.17 and later read
_ELEMENT = {"int8": onnx.TensorProto.INT8, "float32": onnx.TensorProto.FLOAT}


class Writer:
    """One file in the making. Emitters work on real numbers; quantization happens where tensors are read and made."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._nodes: list[Any] = []
        self._initializers: list[Any] = []
        self._real: dict[str, str] = {}
        self._stored: dict[str, NDArray[Any]] = {}
        for name in graph.inputs:
            inner = self.channels_first(name, f"{name}/nct", len(graph.values[name].shape))
            self._real[name] = self._dequantized(inner, graph.values[name].quantization)

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append an ONNX node; return its output."""
        self._nodes.append(helper.make_node(op, inputs, [output], name=f"{op}_{len(self._nodes)}", **attributes))
        return output

    def initializer(self, name: str, data: NDArray[Any]) -> str:
        """Add a constant; return its name."""
        self._stored[name] = np.asarray(data)
        self._initializers.append(numpy_helper.from_array(np.asarray(data, order="C"), name))
        return name

    def real(self, name: str) -> str:
        """Return the real-valued tensor of an activation, ``[1, C, T]`` for a series, ``[1, C, H, W]`` for an image."""
        return self._real[name]

    def dequantized_constant(self, name: str, data: NDArray[Any], quant: Quantization) -> str:
        """Add integers that are no value of the graph; return their real-valued tensor."""
        return self._dequantized(self.initializer(name, data), quant)

    def real_constant(self, name: str, data: NDArray[Any], axis: int | None) -> str:
        """Return the real-valued tensor of a constant whose integers are ``data``, scales along ``axis``."""
        quant = self.graph.values[name].quantization
        stored = self.initializer(name, data)
        return self._dequantized(stored, quant if axis is None else Quantization(quant.scales, 0, axis))

    def result(self, name: str, real: str, activation: FusedActivation = FusedActivation.NONE) -> None:
        """Quantize a node's real-valued result, clamped, into an activation.

        The clamp is written only where the int8 limits do not do it already, so that the runtime can fuse.
        """
        quant = self.graph.values[name].quantization
        if int8_limits(activation, quant) != (INT8_MIN, INT8_MAX):
            real = self._clamped(real, f"{name}/clamped", activation)
        inner = f"{name}/nct" if name in self.graph.outputs and len(self.graph.values[name].shape) > 2 else name
        quantized = self.node("QuantizeLinear", [real, *self._parameters(name, quant)], inner)
        self._real[name] = self._dequantized(quantized, quant)

    def finish(self) -> bytes:
        """Return the file."""
        for name in self.graph.outputs:
            if len(self.graph.values[name].shape) > 2:
                self.channels_last(f"{name}/nct", name, len(self.graph.values[name].shape))
        inputs = [self._description(name) for name in self.graph.inputs]
        outputs = [self._description(name) for name in self.graph.outputs]
        graph = helper.make_graph(self._nodes, "edgehar", inputs, outputs, self._initializers)
        opsets = {"": OPSET} | ({ML_DOMAIN: ML_OPSET} if any(node.domain == ML_DOMAIN for node in self._nodes) else {})
        imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        model = helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)
        model.producer_name = "edgehar"
        return bytes(model.SerializeToString(deterministic=True))

    def _clamped(self, real: str, output: str, activation: FusedActivation) -> str:
        if activation is FusedActivation.RELU:
            return self.node("Relu", [real], output)
        limits = [self.initializer(f"{output}/{i}", np.asarray(i, np.float32)) for i in (0, 6)]
        return self.node("Clip", [real, *limits], output)

    def _parameters(self, name: str, quant: Quantization) -> tuple[str, str]:
        scales = np.asarray(quant.scales, np.float32)
        scale = self.initializer(
            f"{name}/scale/{len(self._initializers)}", scales if quant.axis is not None else scales[0]
        )
        dtype = self._stored[name].dtype if name in self._stored else np.int8
        zeros = np.full(scales.shape if quant.axis is not None else (), quant.zero_point, dtype)
        return scale, self.initializer(f"{name}/zero_point/{len(self._initializers)}", zeros)

    def _dequantized(self, name: str, quant: Quantization) -> str:
        axis = {} if quant.axis is None else {"axis": quant.axis}
        return self.node("DequantizeLinear", [name, *self._parameters(name, quant)], f"{name}/real", **axis)

    def channels_first(self, tensor: str, output: str, rank: int) -> str:
        """Return a tensor in our order of axes as the file has it: channels after N; a row stays as it is."""
        if rank == 2:
            return tensor
        return self.node("Transpose", [tensor], output, perm=[0, rank - 1, *range(1, rank - 1)])

    def channels_last(self, tensor: str, output: str, rank: int) -> str:
        """Return a tensor of the file in our order of axes."""
        if rank == 2:
            return tensor
        return self.node("Transpose", [tensor], output, perm=[0, *range(2, rank), 1])

    def _description(self, name: str) -> Any:
        value = self.graph.values[name]
        return helper.make_tensor_value_info(name, _ELEMENT[value.dtype], list(value.shape))
