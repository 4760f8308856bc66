"""`handbook check` looks at everything there is, and says how much that was."""

from __future__ import annotations

from handbook.check import check


def test_the_checkout_is_in_order() -> None:
    checked = check()
    assert checked.problems == []


def test_it_looked_at_something_of_every_kind() -> None:
    counts = check().counts
    least = {"pages": 18, "blocks": 350, "runbooks": 3, "metrics": 49, "recorded": 16, "alerts": 7, "panels": 37}
    assert {what: counts[what] for what in least if counts[what] < least[what]} == {}
