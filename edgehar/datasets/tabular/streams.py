"""Tables to streams: whose samples, at what times, in base units, with the label of each; time still as it came."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.datasets.tabular.columns import ColumnSettings, Roles, guess_roles, sensor_word
from edgehar.datasets.tabular.guess import Guess
from edgehar.datasets.tabular.table import Table
from edgehar.datasets.tabular.units import BASE_UNITS, TIME_UNITS, UNITS, guess_time_unit, guess_unit
from edgehar.errors import DataError, UsageError

PERSON = re.compile(r"(?:subject|subj|user|person|participant|volunteer|sub|s|u|p)[ _-]?0*(\d+)", re.IGNORECASE)
UNIT_SAMPLE_ROWS = 200_000


@dataclass(frozen=True)
class StreamSettings:
    """What the user says about the content; None is guessed.

    Attributes:
        columns: see :class:`edgehar.datasets.tabular.columns.ColumnSettings`.
        time_unit: key of ``TIME_UNITS``.
        rate_hz: of files without a time column, and instead of it with ``ignore_time``.
        ignore_time: take rows as steady at ``rate_hz``.
        units: of a quantity: ``acc=mg``.
        scales: further factor of a quantity: ``acc=0.000061`` for raw counts.
        label_names: name of each value of the label column.
        label_from: ``folder``, ``file`` or ``none``, where no column states it.
        subject_from: ``folder`` or ``file``, where no column states it.
    """

    columns: ColumnSettings = field(default_factory=ColumnSettings)
    time_unit: str | None = None
    rate_hz: float | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)
    label_names: Mapping[str, str] = field(default_factory=dict)
    label_from: str | None = None
    subject_from: str | None = None


@dataclass(frozen=True, eq=False)
class Stream:
    """Samples of one person and one recording.

    Attributes:
        name: unique.
        subject: who; empty where nobody knows.
        series: of each channel its times ``[N]`` in seconds and values ``[N]`` float64, in the order of the file.
        labels: times ``[N]`` and text ``[N]`` (None unlabelled); None where there are none at all.
        steady_hz: the rows are taken as steady at this rate; None: the times count.
        folder: that its file is in.
    """

    name: str
    subject: str
    series: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    labels: tuple[NDArray[np.float64], NDArray[Any]] | None
    steady_hz: float | None = None
    folder: str = ""


@dataclass(frozen=True)
class Gathered:
    """All streams of an import, and what was guessed on the way."""

    streams: tuple[Stream, ...]
    guesses: tuple[Guess, ...]
    units: Mapping[str, str]  # of each channel
    grouped_by: str  # what stands in for people: "subject", "folder", "file" or "part"
    gravity_free: bool


def gather(tables: Sequence[Table], settings: StreamSettings) -> Gathered:
    """Bring all tables into streams.

    Raises:
        DataError: no channels, or tables that do not fit together; names the file.
        UsageError: a setting that fits nothing.
    """
    roles, guesses = guess_roles(tables[0], settings.columns)
    every = [roles] + [guess_roles(table, settings.columns)[0] for table in tables[1:]]
    by_sensor = _one_sensor_a_file(tables, every)
    if not by_sensor:
        _check_alike(tables, every)
    channels = tuple(dict.fromkeys(channel for r in every for channel in r.channels))
    if not channels:
        raise DataError(
            f"{tables[0].path}: no sensor's axis among its columns {', '.join(list(tables[0].columns)[:20])}; "
            "name them: --channel acc_x=COLUMN --channel acc_y=COLUMN ..."
        )
    factors, units, unit_guesses = _factors(tables, every, channels, settings)
    time_guess = _time(tables[0], roles, settings)
    label_from, label_guess = _label_source(tables, roles, settings)
    subject_from, subject_guess = _subject_source(tables, roles, settings)
    streams: list[Stream] = []
    for table, each in zip(tables, every, strict=True):
        streams += _streams(
            table,
            each,
            factors,
            time_unit=time_guess.value,
            label_from=label_from,
            subject_from=subject_from,
            settings=settings,
        )
    if by_sensor:
        streams = _merged(streams, subject_from)
    if not streams:
        raise DataError("no rows with samples in any of the files")
    all_guesses = [*guesses, time_guess, *unit_guesses, label_guess, subject_guess]
    if by_sensor:
        all_guesses.append(
            Guess("files", "one a sensor, merged by time", "files of one folder are called after sensors")
        )
    return Gathered(
        tuple(_unique(streams)), tuple(all_guesses), units, subject_from, any(r.gravity_free for r in every)
    )


def _one_sensor_a_file(tables: Sequence[Table], every: Sequence[Roles]) -> bool:
    """Whether the files of a folder are one a sensor, to be merged by time."""
    if len(tables) < 2 or any(sensor_word(t.path.stem) is None for t in tables):
        return False
    quantities = [{c.rpartition("_")[0] for c in r.channels} for r in every]
    return all(len(q) == 1 for q in quantities) and len({min(q) for q in quantities}) > 1


def _check_alike(tables: Sequence[Table], every: Sequence[Roles]) -> None:
    for table, roles in zip(tables, every, strict=True):
        if set(roles.channels) != set(every[0].channels):
            raise DataError(
                f"{table.path}: has the channels {', '.join(roles.channels) or 'none'}, {tables[0].path} has "
                f"{', '.join(every[0].channels)}; import files of one kind at a time, or name them with --channel"
            )


def _factors(
    tables: Sequence[Table], every: Sequence[Roles], channels: Sequence[str], settings: StreamSettings
) -> tuple[dict[str, float], dict[str, str], list[Guess]]:
    """Factor and unit of each channel, sensor by sensor."""
    for quantity, unit in settings.units.items():
        known = UNITS.get(quantity)
        if known is None or unit not in known:
            raise UsageError(
                f"--unit {quantity}={unit}: expected " + "; ".join(f"{q}={'|'.join(u)}" for q, u in UNITS.items())
            )
    factors: dict[str, float] = {}
    units: dict[str, str] = {}
    guesses: list[Guess] = []
    sensors: dict[str, list[str]] = defaultdict(list)
    for channel in channels:
        sensors[channel.rpartition("_")[0] or channel].append(channel)
    for sensor, members in sensors.items():
        quantity = sensor.rpartition("_")[2]
        stated = next((r.units[m] for r in every for m in members if m in r.units), None)
        stated = stated if stated in UNITS.get(quantity, {}) else None
        scale = settings.scales.get(quantity, 1.0)
        if quantity in settings.units:
            guess = Guess(f"unit of {sensor}", settings.units[quantity], "as told")
        elif quantity in settings.scales:
            guess = Guess(f"unit of {sensor}", BASE_UNITS.get(quantity, ""), f"as told, times {scale:g}")
        else:
            guess = replace(guess_unit(quantity, _sample(tables, every, members), stated), what=f"unit of {sensor}")
        guesses.append(guess)
        for member in members:
            factors[member] = UNITS.get(quantity, {}).get(guess.value, 1.0) * scale
            units[member] = BASE_UNITS.get(quantity, guess.value)
    return factors, units, guesses


def _sample(tables: Sequence[Table], every: Sequence[Roles], members: Sequence[str]) -> NDArray[np.float64]:
    """Some rows of a sensor over all files."""
    rows = max(1, UNIT_SAMPLE_ROWS // len(tables))
    parts = [
        np.stack([t.columns[r.channels[m]][:: max(1, t.rows // rows)].astype(np.float64) for m in members], axis=1)
        for t, r in zip(tables, every, strict=True)
        if all(m in r.channels for m in members)
    ]
    return np.concatenate(parts) if parts else np.empty((0, len(members)))


def _time(table: Table, roles: Roles, settings: StreamSettings) -> Guess:
    if settings.rate_hz is not None and not 0 < settings.rate_hz < 1e6:
        raise UsageError(f"--source-rate is {settings.rate_hz:g} Hz, expected more than 0")
    if roles.time is None:
        rate = settings.rate_hz or table.rate_hz
        if rate is None:
            raise UsageError(
                f"{table.path}: no time column among {', '.join(list(table.columns)[:20])}; say how fast the rows "
                "were taken with --source-rate HZ, or which column is the time with --time COLUMN"
            )
        return Guess("time", f"rows at {rate:g} Hz", "as told" if settings.rate_hz else "the file says so")
    if settings.rate_hz is not None:
        return Guess("time", f"rows at {settings.rate_hz:g} Hz", "as told, whatever the time column says")
    if settings.time_unit is not None:
        if settings.time_unit not in TIME_UNITS:
            raise UsageError(f"--time-unit {settings.time_unit!r}, expected {', '.join(TIME_UNITS)}")
        return Guess("time unit", settings.time_unit, "as told")
    guess = guess_time_unit(np.asarray(table.columns[roles.time], np.float64), roles.time_unit)
    if not guess.value:
        raise UsageError(
            f"{table.path}: column {roles.time!r}: {guess.why} Say --time-unit s|ms|us|ns, or take the rows "
            "as steady with --source-rate HZ"
        )
    return guess


def _label_source(tables: Sequence[Table], roles: Roles, settings: StreamSettings) -> tuple[str, Guess]:
    if roles.label is not None:
        return "column", Guess("labels", f"column {roles.label!r}", "it is the label column")
    if settings.label_from is not None:
        if settings.label_from not in ("folder", "file", "none"):
            raise UsageError(f"--label-from {settings.label_from!r}, expected folder, file or none")
        return settings.label_from, Guess("labels", settings.label_from, "as told")
    if any(table.label for table in tables):
        return "file", Guess("labels", "what files' names begin with", "as Edge Impulse has it")
    folders = {table.path.parent.name for table in tables}
    if len(folders) > 1 and not all(PERSON.fullmatch(name) for name in folders):
        return "folder", Guess("labels", "the folder a file is in", f"{len(folders)} folders, and no label column")
    starts = {re.split(r"[._\-\d]", table.path.stem)[0].lower() for table in tables}
    if 1 < len(starts) <= max(2, len(tables) // 2) and "" not in starts and not any(map(sensor_word, starts)):
        return "file", Guess(
            "labels", "what files' names begin with", f"{len(starts)} beginnings over {len(tables)} files", False
        )
    return "none", Guess("labels", "none", "no label column, and names of files say nothing", False)


def _subject_source(tables: Sequence[Table], roles: Roles, settings: StreamSettings) -> tuple[str, Guess]:
    if roles.subject is not None:
        return "subject", Guess("people", f"column {roles.subject!r}", "it is the column of people")
    if settings.subject_from is not None:
        if settings.subject_from not in ("folder", "file"):
            raise UsageError(f"--subject-from {settings.subject_from!r}, expected folder or file")
        return settings.subject_from, Guess("people", settings.subject_from, "as told")
    found = [_person(table.path) for table in tables]
    if all(found) and len(set(found)) > 1:
        return "path", Guess(
            "people", f"{len(set(found))}, by numbers in folders or names of files", "like user03 or s3"
        )
    return "file", Guess("people", "unknown: each file counts as one person", "nothing says who it was")


def _person(path: Path) -> str | None:
    for part in (path.stem, path.parent.name, path.parent.parent.name):
        match = next(
            (m for word in re.split(r"[ _.\-]+", part) if (m := PERSON.fullmatch(word))), None
        ) or PERSON.search(part if re.search(r"subject|user|person|participant", part, re.IGNORECASE) else "")
        if match:
            return match[1]
    return None


def _streams(
    table: Table,
    roles: Roles,
    factors: Mapping[str, float],
    *,
    time_unit: str,
    label_from: str,
    subject_from: str,
    settings: StreamSettings,
) -> Iterator[Stream]:
    """One stream for each person and recording in a table."""
    rate = settings.rate_hz or (table.rate_hz if roles.time is None else None)
    if rate is None:
        assert roles.time is not None
        seconds = 1.0 if table.columns[roles.time].dtype == object else TIME_UNITS[time_unit]
        t = np.asarray(table.columns[roles.time], np.float64) * seconds
    else:
        t = np.arange(table.rows) / rate
    label = _labels(table, roles, label_from, settings)
    for key, rows in _groups(table, roles):
        subject = str(key[0]) if roles.subject is not None else {
            "folder": table.path.parent.name, "path": _person(table.path) or "", "file": _name(table.path),
        }[subject_from]  # fmt: skip
        times = t[rows] if rate is None else np.arange(len(rows)) / rate
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number then is none of a sensor
            series = {
                channel: (times, np.asarray(table.columns[column][rows], np.float64) * factors[channel])
                for channel, column in roles.channels.items()
            }
        parts = [_name(table.path), *(str(part) for part in key if part != "")]
        labels = None if label is None else (times, label[rows])
        yield Stream("-".join(parts), subject, series, labels, rate, str(table.path.parent))


def _name(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}" if path.parent.name else path.stem


def _groups(table: Table, roles: Roles) -> Iterator[tuple[tuple[str, str], NDArray[np.intp]]]:
    """Rows of each person and recording, in the order of the file."""
    keys = [
        [_word(value) for value in table.columns[name]] if name is not None else [""] * table.rows
        for name in (roles.subject, roles.recording)
    ]
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, key in enumerate(zip(*keys, strict=True)):
        groups[key].append(row)
    for key, rows in groups.items():
        yield key, np.array(rows, np.intp)


def _word(value: Any) -> str:
    """A cell as text: 3.0 is 3."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value).strip()


