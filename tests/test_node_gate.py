"""Which call reaches which method: order of checks, energy limiters, tokens and roles, lists, default.toml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from node_process import NO_LIMIT, RECORDINGS, NodeProcess, ask, call, fresh_node, post

from handbook.node import gate, settings
from handbook.node.config import Config, EnergyRates, Limits
from handbook.node.contract import SNIPPETS
from handbook.node.deviations import BUILDS
from handbook.node.exposition import Metrics
from handbook.node.failure import RpcError, StartFailure
from handbook.node.gate import Caller, Gate
from handbook.node.node import Node

ENERGY = ("market_state", "receipts", "credits", "disputes", "slashes", "submit_reading", "settle", "flag_dispute")
ENERGY += ("resolve_dispute", "register_provider", "update_provider")
PLENTY = EnergyRates(1e9, 1e9, 1e9, 1e9)
HERE = Caller("127.0.0.1")


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Token files are looked for in the working directory."""
    monkeypatch.chdir(tmp_path)
    for role in ("PROVIDER", "ORACLE", "ADMIN"):
        monkeypatch.delenv(f"TB_ENERGY_{role}_TOKEN", raising=False)


def gate_of(rates: EnergyRates = PLENTY, deviations: set[str] | None = None, debug: bool = False) -> Gate:
    rpc = settings.RpcSettings(**{f: getattr(settings.DEFAULTS, f) for f in settings.DEFAULTS.__struct_fields__})
    if debug:
        rpc = settings.RpcSettings(["localhost"], [], 1_048_576, 5000, True, "secrets/admin.token")
    return Gate(rpc, rates, NO_LIMIT, Metrics(), (deviations or set()).__contains__)


def secret(name: str, token: str) -> None:
    Path("secrets").mkdir(exist_ok=True)
    Path("secrets", name).write_text(f" {token}\n")


def verdict(at: Gate, method: str, caller: Caller = HERE, now: float = 0.0) -> int | bool:
    try:
        return at.admit(method, caller, now)
    except RpcError as error:
        return error.code


def bearer(token: str, peer: str = "127.0.0.1") -> Caller:
    return Caller(peer, b"Bearer " + token.encode())


def test_the_defaults_never_let_settle_disputes_and_registration_through() -> None:
    energy = gate_of(EnergyRates())
    for method in ("energy.settle", "energy.flag_dispute"):
        assert [-32001, -32002, -32002, -32001] == [verdict(energy, method, now=at) for at in (0.0, 0.1, 59.9, 60.1)]
    for method in ("energy.register_provider", "energy.update_provider", "energy.resolve_dispute"):
        assert -32002 == verdict(energy, method, now=60.2), "one class, one ban"
    assert True is verdict(energy, "energy.submit_reading", now=60.2), "a ban holds within its class"


def test_submit_allows_one_call_and_read_sixteen_then_they_ban() -> None:
    energy = gate_of(EnergyRates())
    assert [True, -32001, -32002] == [verdict(energy, "energy.submit_reading") for _ in range(3)]
    assert [True, True] == [verdict(gate_of(EnergyRates()), "energy.submit_reading", now=at) for at in (0.0, 0.21)]
    spaced = gate_of(EnergyRates())
    assert [True, True] == [verdict(spaced, "energy.submit_reading", now=at) for at in (0.0, 0.21)]
    hasty = gate_of(EnergyRates())
    assert [True, -32001] == [verdict(hasty, "energy.submit_reading", now=at) for at in (0.0, 0.19)]
    reads = [verdict(energy, "energy.credits" if n % 2 else "energy.no_such_method") for n in range(18)]
    assert [True] * 16 + [-32001, -32002] == reads
    assert True is verdict(energy, "energy.credits", Caller("127.0.0.2")), "one bucket per address"


def test_a_forgotten_client_starts_afresh_and_clear_forgets_all() -> None:
    rates, limits = EnergyRates(1, 1, 1, 1), Limits(ban_seconds=1000, forget_seconds=300)
    energy = Gate(settings.DEFAULTS, rates, limits, Metrics(), set().__contains__)
    assert [True, -32001, -32002, True] == [verdict(energy, "energy.settle", now=at) for at in (0.0, 0.5, 299.0, 302.0)]
    verdict(energy, "energy.settle", now=302.0)
    for limiter in energy.limiters.values():
        limiter.restore([], 302.0)
    assert True is verdict(energy, "energy.settle", now=302.0)


