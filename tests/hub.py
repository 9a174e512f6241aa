"""A small Hugging Face hub on loopback: what pushing and loading models and data sets takes, standard library alone.

Files are uploaded within the commit (`uploadMode: regular`), so LFS and Xet are not tested. Every repository has one
branch, whose commit is the hash of its files.
"""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Repositories = dict[tuple[str, str], dict[str, bytes]]
"""(`models` or `datasets`, name) → path → content."""


class Hub:
    """Repositories, those that nobody may make, the requests that were refused, and the address for HF_ENDPOINT."""

    def __init__(self, address: str) -> None:
        self.address, self.files = address, Repositories()
        self.locked, self.unknown = set[str](), list[str]()

    def commit(self, key: tuple[str, str]) -> str:
        return sha1(b"".join(name.encode() + body for name, body in sorted(self.files[key].items()))).hexdigest()

    def info(self, key: tuple[str, str]) -> dict[str, Any]:
        siblings = [{"rfilename": path} for path in self.files[key]]
        return {"id": key[1], "modelId": key[1], "sha": self.commit(key), "siblings": siblings, "tags": [],
                "private": False, "downloads": 0, "likes": 0, "lastModified": "2026-01-01T00:00:00.000Z"}  # fmt: skip

    def entries(self, key: tuple[str, str], inside: str = "") -> list[dict[str, Any]]:
        """Files of a repository below a folder, as its tree lists them."""
        found = {path: body for path, body in self.files[key].items() if path.startswith(inside)}
        return [
            {"type": "file", "path": path, "size": len(body), "oid": sha1(body).hexdigest()}
            for path, body in found.items()
        ]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/":
            return self._send(200, b"")
        if found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(("datasets" if found[1] else "models", found[2]), found[4])
        if found := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)(?:/(.*))?)?", path):
            return self._about((found[1], found[2]), found[3], found[5] or "")
        self._refuse("RepoNotFound")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            given = json.loads(body)
            key = ("models", "/".join(part for part in (given.get("organization"), given["name"]) if part))
            if key[1] in self.hub.locked:
                return self._send(403, b"")
            self.hub.files.setdefault(key, {})
            return self._json({"url": f"{self.hub.address}/{key[1]}"})
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        found = re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/(preupload|commit|paths-info)/[^/]+", self.path)
        if found is None or (found[1], found[2]) not in self.hub.files:
            return self._refuse("RepoNotFound")
        key = (found[1], found[2])
        if found[3] == "preupload":
            files = [{"path": file["path"], "uploadMode": "regular"} for file in json.loads(body)["files"]]
            return self._json({"files": [file | {"shouldIgnore": False} for file in files]})
        if found[3] == "paths-info":
            paths = json.loads(body)["paths"]
            return self._json([entry for entry in self.hub.entries(key) if entry["path"] in paths])
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.hub.files[key][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        commit = self.hub.commit(key)
        self._json({"commitUrl": f"{self.hub.address}/{key[1]}/commit/{commit}", "commitOid": commit, "success": True})

    def _about(self, key: tuple[str, str], what: str | None, inside: str) -> None:
        if key not in self.hub.files:
            return self._refuse("RepoNotFound")
        self._json(self.hub.entries(key, inside) if what == "tree" else self.hub.info(key))

    def _file(self, key: tuple[str, str], path: str) -> None:
        if path not in self.hub.files.get(key, {}):
            return self._refuse("EntryNotFound" if key in self.hub.files else "RepoNotFound", self._commit(key))
        body = self.hub.files[key][path]
        self._send(200, body, {"ETag": f'"{sha1(body).hexdigest()}"', **self._commit(key)})

    def _commit(self, key: tuple[str, str]) -> dict[str, str]:
        return {"X-Repo-Commit": self.hub.commit(key)} if key in self.hub.files else {}

    def _refuse(self, code: str, headers: dict[str, str] | None = None) -> None:
        self.hub.unknown.append(f"{self.command} {self.path}")
        self._send(404, b"", {"X-Error-Code": code, **(headers or {})})

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: `Hub.unknown` has what matters."""


@contextmanager
def running() -> Iterator[Hub]:
    """A hub that runs until the end of the block."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.hub = Hub(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield handler.hub
        finally:
            server.shutdown()
            thread.join()
