"""What documents of the node say and its build does not do: `snippets/claims.yml`, and where each is said right."""

from __future__ import annotations

from dataclasses import dataclass

from handbook import document, facts
from handbook.problem import Problem

FILE = facts.SNIPPETS / "claims.yml"


@dataclass(frozen=True)
class Claim:
    subject: str
    claim: str
    said_in: str
    see: tuple[str, ...]
    where: str
    """`path:line`."""


def load() -> list[Claim]:
    """In the order of the file. Raises Unreadable."""
    read = document.read_members(FILE)
    return [
        Claim(subject, entry["claim"], entry["in"], tuple(entry["see"]), read.where(subject, position))
        for subject, entries in read.data.items()
        for position, entry in enumerate(entries)
    ]


def check(claims: list[Claim] | None = None) -> list[Problem]:
    """References that lead nowhere."""
    ids = {entry["id"] for entry in facts.load("deviations.yml")}
    retired = {entry["name"] for entry in facts.load("retired.yml")}
    return [
        Problem(claim.where, f"see {name!r} is no entry, no retired name and no page", "ids are in deviations.yml")
        for claim in (load() if claims is None else claims)
        for name in claim.see
        if name not in ids | retired and not (facts.ROOT / "docs" / name.partition("#")[0]).is_file()
    ]
