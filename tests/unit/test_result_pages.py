"""The pages of docs/results hold the tables of the JSON beside them, and their tools can put a new one there."""

import importlib
import json
from pathlib import Path

import pytest

from edgehar.errors import UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module


# pages made by a tool of the same name, whose JSON is the whole of what its table shows
PAGES = [
    ROOT / "docs" / "results" / f"{name}.md" for name in ("event_scores", "extrasensory", "literature", "multitask")
]


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_page_shows_what_its_json_says(tool, page):
    figures = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert tool("result_page").read_table(page) == tool(page.stem).table(figures)
    assert f"python tools/{page.stem}.py" in page.read_text("utf-8")


def test_a_table_is_replaced_and_the_words_stay(tool, tmp_path):
    page_tool = tool("result_page")
    page = tmp_path / "a.md"
    page.write_text(f"before\n{page_tool.BEGIN}old\n{page_tool.END}after\n")
    page_tool.write_table(page, "| new |\n")
    assert page.read_text() == f"before\n{page_tool.BEGIN}| new |\n{page_tool.END}after\n"
    assert page_tool.read_table(page) == "| new |\n"


def test_a_page_without_markers_is_refused(tool, tmp_path):
    page = tmp_path / "a.md"
    with pytest.raises(UsageError, match="cannot be read"):
        tool("result_page").write_table(page, "")
    page.write_text("no markers\n")
    with pytest.raises(UsageError, match="the table goes between them"):
        tool("result_page").write_table(page, "")
    assert page.read_text() == "no markers\n"
