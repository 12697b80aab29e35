"""Every command that README and docs show: it parses, and the quick ones are run."""

from __future__ import annotations

import argparse
import importlib
import re
import runpy
import shlex
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from doc_pages import PAGES, ROOT, commands, fences, mentions, run_command

from device_sim.emulator.boards import BOARDS
from device_sim.engines import ENGINES
from edgehar.bundle import ZOO_FOLDER
from edgehar.cli import build_parser
from edgehar.errors import UsageError

COMMANDS = {path.relative_to(ROOT).as_posix(): commands(path.read_text("utf-8")) for path in PAGES}
ALL = sorted({(page, command) for page, found in COMMANDS.items() for command in found})
PARSER = build_parser()
MENTIONED = sorted(
    {(path.relative_to(ROOT).as_posix(), command) for path in PAGES for command in mentions(path.read_text("utf-8"))}
)
# words that stand for a number; others are as good as any file or name
NUMBERS = re.compile(r"^(?:[A-Z]|HZ|KB|POINTS|PORT)$")
ONE_OF = re.compile(r"\{([^,}]+),[^}]*\}")  # {0,1,2}: a person writes one
OR = re.compile(r"\s+\|\s+[^\[\]]*(?:\[[^\[\]]*\])?(?=\])")  # [this | that]
NO_COMMANDS = ("edgehar release 1",)  # what a signature covers
LEFT_OUT = ("...", "OPTIONS")  # more of the same; the page has a table of them


def as_written(command: str) -> list[str]:
    """Return a command's words as a person types them: all options, the first of alternatives, numbers for names."""
    text = OR.sub("", ONE_OF.sub(r"\1", re.sub(r"^(?:[A-Z_]+=\S+ )+", "", command)))
    if "'" in text or '"' in text:
        words = shlex.split(text)
    else:
        words = [word.partition("|")[0] for word in re.sub(r"(?<=\s)\[+|\]+(?=\s|$)", "", text).split()]
    kept = [word for i, word in enumerate(words) if word not in LEFT_OUT or words[i - 1].startswith("--")]
    return ["1" if NUMBERS.match(word) else word for word in kept]


def test_pages_have_commands() -> None:
    assert len(ALL) > 100
    assert {"README.md", "docs/tutorial.md", "docs/releases.md"} <= {page for page, _ in ALL}


def test_every_command_parses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong, right = [], set()
    for page, command in [*ALL, *MENTIONED]:
        words = as_written(command)
        if command in NO_COMMANDS or tuple(words) in right:
            continue
        try:
            problem = unknown_names(page, words) or check(page, words, monkeypatch)
        except (UsageError, ModuleNotFoundError) as error:
            problem = str(error)
        except SystemExit as stop:
            problem = str(stop.code or "")
        problem = problem and (capsys.readouterr().err.strip().rpartition("\n")[2] or problem)
        partly = (page, command) in MENTIONED and re.search("required|expected one argument", problem)
        if problem and not partly:
            wrong.append(f"{page}: {command}\n    {problem}")
        elif not problem:
            right.add(tuple(words))
    assert not wrong, "\n".join(wrong)


def unknown_names(page: str, words: list[str]) -> str:
    """Return which engine, board, bundle of the package or config a command names that is not there, or nothing."""
    text = (ROOT / page).read_text("utf-8")
    found = [word for word in words if word.startswith("docs/") and not (ROOT / word).parent.is_dir()]
    found += [word for word in words if word.startswith("configs/") and not (ROOT / word).is_file()]
    found += [word for word in words if word.startswith("zoo:") and not (ZOO_FOLDER / f"{word[4:]}.edgehar").is_dir()]
    for option, known in (("--engine", ENGINES), ("--engines", ENGINES), ("--board", BOARDS)):
        if option in words[:-1] and not re.fullmatch("1|[A-Z]+", value := words[words.index(option) + 1]):
            found += [name for name in value.split(",") if name not in known and f'+    "{name}"' not in text]
    return f"there is no {', '.join(found)}" if found else ""


