"""The session in a browser: a page from this computer to this computer, which follows server-sent events.

Source of the wire format: WHATWG HTML, section "Server-sent events".
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, ClassVar

from device_sim.report import palette
from device_sim.report.markup import text
from edgehar.errors import DataError

SHOWS_HZ = 10.0
KEEP_ALIVE_S = 2.0
GOODBYE_S = 3.0  # how long close() waits for the browsers to have the last view


class Page:
    """Serves the page on the loopback interface.

    Args:
        port: 0 takes any that is free.
        labels: of the bundle, for their colours.
        title: of the page.

    Raises:
        DataError: the port is taken.
    """

    def __init__(self, port: int, labels: tuple[str, ...], title: str) -> None:
        self._news = threading.Condition()
        self._view = "{}"
        self._number = 0
        self._closed = False
        self._readers = 0
        self._next = 0.0
        document, policy = _document(labels, title)
        try:
            self._server = _Server(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise DataError(
                f"port {port}: cannot listen there ({error.strerror or error}); choose another --port"
            ) from None
        self._server.page, self._server.document, self._server.policy = self, document, policy
        threading.Thread(target=self._server.serve_forever, name="live page", daemon=True).start()

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def due(self) -> bool:
        """Return whether it is time for another view."""
        return time.monotonic() >= self._next

    def show(self, view: Mapping[str, Any]) -> None:
        """Hand a view to every browser that looks."""
        self._next = time.monotonic() + 1 / SHOWS_HZ
        with self._news:
            self._view = json.dumps(view, ensure_ascii=False, allow_nan=False)
            self._number += 1
            self._news.notify_all()

    def close(self, view: Mapping[str, Any]) -> None:
        """Show the last view, and end."""
        self.show(view)
        with self._news:
            self._closed = True
            self._news.notify_all()
            self._news.wait_for(lambda: not self._readers, GOODBYE_S)
        self._server.shutdown()
        self._server.server_close()

    def views(self) -> Any:
        """Yield each new view as JSON, None to keep the line alive; ends with the last."""
        seen = -1
        with self._news:
            self._readers += 1
        try:
            while True:
                with self._news:
                    if self._number == seen and not self._closed:
                        self._news.wait(KEEP_ALIVE_S)
                    new, last, view = self._number != seen, self._closed, self._view
                    seen = self._number
                yield view if new else None
                if last:
                    return
        finally:
            with self._news:
                self._readers -= 1
                self._news.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    page: Page
    document: bytes
    policy: str


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "edgehar"
    protocol_version = "HTTP/1.1"
    hosts: ClassVar = ("127.0.0.1", "localhost")

    def do_GET(self) -> None:
        """Answer with the page or its events; other names for this computer are refused (DNS rebinding)."""
        if self.headers.get("Host", "").rpartition(":")[0] not in self.hosts:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif self.path == "/":
            self._send_page()
        elif self.path == "/events":
            self._send_events()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, *words: Any) -> None:
        """Say nothing: the terminal belongs to the session."""

    def _send_page(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self.server.document)))
        self.send_header("Content-Security-Policy", self.server.policy)
        self.end_headers()
        self.wfile.write(self.server.document)

    def _send_events(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for view in self.server.page.views():
                self.wfile.write(b": still here\n\n" if view is None else f"data: {view}\n\n".encode())
                self.wfile.flush()
        except OSError:
            pass  # the browser left


def _document(labels: tuple[str, ...], title: str) -> tuple[bytes, str]:
    """The page, and its content security policy."""
    here = files(__package__)
    style = files("device_sim.report").joinpath("style.css").read_text("utf-8")
    script = here.joinpath("page.js").read_text("utf-8")
    shown = palette.activities(labels)
    known = json.dumps(
        [{"label": label, "name": a.name, "colour": a.colour} for label, a in zip(labels, shown, strict=True)]
    )
    body = here.joinpath("page.html").read_text("utf-8")
    for name, value in {
        "title": text(title),
        "style": style + here.joinpath("page.css").read_text("utf-8"),
        "activities": text(known),
        "script": script,
    }.items():
        body = body.replace(f"@{name}@", value)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; connect-src 'self'; "
        "base-uri 'none'"
    )
    return body.encode(), policy
