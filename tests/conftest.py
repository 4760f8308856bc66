"""Fixtures that several test modules share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handbook.target import MockProcess, Target, running_mock


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run soaks, all kills and all mutations")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="long: run with --long"))


@pytest.fixture(scope="session")
def mock_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockProcess]:
    """A mock node for the whole run; whoever uses it resets it."""
    process = MockProcess(tmp_path_factory.mktemp("node"))
    yield process
    process.stop()


@pytest.fixture
def mock(mock_process: MockProcess) -> Iterator[Target]:
    """A mock node as a page finds it."""
    target = running_mock(mock_process.addresses)
    target.reset({})
    yield target
    target.close()


@pytest.fixture(scope="session")
def cases() -> Path:
    return Path(__file__).parent / "cases"
