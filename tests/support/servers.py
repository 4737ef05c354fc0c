"""A web server of this machine that misbehaves as it is told."""

import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Serves `files` by name.

    Attributes:
        files: name to bytes.
        faults: one mapping per request to come, in their order; later requests are answered well. Keys: `status`,
            `headers`, `send` (so many bytes, then the connection ends), `stall_s`, `reset`, `body` (not the file's).
        ranges: whether the server knows ranges.
        requests: the headers of every request so far.
        most: largest number of requests answered at one time.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.faults: list[dict[str, Any]] = []
        self.ranges = True
        self.pause_s = 0.0
        self.requests: list[dict[str, str]] = []
        self.now = self.most = 0
        self.lock = threading.Lock()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        with server.lock:
            server.requests.append(dict(self.headers))
            server.now += 1
            server.most = max(server.most, server.now)
            fault = server.faults.pop(0) if server.faults else {}
        try:
            self.answer(fault)
        finally:
            with server.lock:
                server.now -= 1

    def answer(self, fault: dict[str, Any]) -> None:
        body = fault.get("body", self.server.files[self.path.lstrip("/")])
        status, headers = fault.get("status", 200), dict(fault.get("headers", {}))
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.server.ranges and status == 200 and "body" not in fault:
            start = int(asked[1])
            status = 206 if start < len(body) else 416
            headers |= {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
            body = body[start:]
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        time.sleep(self.server.pause_s)
        self.wfile.write(body[: fault.get("send", len(body))])
        self.wfile.flush()
        time.sleep(fault.get("stall_s", 0))
        if "reset" in fault:
            at_once = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            self.connection.close()


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    with Server(files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
