"""Who may import whom (ARCHITECTURE.md), read from the source of every module."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMPY_SIDE = {
    *("edgehar.signal", "edgehar.heads", "edgehar.bundle", "edgehar.recording", "edgehar.errors", "edgehar.files"),
    *(
        "edgehar.manifest",
        "edgehar.c_compiler",
        "edgehar.c_pipeline",
        "edgehar.c_wasm",
        "edgehar.precision",
        "edgehar.host",
        "edgehar.references",
        "edgehar.decision_spec",
    ),
    *("edgehar.package", "edgehar.signing", "edgehar.arrays"),
}
# What each package may import at its top level, besides itself and the standard library.
ALLOWED = {
    "device_sim": {"numpy", *NUMPY_SIDE},
    "firmware_export": {"numpy", "onnx_ir", "flatbuffers", "ai_edge_litert", "onnx", "ml_dtypes", *NUMPY_SIDE},
    "edgehar/signal": {"numpy", "edgehar.recording", "edgehar.errors"},
    "edgehar/heads": {"numpy", "edgehar.errors", "edgehar.signal", "edgehar.decision_spec"},
    "edgehar/datasets": {
        "numpy",
        "edgehar.recording",
        "edgehar.errors",
        "edgehar.files",
        *("edgehar.bundle", "edgehar.manifest", "edgehar.arrays"),
        "matplotlib",
        "edgehar.heads",
        "edgehar.signal",
    },
    "edgehar/models": {"torch", "numpy", "edgehar.errors", "edgehar.plain_data", "edgehar.signal"},
}
SINGLE = {
    "edgehar/__init__.py": set(),
    "edgehar/decision_spec.py": set(),
    "edgehar/errors.py": set(),
    "edgehar/files.py": set(),
    "edgehar/host.py": set(),
    "edgehar/c_compiler.py": {"edgehar.errors", "edgehar.files"},
    "edgehar/c_pipeline.py": {"numpy", "edgehar.bundle", "edgehar.manifest", "edgehar.c_compiler", "edgehar.errors"},
    "edgehar/c_wasm.py": {"edgehar.c_compiler", "edgehar.errors"},
    "edgehar/facts.py": set(),
    "edgehar/plain_data.py": {"edgehar.errors"},
    "edgehar/precision.py": set(),
    "edgehar/arrays.py": {"numpy", "edgehar.errors"},
    "edgehar/package.py": {"edgehar.errors", "edgehar.files"},
    "edgehar/signing.py": {"edgehar.bundle", "edgehar.errors", "edgehar.package"},  # cryptography on demand
    "edgehar/recording.py": {"numpy", "edgehar.errors"},
    "edgehar/references.py": {"numpy", "edgehar.bundle", "edgehar.errors"},
    "edgehar/manifest.py": {
        *("edgehar.decision_spec", "edgehar.errors", "edgehar.facts", "edgehar.files", "edgehar.heads"),
        *("edgehar.package", "edgehar.precision", "edgehar.recording", "edgehar.signal"),
    },
    "edgehar/bundle.py": {
        *("numpy", "edgehar.arrays", "edgehar.errors", "edgehar.files", "edgehar.manifest", "edgehar.package"),
    },
}
ONLY_TORCH = "firmware_export/to_onnx.py"


def _top_level_imports(path):
    """Modules imported when ``path`` is imported: not those inside functions or ``if TYPE_CHECKING``."""
    found, nodes = set(), list(ast.parse(path.read_text("utf-8")).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{a.name}" if node.module == "edgehar" else node.module for a in node.names}
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            nodes += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return found


def _is_allowed(module, allowed, own):
    import sys

    names = {module, *(".".join(module.split(".")[: i + 1]) for i in range(len(module.split("."))))}
    return bool(names & (allowed | {own})) or module.split(".")[0] in sys.stdlib_module_names


@pytest.mark.parametrize("folder", ALLOWED)
def test_packages_import_only_what_they_may(folder):
    own = folder.replace("/", ".")
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        if path == ROOT / ONLY_TORCH:
            continue
        for module in _top_level_imports(path):
            assert _is_allowed(module, ALLOWED[folder], own), f"{path.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("file", SINGLE)
def test_ground_floor_imports_only_what_it_may(file):
    for module in _top_level_imports(ROOT / file):
        assert _is_allowed(module, SINGLE[file], file), f"{file} imports {module}"


def test_training_knows_nothing_of_export_or_device():
    for path in (ROOT / "edgehar").rglob("*.py"):
        if "cli" in path.parts:
            continue
        for module in _top_level_imports(path):
            assert module.split(".")[0] not in ("firmware_export", "device_sim"), f"{path} imports {module}"


def test_sources_name_no_machine_paths_or_hosts():
    import re

    pattern = re.compile(r"(?<![\w.])/(work|root|tmp|home)/\w|pypi\.org|files\.pythonhosted")
    kinds = ("*.py", "*.md", "*.toml", "*.sh", "Makefile")
    for path in (p for kind in kinds for p in ROOT.rglob(kind)):
        relative = path.relative_to(ROOT)
        if (
            relative.parts[0].startswith(".")
            or path == Path(__file__)
            or relative.parts[0] in ("build", "demo", "runs")
        ):
            continue
        assert not pattern.search(path.read_text("utf-8")), relative
