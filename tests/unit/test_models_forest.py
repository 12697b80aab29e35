"""The forest's tables decide as the grown trees do, in float and in int8, and as strangers' ONNX trees are read."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from edgehar.errors import UnsupportedOpError
from edgehar.models.forest import INT8_STEP, Config, Forest, grow
from firmware_export.convert import convert
from firmware_export.onnx_reader import read_onnx
from firmware_export.reference import run
from firmware_export.to_onnx import export_onnx

FEATURES, CLASSES = 12, 3


def made(count, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, FEATURES)).clip(-4, 4).astype(np.float32)
    x[0], x[1] = -4, 4  # the whole range, as among a thousand calibration windows
    return x, (x[:, 0] + x[:, 1] * x[:, 2] > 0.3).astype(np.int64) + (x[:, 3] > 1)


@pytest.fixture(scope="module")
def data():
    return made(400, seed=0)


@pytest.fixture(scope="module")
def forest(data):
    network = Forest(Config(trees=9, depth=4), FEATURES, CLASSES)
    grow(network, [data[0]], data[1], 3)
    return network.eval()


def test_it_votes_as_the_trees_it_was_made_of(forest, data):
    from sklearn.ensemble import RandomForestClassifier

    steps = np.rint(data[0] / INT8_STEP)
    grown = RandomForestClassifier(9, max_depth=4, min_samples_leaf=3, random_state=3).fit(steps, data[1])
    logits = forest(torch.from_numpy((steps * INT8_STEP).astype(np.float32))).numpy()
    gain = logits.sum(axis=1)  # shares add up to 1
    assert np.abs(gain / gain[0] - 1).max() < 1e-6
    assert np.abs(logits - gain[0] * grown.predict_proba(steps)).max() < 1e-5
    assert (logits.argmax(1) == data[1]).mean() > 0.8


def test_the_gain_makes_votes_better_probabilities(forest):
    """Of new windows, than the bare shares are and than votes that are sure of themselves."""
    x, truth = made(400, seed=9)
    logits = forest(torch.from_numpy(x))
    gain = logits[0].sum()
    losses = [torch.nn.functional.cross_entropy(logits * k, torch.from_numpy(truth)).item() for k in (1, 1 / gain, 10)]
    assert min(losses) == losses[0]


def test_int8_takes_the_same_way_down_every_tree(forest, data):
    converted = convert(export_onnx(forest, torch.from_numpy(data[0][:1])), data[0])
    (quant,) = converted.input_quants
    assert quant.scale == pytest.approx(INT8_STEP)
    graph, integers = converted.float_graph, converted.integers
    walked = next(node for node in graph.nodes if node.op == "forest")
    assert walked.attrs.depth == 4
    found = run(integers, quant.quantize(data[0]))[0]
    logits = forest(torch.from_numpy(data[0])).numpy()
    assert np.abs(run(graph, data[0])[0] - logits).max() < 1e-5
    # leaves and their mean are rounded once each
    assert np.abs(converted.output_quants[0].dequantize(found) - logits).max() < 1.5 * converted.output_quants[0].scale


def test_our_own_int8_file_is_read_back_as_it_was(forest, data):
    """Its trees have targets of their own: the leaves stay ``[.., classes]``, not ``[.., trees * classes]``."""
    converted = convert(export_onnx(forest, torch.from_numpy(data[0][:1])), data[0])
    again = convert(converted.files["model_i8.onnx"], data[0])
    tables = [
        sorted(v.shape for v in c.integers.values.values() if v.data is not None and v.data.ndim)
        for c in (converted, again)
    ]
    assert tables[0] == tables[1]
    windows = converted.input_quants[0].quantize(data[0])
    assert np.array_equal(run(again.integers, windows)[0], run(converted.integers, windows)[0])


def test_a_reloaded_forest_exports_what_was_loaded(forest, data):
    again = Forest(forest.config, FEATURES, CLASSES)
    again.load_state_dict(forest.state_dict())
    x = torch.from_numpy(data[0][:1])
    assert export_onnx(again.eval(), x) == export_onnx(forest, x)


@pytest.mark.parametrize("config", [Config(trees=0), Config(depth=0), Config(depth=13), Config(min_leaf=0)])
def test_impossible_forests_are_refused(config):
    with pytest.raises(ValueError, match="at least one tree"):
        Forest(config, FEATURES, CLASSES)


def strangers_trees(**changes):
    """Two trees of unlike shape: one comparison, and one that is three deep on one side only."""
    attributes = {
        "n_targets": 2,
        "nodes_treeids": [0, 0, 0, 7, 7, 7, 7, 7, 7, 7],
        "nodes_nodeids": [0, 1, 2, 0, 1, 2, 3, 4, 5, 6],
        "nodes_featureids": [1, 0, 0, 0, 0, 2, 0, 1, 0, 0],
        "nodes_values": [0.25, 0, 0, -0.5, 0, 0.1, 0, 1.0, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_LEQ", "LEAF", "BRANCH_LEQ", "LEAF", "BRANCH_LEQ"]
        + ["LEAF"] * 2,
        "nodes_truenodeids": [1, 0, 0, 1, 0, 3, 0, 5, 0, 0],
        "nodes_falsenodeids": [2, 0, 0, 2, 0, 4, 0, 6, 0, 0],
        "target_treeids": [0] * 4 + [7] * 8,
        "target_nodeids": [1, 1, 2, 2, 1, 1, 3, 3, 5, 5, 6, 6],
        "target_ids": [0, 1] * 6,  # each leaf has both: ONNX Runtime forgets the base of a target without a leaf
        "target_weights": [1.0, 0.0, 0.0, -2.0, 0.5, 0.0, 0.0, 3.0, -1.0, 0.0, 0.25, 4.0],
        "base_values": [0.5, -0.5],
    } | changes
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **attributes)
    graph = helper.make_graph(
        [node],
        "strange",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


@pytest.mark.parametrize("how", ["SUM", "AVERAGE"])
def test_strangers_trees_are_read(how):
    file = strangers_trees(aggregate_function=how)
    x = np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"x": row[None]})[0] for row in x])
    assert np.abs(run(read_onnx(file), x)[0] - expected).max() < 1e-6
    assert len(np.unique(expected, axis=0)) == 7, "all but one pair of leaves that exclude each other"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes_modes": ["BRANCH_LT"] + ["LEAF"] * 9}, "modes BRANCH_LT, LEAF, expected BRANCH_LEQ and LEAF"),
        ({"aggregate_function": "MAX"}, "aggregate_function MAX, expected SUM or AVERAGE"),
        ({"post_transform": "SOFTMAX"}, "post_transform SOFTMAX, expected NONE"),
        ({"nodes_truenodeids": [9, 0, 0, 1, 0, 3, 0, 5, 0, 0]}, "goes on at a node that is not there"),
        ({"nodes_truenodeids": [0, 0, 0, 1, 0, 3, 0, 5, 0, 0]}, "a tree is deeper than 12"),
        ({"nodes_featureids": [3, 0, 0, 0, 0, 2, 0, 1, 0, 0]}, "compares column 3 of 3"),
    ],
)
def test_trees_that_cannot_be_written_are_refused(changes, message):
    with pytest.raises(UnsupportedOpError, match=message):
        read_onnx(strangers_trees(**changes))


def test_other_operators_of_the_domain_are_unknown():
    model = onnx.load_model_from_string(strangers_trees())
    model.graph.node[0].op_type = "SVMRegressor"
    with pytest.raises(UnsupportedOpError, match=r"operator of domain 'ai\.onnx\.ml' is not known"):
        read_onnx(model.SerializeToString())
