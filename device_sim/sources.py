"""Where samples come from: a CSV file, or the golden stream inside the bundle."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.bundle import Bundle
from edgehar.errors import BundleError, DataError
from edgehar.heads import label_sources, sample_truth
from edgehar.manifest import Manifest
from edgehar.recording import UNLABELLED, Recording
from edgehar.signal import LinearResampler

TIME_COLUMN = "t_s"
LABEL_COLUMN = "label"
RATE_TOLERANCE = 0.02  # clocks of cheap IMUs are within 2 % of their nominal rate
GAP_PERIODS = 1.5  # a longer step means that a sample is missing

GOLDEN = "golden.npz"
GOLDEN_STREAM = ("stream_samples", "stream_labels", "stream_windows", "stream_outputs", "stream_logits", "meta")


@dataclass(frozen=True)
class _Table:
    """Cells of a CSV as numbers, with the line each row stands on."""

    samples: NDArray[np.float32]
    labels: list[str] | None
    t_s: NDArray[np.float64] | None
    lines: list[int]


def read_csv(path: Path, manifest: Manifest, resample: bool = False, also: Sequence[str] = ()) -> Recording:
    """Read a recording: a header of channel names, then one row a sample.

    Columns in any order: all channels of the bundle in its units (``acc_x`` in g, ``gyro_z`` in rad/s unless the
    bundle says otherwise), optional ``t_s`` (seconds, increasing), optional ``label`` (one that a head's truth is
    made of; empty: unlabelled). Without
    ``t_s`` the rows are taken to be at the bundle's rate.

    Args:
        path: the file, UTF-8.
        manifest: says which channels, rate and labels there are.
        resample: bring rows at another or an uneven rate to the bundle's by linear interpolation over ``t_s``.
        also: labels that the file may carry beside those that the bundle knows.

    Raises:
        DataError: anything is missing, unknown, not a number, not finite, or at the wrong rate; names file and line.
    """
    table = _read_table(path, manifest)
    names = tuple(dict.fromkeys((*label_sources(manifest.tasks), *also)))
    labels = None if table.labels is None else _label_indices(path, table, names)
    samples = table.samples
    if resample:
        if table.t_s is None:
            raise DataError(f"{path}: resampling needs a column {TIME_COLUMN!r} with the time of each row in seconds")
        samples, labels = _resampled(table.t_s, samples, labels, manifest.rate_hz)
    elif table.t_s is not None:
        _check_rate(path, table.t_s, table.lines, manifest.rate_hz)
    return Recording(
        name=path.stem,
        subject=path.stem,
        rate_hz=manifest.rate_hz,
        channels=manifest.channels,
        samples=samples,
        labels=labels,
        label_names=names,
        source=path.name,
    )


def _read_table(path: Path, manifest: Manifest) -> _Table:
    channels = [c.name for c in manifest.channels]
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            header = next(reader, None)
            if header is None:
                raise DataError(f"{path}: the file is empty, expected a header {','.join(channels)}")
            header = [name.strip() for name in header]
            _check_header(path, header, channels)
            values, labels, lines = _read_rows(path, reader, header)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path}: is not a readable CSV ({error}); expected comma-separated numbers") from None
    if not lines:
        raise DataError(f"{path}: there is a header but no rows of samples")
    columns = [name for name in header if name != LABEL_COLUMN]
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is reported below
        samples = values[:, [columns.index(name) for name in channels]].astype(np.float32)
    _check_finite(path, samples, channels, lines)
    t_s = None
    if TIME_COLUMN in columns:
        t_s = values[:, columns.index(TIME_COLUMN)]
        _check_increasing(path, t_s, lines)
    return _Table(samples, labels, t_s, lines)


def _check_header(path: Path, header: list[str], channels: list[str]) -> None:
    known = [*channels, TIME_COLUMN, LABEL_COLUMN]
    expected = f"expected {','.join(channels)} and optionally {TIME_COLUMN}, {LABEL_COLUMN}"
    if all(is_number(name) for name in header):
        raise DataError(f"{path}: the first line holds numbers instead of column names; {expected}")
    missing = [name for name in channels if name not in header]
    unknown = [name for name in header if name not in known]
    double = sorted({name for name in header if header.count(name) > 1})
    found = [
        f"{word} column{'s' if len(names) > 1 else ''} {', '.join(repr(n) for n in names)}"
        for word, names in (("missing", missing), ("unknown", unknown), ("repeated", double))
        if names
    ]
    if found:
        raise DataError(f"{path}: {'; '.join(found)}; {expected}")


def is_number(text: str) -> bool:
    """Return whether a cell is a number, NaN and infinity included."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_rows(
    path: Path,
    reader: object,
    header: list[str],
) -> tuple[NDArray[np.float64], list[str] | None, list[int]]:
    label_at = header.index(LABEL_COLUMN) if LABEL_COLUMN in header else None
    numbers = [i for i in range(len(header)) if i != label_at]
    rows: list[list[float]] = []
    labels: list[str] = []
    lines: list[int] = []
    for cells in reader:  # type: ignore[attr-defined]
        line = reader.line_num  # type: ignore[attr-defined]
        if not cells:
            continue  # a blank line at the end
        if len(cells) != len(header):
            raise DataError(f"{path}, line {line}: {len(cells)} cells, expected {len(header)} as in the header")
        try:
            rows.append([float(cells[i]) for i in numbers])
        except ValueError:
            bad = next(i for i in numbers if not is_number(cells[i]))
            raise DataError(
                f"{path}, line {line}, column {header[bad]!r}: {cells[bad]!r} is not a number; correct or cut the row"
            ) from None
        lines.append(line)
        if label_at is not None:
            labels.append(cells[label_at].strip())
    values = np.array(rows, np.float64).reshape(len(rows), len(numbers))
    return values, None if label_at is None else labels, lines


