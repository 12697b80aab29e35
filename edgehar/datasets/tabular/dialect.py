"""How a text file writes its table, guessed from its beginning: delimiter, decimal sign, names, remarks above them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgehar.errors import DataError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blanks"}
DECIMAL_COMMA = re.compile(r"^\s*\"?[+-]?\d+,\d+(e[+-]?\d+)?\"?\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class ReadSettings:
    """What the user says about the files; None is guessed.

    Attributes:
        delimiter: one character between cells.
        decimal: ``.`` or ``,``.
        names: of the columns, in order; the file then has none.
        hmac_key: of signed Edge Impulse files; with it, unsigned or wrongly signed ones are refused.
    """

    delimiter: str | None = None
    decimal: str | None = None
    names: tuple[str, ...] = ()
    hmac_key: str | None = None


@dataclass(frozen=True)
class Dialect:
    """How a text file writes a table.

    Attributes:
        delimiter, decimal: characters.
        skip: lines before the first row or the names.
        names: of the columns; empty where the file has none.
        encoding: of the text.
    """

    delimiter: str
    decimal: str
    skip: int
    names: tuple[str, ...]
    encoding: str


def sniff(head: str, settings: ReadSettings, encoding: str) -> Dialect:
    """Guess how a text file writes its table, from its beginning."""
    lines = [(i, line) for i, line in enumerate(head.splitlines()) if line.strip() and not line.startswith(("#", "%"))]
    if not lines:
        raise DataError("it holds no lines of text; expected a table")
    delimiter = settings.delimiter or _delimiter([line for _, line in lines])
    widths = [len(_cells(line, delimiter)) for _, line in lines]
    usual = max(set(widths), key=lambda width: (widths.count(width), width))
    first = widths.index(usual)  # lines above it are remarks
    start, top = lines[first]
    cells = [cell.strip().strip('"').strip() for cell in _cells(top, delimiter)]
    body = [
        _cells(line, delimiter)
        for (_, line), width in zip(lines[first:], widths[first:], strict=True)
        if width == usual
    ]
    decimal = settings.decimal or _decimal(body[1:] or body)
    has_names = not settings.names and not any(_is_number(cell, decimal) for cell in cells) and any(cells)
    names = settings.names or (tuple(cells) if has_names else ())
    if names and len(names) != usual:
        raise DataError(f"{len(names)} column names for rows of {usual} cells; name each of them")
    if not names:
        names = tuple(f"column_{i}" for i in range(usual))
    return Dialect(delimiter, decimal, start + has_names, _distinct(names), encoding)


def _delimiter(lines: list[str]) -> str:
    """The character that cuts most lines into equally many cells, the more the better."""
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        widths = [len(_cells(line, delimiter)) for line in lines[:200]]
        usual = max(set(widths), key=widths.count)
        score = (widths.count(usual) / len(widths) if usual > 1 else 0.0, usual)
        # a decimal comma cuts as steadily as a delimiter does: what is rarer wins if it cuts nearly as well
        if usual > 1 and (
            score[0] > best_score[0] + 0.05 or (score[0] >= best_score[0] - 0.05 and _beats(delimiter, best, lines))
        ):
            best, best_score = delimiter, score
    return best


def _beats(delimiter: str, best: str, lines: list[str]) -> bool:
    """Whether ``best`` is the decimal comma of cells that ``delimiter`` separates."""
    if best != ",":
        return False
    cells = [cell for line in lines[1:50] for cell in _cells(line, delimiter)]
    numbers = [cell for cell in cells if DECIMAL_COMMA.match(cell)]
    return len(numbers) > 0.3 * len(cells)


def _decimal(rows: list[list[str]]) -> str:
    cells = [cell for row in rows[:200] for cell in row]
    commas = sum(bool(DECIMAL_COMMA.match(cell)) for cell in cells)
    points = sum(_is_number(cell, ".") and "." in cell for cell in cells)
    return "," if commas > points else "."


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    if '"' not in line:
        return line.split(delimiter)
    cells, cell, quoted = [], "", False
    for character in line:
        if character == '"':
            quoted = not quoted
        if character == delimiter and not quoted:
            cells.append(cell)
            cell = ""
        else:
            cell += character
    return [*cells, cell]


def _is_number(cell: str, decimal: str) -> bool:
    text = cell.strip().strip('"')
    try:
        float(text.replace(",", ".") if decimal == "," else text)
    except ValueError:
        return False
    return text.lower() not in ("nan", "inf", "-inf")


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    out = []
    for index, said in enumerate(names):
        name = said or f"column_{index}"
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return tuple(out)
