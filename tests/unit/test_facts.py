"""What a manifest tells besides what the device needs: of one type where it is there, one line where it is not."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from edgehar import facts
from edgehar.bundle import Bundle, write_bundle
from edgehar.cli import main
from edgehar.errors import BundleError
from edgehar.manifest import Manifest

ZOO = Bundle.open("zoo:ds_cnn_3k")
TOLD = {name: getattr(ZOO.manifest, name) for name in ("model", "licence", "provenance")}


def changed(path: str, value: object) -> Manifest:
    """The manifest with another value at a path, or without one for None."""
    told = copy.deepcopy(TOLD)
    *outer, last = path.split(".")
    place = facts.find(told, ".".join(outer)) if outer else told
    place.pop(last) if value is None else place.update({last: value})
    return replace(ZOO.manifest, **told)


@pytest.mark.parametrize("path", facts.MANIFEST)
def test_another_type_is_refused(path: str, tmp_path: Path) -> None:
    for value in (-1.5, [["x"]], [{"x": 1}, 2]):
        with pytest.raises(BundleError, match=f"{path} is .*expected"):
            write_bundle(tmp_path / "a.edgehar", changed(path, value), {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("row", [{}, {"engine": ["tflm"]}, {"engine": "tflm", "bound_lsb": "1"}])
def test_an_engine_without_name_or_with_a_strange_bound_is_refused(row: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"engines is .*expected"):
        write_bundle(tmp_path / "a.edgehar", changed("provenance.verification.engines", [row]), {})


@pytest.mark.parametrize(
    "path", [path for path in facts.MANIFEST if not path.endswith("sha256")]
)  # shipped bundles are older than that
def test_shipped_bundles_tell_everything_that_is_read(path: str) -> None:
    assert ZOO.manifest.fact(path) is not None


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("provenance.data", "simulate {}"),
        ("provenance.data.test_subjects", "report {} --out {}.html"),
        ("provenance.data.train_subjects", "decide {} --decision ema --out {}.new"),
        ("provenance.verification.engines", "decide {} --decision none --out {}.new"),
        ("licence.data", "export {} --target web --out {}.html"),
    ],
)
def test_what_is_not_told_is_one_line(
    path: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: ZOO.read(name) for name in ZOO.manifest.files}
    bundle = write_bundle(tmp_path / "a.edgehar", replace(changed(path, None), files={}), files)
    assert main(command.replace("{}", str(bundle.path)).split()) == 1
    assert "does not tell" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.edgehar"]
