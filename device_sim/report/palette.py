"""One colour, one readable name and one short code an activity, the same everywhere on the page.

Source: the first six are Okabe & Ito (2008), "Color Universal Design", reordered so that the usual first six
activities differ in lightness as well as in hue; its black and yellow are left out, since one of them would vanish
on either background. The rest keep their distance under simulated protanopia and deuteranopia
(``tests/unit/test_report_palette.py``). Colour is never the only sign: bands carry codes, errors carry marks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = (
    "#0072b2",  # blue
    "#e69f00",  # orange
    "#009e73",  # bluish green
    "#cc79a7",  # reddish purple
    "#56b4e9",  # sky blue
    "#d55e00",  # vermillion
    "#7d1d00",  # rust
    "#4f327f",  # violet
    "#2b2bf0",  # ultramarine
    "#90d8c0",  # mint
    "#626262",  # grey
    "#005048",  # deep teal
)


@dataclass(frozen=True)
class Activity:
    """How one label is shown.

    Attributes:
        name: for people, ``Walking upstairs``.
        code: two to four characters, unique among the labels, for narrow places.
        colour: ``#rrggbb``.
        ink: the text colour on it, black or white.
    """

    name: str
    code: str
    colour: str
    ink: str


def activities(labels: Sequence[str]) -> tuple[Activity, ...]:
    """Return name, code and colour of each label, in order. Colours repeat after twelve; codes never do."""
    names = [readable(label) for label in labels]
    if len(set(names)) < len(names):
        names = [str(label) for label in labels]
    codes = _codes(names)
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(names))]
    return tuple(Activity(n, k, c, ink(c)) for n, k, c in zip(names, codes, colours, strict=True))


def readable(label: str) -> str:
    """``WALKING_UPSTAIRS`` as ``Walking upstairs``; mixed case is left as its author wrote it."""
    words = str(label).replace("_", " ").strip()
    if words.isupper() or words.islower():
        words = words.lower()
        words = words[:1].upper() + words[1:]
    return words or str(label)


def _codes(names: Sequence[str]) -> list[str]:
    codes: list[str] = []
    for name in names:
        words = re.findall(r"\w+", name)
        initials = "".join(word[0] for word in words[:4]).upper()
        letters = "".join(words).upper()
        candidates = [initials, (words[0][0] + words[-1][:2]).upper()] if len(words) > 1 else []
        candidates += [letters[:3], letters[:4], (words[0][:1] + words[-1][:3]).upper() if words else ""]
        free = [c for c in candidates if len(c) > 1 and c not in codes]
        serial = len(codes) + 1
        while not free:
            free = [f"{letters[:1]}{serial}"] if f"{letters[:1]}{serial}" not in codes else []
            serial += 1
        codes.append(free[0])
    return codes


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb``, 0..1. Source: WCAG 2.2, "relative luminance"."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1..21. Source: WCAG 2.2, "contrast ratio"."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def ink(colour: str) -> str:
    """Return black or white, whichever reads better on ``colour``."""
    return max("#000000", "#ffffff", key=lambda candidate: contrast(candidate, colour))


def css(shown: Sequence[Activity]) -> str:
    """Return the CSS rules ``.c0`` (fill), ``.t0`` (text on it) and ``.s0`` (swatch) of each activity."""
    return "\n".join(
        f".c{i}{{fill:{a.colour}}}.t{i}{{fill:{a.ink}}}.s{i}{{background:{a.colour}}}" for i, a in enumerate(shown)
    )
