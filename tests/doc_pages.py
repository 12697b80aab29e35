"""What stands in the pages: fenced blocks, and the lines that are commands."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

from edgehar import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(
    r"(?:\w+=\S+ )*(?:edgehar|python -m \w[\w.]*|python tools/\S+|python \w+\.py|make|pip|pytest)(?: .*)?$"
)
MENTION = re.compile(r"`((?:\w+=\S+ )*(?:edgehar|python -m device_sim[\w.]*|python tools/[^`\s]+)(?: [^`\n]+)?)`")


def fences(text: str) -> list[tuple[str, str, str]]:
    """Return language, title and body of each fenced block that names a file."""
    return [(language, title, body) for language, title, body in FENCE.findall(text) if title]


def commands(text: str) -> list[str]:
    """Return the command lines of a page, without remarks behind them; lines that end in ``\\`` are joined."""
    found = []
    blocks = "\n".join(body for language, title, body in FENCE.findall(text) if language in ("", "sh") and not title)
    indented = "\n".join(re.findall(r"^ {4,}(\S.*)$", FENCE.sub("", text), re.MULTILINE))
    for line in f"{blocks}\n{indented}".replace("\\\n", " ").replace("\n[--", " [--").splitlines():
        for part in line.split("; "):
            bare = re.split(r"\s+# ", part.strip())[0].strip()
            bare = re.split(r"\s{3,}" if "[" in bare else r"\s{2,}", bare)[0]  # what stands far behind it are words
            if COMMAND.match(bare):
                found.append(bare)
    return found


def mentions(text: str) -> list[str]:
    """Return the commands that stand in a sentence or a table."""
    return [part for found in MENTION.findall(FENCE.sub("", text)) for part in found.split("; ")]


def run_command(command: str) -> int:
    """Run ``edgehar ...`` or ``python -m device_sim... ...`` in this process; returns the exit code."""
    words = shlex.split(command)
    if words[0] == "edgehar":
        return cli.main(words[1:])
    assert words[:2] == ["python", "-m"], command
    return int(importlib.import_module(f"{words[2]}.__main__").main(words[3:]))
