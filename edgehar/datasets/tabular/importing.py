"""Files in, recordings out, with everything that was guessed and everything that is wrong; nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from edgehar.datasets.splits import sort_subjects
from edgehar.datasets.tabular.dialect import ReadSettings
from edgehar.datasets.tabular.grid import Counts, choose_rate, recordings_of, stretches
from edgehar.datasets.tabular.guess import Guess
from edgehar.datasets.tabular.problems import ERROR, Problem, find_problems
from edgehar.datasets.tabular.readers import READERS, read_table
from edgehar.datasets.tabular.store import Imported, held_out
from edgehar.datasets.tabular.streams import StreamSettings, gather
from edgehar.datasets.tabular.suggest import training_keys
from edgehar.errors import DataError, UsageError
from edgehar.recording import Channel, Recording
from edgehar.signal.grid import grid_of

MAX_FILES = 20_000
MAX_LABELS = 1000
PARTS = 5  # of the only recording, where there is one
DEFAULT_MIN_S = 1.0
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1.0, 1000.0

Progress = Callable[[Path, int, int], None]  # (file, files done, files in all)


@dataclass(frozen=True)
class ImportSettings:
    """What the user says; what is None is guessed.

    Attributes:
        read: about the files.
        content: about their columns and units.
        rate_hz: of the recordings.
        gap_s: the longest step that is bridged; None: as the device bridges it (:func:`edgehar.signal.grid.grid_of`).
        min_s: shorter recordings are left out.
        clock: ``stamps`` or ``steady``.
    """

    read: ReadSettings = field(default_factory=ReadSettings)
    content: StreamSettings = field(default_factory=StreamSettings)
    rate_hz: float | None = None
    gap_s: float | None = None
    min_s: float = DEFAULT_MIN_S
    clock: str | None = None


@dataclass(frozen=True)
class Import:
    """What became of the files.

    Attributes:
        described: for the store; its hash is still empty.
        recordings: steady, in base units.
        guesses, problems: what to tell the user.
    """

    described: Imported
    recordings: tuple[Recording, ...]
    guesses: tuple[Guess, ...]
    problems: tuple[Problem, ...]

    @property
    def usable(self) -> bool:
        """Whether something can be trained on it."""
        return not any(problem.severity == ERROR for problem in self.problems)


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return files, and those below folders that a reader knows, in order.

    Raises:
        UsageError: nothing is there, or too much.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                p for p in path.rglob("*") if p.suffix.lower() in READERS and p.is_file() and not _hidden(p, path)
            )
            if not inside:
                raise UsageError(f"{path}: no files of kind {', '.join(READERS)} in this folder")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UsageError(f"{path}: there is no such file or folder")
    if len(found) > MAX_FILES:
        raise UsageError(f"{len(found)} files, expected at most {MAX_FILES}; put what belongs together into fewer")
    return found


def _hidden(path: Path, base: Path) -> bool:
    return any(part.startswith((".", "__")) for part in path.relative_to(base).parts)


def import_files(
    paths: Sequence[Path], name: str, settings: ImportSettings, progress: Progress | None = None
) -> Import:
    """Read files and bring them to recordings.

    Args:
        paths: files, and folders of them.
        name: of the data set.
        settings: what is not to be guessed.
        progress: called after each file.

    Raises:
        DataError: a file cannot be read, or they do not fit together.
        UsageError: nothing is there, or a setting fits nothing.
        MissingExtraError: a format needs a package that is not installed.
    """
    _check(settings)
    files = find_files(paths)
    tables = []
    for done, path in enumerate(files):
        tables.append(read_table(path, settings.read))
        if progress is not None:
            progress(path, done + 1, len(files))
    gathered = gather(tables, settings.content)
    reading = [Guess(what, value, why) for what, (value, why) in tables[0].notes.items() if what != "label"]
    counts = Counts()
    found = stretches(gathered.streams, counts, settings.clock)
    if not found:
        raise DataError(
            f"{files[0]}: its times, or its samples, are no numbers; see --time, --channel and --source-rate"
        )
    rate_hz = settings.rate_hz or choose_rate(counts.rates_hz)
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise DataError(
            f"{files[0]}: by its times it has {rate_hz:.3g} samples a second, expected {LOWEST_RATE_HZ:g} to "
            f"{HIGHEST_RATE_HZ:g}; is the unit of time right? --time-unit, --source-rate"
        )
    source_rate = sorted(counts.rates_hz)[len(counts.rates_hz) // 2]
    why = f"the source has {source_rate:.4g} Hz" if settings.rate_hz is None else "as told"
    labels = _label_names([stream.labels[1].tolist() for stream in gathered.streams if stream.labels is not None])
    channels = tuple(Channel(channel, unit) for channel, unit in gathered.units.items())
    gap_s = settings.gap_s or grid_of(rate_hz).gap_us / 1e6
    recordings = recordings_of(
        found, channels, rate_hz, gap_s=gap_s, min_s=settings.min_s, label_names=labels, source=name, counts=counts
    )
    recordings, grouped_by = _with_people(recordings, gathered.grouped_by)
    guesses = (*reading, *gathered.guesses, Guess("rate of the recordings", f"{rate_hz:g} Hz", why))
    left_out = sum(table.left_out for table in tables)
    problems = find_problems(
        recordings, counts, guesses, left_out_rows=left_out, grouped_by=grouped_by, gravity_free=gathered.gravity_free
    )
    people = sort_subjects({r.subject for r in recordings})
    test, validation = held_out(people)
    described = Imported(
        name=name,
        title=f"imported from {files[0].name}" + (f" and {len(files) - 1} more files" if len(files) > 1 else ""),
        label_names=labels,
        channels=tuple((c.name, c.unit) for c in channels),
        rate_hz=rate_hz,
        test_subjects=test,
        training=training_keys(recordings, test, validation) if recordings and labels else {},
        sha256="",
        sources=tuple(path.name for path in files[:100]),
        guesses=tuple(vars(guess) for guess in guesses),
        problems=tuple(vars(problem) for problem in problems),
    )
    return Import(described, tuple(recordings), guesses, tuple(problems))


def _check(settings: ImportSettings) -> None:
    limits = {
        "rate-hz": (settings.rate_hz, LOWEST_RATE_HZ, HIGHEST_RATE_HZ),
        "gap-s": (settings.gap_s, 0.001, 1000),
        "min-s": (settings.min_s, 0, 1e6),
    }
    for what, (value, low, high) in limits.items():
        if value is not None and not low <= value <= high:
            raise UsageError(f"--{what} is {value:g}, expected {low:g} to {high:g}")
    if settings.clock not in (None, "stamps", "steady"):
        raise UsageError(f"--clock {settings.clock!r}, expected stamps or steady")


def _label_names(tracks: Sequence[Sequence[str | None]]) -> tuple[str, ...]:
    """All labels, in the order of the alphabet, numbers by value."""
    found = {label for track in tracks for label in set(track) if label}
    if len(found) > MAX_LABELS:
        raise DataError(f"{len(found)} different labels, expected at most {MAX_LABELS}; is --label the right column?")
    return sort_subjects(found)


def _with_people(recordings: Sequence[Recording], grouped_by: str) -> tuple[list[Recording], str]:
    """Recordings of more than one person: of one alone, its files stand for people, or parts of its only recording."""
    if len({r.subject for r in recordings}) > 1 or not recordings:
        return list(recordings), grouped_by
    if len(recordings) > 2:
        return [replace(r, subject=r.name) for r in recordings], "file"
    parts = []
    for recording in recordings:
        edges = [len(recording.samples) * i // PARTS for i in range(PARTS + 1)]
        parts += [
            replace(recording.cut(a, b), name=f"{recording.name}-{i}", subject=f"{recording.name}-{i}")
            for i, (a, b) in enumerate(pairwise(edges), start=1)
            if b > a
        ]
    return parts, "part"
