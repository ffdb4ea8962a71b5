"""Any OpenAI-compatible server (vLLM, Vesalius' own, others) asked as a model on this machine is asked."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from vesalius.dialogue.messages import text_of
from vesalius.errors import ModelError, OptionError, VesaliusError
from vesalius.inference.answer import Answer, Usage
from vesalius.inference.endpoint_messages import chat_messages
from vesalius.inference.endpoint_reply import Reply, read_reply
from vesalius.inference.model import conversation_of

if TYPE_CHECKING:
    from httpx2 import Client, Response

__all__ = ["KEY_VARIABLE", "Endpoint", "Patience", "chat_address"]

KEY_VARIABLE = "VESALIUS_ENDPOINT_KEY"
"""Environment variable whose value is sent as bearer token."""

_MOST_BYTES = 32 << 20
_BUSY = (408, 409, 425, 429, 500, 502, 503, 504)
T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """`timeout_s`: for one whole reply.  `retries`: after the first try.  `backoff_s`: before the first retry, doubled
    at each.  `longest_wait_s`: most that one wait takes, whatever Retry-After asks for.  `give_up_after`: items in a
    row that may fail because the server is late, busy or broken before it counts as down."""

    timeout_s: float = 300.0
    retries: int = 5
    backoff_s: float = 1.0
    longest_wait_s: float = 60.0
    give_up_after: int = 8


@dataclass(frozen=True)
class _Trouble:
    """A try that may go better later. `wait_s`: what the server asked for."""

    what: str
    wait_s: float | None = None
    unreachable: bool = False


class Endpoint:
    """A model behind /v1/chat/completions. Pictures are sent as PNG; several requests are under way at a time."""

    notice = ""
    asks_apart = True
    """Every request is drawn by itself, with its own seed."""

    def __init__(self, url: str, model: str, *, key: str | None = None, patience: Patience | None = None) -> None:
        """`url`: the server, with or without /v1 or the whole path. `key`: bearer token; None takes
        $VESALIUS_ENDPOINT_KEY. Nothing is sent yet. OptionError for an address that is none."""
        self.name = model
        self.address = chat_address(url)
        self.patience = patience or Patience()
        self._key = key if key is not None else os.environ.get(KEY_VARIABLE, "")
        if not (self._key.isascii() and (not self._key or self._key.isprintable())):
            raise OptionError("the endpoint's key holds characters no key has.", fix=f"Check ${KEY_VARIABLE}.")
        self._failed_in_a_row = 0
        self._count = threading.Lock()

    def ask_batch(
        self,
        requests: Sequence[Any],
        *,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        seed: int | None = None,
        batch_size: int = 8,
        seeds: Sequence[int] | None = None,
        **options: Any,
    ) -> list[Answer]:
        """Answer (source, question) pairs or conversations, in order, `batch_size` at a time.

        `seeds`: one for each request, in place of `seed`. `options` go into the request as they are. An item the
        server does not answer gives an Answer whose `usage.finish` is "error" and whose `trace["error"]` says why.
        Raises ModelError when the server cannot be reached, refuses the key or model, or fails too often in a row;
        what reading the media raises.
        """
        asked: list[tuple[dict[str, Any], str, tuple[Any, ...]]] = []
        for place, one in enumerate(requests):
            drawn = seed if seeds is None else seeds[place]
            source, question = one if isinstance(one, tuple) else (one, None)
            messages = conversation_of(source, question, raw_volumes=True, escape=False)[0]
            told, items = chat_messages(messages)
            body: dict[str, Any] = {"model": self.name, "messages": told, "max_tokens": max_new_tokens}
            body |= {"temperature": temperature, **({} if drawn is None else {"seed": drawn}), **options}
            asked.append((body, text_of(messages[-1]), tuple(items)))
        stopped = threading.Event()
        with self._client() as client:
            jobs = [lambda body=body: self._timed(client, body, stopped) for body, _, _ in asked]
            replies = _in_parallel(jobs, batch_size, stopped)
        return [
            self._answer(reply, seconds, question, items)
            for (reply, seconds), (_, question, items) in zip(replies, asked, strict=True)
        ]

    def _client(self) -> Client:
        import httpx2

        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = httpx2.Timeout(self.patience.timeout_s, connect=min(20.0, self.patience.timeout_s))
        return httpx2.Client(headers=headers, timeout=timeout, limits=httpx2.Limits(max_connections=None))

    def _timed(self, client: Client, body: dict[str, Any], stopped: threading.Event) -> tuple[Reply, float]:
        started = time.perf_counter()
        reply = self._reply(client, json.dumps(body).encode(), stopped)
        return reply, round(time.perf_counter() - started, 4)

    def _reply(self, client: Client, body: bytes, stopped: threading.Event) -> Reply:
        """Ask until there is an answer, or the patience is over."""
        patience = self.patience
        for left in reversed(range(patience.retries + 1)):
            outcome = self._try(client, body)
            if isinstance(outcome, Reply):
                with self._count:
                    self._failed_in_a_row = 0
                return outcome
            if left:
                wait = patience.backoff_s * 2 ** (patience.retries - left) * random.uniform(0.75, 1.25)
                wait = max(wait, outcome.wait_s or 0.0)
                if stopped.wait(min(wait, patience.longest_wait_s)):
                    break
                continue
            with self._count:
                self._failed_in_a_row += 1
                down = outcome.unreachable or self._failed_in_a_row >= patience.give_up_after
            if down:
                raise ModelError(
                    f"the endpoint does not answer: {outcome.what} ({patience.retries + 1} tries).",
                    fix=f"Start {self._host} and run the same command again: it goes on where it stopped.",
                )
            return Reply(finish="error", problem=f"{outcome.what} ({patience.retries + 1} tries).")
        return Reply(finish="error", problem="stopped.")

    def _try(self, client: Client, body: bytes) -> Reply | _Trouble:
        import httpx2

        deadline = time.monotonic() + self.patience.timeout_s
        try:
            with client.stream(
                "POST", self.address, content=body, headers={"content-type": "application/json"}
            ) as response:
                told = _body(response, deadline)
                status, headers = response.status_code, response.headers
        except (TimeoutError, httpx2.TimeoutException):
            return _Trouble(f"no reply within {self.patience.timeout_s:g} s")
        except httpx2.ConnectError:
            return _Trouble("no connection", unreachable=True)
        except httpx2.HTTPError as exc:
            return _Trouble(f"the connection broke off ({type(exc).__name__})")
        if told is None:
            return Reply(finish="error", problem=f"the reply has more than {_MOST_BYTES >> 20} MiB.")
        if status in _BUSY:
            return _Trouble(f"status {status}", _seconds(headers.get("retry-after")))
        if status in (401, 403, 404, 405):
            fix = f"Check ${KEY_VARIABLE}." if status in (401, 403) else "Check the address and --model."
            raise ModelError(f"the endpoint {self._host} refuses: status {status}.", fix=fix)
        if status != 200:
            return Reply(finish="error", problem=f"status {status}: {told[:200].decode('utf-8', 'replace')}")
        return read_reply(told)

    @property
    def _host(self) -> str:
        return urlsplit(self.address).netloc

    def _answer(self, reply: Reply, seconds: float, question: str, items: tuple[Any, ...]) -> Answer:
        raw = f"<think>{reply.thinking}</think>{reply.text}" if reply.thinking else reply.text
        if reply.thinking and not reply.text and reply.finish == "length":
            raw = f"<think>{reply.thinking}"
        usage = Usage(reply.prompt_tokens, reply.new_tokens, 0.0, seconds, seconds, reply.finish)
        trace: dict[str, Any] = {"scene": "", "warnings": []}
        if reply.problem:
            trace["error"] = reply.problem
        if reply.model:
            trace["served"] = reply.model
        return Answer(reply.text, (), usage, self.name, question, items, reply.thinking, trace, raw=raw)


def chat_address(url: str) -> str:
    """The address of chat completions: what is given, /v1 and /chat/completions added where they lack.

    OptionError for anything but http and https, and for a user name in the address.
    """
    try:
        parts = urlsplit(url.strip())
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound, parts = False, urlsplit("")
    if not sound or "@" in parts.netloc:
        raise OptionError(
            f"{'the endpoint' if '@' in parts.netloc else repr(url)[:80]} is no address of an endpoint.",
            fix=f"Give http://HOST:PORT; a key goes into ${KEY_VARIABLE}.",
        )
    path = parts.path.rstrip("/")
    if not path.endswith("/chat/completions"):
        path = f"{path or '/v1'}/chat/completions"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _body(response: Response, deadline: float) -> bytes | None:
    """The reply, decoded; None when it is too large. TimeoutError when it drips on past the deadline."""
    held = bytearray()
    for piece in response.iter_bytes():
        held += piece
        if len(held) > _MOST_BYTES:
            return None
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(held)


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After: seconds, or a date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(retry_after)
    except (TypeError, ValueError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _in_parallel(jobs: Sequence[Callable[[], T]], workers: int, stopped: threading.Event) -> list[T]:
    """Results in order; the first error stops all and is raised.

    Daemon threads, not an executor: Python would wait for an executor's at exit, and Ctrl-C must not wait for a slow
    server.
    """
    results: dict[int, T] = {}
    errors: list[BaseException] = []
    numbered: Iterator[tuple[int, Callable[[], T]]] = iter(enumerate(jobs))
    guard = threading.Lock()

    def work() -> None:
        while not stopped.is_set():
            with guard:
                place, job = next(numbered, (-1, None))
            if job is None:
                return
            try:
                results[place] = job()
            except BaseException as exc:
                errors.append(exc)
                stopped.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(workers, len(jobs)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.1)
    finally:
        stopped.set()
    for exc in sorted(errors, key=lambda exc: not isinstance(exc, VesaliusError)):
        raise exc
    return [results[place] for place in range(len(jobs))]
