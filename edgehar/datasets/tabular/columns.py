"""What each column of a table is: time, a sensor's axis, label, person, recording; guessed from names and values.

Every guess is a :class:`Guess`, with its reason; the user can say each of them instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgehar.datasets.tabular.guess import Guess
from edgehar.datasets.tabular.table import Table
from edgehar.datasets.tabular.units import SPELLINGS, TIME_SPELLINGS
from edgehar.errors import UsageError

_WORDS = {
    "acc": ("accelerometer", "acceleration", "accel", "acce", "accl", "acc", "a"),
    "gyro": ("gyroscope", "gyro", "gyr", "rotationrate", "angularvelocity", "angular", "rotation", "omega", "w", "g"),
    "mag": ("magnetometer", "magnetic", "mag", "m"),
}
_FREE_OF_GRAVITY = ("linear", "user", "body", "gravityfree", "lin")
_GRAVITY_ONLY = ("gravity", "grav")
_NO_SENSOR = (
    "calibrated",
    "raw",
    "sensor",
    "value",
    "data",
    "imu",
    "total",
    "device",
    "of",
    "rate",
    "velocity",
    "axis",
)
_TIME = ("seconds_elapsed", "timestamp", "time", "t", "elapsed", "epoch", "datetime", "date", "stamp", "unixtime")
_LABEL = ("label", "labels", "activity", "class", "target", "annotation", "movement", "gt", "activity_label", "y_true")
_SUBJECT = (
    "subject",
    "user",
    "person",
    "participant",
    "volunteer",
    "subject_id",
    "user_id",
    "userid",
    "subjectid",
    "uid",
)
_RECORDING = (
    "recording",
    "session",
    "trial",
    "experiment",
    "exp",
    "run",
    "execution",
    "rep",
    "recording_id",
    "session_id",
)


@dataclass(frozen=True)
class Roles:
    """What the columns are.

    Attributes:
        channels: column of each channel (``acc_x``, ``watch_gyro_z``), in the order of the file.
        units: of each channel's sensor, where a name states it.
        time, label, subject, recording: columns; None where there is none.
        time_unit: stated in the time column's name.
        ignored: columns that are nothing of this.
        gravity_free: the acceleration has no gravity in it.
    """

    channels: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    time: str | None = None
    time_unit: str | None = None
    label: str | None = None
    subject: str | None = None
    recording: str | None = None
    ignored: tuple[str, ...] = ()
    gravity_free: bool = False


@dataclass(frozen=True)
class ColumnSettings:
    """What the user says about columns; None is guessed, ``""`` is: there is none.

    Attributes:
        channels: ``acc_x=COLUMN`` and so on; the only channels if any is given.
        time, label, subject, recording: columns.
    """

    channels: Mapping[str, str] = field(default_factory=dict)
    time: str | None = None
    label: str | None = None
    subject: str | None = None
    recording: str | None = None


def guess_roles(table: Table, settings: ColumnSettings) -> tuple[Roles, list[Guess]]:
    """Return what each column of a table is, and why.

    Raises:
        UsageError: a column that the user names is not there.
    """
    names = list(table.columns)
    for said in (*settings.channels.values(), settings.time, settings.label, settings.subject, settings.recording):
        if said and said not in names:
            raise UsageError(f"{table.path}: no column {said!r}; it has {', '.join(names[:40])}")
    taken: set[str] = set(settings.channels.values())
    guesses: list[Guess] = []
    found: dict[str, str | None] = {}
    for what, said, words in (
        ("time", settings.time, _TIME),
        ("label", settings.label, _LABEL),
        ("subject", settings.subject, _SUBJECT),
        ("recording", settings.recording, _RECORDING),
    ):
        column, why = (said or None, "as told") if said is not None else _by_name(table, names, taken, what, words)
        if what == "label" and column is None and said is None:
            column, why = _only_text(table, names, taken | {c for c in found.values() if c})
        found[what] = column
        if column is not None:
            taken.add(column)
            guesses.append(Guess(f"{what} column", column, why))
    channels, free = (dict(settings.channels), False) if settings.channels else _channels(table, names, taken)
    guesses.append(
        Guess(
            "channels",
            ", ".join(name if name == column else f"{name} = {column}" for name, column in channels.items()) or "none",
            "as told" if settings.channels else "by the names of the columns",
        )
    )
    used = taken | set(channels.values())
    ignored = tuple(name for name in names if name not in used)
    if ignored:
        guesses.append(
            Guess("ignored columns", ", ".join(ignored[:12]) + (", ..." if len(ignored) > 12 else ""), "no sensor")
        )
    units = {channel: unit for channel, column in channels.items() if (unit := _unit(table, column))}
    time_unit = _time_unit(found["time"]) if found["time"] else None
    roles = Roles(
        channels, units, found["time"], time_unit, found["label"], found["subject"], found["recording"], ignored, free
    )
    return roles, guesses


def words_of(name: str) -> list[str]:
    """Return the words of a column's name in lower case, without its unit: ``accX (m/s²)`` is ``acc``, ``x``."""
    name = re.sub(r"[\[(].*?[\])]", " ", name)
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]


