"""The how-to pages: what they say is done in a copy of the sources, and their commands run there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import ROOT, commands, fences

PAGES = sorted(path.stem for path in (ROOT / "docs" / "howto").glob("*.md") if path.stem != "index")
# instead of what takes minutes, a part of it or nothing; what the part leaves out, the tests do for what is there
SHORTER = {
    "pytest -q tests/contracts/test_models.py -k fcn": (
        "pytest -q tests/contracts/test_models.py -k 'complete or (fcn and not exports)'"
    ),
    "pytest -q tests/contracts/test_engines.py -k litert_plain": (
        "pytest -q tests/contracts/test_engines.py -k 'litert_plain and not many_windows'"
    ),
    "pytest -q tests/conformance/test_c_ops.py": "python -c 'import pad1d_in_c'",
    "edgehar export RUN --target tflite,onnx,dot --out my.edgehar": "python -c 'import dot_of_zoo'",
    "edgehar simulate zoo:ds_cnn --engine litert_plain": "",
    "python tools/reference.py": "",
    "python tools/contract_table.py --json docs/results/contract.json": "",
    "python tools/result_page.py": "",
}
PAD1D_IN_C = """
import sys

sys.path[:0] = ["tests", "tests/conformance"]
import numpy as np
from c_cases import compile_networks, compilers, run_network
from export_cases import CASES, int8_graph
from test_export_ops import int8_inputs, run_reference

graphs = [int8_graph(case, 1) for case in CASES["pad1d"]]
library = compile_networks(graphs, compilers()["cc"])
for index, graph in enumerate(graphs):
    inputs = int8_inputs(graph, 1)
    np.testing.assert_array_equal(run_network(library, index, graph, inputs)[0], run_reference(graph, inputs))
"""
DOT_OF_ZOO = """
from edgehar.bundle import Bundle
from edgehar.precision import Precision
from firmware_export.convert import read_model
from firmware_export.targets import TARGETS
from firmware_export.targets.target import Sources

graph = read_model(Bundle.open("zoo:ds_cnn_3k").read("model_i8.tflite"))
files = TARGETS["dot"].files(Sources(None, Precision.STATIC_WI8_AI8, graph, graph, None, {}))
drawing = files["model_i8.dot"].decode()
assert drawing.count("->") == len(graph.nodes) - 1, drawing
assert 'label="depthwise_conv1d"' in drawing
"""
COPIED = ("device_sim", "docs", "edgehar", "firmware_export", "tests", "tools", "pyproject.toml")


def test_every_kind_of_thing_has_a_page() -> None:
    assert PAGES == ["engine", "fault", "model", "op", "target"]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_works(page: str, tmp_path: Path) -> None:
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "pad1d_in_c.py").write_text(PAD1D_IN_C)
    (tmp_path / "dot_of_zoo.py").write_text(DOT_OF_ZOO)
    text = (ROOT / "docs" / "howto" / f"{page}.md").read_text("utf-8")
    touched = []
    for language, title, body in fences(text):
        file = tmp_path / title
        if language == "diff":
            file.write_text(patched(file.read_text("utf-8"), body), "utf-8")
        else:
            assert not file.exists(), f"{title} is there already"
            file.write_text(body, "utf-8")
        touched.append(title)
    ran = [run(command, tmp_path) for command in commands(text)]
    assert any(ran)
    for check in (["check"], ["format", "--check"]):
        run(shlex.join(["ruff", *check, "--no-cache", *touched]), tmp_path)


def run(command: str, folder: Path) -> str:
    words = shlex.split(SHORTER.get(command, command))
    if not words:
        return ""
    program = [sys.executable] if words[0] == "python" else [sys.executable, "-m", words[0]]
    words = ["-p", "no:cacheprovider", "-W", "error", *words[1:]] if words[0] == "pytest" else words[1:]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run([*program, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def patched(text: str, change: str) -> str:
    """Return a file changed as a page says: lines with - go, lines with + come, others are where it is."""
    for hunk in re.split(r"^@@\n", change, flags=re.MULTILINE):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] != "+")
        after = "".join(line[1:] for line in lines if line[0] != "-")
        assert text.count(before) == 1, f"{text.count(before)} places like\n{before}"
        text = text.replace(before, after)
    return text
