import itertools
import re
from importlib.resources import files

import numpy as np
import pytest

from device_sim.report.palette import COLOURS, activities, contrast, readable

# Source: Machado, Oliveira & Fernandes (2009), severity 1.0, linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def oklab(linear: np.ndarray) -> np.ndarray:
    """Linear RGB to OKLab. Source: B. Ottosson (2020), "A perceptual color space for image processing"."""
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return to_lab @ np.cbrt(to_lms @ np.clip(linear, 0, 1))


def linear_rgb(colour: str) -> np.ndarray:
    x = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("vision", DEFICIENCIES)
def test_any_two_activities_look_different(vision: str) -> None:
    seen = [oklab(DEFICIENCIES[vision] @ linear_rgb(c)) for c in COLOURS]
    closest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert closest > 0.07  # Okabe & Ito's own closest pair (green and purple, protanopia) is at 0.076


def test_text_on_an_activity_is_readable() -> None:
    for activity in activities([str(i) for i in range(len(COLOURS))]):
        assert contrast(activity.colour, activity.ink) >= 4.5, activity


def test_names_are_for_people_and_codes_are_unique() -> None:
    shown = activities(["WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS", "SITTING", "SIT_TO_STAND", "STAND_TO_SIT"])
    assert shown[1].name == "Walking upstairs"
    assert [a.code for a in shown][:5] == ["WAL", "WU", "WD", "SIT", "STS"]
    assert shown[5].code == "SSI"
    many = activities([f"{a}{b}" for a in "ab" for b in range(150)] + ["", "!", "?", "跑步", "走"])
    assert len({a.code for a in many}) == len(many)


def test_mixed_case_and_clashes_keep_the_authors_spelling() -> None:
    assert readable("iPhone_in_Pocket") == "iPhone in Pocket"
    assert [a.name for a in activities(["sit_down", "SIT DOWN"])] == ["sit_down", "SIT DOWN"]


def themes() -> dict[str, dict[str, str]]:
    css = files("device_sim.report").joinpath("style.css").read_text("utf-8")
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in re.findall(r":root \{([^}]*)\}", css)[:2]
    )
    return {"light": light, "dark": {**light, **dark}}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["page", "paper"])
@pytest.mark.parametrize("ink", ["ink", "soft", "accent", "good", "bad", "wrong"])
def test_text_meets_wcag_aa(theme: str, ground: str, ink: str) -> None:
    colours = themes()[theme]
    assert contrast(colours[ink], colours[ground]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_notes_and_charts_stand_out_from_their_ground(theme: str) -> None:
    colours = themes()[theme]
    assert contrast(colours["soft"], colours["faint"]) >= 4.5
    assert contrast(colours["bar"], colours["paper"]) >= 3
    assert contrast(colours["paper"], colours["accent"]) >= 4.5  # the pressed zoom button


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("tone", ["hit", "miss"])
def test_counts_of_the_confusion_matrix_meet_wcag_aa(theme: str, tone: str) -> None:
    css = files("device_sim.report").joinpath("style.css").read_text("utf-8")
    tones = re.findall(rf"--{tone}: (\d+), (\d+), (\d+)", css)[0 if theme == "light" else 1]
    steps = re.findall(r"\.q(\d) \{ background: rgba?\(var\(--tone\)(?:, ([.\d]+))?\);( color)?", css)
    assert len(steps) == 9
    colours = themes()[theme]
    paper = [int(colours["paper"][i : i + 2], 16) for i in (1, 3, 5)]
    for step, alpha, flipped in steps:
        share = float(alpha or 1)
        mixed = [round(share * int(t) + (1 - share) * p) for t, p in zip(tones, paper, strict=True)]
        ground = "#" + "".join(f"{c:02x}" for c in mixed)
        assert contrast(colours["cell-flip" if flipped else "ink"], ground) >= 4.5, (step, ground)
