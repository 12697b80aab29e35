"""cppcheck finds nothing in the firmware that ships: bounds, shifts, uninitialised values, whatever the path."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from edgehar.bundle import Bundle, zoo_names
from edgehar.c_pipeline import firmware_files

OPTIONS = ("--std=c99", "--enable=warning,performance,portability", "--inconclusive", "--platform=unix32", "--quiet")
SLOW = ("ds_cnn_30k",)  # ds_cnn with longer tables


@pytest.mark.parametrize("name", [name for name in zoo_names() if name not in SLOW])
def test_nothing_is_found(name, tmp_path):
    program = shutil.which("cppcheck")
    assert program is not None, "cppcheck is not installed: run tools/install_test_programs.sh"
    files = firmware_files(Bundle.open(f"zoo:{name}"))
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
    sources = [file for file in files if file.endswith(".c")]
    done = subprocess.run([program, *OPTIONS, *sources], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
