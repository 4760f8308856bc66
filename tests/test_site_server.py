"""The site's server: files, its 404 page, and the way from a page to the mock node, for pages of this site only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest
from node_process import NodeProcess

from handbook.site_server import MAX_BODY, SiteServer

CALL = b'{"method": "gov.treasury.balance", "id": 18446744073709551615}'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SiteServer]:
    (tmp_path / "index.html").write_text("start")
    (tmp_path / "404.html").write_text("not here")
    one = SiteServer(("127.0.0.1", 0), tmp_path)
    one.server_activate()
    Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield one
    one.shutdown()
    one.server_close()


def ask(server: SiteServer, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    connection = HTTPConnection(*server.server_address[:2], timeout=10)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def test_files_and_the_sites_own_404_page(server: SiteServer) -> None:
    assert ask(server, "GET", "/") == (200, "start")
    assert ask(server, "GET", "/gone") == (404, "not here")


def test_a_page_reaches_the_node_and_learns_which_it_is(server: SiteServer, tmp_path: Path) -> None:
    assert ask(server, "GET", "/assets/console.json") == (200, '{"node": null}')
    assert ask(server, "POST", "/node", CALL, Origin=server.url) == (404, "no node stands behind this site")
    with NodeProcess(tmp_path, treasury_balance=5) as node:
        server.node = f"http://{node.address[0]}:{node.address[1]}"
        assert json.loads(ask(server, "GET", "/assets/console.json?again")[1]) == {"node": server.node}
        status, answer = ask(server, "POST", "/node", CALL, Origin=server.url)
        assert (status, json.loads(answer)["id"], json.loads(answer)["result"]["balance"]) == (200, 2**64 - 1, 5)
        status, answer = ask(server, "POST", "/node", CALL, Origin=server.url, Authorization="Bearer x")
        assert status == 200
    status, answer = ask(server, "POST", "/node", CALL, Origin=server.url)
    assert status == 502
    assert answer.startswith(f"The mock node at {server.node} gives no answer: ")


def test_pages_of_other_sites_do_not_reach_the_node(server: SiteServer, tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        server.node = f"http://{node.address[0]}:{node.address[1]}"
        assert ask(server, "POST", "/node", CALL)[0] == 403
        assert ask(server, "POST", "/node", CALL, Origin="https://a.example")[0] == 403
        assert ask(server, "POST", "/node", CALL, Origin="http://a.example", Host="a.example")[0] == 403
        assert node.control.call("mock.journal", {"since": 0})["entries"] == []


def test_a_body_the_node_would_drop_is_refused(server: SiteServer) -> None:
    server.node = "http://127.0.0.1:9"
    for length in (str(MAX_BODY + 1), "-1", "x", "٣"):
        connection = HTTPConnection(*server.server_address[:2], timeout=10)
        connection.putrequest("POST", "/node")
        connection.putheader("Origin", server.url)
        connection.putheader("Content-Length", length.encode())
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()
