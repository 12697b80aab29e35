"""Teach a bundle a new label from recordings of it, as a device would: no training, one prototype more.

The windows run through the on-device interpreter; the mean direction of their embeddings is the prototype. Its
threshold is the largest score that any of the bundle's reference windows gets when only the references of other
people count as known, plus a margin: so it was never exceeded by anybody whose windows the bundle knows, judged as a
stranger would be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device_sim.device import Device
from device_sim.engines import DEFAULT_ENGINE, open_engine
from device_sim.prototypes import Prototypes
from device_sim.sources import on_device
from edgehar.bundle import Bundle, write_bundle
from edgehar.c_pipeline import FOLDER
from edgehar.errors import DataError, UsageError
from edgehar.heads import label_sources
from edgehar.heads.prototypes import FEWEST_WINDOWS, MARGIN, UNIT, direction, highest_score, strangers
from edgehar.manifest import Manifest, Prototype
from edgehar.recording import Recording
from edgehar.references import read_references
from edgehar.signal import window_labels

CARD = "MODEL_CARD.md"

I8 = NDArray[np.int8]


@dataclass(frozen=True)
class Enrolment:
    """What an enrolment did.

    Attributes:
        bundle: the new one.
        label: what it learned.
        windows: how many it learned from.
        recognised: share of these that the new bundle gives the label to, 0 to 1.
        before: what the network alone says to them: share of each of its labels that occurs.
        threshold: of the prototype's score, as a cosine.
    """

    bundle: Bundle
    label: str
    windows: int
    recognised: float
    before: dict[str, float]
    threshold: float


def enroll(
    bundle: Bundle,
    recordings: Sequence[Recording],
    label: str,
    out: Path,
    *,
    engine: str = DEFAULT_ENGINE,
    margin: float = MARGIN,
    firmware: Callable[[Manifest], Mapping[str, bytes]] | None = None,
) -> Enrolment:
    """Write a copy of ``bundle`` that also knows ``label``.

    Args:
        bundle: has an embedding; is left as it is.
        recordings: of the new activity. Where one carries labels, its windows of this label alone are taken.
        label: new, or enrolled before: then it gets a further prototype.
        out: folder of the new bundle.
        engine: key of ``ENGINES``.
        margin: cosine that is added to the threshold; more keeps the known activities safer, less recognises more.
        firmware: makes ``firmware/`` of the new manifest. Without it the new bundle has none, since the old one's does
            not know the label.

    Raises:
        UsageError: the bundle has no int8 embedding, the label is one of the network's own, or ``out`` is not free.
        DataError: too few windows of the label.
        BundleError, EngineError, MissingExtraError: see :class:`Device` and :func:`read_references`.
    """
    manifest = bundle.manifest
    check_request(bundle, label, out, margin)
    references = read_references(bundle)
    plain = replace(bundle, manifest=replace(manifest, enrolled=()))
    device = Device(plain, open_engine(engine, plain))
    embeddings, answers = _windows(device, manifest, recordings, label)
    if len(embeddings) < FEWEST_WINDOWS:
        raise DataError(
            f"{len(embeddings)} windows of {label!r} in {len(recordings)} recording(s), expected at least "
            f"{FEWEST_WINDOWS}: {manifest.window / manifest.rate_hz + 2 * manifest.hop / manifest.rate_hz:.2g} s of it"
        )
    vector = direction(embeddings.sum(axis=0, dtype=np.int64))
    if vector is None:
        raise DataError("the windows' embeddings cancel out: they are not of one activity")
    rivals = strangers(references.embeddings, references.people)
    threshold = highest_score(vector, references.embeddings, rivals) + round(margin * UNIT)
    prototype = Prototype(label, tuple(vector.tolist()), threshold, len(embeddings))
    changed = replace(manifest, enrolled=(*manifest.enrolled, prototype))
    own = Prototypes(changed.enrolled, references.embeddings).excess(embeddings)
    mine = [p.label == label for p in changed.enrolled]
    recognised = float(((own.max(axis=1) > 0) & np.array(mine)[own.argmax(axis=1)]).mean())
    names, counts = manifest.heads[0].labels, np.bincount(answers, minlength=len(manifest.heads[0].labels))
    files = {name: bundle.read(name) for name in manifest.files if not name.startswith(FOLDER)}
    if firmware is not None:
        files |= {FOLDER + name: data for name, data in firmware(changed).items()}
    if CARD in files:
        files[CARD] += _card(prototype, recognised, bundle).encode()
    return Enrolment(
        bundle=write_bundle(out, changed, files),
        label=label,
        windows=len(embeddings),
        recognised=recognised,
        before={name: float(n / len(answers)) for name, n in zip(names, counts, strict=True) if n},
        threshold=threshold / UNIT,
    )


def check_request(bundle: Bundle, label: str, out: Path, margin: float = MARGIN) -> None:
    """Check what can be checked before any recording is read.

    Raises:
        UsageError: as :func:`enroll`.
    """
    manifest, embedding = bundle.manifest, bundle.manifest.embedding
    if embedding is None or embedding.quant.dtype != "int8":
        raise UsageError(
            f"{bundle.path}: its network has no int8 embedding to enrol with; train one with an [embedding] table in "
            "the config (docs/few_shot.md) and export it with an int8 recipe, or take zoo:siamese"
        )
    if not label or label != label.strip() or "," in label:
        raise UsageError(f"label {label!r}: expected a word without commas, since recordings name it in a CSV")
    if label in (*manifest.heads[0].labels, *label_sources(head.task for head in manifest.heads)):
        raise UsageError(f"label {label!r} is one of the network's own; give the enrolled activity another name")
    if not 0 <= margin <= 2:
        raise UsageError(f"margin is {margin}, expected a cosine of 0 to 2")
    if out.resolve() == bundle.path.resolve():
        raise UsageError(f"{out}: is the bundle itself, which is left as it is; choose another --out")


def _windows(
    device: Device, manifest: Manifest, recordings: Sequence[Recording], label: str
) -> tuple[I8, NDArray[np.int16]]:
    """Embeddings ``[N, E]`` and the network's own answers ``[N]`` of the windows of ``label``."""
    assert manifest.embedding is not None
    embeddings, answers = [np.empty((0, manifest.embedding.width), np.int8)], [np.empty(0, np.int16)]
    for recording in recordings:
        device.reset()
        fitted = on_device(replace(recording, labels=None), manifest)
        batches = list(device.batches(fitted.samples))
        if not batches:
            continue
        found = np.concatenate([batch.embeddings for batch in batches if batch.embeddings is not None])
        wanted = np.ones(len(found), bool)
        if recording.labels is not None:
            index = recording.label_names.index(label) if label in recording.label_names else -2  # of no sample
            wanted = window_labels(recording.labels, manifest.window, manifest.hop) == index
        embeddings.append(found[wanted])
        answers.append(np.concatenate([batch.outputs.argmax(axis=1) for batch in batches])[wanted].astype(np.int16))
    return np.concatenate(embeddings), np.concatenate(answers)


def _card(prototype: Prototype, recognised: float, before: Bundle) -> str:
    return f"""
## Enrolled: {prototype.label}

From {prototype.windows} windows, added to bundle {before.sha256[:12]}; {100 * recognised:.1f} % of them get
the label, a figure on the very windows it was made from. The scores above are those before the enrolment.
"""
