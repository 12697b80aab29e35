"""The decision stage in the manifest: old ones mean what they meant, new ones come back as they were."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from device_fixtures import tiny_manifest

from edgehar.decision_spec import DecisionSpec, Familiar, Grammar
from edgehar.errors import BundleError
from edgehar.manifest import Manifest

GRAMMAR = Grammar(((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)), (0.5, 0.3, 0.2))
FAMILIAR = Familiar(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), ((1.0, 2.0, 3.0),) * 3, 9.0)
SPECS = [
    DecisionSpec("majority", 3, 2),
    DecisionSpec("hmm", grammar=GRAMMAR),
    DecisionSpec("hmm", grammar=replace(GRAMMAR, prior=()), lag=2, temperature=0.5, familiar=FAMILIAR),
    DecisionSpec("ema", 0.5, uncertain_below=0.4, hysteresis=0.1),
]


def test_what_was_written_before_is_written_the_same():
    assert DecisionSpec("ema", 0.5, 2).to_dict() == {"smoothing": "ema", "strength": 0.5, "min_decisions": 2}
    assert DecisionSpec.from_dict({"smoothing": "none", "strength": 0.0, "min_decisions": 1}) == DecisionSpec()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.smoothing)
def test_a_manifest_brings_its_stage_back(spec):
    manifest = tiny_manifest(32, 16, spec)
    assert Manifest.from_bytes(manifest.to_bytes()).decision == spec
    assert json.loads(json.dumps(spec.to_dict())) == json.loads(manifest.to_bytes())["decision"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"smoothing": "hmm"}, "hmm has no grammar"),
        ({"speed": 1}, "malformed: TypeError"),
        ({"grammar": {"transitions": [[1.0]]}}, "grammar has 1 rows, expected 3"),
        ({"grammar": {"transitions": 5}}, "malformed: TypeError"),
        ({"grammar": {}}, "malformed: KeyError"),
        ({"familiar": {"means": [], "deviations": [], "most": 1.0}}, "familiar has 0 rows of means"),
        ({"temperature": "warm"}, "temperature is 'warm', expected 0.01 to 100"),
        ({"lag": 1.5}, "lag is 1.5, expected 0 to 64"),
        ({"min_decisions": 0}, "min_decisions is 0"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(change, message):
    data = tiny_manifest(32, 16, DecisionSpec()).to_dict()
    data = json.loads(json.dumps(data))
    data["decision"] |= change
    with pytest.raises(BundleError, match=message):
        Manifest.from_dict(data)


def test_a_label_called_as_a_rejection_is_refused_where_something_is_rejected():
    manifest = tiny_manifest(32, 16, DecisionSpec())
    named = replace(manifest, heads=(replace(manifest.heads[0], labels=("a", "b", "unknown")),))
    assert Manifest.from_bytes(named.to_bytes()).event_labels == ("a", "b", "unknown")
    rejecting = replace(named, decision=DecisionSpec(uncertain_below=0.5))
    with pytest.raises(BundleError, match="label 'unknown' is what rejected decisions are called"):
        Manifest.from_bytes(rejecting.to_bytes())
