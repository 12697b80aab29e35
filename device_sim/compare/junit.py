"""A comparison as JUnit XML, which continuous integration shows as tests.

A metric with a limit is a test that passes, fails (worse than allowed) or is in error (cannot be compared); one without
is a test that passes, or is skipped where it cannot be compared. The names of elements and attributes are those that
the JUnit reports of Ant and Maven have and that Jenkins, GitLab and others read.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from device_sim.compare.comparison import Comparison
from device_sim.compare.row import Row

# what XML 1.0 cannot hold, not even as a reference
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(comparison: Comparison, a: str, b: str) -> bytes:
    """Return one test suite, UTF-8; ``a`` and ``b`` name the runs."""
    by_row = {limit.row.name: limit for limit in comparison.limits}
    suite = ElementTree.Element("testsuite", name=_clean(f"edgehar compare {a} {b}"))
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    known = {row.name for row in comparison.rows}
    rows = [*comparison.rows, *(limit.row for limit in comparison.limits if limit.row.name not in known)]
    for row in rows:
        counts["tests"] += 1
        case = ElementTree.SubElement(suite, "testcase", classname="edgehar.compare", name=_clean(row.name), time="0")
        limit = by_row.get(row.name)
        if limit is not None and limit.over:
            kind = "error" if row.difference is None else "failure"
            counts["errors" if kind == "error" else "failures"] += 1
            found = ElementTree.SubElement(case, kind, message=_clean(limit.why), type=limit.option)
            found.text = _clean(words(row))
        elif row.difference is None:
            counts["skipped"] += 1
            ElementTree.SubElement(case, "skipped", message=_clean(row.note))
        ElementTree.SubElement(case, "system-out").text = _clean(words(row))
    for name, count in counts.items():
        suite.set(name, str(count))
    suite.set("time", "0")
    root = ElementTree.Element("testsuites", {**{name: str(count) for name, count in counts.items()}, "time": "0"})
    root.append(suite)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, "utf-8", xml_declaration=True)) + b"\n"


def words(row: Row) -> str:
    """Return a metric in one line."""
    if row.difference is None:
        return f"{row.title}: not compared, {row.note}"
    spread = "" if row.interval is None else f", interval {row.interval[0]:.4g} to {row.interval[1]:.4g}"
    return (
        f"{row.title}: A {row.a:.6g}, B {row.b:.6g}, difference {row.difference:+.4g} {row.unit}{spread}; "
        f"{row.verdict} ({row.note})"
    )


def _clean(text: str) -> str:
    return FORBIDDEN.sub("\ufffd", text)
