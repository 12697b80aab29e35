"""What mkdocs does beyond its own options: the pages of folders, ARCHITECTURE.md, and links where prose names a page.

Hooks of ``mkdocs.yml``; mkdocs calls them by name.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# section of the navigation: which pages it gets that no line of mkdocs.yml names
GATHERED = {"Results": "results/*.md", "Decisions": "decisions/*.md", "Topics": "*.md"}
ARCHITECTURE = "architecture.md"
DECISIONS = "decisions/index.md"  # the list of them comes behind it
BESIDE = re.compile(r"\]\((?:\.\./)+ARCHITECTURE\.md")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
NAMED_PAGE = re.compile(
    r"(?<!\[)`(?:docs/)?((?:results|decisions|explanation|howto|reference)/[\w-]+|\w+)(\.md)?`(?!\])"
)
ROLE = re.compile(r":(?:class|mod|func|meth|attr):(?=<code|`)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put pages that nobody placed into the section of their folder."""
    placed = set(_pages(config.nav))
    folder = Path(config.docs_dir)
    for section in config.nav or []:
        for name, pages in section.items():
            if name in GATHERED:
                found = sorted(path.relative_to(folder).as_posix() for path in folder.glob(GATHERED[name]))
                pages.extend(page for page in found if page not in placed)
    return config


def _pages(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in _pages(part)]  # type: ignore[attr-defined]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the one page that lies beside the code."""
    files.append(File.generated(config, ARCHITECTURE, content=(ROOT / "ARCHITECTURE.md").read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make a link of each page that is named as code."""
    if page.file.src_uri == DECISIONS:
        return f"{markdown}\n{_decisions(Path(config.docs_dir))}"
    sources = files.src_uris
    up = "../" * page.file.src_uri.count("/")
    markdown = BESIDE.sub(f"]({up}{ARCHITECTURE}", markdown)

    def link(match: re.Match[str]) -> str:
        name = match[1]
        folder, _, stem = name.rpartition("/")
        numbered = [
            s for s in sources if folder == "decisions" and s.startswith(f"decisions/{stem}") and stem[:1].isdigit()
        ]
        target = f"{name}.md" if match[2] and f"{name}.md" in sources else next(iter(numbered), "")
        return f"[{match[0]}]({up}{target})" if target and target != page.file.src_uri else match[0]

    parts, at = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [NAMED_PAGE.sub(link, markdown[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*parts, NAMED_PAGE.sub(link, markdown[at:])])


def _decisions(folder: Path) -> str:
    lines = []
    for path in sorted(folder.glob(GATHERED["Decisions"])):
        title = path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        if path.name != Path(DECISIONS).name:
            number = "" if title[:1].isdigit() else f"{int(path.name[:4])}. "
            lines.append(f"- [{number}{title}]({path.name})")
    return "\n".join(lines)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leave out the roles of docstrings, which are another tool's."""
    return ROLE.sub("", html)
