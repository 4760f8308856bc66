"""Section `[rpc]` of `<data-dir>/default.toml`, read once at start.

Where the file is missing it is written with the defaults, as the node does. Every key is mandatory. A file that does
not fit is a start error here; build 0ecc756a takes the defaults and writes them over it without a word.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from handbook.node.failure import StartFailure

FILE = "default.toml"


class RpcSettings(msgspec.Struct, frozen=True):
    """`max_body_bytes` in bytes, `request_timeout_ms` in milliseconds: how long a fresh connection may take."""

    allowed_hosts: list[str]
    cors_allow_origins: list[str]
    max_body_bytes: int
    request_timeout_ms: int
    enable_debug: bool
    admin_token_file: str


class _File(msgspec.Struct):
    rpc: RpcSettings


DEFAULTS = RpcSettings(["127.0.0.1", "localhost"], [], 1_048_576, 5000, False, "secrets/admin.token")


def load(directory: Path, replace_unreadable: bool = False) -> RpcSettings:
    """What the file says. Raises StartFailure unless an unreadable file is to be replaced."""
    path = directory / FILE
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), _File).rpc
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StartFailure(f"{path}: {error.strerror}", "expected a file that can be read") from None
    except (ValueError, msgspec.ValidationError) as error:
        if not replace_unreadable:
            hint = f"move it away, start once, then edit values in the {FILE} that the node writes"
            raise StartFailure(f"{path}: {error}", "expected [rpc] with every key", hint) from None
    try:
        path.write_text(render(DEFAULTS))
    except OSError as error:
        raise StartFailure(f"{path}: {error.strerror}", "expected a directory that can be written") from None
    return DEFAULTS


def render(settings: RpcSettings) -> str:
    """As TOML; JSON's strings, numbers and lists are TOML too."""
    values = msgspec.to_builtins(settings)
    lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in values.items()]
    return "\n".join(["[rpc]", *lines, ""])
