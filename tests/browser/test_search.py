"""An operator types a method, a piece of one, a code or the words of an error, and finds the section."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser
from test_browser import new_context, open_page

SHOWN = 3
"""Sections that an operator looks at."""


@pytest.mark.parametrize(
    ("typed", "section"),
    [
        ("queue_disb", "TREASURY_RPC_ENDPOINTS/#queue_disbursement"),
        ("queue_disbursement", "TREASURY_RPC_ENDPOINTS/#queue_disbursement"),
        ("balance_history", "TREASURY_RPC_ENDPOINTS/#balance_history"),
        ("energy.settle", "ENERGY_RPC_ENDPOINTS/#energy-settle"),
        ("submit_reading", "ENERGY_RPC_ENDPOINTS/#energy-submit_reading"),
        ("flag", "ENERGY_RPC_ENDPOINTS/#energy-flag_dispute"),
        ("submit_prop", "GOVERNANCE_RPC_ENDPOINTS/#submit_proposal"),
        ("latest_header", "GOVERNANCE_RPC_ENDPOINTS/#light-latest_header"),
        ("peer_st", "GOVERNANCE_RPC_ENDPOINTS/#net-peer_stats_all"),
        ("32092", "TREASURY_RPC_ENDPOINTS/#error-32092"),
        ("-32092", "TREASURY_RPC_ENDPOINTS/#error-32092"),
        ("-33020", "rpc-errors/#error-33020"),
        ("treasury storage error", "rpc-errors/#error-32092"),
        ("method not found", "rpc-errors/#error-32601"),
        ("rate limited", "rpc-errors/#error-32001-rate-limited"),
        ("meter reading hash not tracked", "rpc-errors/#error-33005-meter-reading-hash-not-tracked"),
        ("nonce already used", "rpc-errors/#error-33007"),
        ("bad key", "rpc-errors/#error-32060"),
    ],
)
def test_the_section_is_among_the_first(browser: Browser, origin: str, typed: str, section: str) -> None:
    context = new_context(browser)
    page, wrong = open_page(context, f"{origin}/")
    page.keyboard.press("/")
    page.keyboard.type(typed)
    links: list[str] = []
    for _ in range(50):  # the worker may still be at the query of a letter before
        page.wait_for_timeout(100)
        now = page.eval_on_selector_all(".md-search-result__item a", "all => all.map(a => a.href)")
        if now and now == links:
            break
        links = now
    context.close()
    found = [f"{link.split('?')[0]}#{link.partition('#')[2]}" for link in links if "#" in link]
    assert f"{origin}/{section}" in found[:SHOWN], found[:8]
    assert wrong == []


def test_a_word_that_is_nowhere_finds_nothing(browser: Browser, origin: str) -> None:
    context = new_context(browser)
    page, _ = open_page(context, f"{origin}/")
    page.keyboard.press("/")
    page.keyboard.type("zyzzyva")
    page.wait_for_function("document.querySelector('.md-search-result__meta').textContent.includes('No matching')")
    assert page.eval_on_selector_all(".md-search-result__item a", "all => all.length") == 0
    context.close()
