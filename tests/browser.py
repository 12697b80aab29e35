"""A real page in a real Chromium: the DOM after its scripts ran, and a screenshot, at an exact width.

Chromium does not make windows narrower than 500 px, so the page is put into a frame of the width asked for.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--no-default-browser-check", "--mute-audio",
)  # fmt: skip
TIMEOUT_S = 120

FRAME = """<!DOCTYPE html><html><head><meta charset="utf-8"><style>
body {{ margin: 0 }} iframe {{ border: 0; width: {width}px; height: {height}px; display: block }}
</style></head><body><iframe id="page" srcdoc="{page}"></iframe><script>
document.getElementById("page").addEventListener("load", (event) => {{
  const inner = event.target.contentDocument.documentElement;
  try {{ {action} }} catch (error) {{ inner.dataset.action = String(error); }}
  for (const [key, value] of Object.entries(inner.dataset)) document.documentElement.dataset[key] = value;
  document.documentElement.dataset.height = inner.scrollHeight;
  document.documentElement.dataset.loaded = "yes";
}});
</script></body></html>"""


@dataclass(frozen=True)
class Visit:
    """What a visit left: the data attributes of the page's root, and the pixels ``[H, W, 3]`` if asked for."""

    dataset: dict[str, str]
    pixels: np.ndarray | None


def find_chromium() -> str:
    """Return the path of a Chromium, or fail the test with the way to get one."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise AssertionError(
        f"no Chromium found (looked for {', '.join(NAMES)} on PATH), and this test needs one: "
        "run tools/install_test_programs.sh"
    )


def visit(
    page: str, folder: Path, width: int, height: int = 900, *, dark: bool = False, screenshot: bool = False,
    action: str = "",
) -> Visit:  # fmt: skip
    """Load ``page`` (HTML) in a frame ``width`` px wide; ``action`` is script run in the frame's parent on load."""
    file = folder / "visit.html"
    file.write_text(
        FRAME.format(width=width, height=height, page=html.escape(page, quote=True), action=action), "utf-8"
    )
    flags = [*FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={max(width, 500)},{height + 160}"]
    flags += ["--blink-settings=preferredColorScheme=0"] if dark else []
    picture = folder / "page.png"
    dom = _run([find_chromium(), *flags, "--dump-dom", file.as_uri()])
    if screenshot:
        _run([find_chromium(), *flags, f"--screenshot={picture}", file.as_uri()])
    root = re.search(r"<html([^>]*)>", dom)
    attributes = re.findall(r'data-([\w-]+)="([^"]*)"', root.group(1)) if root else []
    pixels = np.rint(255 * image.imread(picture)[:height, :width, :3]).astype(np.uint8) if screenshot else None
    return Visit({key: html.unescape(value) for key, value in attributes}, pixels)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise AssertionError(
            f"{command[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-800:]}"
        )
    return done.stdout.decode("utf-8", "replace")
