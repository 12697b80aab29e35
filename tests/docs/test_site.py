"""The site builds without a warning, fetches nothing, and its generated pages are those of the code."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from browser import FLAGS, find_chromium
from doc_pages import FENCE, PAGES, ROOT

FETCHED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=\"?((?:https?:)?//[^\s\">]+)")
STYLE_FETCHED = re.compile(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\s\"')]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


def test_every_page_is_there(site: Path) -> None:
    sources = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    found = {path.relative_to(site) for path in site.rglob("*.html")}
    assert found - sources == {Path("404.html"), Path("architecture.html")}
    assert sources <= found


def test_every_page_is_in_the_navigation(site: Path) -> None:
    index = (site / "decisions" / "index.html").read_text("utf-8")
    for page in [*(ROOT / "docs").glob("decisions/0*.md"), *(ROOT / "docs").glob("results/*.md")]:
        assert f'href="{os.path.relpath(page, ROOT / "docs" / "decisions")[:-3]}.html"' in index, page.name


def test_links_hold_without_the_site_too() -> None:
    dead = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s#:]+)(?:#[^)]*)?\)", FENCE.sub("", page.read_text("utf-8"))):
            if not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert not dead, "\n".join(dead)


def test_nothing_is_fetched_when_it_is_read(site: Path) -> None:
    fetched = {}
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        pattern = FETCHED if path.suffix == ".html" else STYLE_FETCHED
        links = [link for link in pattern.findall(path.read_text("utf-8")) if "github.com" not in link]
        if links:
            fetched[path.relative_to(site).as_posix()] = links
    assert not fetched


def test_search_works_from_a_folder(site: Path) -> None:
    page = f"{(site / 'index.html').as_uri()}?q=debounce"
    command = [find_chromium(), *FLAGS, "--virtual-time-budget=20000", "--dump-dom", page]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert re.search(r"\d+ matching documents", done.stdout)


def test_a_page_that_prose_names_is_a_link(site: Path) -> None:
    assert 'href="../decisions/0020-stamps-to-a-steady-rate.html"' in (site / "results" / "stress.html").read_text(
        "utf-8"
    )


@pytest.mark.parametrize("page", ["cli", "files", "support"])
def test_generated_pages_are_those_of_the_code(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    written = (ROOT / "docs" / "reference" / f"{page}.md").read_text("utf-8")
    assert written == importlib.import_module("reference").PAGES[page](), "run python tools/reference.py"
