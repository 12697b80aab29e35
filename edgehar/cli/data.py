"""``edgehar data``: which data sets there are, getting them ready, looking into them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgehar.cli import data_import
from edgehar.datasets import DATASETS, Dataset, find_dataset
from edgehar.datasets.splits import sort_subjects
from edgehar.datasets.tabular import store
from edgehar.errors import DataError, EdgeharError, MissingExtraError, UsageError
from edgehar.files import output_file, write_atomic
from edgehar.recording import UNLABELLED, Recording

if TYPE_CHECKING:
    from rich.console import Console

JSON_SCHEMA_VERSION = 1
ROW_LIMIT = 100  # recordings; a data set of more is shown a row a person (its JSON always has every recording)


def add_parser(subparsers: Any) -> None:
    """Register ``data`` with ``list``, ``fetch NAME``, ``inspect NAME`` and ``import FILES``."""
    parser = subparsers.add_parser("data", help="list, fetch and inspect data sets", description=__doc__)
    actions = parser.add_subparsers(
        dest="data_action", required=True, metavar="list | fetch NAME | inspect NAME | import FILES"
    )

    listing = actions.add_parser("list", help="the data sets edgehar knows")
    _add_json(listing)

    fetch = actions.add_parser("fetch", help="make a data set ready: download or find, verify, decode, cache")
    fetch.add_argument("name", metavar="NAME", help=f"one of {', '.join(DATASETS)}")
    fetch.add_argument("--from", dest="source", type=Path, metavar="PATH", help="a copy you have: archive or folder")
    fetch.add_argument("--sha256", metavar="HEX", help="accept only an archive with this SHA-256")

    inspect = actions.add_parser("inspect", help="recordings, people, minutes and activities of a data set")
    inspect.add_argument("name", metavar="NAME", help=f"one of {', '.join(DATASETS)}")
    inspect.add_argument(
        "--recording", metavar="NAME", help="only this one (--out draws the one with most labels unless told)"
    )
    inspect.add_argument(
        "--out", type=output_file, metavar="PLOT", help="draw a recording with its labels: .png, .svg, .pdf"
    )
    _add_json(inspect)

    data_import.add_parser(actions)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write the same as JSON")


def run(args: argparse.Namespace) -> int:
    """Do what ``edgehar data ...`` asks; return the exit code."""
    if args.data_action == "import":
        return data_import.run(args, _console())
    actions = {"list": _list, "fetch": _fetch, "inspect": _inspect}
    actions[args.data_action](args)
    return 0


def _console() -> Console:
    try:
        from rich.console import Console
    except ImportError as error:
        raise MissingExtraError("rich", "cli", "the command line") from error
    return Console(highlight=False)


def _write_json(path: Path, value: Any) -> None:
    _write(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomic(path, data)
    except OSError as error:
        raise EdgeharError(f"{path} cannot be written ({error.strerror or error}); choose another place") from error


def _list(args: argparse.Namespace) -> None:
    from rich.table import Table

    console = _console()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    for heading in ("name", "data set", "rate", "activities", "licence", "state"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("name", "rate", "activities"))
    rows = []
    for dataset in (*DATASETS.values(), *map(find_dataset, store.names())):
        ready = dataset.ready()
        state = "[green]ready[/]" if ready else f"edgehar data fetch {dataset.name}"
        sensors = ", ".join(dict.fromkeys(channel.sensor for channel in dataset.channels))
        table.add_row(
            *(dataset.name, f"{dataset.title}: {sensors}", f"{dataset.rate_hz:g} Hz"),
            *(f"{len(dataset.label_names)} ({len(dataset.task_labels)})", dataset.licence, state),
        )
        rows.append(_describe(dataset) | {"ready": ready})
    console.print(table)
    console.print("activities: labelled (trained by default); edgehar data inspect NAME shows them", style="dim")
    if args.json:
        _write_json(args.json, rows)


def _describe(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "title": dataset.title,
        "rate_hz": dataset.rate_hz,
        "channels": [{"name": c.name, "unit": c.unit, "frame": c.frame} for c in dataset.channels],
        "label_names": list(dataset.label_names),
        "task_labels": list(dataset.task_labels),
        "test_subjects": list(dataset.test_subjects),
        "licence": dataset.licence,
        "citation": dataset.citation,
    }


def _fetch(args: argparse.Namespace) -> None:
    console = _console()
    dataset = find_dataset(args.name)
    source = args.source or dataset.find_source()
    if source is not None or not dataset.url:
        recordings = _use(dataset, source, args.sha256)
    else:
        source = _download(console, dataset, args.sha256)
        try:
            recordings = dataset.use(source)
        except DataError:
            source.unlink(missing_ok=True)  # or every later run would find it again
            raise
    people, samples = len({r.subject for r in recordings}), sum(len(r.samples) for r in recordings)
    hours = sum(r.duration_s for r in recordings) / 3600
    where = f", decoded from {source}" if source else ""
    console.print(
        f"{dataset.name}: {len(recordings)} recordings of {people} people, {samples:,} samples, {hours:.1f} h{where}",
        soft_wrap=True,
        markup=False,
    )


def _use(dataset: Dataset, source: Path | None, sha256: str | None) -> tuple[Recording, ...]:
    from edgehar.datasets.checksums import check_sha256

    if source is None:
        return dataset.load()
    if sha256 and source.is_dir():
        raise UsageError(f"--sha256 is of an archive, but {source} is a folder; leave it out or name the archive")
    if sha256:
        check_sha256(source, sha256, "fetch it again, or ask whoever gave you the SHA-256")
    return dataset.use(source)


def _download(console: Console, dataset: Dataset, sha256: str | None) -> Path:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from edgehar.datasets.cache import cache_folder
    from edgehar.datasets.download import download

    path = cache_folder() / dataset.download_name
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(dataset.name, total=None)
        found = download(
            dataset.url,
            path,
            lambda done, total: progress.update(task, completed=done, total=total or None),
            sha256 or "",
        )
    console.print(f"{dataset.url}\nSHA-256 {found}", soft_wrap=True)
    return path


def _inspect(args: argparse.Namespace) -> None:
    console = _console()
    dataset = find_dataset(args.name)
    recordings = dataset.load()
    if args.recording:
        recordings = (_find_recording(recordings, args.recording),)
    _print_recordings(console, dataset, recordings)
    if args.json:
        described = _describe(dataset) | {"recordings": [_describe_recording(r) for r in recordings]}
        _write_json(args.json, {"schema_version": JSON_SCHEMA_VERSION} | described)
    if args.out:
        chosen = max(recordings, key=_labelled_samples)
        _plot(chosen, args.out)
        console.print(f"{chosen.name} drawn in {args.out}", soft_wrap=True, markup=False)


def _find_recording(recordings: Sequence[Recording], name: str) -> Recording:
    import difflib

    by_name = {r.name: r for r in recordings}
    if name not in by_name:
        near = difflib.get_close_matches(name, by_name, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"they are called like {recordings[0].name}"
        raise UsageError(f"there is no recording {name!r} among {len(recordings)}; {hint}")
    return by_name[name]


def _labelled_samples(recording: Recording) -> int:
    return 0 if recording.labels is None else int((recording.labels != UNLABELLED).sum())


def _plot(recording: Recording, path: Path) -> None:
    try:
        from edgehar.datasets.plot import render_recording
    except ImportError as error:
        raise MissingExtraError("matplotlib", "data", "drawing a recording") from error
    _write(path, render_recording(recording, path.suffix.removeprefix(".").lower()))


def label_shares(recordings: Sequence[Recording]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return ``[1 + labels]`` shares of all samples, unlabelled first; they add up to 1."""
    size = 1 + len(recordings[0].label_names)
    counts = np.zeros(size)
    for recording in recordings:
        if recording.labels is None:
            counts[0] += len(recording.samples)
        else:
            counts += np.bincount(recording.labels + 1, minlength=size)
    shares: np.ndarray[Any, np.dtype[np.float64]] = counts / counts.sum()
    return shares