def test_a_call_that_is_answered_afresh_after_a_failed_commit_costs_nothing_more() -> None:
    energy = gate_of(EnergyRates(1, 1, 1, 1))
    assert [True, True, True] == [
        verdict(energy, "energy.credits", HERE._replace(counted=again)) for again in (False, True, True)
    ]


@pytest.mark.parametrize("given", ["environment", "files"])
def test_each_role_takes_its_token_and_those_above_it(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ("provider", "oracle", "admin"):
        if given == "environment":
            monkeypatch.setenv(f"TB_ENERGY_{role.upper()}_TOKEN", f"the-{role}")
            secret(f"energy_{role}.token", "not-this-one")
        else:
            secret(f"energy_{role}.token", f"the-{role}")
    energy = gate_of()
    table = {
        method: "".join("y" if verdict(energy, f"energy.{method}", caller) is True else "n" for caller in callers)
        for callers in [[HERE, *(bearer(f"the-{role}") for role in ("provider", "oracle", "admin", "wrong"))]]
        for method in ENERGY
    }
    assert {
        **dict.fromkeys(ENERGY[:5], "nyyyn"),
        "submit_reading": "nnyyn",
        **dict.fromkeys(ENERGY[6:], "nnnyn"),
    } == table
    assert -33009 == verdict(energy, "energy.settle")


def test_one_energy_token_is_enough_to_demand_one_for_every_energy_method() -> None:
    assert [True] * 11 == [verdict(gate_of(), f"energy.{name}") for name in ENERGY], "no token, no check"
    secret("energy_provider.token", "p")
    energy = gate_of()
    assert [-33009] * 11 == [verdict(energy, f"energy.{name}") for name in ENERGY]
    assert -33009 == verdict(energy, "energy.settle", bearer("p")), "no token at all is the admin's"
    assert True is verdict(energy, "consensus.difficulty")


def test_the_admin_token_is_the_energy_admin_unless_that_has_its_own() -> None:
    secret("admin.token", "root")
    energy = gate_of()
    assert [-33009] * 11 == [verdict(energy, f"energy.{name}") for name in ENERGY]
    assert [True] * 11 == [verdict(energy, f"energy.{name}", bearer("root")) for name in ENERGY]
    secret("energy_admin.token", "own")
    assert [-33009, True] == [verdict(gate_of(), "energy.settle", bearer(token)) for token in ("root", "own")]


HOSTILE = [b"", b"Bearer", b"Bearer ", b"bearer root", b"BEARER root", b"Bearer  root", b"Bearer root ", b"Bearer roo"]
HOSTILE += [
    b"Bearer rooot",
    b"Basic root",
    b"root",
    b"Bearer\troot",
    b"Bearer \xff\xfe",
    b"Bearer root\x00",
    b"Bearer root, Bearer root",
]


@pytest.mark.parametrize("header", HOSTILE)
def test_only_the_exact_header_opens(header: bytes) -> None:
    secret("admin.token", "root")
    checked = gate_of()
    assert [-32601, -33009] == [verdict(checked, m, Caller("127.0.0.1", header)) for m in ("gov_list", "energy.settle")]
    assert True is verdict(checked, "gov_list", bearer("root"))


def test_an_empty_token_file_makes_no_admin() -> None:
    secret("admin.token", "")
    assert [-32601, True] == [verdict(gate_of(), method, bearer("")) for method in ("gov_list", "energy.settle")]


def test_admin_methods_want_the_token_and_debug_methods_the_switch_too() -> None:
    assert 17 == len(gate.ADMIN) and 3 == len(gate.DEBUG)
    assert {-32601} == {verdict(gate_of(debug=True), method, bearer("")) for method in gate.ADMIN | gate.DEBUG}
    secret("admin.token", "root")
    for method in gate.ADMIN:
        assert [-32601, -32601, True] == [verdict(gate_of(), method, c) for c in (HERE, bearer("no"), bearer("root"))]
    for method in gate.DEBUG:
        assert [-32601, True] == [verdict(gate_of(debug=on), method, bearer("root")) for on in (False, True)]
        assert -32601 == verdict(gate_of(debug=True), method)


@pytest.mark.parametrize(
    ("peer", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("", False),
    ],
)
def test_seven_network_methods_are_for_this_machine_only(peer: str, local: bool) -> None:
    assert 7 == len(gate.LOOPBACK)
    assert {True if local else -32601} == {verdict(gate_of(), method, Caller(peer)) for method in gate.LOOPBACK}
    assert True is verdict(gate_of(), "net.overlay_status", Caller(peer))


@pytest.mark.parametrize("method", ["claim_routes", "x.claim_routes.y", "energy.claim_routes", "gov_claim_routes"])
def test_a_name_with_claim_routes_in_it_passes_every_gate(method: str, tmp_path: Path) -> None:
    secret("admin.token", "root")
    with fresh_node(tmp_path, energy_rates=EnergyRates(0, 0, 0, 0)) as node:
        assert {"status": "ok"} == ask(node, method, [1])["result"]


ORDER: dict[str, tuple[dict[str, Any], bytes]] = {
    "the general limiter before the Host list": ({"limiter": "0"}, b"429 -32001"),
    "the Host list before the body is read": ({"host": "evil", "body": b"{"}, b"403 "),
    "the body before the gate": ({"body": b"{"}, b"200 -32700"),
    "the energy limiter before the role": ({"method": "energy.settle"}, b"200 -32001"),
    "the role before the lists": ({"method": "energy.update_provider"}, b"200 -33009"),
    "the lists before the params": ({"method": "gov_vote", "params": 5}, b"200 -32601"),
    "the params after all": ({"method": "gov.treasury.disbursement", "params": {"id": "1"}}, b"200 -32602"),
}


@pytest.mark.parametrize("case", ORDER)
def test_the_checks_decide_in_the_nodes_order(case: str, tmp_path: Path) -> None:
    wrong, expected = ORDER[case]
    secret("admin.token", "root")
    env = {"TB_RPC_TOKENS_PER_SEC": wrong.get("limiter", "1000"), "TB_RPC_ENERGY_SETTLE_TOKENS_PER_SEC": "0.5"}
    env["TB_RPC_ENERGY_DISPUTE_TOKENS_PER_SEC"] = "1"
    with NodeProcess(tmp_path, env=env) as node:
        body = wrong.get("body") or call(wrong.get("method", "consensus.difficulty"), wrong.get("params"))
        received = node.raw(post(body, host=wrong.get("host", "localhost")))
        content = received.partition(b"\r\n\r\n")[2]
        code = str(json.loads(content)["error"]["code"]).encode() if content else b""
        assert expected == received.split(b" ")[1] + b" " + code


def test_the_file_is_written_once_and_read_at_start(tmp_path: Path) -> None:
    secret("other.token", "root")
    assert settings.DEFAULTS == settings.load(tmp_path)
    path = tmp_path / "default.toml"
    edits = {
        '"localhost"]': '"ops.example"]',
        "cors_allow_origins = []": 'cors_allow_origins = ["https://ops.example"]',
        "1048576": "200",
        "enable_debug = false": "enable_debug = true",
        "secrets/admin.token": "secrets/other.token",
    }
    text = path.read_text()
    for old, new in edits.items():
        assert 1 == text.count(old)
        text = text.replace(old, new)
    (tmp_path / "node-data").mkdir()
    (tmp_path / "node-data" / "default.toml").write_text(text)
    with NodeProcess(tmp_path) as node:
        ours, theirs = "Origin: https://ops.example\r\n", "Origin: https://evil.example\r\n"
        ask = call("consensus.difficulty")
        allow = b"access-control-allow-origin: https://ops.example\r\n"
        assert node.raw(post(ask, host="OPS.example:3030")).startswith(b"HTTP/1.1 200 ")
        assert node.raw(post(ask, host="localhost")).startswith(b"HTTP/1.1 403 ")
        assert 1 == node.raw(post(ask, host="127.0.0.1", extra=ours)).count(allow)
        assert b"access-control" not in node.raw(post(ask, host="127.0.0.1", extra=theirs))
        preflight = post(b"", host="127.0.0.1", extra=ours).replace(b"POST", b"OPTIONS")
        received = node.raw(preflight)
        assert received.startswith(b"HTTP/1.1 204 ") and allow in received
        assert b"access-control-allow-methods: POST\r\n" in received
        assert b"access-control-allow-headers: content-type, authorization\r\n" in received
        assert node.raw(preflight.replace(b"ops.", b"evil.")).startswith(b"HTTP/1.1 403 ")
        assert b"" == node.raw(post(b" " * 201, host="127.0.0.1")), "max_body_bytes"
        token = "Authorization: Bearer root\r\n"
        assert b"-33009" in node.raw(post(call("energy.credits"), host="127.0.0.1"))
        assert b"-33009" not in node.raw(post(call("energy.credits"), host="127.0.0.1", extra=token))
    assert text == (tmp_path / "node-data" / "default.toml").read_text()


UNREADABLE = {
    "short": '[rpc]\nallowed_hosts = ["ops"]\n',
    "not TOML": "[rpc\n",
    "wrong type": settings.render(settings.DEFAULTS).replace("false", '"no"'),
    "no section": "",
    "not UTF-8": "\udcff",
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_does_not_fit_is_a_start_error_and_the_stock_build_replaces_it(case: str, tmp_path: Path) -> None:
    path = tmp_path / "default.toml"
    path.write_text(UNREADABLE[case], errors="surrogateescape")
    with pytest.raises(StartFailure, match=r"default\.toml.*every key.*hint: move it away"):
        Node(Config(data_dir=tmp_path))
    assert UNREADABLE[case] == path.read_text(errors="surrogateescape")
    with pytest.raises(StartFailure, match="--build nightly: expected one of contract, 0ecc756a"):
        Node(Config(data_dir=tmp_path, build="nightly"))
    Node(Config(data_dir=tmp_path, build="0ecc756a")).close()
    assert settings.render(settings.DEFAULTS) == path.read_text()


def test_the_other_routes_answer_as_the_node_does(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        get = lambda path, host="localhost": node.raw(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())  # noqa: E731
        dashboard = get("/dashboard")
        assert dashboard.startswith(b"HTTP/1.1 200 ") and b"content-type: text/html; charset=utf-8\r\n" in dashboard
        for path in ("/logs/tail", "/vm/trace", "/state_stream"):
            assert get(path).startswith(b"HTTP/1.1 400 ") and get(path, "evil").startswith(b"HTTP/1.1 403 ")
            assert node.raw(post(b"{}", path)).startswith(b"HTTP/1.1 404 ")
            asked = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            assert node.raw(asked.encode()).startswith(b"HTTP/1.1 400 ")
        offered = post(call("consensus.difficulty"), extra="Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n")
        assert b'{"difficulty":1}' in node.raw(offered), "what a client offers beside its call is ignored"


WIRE = {
    "exact": ("Authorization: Bearer root\r\n", True),
    "any case of the name": ("AUTHORIZATION: Bearer root\r\n", True),
    "none": ("", False),
    "empty": ("Authorization:\r\n", False),
    "another scheme": ("Authorization: Basic cm9vdA==\r\n", False),
    "lower case": ("Authorization: bearer root\r\n", False),
    "proxy header": ("Proxy-Authorization: Bearer root\r\n", False),
    "very long": (f"Authorization: Bearer {'root' * 5000}\r\n", False),
    "not ASCII": ("Authorization: Bearer ro\u00f6t\r\n", False),
}


def test_the_header_decides_on_the_wire_and_never_shows_in_the_journal(tmp_path: Path) -> None:
    secret("admin.token", "root")
    with NodeProcess(tmp_path) as node:
        for name, (header, opens) in WIRE.items():
            received = node.raw(post(call("gov_list"), extra=header))
            assert opens == (b'"result":[]' in received), name
            assert opens or b'{"code":-32601,"message":"method not found"}' in received, name
        assert "root" not in json.dumps(node.control.call("mock.journal", {}))


STOCK = [json.loads(line) for line in (RECORDINGS / "stock.jsonl").read_text().splitlines()]


def test_the_stock_build_answers_as_recorded(tmp_path: Path) -> None:
    replayed = 0
    with fresh_node(tmp_path, build="0ecc756a", energy_rates=PLENTY) as node:
        for recorded in STOCK:
            assert recorded["answer"] == ask(node, recorded["method"], recorded["params"]), recorded
            replayed += 1
    assert 66 == replayed


def test_the_document_says_of_each_build_what_its_gate_does() -> None:
    secret("admin.token", "root")
    document = json.loads((SNIPPETS / "openrpc.json").read_text())
    for build, deviations in BUILDS.items():
        opened = gate_of(deviations=set(deviations))
        served = {m["name"]: m["x-builds"][build] == "served" for m in document["methods"]}
        assert served == {name: verdict(opened, name, bearer("root")) is True for name in served}, build
