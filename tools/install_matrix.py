"""Install the wheel with each extra alone, and do what the documentation says that extra is for.

    python -m build --wheel --outdir DIST .
    python tools/install_matrix.py DIST/*.whl --json docs/results/install.json

Each of ``ROWS`` has a virtual environment of its own, outside of the repository and deleted afterwards. Measured is
what its packages weigh beyond an empty one. A row fails if a command does not do what it should, or a package came that
this extra must do without. With several ``--python`` each row is done with each of them.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from made_up_walk import made_up_walk

from edgehar.files import write_json

HEAVY = ("torch", "lightning", "scipy", "sklearn", "pandas", "matplotlib", "onnx", "ray")
TINY = "--set epochs=1 --set 'model_options={stem_channels = 8, blocks = [[16, 9, 2]]}'"


@dataclass(frozen=True)
class Try:
    """A command, in a folder with the files of ``FILES``.

    Attributes:
        command: the first word is a program of the environment.
        fails: exit code 1, and these words on stderr: what is missing is said.
    """

    command: str
    fails: str = ""


@dataclass(frozen=True)
class Row:
    """Extras installed together.

    Attributes:
        tries: what then must work.
        without: modules that must not be there.
        pythons: only these versions; none: all.
    """

    tries: tuple[Try, ...]
    without: tuple[str, ...] = HEAVY
    pythons: tuple[str, ...] = ()


def script(name: str) -> Try:
    return Try(f"python try_{name}.py")


# What runs in a file of its own.
SCRIPTS = {
    "signal_and_bundle": """
import sys, numpy as np
from edgehar.bundle import Bundle
from edgehar.signal import default_front_end
bundle = Bundle.open("zoo:ds_cnn")
assert bundle.manifest.front_end.run(np.zeros((500, 6), np.float32)).shape == (500, bundle.manifest.front_end.width)
""",
    "hapt": """
from edgehar.datasets import load_dataset
from edgehar.datasets.plot import render_recording
recordings = load_dataset("hapt")
assert len(recordings) == 61 and render_recording(recordings[0], "png").startswith(b"\\x89PNG")
""",
    "train": """
from pathlib import Path
from edgehar.training.config import load_config
from edgehar.training.fit import train
small = ["epochs=1", "hop=512", "model_options={stem_channels = 8, blocks = [[16, 9, 2]]}"]
assert train(load_config(None, small), Path("run"), progress=False).record["metrics"]["test"]["windows"] > 100
""",
    "export": """
from edgehar.bundle import Bundle
from firmware_export.foreign import import_model, read_foreign
model = read_foreign("somebody.tflite", Bundle.open("zoo:ds_cnn_3k").read("model_i8.tflite"))
engines = import_model(model, None, ("tflite", "onnx", "c"), "static_wi8_ai8").report["verification"]["engines"]
assert {row["engine"] for row in engines if row["windows"]} >= {"litert_reference", "tflm", "onnxruntime"}
""",
    "litert": """
import torch
from firmware_export.to_litert import export_litert
class Halves(torch.nn.Module):
    def forward(self, x):
        return sum(x.mean(1).split(3, 1))
assert export_litert(Halves(), [torch.zeros(1, 32, 6)])[4:8] == b"TFL3"
""",
    "serial": """
import os, pty
from device_sim.live.transports import TRANSPORTS
device, port = pty.openpty()
os.set_blocking(device, False)
blocks = TRANSPORTS["serial"]("serial:", os.ttyname(port)).blocks()
next(blocks)
os.write(device, b"1,2,3,4,5,6\\n")
assert b"".join(next(blocks) for _ in range(3)).startswith(b"1,2,3")
""",
    "import": """
