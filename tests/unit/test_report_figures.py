import math

import pytest

from device_sim.report import figures as f

NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (f.percent(0.9678), f"96.8{NBSP}%"),
        (f.percent(1.0), f"100.0{NBSP}%"),
        (f.percent(0.99999), f"99.9{NBSP}%"),
        (f.percent(0.99999, 2), f"99.99{NBSP}%"),
        (f.percent(None), "–"),
        (f.percent(True), "–"),
        (f.duration(0.901), f"0.901{NBSP}µs"),
        (f.duration(0), f"0{NBSP}µs"),
        (f.duration(226), f"0.226{NBSP}ms"),
        (f.duration(20_000), f"20.0{NBSP}ms"),
        (f.duration(1_203_000), f"1.20{NBSP}s"),
        (f.duration(math.inf), "–"),
        (f.size(921), f"921{NBSP}B"),
        (f.size(17_656), f"17.2{NBSP}KiB"),
        (f.size(5 * 2**20), f"5.0{NBSP}MiB"),
        (f.signed(0.04), "0.0"),
        (f.signed(-0.06), "−0.1"),
        (f.signed(0.6), "+0.6"),
        (f.interval([0.951, 0.979], 100), "95.1 to 97.9"),
        (f.interval([-0.04, 0.2]), "0.0 to 0.2"),
        (f.interval([-0.5, 0.2]), "−0.5 to 0.2"),
        (f.interval([1, None]), None),
        (f.count(2713), "2,713"),
        (f.count(10**400), "–"),
        (f.clock_time(83.4), "1:23.4"),
        (f.clock_time(59.96), "1:00.0"),
        (f.clock_time(3600), "1:00:00.0"),
        (f.plural(1, "person", "people"), "1 person"),
        (f.plural(9, "person", "people"), "9 people"),
    ],
)
def test_numbers_are_written_for_people(written: str | None, expected: str | None) -> None:
    assert written == expected
