"""The four ways in which cases want a node started, and mock nodes that were started so."""

from __future__ import annotations

import http.client
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from handbook.control import Control, Unreachable
from handbook.node import settings
from handbook.rpc.levels import Answered
from handbook.target import MockProcess

TOKENS = {"admin": "admin-token", "provider": "provider-token", "oracle": "oracle-token", "stranger": "nobodys-token"}
"""By role; no node knows the stranger's."""
_ENERGY = ("READ", "SUBMIT", "SETTLE", "DISPUTE")


def _energy(rate: str) -> dict[str, str]:
    return {f"TB_RPC_ENERGY_{one}_TOKENS_PER_SEC": rate for one in _ENERGY}


STARTS: dict[str, dict[str, str]] = {
    "open": _energy("1000000"),
    "tokens": {
        **_energy("1000000"),
        "TB_ENERGY_PROVIDER_TOKEN": TOKENS["provider"],
        "TB_ENERGY_ORACLE_TOKEN": TOKENS["oracle"],
    },
    "starved": _energy("0.5"),
    "throttled": {**_energy("1000000"), "TB_RPC_TOKENS_PER_SEC": "0.5"},
}
"""Environment of each. `tokens` has an admin token too, in a file that `default.toml` names."""
NEEDS = {
    "open": "needs a node without tokens",
    "tokens": "needs a node with tokens, and the tokens",
    "starved": "needs a node whose energy limiters refuse every call",
    "throttled": "needs a node whose general limiter refuses every call",
}
"""Why a node that was started otherwise is not asked."""


class Caller:
    """Sends bodies to one node over a kept connection. Raises Unreachable."""

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url!r} is not an http:// address")
        self.url = url.rstrip("/")
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout)

    def send(self, body: dict[str, Any], token: str | None = None) -> Answered:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            self._connection.request("POST", "/", json.dumps(body), headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unreachable(f"no answer from {self.url}: {error}") from None
        with suppress(ValueError):
            return Answered(response.status, json.loads(text))
        return Answered(response.status, None)

    def close(self) -> None:
        self._connection.close()


class Started:
    """A mock node in one of the four starts, in a process and a directory of its own. Use it in a `with`."""

    def __init__(self, start: str, build: str = "contract") -> None:
        self._directory = tempfile.TemporaryDirectory(prefix=f"handbook-{start}-")
        home = Path(self._directory.name)
        if start == "tokens":
            _write_admin_token(home)
        self._process = MockProcess(home, flags=("--build", build), env=STARTS[start])
        assert self._process.addresses.control
        self.caller = Caller(self._process.addresses.node)
        self.control = Control(self._process.addresses.control)

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self.caller.close()
        self.control.close()
        self._process.stop()
        self._directory.cleanup()


def _write_admin_token(home: Path) -> None:
    token, data = home / "admin.token", home / "node-data"
    token.write_text(TOKENS["admin"])
    data.mkdir()
    changed = msgspec.structs.replace(settings.DEFAULTS, admin_token_file=str(token))
    (data / settings.FILE).write_text(settings.render(changed))
