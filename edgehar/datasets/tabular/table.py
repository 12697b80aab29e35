"""A table as it was read: columns by name, numbers or text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_FILE_BYTES = 2 * 2**30
MAX_CELLS = 400_000_000  # 1 GiB would be 130 million float64; a table that large is cut up by its owner
MAX_COLUMNS = 2_000


@dataclass(frozen=True, eq=False)
class Table:
    """One table of a file.

    Attributes:
        path: of the file.
        columns: ``[N]`` float64 (NaN where a cell is empty or no number) or object (text, None where empty).
        notes: what was guessed while reading, by name: its value and why.
        rate_hz: where the file states it.
        units: of columns, where the file states them.
        label: of all rows, where the file or its name states it.
        left_out: rows that could not be read.
    """

    path: Path
    columns: Mapping[str, NDArray[Any]]
    notes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    rate_hz: float | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None
    left_out: int = 0

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def is_number(self, name: str) -> bool:
        """Whether a column holds numbers."""
        return self.columns[name].dtype == np.float64
