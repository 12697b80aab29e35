"""The table inside a page of ``docs/results``: it is written between two markers, the words around them stay."""

from pathlib import Path

from edgehar.errors import UsageError
from edgehar.files import write_atomic

BEGIN, END = "<!-- table, written by the command above -->\n", "<!-- end of table -->\n"


def read_table(page: Path) -> str:
    """Return the table that a page holds.

    Raises:
        UsageError: the page cannot be read, or does not have both markers.
    """
    _, table, _ = _parts(page)
    return table


def write_table(page: Path, table: str) -> None:
    """Put a table between the markers of a page.

    Raises:
        UsageError: the page cannot be read, or does not have both markers.
    """
    before, _, after = _parts(page)
    write_atomic(page, f"{before}{BEGIN}{table}{END}{after}".encode())


def _parts(page: Path) -> tuple[str, str, str]:
    try:
        text = page.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"{page}: cannot be read ({error.strerror}); name a page of docs/results") from None
    before, begin, rest = text.partition(BEGIN)
    table, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{page}: has no lines {BEGIN.strip()!r} and {END.strip()!r}; the table goes between them")
    return before, table, after
