"""Files to tables: CSV of any dialect, Parquet, NPZ, and Edge Impulse's acquisition format.

Every reader is ``(path, settings) -> Table`` and raises :class:`edgehar.errors.DataError` for whatever it cannot read.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.arrays import load_npz
from edgehar.datasets.tabular.dialect import DELIMITERS, ReadSettings, sniff
from edgehar.datasets.tabular.edge_impulse import read_cbor, read_json
from edgehar.datasets.tabular.table import MAX_CELLS, MAX_COLUMNS, MAX_FILE_BYTES, Table
from edgehar.errors import BundleError, DataError, MissingExtraError

SAMPLE_BYTES = 64 * 1024
MISSING = ("", "nan", "na", "n/a", "null", "none", "-")


def read_table(path: Path, settings: ReadSettings) -> Table:
    """Read one file.

    Raises:
        DataError: it cannot be read, is too large, or holds no table; names the file and what to do.
        MissingExtraError: its format needs a package that is not installed.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path}: files of kind {path.suffix or 'without ending'!r} are not read; give {', '.join(READERS)}"
        )
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DataError(f"{path}: {size} bytes, expected at most {MAX_FILE_BYTES}; cut it up")
        table = reader(path, settings)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None
    except MemoryError:
        raise DataError(f"{path}: is too large for this computer's memory; cut it up") from None
    if table.rows == 0:
        raise DataError(f"{path}: holds no rows of samples")
    return table


def read_text(path: Path, settings: ReadSettings) -> Table:
    """Read a table of text: any delimiter, decimal point or comma, names or none, remarks above it."""
    pandas = _pandas(path)
    with path.open("rb") as stream:
        head = stream.read(SAMPLE_BYTES)
    encoding = _encoding(head)
    text = head.decode(encoding, "replace")
    if len(head) == SAMPLE_BYTES:
        text = text.rpartition("\n")[0]
    if "\0" in text:
        raise DataError(f"{path}: is no text file; expected a table in CSV")
    try:
        dialect = sniff(text, settings, encoding)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    if len(dialect.names) > MAX_COLUMNS:
        raise DataError(
            f"{path}: {len(dialect.names)} columns, expected at most {MAX_COLUMNS}; is this a table of samples?"
        )
    options: dict[str, Any] = {
        "sep": r"\s+" if dialect.delimiter == " " else dialect.delimiter,
        "decimal": dialect.decimal,
        "header": None,
        "names": list(dialect.names),
        "skiprows": dialect.skip,
        "comment": None,
        "encoding": dialect.encoding,
        "encoding_errors": "replace",
        "na_values": [*MISSING, *(word.upper() for word in MISSING)],
        "index_col": False,
        "skipinitialspace": True,
        "low_memory": False,
    }
    left_out = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # of rows with more cells than names
            frame = pandas.read_csv(path, **options)
    except (pandas.errors.ParserError, pandas.errors.ParserWarning, ValueError, OverflowError):
        frame, left_out = _without_bad_lines(pandas, path, options)
    columns, bad = _columns(pandas, frame)
    notes = {
        "delimiter": (DELIMITERS.get(dialect.delimiter, dialect.delimiter), "it cuts the lines most evenly"),
        "decimal": ("comma" if dialect.decimal == "," else "point", "as most numbers have it"),
    }
    if bad:
        notes["cells"] = (f"{bad} cells are no numbers", "in columns of numbers; taken as empty")
    return Table(path, columns, notes, left_out=left_out)


def _without_bad_lines(pandas: Any, path: Path, options: dict[str, Any]) -> tuple[Any, int]:
    bad: list[int] = [0]

    def count(_: list[str]) -> None:
        bad[0] += 1

    try:
        options = {key: value for key, value in options.items() if key != "low_memory"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pandas.errors.ParserWarning)
            frame = pandas.read_csv(path, **options, engine="python", on_bad_lines=count)
    except Exception as error:  # pandas raises whatever its parsers raise
        raise DataError(f"{path}: is no readable table ({' '.join(str(error).split())[:200]})") from None
    return frame, bad[0]