def _check_finite(path: Path, samples: NDArray[np.float32], channels: list[str], lines: list[int]) -> None:
    bad = ~np.isfinite(samples)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{path}, line {lines[row]}, column {channels[column]!r}: the value is {samples[row, column]}, expected a "
            f"finite number ({int(bad.sum())} such values in the file); interpolate or cut these rows"
        )


def _check_increasing(path: Path, t_s: NDArray[np.float64], lines: list[int]) -> None:
    if not np.isfinite(t_s).all():
        row = int(np.argmin(np.isfinite(t_s)))
        raise DataError(f"{path}, line {lines[row]}, column {TIME_COLUMN!r}: {t_s[row]}, expected seconds")
    steps = np.diff(t_s)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0))
        raise DataError(
            f"{path}, line {lines[row + 1]}: {TIME_COLUMN} is {t_s[row + 1]:g} s after {t_s[row]:g} s, expected "
            "increasing times; sort the rows and drop repeated ones"
        )


def _check_rate(path: Path, t_s: NDArray[np.float64], lines: list[int], rate_hz: float) -> None:
    if len(t_s) < 2:
        return
    found_hz = 1 / float(np.median(np.diff(t_s)))
    advice = "run with --resample to bring it there"
    if abs(found_hz / rate_hz - 1) > RATE_TOLERANCE:
        raise DataError(f"{path}: sampled at {found_hz:.4g} Hz by its {TIME_COLUMN}, expected {rate_hz:g} Hz; {advice}")
    steps = np.diff(t_s) * rate_hz
    if steps.max() > GAP_PERIODS:
        row = int(np.argmax(steps > GAP_PERIODS))
        raise DataError(
            f"{path}, line {lines[row + 1]}: a gap of {1000 * steps[row] / rate_hz:.4g} ms in {TIME_COLUMN}, expected "
            f"steps of {1000 / rate_hz:g} ms; {advice}, or cut the recording there"
        )


def _label_indices(path: Path, table: _Table, names: tuple[str, ...]) -> NDArray[np.int16]:
    index = {name: i for i, name in enumerate(names)} | {"": UNLABELLED}
    assert table.labels is not None
    for line, label in zip(table.lines, table.labels, strict=True):
        if label not in index:
            raise DataError(
                f"{path}, line {line}: unknown label {label!r}; the bundle knows {', '.join(names)} "
                "(leave the cell empty for unlabelled)"
            )
    return np.array([index[label] for label in table.labels], np.int16)


def _resampled(
    t_s: NDArray[np.float64], samples: NDArray[np.float32], labels: NDArray[np.int16] | None, rate_hz: float
) -> tuple[NDArray[np.float32], NDArray[np.int16] | None]:
    out = LinearResampler(rate_hz).push(t_s, samples)
    if labels is not None:
        grid = t_s[0] + np.arange(len(out)) / rate_hz
        before = np.searchsorted(t_s, grid + 1e-9, side="right") - 1  # the row in force at each new sample
        labels = labels[before]
    return out, labels