def check(page: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what is wrong with a command, or nothing."""
    if words[0] == "edgehar":
        if len(words) > 1:
            PARSER.parse_args(words[1:])
        return ""
    if words[:2] == ["python", "-m"]:
        return tool_parses(lambda: importlib.import_module(f"{words[2]}.__main__").main(words[3:]), monkeypatch)
    if words[0] == "python":
        return script_parses(page, words[1:], monkeypatch)
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        return "" if words[1] in targets else f"no target {words[1]!r} in the Makefile"
    if words[0] == "pytest":
        return "".join(f"there is no {w}; " for w in words if w.startswith("tests/") and not (ROOT / w).exists())
    return pip_installs(words)


def pip_installs(words: list[str]) -> str:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = [extra for word in words for found in re.findall(r"edgehar\[(.+?)\]", word) for extra in found.split(",")]
    unknown = [extra for extra in named if extra not in extras]
    return f"no extra {unknown[0]!r} in pyproject.toml" if unknown else ""


class ParsedError(Exception):
    """Thrown in place of all that a program does after reading its arguments."""


def tool_parses(program: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a program up to where its arguments are read; that has to come, and to succeed."""
    parse = argparse.ArgumentParser.parse_args

    def stop(self: argparse.ArgumentParser, args=None, namespace=None) -> None:
        parse(self, args, namespace)
        raise ParsedError

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        try:
            program()
        except ParsedError:
            return ""
    return "it did not read its arguments"


def script_parses(page: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    script = ROOT / words[0]
    if not script.is_file():
        made = [title for _, title, _ in fences((ROOT / page).read_text("utf-8"))]
        return "" if words[0] in made else f"there is no {words[0]}"
    if "parse_args" not in script.read_text("utf-8"):  # it takes nothing, and reading nothing would run it
        return "" if len(words) == 1 else f"it takes no {words[1]!r}"
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", [str(script), *words[1:]])
        patch.syspath_prepend(str(script.parent))
        return tool_parses(lambda: runpy.run_path(str(script), run_name="__main__"), monkeypatch)


# What is run wherever a page shows it; the commands of a group in the order of its patterns, in one folder. Others take
# minutes, a sensor or a person.
BUNDLE = r"(?:zoo:ds_cnn\w*|my\.edgehar)"
QUICK = {
    "look": ("edgehar zoo list", "edgehar doctor", "edgehar data list"),
    "simulate": (rf"edgehar simulate {BUNDLE}(?: --engine tflm)?(?: --json \S+)?(?: --report \S+)?",),
    "faults": (rf"edgehar simulate {BUNDLE} --faults \S+",),
    "device": (r"python -m device_sim zoo:ds_cnn(?: --engine tflm)?(?: --firmware)?",),
    "profile": (rf"edgehar profile {BUNDLE} --board \w+(?: --out \S+)?", rf"edgehar check {BUNDLE} --max.*"),
    "release": (
        r"edgehar keygen maker\.pem",
        r"edgehar pack zoo:ds_cnn -o ds_cnn-1\.edgehar --release 1 --key maker\.pem",
        r"edgehar verify ds_cnn-1\.edgehar --key maker\.pub\.pem",
        r"edgehar update flash\.bin ds_cnn-1\.edgehar --new 512 --key maker\.pub\.pem",
        r"edgehar update flash\.bin",
    ),
}


@pytest.mark.parametrize("group", QUICK)
def test_quick_commands_run(group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = list(dict.fromkeys(command for _, command in [*ALL, *MENTIONED]))
    for pattern in QUICK[group]:
        found = [command for command in shown if re.fullmatch(pattern, command)]
        assert found, f"no page has {pattern!r} any more"
        for command in found:
            assert run_command(command.replace("my.edgehar", "zoo:ds_cnn_3k")) == 0, command


PATH = re.compile(r"`((?:docs|tools|tests|configs|edgehar|device_sim|firmware_export)/[\w./-]+)`")


def test_every_path_that_is_named_is_there() -> None:
    missing = []
    for path in PAGES:
        text = path.read_text("utf-8")
        made = {title for _, title, _ in fences(text)}
        for name in PATH.findall(text):
            placeholder = "NAME" in name or "howto" in path.parts
            if placeholder or name in made or (ROOT / name).exists() or any(ROOT.glob(f"{name}*")):
                continue
            missing.append(f"{path.relative_to(ROOT)}: {name}")
    assert not missing, "\n".join(missing)
