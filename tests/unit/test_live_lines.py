"""Lines of text to stamped samples: names, clocks, half lines, and what cannot be read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.live.lines import BAD_AT_FIRST, LONGEST_LINE, LineReader
from edgehar.errors import DataError

CHANNELS = ("acc_x", "acc_y")


def test_names_order_the_cells_and_name_the_clock():
    lines = LineReader(CHANNELS, 50.0)
    chunk = lines.feed(b"\xef\xbb\xbft_ms; acc_y; noise; acc_x\n20; 2; 9; 1\n40.5;4;9;3\n")
    assert chunk.t_us.tolist() == [20_000, 40_500]
    assert chunk.samples.tolist() == [[1, 2], [3, 4]]
    assert lines.stamped and lines.bad_lines == 0


def test_without_names_samples_are_at_the_rate():
    lines = LineReader(CHANNELS, 50.0)
    assert lines.feed(b"1,2\n3,4\n5,6\n").t_us.tolist() == [0, 20_000, 40_000]
    assert not lines.stamped


def test_names_come_again_with_the_next_sender():
    lines = LineReader(CHANNELS, 50.0)
    chunk = lines.feed(b"acc_x acc_y\n1 2\nacc_y acc_x\n1 2\n")
    assert chunk.samples.tolist() == [[1, 2], [2, 1]] and lines.bad_lines == 0


@given(st.lists(st.integers(1, 9), max_size=12))
def test_however_the_bytes_are_cut_the_samples_are_the_same(cuts):
    text = b"t_us,acc_x,acc_y\r\n" + b"".join(b"%d,%d,nan\r\n" % (20_000 * i, i) for i in range(6))
    whole = LineReader(CHANNELS, 50.0).feed(text)
    lines, parts, at = LineReader(CHANNELS, 50.0), [], 0
    for cut in cuts:
        parts.append(lines.feed(text[at : at + cut]))
        at += cut
    parts.append(lines.feed(text[at:]))
    np.testing.assert_array_equal(np.concatenate([p.samples for p in parts]), whole.samples)
    assert np.concatenate([p.t_us for p in parts]).tolist() == whole.t_us.tolist()


def test_half_and_broken_lines_are_counted_and_left_out():
    lines = LineReader(CHANNELS, 50.0)
    chunk = lines.feed(b"5\n1,2\n1,x\n\n1,2,3\n" + b"9" * (LONGEST_LINE + 1))
    more = lines.feed(b"9" * 2 * LONGEST_LINE + b"\n3,4\n")
    assert chunk.samples.tolist() == [[1, 2]] and more.samples.tolist() == [[3, 4]]
    assert lines.bad_lines == 4 and "more than" in lines.trouble


def test_a_datagram_is_complete_without_a_newline():
    lines = LineReader(CHANNELS, 50.0, datagrams=True)
    assert len(lines.feed(b"1,2\n3,4")) == 2 and len(lines.feed(b"5,6")) == 1


def test_numbers_too_large_are_infinite_or_bad_never_wrong():
    lines = LineReader(CHANNELS, 50.0, ("t_s", *CHANNELS))
    chunk = lines.feed(b"1,1e300,2\n1e30,1,2\nnan,1,2\ninf,1,2\n")
    assert chunk.samples.tolist() == [[np.inf, 2]] and lines.bad_lines == 3


def test_what_is_no_sensor_is_refused():
    with pytest.raises(DataError, match=f"none of the first {BAD_AT_FIRST} lines"):
        LineReader(CHANNELS, 50.0).feed(b"hello world\n" * BAD_AT_FIRST)
    with pytest.raises(DataError, match="no column acc_y among acc_x, t_s"):
        LineReader(CHANNELS, 50.0).feed(b"acc_x,t_s\n")
