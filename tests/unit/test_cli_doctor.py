"""What is missing is named with the extra that brings it."""

import re
import tomllib
from pathlib import Path

import pytest

from edgehar import cli
from edgehar.cli import doctor

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
NOT_FOR_USERS = {"all", "dev", "docs", "litert"}


def test_doctor_knows_every_package_of_the_extras():
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    wanted = {
        re.split(r"[<>=;\[ ]", requirement)[0]
        for extra in set(extras) - NOT_FOR_USERS
        for requirement in extras[extra]
        if not requirement.startswith("edgehar[")
    }
    assert {need.package for need in doctor.NEEDS} == wanted
    assert {need.extra for need in doctor.NEEDS} <= {*extras, ""}


@pytest.mark.parametrize(
    ("module", "extra"), [("sklearn.metrics", "train"), ("rich", "cli"), ("matplotlib", "data"), ("strange", "all")]
)
def test_a_missing_module_is_one_line_that_names_its_extra(module, extra, monkeypatch, capsys):
    def run(_):
        raise ModuleNotFoundError(name=module)

    monkeypatch.setattr(doctor, "run", run)
    assert cli.main(["doctor"]) == 1
    error = capsys.readouterr().err
    assert f"pip install 'edgehar[{extra}]'" in error
    assert error.count("\n") == 1
