"""Where everything comes from: hashes, versions, seeds, command, licence, host, one line a fact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from device_sim.report.markup import Cell, empty, plain, section, table, text

FIRST = ("bundle_name", "bundle_sha256", "schema_version", "engine", "engine_version", "recipe", "dataset", "clock",
         "latency_kind", "wall_s")  # fmt: skip
MAX_FACTS = 400
MAX_LETTERS = 2_000


def section_html(summary: Mapping[str, Any]) -> str:
    """Return every fact of ``provenance`` and ``host`` and the identity of the bundle, nested names joined by dots."""
    own = {name: summary[name] for name in FIRST if summary.get(name) is not None}
    nested = {name: summary[name] for name in ("faults", "provenance", "host") if summary.get(name)}
    found = list(facts({**own, **nested}))
    if not found:
        return section("provenance", "Where it comes from", "", empty("The summary carries no provenance."))
    rows = [[plain(name.removeprefix("provenance."), "file"), Cell(text(value), "file")] for name, value in found]
    more = f"; the first {MAX_FACTS} facts" if len(found) == MAX_FACTS else ""
    body = table(f"Identity, versions, seeds and licences{more}", ["What", "Value"], rows, "provenance")
    return section("provenance", "Where it comes from", "", body)


def facts(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (dotted name, value) depth first, at most ``MAX_FACTS``; long values are cut with an ellipsis."""
    stack: list[tuple[str, Any]] = [(str(name), value) for name, value in reversed(list(data.items()))]
    given = 0
    while stack and given < MAX_FACTS:
        name, value = stack.pop()
        if isinstance(value, Mapping) and value:
            stack.extend((f"{name}.{key}", inner) for key, inner in reversed(list(value.items())))
            continue
        words = _words(value)
        yield name, words if len(words) <= MAX_LETTERS else words[: MAX_LETTERS - 1] + "…"
        given += 1


def _words(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return ", ".join(str(item) for item in value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
