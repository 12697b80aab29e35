"""What the user should know about their data before anything is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgehar.datasets.tabular.grid import Counts, nominal_rate
from edgehar.datasets.tabular.guess import Guess
from edgehar.recording import UNLABELLED, Recording

ERROR, WARNING, NOTE = "error", "warning", "note"
RARE_SHARE = 0.03
SHORT_S = 60.0
SATURATED_SHARE = 0.002
ALIASED_SHARE = 0.05


@dataclass(frozen=True)
class Problem:
    """One thing about the data.

    Attributes:
        severity: ``error`` (nothing can be trained on it), ``warning`` or ``note``.
        what: was found, with its figure.
        advice: what to do.
    """

    severity: str
    what: str
    advice: str


def find_problems(
    recordings: Sequence[Recording],
    counts: Counts,
    guesses: Sequence[Guess],
    *,
    left_out_rows: int,
    grouped_by: str,
    gravity_free: bool,
) -> list[Problem]:
    """Return what should be said, the worst first."""
    found: list[Problem] = []
    if not recordings:
        return [Problem(ERROR, "no stretch is long enough for a recording", "see the gaps above; --gap-s, --min-s")]
    for guess in guesses:
        if not guess.sure:
            found.append(Problem(WARNING, f"{guess.what}: {guess.value or 'unknown'}, which is not sure", guess.why))
    found += _time_problems(counts, recordings[0].rate_hz)
    if left_out_rows:
        found.append(
            Problem(WARNING, f"{left_out_rows:,} rows could not be read and were left out", "look at the file")
        )
    if gravity_free:
        advice = "a model of it works on devices that take gravity out in the same way"
        found.append(Problem(WARNING, "the acceleration has no gravity in it", advice))
    found += _value_problems(recordings)
    found += _label_problems(recordings)
    people = {r.subject for r in recordings}
    if grouped_by != "subject":
        word = {"file": "file", "folder": "folder", "path": "number in a name", "part": "part of a recording"}[
            grouped_by
        ]
        advice = "name them with --subject COLUMN or --subject-from; until then figures say little about new people"
        if grouped_by != "path":
            found.append(Problem(WARNING, f"people are unknown: each {word} counts as one", advice))
    if len(people) < 3:
        advice = "record more people: one each for training, choosing and testing is the least"
        found.append(Problem(WARNING, f"{len(people)} {'person' if len(people) == 1 else 'people'}", advice))
    order = (ERROR, WARNING, NOTE)
    return sorted(found, key=lambda problem: order.index(problem.severity))


def _time_problems(counts: Counts, rate_hz: float) -> list[Problem]:
    found = []
    rates = np.array(counts.rates_hz)
    usual = nominal_rate(counts.rates_hz)
    off = float((np.abs(rates / usual - 1) > 0.1).mean())
    if off > 0:
        low, high = rates.min(), rates.max()
        found.append(
            Problem(WARNING, f"rates from {low:.4g} to {high:.4g} Hz", f"{100 * off:.0f} % are far from {usual:g} Hz")
        )
    if usual > 1.05 * rate_hz:
        found.append(Problem(NOTE, f"{np.median(rates):.4g} Hz brought to {rate_hz:g} Hz", "--rate-hz keeps more"))
    if counts.restarts:
        found.append(
            Problem(WARNING, f"the clock steps back {counts.restarts} times", "each time another recording begins")
        )
    for number, what, advice in (
        (counts.out_of_order, "samples out of order", "put in the order of their times"),
        (counts.duplicates, "samples that are there twice", "taken once"),
        (counts.same_time, "samples at a time that was there already", "the first of them counts"),
        (counts.not_numbers, "cells without a number", "interpolated, or cut where they are too many"),
        (counts.gaps, "gaps", "recordings were cut there (--gap-s)"),
        (counts.too_short, "stretches too short for a recording", "left out (--min-s)"),
        (
            counts.bursty,
            "streams whose stamps come in bursts",
            "taken as steady (--clock stamps to believe the stamps)",
        ),
    ):
        if number:
            found.append(
                Problem(NOTE if what.startswith(("cells", "streams")) else WARNING, f"{number:,} {what}", advice)
            )
    if counts.points and counts.interpolated > 0.02 * counts.points:
        share = 100 * counts.interpolated / counts.points
        found.append(
            Problem(WARNING, f"{share:.1f} % of the samples stand where some are missing", "the source loses samples")
        )
    return found


def _value_problems(recordings: Sequence[Recording]) -> list[Problem]:
    found = []
    x = np.concatenate([r.samples[:20_000] for r in recordings])
    channels = recordings[0].channels
    for column, channel in enumerate(channels):
        values = x[:, column]
        if np.ptp(values) == 0:
            found.append(Problem(WARNING, f"{channel.name} is always {values[0]:.4g}", "is the sensor stuck?"))
            continue
        largest = float(np.abs(values).max())
        flat = np.concatenate([np.diff(values) == 0, [False]])  # a range's end is met again and again, a peak is not
        share = float((flat & (np.abs(values) >= 0.999 * largest)).mean())
        if share > SATURATED_SHARE and len(values) > 1000:
            advice = "the sensor's range may be too small for what was done"
            found.append(
                Problem(WARNING, f"{channel.name} stays at ±{largest:.4g} for {100 * share:.1f} % of the time", advice)
            )
    acc = [i for i, c in enumerate(channels) if c.quantity == "acc"]
    if len(acc) == 3:
        length = float(np.median(np.sqrt((x[:, acc].astype(np.float64) ** 2).sum(axis=1))))
        if not 0.7 < length < 1.4:
            found.append(
                Problem(
                    WARNING, f"a sample's acceleration is {length:.3g} g as a rule", "1 g is usual; --unit, --scale"
                )
            )
    return found


def _label_problems(recordings: Sequence[Recording]) -> list[Problem]:
    names = recordings[0].label_names
    seconds = np.zeros(len(names))
    unlabelled = 0.0
    for recording in recordings:
        if recording.labels is None:
            unlabelled += recording.duration_s
            continue
        counts = np.bincount(recording.labels + 1, minlength=len(names) + 1)
        unlabelled += float(counts[0]) / recording.rate_hz
        seconds += counts[1:] / recording.rate_hz
    total = float(seconds.sum())
    if len(names) < 2 or total == 0:
        what = f"one label ({names[0]})" if len(names) == 1 else "no labels"
        return [Problem(ERROR, what, "training needs two or more: --label COLUMN, or --label-from folder|file")]
    found = []
    if unlabelled > 0.3 * (total + unlabelled):
        share = 100 * unlabelled / (total + unlabelled)
        found.append(Problem(NOTE, f"{share:.0f} % of the time is unlabelled", "streamed, not scored"))
    for name, length in zip(names, seconds.tolist(), strict=True):
        people = len({r.subject for r in recordings if _has(r, names.index(name))})
        if length < SHORT_S or length < RARE_SHARE * total:
            what = f"{name}: {length:.0f} s in all, {100 * length / total:.1f} %"
            found.append(Problem(WARNING, what, "record more of it, or leave it out (labels in the TOML)"))
        if people == 1 and len({r.subject for r in recordings}) > 1:
            found.append(Problem(WARNING, f"{name}: one person alone did it", "it cannot be both trained and tested"))
    return found


def _has(recording: Recording, label: int) -> bool:
    return recording.labels is not None and label != UNLABELLED and bool((recording.labels == label).any())
