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
times. A command with an output folder is started again after each kill until it ends.
"""

from __future__ import annotations

import argparse
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
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_sim.sources import golden_recording
from edgehar.bundle import Bundle
from edgehar.files import write_json

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
        facts: what of the file may not depend on anything that happens; raises if the file is not whole.
        folder: the command goes on in its output folder, so there is no old result.
    """

    arguments: tuple[str, ...]
    result: str
    facts: Callable[[bytes], Any]
    folder: bool = False


def without(*names: str) -> Callable[[bytes], Any]:
    return lambda data: {name: value for name, value in json.loads(data).items() if name not in names}


def only(*names: str) -> Callable[[bytes], Any]:
    return lambda data: {name: json.loads(data)[name] for name in names}


def page(data: bytes) -> bool:
    if not data.startswith(b"<!DOCTYPE html>") or not data.endswith(b"</html>\n"):
        raise ValueError("a part of a page")
    return True


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
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--checks", nargs="+", choices=CHECKS, default=CHECKS)
    parser.add_argument("--kills", type=int, default=100, help="random ones of each case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="cases that are there already stay")
    options = parser.parse_args()
    found: dict[str, dict[str, dict[str, int]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), random.Random(options.seed))
        for name in options.cases:
            found[name] = bench.everything(CASES[name], options.checks, options.kills)
            for what, counts in found[name].items():
                print(f"{name:12} {what:11} " + ", ".join(f"{k} {v}" for k, v in counts.items()), flush=True)
    broken = sum(counts["broken"] for case in found.values() for counts in case.values())
    print(f"{broken} broken")
    if options.json is not None:
        command = " ".join(["python", "tools/kill_tests.py", *map(shlex.quote, sys.argv[1:])])
        before = json.loads(options.json.read_text("utf-8")) if options.json.exists() else {}
        write_json(options.json, before | {name: {"command": command, **checks} for name, checks in found.items()})
    return 1 if broken else 0


class Bench:
    """Runs cases in folders below ``root``."""

    def __init__(self, root: Path, draw: random.Random) -> None:
        self.root, self.draw = root, draw
        recording = golden_recording(Bundle.open(BUNDLE))
        names = (
            [] if recording.labels is None else [recording.label_names[i] if i >= 0 else "" for i in recording.labels]
        )
        header = ",".join([*(channel.name for channel in recording.channels), "label"])
        rows = [",".join(map(str, [*sample, name])) for sample, name in zip(recording.samples, names, strict=True)]
        self.csv = "\n".join([header, *rows])

    def everything(self, case: Case, checks: Sequence[str], kills: int) -> dict[str, dict[str, int]]:
        """Return what those checks found that suit the case."""
        begin = time.monotonic()
        self.expected = self.undisturbed(case)
        self.seconds = time.monotonic() - begin
        run = {
            "random": lambda: self.random_kills(case, kills),
            "operations": lambda: self.kills_at_operations(case),
            "workers": lambda: self.worker_kills(case, max(1, kills // 10)),
            "disk": lambda: self.full_disk(case),
            "two": lambda: self.two_at_once(case, max(1, kills // 20)),
        }
        in_processes = "--jobs" in case.arguments and case.folder
        suits = {"workers": in_processes, "two": in_processes}
        return {name: dict(run[name]()) for name in CHECKS if name in checks and suits.get(name, True)}

    def fresh(self, case: Case, parent: Path | None = None) -> Path:
        """Return a folder with the recording and, where there can be one, an old result."""
        folder = Path(tempfile.mkdtemp(dir=parent or self.root))
        (folder / "walk.csv").write_text(self.csv)
        if not case.folder:
            (folder / case.result).write_bytes(OLD)
        return folder

    def command(self, case: Case, folder: Path, cut: int = 0) -> list[str]:
        """Return the command; with ``cut`` one that kills itself before that operation on a file of the output."""
        arguments = [argument.replace("FOLDER", str(folder)) for argument in case.arguments]
        if cut:
            if "--jobs" in arguments:
                arguments[arguments.index("--jobs") + 1] = "1"  # the operations of its workers are none on the output
            return [sys.executable, __file__, "--child", str(cut), str(folder), *arguments]
        return [sys.executable, "-m", "edgehar", *arguments]

    def start(self, command: Sequence[str], limit: int | None = None) -> subprocess.Popen[str]:
        """Start a command; ``limit`` is the most bytes that a file of it may have."""
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        if limit is not None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        return process

    def undisturbed(self, case: Case) -> Any:
        """Return the facts of a result that nothing happened to."""
        folder = self.fresh(case)
        done = self.start(self.command(case, folder))
        error = done.communicate()[1]
        if done.returncode != 0:
            raise SystemExit(f"the command itself fails: {error}")
        return case.facts((folder / case.result).read_bytes())

    def state(self, case: Case, folder: Path) -> str:
        """Say whether the result is old, new or broken."""
        path = folder / case.result
        if not path.exists():
            return "old" if case.folder else "broken"
        data = path.read_bytes()
        if not case.folder and data == OLD:
            return "old"
        try:
            return "new" if case.facts(data) == self.expected else "broken"
        except (ValueError, KeyError):
            return "broken"

    def random_kills(self, case: Case, kills: int) -> Counter[str]:
        """Kill after a random time."""
        counts = Counter(kills=0, old=0, new=0, broken=0, ended=0, orphans=0, leftovers=0)
        folder = self.fresh(case)
        while counts["kills"] < kills:
            process = self.start(self.command(case, folder))
            try:
                process.communicate(timeout=self.draw.uniform(0, 1.1 * self.seconds))
            except subprocess.TimeoutExpired:
                counts["kills"] += 1
                if counts["kills"] % 2:
                    process.kill()
                    counts["orphans"] += orphans_of(process.pid)
                else:
                    os.killpg(process.pid, signal.SIGKILL)
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

    def kills_at_operations(self, case: Case) -> Counter[str]:
        """Kill before each operation on the output, in a run of its own."""
        counts = Counter(kills=0, old=0, new=0, broken=0, leftovers=0)
        code = -signal.SIGKILL
        while code == -signal.SIGKILL:
            folder = self.fresh(case)
            process = self.start(self.command(case, folder, cut=counts["kills"] + 1))
            process.communicate()
            code = process.returncode
            counts["kills"] += code == -signal.SIGKILL
            counts[self.state(case, folder)] += 1
            counts["leftovers"] += len(list(folder.rglob(".*")))
            counts = self.ended_well(case, folder, counts)
        return counts

    def ended_well(self, case: Case, folder: Path, counts: Counter[str]) -> Counter[str]:
        """Run the command to its end where others were killed: it must go on, and have the result."""
        process = self.start(self.command(case, folder))
        process.communicate()
        if process.returncode != 0 or self.state(case, folder) != "new":
            counts["broken"] += 1
        shutil.rmtree(folder)
        return counts

    def worker_kills(self, case: Case, runs: int) -> Counter[str]:
        """Kill workers; the command goes on."""
        counts = Counter(runs=0, kills=0, broken=0)
        for _ in range(runs):
            folder = self.fresh(case)
            process = self.start(self.command(case, folder))
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
            both = [self.start(self.command(case, folder)) for _ in range(2)]
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
        if disk != folder and not case.folder:
            (disk / case.result).write_bytes(OLD)
        command = [
            argument.replace(str(folder), str(disk)) if not argument.endswith("walk.csv") else argument
            for argument in self.command(case, folder)
        ]
        process = self.start(command, limit)
        error = process.communicate()[1]
        state = self.state(case, disk)
        refused = process.returncode == 1 and error.count("\n") == 1
        fits = state == "new" if process.returncode == 0 else refused and state == "old"
        counts["runs"] += 1
        counts[state if fits else "broken"] += 1
        if not fits:
            sys.stderr.write(f"disk: exit code {process.returncode}, result {state}: {error}\n")
        shutil.rmtree(folder)


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
    from edgehar.cli import main as edgehar

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
