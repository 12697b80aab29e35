"""A tiny int8 bundle made by hand: one fully connected layer as .tflite and QDQ .onnx, golden stream and baseline.

The integers of both files and of the golden outputs come from one place, so engines can be compared bit for bit
without the exporter.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgehar.arrays import dump_npz
from edgehar.bundle import Bundle, write_bundle
from edgehar.decision_spec import DecisionSpec
from edgehar.manifest import Head, Manifest, ModelInput
from edgehar.recording import IMU_CHANNELS, UNLABELLED, Recording
from edgehar.signal import QuantParams, default_front_end, sliding_windows
from firmware_export.graph import Graph, Node, Quantization, Value, assemble
from firmware_export.ops.dense import Dense
from firmware_export.ops.reshape import Reshape
from firmware_export.targets.c import write_firmware

LABELS = ("sitting", "walking", "jumping")
RATE_HZ = 50.0
INPUT = QuantParams(2.0**-4, 3)
WEIGHT_SCALE = 2.0**-6
OUTPUT = QuantParams(2.0**-2, -5)
SHIFT = 8  # input scale * weight scale / output scale = 2^-8: requantization is a rounding shift
AMPLITUDES_G = (0.02, 0.3, 1.0)


def synthetic_recording(samples: int, seed: int = 0, name: str = "made", subject: str = "s1") -> Recording:
    """Stretches of noise of three amplitudes, with an unlabelled one between them now and then."""
    rng = np.random.default_rng(seed)
    labels = np.empty(samples, np.int16)
    position = 0
    while position < samples:
        length = int(rng.integers(80, 300))
        labels[position : position + length] = int(rng.integers(UNLABELLED, len(LABELS)))
        position += length
    amplitude = np.array([*AMPLITUDES_G, 0.1])[labels][:, None]
    data = rng.normal(size=(samples, 6)) * amplitude
    data[:, 2] += 1
    return Recording(name, subject, RATE_HZ, IMU_CHANNELS, data.astype(np.float32), labels, LABELS, "made", "none")


def tiny_manifest(window: int, hop: int, decision: DecisionSpec) -> Manifest:
    training = synthetic_recording(2000, seed=99)
    front_end = default_front_end(IMU_CHANNELS)
    return Manifest(
        name="tiny",
        rate_hz=RATE_HZ,
        channels=IMU_CHANNELS,
        window=window,
        hop=hop,
        front_end=front_end.fitted(front_end.run(training.samples)),
        inputs=(ModelInput("window", tuple(range(front_end.width)), quant=INPUT),),
        heads=(Head("activity", "multiclass", LABELS, OUTPUT),),
        decision=decision,
        recipe="static_wi8_ai8",
        model={"name": "tiny", "parameters": 1},
        provenance={"dataset": "made"},
        licence={"data": "none", "model": "Apache-2.0"},
    )


def tiny_weights(window: int, features: int) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    rng = np.random.default_rng(5)
    # Sums are 1 modulo 4: never a tie, nor next to one, where interpreters that round twice (TFLM) differ by 1 LSB
    weights = 4 * rng.integers(-10, 11, (len(LABELS), window * features)).astype(np.int8)
    return weights, 4 * rng.integers(-750, 750, len(LABELS)).astype(np.int32) + 1


def reference_outputs(windows: NDArray[np.int8]) -> NDArray[np.int8]:
    """Integer arithmetic of the layer: int32 accumulation, rounding shift."""
    weights, bias = tiny_weights(*windows.shape[1:])
    flat = windows.reshape(len(windows), weights.shape[1]).astype(np.int64) - INPUT.zero_point
    acc = flat @ weights.astype(np.int64).T + bias
    rounded = (acc + (1 << (SHIFT - 1))) >> SHIFT
    return np.clip(rounded + OUTPUT.zero_point, -128, 127).astype(np.int8)


def tflite_bytes(window: int, features: int, output: QuantParams = OUTPUT) -> bytes:
    weights, bias = tiny_weights(window, features)

    def tensor(name: str, shape: tuple[int, ...], kind: int, buffer: int, quant: QuantParams) -> object:
        t = schema.TensorT()
        t.name, t.shape, t.type, t.buffer = name, list(shape), kind, buffer
        t.quantization = schema.QuantizationParametersT()
        t.quantization.scale, t.quantization.zeroPoint = [quant.scale], [quant.zero_point]
        t.quantization.details = None
        return t

    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT() for _ in range(3)]
    for buffer, array in zip(model.buffers[1:], (weights, bias), strict=True):
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("window", (1, window, features), schema.TensorType.INT8, 0, INPUT),
        tensor("weights", weights.shape, schema.TensorType.INT8, 1, QuantParams(WEIGHT_SCALE, 0)),
        tensor("bias", bias.shape, schema.TensorType.INT32, 2, QuantParams(INPUT.scale * WEIGHT_SCALE, 0)),
        tensor("logits", (1, len(LABELS)), schema.TensorType.INT8, 0, output),
    ]
    graph.inputs, graph.outputs = [0], [3]
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators = [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def onnx_bytes(window: int, features: int, labels: int = len(LABELS)) -> bytes:
    weights, bias = tiny_weights(window, features)
    weights, bias = weights[:labels], bias[:labels]
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    constants = {
        "s_in": np.float32(INPUT.scale),
        "z_in": np.int8(INPUT.zero_point),
        "s_w": np.float32(WEIGHT_SCALE),
        "s_b": np.float32(INPUT.scale * WEIGHT_SCALE),
        "z_b": np.int32(0),
        "s_out": np.float32(OUTPUT.scale),
        "z_out": np.int8(OUTPUT.zero_point),
        "z_w": np.int8(0),
        "w": weights,
        "b": bias,
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["window", "s_in", "z_in"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s_in", "z_in"], ["x"]),
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("DequantizeLinear", ["w", "s_w", "z_w"], ["wf"]),
        helper.make_node("DequantizeLinear", ["b", "s_b", "z_b"], ["bf"]),
        helper.make_node("Gemm", ["flat", "wf", "bf"], ["y"], transB=1),
        helper.make_node("QuantizeLinear", ["y", "s_out", "z_out"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "s_out", "z_out"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("window", onnx.TensorProto.FLOAT, [1, window, features])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, labels])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def tiny_graph(window: int, features: int) -> Graph:
    """The layer as the exporter would hand it to a target."""
    weights, bias = tiny_weights(window, features)
    size = window * features
    quant = Quantization((INPUT.scale,), INPUT.zero_point)
    values = [
        Value("window", (1, window, features), "int8", quant),
        Value("flat", (1, size), "int8", quant),
        Value("weights", weights.shape, "int8", Quantization((WEIGHT_SCALE,) * len(LABELS), 0, 0), weights),
        Value("bias", bias.shape, "int32", Quantization((INPUT.scale * WEIGHT_SCALE,) * len(LABELS), 0, 0), bias),
        Value("logits", (1, len(LABELS)), "int8", Quantization((OUTPUT.scale,), OUTPUT.zero_point)),
    ]
    nodes = [
        Node("reshape", "flatten", ("window",), ("flat",), Reshape((1, size))),
        Node("dense", "dense", ("flat", "weights", "bias"), ("logits",), Dense()),
    ]
    return assemble(["window"], ["logits"], nodes, values)


def firmware_of(manifest: Manifest, graph: Graph) -> dict[str, bytes]:
    """The files of ``firmware/``, by their names in a bundle."""
    return {f"firmware/{name}": data for name, data in write_firmware(manifest, graph).files.items()}


def offline_windows(manifest: Manifest, samples: NDArray[np.float32]) -> NDArray[np.int8]:
    """Windows of the whole recording at once: what training and the exporter see."""
    features = manifest.inputs[0].quant.quantize(manifest.front_end.run(samples))
    return np.ascontiguousarray(sliding_windows(features, manifest.window, manifest.hop))


def tiny_files(manifest: Manifest, golden: Recording, held_out: tuple[Recording, ...] = ()) -> dict[str, bytes]:
    windows = offline_windows(manifest, golden.samples)
    outputs = reference_outputs(windows)
    meta = {"recording": golden.name, "subject": golden.subject, "dataset": "made", "start_sample": 0}
    assert golden.labels is not None
    baseline = {}
    for recording in (golden, *held_out):
        logits = OUTPUT.dequantize(reference_outputs(offline_windows(manifest, recording.samples)))
        baseline[f"logits/{recording.name}"] = logits
        baseline[f"labels/{recording.name}"] = logits.argmax(axis=1).astype(np.int8)
    shape = (manifest.window, manifest.front_end.width)
    return {
        "model_i8.tflite": tflite_bytes(*shape),
        "model_i8.onnx": onnx_bytes(*shape),
        **firmware_of(manifest, tiny_graph(*shape)),
        "golden.npz": dump_npz(
            stream_samples=golden.samples,
            stream_labels=golden.labels,
            stream_windows=windows,
            stream_outputs=outputs,
            stream_logits=OUTPUT.dequantize(outputs),
            meta=np.frombuffer(json.dumps(meta).encode(), np.uint8),
        ),
        "baseline.npz": dump_npz(**baseline),
        "baseline.json": json.dumps({"device": "cpu", "accuracy": 0.5, "macro_f1": 0.5, "windows": 1}).encode(),
    }


def make_tiny_bundle(
    folder: Path,
    window: int = 32,
    hop: int = 16,
    decision: DecisionSpec | None = None,
    held_out: tuple[Recording, ...] = (),
) -> Bundle:
    """Write ``tiny.edgehar`` into ``folder`` and open it."""
    manifest = tiny_manifest(window, hop, decision or DecisionSpec())
    files = tiny_files(manifest, synthetic_recording(1000, seed=7), held_out)
    return Bundle.open(write_bundle(folder / "tiny.edgehar", manifest, files).path)


def altered(bundle: Bundle, folder: Path, files: dict[str, bytes | None] | None = None, **manifest: object) -> Bundle:
    """Write a copy of ``bundle`` with other files (None removes) or manifest fields, hashes right."""
    contents = {name: bundle.read(name) for name in bundle.manifest.files} | (files or {})
    contents = {name: data for name, data in contents.items() if data is not None}
    return write_bundle(folder / "altered.edgehar", replace(bundle.manifest, **manifest), contents)  # type: ignore[arg-type]
