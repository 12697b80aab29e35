"""The device on samples that come in while it runs: the same decisions as on the recording, whatever the way in."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import FLAGS, find_chromium
from device_fixtures import RATE_HZ, make_tiny_bundle, synthetic_recording

from device_sim.device import Device
from device_sim.engines import open_engine
from device_sim.live.page import Page
from device_sim.live.session import Session
from device_sim.live.sources import Source, line_source, played
from device_sim.live.terminal import picture
from device_sim.stamped import Stamped
from edgehar.bundle import Bundle
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import DataError, UsageError

SAMPLES = synthetic_recording(600, seed=3)
PERIOD_US = round(1e6 / RATE_HZ)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("live")
    return make_tiny_bundle(folder, window=32, hop=16, decision=DecisionSpec("ema", 0.5, 2))


@pytest.fixture(scope="module")
def expected(bundle: Bundle) -> list[tuple[int, bytes]]:
    device = Device(bundle, open_engine("litert", bundle))
    return [(d.label, d.probabilities.tobytes()) for d in device.run(SAMPLES.samples)]


def text(clock: bool = True) -> bytes:
    names = [channel.name for channel in SAMPLES.channels]
    rows = [",".join([*(["t_us"] if clock else []), *names])]
    for k, sample in enumerate(SAMPLES.samples.tolist()):
        rows.append(",".join([*([str(k * PERIOD_US)] if clock else []), *map(repr, sample)]))
    return ("\n".join(rows) + "\n").encode()


def said(bundle: Bundle, source: Source, wanted: int) -> list[tuple[int, bytes]]:
    """Run a session until so many decisions, at most 20 s."""
    session = Session(bundle, open_engine("litert", bundle), source)
    decisions, end = [], time.monotonic() + 20
    for decision in session.run():
        if decision is not None:
            decisions.append((decision.label, decision.probabilities.tobytes()))
        if len(decisions) == wanted or time.monotonic() > end:
            session.stop()
            break
    return decisions


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def in_thread(work: object) -> None:
    threading.Thread(target=work, daemon=True).start()  # type: ignore[arg-type]


def test_a_growing_file(bundle: Bundle, expected: list[tuple[int, bytes]], tmp_path: Path) -> None:
    path, data = tmp_path / "log.csv", text()
    path.write_bytes(data[:1000])

    def write() -> None:
        time.sleep(0.3)
        with path.open("ab") as stream:
            for at in range(1000, len(data), 9000):
                stream.write(data[at : at + 9000])
                stream.flush()
                time.sleep(0.02)

    in_thread(write)
    assert said(bundle, line_source(f"tail:{path}", bundle.manifest), len(expected)) == expected


def test_tcp_from_a_sender_that_connects(bundle: Bundle, expected: list[tuple[int, bytes]]) -> None:
    port = free_port()

    def send() -> None:
        for _ in range(100):
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                    connection.sendall(text())
                return
            except ConnectionRefusedError:
                time.sleep(0.05)

    in_thread(send)
    assert said(bundle, line_source(f"tcp-listen:{port}", bundle.manifest), len(expected)) == expected


def test_tcp_to_a_sender_that_listens(bundle: Bundle, expected: list[tuple[int, bytes]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def send() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(text(clock=False))

        in_thread(send)
        source = line_source(f"tcp:127.0.0.1:{server.getsockname()[1]}", bundle.manifest)
        assert said(bundle, source, len(expected) + 1) == expected


def test_udp_and_what_the_network_does_to_it(bundle: Bundle, expected: list[tuple[int, bytes]]) -> None:
    """Datagrams come twice and in another order; the stamps put it right."""
    port = free_port(socket.SOCK_DGRAM)
    names, *rows = text().splitlines()
    columns = names.decode().split(",")

    def send() -> None:
        time.sleep(0.3)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for at in range(0, len(rows), 10):
                packet = b"\n".join(rows[at : at + 10])
                for _ in range(2):
                    sender.sendto(packet, ("127.0.0.1", port))
                time.sleep(0.002)

    in_thread(send)
    source = line_source(f"udp:{port}", bundle.manifest, columns)
    assert said(bundle, source, len(expected)) == expected


def test_a_serial_port(bundle: Bundle, expected: list[tuple[int, bytes]]) -> None:
    ours, theirs = os.openpty()

    def send() -> None:
        time.sleep(0.3)
        data = b"0.5,half a line\n" + text()
        with contextlib.suppress(OSError):  # nobody listens any more once the decisions are there
            for at in range(0, len(data), 500):
                os.write(ours, data[at : at + 500])
                time.sleep(0.001)

    in_thread(send)
    source = line_source(f"serial:{os.ttyname(theirs)}@115200", bundle.manifest)
    try:
        assert said(bundle, source, len(expected)) == expected
        assert source.lines is not None and source.lines.bad_lines == 1
    finally:
        os.close(ours)
        os.close(theirs)


def test_standard_input_of_the_command_without_torch(bundle: Bundle, expected: list[tuple[int, bytes]]) -> None:
    command = [sys.executable, "-W", "error", "-m", "device_sim.live", str(bundle.path), "-"]
    done = subprocess.run(command, input=text(), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert f"600 samples, {len(expected)} decisions" in done.stdout.decode()


def test_a_gap_begins_anew_and_is_counted(bundle: Bundle) -> None:
    stamps = np.arange(400, dtype=np.int64) * PERIOD_US
    stamps[200:] += 60_000_000

    def chunks() -> Iterator[Stamped]:
        yield Stamped(stamps, SAMPLES.samples[:400])

    session = Session(bundle, open_engine("litert", bundle), _Stamped("made", chunks, waits=True))
    decisions = [(d.label, d.probabilities.tobytes()) for d in session.run() if d is not None]
    device = Device(bundle, open_engine("litert", bundle))
    parts = []
    for part in (SAMPLES.samples[:200], SAMPLES.samples[200:400]):
        device.reset()
        parts += [(d.label, d.probabilities.tobytes()) for d in device.run(part)]
    assert decisions == parts
    assert session.counts()["stream_breaks"] == 1


class _Stamped(Source):
    stamped = True


def _flood(chunk: int, count: int) -> Iterator[Stamped]:
    for k in range(count):
        yield Stamped(np.arange(chunk, dtype=np.int64) + k * chunk, np.zeros((chunk, 6), np.float32))


@pytest.mark.parametrize("waits", [True, False])
def test_a_source_that_is_too_fast_waits_or_is_counted(bundle: Bundle, waits: bool) -> None:
    source = Source("flood", lambda: _flood(40, 100), waits)
    session = Session(bundle, open_engine("litert", bundle), source, queue_s=1.0)
    for decision in session.run():
        if decision is not None:
            time.sleep(0.001)
    counts = session.counts()
    assert counts["samples"] + counts["dropped_samples"] == 4000
    assert (counts["dropped_samples"] == 0, counts["source_waits"] > 0) == (waits, waits)


def test_what_cannot_be_a_source(bundle: Bundle) -> None:
    for spec in ("gps:1", "tcp:host:port", "udp:70000", "serial:/dev/x@fast", "tail:"):
        with pytest.raises(UsageError, match="expected"):
            line_source(spec, bundle.manifest)
    for spec in (f"tcp:127.0.0.1:{free_port()}", "serial:/dev/nothing-here"):
        with pytest.raises(DataError, match=r"no connection|plugged in"):
            said(bundle, line_source(spec, bundle.manifest), 1)


def test_the_picture_fits_the_terminal(bundle: Bundle) -> None:
    session = Session(bundle, open_engine("litert", bundle), played(SAMPLES, bundle.manifest, 1e6))
    list(session.run())
    lines = picture(session.view(200), 80)
    assert max(map(len, lines)) <= 80
    assert any("acc_x" in line and "▁" in line for line in lines)


def test_the_page_in_a_browser(bundle: Bundle, tmp_path: Path) -> None:
    session = Session(bundle, open_engine("litert", bundle), played(SAMPLES, bundle.manifest, 200.0))
    list(session.run())
    page = Page(0, session.labels, "tiny live")
    page.show(session.view(300))
    command = [
        find_chromium(), *FLAGS, f"--user-data-dir={tmp_path}", "--virtual-time-budget=3000", "--dump-dom",
        page.address,
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode()
    page.close(session.view())
    root = re.search(r"<html[^>]*>", dom)
    assert root is not None and f'data-decisions="{session.decisions}"' in root[0]
    for label in ("Sitting", "Walking", "Jumping"):
        assert label in dom
    assert dom.count("<canvas") == 6 and "600 samples" in dom


def test_the_page_answers_this_computer_alone(bundle: Bundle) -> None:
    page = Page(0, ("a", "b"), "made")
    host, port = "127.0.0.1", int(page.address.rstrip("/").rpartition(":")[2])
    with socket.create_connection((host, port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: evil.example:80\r\nConnection: close\r\n\r\n")
        assert b"421" in connection.recv(100).split(b"\r\n")[0]
    with pytest.raises(DataError, match="another --port"):
        Page(port, ("a", "b"), "made")
    page.close({})


@pytest.mark.parametrize(
    "where", [["tail:nowhere.csv"], ["--speed", "1e6", "--json", "/dev/null/a"]], ids=["no file", "in a file"]
)
def test_what_the_system_refuses_is_one_line(bundle: Bundle, where: list[str]) -> None:
    command = [sys.executable, "-m", "device_sim.live", str(bundle.path), *where]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("edgehar: error: ") and done.stderr.count("\n") == 1
