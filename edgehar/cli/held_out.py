"""Which recordings a command replays: CSV files the user names, the bundle's held-out people, or its golden stream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgehar.bundle import Bundle
from edgehar.errors import DataError, MissingExtraError, UsageError
from edgehar.recording import Recording, recordings_sha256


def choose_recordings(
    bundle: Bundle, files: Sequence[Path], subjects: Sequence[str], *, resample: bool = False
) -> tuple[tuple[Recording, ...], str]:
    """Return the recordings to replay and a line that says which they are.

    Without ``files``, the held-out people of the data set the bundle was trained on; where that data set is not on
    this machine, the bundle's golden stream.

    Raises:
        DataError: a file is not a recording the bundle can take.
        BundleError: there are no files, and the bundle does not tell its held-out people.
        UsageError: a subject is not among the bundle's held-out people.
    """
    if files:
        from device_sim.sources import read_csv

        recordings = tuple(read_csv(path, bundle.manifest, resample=resample) for path in files)
        return recordings, f"{len(files)} file{'s' if len(files) != 1 else ''}"
    held_out = tuple(bundle.manifest.fact("provenance.data.test_subjects"))
    strangers = [s for s in subjects if s not in held_out]
    if strangers:
        raise UsageError(
            f"subject {strangers[0]!r} is not held out from this bundle; its held-out people are {', '.join(held_out)}"
        )
    try:
        from edgehar.datasets.splits import select

        recordings = select(recordings_of(bundle), subjects or held_out)
    except (MissingExtraError, DataError) as error:
        from device_sim.sources import golden_recording

        if subjects:
            raise
        reason = str(error).partition(";")[0]
        return (golden_recording(bundle),), f"the bundle's golden stream, because {reason}"
    people = len({r.subject for r in recordings})
    dataset = bundle.manifest.fact("provenance.data.dataset")
    return recordings, f"{len(recordings)} held-out recordings of {people} people in {dataset}"


def recordings_of(bundle: Bundle) -> tuple[Recording, ...]:
    """Return the recordings of all people of the data set that a bundle was made from.

    Raises:
        DataError: the data set is not on this machine, or it is another of the same name.
        BundleError: the bundle does not tell its data set.
        MissingExtraError: it comes with an install extra that is not there.
    """
    from edgehar.datasets import load_dataset

    name = bundle.manifest.fact("provenance.data.dataset")
    recordings = load_dataset(name)
    told = bundle.manifest.provenance["data"].get("sha256")  # older bundles do not tell
    if told is not None and told != recordings_sha256(recordings):
        raise DataError(
            f"data set {name!r} has other recordings here than those the bundle was made from; import the "
            "same files again"
        )
    return recordings
