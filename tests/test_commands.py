"""Shell fragments that pages include do no harm beside a node that is not theirs."""

from __future__ import annotations

import subprocess

from handbook import facts
from handbook.target import Target


def test_start_node_refuses_an_address_where_a_node_answers(mock: Target) -> None:
    script = f". {facts.SNIPPETS}/commands/own-node.sh; start_node"
    env = {"PATH": "/usr/bin:/bin", **mock.addresses.env()}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stdout == f"a node answers at {mock.addresses.node} already: set NODE to a free port\n"