def golden_recording(bundle: Bundle) -> Recording:
    """Return the held-out stretch that travels inside the bundle, with its labels.

    Raises:
        BundleError: the bundle has none, or it is malformed.
    """
    arrays = golden_arrays(bundle)
    where = f"{bundle.path / GOLDEN}"
    try:
        meta = json.loads(arrays["meta"].tobytes().decode("utf-8"))
        name = f"{meta['recording']}@{int(meta['start_sample'])}"  # a cut: not the recording of that name
        subject, source = str(meta["subject"]), str(meta["dataset"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{where}: its meta is malformed ({error!r}); export the model again") from None
    manifest = bundle.manifest
    labels, names = arrays["stream_labels"], manifest.heads[0].labels
    if "stream_source_labels" in arrays and isinstance(meta.get("label_names"), list):
        labels, names = arrays["stream_source_labels"], tuple(str(name) for name in meta["label_names"])
    try:
        return Recording(
            name=name,
            subject=subject,
            rate_hz=manifest.rate_hz,
            channels=manifest.channels,
            samples=arrays["stream_samples"],
            labels=labels.astype(np.int16),
            label_names=names,
            source=source,
            licence=manifest.licence.get("data", ""),
        )
    except DataError as error:
        raise BundleError(f"{where}: its stream is malformed ({error}); export the model again") from None


def golden_arrays(bundle: Bundle) -> dict[str, NDArray[Any]]:
    """Return the arrays of ``golden.npz``.

    Raises:
        BundleError: one of them is missing, or has another shape than the manifest asks for.
    """
    arrays = bundle.arrays(GOLDEN)
    missing = [name for name in GOLDEN_STREAM if name not in arrays]
    if missing:
        raise BundleError(f"{bundle.path / GOLDEN}: no array {', '.join(missing)}; export the model again")
    shape = arrays["stream_outputs"].shape
    for index, output in enumerate(bundle.manifest.outputs):
        for name in (_stream_name(what, index) for what in ("outputs", "logits")):
            array = arrays.get(name)
            if array is not None and (array.shape != (*shape[:1], output.width) or array.dtype.kind not in "if"):
                raise BundleError(
                    f"{bundle.path / GOLDEN}: {name} is {array.dtype} {array.shape}, expected numbers "
                    f"{(*shape[:1], output.width)}; export the model again"
                )
    return arrays


def _stream_name(what: str, index: int) -> str:
    return f"stream_{what}_{index}" if index else f"stream_{what}"


def stream_of(arrays: Mapping[str, NDArray[Any]], what: str, index: int) -> NDArray[Any]:
    """Return ``stream_outputs`` or ``stream_logits`` of the first head (0), ``stream_outputs_1`` of the second, ...

    ``stream_windows`` is counted in the same way, by input.

    Raises:
        BundleError: there is no such array.
    """
    name = _stream_name(what, index)
    if name not in arrays:
        raise BundleError(f"{GOLDEN}: no array {name}, which the manifest asks for; export the model again")
    return arrays[name]


def first_seconds(recording: Recording, seconds: float) -> Recording:
    """Return at most the first ``seconds`` of a recording."""
    return recording.cut(0, min(len(recording.samples), max(1, math.ceil(seconds * recording.rate_hz))))


def on_device(recording: Recording, manifest: Manifest) -> Recording:
    """Return ``recording`` as the bundle's device would have recorded it: channels in its order, labels it announces.

    A label that the model does not know becomes ``UNLABELLED``: streamed, not scored.

    Raises:
        DataError: another rate, a channel missing, or another unit; names both sides.
    """
    where = f"recording {recording.name!r}"
    if abs(recording.rate_hz / manifest.rate_hz - 1) > 1e-6:
        raise DataError(
            f"{where} is at {recording.rate_hz:g} Hz, the bundle expects {manifest.rate_hz:g} Hz; resample it first "
            "(edgehar.signal.resample)"
        )
    at = {channel.name: i for i, channel in enumerate(recording.channels)}
    missing = [c.name for c in manifest.channels if c.name not in at]
    if missing:
        raise DataError(
            f"{where} has no channel {', '.join(missing)}; it has {', '.join(at)}, the bundle expects "
            f"{', '.join(c.name for c in manifest.channels)}"
        )
    order = [at[c.name] for c in manifest.channels]
    for channel, column in zip(manifest.channels, order, strict=True):
        found = recording.channels[column]
        if (found.unit, found.frame) != (channel.unit, channel.frame):
            raise DataError(
                f"{where}: channel {channel.name!r} is in {found.unit} ({found.frame} frame), the bundle expects "
                f"{channel.unit} ({channel.frame} frame); convert it first"
            )
    labels = recording.labels
    names = manifest.announced.labels
    if labels is not None and recording.label_names != names:
        labels = sample_truth(manifest.announced, labels, recording.label_names)[:, 0]
    samples = recording.samples
    if order != list(range(len(recording.channels))):
        samples = np.ascontiguousarray(samples[:, order])
    return replace(
        recording,
        rate_hz=manifest.rate_hz,
        channels=manifest.channels,
        samples=samples,
        labels=labels,
        label_names=names,
    )
