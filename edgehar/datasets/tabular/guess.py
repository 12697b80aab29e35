"""One thing that was decided about a user's files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guess:
    """One thing that was decided about the files.

    Attributes:
        what: it is about.
        value: decided.
        why: the reason; ``as told`` where the user said so.
        sure: a person would decide alike.
    """

    what: str
    value: str
    why: str
    sure: bool = True
