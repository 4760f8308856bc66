"""What the control page says of each call is so: results are held to their tables, refusals are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from node_process import ask, fresh_node

from handbook import refusals
from handbook.macros import MacroError, draw
from handbook.macros.control import HOMES
from handbook.node import control, results
from handbook.node.desk import Desk
from handbook.node.failure import RpcError
from handbook.node.gate import Caller
from handbook.node.members import MEMBERS
from handbook.pages import steering
from handbook.pages.page import read_page

REFUSALS = [(name, one) for name, refusals in refusals.load().items() for one in refusals]


def test_every_call_has_a_result_and_a_refusal() -> None:
    assert list(results.RESULTS) == list(control.METHODS) == list(refusals.load())
    assert len(control.METHODS) == 24 and len(REFUSALS) >= 34


@pytest.mark.parametrize(("method", "refusal"), REFUSALS)
def test_a_call_is_refused_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, refusal: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    with fresh_node(Path()) as node:
        for step in refusal.get("before", ()):
            control.run(node, step["method"], step["params"], Caller())
            node.commit()
        events = node.log.seq
        with pytest.raises(RpcError) as refused:
            control.run(node, method, refusal["params"], Caller())
        assert (refused.value.code, str(refused.value).replace("node-data/", "")) == (-32602, refusal["says"])
        assert (node.log.seq, node.dirty) == (events, False)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"frozen": True}, "missing required field `now`"),
        ({"frozen": True, "now": "1"}, "Expected `int`, got `str` - at `$.now`"),
        ({"frozen": True, "now": 1, "then": 2}, "unknown field `then`"),
    ],
)
def test_a_result_that_breaks_its_table_never_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], why: str
) -> None:
    monkeypatch.setitem(control.METHODS, "mock.clock", lambda node, params: answer)
    with fresh_node(tmp_path) as node:
        with pytest.raises(RpcError, match="internal error") as wrong:
            control.run(node, "mock.clock", {}, Caller())
        assert wrong.value.code == -32603 and why in (wrong.value.reason or "")
        entry = Desk(node, "control", control.run).call(b'{"method":"mock.clock"}', close=False).entry
        assert entry and why in (entry.reason or "")
        assert ask(node, "balance")["result"] == {"amount": 0}


def test_the_tables_name_every_member() -> None:
    drawn = {name: draw(f'control_call("{name}")') for name in control.METHODS}
    for name, text in drawn.items():
        assert all(f"| `{param}` |" in text for param in MEMBERS.get(name, {}))
        shared = HOMES.get(results.RESULTS[name], name)
        home = drawn[shared]
        assert all(f"| `{field}` |" in home for field in results.RESULTS[name].__struct_fields__)
        assert (f"Answers as [`{shared}`]" in text) == (shared != name)
        assert "| refused with -32602 |" in text
    assert "| `entries[].error.near` | string, or left out |" in drawn["mock.journal"]
    assert "| `entries[].error` | object or null |" in drawn["mock.journal"]
    assert sum("Answers as" in text for text in drawn.values()) == 5
    with pytest.raises(MacroError, match=r"no call 'mock\.time'"):
        draw('control_call("mock.time")')


SECTION = """### mock.mine {{ #mock-mine }}

{tables}

```{{.bash needs="mock"}}
{command}
```
```{{.text .output .no-copy}}
{output}
```
"""


@pytest.mark.parametrize(
    ("tables", "command", "output", "says"),
    [
        ('{{ control_call("mock.mine") }}', "mock mine", "{}", []),
        ('{{ control_call("mock.mining") }}', "mock mine", "{}", ["the tables of mock.mine are not drawn"]),
        ('{{ control_call("mock.mine") }}', "mock mining", "{}", ["no example of mock.mine"]),
        ('{{ control_call("mock.mine") }}', "mock mine", "", ["no example of mock.mine"]),
    ],
)
def test_a_call_without_tables_or_example_is_named(
    tmp_path: Path, tables: str, command: str, output: str, says: list[str]
) -> None:
    file = tmp_path / "page.md"
    file.write_text("# Page\n\n" + SECTION.format(tables=tables, command=command, output=output))
    found = steering.missing(read_page(file), ["mock.mine"])
    assert [(problem.where, problem.message) for problem in found] == [("page.md:3", message) for message in says]


def test_a_call_without_a_section_is_named(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("# Page\n")
    (found,) = steering.missing(read_page(file), ["mock.fault.add"])
    assert found.message == "no section about mock.fault.add" and "{ #mock-fault-add }" in found.hint


def test_the_page_is_whole() -> None:
    assert steering.check() == ([], 24)
