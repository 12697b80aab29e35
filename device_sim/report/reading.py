"""How to read the page: what is scored, what the times are, what the figures do not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_sim.report.markup import section, text

MEASURED = (
    "Latency is measured: wall-clock time of this process on this host, each stage by itself. A microcontroller is "
    "slower; use a profile with a board for its milliseconds, which are modelled and say so."
)
MODELLED = (
    "Latency is modelled: instruction counts from an emulator turned into cycles by the core's published timing table. "
    "No board was used; caches, flash wait states and interrupts of yours can differ."
)
NOTES = (
    (
        "What is scored",
        "Every window is streamed and decided. Only windows whose samples all carry one known activity are scored; "
        "windows across a change, in unlabelled stretches, or of activities the model does not know are shown on the "
        "timeline and left out of accuracy.",
    ),
    (
        "Accuracy and its interval",
        "Accuracy is the share of scored windows decided right. Macro-F1 gives every activity the same weight. The "
        "interval resamples people, not windows, because windows of one person resemble each other.",
    ),
    (
        "Drop and agreement",
        "The drop is baseline minus device, in points; positive means the device is worse. Agreement is the share of "
        "windows with the same decision, right or wrong: errors that cancel show here and not in the drop.",
    ),
    (
        "A decision is late by design",
        "A decision comes with the last sample of its window, so after a change of activity the device stays with the "
        "old one for up to a window, the wait for the next decision, its smoothing and debounce. The timeline shows "
        "that lag and the events' delay measures it; window accuracy does not count it as an error.",
    ),
    (
        "Events",
        "A true event is a stretch of one label; what is announced where nothing is labelled counts against it. "
        "Every event is in one category (Ward, Lukowicz and Gellersen, 2011). Two events of one activity match when "
        "their common time is at least half of the time that either lasts; F1 is of the matches.",
    ),
    (
        "Deadline",
        "A miss is a decision that took longer than one sample period, so the next sample had to wait. Misses of a "
        "whole hop would mean that decisions pile up.",
    ),
    (
        "What the figures do not say",
        "They hold for these people, these activities, this placement of the sensor and this sampling rate. They say "
        "nothing about activities that were not recorded, about energy, or about people unlike these.",
    ),
)


def section_html(summary: Mapping[str, Any]) -> str:
    """Return the notes, with the paragraph on latency that fits the run."""
    latency = MODELLED if summary.get("latency_kind") == "modelled" else MEASURED
    notes = (*NOTES[:5], ("Measured or modelled", latency), *NOTES[5:])
    body = "".join(f"<div><h3>{text(title)}</h3><p>{text(words)}</p></div>" for title, words in notes)
    return section("reading", "How to read this", "", f'<div class="notes">{body}</div>')
