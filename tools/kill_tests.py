"""Kill commands at any moment, fill their disk, start two of them: is a result ever lost, broken or counted twice?

    python tools/kill_tests.py --kills 100 --json docs/results/kill_tests.json

What is done to each command (``CASES``), all of it from one seed:

- random: kill -9 after a random time, by turns the process alone and with all that it started
- operations: kill -9 before the first operation on a file of the output, the second, and so on until there is none
- workers: kill -9 to a process that it started, which must change nothing (``fleet`` with two processes)
- disk: a file system with room for ever fewer bytes (a small tmpfs where this user may mount one, and a limit on the
  size of files): either the result, or exit code 1, one line that says why, and the old result
- two: the same command twice at once on one output folder: one result, and exit code 2 for the other

A result counts as whole if it is the old one byte for byte, or the new one: equal to that of an undisturbed run but for
times. A command with an output folder is started again after each kill until it ends; each file in there must be absent
or whole, so weights that a killed training went on to must be those of the undisturbed one, bit for bit.

Commands that import much (torch) run in forks of this process, which has imported what they do.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import json
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from made_up_walk import made_up_walk

from device_sim.sources import golden_recording
from edgehar.bundle import Bundle
from edgehar.datasets.cache import Packed
from edgehar.errors import EdgeharError
from edgehar.files import sha256_file, write_json

BUNDLE = "zoo:ds_cnn_3k"
OLD = b"the result of an earlier run\n"
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
ON_FILES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "os.link")
ORPHAN_S = 5.0
CHECKS = ("random", "operations", "workers", "disk", "two")
DISK_KB = (4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Case:
    """A command under test.

    Attributes:
        arguments: of ``edgehar``; FOLDER stands for a folder of its own.
        result: the file in it that must be whole.
        facts: what of the result may not depend on anything that happens; raises if the result is not whole.
        folder: there is no old result; the command goes on in its output folder.
        pieces: the facts are by name of a piece, None for one that is not there yet.
        old: a command that makes an older result; none: some bytes.
        go_on: what goes on after a kill, where that is another command, and the file that tells.
        forked: run in a fork of this process.
        datasets: where imported data sets are.
    """

    arguments: tuple[str, ...]
    result: str
    facts: Callable[[Path], Any]
    folder: bool = False
    pieces: bool = False
    old: tuple[str, ...] = ()
    go_on: tuple[tuple[str, ...], str] = ((), "")
    forked: bool = False
    datasets: str = "SOURCE/datasets"


def without(*names: str) -> Callable[[Path], Any]:
    return lambda path: {name: value for name, value in json.loads(path.read_bytes()).items() if name not in names}


def only(*names: str) -> Callable[[Path], Any]:
    return lambda path: {name: json.loads(path.read_bytes())[name] for name in names}


def page(path: Path) -> bool:
    data = path.read_bytes()
    if not data.startswith(b"<!DOCTYPE html>") or not data.endswith(b"</html>\n"):
        raise ValueError("a part of a page")
    return True


def bundle(path: Path) -> str:
    return Bundle.open(path).sha256


def dataset(path: Path) -> dict[str, Any]:
    """The files of an imported data set, all three; and its arrays, which the hash of the description is not of."""
    described = json.loads((path / "dataset.json").read_bytes())
    if described.pop("sha256") != sha256_file(path / "recordings.npz"):
        raise ValueError("recordings of another data set")
    if {p.name for p in path.iterdir()} != {"dataset.json", "recordings.npz", "preview.png"}:
        raise ValueError("a part of a data set")
    with np.load(path / "recordings.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name].tolist() for name in Packed.__dataclass_fields__}
    return {**described, **arrays}


TIMES = ("training_s", "training_windows_per_s")  # of run.json
SUMMARY = ("windows", "accuracy", "confusion", "samples", "events", "bundle_sha256")


def pieces(read: Mapping[str, Callable[[Path], Any]]) -> Callable[[Path], Any]:
    """Facts of a folder: each of its files, by name."""
    return lambda folder: {name: f(folder / name) if (folder / name).exists() else None for name, f in read.items()}


def history(path: Path) -> str | None:
    """The metrics of all epochs; None before the last of them."""
    rows = path.read_text().splitlines()
    if not rows[0].startswith("epoch,") or len(rows) > EPOCHS + 1:
        raise ValueError("a part of a table, or too many epochs")
    return "\n".join(rows) if len(rows) == EPOCHS + 1 else None


RUN = {
    "config.json": sha256_file,
    "data.json": sha256_file,
    "history.csv": history,
    "weights.safetensors": sha256_file,
    "baseline.npz": sha256_file,
    "baseline.json": sha256_file,
    "learning_curves.png": sha256_file,
    "run.json": without(*TIMES),
}
DEMO = {
    **{f"run/{name}": f for name, f in RUN.items()},
    "run.json": without(*TIMES),
    "model.edgehar": bundle,
    "summary.json": only(*SUMMARY),
    "report.html": page,
}
EPOCHS = 3
SMALL = (
    *("--dataset", "walks", "--set", f"epochs={EPOCHS}", "--set", "validation_subjects=1"),
    *("--set", "model_options={stem_channels = 8, blocks = [[16, 9, 2]]}"),
)
IMPORT = ("data", "import", "SOURCE/walks", "--name", "walks")
OLD_IMPORT = ("data", "import", "SOURCE/older", "--name", "walks")


DATA = ("--recordings", "FOLDER/walk.csv")
FLEET = ("fleet", BUNDLE, *DATA, "--devices", "100", "--minutes", "5")
CASES = {
    "fleet": Case((*FLEET, "--jobs", "1", "--json", "FOLDER/fleet.json"), "fleet.json", without("run")),
    "fleet --out": Case((*FLEET, "--jobs", "2", "--out", "FOLDER/out"), "out/fleet.json", without("run"), folder=True),
    "simulate": Case(
        ("simulate", BUNDLE, *DATA, "--json", "FOLDER/summary.json"),
        "summary.json",
        only("windows", "accuracy", "confusion", "samples", "events"),
    ),
    "report": Case(("report", BUNDLE, *DATA, "--out", "FOLDER/report.html"), "report.html", page),
    "stress": Case(
        ("stress", BUNDLE, *DATA, "--faults", "drop,nan,bias", "--seeds", "0", "--out", "FOLDER/out"),
        "out/stress.json",
        without(),
        folder=True,
    ),
    "data import": Case(IMPORT, "datasets/walks", dataset, old=OLD_IMPORT, forked=True, datasets="FOLDER/datasets"),
    "init": Case(("init", "walks", "--out", "FOLDER/walks.toml"), "walks.toml", sha256_file, folder=True, forked=True),
    "train": Case(
        ("train", *SMALL, "--out", "FOLDER/run"),
        "run",
        pieces(RUN),
        folder=True,
        pieces=True,
        go_on=(("train", "--resume", "FOLDER/run"), "run/checkpoints/last.ckpt"),
        forked=True,
    ),
    "export": Case(
        ("export", "SOURCE/run", "--out", "FOLDER/walks.edgehar"),
        "walks.edgehar",
        bundle,
        old=("verify", BUNDLE, "--unpack", "FOLDER/walks.edgehar"),
        forked=True,
    ),
    "run": Case(("run", *SMALL, "--out", "FOLDER/demo"), "demo", pieces(DEMO), folder=True, pieces=True, forked=True),
    "pack": Case(
        ("pack", BUNDLE, "--release", "1", "--out", "FOLDER/walks-1.edgehar"),
        "walks-1.edgehar",
        sha256_file,
        forked=True,
    ),
}


def table(found: Mapping[str, Any]) -> str:
    """Return what was found of all cases in Markdown, with no figure where a check does not suit the case."""
    columns = (
        *("command", "random kills", "at operations", "of workers", "two at once", "full disks (refused)"),
        *("files left over", "broken"),
    )
    lines = []
    for name in (name for name in CASES if name in found):
        checks = {check: found[name][check] for check in CHECKS if check in found[name]}
        cells = [
            *(f"{checks[check]['kills']}" if check in checks else "–" for check in ("random", "operations", "workers")),
            f"{checks['two']['runs']}" if "two" in checks else "–",
            f"{checks['disk']['runs']} ({checks['disk']['old']})" if "disk" in checks else "–",
            *(f"{sum(counts.get(what, 0) for counts in checks.values())}" for what in ("leftovers", "broken")),
        ]
        lines.append(f"| `{name}` | {' | '.join(cells)} |\n")
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n" + "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--checks", nargs="+", choices=CHECKS, default=CHECKS)
    parser.add_argument("--kills", type=int, default=100, help="random ones of each case")
    parser.add_argument("--sparse", action="store_true", help="only the first, third, 9th, 27th, ... operation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="cases that are there already stay")
    options = parser.parse_args()
    command = " ".join(["python", "tools/kill_tests.py", *map(shlex.quote, sys.argv[1:])])
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), random.Random(options.seed))
        for name in options.cases:
            for what, counts in bench.everything(CASES[name], options.checks, options.kills, options.sparse):
                print(f"{name:12} {what:11} " + ", ".join(f"{k} {v}" for k, v in counts.items()), flush=True)
                broken += counts["broken"]
                if options.json is not None:
                    put_in(options.json, name, {"command": command, what: dict(counts)})
    print(f"{broken} broken")
    return 1 if broken else 0


def put_in(path: Path, case: str, found: Mapping[str, Any]) -> None:
    """Write what was found of a case into a file; other cases and checks in it stay."""
    results = json.loads(path.read_text("utf-8")) if path.exists() else {}
    write_json(path, {**results, case: {**results.get(case, {}), **found}})


class Bench:
    """Runs cases in folders below ``root``."""

    def __init__(self, root: Path, draw: random.Random) -> None:
        self.root, self.draw, self.old = root, draw, None
        recording = golden_recording(Bundle.open(BUNDLE))
        names = (
            [] if recording.labels is None else [recording.label_names[i] if i >= 0 else "" for i in recording.labels]
        )
        header = ",".join([*(channel.name for channel in recording.channels), "label"])
        rows = [",".join(map(str, [*sample, name])) for sample, name in zip(recording.samples, names, strict=True)]
        self.csv = "\n".join([header, *rows])

    @functools.cached_property
    def source(self) -> Path:
        """A folder with CSV files to import, a data set imported from them, and a run trained on it."""
        folder = self.root / "source"
        for name, people in (("walks", 6), ("older", 4)):
            (folder / name).mkdir(parents=True)
            for person in range(people):
                (folder / name / f"user{person}.csv").write_text(made_up_walk(person))
        made = Case((), "", bundle, forked=True, datasets=str(folder / "datasets"))
        for arguments in (IMPORT, ("train", *SMALL, "--out", str(folder / "run"))):
            self.run(made, [argument.replace("SOURCE", str(folder)) for argument in arguments], folder)
        return folder

    def run(self, case: Case, command: list[str], folder: Path) -> None:
        """Run a command that must succeed."""
        process = self.start(case, command, folder)
        error = process.communicate()[1]
        if process.returncode != 0:
            raise SystemExit(f"the command itself fails: {error}")

    def everything(
        self, case: Case, checks: Sequence[str], kills: int, sparse: bool
    ) -> Iterator[tuple[str, Counter[str]]]:
        """Yield what those checks found that suit the case."""
        if case.forked:
            self.import_what_it_does(case)
        self.old = self.old_result(case)
        begin = time.monotonic()
        self.expected = self.undisturbed(case)
        self.seconds = time.monotonic() - begin
        run = {
            "random": lambda: self.random_kills(case, kills),
            "operations": lambda: self.kills_at_operations(case, sparse),
            "workers": lambda: self.worker_kills(case, max(1, kills // 10)),
            "disk": lambda: self.full_disk(case),
            "two": lambda: self.two_at_once(case, max(1, kills // 20)),
        }
        in_processes = "--jobs" in case.arguments and case.folder
        suits = {"workers": in_processes, "two": in_processes}
        for name in CHECKS:
            if name in checks and suits.get(name, True):
                yield name, run[name]()

    def import_what_it_does(self, case: Case) -> None:
        """Import in this process what the command does, so that its forks need not."""
        folder, modules = self.fresh(case), self.root / "modules.txt"
        fork = Fork(self.command(case, folder), folder, self.environment(case, folder), self.root, modules=modules)
        error = fork.communicate()[1]
        if fork.returncode != 0:
            raise SystemExit(f"the command itself fails: {error}")
        for name in modules.read_text().split():
            with contextlib.suppress(Exception):
                importlib.import_module(name)

    def old_result(self, case: Case) -> Path | None:
        """Make an older result, where a command does."""
        if not case.old:
            return None
        folder = Path(tempfile.mkdtemp(dir=self.root))
        self.run(case, [self.placed(argument, folder) for argument in case.old], folder)
        return folder / case.result

    def placed(self, argument: str, folder: Path) -> str:
        """Put the folders into an argument."""
        if "SOURCE" in argument:
            argument = argument.replace("SOURCE", str(self.source))
        return argument.replace("FOLDER", str(folder))

    def fresh(self, case: Case, parent: Path | None = None) -> Path:
        """Return a folder with the recording and, where there can be one, an old result."""
        folder = Path(tempfile.mkdtemp(dir=parent or self.root))
        (folder / "walk.csv").write_text(self.csv)
        self.put_old(case, folder)
        return folder

    def put_old(self, case: Case, folder: Path) -> None:
        """Put an old result into a folder, where there can be one."""
        if case.old and self.old is not None:
            shutil.copytree(self.old, folder / case.result)
        elif not case.folder and not case.old:
            (folder / case.result).write_bytes(OLD)

    def command(self, case: Case, folder: Path) -> list[str]:
        """Return the arguments of the command, or of what goes on after a kill."""
        arguments, sign = case.go_on
        if not (sign and (folder / sign).exists()):
            arguments = case.arguments
        return [self.placed(argument, folder) for argument in arguments]

    def start(
        self, case: Case, arguments: list[str], folder: Path, cut: int = 0, limit: int | None = None
    ) -> subprocess.Popen[str] | Fork:
        """Start a command.

        Args:
            case: says how.
            arguments: of the command.
            folder: of the case.
            cut: let it kill itself before that operation on a file in ``folder``.
            limit: the most bytes that a file of it may have.
        """
        if cut and "--jobs" in arguments:
            arguments[arguments.index("--jobs") + 1] = "1"  # the operations of its workers are none on the output
        if case.forked:
            environment = self.environment(case, folder)
            process: subprocess.Popen[str] | Fork = Fork(arguments, folder, environment, self.root, cut=cut)
        else:
            how = [__file__, "--child", str(cut), str(folder)] if cut else ["-m", "edgehar"]
            process = subprocess.Popen(
                [sys.executable, *how, *arguments],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        if limit is not None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        return process

    def environment(self, case: Case, folder: Path) -> dict[str, str]:
        """Return what a fork finds in its environment beside this process's."""
        return {"EDGEHAR_DATASETS": self.placed(case.datasets, folder)}

    def undisturbed(self, case: Case) -> Any:
        """Return the facts of a result that nothing happened to."""
        folder = self.fresh(case)
        self.run(case, self.command(case, folder), folder)
        return case.facts(folder / case.result)

    def state(self, case: Case, folder: Path) -> str:
        """Say whether the result is old, new or broken."""
        path = folder / case.result
        if not path.exists():
            return "old" if case.folder else "broken"
        if not case.folder and path.is_file() and path.read_bytes() == OLD:
            return "old"
        try:
            found = case.facts(path)
            if found == self.expected:
                return "new"
            if self.old is not None and found == case.facts(self.old):
                return "old"
        except (ValueError, KeyError, OSError, EdgeharError):
            return "broken"
        partly = case.pieces and all(found[name] in (None, piece) for name, piece in self.expected.items())
        return "old" if partly else "broken"

    def random_kills(self, case: Case, kills: int) -> Counter[str]:
        """Kill after a random time."""
        counts = Counter(kills=0, old=0, new=0, broken=0, ended=0, orphans=0, leftovers=0)
        folder = self.fresh(case)
        while counts["kills"] < kills:
            process = self.start(case, self.command(case, folder), folder)
            try:
                process.communicate(timeout=self.draw.uniform(0, 1.1 * self.seconds))
            except subprocess.TimeoutExpired:
                counts["kills"] += 1
                if counts["kills"] % 2:
                    process.kill()
                    counts["orphans"] += orphans_of(process.pid)
                else:
                    with contextlib.suppress(ProcessLookupError):  # so young a fork that it has no session yet
                        os.killpg(process.pid, signal.SIGKILL)
                    process.kill()
                process.communicate()
            else:
                counts["ended"] += 1
                if process.returncode != 0:
                    counts["broken"] += 1
            state = self.state(case, folder)
            counts[state] += 1
            if state == "new" or not case.folder:
                counts["leftovers"] += len(list(folder.rglob(".*")))
                shutil.rmtree(folder)
                folder = self.fresh(case)
        return self.ended_well(case, folder, counts)

    def kills_at_operations(self, case: Case, sparse: bool) -> Counter[str]:
        """Kill before each operation on the output, or some of them, in a run of its own."""
        counts = Counter(kills=0, old=0, new=0, broken=0, leftovers=0)
        cut, code = 1, -signal.SIGKILL
        while code == -signal.SIGKILL:
            folder = self.fresh(case)
            process = self.start(case, self.command(case, folder), folder, cut=cut)
            process.communicate()
            code = process.returncode
            counts["kills"] += code == -signal.SIGKILL
            counts[self.state(case, folder)] += 1
            counts["leftovers"] += len(list(folder.rglob(".*")))
            counts = self.ended_well(case, folder, counts)
            cut = 3 * cut if sparse else cut + 1
        return counts

    def ended_well(self, case: Case, folder: Path, counts: Counter[str]) -> Counter[str]:
        """Run the command to its end where others were killed: it must go on, and have the result."""
        if self.state(case, folder) != "new" or not case.folder:
            process = self.start(case, self.command(case, folder), folder)
            error = process.communicate()[1]
            if process.returncode != 0 or self.state(case, folder) != "new":
                sys.stderr.write(f"after a kill: exit code {process.returncode}, {self.state(case, folder)}: {error}\n")
                counts["broken"] += 1
        shutil.rmtree(folder)
        return counts

    def worker_kills(self, case: Case, runs: int) -> Counter[str]:
        """Kill workers; the command goes on."""
        counts = Counter(runs=0, kills=0, broken=0)
        for _ in range(runs):
            folder = self.fresh(case)
            process = self.start(case, self.command(case, folder), folder)
            left = self.draw.randint(1, 3)
            while process.poll() is None:
                time.sleep(self.draw.uniform(0.1, 0.8) * self.seconds / 2)
                workers = [pid for pid, command in children(process.pid) if b"spawn_main" in command]
                if workers and left:
                    os.kill(self.draw.choice(workers), signal.SIGKILL)
                    counts["kills"] += 1
                    left -= 1
            process.communicate()
            counts["runs"] += 1
            counts["broken"] += process.returncode != 0 or self.state(case, folder) != "new"
            shutil.rmtree(folder)
        return counts

    def two_at_once(self, case: Case, runs: int) -> Counter[str]:
        """Start the command twice on one folder."""
        counts = Counter(runs=0, refused=0, broken=0)
        for _ in range(runs):
            folder = self.fresh(case)
            both = [self.start(case, self.command(case, folder), folder) for _ in range(2)]
            errors = [process.communicate()[1] for process in both]
            codes = [process.returncode for process in both]
            refused = [error for error, code in zip(errors, codes, strict=True) if code == 2]
            counts["runs"] += 1
            counts["refused"] += len(refused)
            said = all("another fleet writes there" in error and error.count("\n") == 1 for error in refused)
            # one may have ended before the other looked; then both are right
            counts["broken"] += not (set(codes) <= {0, 2} and 0 in codes and said and self.state(case, folder) == "new")
            shutil.rmtree(folder)
        return counts

    def full_disk(self, case: Case) -> Counter[str]:
        """Run where there is little room."""
        counts = Counter(runs=0, new=0, old=0, broken=0)
        for kb in DISK_KB:
            with SmallDisk(self.root, kb) as disk:
                if disk is not None:
                    folder = self.fresh(case)
                    self.one_disk(case, folder, disk, None, counts)
            folder = self.fresh(case)
            self.one_disk(case, folder, folder, 1024 * kb // 4, counts)
        return counts

    def one_disk(self, case: Case, folder: Path, disk: Path, limit: int | None, counts: Counter[str]) -> None:
        """Run with the output on ``disk``; the recording stays in ``folder``."""
        if disk != folder:
            try:
                self.put_old(case, disk)
            except (OSError, shutil.Error):
                shutil.rmtree(folder)
                return  # not even the old result has room
        command = [
            argument.replace(str(folder), str(disk)) if not argument.endswith("walk.csv") else argument
            for argument in self.command(case, folder)
        ]
        process = self.start(case, command, disk, limit=limit)
        error = process.communicate()[1]
        state = self.state(case, disk)
        refused = process.returncode == 1 and error.count("\n") == 1
        fits = state == "new" if process.returncode == 0 else refused and state == "old"
        counts["runs"] += 1
        counts[state if fits else "broken"] += 1
        if not fits:
            sys.stderr.write(f"disk: exit code {process.returncode}, result {state}: {error}\n")
        shutil.rmtree(folder)


class Fork:
    """A command in a fork of this process, in a session of its own; as much of ``subprocess.Popen`` as is needed."""

    def __init__(
        self,
        arguments: list[str],
        folder: Path,
        environment: Mapping[str, str],
        root: Path,
        *,
        cut: int = 0,
        modules: Path | None = None,
    ) -> None:
        self.error = Path(tempfile.mkstemp(suffix=".stderr", dir=root)[1])
        self.returncode: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid:
            return
        code = 70
        try:
            os.setsid()
            for stream, path in ((1, os.devnull), (2, self.error)):
                os.dup2(os.open(path, os.O_WRONLY), stream)
            os.environ.update(environment)
            code = child(cut, str(folder), arguments) if cut else edgehar(arguments)
            if modules is not None:
                modules.write_text("\n".join(sys.modules))
        except SystemExit as leaving:  # argparse
            code = int(leaving.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def poll(self) -> int | None:
        """Return the exit code, None while it lives."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def communicate(self, timeout: float = float("inf")) -> tuple[None, str]:
        """Wait for its end; return what it said on stderr."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("edgehar", timeout)
            time.sleep(0.002)
        error = self.error.read_text()
        self.error.unlink()
        return None, error

    def kill(self) -> None:
        """Kill it alone."""
        os.kill(self.pid, signal.SIGKILL)


def edgehar(arguments: list[str]) -> int:
    from edgehar.cli import main

    return main(arguments)


class SmallDisk:
    """A tmpfs of some kilobytes; None where it may not be mounted."""

    def __init__(self, root: Path, kb: int) -> None:
        self.path, self.kb, self.mounted = root / "disk", kb, False

    def __enter__(self) -> Path | None:
        self.path.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self.kb}k", "none", str(self.path)], capture_output=True, check=False
        )
        self.mounted = done.returncode == 0
        return self.path if self.mounted else None

    def __exit__(self, *_: object) -> None:
        if self.mounted:
            subprocess.run(["umount", str(self.path)], check=True)


