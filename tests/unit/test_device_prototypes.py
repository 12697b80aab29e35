"""Enrolled labels beside the network's own: the rule by hand, and that windows without a say are left exactly alone."""

import numpy as np
import pytest
from device_fixtures import altered, make_tiny_bundle

from device_sim.prototypes import Prototypes
from edgehar.arrays import dump_npz
from edgehar.bundle import REFERENCES, Bundle
from edgehar.errors import BundleError
from edgehar.heads.prototypes import TEMPERATURE, share
from edgehar.manifest import Embedding, Manifest, Prototype
from edgehar.references import read_references
from edgehar.signal import QuantParams

X, Y, Z, W = np.eye(4, dtype=np.int8) * 127
REFERENCES_OF = np.stack([X, Y])
P = np.array([[0.7, 0.3], [0.4, 0.6], [1.0, 0.0]], np.float32)


def prototype(label, vector, threshold):
    return Prototype(label, tuple(int(v) for v in vector), threshold, 5)


def embedding(*values):
    return np.array(values, np.int8)[None]


def test_score_is_what_it_is_more_like_the_prototype_than_like_any_reference():
    stage = Prototypes([prototype("swim", Z, 100), prototype("row", W, -7)], REFERENCES_OF)
    assert stage.excess(embedding(10, 20, 90, 5)).tolist() == [[127 * 70 - 100, 127 * (5 - 20) + 7]]


def test_over_the_threshold_the_label_gets_more_than_half_and_the_rest_is_shared_as_before():
    stage = Prototypes([prototype("swim", Z, 127 * 50)], REFERENCES_OF)
    blended = stage.blend(P[:1], embedding(0, 30, 100, 0))
    share = 1 / (1 + np.exp(-127 * 20 / TEMPERATURE))
    assert blended[0, 2] == pytest.approx(share)
    assert share > 0.5
    assert blended[0, :2] / blended[0, :2].sum() == pytest.approx(P[0])
    assert blended.sum() == pytest.approx(1)
    assert blended.dtype == P.dtype


def test_the_share_grows_from_one_half_to_one():
    shares = [share(over) for over in (*range(1, 3000), 20_000, 32_767, 40_000)]
    parts = [part for part, _ in shares]
    assert 0.5 < parts[0] < 0.5004
    assert (np.diff(parts) >= 0).all()
    assert parts[-1] == 1
    assert all(float(part) + float(rest) == pytest.approx(1, abs=2e-7) for part, rest in shares)
    assert {value.dtype for pair in shares for value in pair} == {np.dtype(np.float32)}


def test_at_the_threshold_nothing_changes_at_all():
    stage = Prototypes([prototype("swim", Z, 127 * 70)], REFERENCES_OF)
    blended = stage.blend(P[:1], embedding(0, 30, 100, 0))
    assert np.array_equal(blended, [[*P[0], 0]])


def test_the_prototype_that_is_over_by_most_wins_and_prototypes_may_share_a_label():
    enrolled = [prototype("swim", Z, 0), prototype("row", W, 0), prototype("swim", -X, 0)]
    stage = Prototypes(enrolled, REFERENCES_OF)
    windows = np.concatenate([embedding(0, 0, 90, 80), embedding(0, 0, 80, 90), embedding(-90, 0, 0, 50)])
    blended = stage.blend(P, windows)
    assert blended.shape == (3, 4)
    assert blended.argmax(axis=1).tolist() == [2, 3, 2]


def test_windows_one_by_one_give_the_same_bits():
    rng = np.random.default_rng(0)
    stage = Prototypes([prototype("swim", Z, 0)], rng.integers(-127, 128, (4, 4)).astype(np.int8))
    windows = rng.integers(-127, 128, (200, 4)).astype(np.int8)
    probabilities = rng.dirichlet([1, 1, 1], 200).astype(np.float32)
    at_once = stage.blend(probabilities, windows)
    one_by_one = [stage.blend(probabilities[i : i + 1], windows[i : i + 1]) for i in range(200)]
    assert np.array_equal(at_once, np.concatenate(one_by_one))
    silent = at_once[:, 3] == 0
    assert 0 < silent.sum() < 200
    assert np.array_equal(at_once[silent, :3], probabilities[silent])


EMBEDDING = Embedding("embedding", 4, QuantParams(1 / 128, 0))


@pytest.fixture
def bundle(tmp_path):
    made = make_tiny_bundle(tmp_path)
    people = np.array([0, 1], np.int16)
    files = {REFERENCES: dump_npz(embeddings=REFERENCES_OF, people=people)}
    return altered(made, tmp_path, files, embedding=EMBEDDING, enrolled=(prototype("swim", Z, 3),))


def test_the_manifest_keeps_embedding_and_enrolment(bundle):
    again = Bundle.open(bundle.path)
    assert again.manifest == bundle.manifest
    assert again.manifest.announced.labels == (*bundle.manifest.heads[0].labels, "swim")
    assert [each.name for each in again.manifest.outputs] == ["activity", "embedding"]
    assert again.manifest.outputs[1][1:] == (4, QuantParams(1 / 128, 0))
    assert np.array_equal(read_references(again).embeddings, REFERENCES_OF)


def test_a_bundle_without_them_says_nothing_of_them(tmp_path):
    manifest = make_tiny_bundle(tmp_path).manifest
    assert not {"embedding", "enrolled"} & set(manifest.to_dict())
    assert manifest.announced == manifest.heads[0].task


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"embedding": None}, "labels are enrolled, but the network has no embedding"),
        ({"embedding": Embedding("activity", 4, QuantParams(1 / 128, 0))}, "'activity', as a head is"),
        ({"embedding": Embedding("e", 0, QuantParams(1 / 128, 0)), "enrolled": ()}, "width 0, expected 1..4096"),
        ({"embedding": Embedding("e", 4, QuantParams(1.0, 0, "float32"))}, "embedding of float32, expected int8"),
        ({"enrolled": (prototype("swim", (1, 2, 3), 0),)}, "expected 4 numbers of int8"),
        ({"enrolled": (prototype("swim", (1, 2, 3, 200), 0),)}, "expected 4 numbers of int8"),
        ({"enrolled": (prototype("walking", Z, 0),)}, "do not fit the first head"),
    ],
)
def test_an_inconsistent_manifest_is_refused(bundle, changed, words):
    fields = {name: getattr(bundle.manifest, name) for name in bundle.manifest.__dataclass_fields__} | changed
    with pytest.raises(BundleError, match=words):
        Manifest.from_dict(Manifest(**fields).to_dict())


@pytest.mark.parametrize(
    "file",
    [
        None,
        dump_npz(embeddings=REFERENCES_OF),
        dump_npz(embeddings=REFERENCES_OF.astype(np.int16), people=np.arange(2)),
        dump_npz(embeddings=REFERENCES_OF[:, :3], people=np.arange(2)),
        dump_npz(embeddings=REFERENCES_OF, people=np.zeros(2, np.int16)),
    ],
)
def test_missing_or_wrong_references_are_named(bundle, tmp_path, file):
    wrong = altered(bundle, tmp_path / "wrong", {REFERENCES: file})
    with pytest.raises(BundleError, match=r"references\.npz: (is missing|expected int8 embeddings)"):
        read_references(wrong)
