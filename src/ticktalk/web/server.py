"""The dashboard's server: the page, what it shows, and what is asked of the manager there.

It runs in a thread of its own, and asks the manager through its one door, as every other requester. Nobody gets
anything without the secret that is in the address: other users of this host can reach a port on loopback, too. A
browser is sent no other server's content, and takes none.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from importlib.resources import files
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.http.h11_impl import H11Protocol

from ticktalk.errors import TTError
from ticktalk.graph.drawing import draw
from ticktalk.manager.state import ManagerState
from ticktalk.payloads import OutputToken
from ticktalk.physical.trust.trust import is_loopback
from ticktalk.web.latest_looks import Looks, Streams
from ticktalk.web.metrics import metrics_text

logger = logging.getLogger("ticktalk")

PERIOD = 0.5
"""Seconds between two looks at the system; more where one takes long."""

PART = 20
"""A look takes at most this part of the time: the manager has other things to do."""

AGAIN = 5.0
"""Seconds after which a page is sent the latest look once more, if there is no other: so it sees that we are there."""

STRANGERS = 50
"""Connections at a time whose peers have not shown the secret; the oldest goes."""

READERS = 20
"""Pages that are shown at a time."""

LONGEST_GRAPH = 32 << 20
"""Bytes of a graph file that is deployed from a page."""

ERRORS = 20
"""The latest errors that a page shows, with their tracebacks."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Dashboard:
    """A dashboard of a system.

    Args:
        state: all that its manager knows; it is read only.
        status: asks the manager for its status, in any thread; None: looks are handed in (`look`), as by a simulation.
        acts: what a page may ask for, by name: a function of the request's JSON.
        port: of this host; 0: any that is free.
        host: the address on which it listens.

    Attributes:
        address: its address with the secret, for a browser.

    Raises:
        TTError: the port is in use, or the host has no such address.
    """

    def __init__(
        self,
        state: ManagerState,
        status: Callable[[], dict[str, Any]] | None,
        acts: Mapping[str, Callable[[dict[str, Any]], Any]],
        port: int,
        host: str = "127.0.0.1",
    ) -> None:
        self._state, self._ask, self._acts = state, status, acts
        self._latest: dict[str, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._secret = secrets.token_urlsafe(24)
        self._looks, self._streams = Looks(), Streams()
        self._looked = asyncio.Event()
        self._readers = 0
        self._socket = _listening(host, port)
        self._port = self._socket.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        self.address = f"http://{name}:{self._port}/?token={self._secret}"
        routes = [
            Route("/", self._page),
            Route("/page/{name}", self._file),
            Route("/api/status", self._status),
            Route("/api/looks", self._span),
            Route("/api/looks/{number:int}", self._look),
            Route("/api/graphs/{graph}.svg", self._picture),
            Route("/api/do/{name}", self._do, methods=["POST"]),
            Route("/metrics", self._metrics),
            WebSocketRoute("/api/live", self._live),
        ]
        app = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={TTError: _refused})
        strangers = Strangers()
        config = uvicorn.Config(
            _Guarded(app, self._secret, self._port, strangers), log_level="warning", ws="auto", ws_max_size=1 << 16,
            ws_per_message_deflate=False, timeout_graceful_shutdown=1, access_log=False,
            http=_connections(strangers), proxy_headers=False,  # a stranger is known by its connection
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="dashboard", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except Exception:
            logger.exception("the dashboard has ended by an error; the system runs on")

    def show(self, state: ManagerState) -> None:
        """Show another manager's system from the next look on."""
        self._state = state

    def close(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(5.0)
        self._socket.close()

    def output(self, token: OutputToken) -> None:
        """Take note of an output; in any one thread."""
        self._streams.add(token)

    # Looking at the system.

    def _lifespan(self, app: Starlette) -> Any:
        return _While(self._watch)

    async def _watch(self) -> None:
        """Look again and again, if that is done here."""
        self._loop = asyncio.get_running_loop()
        while self._ask is not None:
            began = time.monotonic()
            try:
                self.look(await run_in_threadpool(self._ask))
            except TTError:
                pass  # it ends, or does not answer now
            except Exception:
                logger.exception("the dashboard could not look at the system; it tries again")
            await asyncio.sleep(max(PERIOD, PART * (time.monotonic() - began)))
        await asyncio.Event().wait()

    def look(self, status: dict[str, Any]) -> None:
        """Take a status; in one thread at a time."""
        self._latest = status
        for graph in status["graphs"]:
            graph["placed"] = _version(graph["mapping"], graph["waits"])
        errors = [{"text": str(error), "traceback": error.traceback} for error in self._state.latest_errors[-ERRORS:]]
        self._looks.add(status["now"], {**status, "latest_errors": errors, "acts": sorted(self._acts)})
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._wake)

    def ended(self) -> None:
        """Show the latest look as the end of the run: what would go on is told as ended. Looks are handed in."""
        for graph in self._latest["graphs"]:
            for each in (graph, *graph["contexts"]):
                if each["state"] == "running":
                    each["state"] = "ended"
        self.look(self._latest)

    def _wake(self) -> None:
        self._looked.set()
        self._looked = asyncio.Event()

    # Requests of a browser.

    async def _page(self, request: Request) -> Response:
        return await self._file(request, "index.html")

    async def _file(self, request: Request, name: str = "") -> Response:
        name = name or request.path_params["name"]
        if name not in _FILES:
            return Response("there is no such page", 404)
        content = files("ticktalk.web").joinpath("page", name).read_bytes()
        return Response(content, media_type=_FILES[name], headers=HEADERS)

    async def _status(self, request: Request) -> Response:
        return JSONResponse(await self._now(), headers=HEADERS)

    async def _now(self) -> dict[str, Any]:
        return self._latest if self._ask is None else await run_in_threadpool(self._ask)

    async def _span(self, request: Request) -> Response:
        return JSONResponse(self._looks.span(), headers=HEADERS)

    async def _look(self, request: Request) -> Response:
        text = self._looks.text(request.path_params["number"])
        if text is None:
            return JSONResponse({"error": "that is too long ago"}, 404, headers=HEADERS)
        return Response(text, media_type="application/json", headers=HEADERS)

    async def _picture(self, request: Request) -> Response:
        graph = self._state.graphs.get(request.path_params["graph"])
        if graph is None:
            return JSONResponse({"error": "there is no such graph"}, 404, headers=HEADERS)
        hosts = {sq: host for sq, host in graph.host_of.items() if host}
        svg = await run_in_threadpool(draw, graph.graph, "svg", hosts)
        return Response(svg, media_type="image/svg+xml", headers=HEADERS)

    async def _metrics(self, request: Request) -> Response:
        return Response(metrics_text(await self._now()), media_type="text/plain; version=0.0.4", headers=HEADERS)

    async def _do(self, request: Request) -> Response:
        act = self._acts.get(request.path_params["name"])
        if act is None:
            return JSONResponse({"error": "that cannot be asked for here"}, 404, headers=HEADERS)
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > LONGEST_GRAPH:
                return JSONResponse(
                    {"error": f"more than {LONGEST_GRAPH >> 20} MB are not taken"}, 413, headers=HEADERS
                )
        try:
            asked = json.loads(content or b"{}")
            if not isinstance(asked, dict):
                raise ValueError("a JSON object is wanted")
            told = await run_in_threadpool(act, asked)
        except (TTError, ValueError, KeyError, TypeError, RecursionError) as error:
            what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            return JSONResponse({"error": what}, 400, headers=HEADERS)
        return JSONResponse({"told": told}, headers=HEADERS)

    async def _live(self, page: WebSocket) -> None:
        """Send each look, and the new outputs, until the page is closed."""
        if self._readers >= READERS:
            await page.close(1013, f"{READERS} pages are shown already")
            return
        self._readers += 1
        try:
            await page.accept()
            gone = asyncio.create_task(_until_closed(page))
            known: dict[str, int] = {}
            while not gone.done():
                looked = self._looked  # before the look is taken: none is missed
                number, text = self._looks.newest
                new = self._streams.since(known)
                known.update({name: row["count"] for name, row in new.items()})
                if number:
                    await page.send_text(f'{{"look": {text}, "outputs": {json.dumps(new)}}}')
                waits = asyncio.ensure_future(looked.wait())
                await asyncio.wait([gone, waits], timeout=AGAIN, return_when=asyncio.FIRST_COMPLETED)
                waits.cancel()
        except (WebSocketDisconnect, RuntimeError):
            pass  # the page is gone
        finally:
            self._readers -= 1


async def _until_closed(page: WebSocket) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await page.receive_text()  # a page says nothing


class _While:
    """While the server runs, a task of its own does, too."""

    def __init__(self, task: Callable[[], Awaitable[None]]) -> None:
        self._do = task

    async def __aenter__(self) -> None:
        self._task = asyncio.ensure_future(self._do())

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


class Strangers:
    """The connections whose peers have not shown the secret: a few at a time, so that they take nothing from others."""

    def __init__(self) -> None:
        self._open: dict[Any, asyncio.Transport] = {}

    def add(self, transport: asyncio.Transport) -> None:
        """Take a new one; the oldest goes, if there are too many."""
        self._open[transport.get_extra_info("peername")[:2]] = transport
        if len(self._open) > STRANGERS:
            self._open.pop(next(iter(self._open))).abort()

    def remove(self, peer: Any) -> None:
        """One has shown the secret, or is closed; `peer`: address and port."""
        self._open.pop(peer, None)


def _connections(strangers: Strangers) -> type[asyncio.Protocol]:
    """The protocol of a connection: it is a stranger at first.

    Of uvicorn's two parsers the one that bounds what a stranger sends before it shows the secret.
    """

    class Connection(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self.peer = transport.get_extra_info("peername")[:2]
            strangers.add(transport)
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            strangers.remove(self.peer)
            super().connection_lost(error)

    return Connection


class _Guarded:
    """Lets those in who know the secret, by their browser's cookie, the address or a header; and no page of others.

    A reverse proxy on this host says in `X-Forwarded-*` for whom it asks. Nobody is let in by these. They tell under
    which name a browser knows this server, and whether the secret can be read on its way.

    Args:
        app: what they are let in to.
        secret: the secret.
        port: the port, which names the cookie: two dashboards on a host do not overwrite each other's.
        strangers: those that have not shown the secret.
    """

    def __init__(self, app: ASGIApp, secret: str, port: int, strangers: Strangers) -> None:
        self._app, self._secret, self._cookie, self._strangers = app, secret, f"ticktalk-{port}", strangers
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        in_address = asked.query_params.get("token", "")
        bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
        proofs = (in_address, bearer, asked.cookies.get(self._cookie, ""))
        origin = asked.headers.get("origin")
        # A page of another server may send requests with our cookie, but says in this header where it is from.
        # It cannot set the header of a proxy: a browser would ask us first. A page may hide where it is from (`null`).
        names = asked.headers.get("host"), asked.headers.get("x-forwarded-host")
        own = origin is None or (origin.partition("://")[2] or origin) in names
        if not own or not any(hmac.compare_digest(proof.encode(), self._secret.encode()) for proof in proofs):
            await _turn_away(scope, receive, send)
            return
        if asked.client is not None:
            self._strangers.remove((asked.client.host, asked.client.port))
        encrypted = asked.headers.get("x-forwarded-proto", "") == "https"
        self._warn(asked.headers.get("x-forwarded-for", "").partition(",")[0].strip(), encrypted)
        if in_address and scope["type"] == "http" and scope["path"] == "/":
            # The secret goes into a cookie, and out of what the browser shows and remembers.
            answer = RedirectResponse("/", 303, HEADERS)
            answer.set_cookie(self._cookie, self._secret, httponly=True, samesite="strict", secure=encrypted)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _warn(self, browser: str, encrypted: bool) -> None:
        """Say once that a proxy lets the secret be read on its way to a browser elsewhere."""
        if browser and not encrypted and not is_loopback(browser) and not self._warned:
            self._warned = True
            logger.warning(
                "the dashboard is forwarded to %.60r by a proxy that does not say it encrypts (X-Forwarded-Proto:"
                " https): its token can be read on the way there; let the proxy use HTTPS",
                browser,
            )


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).close(1008)
        return
    text = "open the address that `ticktalk` has printed, with its token: without it nobody is let in"
    await Response(text, 403, HEADERS, "text/plain")(scope, receive, send)


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400, headers=HEADERS)


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise TTError(f"--web {port}: the dashboard cannot listen at {host}:{port}: {why}; give another port") from None


def _version(*what: Any) -> str:
    """A text that is another one when what it is of has changed."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]


_FILES = {"index.html": "text/html", "app.js": "text/javascript", "app.css": "text/css"}
