"""Every method has one section on the site, where its name leads: the macros `method_head` and `method_body`."""

from __future__ import annotations

from collections.abc import Iterable

from handbook import macros
from handbook.pages.page import Page
from handbook.problem import Problem
from handbook.rpc import reference

HEAD, BODY = "method_head", "method_body"
TREASURY, ENERGY, GOVERNANCE = "TREASURY_RPC_ENDPOINTS.md", "ENERGY_RPC_ENDPOINTS.md", "GOVERNANCE_RPC_ENDPOINTS.md"


def page_of(method: str) -> str:
    """The page of `docs/` on which the method has its section."""
    if method.startswith("gov.treasury."):
        return TREASURY
    return ENERGY if method.startswith(("energy.", "gov.energy_")) else GOVERNANCE


def anchor(method: str) -> str:
    """The id of the section: short for treasury methods, as it always was; else the name, with hyphens for dots."""
    return method.rpartition(".")[2] if page_of(method) == TREASURY else method.replace(".", "-")


def check(pages: Iterable[Page]) -> tuple[list[Problem], int]:
    """Methods without a section or with two, halves of sections, sections on the wrong page; and how many there are."""
    found: list[Problem] = []
    seen: dict[str, str] = {}
    for page in pages:
        open_at: tuple[str, int] | None = None
        for name, method, line in _halves(page):
            where = f"{page.path}:{line}"
            if name == HEAD:
                if open_at:
                    found.append(_open(page, open_at))
                open_at = method, line
                if method in seen:
                    found.append(Problem(where, f"a second section of {method}", f"the first is at {seen[method]}"))
                seen.setdefault(method, where)
                if page.path != f"docs/{page_of(method)}":
                    found.append(Problem(where, f"the section of {method} belongs to docs/{page_of(method)}"))
            elif open_at is None or open_at[0] != method:
                found.append(Problem(where, f"{BODY}({method!r}) without a {HEAD} of this method above it"))
            else:
                open_at = None
        if open_at:
            found.append(_open(page, open_at))
    missing = [method for method in reference.methods() if method not in seen]
    found += [Problem(f"docs/{page_of(method)}", f"no section of {method}", f"{HEAD}, {BODY}") for method in missing]
    return found, len(seen)


def _halves(page: Page) -> Iterable[tuple[str, str, int]]:
    """Macro, method and line of each half of a section."""
    calls = dict.fromkeys((line.macro, line.number) for line in page.text if line.macro)
    for call, number in calls:
        name, args = macros.parse(call)
        if name in (HEAD, BODY):
            yield name, str(args[0]), number


def _open(page: Page, open_at: tuple[str, int]) -> Problem:
    method, line = open_at
    return Problem(f"{page.path}:{line}", f"the section of {method} is not closed", f"{{{{ {BODY}({method!r}) }}}}")