def _encoding(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if head.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    try:
        head[: len(head) // 2 if len(head) == SAMPLE_BYTES else len(head)].decode("utf-8")
    except UnicodeDecodeError as error:
        return "utf-8" if error.start > len(head) // 2 - 4 and len(head) == SAMPLE_BYTES else "latin-1"
    return "utf-8"


def _columns(pandas: Any, frame: Any) -> tuple[dict[str, NDArray[Any]], int]:
    """Numbers where at least nine tenths of the cells that are not empty are; how many of them are none."""
    if frame.shape[0] * frame.shape[1] > MAX_CELLS:
        raise DataError(
            f"{frame.shape[0]} rows of {frame.shape[1]} cells, expected at most {MAX_CELLS} in all; cut it up"
        )
    columns: dict[str, NDArray[Any]] = {}
    bad = 0
    for name in frame.columns:
        series = frame[name]
        if pandas.api.types.is_datetime64_any_dtype(series):
            columns[str(name)] = _seconds(pandas, series)
            continue
        numbers = pandas.to_numeric(series, errors="coerce")
        filled = int(series.notna().sum())
        good = int(numbers.notna().sum())
        if filled == 0 or good >= 0.9 * filled:
            bad += filled - good
            columns[str(name)] = numbers.to_numpy(np.float64, na_value=np.nan)
        else:
            columns[str(name)] = _moments(pandas, series)
    return columns, bad


def _moments(pandas: Any, series: Any) -> NDArray[Any]:
    """Text; dates and times as seconds."""
    text = series.astype(object).where(series.notna(), None)
    first = next((value for value in text if value is not None), "")
    if re.match(r"\d{4}-\d\d-\d\d|\d\d?[./]\d\d?[./]\d{2,4}|\d\d?:\d\d:\d\d", str(first)):
        moments = pandas.to_datetime(series, errors="coerce", format="mixed", utc=True)
        if moments.notna().mean() > 0.9:
            return _seconds(pandas, moments)
    out = np.empty(len(text), object)
    out[:] = [None if value is None else str(value).strip() for value in text]
    return out


def _seconds(pandas: Any, moments: Any) -> NDArray[np.float64]:
    """Seconds since the first moment, NaN where there is none."""
    since = moments - moments.min()
    seconds: NDArray[np.float64] = since.dt.total_seconds().to_numpy(np.float64, na_value=np.nan)
    return seconds


def read_parquet(path: Path, settings: ReadSettings) -> Table:
    """Read a Parquet file."""
    pandas = _pandas(path)
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingExtraError("pyarrow", "import", f"reading {path.name}") from None
    try:
        described = pyarrow.parquet.ParquetFile(path)
        rows, names = described.metadata.num_rows, described.schema_arrow.names
        if rows * len(names) > MAX_CELLS or len(names) > MAX_COLUMNS:
            raise DataError(
                f"{path}: {rows} rows of {len(names)} cells, expected at most {MAX_CELLS} in all; cut it up"
            )
        frame = described.read().to_pandas()
    except DataError:
        raise
    except Exception as error:  # pyarrow raises whatever its layers raise
        raise DataError(f"{path}: is no readable Parquet file ({' '.join(str(error).split())[:200]})") from None
    try:
        columns = _columns(pandas, frame)[0]
    except (TypeError, ValueError, OverflowError, ArithmeticError) as error:
        raise DataError(
            f"{path}: a column holds neither numbers nor text ({' '.join(str(error).split())[:120]})"
        ) from None
    return Table(path, columns)


def read_npz(path: Path, settings: ReadSettings) -> Table:
    """Read arrays of equal length: one-dimensional ones are columns, of two dimensions each column is one."""
    try:
        arrays = load_npz(path.read_bytes(), str(path), MAX_FILE_BYTES)
    except BundleError as error:
        raise DataError(str(error)) from None
    columns: dict[str, NDArray[Any]] = {}
    units: dict[str, str] = {}
    lengths = [a.shape[0] for a in arrays.values() if a.ndim in (1, 2)]
    rows = max(set(lengths), key=lambda n: (lengths.count(n), n), default=0)
    for name, array in arrays.items():
        if array.ndim not in (1, 2) or array.shape[0] != rows or array.dtype.kind not in "biufU":
            continue
        block = array.reshape(rows, -1)
        if block.shape[1] > MAX_COLUMNS:
            raise DataError(f"{path}: the array {name!r} has {block.shape[1]} columns, expected at most {MAX_COLUMNS}")
        axes = "xyz" if block.shape[1] == 3 else [str(i) for i in range(block.shape[1])]
        for i in range(block.shape[1]):
            column = name if array.ndim == 1 else f"{name}_{axes[i]}"
            text = array.dtype.kind == "U"
            columns[column] = block[:, i].astype(object) if text else block[:, i].astype(np.float64)
    if not columns:
        raise DataError(f"{path}: no arrays [N] or [N, C] of numbers in it; it has {', '.join(arrays) or 'none'}")
    return Table(path, columns, units=units)


def _pandas(path: Path) -> Any:
    try:
        import pandas
    except ModuleNotFoundError:
        raise MissingExtraError("pandas", "import", f"reading {path.name}") from None
    return pandas


def _edge_impulse_json(path: Path, settings: ReadSettings) -> Table:
    return read_json(path, settings.hmac_key)


def _edge_impulse_cbor(path: Path, settings: ReadSettings) -> Table:
    return read_cbor(path, settings.hmac_key)


READERS: dict[str, Callable[[Path, ReadSettings], Table]] = {
    ".csv": read_text,
    ".tsv": read_text,
    ".txt": read_text,
    ".parquet": read_parquet,
    ".npz": read_npz,
    ".json": _edge_impulse_json,
    ".cbor": _edge_impulse_cbor,
}
