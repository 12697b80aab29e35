"""All metrics of two runs, and whether B is worse than allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from device_sim.compare.latency import latency_rows
from device_sim.compare.people import people_rows
from device_sim.compare.row import Row, exact, not_compared
from device_sim.compare.same_data import differences
from edgehar.errors import DataError

Summary = Mapping[str, Any]

# in memory of the summary: title; what the simulator's own buffers take is left out
SIZES = {
    "model_bytes": "Model",
    "arena_recorded_total_bytes": "Arena",
    "firmware_flash_bytes": "Firmware flash",
    "firmware_ram_bytes": "Firmware RAM",
    "firmware_stack_bytes": "Firmware stack",
}
KIB = 1024


@dataclass(frozen=True)
class Allowance:
    """How much worse B may be.

    Attributes:
        rows: names of the rows that it is about.
        unit: of the limit, for people.
        note: for the help.
        scale: from the limit to the rows' unit; 0 for a share of A in percent.
    """

    rows: tuple[str, ...]
    unit: str
    note: str
    scale: float = 1.0


LATENCIES = ("latency_total_p50_us", "latency_total_p99_us")
ALLOWANCES = {
    "max_accuracy_drop": Allowance(("accuracy",), "points", "of accuracy on the same windows"),
    "max_macro_f1_drop": Allowance(("macro_f1",), "points", "of macro-F1 on the same windows"),
    "max_event_f1_drop": Allowance(("event_f1",), "points", "of event F1"),
    "max_delay_increase": Allowance(("delay_s",), "s", "of the median time until a true event is announced"),
    "max_flips_increase": Allowance(("flips_per_hour",), "n", "of announcements an hour within an activity"),
    "max_false_alarms_increase": Allowance(("false_alarms_per_hour",), "n", "of false alarms an hour of null"),
    "max_latency_increase": Allowance(LATENCIES, "%", "of p50 and p99 of a decision, beyond what chance explains", 0),
    "max_model_increase_kb": Allowance(("model_bytes",), "KiB", "of the model file; 1 KiB is 1024 bytes", KIB),
    "max_energy_increase": Allowance(("energy_uj",), "%", "of a decision on the same board, modelled", 0),
}


@dataclass(frozen=True)
class Limit:
    """One allowance that was given.

    Attributes:
        option: key of ``ALLOWANCES``.
        allowed: in the allowance's unit.
        row: the metric.
        over: whether B is worse than allowed, or cannot be compared.
        why: in words.
    """

    option: str
    allowed: float
    row: Row
    over: bool
    why: str


@dataclass(frozen=True)
class Comparison:
    """Two runs beside each other.

    Attributes:
        rows: every metric.
        limits: every allowance that was given, a row each.
    """

    rows: tuple[Row, ...]
    limits: tuple[Limit, ...]

    @property
    def passed(self) -> bool:
        """Whether B is within all that was allowed."""
        return not any(limit.over for limit in self.limits)


def compare(a: Summary, b: Summary, allowed: Mapping[str, float] | None = None) -> Comparison:
    """Return the metrics of two summaries, B against A.

    Args:
        a: ``summary.json`` as plain data.
        b: another.
        allowed: limits by key of ``ALLOWANCES``.

    Raises:
        DataError: they are not of the same recordings, windows and labels, or one is damaged.
    """
    try:
        reasons = differences(a, b)
        if reasons:
            raise DataError(f"A and B do not compare: {'; '.join(reasons)}")
        rows = (*people_rows(a, b), *latency_rows(a, b), *_sizes(a, b), *_energy(a, b))
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise DataError(f"a summary is damaged ({error!r}); simulate again") from None
    by_name = {row.name: row for row in rows}
    limits = [
        _limit(option, limit, by_name.get(name) or not_compared(name, name, "", False, "neither run says"))
        for option, limit in (allowed or {}).items()
        for name in ALLOWANCES[option].rows
    ]
    return Comparison(rows, tuple(limits))


def _sizes(a: Summary, b: Summary) -> list[Row]:
    """Bytes that both runs state."""
    first, second = a.get("memory") or {}, b.get("memory") or {}
    return [
        exact(key, title, "bytes", a=first[key], b=second[key], note="exact")
        for key, title in SIZES.items()
        if key in first and key in second
    ]


def _energy(a: Summary, b: Summary) -> list[Row]:
    first, second = a.get("energy"), b.get("energy")
    if not first and not second:
        return []
    if not first or not second or first["board"] != second["board"]:
        return [not_compared("energy_uj", "Energy", "µJ", False, "not of the same board")]
    note = f"a decision on {first['board']}, modelled"
    return [exact("energy_uj", "Energy", "µJ", a=first["energy_uj"], b=second["energy_uj"], note=note)]


def _limit(option: str, allowed: float, row: Row) -> Limit:
    """Scores and sizes are over when the loss itself is; latencies when the whole of its interval is."""
    allowance = ALLOWANCES[option]
    if row.loss is None or row.a is None:
        return Limit(option, allowed, row, True, f"{row.title} cannot be compared: {row.note}")
    loss = row.loss
    if option == "max_latency_increase":
        loss = row.interval[0] if row.interval else 0.0 if row.verdict != "worse" else row.loss
    limit = allowed * allowance.scale if allowance.scale else allowed / 100 * row.a
    over = not loss <= limit
    words = f"{row.title} is worse by {row.loss:.4g} {row.unit}, allowed {allowed:g} {allowance.unit}"
    return Limit(option, allowed, row, over, words if over else "")
