"""The table of models, recipes and engines (docs/results/contract.md) is complete, and true where asking is cheap."""

import importlib.util
import json
from pathlib import Path

import pytest

from device_sim.engines import ENGINES
from edgehar.models import MODELS
from edgehar.precision import Precision
from firmware_export.recipes import RECIPES

ROOT = Path(__file__).parents[2]
DATA = json.loads((ROOT / "docs" / "results" / "contract.json").read_text())["cells"]
CHEAP = ["litert", "litert_ref", "tflm", "onnxruntime"]


def _tool():
    spec = importlib.util.spec_from_file_location("contract_table", ROOT / "tools" / "contract_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tool():
    return _tool()


def test_every_model_recipe_and_engine_is_there():
    found = {(cell["model"], cell["recipe"], cell["engine"]) for cell in DATA}
    expected = {(model, precision, engine) for model in MODELS for precision in Precision for engine in ENGINES}
    assert found == expected, "run tools/contract_table.py"
    assert {recipe.precision for recipe in RECIPES.values()} == set(Precision)


def test_no_engine_is_over_its_bound_and_every_model_runs_somewhere_in_every_recipe_it_has(tool):
    assert not [cell for cell in DATA if cell["verdict"] == tool.OVER]
    by_row = {}
    for cell in DATA:
        by_row.setdefault((cell["model"], cell["recipe"]), []).append(cell)
    for cells in by_row.values():
        exported = [cell for cell in cells if not cell["detail"].startswith("export: ")]
        assert not exported or any(cell["verdict"] in (tool.EXACT, tool.NEAR) for cell in exported)
    for model in MODELS:
        assert {c["engine"]: c["verdict"] for c in by_row[model, "static_wi8_ai8"]}["tflm"] == tool.EXACT


@pytest.mark.parametrize("model", ["ds_cnn", "lstm"])
def test_the_table_says_what_is_so(model, tool):
    stated = {(c["recipe"], c["engine"]): c["verdict"] for c in DATA if c["model"] == model and c["engine"] in CHEAP}
    found = {(cell.recipe, cell.engine): cell.verdict for cell in tool.cells_of(model, CHEAP)}
    same = {tool.EXACT: tool.NEAR}  # another processor's float kernels may be exact, or a step away
    assert {k: same.get(v, v) for k, v in found.items()} == {k: same.get(v, v) for k, v in stated.items()}
