"""A small model hub on this machine that speaks the real protocol: revisions, paged file lists, redirected large files.

Two servers on two ports, as the real hub has two hosts: one answers for repositories, one stores large files. Both note
every request. Faults (cut connections, wrong bytes, delays) are asked for per file.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from safetensors.torch import load_file, save_file

PAGE = 3
LARGE = (".safetensors", ".bin", ".pt", ".model")


@dataclass
class Repo:
    """`commits`: commit → path → content. `refs`: branch or tag → commit. `allowed`: tokens that may read it (None:
    everybody may). `hidden`: who may not read it does not learn that it exists."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    allowed: set[str] | None = None
    hidden: bool = False
    xet: bool = False

    def commit(self, files: dict[str, bytes], *refs: str) -> str:
        made = hashlib.sha1(
            repr(sorted((p, hashlib.sha1(c).hexdigest()) for p, c in files.items())).encode()
        ).hexdigest()
        self.commits[made] = dict(files)
        self.refs |= dict.fromkeys(refs or ("main",), made)
        return made


@dataclass(frozen=True)
class Asked:
    """One request as it came, and which of the two servers it came to."""

    server: str
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Hub:
    """Use as a context manager. `tokens`: those that are known at all."""

    repos: dict[str, Repo] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    cut: dict[str, list[int]] = field(default_factory=dict)
    """Path → for each coming download the bytes after which the connection is cut."""
    wrong: dict[str, bytes] = field(default_factory=dict)
    """Path → what is sent instead."""
    announced: dict[str, int] = field(default_factory=dict)
    """Path → a size that is announced instead of the true one."""
    hold: dict[str, int] = field(default_factory=dict)
    """Path → bytes after which sending stops until the hub is closed."""
    holding: threading.Event = field(default_factory=threading.Event)
    ranges: bool = True
    lists: bool = True
    """False: as mirrors that know no lists of files."""
    broken: int = 0
    """A status every request is answered with, if not 0."""
    delay_s: float = 0.0

    def __enter__(self) -> Hub:
        self._closed = threading.Event()
        self._servers = [
            ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answer, self, name)) for name in ("hub", "store")
        ]
        for server in self._servers:
            server.daemon_threads = True
            server.block_on_close = False
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.endpoint, self.store = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def add(self, name: str, files: dict[str, bytes], **how: Any) -> Repo:
        self.repos[name] = Repo(**how)
        self.repos[name].commit(files)
        return self.repos[name]

    def downloads(self, path: str = "") -> list[Asked]:
        """Requests for the content of files (of this one)."""
        return [
            one
            for one in self.asked
            if one.method == "GET" and one.server == ("store" if path.endswith(LARGE) else one.server)
            if "/api/" not in one.path and unquote(one.path).endswith(path)
        ]


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, server: str, *rest: Any) -> None:
        self.hub, self.name = hub, server
        super().__init__(*rest)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.hub
        headers = {key.lower(): value for key, value in self.headers.items()}
        hub.asked.append(Asked(self.name, self.command, self.path, headers))
        time.sleep(hub.delay_s)
        if hub.broken:
            return self._say(hub.broken, b"out of order")
        try:
            self._store() if self.name == "store" else self._repository()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _repository(self) -> None:
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        api = parts[:2] == ["api", "models"]
        parts = parts[2:] if api else parts
        name, verb = "/".join(parts[:2]), parts[2] if len(parts) > 2 else ""
        revision = parts[3] if len(parts) > 3 else "main"
        repo, token = self.hub.repos.get(name), self._token()
        if token is not None and token not in self.hub.tokens:
            return self._say(401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})
        closed = repo is not None and repo.allowed is not None and token not in repo.allowed
        if repo is None or (closed and repo.hidden):
            return self._say(401 if token is None else 404, b"", {"X-Error-Code": "RepoNotFound"})
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            return self._say(404, b"", {"X-Error-Code": "RevisionNotFound"})
        if api and verb in ("", "revision"):
            told = {"id": name, "sha": commit, "siblings": [{"rfilename": path} for path in repo.commits[commit]]}
            return self._say(200, json.dumps({**told, "gated": closed and "manual", "private": False}).encode())
        if api and verb == "tree" and not self.hub.lists:
            return self._say(404, b"no such route")
        if api and verb == "tree":
            return self._tree(repo, commit)
        if closed:  # as the hub does: whoever may not have the files may still see what there is
            return self._say(401 if token is None else 403, b"", {"X-Error-Code": "GatedRepo"})
        self._resolve(name, repo, commit, "/".join(parts[4:]))

    def _tree(self, repo: Repo, commit: str) -> None:
        address = urlsplit(self.path)
        files = sorted(repo.commits[commit].items())
        first = int(parse_qs(address.query).get("cursor", ["0"])[0])
        entries: list[dict[str, Any]] = [{"type": "directory", "path": "encoder", "oid": "0" * 40, "size": 0}]
        for path, content in files[first : first + PAGE]:
            entry: dict[str, Any] = {
                "type": "file",
                "path": path,
                "size": self.hub.announced.get(path, len(content)),
                "oid": git(content),
            }
            if path.endswith(LARGE):
                entry["lfs"] = {"oid": sha256(content), "size": entry["size"], "pointerSize": 134}
                entry |= {"xetHash": "a" * 64} if repo.xet else {}
            entries.append(entry)
        more = first + PAGE < len(files)
        link = f'<{self.hub.endpoint}{address.path}?recursive=True&cursor={first + PAGE}>; rel="next"'
        self._say(200, json.dumps(entries).encode(), {"Link": link} if more else {})

    def _resolve(self, name: str, repo: Repo, commit: str, path: str) -> None:
        content = repo.commits[commit].get(path)
        if content is None:
            return self._say(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        facts = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if not path.endswith(LARGE):
            return self._send(path, content, {**facts, "ETag": f'"{git(content)}"'})
        facts |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{sha256(content)}"'}
        if repo.xet:
            facts |= {"X-Xet-Hash": "a" * 64, "X-Xet-Refresh-Route": f"{self.hub.endpoint}/xet/refused"}
        self._say(302, b"", {**facts, "Location": f"{self.hub.store}/{name}/{commit}/{quote(path)}"})

    def _store(self) -> None:
        if self._token() is not None:
            return self._say(400, b"a token is nothing for the store")
        owner, name, commit, *rest = unquote(urlsplit(self.path).path).strip("/").split("/")
        self._send("/".join(rest), self.hub.repos[f"{owner}/{name}"].commits[commit]["/".join(rest)], {})

    def _send(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        hub = self.hub
        content = hub.wrong.get(path, content)
        begin, status = 0, 200
        asked = self.headers.get("Range")
        if asked is not None and hub.ranges:
            begin, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            if begin >= len(content):
                return self._say(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            headers = {**headers, "Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
        body = content[begin:]
        stop = hub.cut[path].pop(0) if hub.cut.get(path) and self.command == "GET" else None
        self._head(status, len(body), headers)
        if self.command == "HEAD":
            return
        if path in hub.hold:
            self.wfile.write(body[: hub.hold[path]])
            self.wfile.flush()
            hub.holding.set()
            hub._closed.wait(60)
            self.close_connection = True
            return
        self.wfile.write(body[:stop])
        if stop is not None:
            self.close_connection = True

    def _say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(body), headers or {})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(key, value)
        self.end_headers()

    def _token(self) -> str | None:
        given = self.headers.get("Authorization")
        return None if given is None else given.removeprefix("Bearer ")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def files_of(folder: Path) -> dict[str, bytes]:
    """A checkpoint's files by their path in its repository."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith("cases/")}


def padded(content: bytes, tmp_path: Path, num_bytes: int) -> bytes:
    """The same tensors in a larger file: safetensors allows any text in its header."""
    (tmp_path / "small.safetensors").write_bytes(content)
    tensors = load_file(tmp_path / "small.safetensors")
    save_file(tensors, tmp_path / "large.safetensors", metadata={"note": "x" * num_bytes})
    return (tmp_path / "large.safetensors").read_bytes()
