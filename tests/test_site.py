"""The real site: built strictly, crawled, and opened in a browser with no network."""

from __future__ import annotations

from pathlib import Path

import pytest
from crawl import problems, read
from mkdocs.commands.build import build
from mkdocs.config import load_config

from handbook import facts
from handbook.monitoring.rules import load_rules
from handbook.pages.ledger import shown_blocks
from handbook.pages.page import read_page


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as a fresh checkout builds it: strictly, and without a report."""
    directory = tmp_path_factory.mktemp("site")
    config = load_config(
        str(facts.ROOT / "mkdocs.yml"),
        site_dir=str(directory),
        extra={"generator": False, "report": str(directory / "no-report.json")},
        strict=True,
    )
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    return directory


def test_every_link_and_anchor_resolves(site: Path) -> None:
    assert problems(site) == []


def test_crawl_catches_what_strict_mode_misses(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<a href="gone/">x</a><a href="#gone">x</a><img src="https://a.example/x.png"><img src="x.png">'
        "<p>[x][undefined] {{ macro }} :no-such-icon: <code>a[0][1]</code></p>"
    )
    assert problems(tmp_path) == [
        "index.html: gone/ leads nowhere",
        "index.html: #gone: no such anchor",
        "index.html: loads https://a.example/x.png from another origin",
        "index.html: x.png leads nowhere",
        "index.html: left undrawn: ']['",
        "index.html: left undrawn: '{{'",
        "index.html: left undrawn: ':no-such-icon:'",
    ]


SEED_PAGES = (
    "docs/operations.md",
    "docs/TREASURY_RPC_ENDPOINTS.md",
    "docs/CHAOS_TESTING.md",
    "docs/BACKUP_AND_RECOVERY.md",
    "docs/verification.md",
    "docs/load-testing.md",
    "docs/security.md",
    "docs/performance.md",
    "docs/readiness.md",
    "CONTRIBUTING.md",
    "monitoring/README.md",
)
SEED_FILES = (
    "monitoring/prometheus_recording_rules.yml",
    "monitoring/alertmanager.yml",
    "tests/load/treasury_load_test.py",
    "monitoring/grafana_treasury_dashboard.json",
    "monitoring/grafana_energy_dashboard.json",
)


def test_every_page_and_file_of_the_first_plan_is_there() -> None:
    assert [name for name in (*SEED_PAGES, *SEED_FILES) if not (facts.ROOT / name).is_file()] == []


def test_site_shows_every_block_of_every_page(site: Path) -> None:
    shown = sum(len(shown_blocks(file.read_text())) for file in read(site))
    sources = [*(facts.ROOT / "docs").glob("*.md"), *(facts.ROOT / "runbooks").glob("*.md")]
    sources += [facts.ROOT / "CONTRIBUTING.md", facts.ROOT / "monitoring" / "README.md"]
    written = sum(len(read_page(file).blocks) for file in sources if not file.name.startswith("_"))
    assert shown == written
    assert written > 150


def test_every_alert_opens_a_runbook_of_the_built_site(site: Path) -> None:
    alerts = [rule for rule in load_rules(facts.ROOT / "monitoring" / "alert_rules.yml") if rule.alert]
    assert len(alerts) == 24
    for rule in alerts:
        page = site / "runbooks" / rule.slug / "index.html"
        assert page.is_file(), f"{rule.where}: {rule.name}"
        assert not rule.anchor or f'id="{rule.anchor}"' in page.read_text(), f"{rule.where}: {rule.name}"
