"""HTTP: a page that is asked for, values that are posted to one, and values that others post here."""

from __future__ import annotations

import json
import sys
import threading
import urllib.request
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from ticktalk.connect.newest import MOST, Newest
from ticktalk.errors import TTError

LONGEST = 1 << 20
"""Bytes of an answer, or of what is posted here."""


class Http:
    """A page of another server.

    Args:
        url: with `http://` or `https://`.
        timeout: seconds to wait for an answer; the body waits as long.
        headers: sent with each request.
    """

    def __init__(self, url: str, timeout: float = 2.0, headers: dict[str, str] | None = None) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise TTError(f"{url}: an address begins with http:// or https://")
        self._url, self._timeout, self._headers = url, timeout, headers or {}

    def read(self) -> Any:
        """Ask for the page: JSON as data, all else as text.

        Raises:
            OSError: no answer, or one that tells of an error.
            ValueError: the answer is too long.
        """
        return self._ask(None)

    def post(self, value: Any) -> Any:
        """Send a value as JSON; gives the answer, as `read` does.

        Raises:
            OSError, ValueError: as `read`; TypeError: JSON does not hold the value.
        """
        return self._ask(json.dumps(value).encode())

    def _ask(self, data: bytes | None) -> Any:
        headers = {"Content-Type": "application/json", **self._headers} if data is not None else self._headers
        request = urllib.request.Request(self._url, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                found = answer.read(LONGEST + 1)
        except HTTPException as error:
            raise OSError(f"{self._url}: the answer breaks off, or is none: {error!r}") from None
        if len(found) > LONGEST:
            raise ValueError(f"{self._url}: the answer is longer than {LONGEST} bytes")
        try:
            return json.loads(found)
        except (ValueError, RecursionError):
            return found.decode("utf-8", "replace")


CONNECTIONS = 32
"""Connections at one time; further ones are closed, and counted."""


class _Server(ThreadingHTTPServer):
    """Serves each connection in a thread of its own, and so many at most."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.refused = 0
        self._room = threading.Semaphore(CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
                return
            except RuntimeError:  # the system gives no thread for it
                self._room.release()
        self.refused += 1
        self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # that says only that the other has broken off
            super().handle_error(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()


class HttpInbox(Newest):
    """Takes JSON that others post to this device.

    Whoever reaches the address may post, but no page that a browser shows. So it listens on loopback unless told
    otherwise; put it behind a proxy that checks who asks. It serves `CONNECTIONS` at one time.

    Args:
        port: 0: any that is free; `self.port` says which.
        ip: the address on which it listens.
        most: values that wait to be read.
    """

    def __init__(self, port: int = 0, ip: str = "127.0.0.1", most: int = MOST) -> None:
        super().__init__(most)
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5  # seconds for which a silent connection is kept

            def do_POST(self) -> None:
                if "Origin" in self.headers:  # so a browser says that a page asks, which may be of anybody
                    self.send_error(403, "not for pages")
                    return
                try:
                    length = int(self.headers.get("Content-Length", ""))
                    if not 0 <= length <= LONGEST:
                        raise ValueError
                    value = json.loads(self.rfile.read(length))
                except (ValueError, RecursionError):
                    self.send_error(400, "not JSON, or too long")
                    return
                inbox.put(value)
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:
                """Requests of others are not printed."""

        self._server = _Server((ip, port), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="ticktalk inbox", daemon=True).start()

    @property
    def refused(self) -> int:
        """Connections that were closed at once: too many were open, or there was no thread for them."""
        return self._server.refused

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
