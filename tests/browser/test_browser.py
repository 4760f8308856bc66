"""The built site in Chromium: no request to another origin, no console error, light and dark, desktop and phone.

Every request to an address other than the site's own is refused by the browser itself, as with the network unplugged.
Screenshots land in `build/screenshots/`.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from test_site import site  # noqa: F401  # the fixture

from handbook import facts

PAGES = (
    "",
    "operations/",
    "TREASURY_RPC_ENDPOINTS/",
    "ENERGY_RPC_ENDPOINTS/",
    "GOVERNANCE_RPC_ENDPOINTS/",
    "rpc-errors/",
    "rpc-quick-start/",
    "rpc-transport/",
    "CHAOS_TESTING/",
    "MOCK_CONTROL/",
    "BACKUP_AND_RECOVERY/",
    "compatibility/",
    "runbooks/",
    "runbooks/treasury-disbursement-stuck/",
)
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
SCREENSHOTS = facts.ROOT / "build" / "screenshots"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """No line per request."""


@pytest.fixture(scope="session")
def origin(site: Path) -> Iterator[str]:  # noqa: F811
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "chromium is not installed; apt-get install chromium"
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield one
        one.close()


def new_context(browser: Browser, scheme: str = "light", size: str = "desktop") -> BrowserContext:
    width, height = SIZES[size]
    colours: Literal["light", "dark"] = "dark" if scheme == "dark" else "light"
    return browser.new_context(color_scheme=colours, viewport={"width": width, "height": height})


def open_page(context: BrowserContext, url: str) -> tuple[Page, list[str]]:
    """The page, and everything about it that an operator must never see."""
    page, wrong = context.new_page(), list[str]()
    origin = "/".join(url.split("/")[:3])
    page.on("request", lambda r: None if r.url.startswith((origin, "data:")) else wrong.append(f"requests {r.url}"))
    page.on("console", lambda m: wrong.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: wrong.append(f"error: {e}"))
    page.goto(url, wait_until="load")
    page.wait_for_timeout(200)  # what a page asks for late
    return page, wrong


LONG = pytest.mark.long
LOOKS = [
    ("light", "desktop"),
    ("dark", "phone"),
    pytest.param("dark", "desktop", marks=LONG),
    pytest.param("light", "phone", marks=LONG),
]
"""Each scheme and each size once by default."""


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_pages_open_clean(browser: Browser, origin: str, scheme: str, size: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    context = new_context(browser, scheme, size)
    for path in PAGES:
        page, wrong = open_page(context, f"{origin}/{path}")
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        name = path.strip("/").replace("/", "-") or "index"
        page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}-{size}.png")
        drawn = page.evaluate("document.body.getAttribute('data-md-color-scheme')")
        page.close()
        assert (path, wrong, overflow) == (path, [], 0)
        assert drawn == ("slate" if scheme == "dark" else "default")
    context.close()


def test_request_to_another_origin_would_be_seen(browser: Browser, origin: str, site: Path) -> None:  # noqa: F811
    (site / "bad.html").write_text('<img src="https://a.example/x.png"><script>console.error("no")</script>')
    page, wrong = open_page(new_context(browser), f"{origin}/bad.html")
    page.context.close()
    (site / "bad.html").unlink()
    assert "requests https://a.example/x.png" in wrong
    assert "console: no" in wrong


@pytest.mark.parametrize(
    ("typed", "page"),
    [
        ("submit_disbursement", "TREASURY_RPC_ENDPOINTS"),
        ("submit", "TREASURY_RPC_ENDPOINTS"),
        ("32092", "TREASURY_RPC_ENDPOINTS"),
        ("last_tick_at", "operations"),
    ],
)
def test_search_finds_identifiers_by_their_parts(browser: Browser, origin: str, typed: str, page: str) -> None:
    opened, _ = open_page(new_context(browser), f"{origin}/")
    opened.keyboard.press("/")
    opened.keyboard.type(typed)
    opened.wait_for_selector(".md-search-result__item a")
    opened.wait_for_timeout(1000)  # the list may still be that of the letters before
    links = opened.eval_on_selector_all(".md-search-result__item a", "all => all.slice(0, 12).map(a => a.href)")
    opened.context.close()
    assert any(page in link for link in links), links


def test_copy_button_copies_the_command_alone(browser: Browser, origin: str) -> None:
    opened, _ = open_page(new_context(browser), f"{origin}/")
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    block = opened.locator(".language-bash[data-block]").first
    block.hover()
    block.locator("button[data-md-type=copy], .md-clipboard, .md-code__button").first.click()
    copied = opened.evaluate("navigator.clipboard.readText()")
    shown = block.locator("pre code").inner_text()
    opened.context.close()
    assert copied.strip() == shown.strip()
    assert "verified" not in copied
