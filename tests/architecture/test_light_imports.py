"""The device side runs on numpy and one interpreter: everything heavier is blocked in a subprocess."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from device_fixtures import make_tiny_bundle

REPOSITORY = Path(__file__).parents[2]
HEAVY = [
    *("torch", "scipy", "onnx", "onnx_ir", "onnxscript", "onnxruntime", "pandas", "lightning", "matplotlib"),
    *("sklearn", "rich", "flatbuffers", "tflite_micro", "tensorflow", "torchmetrics", "safetensors", "ray"),
]

BLOCK = f"""
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError(f"{{name}} is blocked: the device side must not import it")

sys.meta_path.insert(0, Block())
"""

# what an import brings in, by top-level name, beyond the standard library
FOREIGN = """
import sys
before = set(sys.modules)
{imports}
names = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(sorted(n for n in names if n not in sys.stdlib_module_names and not n.startswith("__")))
"""


def run(program, *arguments):
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)


@pytest.mark.parametrize(
    ("imports", "allowed"),
    [
        ("import edgehar", {"edgehar"}),
        ("import edgehar.errors, edgehar.files", {"edgehar"}),
        ("import edgehar.signal, edgehar.bundle, edgehar.recording", {"edgehar", "numpy"}),
        ("import device_sim, device_sim.engines, device_sim.simulate", {"edgehar", "numpy", "device_sim"}),
        ("import device_sim.fleet.run, device_sim.fleet.on_ray", {"edgehar", "numpy", "device_sim"}),
        ("import device_sim.__main__", {"edgehar", "numpy", "device_sim"}),
    ],
    ids=["edgehar", "errors", "signal", "device_sim", "fleet", "command"],
)
def test_an_import_brings_no_third_party_package_but_numpy(imports, allowed):
    done = run(FOREIGN.format(imports=imports))
    assert done.returncode == 0, done.stderr
    found = set(eval(done.stdout))  # a list of names that the program above printed
    # editable installs put a finder of their own into sys.modules before any import
    assert found <= allowed


def test_a_whole_simulation_runs_with_everything_heavy_blocked(tmp_path):
    bundle = make_tiny_bundle(tmp_path)
    program = BLOCK + (
        "import device_sim\n"
        "from device_sim.__main__ import main\n"
        "code = main([sys.argv[1], '--json', sys.argv[2]])\n"
        "sys.exit(code)\n"
    )
    done = run(program, str(bundle.path), str(tmp_path / "summary.json"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "golden      ok" in done.stdout
    assert (tmp_path / "summary.json").exists()


def test_the_block_blocks():
    done = run(BLOCK + "import torch")
    assert done.returncode == 1
    assert "torch is blocked" in done.stderr
