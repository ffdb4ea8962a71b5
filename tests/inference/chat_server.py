"""A small OpenAI-compatible server on this machine: answers, and misbehaves in the ways it is told to."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

Fault = Callable[[BaseHTTPRequestHandler], bool]
"""Does something wrong and says whether the request is dealt with."""


@dataclass
class ChatServer:
    """Use as a context manager. `faults`: one per coming request, then no more. `faulty`: for every request whose text
    holds the key."""

    faults: list[Fault] = field(default_factory=list)
    faulty: dict[str, Fault] = field(default_factory=dict)
    delay_s: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> ChatServer:
        chat = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with chat._lock:
                    chat._now += 1
                    chat.most_at_once = max(chat.most_at_once, chat._now)
                    chat.asked.append(body)
                    chat.headers.append({key.lower(): value for key, value in self.headers.items()})
                    fault = chat.faults.pop(0) if chat.faults else None
                try:
                    time.sleep(chat.delay_s)
                    texts, pictures = read_message(body)
                    fault = fault or next((f for key, f in chat.faulty.items() if key in texts), None)
                    if self.path != "/v1/chat/completions":
                        say(self, 404, b"no such route")
                    elif fault is None or not fault(self):
                        say(self, 200, completion(f"{texts} [{' '.join(f'{w}x{h}' for w, h in pictures)}]"))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                finally:
                    with chat._lock:
                        chat._now -= 1

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def read_message(body: dict[str, Any]) -> tuple[str, list[tuple[int, int]]]:
    """(text, sizes of the pictures) of the last message."""
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content, []
    sizes = []
    for part in content:
        if part["type"] == "image_url":
            head, _, data = part["image_url"]["url"].partition(",")
            assert head == "data:image/png;base64"
            with Image.open(io.BytesIO(base64.b64decode(data))) as opened:
                sizes.append(opened.size)
    return "\n".join(part["text"] for part in content if part["type"] == "text"), sizes


def completion(text: str | None, **changes: Any) -> bytes:
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    choice |= {key: value for key, value in changes.items() if key == "finish_reason"}
    choice["message"] |= {key: value for key, value in changes.items() if key != "finish_reason"}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 11, "completion_tokens": 4}}).encode()


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> bool:
    handler.send_response(status)
    for key, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(key.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)
    return True


def status(code: int, body: bytes = b"", **headers: str) -> Fault:
    return lambda handler: say(handler, code, body, **headers)


def reply(body: bytes) -> Fault:
    return lambda handler: say(handler, 200, body)


def hang_up(handler: BaseHTTPRequestHandler) -> bool:
    """Announce more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices"')
    handler.close_connection = True
    return True


def drip(handler: BaseHTTPRequestHandler) -> bool:
    """A byte now and then, so that no single read is late."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.02)
    return True


def sleep(seconds: float) -> Fault:
    def late(handler: BaseHTTPRequestHandler) -> bool:
        time.sleep(seconds)
        return False

    return late
