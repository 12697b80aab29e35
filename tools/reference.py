"""Write the pages of ``docs/reference`` that are made of the code: commands, files, what each target and model can.

python tools/reference.py
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from device_sim import __main__ as device_command
from device_sim.engines import ENGINES
from device_sim.live import __main__ as live_command
from device_sim.update import __main__ as update_command
from edgehar import manifest
from edgehar.cli import build_parser
from edgehar.files import write_atomic
from edgehar.models import MODELS
from edgehar.precision import Precision
from firmware_export.ops import OPS
from firmware_export.recipes import RECIPES
from firmware_export.targets import TARGETS, c

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
SCHEMAS = ROOT / "device_sim" / "schemas"
MADE = "Made by `python tools/reference.py`; a test compares.\n"


def commands_page() -> str:
    """Every command with its arguments, from the parsers themselves."""
    parts = [f"# Commands\n\n{MADE}\nExit codes: 0 done, 1 failed, 2 called wrongly, 130 stopped by Ctrl-C.\n"]
    parsers = [*leaves(build_parser()), *module_parsers().values()]
    return "\n".join([*parts, *map(_command, parsers)])


def module_parsers() -> dict[str, argparse.ArgumentParser]:
    """The parsers of what runs as ``python -m`` without the command line's packages, by module."""
    found = {"device_sim": device_command._parser()}
    for module in (live_command, update_command):
        name = module.__name__.removesuffix(".__main__")
        found[name] = argparse.ArgumentParser(prog=f"python -m {name}", description=module.__doc__)
        module.add_options(found[name])
    return found


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers that take no further command."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for child in action.choices.values():
            yield from leaves(child)


def _command(parser: argparse.ArgumentParser) -> str:
    name = parser.prog
    lines = [f"## {name}\n"]
    if parser.description:
        lines.append(_prose(parser.description) + "\n")
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS and action.dest != "help"]
    if actions:
        lines += ["| argument | what |", "|---|---|", *map(_row, actions)]
    return "\n".join(lines) + "\n"


def _row(action: argparse.Action) -> str:
    value = _value(action)
    if action.option_strings:
        spelled = ", ".join(action.option_strings) + (f" {value}" if value else "")
    else:
        spelled = value + {"*": " ...", "+": " ..."}.get(str(action.nargs), "")
    help_text = _prose((action.help or "") % {**vars(action), "prog": "edgehar"} if action.help else "")
    notes = ["required"] if action.option_strings and action.required else []
    if isinstance(action, argparse._AppendAction) and "repeat" not in help_text:
        notes.append("repeatable")
    default = action.default
    shown = default not in (None, False, "", argparse.SUPPRESS, [], ()) and "default" not in help_text
    shown = shown and f"({default})" not in help_text
    if shown and (action.option_strings or action.nargs == "?"):
        notes.append(f"default: {default}")
    note = f" ({', '.join(notes)})" if notes else ""
    return f"| `{_cell(spelled)}` | {_cell(help_text)}{_cell(note)} |"


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    if action.metavar is not None:
        return action.metavar
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper()


