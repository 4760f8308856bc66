"""The executor's circuit breaker. In memory only: a restart closes it. Seconds are the node's clock."""

from __future__ import annotations


class Breaker:
    """Opens after 5 failures without a success, for 60 s.

    Then two successes close it and one failure opens it again.
    """

    CLOSED, OPEN, HALF_OPEN = 0, 1, 2

    def __init__(self) -> None:
        self.state, self.failures, self.successes, self._since = self.CLOSED, 0, 0, 0

    def allows(self, now: int) -> bool:
        if self.state == self.OPEN and now - self._since >= 60:
            self.state, self.successes, self._since = self.HALF_OPEN, 0, now
        return self.state != self.OPEN

    def failed(self, now: int) -> None:
        if self.state != self.HALF_OPEN:
            self.failures += 1
        if self.state == self.HALF_OPEN or (self.state == self.CLOSED and self.failures >= 5):
            self.state, self.successes, self._since = self.OPEN, 0, now

    def succeeded(self) -> None:
        if self.state == self.CLOSED:
            self.failures = 0
        elif self.state == self.HALF_OPEN:
            self.successes += 1
            if self.successes >= 2:
                self.state, self.failures, self.successes = self.CLOSED, 0, 0
