"""A method's section in the browser: tabs, folded calls, the copy button."""

from __future__ import annotations

from playwright.sync_api import Browser
from test_browser import new_context, open_page

from handbook import facts
from handbook.pages.page import read_page

ENERGY = facts.ROOT / "docs" / "ENERGY_RPC_ENDPOINTS.md"


def test_a_link_to_a_folded_call_opens_it(browser: Browser, origin: str) -> None:
    page, wrong = open_page(new_context(browser), f"{origin}/ENERGY_RPC_ENDPOINTS/#energy-settle")
    row = page.locator('.rpc-method[data-method="energy.settle"] td a[href$="an-unknown-hash-is-refused"]')
    call = page.locator("details.case", has=page.locator("#energy-settle-an-unknown-hash-is-refused"))
    assert call.get_attribute("open") is None
    row.click()
    call.locator("pre").last.wait_for(state="visible")
    assert call.get_attribute("open") is not None
    assert "-33005" in call.locator(".output").last.inner_text()
    page.context.close()
    assert wrong == []


def test_the_python_tab_copies_the_program_that_was_run(browser: Browser, origin: str) -> None:
    blocks = {block.id: block for block in read_page(ENERGY).blocks}
    page, wrong = open_page(new_context(browser), f"{origin}/ENERGY_RPC_ENDPOINTS/#energy-settle")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    section = page.locator('.rpc-method[data-method="energy.settle"]')
    section.locator(".tabbed-labels label", has_text="Python").first.click()
    program = section.locator(".language-python[data-block]").first
    program.locator("pre").wait_for(state="visible")
    program.hover()
    program.locator("button[data-md-type=copy], .md-clipboard, .md-code__button").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    shown = program.get_attribute("data-block")
    page.context.close()
    assert copied.strip() == blocks[shown or ""].text.strip()
    assert wrong == []