def _prose(text: str) -> str:
    return re.sub(r"``(.+?)``|:\w+:`(.+?)`", lambda m: f"`{m[1] or m[2]}`", " ".join(text.split()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def files_page() -> str:
    """The bundle's manifest, and the JSON files that commands write."""
    parts = [
        f"# Files\n\n{MADE}\nFields may be added within a `schema_version`; none is renamed or changes its meaning.\n",
        "## manifest.json\n\nOf a bundle (`NAME.edgehar/`): a field a row. `manifest_sha256` comes beside them, "
        "of the manifest without itself.\n",
    ]
    parts.append(_fields("Manifest"))
    for name in ("ModelInput", "Head", "Embedding", "Prototype", "FileEntry"):
        parts.append(f"### {name}\n\n{_prose(_first_line(getattr(manifest, name)))}\n\n{_fields(name)}")
    for path in sorted(SCHEMAS.glob("*.schema.json")):
        schema = json.loads(path.read_text("utf-8"))
        name = path.name.removesuffix(".schema.json")
        text = f"## {name}.json\n\n{schema['description']} Schema: `device_sim/schemas/{path.name}`.\n"
        rows = [
            f"| `{_cell(key)}` | {_cell(kind)} | {_cell(what)} |" for key, kind, what in _schema_rows(schema, schema)
        ]
        parts.append("\n".join([text, "| field | type | what |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _fields(name: str) -> str:
    """A dataclass of the bundle as a table: remarks behind its fields, and the Attributes of its docstring."""
    owner = getattr(manifest, name)
    source = textwrap.dedent(inspect.getsource(owner))
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    said, lines = _attributes(inspect.getdoc(owner) or ""), source.splitlines()
    rows = ["| field | type | what |", "|---|---|---|"]
    for item in tree.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            remark = lines[item.lineno - 1].partition("  # ")[2]
            what = said.get(item.target.id) or remark
            rows.append(f"| `{item.target.id}` | `{_cell(ast.unparse(item.annotation))}` | {_cell(_prose(what))} |")
    return "\n".join(rows) + "\n"


def _attributes(doc: str) -> dict[str, str]:
    block = doc.partition("Attributes:\n")[2]
    return {name: " ".join(text.split()) for name, text in re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", block, re.M)}


def _schema_rows(schema: dict[str, Any], root: dict[str, Any], at: str = "") -> Iterator[tuple[str, str, str]]:
    """Field, type and meaning of each property, nested ones with dots, ``[]`` for the entries of a list."""
    for name, written in schema.get("properties", {}).items():
        part = _resolved(written, root)
        forms = [_resolved(form, root) for form in part.get("oneOf", ())] or [part]
        kind = " or ".join(dict.fromkeys(_kind(form, root) for form in forms))
        place = f"{at}{name}"
        yield place, kind, written.get("description", "")
        for form in forms:
            yield from _schema_rows(form, root, f"{place}.")
            if isinstance(items := form.get("items"), dict):
                yield from _schema_rows(_resolved(items, root), root, f"{place}[].")


def _resolved(part: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        part = root["$defs"][part["$ref"].rpartition("/")[2]] | {k: v for k, v in part.items() if k != "$ref"}
    return part


def _kind(part: dict[str, Any], root: dict[str, Any]) -> str:
    if "const" in part:
        return f"`{json.dumps(part['const'])}`"
    if "enum" in part:
        return ", ".join(f"`{json.dumps(value)}`" for value in part["enum"])
    kinds = part.get("type", "any")
    if kinds == "array" and isinstance(part.get("items"), dict):
        return f"list of {_kind(_resolved(part['items'], root), root)}"
    if kinds == "object" and "additionalProperties" in part and "properties" not in part:
        inner = part["additionalProperties"]
        return f"object of {_kind(_resolved(inner, root), root)}" if isinstance(inner, dict) else "object"
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def support_page() -> str:
    """Ops by target, engines by precision, models by input, recipes."""
    int8 = {"tflite": TARGETS["tflite"].emits, "onnx": TARGETS["onnx"].emits, "c": c.EMITTERS}
    ops = [
        "| op | what | " + " | ".join(f"`{name}`" for name in int8) + " |",
        "|---|---|" + "---|" * len(int8),
        *(
            f"| `{name}` | {_cell(_op_line(name))} | "
            + " | ".join("✓" if name in emits else "–" for emits in int8.values())
            + " |"
            for name, op in OPS.items()
        ),
    ]
    engines = [
        "| engine | what | runs | " + " | ".join(f"`{p.value}`" for p in Precision) + " | extra |",
        "|---|---|---|" + "---|" * (len(Precision) + 1),
        *(
            f"| `{name}` | {entry.label} | `.{entry.extension}` | "
            + " | ".join(_kernels(entry, precision) for precision in Precision)
            + f" | `{entry.extra}` |"
            for name, entry in ENGINES.items()
        ),
    ]
    models = [
        "| model | inputs | from |",
        "|---|---|---|",
        *(f"| `{n}` | {', '.join(i.name for i in e.inputs)} | {_cell(e.source)} |" for n, e in MODELS.items()),
    ]
    recipes = [
        "| recipe | precision | ranges |",
        "|---|---|---|",
        *(f"| `{name}` | `{r.precision.value}` | {r.ranges} |" for name, r in RECIPES.items()),
    ]
    return "\n".join(
        [
            f"# What runs where\n\n{MADE}",
            "Which model each engine runs in which precision, measured: `docs/results/contract.md`.\n",
            "## Ops and targets\n\nOf the int8 graph. An op without a form in a target is removed by a pass before.\n",
            *ops,
            "\n## Engines and precisions\n\n✓: kernels for every network; (✓): for networks without an LSTM.\n",
            *engines,
            "\n## Models\n",
            *models,
            "\n## Recipes\n",
            *recipes,
            "",
        ]
    )


def _op_line(name: str) -> str:
    module = inspect.getmodule(OPS[name].float32)
    file = ROOT / "firmware_export" / "ops" / f"{name}.py"
    doc = ast.get_docstring(ast.parse(file.read_text("utf-8"))) if file.is_file() else inspect.getdoc(module)
    line = (doc or "").partition("\n\n")[0]
    return _prose(re.sub(r"^``\w+``: ", "", line))


def _kernels(entry: Any, precision: Precision) -> str:
    if precision not in entry.precisions:
        return "–"
    return "✓" if precision in entry.recurrent else "(✓)"


PAGES: dict[str, Callable[[], str]] = {"cli": commands_page, "files": files_page, "support": support_page}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for page, make in PAGES.items():
        write_atomic(FOLDER / f"{page}.md", make().encode())
