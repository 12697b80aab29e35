"""How long it takes from a phone's CSV files to a report: ``sp_sw_har`` as its owners' phones might have logged it.

    EDGEHAR_DATA=FOLDER python tools/csv_to_report.py --work DIR --json docs/results/csv_to_report.json

Writes the 223 walks of the phone, 102 Hz, m/s², as text that somebody's spreadsheet has touched: semicolons, decimal
commas, half of the files with a byte order mark and lines that end in CR LF, stamps in bursts as the phone gave them,
of a hundred rows one lost, one twice and one with an empty cell. Then, as a user would, ``edgehar data import`` and
``edgehar run``, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.datasets.sp_sw_har import ACTIVITIES, find_source
from edgehar.errors import UsageError
from edgehar.files import write_json

HEAD = "Timestamp (ms);Accel X;Accel Y;Accel Z;Gyro X;Gyro Y;Gyro Z;Activity"
LOST, TWICE, EMPTY = 0.01, 0.01, 0.01
NAME = "walks"


def write_walks(folder: Path, seed: int = 0) -> tuple[int, int]:
    """Write a CSV file a walk; return how many files and rows."""
    source = find_source()
    if source is None:
        raise UsageError("sp_sw_har.npz is not there; set EDGEHAR_DATA to its folder")
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with np.load(source, allow_pickle=False) as z:
        x, t_ms, label, start = z["x"].T, z["t_ms"], z["label"], z["start"]
        subject, execution, device = z["subject"], z["execution"], z["device"]
    rows = 0
    walks = np.flatnonzero(device == 0)
    for count, stream in enumerate(walks.tolist()):
        cut = np.arange(start[stream], start[stream + 1])
        cut = cut[rng.random(len(cut)) >= LOST]
        cut = np.sort(np.concatenate([cut, cut[rng.random(len(cut)) < TWICE]]))
        lines = [HEAD]
        for i in cut.tolist():
            cells = [f"{t_ms[i]:.0f}", *(f"{value:.5f}" for value in x[i])]
            if rng.random() < EMPTY:
                cells[rng.integers(1, 7)] = ""
            lines.append(";".join([*cells, ACTIVITIES[label[i]]]).replace(".", ","))
        end, encoding = ("\r\n", "utf-8-sig") if count % 2 else ("\n", "utf-8")
        path = folder / f"user{subject[stream]:02d}_walk{execution[stream]:02d}.csv"
        path.write_bytes((end.join(lines) + end).encode(encoding))
        rows += len(cut)
    return len(walks), rows


def timed(*command: str, environment: dict[str, str]) -> float:
    """Return the seconds that a command of edgehar took."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "edgehar", *command], env=environment, check=True)
    return round(time.perf_counter() - begin, 1)


def table(found: dict[str, Any]) -> str:
    """One row a step."""
    total = found["import_s"] + found["run_s"]
    return (
        "| step | |\n|---|---|\n"
        f"| files, rows | {found['files']}, {found['rows']:,} |\n"
        f"| `edgehar data import` | {found['import_s']:.0f} s |\n"
        f"| `edgehar run`: train, export, verify, simulate, report | {found['run_s']:.0f} s |\n"
        f"| from CSV to report | {total:.0f} s |\n"
        f"| windows of unseen people decided right by the int8 network | {100 * found['accuracy']:.1f} % of "
        f"{found['windows']:,} |\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="new folder for files and results")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    files, rows = write_walks(options.work / "csv")
    environment = {**os.environ, "EDGEHAR_DATASETS": str(options.work / "datasets")}
    import_s = timed("data", "import", str(options.work / "csv"), "--name", NAME, environment=environment)
    run_s = timed("run", "--dataset", NAME, "--out", str(options.work / "out"), environment=environment)
    summary = json.loads((options.work / "out" / "summary.json").read_text("utf-8"))
    found = {
        **{"files": files, "rows": rows, "import_s": import_s, "run_s": run_s},
        **{key: summary[key] for key in ("accuracy", "windows")},
    }
    print(table(found))
    if options.json:
        write_json(options.json, found)


if __name__ == "__main__":
    main()