from pathlib import Path
from edgehar.datasets import load_dataset
from edgehar.datasets.tabular.importing import ImportSettings, import_files
from edgehar.datasets.tabular.store import store
made = import_files([Path("walks")], "walks", ImportSettings())
store(made.described, made.recordings, {})
assert len(load_dataset("walks")) == 6
""",
}

REPLAY = Try("python -m device_sim zoo:ds_cnn walk.csv")
GOLDEN = "python -m device_sim zoo:ds_cnn_3k"
ROWS = {
    "none": Row(
        (
            script("signal_and_bundle"),
            Try("edgehar --version"),
            Try("edgehar verify zoo:ds_cnn"),
            Try("edgehar pack zoo:ds_cnn --release 1 --out ds_cnn-1.edgehar"),
            Try("edgehar verify ds_cnn-1.edgehar"),
            Try("python -m device_sim zoo:ds_cnn", fails="edgehar[device]"),
            Try("edgehar keygen key.pem", fails="edgehar[sign]"),
            Try("edgehar data import walks --name walks", fails="edgehar[cli]"),
            Try("edgehar data list", fails="edgehar[cli]"),
            Try("edgehar train --out run", fails="edgehar[cli]"),
            Try("edgehar doctor"),
        )
    ),
    "device": Row((REPLAY, Try(GOLDEN), Try("edgehar zoo list", fails="edgehar[cli]"))),
    "tflite-runtime": Row((Try(f"{GOLDEN} --engine tflite_runtime"),), pythons=("3.11",)),
    "cli": Row(
        (
            Try("edgehar zoo list"),
            Try("edgehar data list"),
            Try("edgehar doctor"),
            Try("edgehar data import walks --name walks", fails="edgehar[import]"),
        )
    ),
    "sign": Row(
        (
            Try("edgehar keygen maker.pem"),
            Try("edgehar pack zoo:ds_cnn --release 1 --key maker.pem --out ds_cnn-1.edgehar"),
            Try("edgehar verify ds_cnn-1.edgehar --key maker.pub.pem"),
        )
    ),
    "serial": Row((script("serial"),)),
    "firmware": Row((Try(f"{GOLDEN} --engine cortex_m --seconds 3"), Try(f"{GOLDEN} --engine wasm"))),
    "import": Row(
        (script("import"), Try("edgehar data import walks --name mine"), Try("edgehar data inspect mine")),
        without=("torch", "lightning", "scipy", "sklearn", "onnx", "ray"),
    ),
    "data": Row((script("hapt"),), without=("torch", "lightning", "scipy", "sklearn", "onnx", "ray")),
    "fleet": Row(
        (Try("python -c 'import ray'"),), without=("torch", "lightning", "scipy", "sklearn", "pandas", "onnx")
    ),
    "fleet,device,cli": Row(
        (Try("edgehar fleet zoo:ds_cnn_3k --recordings walk.csv --devices 20 --minutes 2 --ray --json fleet.json"),),
        without=("torch", "lightning", "scipy", "sklearn", "pandas", "onnx"),
    ),
    "export": Row(
        (script("export"),), without=("torch", "lightning", "scipy", "sklearn", "pandas", "matplotlib", "ray")
    ),
    "litert": Row((script("litert"),), without=("ray",), pythons=("3.11",)),
    "train": Row((script("train"),), without=("onnx", "ray"), pythons=("3.11",)),
    "all": Row(
        (
            Try("edgehar data import walks --name walks"),
            Try(f"edgehar run --dataset walks {TINY} --out walks-run"),
            Try("edgehar doctor"),
        ),
        without=("ray",),
        pythons=("3.11",),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--extras", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="EXTRA")
    parser.add_argument("--python", action="append", default=[], metavar="PATH", help="repeatable; default: this one")
    parser.add_argument("--constraint", type=Path, metavar="FILE", help="for pip")
    parser.add_argument("--json", type=Path, metavar="FILE", help="rows that are there already stay")
    options = parser.parse_args()
    found = json.loads(options.json.read_text("utf-8")) if options.json and options.json.exists() else {}
    broken = 0
    for python in options.python or [sys.executable]:
        version = said(python, "-c", "import sys; print('{}.{}'.format(*sys.version_info))")
        for extras in options.extras:
            row = ROWS[extras]
            if row.pythons and version not in row.pythons:
                continue
            with tempfile.TemporaryDirectory() as folder:
                result = install(Path(folder), python, options.wheel.resolve(), extras, options.constraint)
            found.setdefault(version, {})[extras] = result
            broken += len(result["problems"])
            print(f"{version} {extras:18} {result['mb']:8.1f} MB {result['packages']:4} packages", flush=True)
            for problem in result["problems"]:
                print(f"    {problem}", flush=True)
            if options.json:
                write_json(options.json, found)
    print(f"{broken} problems")
    return 1 if broken else 0


def install(folder: Path, python: str, wheel: Path, extras: str, constraint: Path | None) -> dict[str, Any]:
    """Make the environment, try what it is for, and say what it weighs."""
    row = ROWS[extras]
    said(python, "-m", "venv", str(folder / "venv"))
    bin_folder = folder / "venv" / "bin"
    site = Path(said(str(bin_folder / "python"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
    empty_bytes, empty = weight(site), packages(site)
    wanted = str(wheel) if extras == "none" else f"{wheel}[{extras}]"
    limits = ["--constraint", str(constraint.resolve())] if constraint else []
    done = run([str(bin_folder / "python"), "-m", "pip", "install", "--quiet", *limits, wanted], folder)
    result = {
        "mb": round((weight(site) - empty_bytes) / 1e6, 1),
        "packages": len(packages(site) - empty),
        "tries": [each.command + (f"  # fails, names {each.fails}" if each.fails else "") for each in row.tries],
        "problems": [],
    }
    if done.returncode != 0:
        result["problems"].append(f"pip: {last_line(done)}")
        return result
    result["problems"] += [f"brings {name}" for name in row.without if (site / name).exists()]
    work = folder / "work"
    write_files(work)
    for each in row.tries:
        program, *arguments = shlex.split(each.command)
        done = run([str(bin_folder / program), *arguments], work)
        if each.fails:
            if done.returncode != 1 or each.fails not in done.stderr or "Traceback" in done.stderr:
                result["problems"].append(
                    f"{each.command}: exit code {done.returncode}, expected 1 and {each.fails!r}: {last_line(done)}"
                )
        elif done.returncode != 0:
            result["problems"].append(f"{each.command}: exit code {done.returncode}: {last_line(done)}")
    return result


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run in ``folder`` with nothing of this environment's Python, and with homes of its own."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "EDGEHAR", "VIRTUAL_ENV"))
    }
    kept |= {"XDG_DATA_HOME": str(folder / "data"), "XDG_CACHE_HOME": str(folder / "cache")}
    if "pip" in command:
        kept.pop("XDG_CACHE_HOME")  # what pip has downloaded it need not download again
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=False)


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return ((done.stderr or done.stdout).strip().splitlines() or ["no message"])[-1][:300]


def weight(site: Path) -> int:
    """Bytes of all files, what pip compiled among them."""
    return sum(p.stat().st_size for p in site.rglob("*") if p.is_file() and not p.is_symlink())


def packages(site: Path) -> set[str]:
    return {p.name for p in site.glob("*.dist-info")}


def write_files(work: Path) -> None:
    """Write scripts, a recording, and a folder of them."""
    (work / "walks").mkdir(parents=True)
    for name, text in SCRIPTS.items():
        (work / f"try_{name}.py").write_text(text)
    (work / "walk.csv").write_text(made_up_walk(0))
    for person in range(6):
        (work / "walks" / f"user{person}.csv").write_text(made_up_walk(person))


def table(found: dict[str, Any]) -> str:
    """One row an extra, one column of MB a Python."""
    versions = sorted(found, key=lambda version: int(version.split(".")[1]))
    lines = [
        "| extra | " + " | ".join(f"MB, Python {version}" for version in versions) + " | packages | tried |",
        "|---" * (len(versions) + 3) + "|",
    ]
    for extras in ROWS:
        rows = {version: found[version][extras] for version in versions if extras in found[version]}
        if not rows:
            continue
        sizes = [
            f"{rows[v]['mb']:,.1f}" + (" (fails)" if rows[v]["problems"] else "") if v in rows else "" for v in versions
        ]
        first = next(iter(rows.values()))
        lines.append(f"| `{extras}` | {' | '.join(sizes)} | {first['packages']} | {len(first['tries'])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
