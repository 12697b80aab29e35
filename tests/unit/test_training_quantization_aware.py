"""Quantization-aware training: its rounding is the exporter's, its scales are kept, they learn, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from edgehar.errors import ConfigError
from edgehar.models import MODELS
from edgehar.training.quantization_aware import QuantizationAware, Rounding, rounded_weight, set_ranges
from firmware_export.affine import quantize_weight, to_real
from firmware_export.convert import convert
from firmware_export.to_onnx import export_onnx

T, C = 64, 6
CONVOLUTIONAL = ("ds_cnn", "cnn1d", "tcn")


def network_of(name):
    torch.manual_seed(0)
    network = MODELS[name].build(MODELS[name].tiny, [(T, C)], 4)
    network(torch.randn(256, T, C))  # moves batch norm's statistics off their start
    return network.eval()


def aware_of(network, x):
    aware = QuantizationAware(network)
    set_ranges(aware, [x])
    return aware.eval()


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_the_export_computes_what_training_saw(name):
    network, x = network_of(name), torch.randn(256, T, C)
    aware = aware_of(network, x)
    with torch.no_grad():
        expected, real = aware(x).numpy(), network(x).numpy()
    assert 0 < np.abs(expected - real).max() < 0.1 * np.abs(real).max()
    converted = convert(export_onnx(aware, x[:1]), 3 * x.numpy())  # other ranges than the file's, which count
    source, sink = converted.input_quants[0], converted.output_quants[0]
    roundings = [module for module in aware.modules() if isinstance(module, Rounding)]
    stated = {(np.float32(each.log_scale.exp().item()), int(each.zero_point)) for each in roundings}
    assert {(np.float32(quant.scale), quant.zero_point) for quant in (source, sink)} <= stated
    found = converted.run(source.quantize(x.numpy()))[0]
    steps = np.abs(found - sink.quantize(expected).astype(int))
    assert steps.max() <= 1 and (steps == 0).mean() > 0.9


def test_weights_are_rounded_as_the_exporter_rounds_them():
    weight = torch.randn(5, 3, 7)
    integers, quant = quantize_weight(weight.numpy(), 0, np.zeros(1))
    np.testing.assert_allclose(rounded_weight(weight).numpy(), to_real(integers, quant), rtol=1e-5, atol=1e-7)


def test_a_step_moves_weights_and_scales_and_a_state_can_be_loaded():
    network, x = network_of("tcn"), torch.randn(32, T, C)
    aware = QuantizationAware(network)
    set_ranges(aware, [x])
    before = {name: value.clone() for name, value in aware.state_dict().items()}
    aware.train()
    optimizer = torch.optim.SGD(aware.parameters(), lr=10.0)  # gradients of scales are small
    nn.functional.cross_entropy(aware(x), torch.arange(32) % 4).backward()
    optimizer.step()
    moved = {name for name, value in aware.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name, _ in aware.named_parameters()}
    again = QuantizationAware(network_of("tcn"))
    again.load_state_dict(aware.state_dict())
    assert torch.equal(again.eval()(x), aware.eval()(x))
    assert network.training is False and not any(isinstance(m, Rounding) for m in network.modules())


class OneScaleOfTwo(nn.Module):
    """Two layers whose results are laid side by side, so that one scale is theirs."""

    def __init__(self):
        super().__init__()
        self.total_stride = 1
        self.a, self.b, self.head = nn.Linear(C, 3), nn.Linear(C, 5), nn.Linear(8, 4)

    def forward(self, x):
        columns = x.mean(dim=1)
        return self.head(torch.cat([self.a(columns).relu(), self.b(columns)], dim=1))


def test_what_only_moves_numbers_keeps_one_scale():
    aware = aware_of(OneScaleOfTwo(), torch.randn(64, T, C))
    assert sum(isinstance(module, Rounding) for module in aware.modules()) == 3  # input and mean, both layers, logits


@pytest.mark.parametrize(
    ("name", "what"), [("lstm", r"LSTM \('lstm'\)"), ("transformer", "positions"), ("joint", "LSTM")]
)
def test_what_has_no_rounding_is_named(name, what):
    with pytest.raises(ConfigError, match=f"no rounding for .*{what}"):
        QuantizationAware(network_of(name))


def test_control_flow_on_the_data_is_refused():
    class Chooses(OneScaleOfTwo):
        def forward(self, x):
            return self.head(x) if x.sum() > 0 else x

    with pytest.raises(ConfigError, match="cannot follow Chooses"):
        QuantizationAware(Chooses())
