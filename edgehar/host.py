"""The processor of this computer by name."""

from __future__ import annotations

import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


def cpu_name(info: Path = CPU_INFO) -> str:
    """Return the processor's model where the system tells, else its architecture."""
    try:
        lines = info.read_text("utf-8", "replace").splitlines()
    except OSError:  # not Linux
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model", "Hardware")))
    return next((name for name in named if name), "") or platform.processor() or platform.machine()