def _labels(table: Table, roles: Roles, label_from: str, settings: StreamSettings) -> NDArray[Any] | None:
    """Text of each row, None where unlabelled."""
    if label_from == "none":
        return None
    out = np.empty(table.rows, object)
    if label_from == "column":
        assert roles.label is not None
        cells = table.columns[roles.label]
        names = {
            value: _word(value) for value in set(cells.tolist()) if not (isinstance(value, float) and np.isnan(value))
        }
        names = {value: settings.label_names.get(name, name) for value, name in names.items()}
        out[:] = [names.get(value) or None for value in cells.tolist()]
        return out
    word = (
        table.path.parent.name if label_from == "folder" else table.label or re.split(r"[._\-\d]", table.path.stem)[0]
    )
    out[:] = settings.label_names.get(word, word) or None
    return out


def _merged(streams: Sequence[Stream], subject_from: str) -> list[Stream]:
    """Streams of one folder, one a sensor, as one; where nobody knows who it was the folder stands for the person."""
    folders: dict[tuple[str, str], list[Stream]] = defaultdict(list)
    for stream in streams:
        folders[stream.folder, "" if subject_from == "file" else stream.subject].append(stream)
    merged = []
    for (folder, subject), members in folders.items():
        series = {channel: values for stream in members for channel, values in stream.series.items()}
        labels = next((stream.labels for stream in members if stream.labels is not None), None)
        name = Path(folder).name or "recording"
        merged.append(Stream(name, subject or name, series, labels, members[0].steady_hz, folder))
    return merged


def _unique(streams: Sequence[Stream]) -> Iterator[Stream]:
    seen: dict[str, int] = {}
    for stream in streams:
        seen[stream.name] = seen.get(stream.name, 0) + 1
        yield stream if seen[stream.name] == 1 else replace(stream, name=f"{stream.name}-{seen[stream.name]}")