def _by_name(
    table: Table, names: Sequence[str], taken: set[str], what: str, words: Sequence[str]
) -> tuple[str | None, str]:
    for word in words:
        for name in names:
            plain = "_".join(words_of(name))
            parts = plain.split("_")
            is_it = (
                plain == word
                or (len(word) > 3 and word in parts)
                or (what == "time" and parts[0] == word and len(parts) == 2)
            )
            if name in taken or not is_it:
                continue
            if what == "time" and not table.is_number(name):
                continue
            return name, "by its name"
    return None, ""


def _only_text(table: Table, names: Sequence[str], taken: set[str]) -> tuple[str | None, str]:
    """The one column of text with few different words."""
    found = []
    for name in names:
        if name in taken or table.is_number(name):
            continue
        different = {value for value in table.columns[name] if value}
        if 1 < len(different) <= min(100, max(2, table.rows // 10)):
            found.append(name)
    return (found[0], "the only text that repeats") if len(found) == 1 else (None, "")


def _channels(table: Table, names: Sequence[str], taken: set[str]) -> tuple[dict[str, str], bool]:
    """Sensors and axes by name; acceleration with gravity in it is preferred to the one without."""
    total: dict[str, str] = {}
    linear: dict[str, str] = {}
    bare: dict[str, str] = {}
    for name in names:
        if name in taken or not table.is_number(name):
            continue
        sensor = sensor_of(name)
        if sensor is None:
            axis = "".join(words_of(name))
            if axis in ("x", "y", "z"):
                bare[axis] = name
            continue
        channel, free = sensor
        group = linear if free else total
        group.setdefault(channel, name)
    if not any(_quantity(channel) == "acc" for channel in total) and linear:
        return {**linear, **total}, True
    if not total and len(bare) == 3:
        quantity = sensor_word(table.path.stem) or "acc"
        return {f"{quantity}_{axis}": bare[axis] for axis in "xyz"}, False
    return total, False


def _quantity(channel: str) -> str:
    return channel.rpartition("_")[0].rpartition("_")[2]


def sensor_word(text: str) -> str | None:
    """Return the quantity that a file's name speaks of."""
    for word in words_of(text):
        for quantity, known in _WORDS.items():
            if word in known[:-1] or any(len(k) > 3 and k in word for k in known):
                return quantity
    return None


def sensor_of(name: str) -> tuple[str, bool] | None:
    """Return the channel that a column's name speaks of, and whether it is free of gravity; None if of none.

    ``Accelerometer X`` is ``acc_x``, ``watch_gyr.y`` is ``watch_gyro_y``, ``ax`` is ``acc_x``.
    """
    words = words_of(name)
    if not words:
        return None
    text = "".join(words)
    if any(word in _GRAVITY_ONLY for word in words):
        return None
    free = any(word in _FREE_OF_GRAVITY for word in words)
    axis, rest = _axis(words)
    if axis is None:
        return None
    for quantity, known in _WORDS.items():
        for word in known:
            if len(word) > 1 and word in rest:
                device = [
                    w for w in rest if w != word and w not in (*_FREE_OF_GRAVITY, *_NO_SENSOR) and not w.isdigit()
                ]
                return "_".join([*device, quantity, axis]), free
            if len(word) == 1 and text == word + axis:
                return f"{quantity}_{axis}", free
    return None


def _axis(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The axis that the words name, and the others."""
    for index, word in enumerate(words):
        if word in ("x", "y", "z"):
            return word, [w for i, w in enumerate(words) if i != index]
    last = words[-1]
    if len(last) > 1 and last[-1] in "xyz" and last[:-1] in {w for known in _WORDS.values() for w in known}:
        return last[-1], [*words[:-1], last[:-1]]
    first = words[0]
    if len(first) > 1 and first[0] in "xyz" and first[1:] in {w for known in _WORDS.values() for w in known}:
        return first[0], [first[1:], *words[1:]]
    return None, list(words)


def _unit(table: Table, column: str) -> str | None:
    """The unit that the file or the column's name states."""
    stated = table.units.get(column) or ""
    bracket = re.search(r"[\[(](.*?)[\])]", column)
    for text in (stated, bracket[1] if bracket else "", column.rpartition("_")[2]):
        unit = SPELLINGS.get(text.strip().lower().replace(" ", ""))
        if unit is not None and (text != column.rpartition("_")[2] or unit not in ("g", "mg", "mT")):
            return unit
    return None


def _time_unit(column: str) -> str | None:
    bracket = re.search(r"[\[(](.*?)[\])]", column)
    for text in (bracket[1] if bracket else "", *reversed(words_of(column)[1:])):
        unit = TIME_SPELLINGS.get(text.strip().lower())
        if unit is not None:
            return unit
    return (
        TIME_SPELLINGS.get(words_of(column)[0])
        if words_of(column)[:1] in (["millis"], ["micros"], ["seconds"])
        else None
    )
