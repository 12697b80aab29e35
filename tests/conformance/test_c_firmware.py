"""What ``har.h`` promises: refusals, reset, copies, threads, no memory of its own; front ends and heads of all kinds.

That its bits are the Python device's: ``tests/properties/test_c_pipeline.py``.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from c_cases import STRICT, compilers
from device_fixtures import INPUT, OUTPUT, make_tiny_bundle, synthetic_recording, tiny_graph, tiny_manifest
from scipy.signal import butter

from device_sim.firmware import Twins
from edgehar.bundle import write_bundle
from edgehar.c_compiler import FLAGS, linked, shared_library
from edgehar.c_pipeline import CPipeline, firmware_files
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import EngineError, ExportError, UnsupportedOpError
from edgehar.manifest import Head, ModelInput
from edgehar.signal import Biquad, Difference, FrontEnd, NetworkInput, SignedLog, sliding_windows
from edgehar.signal.features import FAMILIES, WindowFeatures
from firmware_export.graph import Node, Quantization, Value, assemble
from firmware_export.ops.dense import Dense
from firmware_export.ops.reshape import Reshape
from firmware_export.reference import run
from firmware_export.targets.c import write_firmware

SAMPLES = synthetic_recording(600, seed=3).samples


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_tiny_bundle(tmp_path_factory.mktemp("firmware"), decision=DecisionSpec("majority", 3, 2))


@pytest.fixture(scope="module")
def pipeline(bundle):
    return CPipeline(firmware_files(bundle), compilers()["cc"], (*FLAGS, *STRICT))


def said(replayed):
    return replayed.decisions.tobytes() + replayed.events.tobytes()


def test_both_compilers_say_the_same(bundle, pipeline):
    in_clang = CPipeline(firmware_files(bundle), compilers()["zig"], (*FLAGS, *STRICT))
    heads = bundle.manifest.heads
    assert in_clang.sizes == pipeline.sizes
    assert said(in_clang.context(heads).replay(SAMPLES)) == said(pipeline.context(heads).replay(SAMPLES))


def test_reset_equals_fresh(bundle, pipeline):
    context = pipeline.context(bundle.manifest.heads)
    first = said(context.replay(SAMPLES))
    used = context.memory.copy()
    context.reset()
    fresh = pipeline.context(bundle.manifest.heads)
    assert np.array_equal(context.memory, fresh.memory)
    assert not np.array_equal(used, fresh.memory)
    assert said(context.replay(SAMPLES)) == first


def test_a_context_is_plain_data(bundle, pipeline):
    """Copied in the middle of a stream to another place, it goes on as if nothing had been."""
    whole = pipeline.context(bundle.manifest.heads)
    cut = pipeline.context(bundle.manifest.heads)
    expected = said(whole.replay(SAMPLES[:333])) + said(whole.replay(SAMPLES[333:]))
    found = said(cut.replay(SAMPLES[:333]))
    moved = pipeline.context(bundle.manifest.heads)
    moved.memory[:] = cut.memory
    cut.memory[:] = -1
    moved.samples = 333
    assert found + said(moved.replay(SAMPLES[333:])) == expected


def test_two_threads_do_not_disturb_each_other(bundle, pipeline):
    streams = [synthetic_recording(20_000, seed).samples for seed in (1, 2)]
    heads = bundle.manifest.heads
    expected = [said(pipeline.context(heads).replay(stream)) for stream in streams]
    found = [[], []]

    def work(index):
        for _ in range(5):
            found[index].append(said(pipeline.context(heads).replay(streams[index])))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[expected[0]] * 5, [expected[1]] * 5]


def test_calls_that_make_no_sense_are_refused(bundle):
    library = ctypes.CDLL(str(shared_library(compilers()["cc"], sources(bundle))))
    library.har_decided.restype = ctypes.c_void_p
    memory, event = np.full(200, -1, np.int64), np.zeros(64, np.uint8)
    sample = np.zeros(6, np.float32)
    at = [ctypes.c_void_p(array.ctypes.data) for array in (memory, sample, event)]
    assert library.har_init(None) == library.har_reset(None) == 1
    assert library.har_push(at[0], at[1], 0, at[2]) == 2
    assert library.har_decided(at[0]) is None
    assert library.har_activity(at[0]) & 0xFFFF == 0xFFFF
    assert library.har_init(at[0]) == 0
    assert [library.har_push(*arguments) for arguments in [(None, at[1], 0, at[2]), (at[0], None, 0, at[2])]] == [1, 1]
    assert library.har_push(at[0], at[1], 0, None) == 1
    assert library.har_push(at[0], at[1], 0, at[2]) == 0


def sources(bundle):
    return {n: d for n, d in firmware_files(bundle).items() if n.endswith((".c", ".h")) and n != "example_main.c"}


@pytest.mark.parametrize("flag", ["-ffast-math", "-ffinite-math-only"])
def test_relaxed_arithmetic_does_not_compile(bundle, flag):
    with pytest.raises(EngineError, match="-ffast-math, parts of it, and -ffp-contract=fast change the results"):
        shared_library(compilers()["cc"], sources(bundle), (*FLAGS, flag))


def test_fused_arithmetic_is_noticed_when_it_starts(bundle):
    if "fma" not in cpu_flags():
        pytest.skip("this processor has no fused multiply-add")
    fused = (*FLAGS, "-std=gnu11", "-ffp-contract=fast", "-mfma")
    pipeline = CPipeline(firmware_files(bundle), compilers()["cc"], fused)
    with pytest.raises(EngineError, match=r"har_init\(\) returns 3"):
        pipeline.context(bundle.manifest.heads)


def cpu_flags():
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split() for line in lines if line.startswith("flags")), [])


def test_it_owns_no_memory_and_needs_nothing_but_moves_of_bytes(bundle):
    nm = shutil.which("nm")
    assert nm is not None, "nm is not here: run tools/install_test_programs.sh"
    flags = (
        *(flag for flag in FLAGS if flag not in ("-shared", "-fPIC", "-Wl,-z,defs")),
        "-fno-pie",
        "-r",
        "-nostdlib",
    )
    path = linked(compilers()["cc"], sources(bundle), flags, ".o")
    lines = subprocess.run([nm, str(path)], capture_output=True, text=True, check=True).stdout.splitlines()
    kinds = {line.split()[-1]: line.split()[-2] for line in lines}
    assert {name for name, kind in kinds.items() if kind in "bBdDsSgGcC"} == set()
    assert {name for name, kind in kinds.items() if kind == "U"} <= {"memcpy", "memmove", "memset"}
    public = {
        "har_init",
        "har_reset",
        "har_push",
        "har_decided",
        "har_activity",
        "har_invalid_samples",
        "har_model_run",
    }
    assert {name for name, kind in kinds.items() if kind == "T"} == public


def test_no_function_calls_itself_or_a_later_one(bundle):
    """Functions stand in the order in which they may be called, so recursion is impossible. Some are there for either
    kind of core.
    """
    files = firmware_files(bundle)
    order = [*sorted(name for name in files if name.endswith(".h")), "har_model.c", "har.c"]
    text = "\n".join(files[name].decode() for name in order)
    text = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"", " ", text, flags=re.S)
    found = [(match[1], match.end()) for match in re.finditer(r"^[\w *]*?\b(\w+)\([^;{}()]*\)\s*\{", text, re.M)]
    names = [name for name, _ in found]
    assert len(set(names)) > 15 and names[-1] == "har_invalid_samples"
    for index, (name, begin) in enumerate(found):
        end = text.index("\n}", begin)
        called = set(re.findall(r"\b(\w+)\(", text[begin:end])) & set(names)
        assert called <= set(names[:index]) - {name}, name


def test_the_example_reads_a_csv(bundle, pipeline):
    files = {n: d for n, d in firmware_files(bundle).items() if n.endswith((".c", ".h"))}
    program = linked(compilers()["cc"], files, ("-std=c99", "-O1", "-ffp-contract=off", *STRICT), ".exe")
    rows = "\n".join(",".join(f"{v:.9g}" for v in row) for row in SAMPLES)
    done = subprocess.run([program], input=f"acc_x,acc_y\n{rows}\n", capture_output=True, text=True, check=True)
    assert f"context {pipeline.sizes['declared_context']} bytes" in done.stderr
    events = pipeline.context(bundle.manifest.heads).replay(SAMPLES).events
    events = events[events["kind"] == 1]
    labels = bundle.manifest.heads[0].labels
    expected = [
        f"{(start * 20) / 1000:9.2f} s  {labels[i]}  {p:.3f}"
        for start, i, p in zip(events["start"].tolist(), events["label"], events["probability"], strict=True)
    ]
    assert done.stdout.splitlines() == expected
    assert len(expected) > 3


def test_cmake_builds_it(bundle, tmp_path):
    cmake = shutil.which("cmake")
    assert cmake is not None, "cmake is not here: run tools/install_test_programs.sh"
    for name, data in firmware_files(bundle).items():
        (tmp_path / name).write_bytes(data)
    subprocess.run([cmake, "-S", tmp_path, "-B", tmp_path / "build"], check=True, capture_output=True)
    subprocess.run([cmake, "--build", tmp_path / "build", "-t", "har_example"], check=True, capture_output=True)
    assert (tmp_path / "build" / "har_example").exists()


def dense_graph(manifest, seed):
    """A dense layer a head, of one input each in turn: integers from a seed."""
    rng = np.random.default_rng(seed)
    values, nodes = [], []
    for each, shape in zip(manifest.inputs, manifest.input_shapes, strict=True):
        quant = Quantization((each.quant.scale,), each.quant.zero_point)
        flat = (1, int(np.prod(shape)))
        values += [Value(each.name, shape, "int8", quant), Value(f"flat_{each.name}", flat, "int8", quant)]
        nodes.append(Node("reshape", f"r_{each.name}", (each.name,), (f"flat_{each.name}",), Reshape(flat)))
    for index, head in enumerate(manifest.heads):
        source = manifest.inputs[index % len(manifest.inputs)]
        count, products = len(head.labels), int(np.prod(source.shape(manifest.window)))
        weight = rng.integers(-127, 128, (count, products)).astype(np.int8)
        bias = rng.integers(-(2**14), 2**14, count).astype(np.int32)
        scale = head.quant.scale * 2**-8 / source.quant.scale
        values += [
            Value(f"w_{head.name}", weight.shape, "int8", Quantization((scale,) * count, 0, 0), weight),
            Value(f"b_{head.name}", bias.shape, "int32", Quantization((head.quant.scale * 2**-8,) * count, 0, 0), bias),
            Value(head.name, (1, count), "int8", Quantization((head.quant.scale,), head.quant.zero_point)),
        ]
        operands = (f"flat_{source.name}", f"w_{head.name}", f"b_{head.name}")
        nodes.append(Node("dense", f"d_{head.name}", operands, (head.name,), Dense()))
    return assemble([i.name for i in manifest.inputs], [h.name for h in manifest.heads], nodes, values)


class ReferenceEngine:
    """The numpy reference as an engine."""

    name, version = "reference", "0"

    def __init__(self, graph):
        self._graph = graph

    def infer(self, *inputs):
        return tuple(output[0] for output in run(self._graph, [array[None] for array in inputs]))

    def reset(self):
        pass

    def memory_bytes(self):
        return {}


LOW_PASS = tuple((*row[:3], *row[4:]) for row in butter(3, 0.3, fs=50, output="sos").tolist())
HIGH_PASS = tuple((*row[:3], *row[4:]) for row in butter(2, 1, "high", fs=50, output="sos").tolist())
CHANNELS = tuple(f"{sensor}_{axis}" for sensor in ("acc", "gyro") for axis in "xyz")
SHUFFLED = FrontEnd(
    channels=CHANNELS,
    select=(2, 0, 0, 1, 5, 5),
    gain=(-9.80665, 1.0, 1.0, 0.001, 57.29578, 1.0),
    steps=(
        Biquad((0, 1, 2), LOW_PASS),
        Difference((1, 4)),
        Biquad((5, 3), HIGH_PASS),
        SignedLog((5, 0), (0.01, 3.0)),
    ),
    names=("down", "a", "b", "c", "turn", "d"),
)
HEAD = Head("activity", "multiclass", ("a", "b", "c"), OUTPUT)
FRONT_ENDS = {"shuffled": SHUFFLED, "scaled": replace(SHUFFLED, mean=(0.25,) * 6, inv_std=(3.1,) * 6)}


@pytest.mark.parametrize("front_end", FRONT_ENDS)
@pytest.mark.parametrize("hop", [8, 40])
def test_any_front_end_and_inputs_of_its_columns(tmp_path, front_end, hop):
    """Filters, gains and columns in any order; two inputs that share columns, each with its own scale."""
    bundle = firmware_bundle(
        tmp_path,
        hop=hop,
        front_end=FRONT_ENDS[front_end],
        inputs=(
            ModelInput("turning", (4, 1, 5), quant=INPUT),
            ModelInput("all", tuple(range(6)), quant=replace(INPUT, scale=2.0**-5, zero_point=-100)),
        ),
        heads=(HEAD, replace(HEAD, name="further")),
        decision=DecisionSpec("ema", 0.9, 1),
    )
    assert differences(bundle, spoiled(SAMPLES)) == []


@pytest.mark.parametrize("window", [16, 33, 100])
@pytest.mark.parametrize(
    "families", [tuple(FAMILIES), ("correlations", "spectrum"), ("order", "correlations", "moments")]
)
def test_window_features(tmp_path, window, families):
    """Families in any order, groups of two and three columns and none, windows of any length, silence and damage."""
    columns = (5, 0, 2, 1)
    groups = ((1, 2, 3), (0, 1)) if window != 33 else ()
    names = tuple(SHUFFLED.names[i] for i in columns)
    features = WindowFeatures(window, names, groups, families if groups else tuple(FAMILIES)[:5])
    samples = np.concatenate([SAMPLES, np.repeat(SAMPLES[:1], 150, axis=0), 1e-22 * SAMPLES, 1e8 * SAMPLES])
    windows = sliding_windows(SHUFFLED.run(SAMPLES)[:, columns], window, 8)
    plain = NetworkInput("plain", columns, features)
    fitted = NetworkInput("fitted", columns, features.fitted(windows))
    bundle = firmware_bundle(
        tmp_path,
        window=window,
        hop=9,
        front_end=SHUFFLED,
        inputs=tuple(ModelInput(**vars(each), quant=replace(INPUT, zero_point=-7)) for each in (plain, fitted)),
        heads=(HEAD, replace(HEAD, name="further")),
    )
    assert differences(bundle, spoiled(samples)) == []


def test_heads_of_all_kinds(tmp_path):
    heads = (
        Head("int", "multiclass", ("1st", "a b", "a_b", 'say "\u00fc??/"'), OUTPUT),
        Head("moving", "binary", ("moving",), replace(OUTPUT, zero_point=31)),
        Head("posture", "multiclass", ("up", "down"), replace(OUTPUT, scale=2.0**-6)),
        Head("flags", "multilabel", ("x", "y", "z"), replace(OUTPUT, scale=2.0**-3, zero_point=-128)),
        Head("int_a", "multilabel", ("c", "b"), OUTPUT),
    )
    bundle = firmware_bundle(tmp_path, heads=heads)
    assert differences(bundle, SAMPLES) == []
    header = bundle.read("firmware/har.h").decode()
    for line in (
        "#define HAR_LABEL_INT_A_B 1",
        "#define HAR_LABEL_INT_A_B_2 2",
        "har_head_moving head_moving;",
        "HAR_LABEL_INT_A_B_1 1",
    ):
        assert line in header
    assert rb'"say \042\303\274\077\077/\042"' in bundle.read("firmware/har.c")


def firmware_bundle(folder, **manifest):
    """A bundle of a network that fits these fields of the manifest."""
    made = replace(tiny_manifest(32, 16, DecisionSpec()), **manifest)
    graph = dense_graph(made, 5)
    files = {f"firmware/{name}": data for name, data in write_firmware(made, graph, "made by */ a test").files.items()}
    return write_bundle(folder / "made.edgehar", made, files)


def spoiled(samples):
    rng = np.random.default_rng(8)
    values = np.array([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-40, -0.0], np.float32)
    return np.where(rng.random(samples.shape) < 0.02, rng.choice(values, samples.shape), samples)


def differences(bundle, samples):
    twins = Twins(
        bundle,
        ReferenceEngine(dense_graph(bundle.manifest, 5)),
        CPipeline(firmware_files(bundle), compilers()["cc"], (*FLAGS, *STRICT)),
    )
    twins.push(samples)
    assert twins.decisions > 10
    twins.finish()
    return twins.differences


def test_what_has_no_form_in_c_is_refused_by_name():
    manifest = tiny_manifest(32, 16, DecisionSpec())
    graph = tiny_graph(32, 9)
    embedding = replace(manifest.heads[0], kind="embedding")
    with pytest.raises(UnsupportedOpError, match="cannot write head 'activity' of kind 'embedding'"):
        write_firmware(replace(manifest, heads=(embedding,)), graph)
    binary = (Head("moving", "binary", ("moving",), OUTPUT),)
    with pytest.raises(UnsupportedOpError, match="the first head 'moving' is binary"):
        write_firmware(replace(manifest, heads=binary), dense_graph(replace(manifest, heads=binary), 0))
    with pytest.raises(UnsupportedOpError, match="smoothing 'majority' of strength 2001"):
        write_firmware(replace(manifest, decision=DecisionSpec("majority", 2001)), graph)
    with pytest.raises(ExportError, match=r"inputs and outputs are .* the manifest says"):
        write_firmware(replace(manifest, window=31), graph)
