"""HTML from escaped text: the only place where a string of the data becomes part of the page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def text(value: object) -> str:
    """Return ``value`` as HTML text or attribute value, quotes escaped too.

    Control characters, which HTML forbids even as references, become U+FFFD.
    """
    clean = "".join(c if c in "\t\n" or (ord(c) >= 32 and not 0x7F <= ord(c) <= 0x9F) else "\ufffd" for c in str(value))
    return html.escape(clean.encode("utf-8", "replace").decode("utf-8"), quote=True)


@dataclass(frozen=True)
class Cell:
    """One table cell: HTML that is already escaped, and its CSS classes."""

    markup: str
    classes: str = ""
    title: str = ""


def plain(value: object, classes: str = "") -> Cell:
    """Return a cell that shows ``value`` as text."""
    return Cell(text(value), classes)


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], classes: str = "") -> str:
    """Return a scrolling box with a table whose first column heads its rows.

    Args:
        caption: what the table shows, escaped here.
        columns: escaped here, one a column; a leading ``#`` aligns the column to the right as figures.
        rows: one cell a column.
        classes: CSS classes of the table.
    """
    numeric = [name.startswith("#") for name in columns]
    head = "".join(
        f'<th scope="col"{_classes("n" if right else "")}>{text(name.removeprefix("#"))}</th>'
        for name, right in zip(columns, numeric, strict=True)
    )
    body = "\n".join(f"<tr>{_row(cells, numeric)}</tr>" for cells in rows)
    return scroller(
        f"<table{_classes(classes)}><caption>{text(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>",
        caption,
    )


def _row(cells: Sequence[Cell], numeric: Sequence[bool]) -> str:
    parts = []
    for index, (cell, right) in enumerate(zip(cells, numeric, strict=True)):
        tag, scope = ("th", ' scope="row"') if index == 0 else ("td", "")
        classes = " ".join(part for part in ("n" if right else "", cell.classes) if part)
        title = f' title="{text(cell.title)}"' if cell.title else ""
        parts.append(f"<{tag}{scope}{_classes(classes)}{title}>{cell.markup}</{tag}>")
    return "".join(parts)


def _classes(classes: str) -> str:
    return f' class="{classes}"' if classes else ""


def scroller(markup: str, label: str) -> str:
    """Return ``markup`` in a box that scrolls sideways by itself and can be reached with the keyboard."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{text(label)}">{markup}</div>'


def section(anchor: str, title: str, lead: str, body: str) -> str:
    """Return one section of the page; ``title`` and ``lead`` are escaped here."""
    paragraph = f'<p class="lead">{text(lead)}</p>\n' if lead else ""
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n<h2 id="{anchor}-title">{text(title)}</h2>\n'
        f"{paragraph}{body}\n</section>"
    )


def empty(what: str) -> str:
    """Return the note that stands where a chart would be: what is missing and why."""
    return f'<p class="empty">{text(what)}</p>'
