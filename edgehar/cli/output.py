"""What commands share when they write: JSON for machines, atomically."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgehar.files import write_atomic


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON; NaN and infinity are refused, as JSON has none."""
    write_atomic(path, (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
