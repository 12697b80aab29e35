"""Events of whole runs: every recording scored by itself, added up by activity and by person, as ``summary.json``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.events.categories import (
    ANNOUNCED_CATEGORIES,
    NO_SAMPLES,
    TRUE_CATEGORIES,
    Samples,
    announced_codes,
    count_samples,
    true_codes,
)
from device_sim.events.delays import false_alarms, waits
from device_sim.events.matching import f1, matches
from device_sim.events.runs import Ints, Runs, Track, all_runs, log_track, runs_by_label
from device_sim.results import RecordingTrace
from device_sim.scores import subject_interval


@dataclass(frozen=True, eq=False)
class Scored:
    """The events of one recording, or the sum over several. K activities.

    Attributes:
        true: ``[K, 5]`` true events by ``TRUE_CATEGORIES``.
        announced: ``[K, 5]`` announced ones by ``ANNOUNCED_CATEGORIES``.
        matched: ``[K]`` pairs that count for F1.
        matched_known, announced_known: ``[K]`` the same with the log cut to the stretches that have a label.
        samples: of each activity.
        delays: (activity, seconds) of each detected true event.
        undetected: ``[K]``.
        flips, false_alarms: announcements.
        labelled_s, null_s: seconds with and without a label.
        null_samples: without.
    """

    true: Ints
    announced: Ints
    matched: Ints
    matched_known: Ints
    announced_known: Ints
    samples: tuple[Samples, ...]
    delays: tuple[tuple[int, float], ...]
    undetected: Ints
    flips: int
    false_alarms: int
    labelled_s: float
    null_s: float
    null_samples: int

    def __add__(self, other: Scored) -> Scored:
        return Scored(
            self.true + other.true,
            self.announced + other.announced,
            self.matched + other.matched,
            self.matched_known + other.matched_known,
            self.announced_known + other.announced_known,
            tuple(a + b for a, b in zip(self.samples, other.samples, strict=True)),
            self.delays + other.delays,
            self.undetected + other.undetected,
            self.flips + other.flips,
            self.false_alarms + other.false_alarms,
            self.labelled_s + other.labelled_s,
            self.null_s + other.null_s,
            self.null_samples + other.null_samples,
        )


def nothing(classes: int) -> Scored:
    """Return the sum over no recording."""
    one, five = np.zeros(classes, np.int64), np.zeros((classes, len(TRUE_CATEGORIES)), np.int64)
    return Scored(five, five, one, one, one, (NO_SAMPLES,) * classes, (), one, 0, 0, 0.0, 0.0, 0)


def score(trace: RecordingTrace, classes: int) -> Scored:
    """Return the scores of one recording that has labels.

    Raises:
        ValueError: it has none.
    """
    if trace.sample_labels is None:
        raise ValueError(f"recording {trace.recording!r} has no labels to score events with")
    truth = np.asarray(trace.sample_labels, np.int16)
    log = log_track(trace.events, trace.rate_hz, len(truth))
    known = np.where(truth < 0, np.int16(-1), log)
    true, announced = (np.zeros((classes, len(TRUE_CATEGORIES)), np.int64) for _ in range(2))
    matched, matched_known, announced_known = (np.zeros(classes, np.int64) for _ in range(3))
    samples = []
    counts = _confusion(truth, log, classes)
    every = zip(*(runs_by_label(track, classes) for track in (truth, log, known)), strict=True)
    for label, (mine, theirs, within) in enumerate(every):
        true[label] = np.bincount(true_codes(mine, theirs), minlength=len(TRUE_CATEGORIES))
        announced[label] = np.bincount(announced_codes(mine, theirs), minlength=len(ANNOUNCED_CATEGORIES))
        matched[label] = len(matches(mine, theirs)[0])
        matched_known[label], announced_known[label] = len(matches(mine, within)[0]), len(within)
        taken = int(counts[label, :classes].sum() - counts[label, label])
        null = int(counts[classes, label])
        samples.append(replace(count_samples(mine, theirs), substituted=taken, announced_in_null=null))
    at = np.rint(np.asarray(trace.announced_s, np.float64) * trace.rate_hz).astype(np.int64)
    events, labels = _true_events(truth)
    waited = waits(events, labels, at, np.array([e.label for e in trace.events], np.int16))
    missed = waited.delays < 0
    delays = zip(labels[~missed].tolist(), (waited.delays[~missed] / trace.rate_hz).tolist(), strict=True)
    return Scored(
        true,
        announced,
        matched,
        matched_known,
        announced_known,
        tuple(samples),
        tuple(delays),
        np.bincount(labels[missed], minlength=classes),
        waited.flips,
        false_alarms(truth, at, _inserted(trace, truth, classes)),
        float((truth >= 0).sum() / trace.rate_hz),
        float((truth < 0).sum() / trace.rate_hz),
        int((truth < 0).sum()),
    )


def _confusion(truth: Track, log: Track, classes: int) -> Ints:
    """``[K + 1, K + 1]`` samples by truth and log; what is none of the activities comes last."""
    rows, columns = (np.where((track < 0) | (track >= classes), classes, track) for track in (truth, log))
    size = classes + 1
    return np.bincount(rows * size + columns.astype(np.int64), minlength=size * size).reshape(size, size)


def _true_events(truth: Track) -> tuple[Runs, Track]:
    """The true events of all activities in the order of time, and their labels."""
    runs, labels = all_runs(truth)
    named = labels >= 0
    return Runs(runs.starts[named], runs.ends[named]), labels[named]


def _inserted(trace: RecordingTrace, truth: Track, classes: int) -> NDArray[np.bool_]:
    """``[E]`` whether an event names an activity and overlaps no true event of it."""
    spans = [(e.label, round(e.start_s * trace.rate_hz), round(e.end_s * trace.rate_hz)) for e in trace.events]
    return np.array([label < classes and not (truth[a:b] == label).any() for label, a, b in spans], np.bool_)


def event_scores(traces: Sequence[RecordingTrace], labels: Sequence[str]) -> dict[str, Any]:
    """Return the object ``events`` of ``summary.json``; what needs a truth is null where no recording has labels."""
    count = sum(len(t.events) for t in traces)
    seconds = sum(t.seconds for t in traces)
    by_person: dict[str, Scored] = {}
    for trace in traces:
        if trace.sample_labels is not None:
            before = by_person.get(trace.subject, nothing(len(labels)))
            by_person[trace.subject] = before + score(trace, len(labels))
    total = sum(by_person.values(), nothing(len(labels)))
    people = [{"subject": subject, **_counts(by_person[subject])} for subject in sorted(by_person)]
    return {
        "count": count,
        "per_hour": _per_hour(count, seconds) or 0.0,
        "true_count": int(total.true.sum()),
        **(_scores(total, people) if by_person else dict.fromkeys(_scores(total, people))),
        "per_activity": [_activity(total, index, str(label)) for index, label in enumerate(labels)] if people else [],
        "per_subject": people,
    }


def _scores(total: Scored, people: Sequence[dict[str, Any]]) -> dict[str, Any]:
    matched, true, announced = (int(values.sum()) for values in (total.matched, total.true, total.announced))
    known, cut = int(total.matched_known.sum()), int(total.announced_known.sum())
    interval = subject_interval(
        [2 * sum(p["matched"]) for p in people], [sum(p["true"]) + sum(p["announced"]) for p in people]
    )
    return {
        "true": _named(TRUE_CATEGORIES, total.true.sum(axis=0)),
        "announced": _named(ANNOUNCED_CATEGORIES, total.announced.sum(axis=0)),
        "samples": _samples(total),
        "matched": matched,
        "f1": f1(matched, true, announced),
        "f1_interval": None if interval is None else list(interval),
        "macro_f1": _macro(total.matched, total.true, total.announced.sum(axis=1)),
        "f1_where_labelled": f1(known, true, cut),
        "macro_f1_where_labelled": _macro(total.matched_known, total.true, total.announced_known),
        "delay_s": delay_summary([delay for _, delay in total.delays]),
        "undetected": int(total.undetected.sum()),
        "flips": total.flips,
        "flips_per_hour": _per_hour(total.flips, total.labelled_s),
        "labelled_hours": total.labelled_s / 3600,
        "false_alarms": total.false_alarms,
        "false_alarms_per_hour": _per_hour(total.false_alarms, total.null_s),
        "null_hours": total.null_s / 3600,
    }


def _activity(total: Scored, index: int, label: str) -> dict[str, Any]:
    matched, samples = int(total.matched[index]), total.samples[index]
    true, announced = int(total.true[index].sum()), int(total.announced[index].sum())
    return {
        "label": label,
        "true_count": true,
        "count": announced,
        "true": _named(TRUE_CATEGORIES, total.true[index]),
        "announced": _named(ANNOUNCED_CATEGORIES, total.announced[index]),
        "matched": matched,
        "precision": matched / announced if announced else None,
        "recall": matched / true if true else None,
        "f1": f1(matched, true, announced),
        "delay_s": delay_summary([delay for activity, delay in total.delays if activity == index]),
        "undetected": int(total.undetected[index]),
        "samples": {"true": samples.true, "announced": samples.announced, **vars(samples)},
    }


def _samples(total: Scored) -> dict[str, int]:
    """Every sample of a labelled recording in one of five: right, another activity, nothing, too much, and null."""
    correct = sum(s.correct for s in total.samples)
    substituted = sum(s.substituted for s in total.samples)
    inserted = sum(s.announced_in_null for s in total.samples)
    true = sum(s.true for s in total.samples)
    return {
        "correct": correct,
        "substituted": substituted,
        "deleted": true - correct - substituted,
        "inserted": inserted,
        "null": total.null_samples - inserted,
    }


def _counts(scored: Scored) -> dict[str, Any]:
    """What a bootstrap over people needs, the first three one count an activity."""
    return {
        "true": scored.true.sum(axis=1).tolist(),
        "announced": scored.announced.sum(axis=1).tolist(),
        "matched": scored.matched.tolist(),
        "delays_s": sorted(delay for _, delay in scored.delays),
        "undetected": int(scored.undetected.sum()),
        "flips": scored.flips,
        "labelled_hours": scored.labelled_s / 3600,
        "false_alarms": scored.false_alarms,
        "null_hours": scored.null_s / 3600,
    }


def delay_summary(delays: Sequence[float]) -> dict[str, float] | None:
    """Return ``p50, p90, max`` (nearest rank, seconds), ``mean`` and ``count``; None of no delay."""
    if not delays:
        return None
    ranked = sorted(delays)
    at = {name: ranked[max(0, math.ceil(share * len(ranked)) - 1)] for name, share in (("p50", 0.5), ("p90", 0.9))}
    return {**at, "max": ranked[-1], "mean": math.fsum(ranked) / len(ranked), "count": len(ranked)}


def _named(names: Sequence[str], counts: Ints) -> dict[str, int]:
    return dict(zip(names, counts.tolist(), strict=True))


def _macro(matched: Ints, true: Ints, announced: Ints) -> float | None:
    """Mean F1 of the activities that occur in the truth."""
    present = np.flatnonzero(true.sum(axis=1))
    if not len(present):
        return None
    return float(np.mean([f1(int(matched[k]), int(true[k].sum()), int(announced[k])) for k in present]))


def _per_hour(count: int, seconds: float) -> float | None:
    return 3600 * count / seconds if seconds else None
