"""A bundle that was truncated or altered anywhere is refused, and the file is named."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edgehar.arrays import dump_npz, load_npz
from edgehar.bundle import Bundle, write_bundle
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import BundleError, UsageError
from edgehar.manifest import Head, Manifest, ModelInput
from edgehar.recording import IMU_CHANNELS
from edgehar.signal import FLOAT32, QuantParams, default_front_end
from edgehar.signal.features import default_window_features

MANIFEST = Manifest(
    name="test",
    rate_hz=50.0,
    channels=IMU_CHANNELS,
    window=128,
    hop=64,
    front_end=default_front_end(IMU_CHANNELS),
    inputs=(ModelInput("window", tuple(range(9)), quant=QuantParams(0.03, 3)),),
    heads=(Head("activity", "multiclass", ("walking", "sitting"), QuantParams(0.1, 0)),),
    decision=DecisionSpec(),
    recipe="static_wi8_ai8",
    model={"name": "ds_cnn"},
    provenance={"seed": 0},
    licence={"data": "CC BY 4.0"},
)
FEATURES_OF_64 = default_window_features(MANIFEST.front_end.names, 64).to_dict()
FILES = {
    "model_i8.tflite": bytes(range(256)) * 4,
    "golden.npz": dump_npz(x=np.arange(4)),
    "firmware/har.c": b"int x;\n",
}


@pytest.fixture
def bundle(tmp_path):
    return write_bundle(tmp_path / "test.edgehar", MANIFEST, FILES)


def test_round_trip(bundle):
    opened = Bundle.open(bundle.path)
    assert opened.manifest == bundle.manifest
    assert opened.sha256 == bundle.sha256
    assert {name: opened.read(name) for name in FILES} == FILES
    assert np.array_equal(opened.arrays("golden.npz")["x"], np.arange(4))


def test_formats_of_inputs_and_heads_and_an_unknown_recipe(tmp_path):
    wide = QuantParams(2.0**-9, 0, "int16")
    heads = (replace(MANIFEST.heads[0], quant=FLOAT32),)
    manifest = replace(MANIFEST, inputs=(replace(MANIFEST.inputs[0], quant=wide),), heads=heads)
    opened = Bundle.open(write_bundle(tmp_path / "a.edgehar", manifest, FILES).path).manifest
    assert (opened.inputs[0].quant, opened.heads[0].quant) == (wide, FLOAT32)
    for recipe in ("int9", 5):
        with pytest.raises(BundleError, match="inconsistent"):
            write_bundle(tmp_path / "b.edgehar", replace(MANIFEST, recipe=recipe), FILES)


def test_same_input_same_bytes(bundle, tmp_path):
    again = write_bundle(tmp_path / "again.edgehar", MANIFEST, FILES)
    assert again.sha256 == bundle.sha256
    assert (again.path / "manifest.json").read_bytes() == (bundle.path / "manifest.json").read_bytes()


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
@pytest.mark.parametrize("where", ["first", "middle", "last"])
@pytest.mark.parametrize("how", ["flip a bit", "zero", "space"])
def test_altered_byte_is_found_and_named(bundle, name, where, how):
    path = bundle.path / name
    data = bytearray(path.read_bytes())
    place = {"first": 0, "middle": len(data) // 2, "last": len(data) - 1}[where]
    data[place] = {"flip a bit": data[place] ^ 1, "zero": 0, "space": 32}[how]
    if bytes(data) == path.read_bytes():
        data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        Bundle.open(bundle.path)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
@pytest.mark.parametrize("left", [0, 1, 0.5, -1])
def test_truncated_file_is_found_and_named(bundle, name, left):
    path = bundle.path / name
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * left) if left == 0.5 else left])
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        Bundle.open(bundle.path)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_missing_file_is_found_and_named(bundle, name):
    (bundle.path / name).unlink()
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        Bundle.open(bundle.path)


def test_extra_file_and_symbolic_link_are_refused(bundle, tmp_path):
    (bundle.path / "extra.bin").write_bytes(b"x")
    with pytest.raises(BundleError, match="not listed"):
        Bundle.open(bundle.path)
    (bundle.path / "extra.bin").unlink()
    outside = tmp_path / "outside"
    outside.write_bytes(FILES["model_i8.tflite"])
    (bundle.path / "model_i8.tflite").unlink()
    (bundle.path / "model_i8.tflite").symlink_to(outside)
    with pytest.raises(BundleError, match="symbolic link"):
        Bundle.open(bundle.path)


def _rewrite(bundle, change):
    """A manifest that is consistent with itself but hostile."""
    data = json.loads((bundle.path / "manifest.json").read_bytes())
    data.pop("manifest_sha256")
    change(data)
    from edgehar.files import sha256_bytes
    from edgehar.manifest import _canonical

    signed = {**data, "manifest_sha256": sha256_bytes(_canonical(data))}
    (bundle.path / "manifest.json").write_bytes(_canonical(signed))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["files"].update({"../evil": {"bytes": 1, "sha256": "0" * 64}}), "file name '../evil'"),
        (lambda d: d["files"].update({"/etc/passwd": {"bytes": 1, "sha256": "0" * 64}}), "file name '/etc/passwd'"),
        (lambda d: d.update(schema_version=99), "schema_version is 99"),
        (lambda d: d.update(window=0), "window 0"),
        (lambda d: d.update(rate_hz=-1), "rate_hz -1"),
        (lambda d: d.update(surprise=1), "malformed"),
        (lambda d: d.pop("heads"), "malformed"),
        (lambda d: d["front_end"].update(select=[77] * 9), "select"),
        (lambda d: d["inputs"][0]["quant"].update(scale=0), "scale 0"),
        (lambda d: d["inputs"].clear(), "no inputs"),
        (lambda d: d["inputs"].append(d["inputs"][0]), "inputs are called window, window"),
        (lambda d: d["inputs"][0].update(columns=[0, 9]), r"gets columns \(0, 9\), outside 0..8"),
        (lambda d: d["inputs"][0].update(columns=[0, 0]), "expected a name and different columns"),
        (lambda d: d["inputs"][0].update(features={"window": 64}), "malformed"),
        (lambda d: d["inputs"][0].update(features=FEATURES_OF_64), "has features of 64 samples"),
        (
            lambda d: d["inputs"][0].update(features=FEATURES_OF_64, columns=[0]),
            "gets 1 columns, its features are of 9",
        ),
        (lambda d: d["channels"].pop(), "the channels are others"),
        (lambda d: d["decision"].update(smoothing="magic"), "smoothing 'magic'"),
    ],
)
def test_hostile_manifest_is_refused(bundle, change, message):
    _rewrite(bundle, change)
    with pytest.raises(BundleError, match=message):
        Bundle.open(bundle.path)


def test_unlisted_name_is_refused(bundle):
    with pytest.raises(BundleError, match=r"no file .model\.bin."):
        bundle.read("model.bin")


def test_unknown_paths_say_what_there_is(tmp_path):
    with pytest.raises(UsageError, match="zoo:ds_cnn"):
        Bundle.open("zoo:nothing")
    with pytest.raises(UsageError, match="no such bundle"):
        Bundle.open(tmp_path / "nowhere.edgehar")
    with pytest.raises(BundleError, match="is this a bundle"):
        Bundle.open(tmp_path)


def test_write_refuses_a_folder_that_is_not_a_bundle(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years")
    with pytest.raises(UsageError, match="not a bundle"):
        write_bundle(tmp_path / "precious", MANIFEST, FILES)
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years"


def test_npz_pickles_and_bombs_are_refused():
    hostile = np.array([{"a": 1}], dtype=object)
    import io

    buffer = io.BytesIO()
    np.savez(buffer, x=hostile)
    with pytest.raises(BundleError, match="not a readable"):
        load_npz(buffer.getvalue(), "x.npz")
    with pytest.raises(BundleError, match="unpacks to"):
        load_npz(dump_npz(x=np.zeros(1_000_000)), "x.npz", max_bytes=1000)
    with pytest.raises(BundleError, match="not a readable"):
        load_npz(b"PK nonsense", "x.npz")


def test_heads_carry_their_groups_only_where_they_have_any():
    motion = Head("motion", "binary", ("moving",), QuantParams(0.2, 4), {"moving": ("walking", "upstairs")}, 0.5)
    several = replace(MANIFEST, heads=(*MANIFEST.heads, motion))
    again = Manifest.from_bytes(several.to_bytes())
    assert again.heads == several.heads
    plain, grouped = json.loads(several.to_bytes())["heads"]
    assert set(plain) == {"name", "kind", "labels", "quant"}
    assert grouped["groups"] == {"moving": ["walking", "upstairs"]}
    assert grouped["purity"] == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "regression"}, "kind is 'regression'"),
        ({"name": "activity"}, "expected different names"),
        ({"groups": {"still": ("sitting",)}}, "group 'still'"),
        ({"purity": "all"}, "not supported between"),
        ({"labels": ("moving", "still")}, "labels of a binary head"),
    ],
)
def test_heads_that_make_no_sense_are_refused(change, message):
    motion = replace(Head("motion", "binary", ("moving",), QuantParams(0.2, 4)), **change)
    with pytest.raises(BundleError, match=message):
        Manifest.from_bytes(replace(MANIFEST, heads=(*MANIFEST.heads, motion)).to_bytes())
