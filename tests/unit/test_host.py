"""The processor by name."""

import platform

import pytest

from edgehar.host import cpu_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor\t: 0\nmodel name\t: AMD EPYC\nprocessor\t: 1\nmodel name\t: AMD EPYC\n", "AMD EPYC"),
        ("processor\t: 0\nBogoMIPS\t: 108\n\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4\n", "BCM2835"),
        ("model name\t:\n", None),
        ("", None),
    ],
)
def test_the_processor_has_a_name(tmp_path, text, name):
    info = tmp_path / "cpuinfo"
    info.write_text(text)
    architecture = platform.processor() or platform.machine()
    assert cpu_name(info) == (name or architecture)
    assert cpu_name(tmp_path / "none") == architecture
