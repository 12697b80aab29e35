"""Killed at some of its operations on files, a command leaves what was there before, and the next one has the result.

tools/kill_tests.py, here with few kills; docs/results/kill_tests.md has what many of them did.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = ("data import", "init", "run", "pack")  # a run trains and exports


def test_nothing_is_lost():
    """One process for all, as they share what was imported."""
    command = [sys.executable, str(ROOT / "tools" / "kill_tests.py"), "--checks", "operations", "--sparse", "--cases"]
    done = subprocess.run([*command, *CASES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert all(f"{case:12}" in done.stdout for case in CASES)
    assert "kills 0" not in done.stdout
