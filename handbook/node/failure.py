"""What goes wrong: before the node is up (StartFailure), and for one call (RpcError, Refused, Dropped)."""

from __future__ import annotations


class StartFailure(Exception):
    """The node cannot start. Printed as one line, with its hint; the exit status is 1."""

    def __init__(self, what: str, expected: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.expected, self.hint = what, expected, hint

    def __str__(self) -> str:
        text = f"{self.what}: {self.expected}" if self.expected else self.what
        return f"{text} (hint: {self.hint})" if self.hint else text


class RpcError(Exception):
    """An error answer. `reason` is for the journal only: the node does not tell its callers why."""

    def __init__(self, code: int, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.reason = code, message, reason


class Refused(Exception):
    """The treasury store refuses a change. On the wire every refusal is the same -32092."""


class Dropped(Exception):
    """The call gets no answer: its connection is closed."""


class CommitFailed(Exception):
    """The log could not be written; nothing of the batch is stored. `fault` names the one that did it."""

    def __init__(self, why: str, fault: str | None = None) -> None:
        super().__init__(why)
        self.fault = fault


class Unreadable(RpcError):
    """Something stored cannot be read back; `why` is for the journal. The node goes on, as far as it can."""

    def __init__(self, why: str) -> None:
        super().__init__(-32092, "treasury storage error", why)


class LogLost(Exception):
    """What is stored is not what this process stored: it ends rather than acknowledge what nobody will find again."""


def storage_error(reason: str) -> RpcError:
    return RpcError(-32092, "treasury storage error", reason)


def invalid_params() -> RpcError:
    return RpcError(-32602, "invalid params")
