"""Whether two runs saw the same: only then are their figures compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Summary = Mapping[str, Any]

NEEDED = ("data", "window", "hop", "rate_hz", "confusion", "decision", "per_subject", "events", "interrupted")


def differences(a: Summary, b: Summary) -> list[str]:
    """Return why two summaries must not be compared, each reason a sentence with what was found; empty if they may."""
    old = [
        f"{name} has no {', '.join(missing)}: it is no summary of this version of edgehar; simulate again"
        for name, summary in (("A", a), ("B", b))
        if (missing := [key for key in NEEDED if key not in summary])
    ]
    if old:
        return old
    stopped = [
        f"{name} was interrupted: it is of a part of its data; let it finish"
        for name, summary in (("A", a), ("B", b))
        if summary["interrupted"]
    ]
    return stopped + [reason for check in CHECKS if (reason := check(a, b))]


def _recordings(a: Summary, b: Summary) -> str:
    first, second = ({r["recording"]: r for r in summary["data"]} for summary in (a, b))
    only = [
        f"{len(names)} only in {which} ({_some(names)})"
        for which, names in (("A", sorted(set(first) - set(second))), ("B", sorted(set(second) - set(first))))
        if names
    ]
    if only:
        return f"the recordings differ: {'; '.join(only)}"
    changed = [name for name in first if first[name]["sha256"] != second[name]["sha256"]]
    if changed:
        pairs = {(first[name]["samples"], second[name]["samples"]) for name in changed}
        why = "lengths, labels or channels" if any(x != y for x, y in pairs) else "samples, labels or channels"
        return f"{len(changed)} recordings of the same name differ in {why} ({_some(changed)})"
    return ""


def _rate(a: Summary, b: Summary) -> str:
    return f"the rates differ: {a['rate_hz']:g} Hz and {b['rate_hz']:g} Hz" if a["rate_hz"] != b["rate_hz"] else ""


def _windows(a: Summary, b: Summary) -> str:
    if (a["window"], a["hop"]) == (b["window"], b["hop"]):
        return ""
    return (
        f"the windows differ: {a['window']} samples every {a['hop']}, and {b['window']} every {b['hop']}; accuracy is "
        "of windows"
    )


def _labels(a: Summary, b: Summary) -> str:
    first, second = _activities(a), _activities(b)
    return "" if first == second else f"the labels differ: {', '.join(first)}, and {', '.join(second)}"


def _activities(summary: Summary) -> list[str]:
    """What the truth can be: not the words for what a decision stage rejects, which a run may have and another not."""
    return [label for label in summary["confusion"]["labels"] if label not in summary["decision"]["rejected"]]


def _faults(a: Summary, b: Summary) -> str:
    first, second = (_asked(summary.get("faults")) for summary in (a, b))
    return "" if first == second else f"the faults differ: {first}, and {second}"


def _asked(faults: Mapping[str, Any] | None) -> str:
    return f"{faults['spec']} with seed {faults['seed']}" if faults else "none"


def _truth(a: Summary, b: Summary) -> str:
    """Last, for what the checks before cannot see: the same truth in the same number of windows of each person.

    A stage that decides with a lag has no decision about the last windows of a recording, so two of other lags differ.
    """
    if a["decision"]["delay_s"] != b["decision"]["delay_s"]:
        return ""
    first, second = (
        {
            p["subject"]: [sum(row) for row in p["confusion"]][: len(_activities(summary))]
            for p in summary["per_subject"]
        }
        for summary in (a, b)
    )
    wrong = sorted(s for s in first.keys() | second.keys() if first.get(s) != second.get(s))
    return f"the scored windows differ for {_some(wrong)}" if wrong else ""


CHECKS: tuple[Callable[[Summary, Summary], str], ...] = (_recordings, _rate, _windows, _labels, _faults, _truth)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
