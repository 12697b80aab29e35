"""Where bytes come from: standard input, a growing file, TCP, UDP, a serial port.

A transport yields blocks of bytes, and an empty block at least every ``PATIENCE_S`` while nothing comes, so that
whoever reads can stop it. It ends when the far end is done.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edgehar.errors import DataError, MissingExtraError, UsageError

PATIENCE_S = 0.1
BLOCK_BYTES = 4096
DEFAULT_BAUD = 115_200
LAST_PORT = 65_535


@dataclass(frozen=True)
class Transport:
    """A way in.

    Attributes:
        name: as the user wrote it.
        blocks: yields bytes; empty while nothing comes.
        waits: the far end can be made to wait; otherwise what comes while the device is behind is lost.
        datagrams: each block is a message of its own.
    """

    name: str
    blocks: Callable[[], Iterator[bytes]]
    waits: bool = True
    datagrams: bool = False


def open_transport(spec: str) -> Transport:
    """Return the transport that ``spec`` names; nothing is opened before its first block is asked for.

    Args:
        spec: ``-``, or ``KIND:PLACE`` with a kind of ``TRANSPORTS``.

    Raises:
        UsageError: there is no such kind, or its place is malformed.
    """
    if spec == "-":
        return Transport("standard input", _standard_input)
    kind, _, place = spec.partition(":")
    if kind not in TRANSPORTS:
        raise UsageError(f"source {spec!r}: no kind {kind!r}, expected - or one of {', '.join(TRANSPORTS)}")
    return TRANSPORTS[kind](spec, place.removeprefix("//"))


def _standard_input() -> Iterator[bytes]:
    descriptor = sys.stdin.fileno()
    while True:
        if not select.select([descriptor], [], [], PATIENCE_S)[0]:
            yield b""
            continue
        block = os.read(descriptor, BLOCK_BYTES)
        if not block:
            return
        yield block


def _tail(spec: str, place: str) -> Transport:
    path = Path(_present(spec, place))

    def blocks() -> Iterator[bytes]:
        """Read what is there and what is appended; from the start when the file is cut or another takes its place."""
        while True:
            with path.open("rb") as stream:
                yield from _growing(path, stream.fileno())
            yield b"\n"  # the old file may have ended in the middle of a line

    return Transport(spec, blocks)


def _growing(path: Path, descriptor: int) -> Iterator[bytes]:
    place = os.fstat(descriptor)
    position = 0
    while True:
        block = os.read(descriptor, BLOCK_BYTES)
        position += len(block)
        if block:
            yield block
            continue
        try:
            now = path.stat()
        except FileNotFoundError:
            now = place  # between two files
        if (now.st_dev, now.st_ino) != (place.st_dev, place.st_ino) or now.st_size < position:
            return
        time.sleep(PATIENCE_S)
        yield b""


def _tcp(spec: str, place: str) -> Transport:
    address = _address(spec, place)

    def blocks() -> Iterator[bytes]:
        try:
            connection = socket.create_connection(address, timeout=10)
        except OSError as error:
            raise DataError(f"source {spec!r}: no connection ({error}); is the sender listening?") from None
        yield from _received(connection, spec)

    return Transport(spec, blocks)


def _tcp_listen(spec: str, place: str) -> Transport:
    address = _address(spec, place)

    def blocks() -> Iterator[bytes]:
        """Serve one sender after the other."""
        with _bound(spec, socket.SOCK_STREAM, address) as server:
            server.listen(1)
            while True:
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    yield b""
                    continue
                yield from _received(connection, spec)
                yield b"\n"  # the sender may have left in the middle of a line

    return Transport(spec, blocks)


def _received(connection: socket.socket, spec: str) -> Iterator[bytes]:
    with closing(connection):
        connection.settimeout(PATIENCE_S)
        while True:
            try:
                block = connection.recv(BLOCK_BYTES)
            except TimeoutError:
                yield b""
                continue
            except OSError as error:
                raise DataError(f"source {spec!r}: the connection broke ({error.strerror or error})") from None
            if not block:
                return
            yield block


def _udp(spec: str, place: str) -> Transport:
    address = _address(spec, place)

    def blocks() -> Iterator[bytes]:
        with _bound(spec, socket.SOCK_DGRAM, address) as receiver:
            while True:
                try:
                    yield receiver.recv(LAST_PORT)
                except TimeoutError:
                    yield b""

    return Transport(spec, blocks, waits=False, datagrams=True)


def _bound(spec: str, kind: socket.SocketKind, address: tuple[str, int]) -> socket.socket:
    endpoint = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, kind)
    try:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        endpoint.bind(address)
    except OSError as error:
        endpoint.close()
        raise DataError(
            f"source {spec!r}: cannot listen there ({error.strerror or error}); choose another port"
        ) from None
    endpoint.settimeout(PATIENCE_S)
    return endpoint


def _serial(spec: str, place: str) -> Transport:
    device, _, text = _present(spec, place).partition("@")
    if text and not (text.isascii() and text.isdigit()):
        raise UsageError(
            f"source {spec!r}: the rate is {text!r}, expected serial:DEVICE@BAUD like serial:/dev/ttyACM0@115200"
        )
    baud = int(text or DEFAULT_BAUD)

    def blocks() -> Iterator[bytes]:
        try:
            import serial
        except ModuleNotFoundError:
            raise MissingExtraError("pyserial", "serial", "a serial port") from None
        try:
            with serial.Serial(device, baud, timeout=PATIENCE_S) as port:
                while True:
                    yield port.read(max(1, port.in_waiting))
        except (serial.SerialException, ValueError, OSError) as error:
            raise DataError(f"source {spec!r}: {error}; is it plugged in, and may you read it?") from None

    return Transport(spec, blocks, waits=False)


TRANSPORTS: dict[str, Callable[[str, str], Transport]] = {
    "tail": _tail,
    "tcp": _tcp,
    "tcp-listen": _tcp_listen,
    "udp": _udp,
    "serial": _serial,
}


def _present(spec: str, place: str) -> str:
    if not place:
        raise UsageError(f"source {spec!r}: nothing after the colon, expected a path")
    return place


def _address(spec: str, place: str) -> tuple[str, int]:
    """``HOST:PORT``, ``[HOST]:PORT`` or ``PORT`` alone, which is this computer's own."""
    host, _, port = place.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 <= int(port) <= LAST_PORT):
        raise UsageError(f"source {spec!r}: the port is {port!r}, expected HOST:PORT or PORT, 0..{LAST_PORT}")
    return host.strip("[]") or "127.0.0.1", int(port)