def children(parent: int) -> list[tuple[int, bytes]]:
    """Return pid and command of a process's children."""
    return [(pid, command) for pid, fields, command in processes() if int(fields[1]) == parent]


def orphans_of(session: int) -> int:
    """Return how many processes of a session are left some seconds after its leader."""
    end = time.monotonic() + ORPHAN_S
    while True:
        left = [pid for pid, fields, _ in processes() if int(fields[3]) == session and fields[0] != "Z"]
        if not left or time.monotonic() > end:
            return len(left)
        time.sleep(0.1)


def processes() -> list[tuple[int, list[str], bytes]]:
    """Return pid, the fields of ``stat`` after the name (state, parent, group, session, ...) and the command."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                found.append((int(folder.name), fields, (folder / "cmdline").read_bytes()))
            except OSError:
                continue  # it ended meanwhile
    return found


def child(cut: int, folder: str, arguments: list[str]) -> int:
    """Run a command that kills itself before operation ``cut`` on a file below ``folder``."""
    left = cut

    def watch(event: str, details: tuple[Any, ...]) -> None:
        nonlocal left
        opens = event == "open" and isinstance(details[2], int) and details[2] & WRITES
        if (opens or event in ON_FILES) and str(details[0]).startswith(folder):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    return edgehar(arguments)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        sys.exit(child(int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
    sys.exit(main())
