"""Try it: the request on a method's section is edited and sent, from the page, to a node. In Chromium, by keyboard."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from node_process import NodeProcess
from playwright.sync_api import Browser, Page, expect
from test_browser import new_context, open_page

from handbook.site_server import SiteServer

PAGE = "TREASURY_RPC_ENDPOINTS/"
READ, WRITE, DESTROY = (f"gov.treasury.{name}" for name in ("balance", "submit_disbursement", "rollback_disbursement"))
ORIGIN_FILE = """[rpc]
allowed_hosts = ["127.0.0.1", "localhost"]
cors_allow_origins = ["{origin}"]
max_body_bytes = 1048576
request_timeout_ms = 5000
enable_debug = false
admin_token_file = "secrets/admin.token"
"""


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path, treasury_balance=1_000_000, clock=1_767_225_600) as node:
        yield node


@pytest.fixture
def server(site: Path, mock: NodeProcess) -> Iterator[SiteServer]:
    one = SiteServer(("127.0.0.1", 0), site, f"http://{mock.address[0]}:{mock.address[1]}")
    one.server_activate()
    Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield one
    one.shutdown()
    one.server_close()


@pytest.fixture
def stranger(tmp_path: Path, server: SiteServer) -> Iterator[NodeProcess]:
    """A node that is not the site's mock node, and allows the site's pages."""
    data = tmp_path / "stranger" / "node-data"
    data.mkdir(parents=True)
    (data / "default.toml").write_text(ORIGIN_FILE.format(origin=server.url))
    with NodeProcess(tmp_path / "stranger", treasury_balance=7, clock=1_767_225_600) as node:
        yield node


class Console:
    """The panel of one method."""

    def __init__(self, page: Page, method: str) -> None:
        self.page = page
        self.section = page.locator(f'.rpc-method[data-method="{method}"]')
        self.section.locator("summary", has_text="Try it").press("Enter")
        self.node, self.request = (
            self.section.locator(".try-it").get_by_role("textbox", name=name, exact=True)
            for name in ("Node", "Request")
        )
        self.send = self.section.get_by_role("button", name="Send")
        expect(self.node).not_to_have_value("")  # it is filled when the panel opens
        self.state, self.answer = self.section.locator(".try-it-state"), self.section.locator(".try-it-answer")

    def ask(self, **changes: Any) -> None:
        body = json.loads(self.request.input_value()) | changes
        self.request.fill(json.dumps(body))
        self.request.press("Control+Enter")

    def said(self, text: str) -> str:
        """What the state says once it holds `text`."""
        self.state.filter(has_text=text).wait_for(timeout=20_000)
        return self.state.inner_text()

    def answered(self) -> Any:
        self.answer.wait_for(state="visible")
        return json.loads(self.answer.inner_text())


@pytest.fixture
def opened(browser: Browser, server: SiteServer) -> Iterator[tuple[Page, list[str]]]:
    context = new_context(browser)
    yield open_page(context, f"{server.url}/{PAGE}")
    context.close()


def calls(node: NodeProcess) -> list[str]:
    return [entry["method"] for entry in node.control.call("mock.journal", {"since": 0})["entries"]]


def test_the_request_of_the_section_is_answered_by_the_mock_node(
    opened: tuple[Page, list[str]], server: SiteServer
) -> None:
    page, wrong = opened
    console = Console(page, READ)
    assert console.node.input_value() == server.node
    console.ask()
    assert console.said("HTTP 200").startswith("HTTP 200, ")
    assert console.answered()["result"]["balance"] == 1_000_000
    assert wrong == []  # nothing went to another origin


def test_an_error_is_shown_with_a_link_to_its_meaning(opened: tuple[Page, list[str]]) -> None:
    console = Console(opened[0], READ)
    console.ask(method="gov.treasury.disbursement", params={"id": 77})
    assert "error -32001" in console.said("HTTP 200")
    assert console.answered()["error"]["message"] == "disbursement 77 not found"
    assert "#error-32001" in str(console.state.locator("a").get_attribute("href"))


def test_numbers_above_2_to_the_53_stand_as_the_node_wrote_them(opened: tuple[Page, list[str]]) -> None:
    console = Console(opened[0], READ)
    console.request.fill('{"id": 18446744073709551615, "method": "consensus.difficulty"}')
    console.request.press("Control+Enter")
    console.said("HTTP 200")
    assert '"id": 18446744073709551615,' in console.answer.inner_text()


def test_what_is_no_request_is_not_sent(opened: tuple[Page, list[str]], mock: NodeProcess) -> None:
    console = Console(opened[0], READ)
    for text in ('{"method": ', "[]", "7"):
        console.request.fill(text)
        console.request.press("Control+Enter")
        assert "Nothing was sent." in console.said("This is no request")
    console.section.get_by_role("button", name="Put back").press("Enter")
    assert json.loads(console.request.input_value())["method"] == READ
    console.node.fill("file:///etc/passwd")
    console.ask()
    console.said("no http:// URL")
    assert calls(mock) == []


def test_a_node_that_is_down_is_said(opened: tuple[Page, list[str]], mock: NodeProcess) -> None:
    console = Console(opened[0], READ)
    mock.process.kill()
    mock.process.wait()
    console.ask()
    said = console.said("gives no answer")
    assert f"127.0.0.1:{mock.address[1]}" in said
    assert console.send.inner_text() == "Send"


def test_a_slow_node_is_waited_for_and_given_up(opened: tuple[Page, list[str]], mock: NodeProcess) -> None:
    console = Console(opened[0], WRITE)
    mock.process.send_signal(signal.SIGSTOP)
    try:
        console.ask()
        console.said(", 1 s…")
        console.said("No answer from")
        assert "list before you send again" in console.state.inner_text()
        console.ask()
        console.section.get_by_role("button", name="Stop waiting").press("Enter")
        console.said("You stopped waiting.")
    finally:
        mock.process.send_signal(signal.SIGCONT)


def test_a_write_goes_to_the_mock_at_once(opened: tuple[Page, list[str]], mock: NodeProcess) -> None:
    console = Console(opened[0], WRITE)
    console.ask()
    console.said("HTTP 200")
    assert console.answered()["result"]["id"] == 1
    assert calls(mock) == [WRITE]


def test_a_write_to_another_node_asks_first(opened: tuple[Page, list[str]], stranger: NodeProcess) -> None:
    page, _ = opened
    url = f"http://{stranger.address[0]}:{stranger.address[1]}"
    console = Console(page, WRITE)
    console.node.fill(url)
    console.ask()
    dialog = page.locator("dialog")
    assert f"{WRITE} writes." in dialog.inner_text()
    assert dialog.get_by_role("button", name="Cancel").evaluate("one => one === document.activeElement")
    page.keyboard.press("Enter")  # the safe one has the focus
    console.said("Not sent.")
    console.ask()
    page.keyboard.press("Escape")
    console.said("Not sent.")
    assert calls(stranger) == []
    console.ask()
    dialog.get_by_role("button", name="Send it").press("Enter")
    console.said("HTTP 200")
    assert calls(stranger) == [WRITE]


def test_what_is_asked_follows_the_method_that_was_typed(opened: tuple[Page, list[str]], stranger: NodeProcess) -> None:
    page, _ = opened
    console = Console(page, READ)
    console.node.fill(f"http://{stranger.address[0]}:{stranger.address[1]}")
    console.ask()
    console.said("HTTP 200")  # a read asks nothing
    console.ask(method=DESTROY, params={"id": 1, "reason": "a test"})
    dialog = page.locator("dialog")
    go = dialog.get_by_role("button", name="Send it")
    assert go.is_disabled()
    dialog.get_by_label("The method's name").fill(DESTROY)
    go.press("Enter")
    console.said("error -32092")
    console.ask(method="gov.no_such_method")
    assert "may write" in dialog.inner_text()
    page.keyboard.press("Escape")
    console.said("Not sent.")
    assert calls(stranger) == [READ, DESTROY]


def test_a_node_that_does_not_allow_the_page_is_said_with_what_helps(
    opened: tuple[Page, list[str]], tmp_path: Path
) -> None:
    page, _ = opened
    with NodeProcess(tmp_path / "closed") as closed:
        console = Console(page, READ)
        console.node.fill(f"http://localhost:{closed.address[1]}")
        console.ask()
        assert "cors_allow_origins" in console.said("that this page may read")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    console.request.fill('{"method": "it\'s"}')
    console.section.get_by_role("button", name="Copy as curl").press("Enter")
    console.said("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl -sS --max-time 10 'http://localhost:")
    assert copied.endswith("""--data-binary '{"method": "it'\\''s"}'""")


def test_without_the_script_the_section_holds_a_command(browser: Browser, server: SiteServer) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server.url}/{PAGE}")
    section = page.locator(f'.rpc-method[data-method="{READ}"]')
    assert section.locator(".try-it").count() == 0
    assert "curl" in section.inner_text()
    context.close()
