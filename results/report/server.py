"""Server of one page on the loopback interface: it shows a report that changes while a sweep runs."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files

HOST = "127.0.0.1"
RECENT_S = 5.0
"""Seconds after its last request in which a browser counts as open; the page requests its version each second."""


class PageServer:
    """Server of the newest version of a page, with a frame around it that reloads the page when it changes."""

    def __init__(self, waiting: str) -> None:
        """Serve a free port.

        Args:
            waiting: plain text that is shown until there is a page.
        """
        self._page, self._version, self._ended = waiting, 0, False
        self._requested_at = -RECENT_S
        self._frame = files(__package__ or "").joinpath("watch.html").read_text(encoding="utf-8")
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing."""

        self._http = ThreadingHTTPServer((HOST, 0), Handler)

    @property
    def address(self) -> str:
        """Address for a browser on this machine."""
        return f"http://{HOST}:{self._http.server_port}/"

    def show(self, page: str, *, ended: bool) -> None:
        """Show a page to all open browsers; `ended` announces that it is the last one."""
        self._page, self._version, self._ended = page, self._version + 1, ended

    def wait_for_browsers(self) -> None:
        """Wait until open browsers have had the time to load the newest page."""
        if time.monotonic() - self._requested_at < RECENT_S:
            time.sleep(RECENT_S)

    def serve(self) -> None:
        """Answer requests until `close`."""
        self._http.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """Stop to answer requests, and free the port."""
        self._http.shutdown()
        self._http.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self._requested_at = time.monotonic()
        answers = {
            "/": ("text/html", lambda: self._frame),
            "/page": ("text/html" if self._version else "text/plain", lambda: self._page),
            "/version": ("application/json", lambda: json.dumps({"version": self._version, "ended": self._ended})),
        }
        # Another host name is that of a foreign page whose name resolves to this machine.
        is_own = request.headers.get("Host") == f"{HOST}:{self._http.server_port}"
        found = answers.get(request.path) if is_own else None
        if found is None:
            request.send_error(HTTPStatus.NOT_FOUND if is_own else HTTPStatus.FORBIDDEN)
            return
        kind, content = found
        body = content().encode()
        request.send_response(HTTPStatus.OK)
        request.send_header("Content-Type", f"{kind}; charset=utf-8")
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Cache-Control", "no-store")
        request.end_headers()
        request.wfile.write(body)


@contextmanager
def served(waiting: str) -> Iterator[PageServer]:
    """Yield a server that answers in a thread, and close it at exit."""
    server = PageServer(waiting)
    thread = threading.Thread(target=server.serve, name="page-server", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()
