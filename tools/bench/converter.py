"""Our export beside litert-torch + ai-edge-quantizer, for the same trained network, in one process.

    pip install 'edgehar[all,litert]'
    python tools/bench/converter.py RUN [--json FILE]

For each: seconds after the network is loaded, bytes of the int8 file, operators, the smallest arena TFLite Micro's
interpreter takes, and how often the int8 file gives the label of the float network on the held-out windows.
"""

import argparse
import contextlib
import io
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro import runtime

from device_sim.engines.protocol import native_stderr_captured
from edgehar.cli.export import plan_from_run
from edgehar.files import write_json
from edgehar.signal import QuantParams, sliding_windows
from edgehar.training.run_folder import open_run
from firmware_export.convert import convert


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    trained = open_run(args.run)
    plan = plan_from_run(trained, "bench", targets=["tflite"], recipe="static_wi8_ai8", slim=True)
    config = plan.provenance["config"]
    held_out = np.concatenate(
        [
            sliding_windows(plan.front_end.run(item.recording.samples), config["window"], config["hop"])
            for item in plan.held_out
        ]
    )
    float_labels = np.concatenate([item.baseline_logits.argmax(axis=1) for item in plan.held_out])

    begin = time.perf_counter()
    ours = convert(plan.onnx, plan.calibration).files["model_i8.tflite"]
    rows = {"edgehar": (time.perf_counter() - begin, ours)}
    begin = time.perf_counter()
    theirs = _litert_torch(trained.network, plan.calibration[0])
    rows["litert-torch + ai-edge-quantizer"] = (time.perf_counter() - begin, theirs)

    results = []
    for name, (seconds, model) in rows.items():
        labels = _labels(model, held_out)
        result = {
            "converter": name,
            "seconds_after_loading": round(seconds, 3),
            "int8_bytes": len(model),
            "operators": dict(_operators(model)),
            "tflm_arena_bytes": _smallest_arena(model),
            "same_label_as_float": float((labels == float_labels).mean()),
        }
        results.append(result)
        print(result)
    if args.json:
        write_json(args.json, results)


def table(results: list[dict]) -> str:
    """Return a column for each converter."""
    rows = {
        "seconds after the network is loaded": [f"{each['seconds_after_loading']:.2g}" for each in results],
        "int8 bytes": [f"{each['int8_bytes']:,}" for each in results],
        "operators (RESHAPE, TRANSPOSE)": [_counts(each["operators"]) for each in results],
        "TFLite Micro arena, bytes": [f"{each['tflm_arena_bytes']:,}" for each in results],
        "same label as full precision": [f"{100 * each['same_label_as_float']:.2f} %" for each in results],
    }
    lines = [f"| | {' | '.join(each['converter'] for each in results)} |\n|---|---|---|\n"]
    return "".join([*lines, *(f"| {name} | {' | '.join(cells)} |\n" for name, cells in rows.items())])


def _counts(operators: dict[str, int]) -> str:
    return f"{sum(operators.values())} ({operators.get('RESHAPE', 0)}, {operators.get('TRANSPOSE', 0)})"


def _litert_torch(network: torch.nn.Module, calibration: np.ndarray) -> bytes:
    """The recipe ``static_wi8_ai8`` as the quantizer comes, on the same calibration windows."""
    import litert_torch
    from ai_edge_quantizer import quantizer, recipe

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = str(Path(folder) / "f32.tflite")
        litert_torch.convert(network.eval(), (torch.zeros(1, *calibration.shape[1:]),)).export(path)
        signature, details = next(iter(Interpreter(model_path=path).get_signature_list().items()))
        quantize = quantizer.Quantizer(path, recipe.static_wi8_ai8())
        data = {signature: [{details["inputs"][0]: window[None]} for window in calibration]}
        return bytes(quantize.quantize(quantize.calibrate(data)).quantized_model)


def _operators(model: bytes) -> Counter[str]:
    content = schema.ModelT.InitFromPackedBuf(model, 0)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in content.operatorCodes]
    return Counter(names[codes[op.opcodeIndex]] for op in content.subgraphs[0].operators)


def _labels(model: bytes, windows: np.ndarray) -> np.ndarray:
    """Labels of the reference kernels; float in or out is quantized by the model itself, int8 by us."""
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if source["dtype"] == np.int8:
        windows = QuantParams(float(source["quantization"][0]), int(source["quantization"][1])).quantize(windows)
    labels = []
    for window in windows:
        interpreter.set_tensor(source["index"], np.ascontiguousarray(window)[None])
        interpreter.invoke()
        labels.append(int(interpreter.get_tensor(sink["index"]).argmax()))
    return np.array(labels)


def _smallest_arena(model: bytes) -> int | None:
    """Bisect the arena; None when TFLite Micro does not take the model at all."""
    low, high = 0, 4 * 2**20
    if not _fits(model, high):
        return None
    while high - low > 16:
        middle = (low + high) // 2
        low, high = (low, middle) if _fits(model, middle) else (middle, high)
    return high


def _fits(model: bytes, arena_bytes: int) -> bool:
    try:
        with native_stderr_captured():
            runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)
    except RuntimeError:
        return False
    return True


if __name__ == "__main__":
    main()