def _describe_recording(recording: Recording) -> dict[str, Any]:
    shares = label_shares([recording])
    return {
        "name": recording.name,
        "subject": recording.subject,
        "samples": len(recording.samples),
        "minutes": round(recording.duration_s / 60, 3),
        "unlabelled": round(float(shares[0]), 4),
        "share": {n: round(float(s), 4) for n, s in zip(recording.label_names, shares[1:], strict=True)},
    }


def _print_recordings(console: Console, dataset: Dataset, recordings: tuple[Recording, ...]) -> None:
    from rich.table import Table

    if len(recordings) > ROW_LIMIT:
        people = sort_subjects({r.subject for r in recordings})
        groups = {f"person {s}": tuple(r for r in recordings if r.subject == s) for s in people}
    else:
        groups = {r.name: (r,) for r in recordings}
    first = "person" if len(recordings) > ROW_LIMIT else "recording"
    table = Table(
        title=f"{dataset.title}: share of samples in %",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        header_style="bold underline",
    )
    table.add_column(first, no_wrap=True)
    for heading in ("who", "min", "samples", *(str(i) for i in range(len(dataset.label_names))), "–"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, members in groups.items():
        table.add_row(name, members[0].subject, *_row(members))
    if len(groups) > 1:
        table.add_row("together", str(len({r.subject for r in recordings})), *_row(recordings), style="bold")
    console.print(table)
    legend = [f"[bold]{i}[/] {name}" for i, name in enumerate(dataset.label_names)]
    console.print(" · ".join([*legend, "[bold]–[/] unlabelled"]))


def _row(recordings: Sequence[Recording]) -> list[str]:
    unlabelled, *shares = label_shares(recordings)
    return [
        f"{sum(r.duration_s for r in recordings) / 60:.1f}",
        str(sum(len(r.samples) for r in recordings)),
        *(_percent(share) for share in (*shares, unlabelled)),
    ]


def _percent(share: float) -> str:
    """Return whole percents; nothing for nothing, and never 0 for something."""
    return "" if share == 0 else "<1" if share < 0.01 else f"{100 * share:.0f}"
