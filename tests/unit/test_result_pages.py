"""Every table of figures is made by a tool from the JSON in docs/results, and is what the tool makes of it now."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

from edgehar.errors import UsageError

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "results.md", *sorted((ROOT / "docs" / "results").glob("*.md"))]
WORDS = ("| page | what |", "| extra | what must work | what must be said |")  # tables without figures


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("result_page")


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_page_shows_what_the_figures_say(tool: ModuleType, page: Path) -> None:
    text = page.read_text("utf-8")
    assert tool.rewritten(text) == text
    assert not tool.TABLE.search(text) or re.search(r"python tools/|edgehar (train|crossval|simulate)", text)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_no_table_is_typed(tool: ModuleType, page: Path) -> None:
    text = tool.TABLE.sub("", page.read_text("utf-8"))
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    typed = [table.splitlines()[0] for table in tables if not table.startswith(WORDS)]
    assert not typed


def test_a_table_is_made_anew_and_the_words_stay(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "FIGURES", tmp_path)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "made_for_a_test.py").write_text("def rows(a, b):\n    return f'| {a} | {b} |\\n'\n")
    (tmp_path / "a.json").write_text("1")
    page = "before\n<!-- tools/made_for_a_test.py: rows(a.json, a.json) -->\n{}<!-- end of table -->\nafter\n"
    assert tool.rewritten(page.format("old\n")) == page.format("| 1 | 1 |\n")
    for wrong in (
        "tools/none.py: rows(a.json)",
        "tools/made_for_a_test.py: none(a.json)",
        "tools/made_for_a_test.py: rows(b.json)",
    ):
        with pytest.raises(UsageError, match="cannot be made"):
            tool.rewritten(f"<!-- {wrong} -->\n<!-- end of table -->\n")
