# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the firewall would do with each connection of a process: real rules, connections and listeners in namespaces."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import collect, options
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Node

from tests.support import network

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:iptables-nft"),
    pytest.mark.xdist_group("investigation"),
]

# Connects to each port of the visitor, and listens on the others; says when it has.
_PROGRAM = """
import socket, sys, time
peer, connected, listening = sys.argv[1], sys.argv[2].split(","), sys.argv[3].split(",")
held = [socket.create_connection((peer, int(port))) for port in connected]
for port in listening:
    held.append(socket.create_server(("", int(port))))
held.append(socket.create_server(("127.0.0.1", int(sys.argv[4]))))
print("ready", flush=True)
held.append(held[len(connected)].accept()[0])
print("accepted", flush=True)
time.sleep(600)
"""
_ELSEWHERE = "not judged, as it has a network of its own"
_RULES = """
table inet theirs {
  chain in {
    type filter hook input priority 0; policy drop
    ct state established,related accept
    iifname "eth0" ip saddr 10.99.0.2 tcp dport 22 accept comment "office"
    tcp dport 8080 accept
  }
  chain out {
    type filter hook output priority 0; policy accept
    oifname "eth0" ip daddr 10.99.0.2 tcp dport 4444 drop
    tcp dport 9000 limit rate over 1/day drop
  }
}
"""


@contextlib.contextmanager
def _running(host: network.Namespace, *arguments: str) -> t.Iterator[subprocess.Popen[str]]:
    with host.entered():
        process = subprocess.Popen([sys.executable, "-c", _PROGRAM, *arguments], stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def _said(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == word


def _investigated(host: network.Namespace, tmp_path: pathlib.Path, pid: int) -> dict[str, t.Any]:
    """Return the nodes that an investigation of a process names, by id."""
    params = {
        **{name: spec.get("default") for name, spec in options.collect_spec().items()},
        "pid": pid, "hours": 1, "depth": 2, "nodes": 200, "events": 100, "time_budget": 60,
        "audit_logs": [str(tmp_path / "none")], "priority": "normal",
    }  # fmt: skip
    with host.entered():
        # The thread's network, as a module that runs on the host has it.
        investigation, coverage = collect.investigate(options.parse(params), Host(proc="/proc"), frozenset())
    (connections,) = [entry for entry in coverage if entry["scope"] == "connections"]
    return {"coverage": connections, **{node.id: node for node in investigation.nodes}}


def _judged(node: Node) -> set[str]:
    """Return what is said of connections in this network. Other tests have hosts of the same addresses in theirs."""
    return {sentence for sentence in node.facts["firewall"] if not sentence.endswith(_ELSEWHERE)}


def test_each_connection_has_what_the_rules_would_do_with_it(tmp_path: pathlib.Path) -> None:
    with contextlib.ExitStack() as stack:
        host, visitor = stack.enter_context(network.hosts("host", "visitor"))
        for port in (443, 4444, 9000):
            stack.enter_context(visitor.listen(port))
        process = stack.enter_context(_running(host, visitor.address[4], "443,4444,9000", "22,8080", "7000"))
        _said(process, "ready")
        assert visitor.connects(host, 22)
        _said(process, "accepted")
        other = stack.enter_context(_running(host, visitor.address[4], "443", "2222", "7001"))
        _said(other, "ready")

        before = _investigated(host, tmp_path, process.pid)
        host.run("nft", "-f", "-", given=_RULES)
        after = _investigated(host, tmp_path, process.pid)

        # The kernel does what is said.
        assert visitor.connects(host, 22)
        assert visitor.connects(host, 8080)
        assert not visitor.connects(host, 2222)
        assert not host.connects(visitor, 4444)
        assert host.connects(visitor, 443)

    peer = f"address:{visitor.address[4]}"
    office = 'iifname "eth0" ip saddr 10.99.0.2 tcp dport 22 accept comment "office"'
    limit = "tcp dport 9000 limit rate over 1/day burst 5 packets drop"
    table = "nftables (table inet theirs)"
    assert _judged(before[peer]) == {
        "outgoing tcp 443: accepted, as no rule looks at it",
        "outgoing tcp 4444: accepted, as no rule looks at it",
        "outgoing tcp 9000: accepted, as no rule looks at it",
        "incoming tcp 22: accepted, as no rule looks at it",
    }
    assert _judged(after[peer]) == {
        f"outgoing tcp 443: accepted by the policy of chain out in {table}",
        f'outgoing tcp 4444: denied by oifname "eth0" ip daddr 10.99.0.2 tcp dport 4444 drop (chain out) in {table}',
        f"outgoing tcp 9000: not judged, as it depends on {limit} (chain out) in {table}",
        f"incoming tcp 22: accepted by {office} (chain in) in {table}",
    }
    assert _judged(after["listener:tcp/0.0.0.0:8080"]) == {
        f"tcp 8080: everybody may connect by tcp dport 8080 accept (chain in) in {table}"
    }
    assert _judged(after["listener:tcp/127.0.0.1:7000"]) == {"tcp 7000: only this host can connect"}
    assert "not everybody may connect by the policy of chain in" in "".join(_judged(after["listener:tcp/0.0.0.0:22"]))
    assert after[peer].facts["route"] == "by eth0"
    # Who else talks to it.
    assert any(identity.startswith(f"process:{other.pid}@") for identity in after)
    assert not [entry for entry in after["coverage"]["skipped"] if entry["subject"] == "firewall"]


def test_rules_of_iptables_decide_and_another_network_is_not_judged(tmp_path: pathlib.Path) -> None:
    with contextlib.ExitStack() as stack:
        host, visitor = stack.enter_context(network.hosts("host", "visitor"))
        stack.enter_context(visitor.listen(4444))
        process = stack.enter_context(_running(host, visitor.address[4], "4444", "22,7001", "7000"))
        _said(process, "ready")
        host.run("iptables-nft", "-A", "OUTPUT", "-o", "eth0", "-p", "tcp", "--dport", "4444", "-j", "REJECT")
        # As a container engine publishes a port: the chain input does not see these packets.
        host.run("iptables-nft", "-P", "INPUT", "DROP")
        redirect = ["-p", "tcp", "--dport", "22", "-j", "DNAT", "--to-destination", f"{visitor.address[4]}:4444"]
        host.run("iptables-nft", "-t", "nat", "-A", "PREROUTING", *redirect)

        inside = _investigated(host, tmp_path, process.pid)
        outside = _investigated(visitor, tmp_path, process.pid)

        assert not host.connects(visitor, 4444)

    peer = f"address:{visitor.address[4]}"
    (sentence,) = _judged(inside[peer])
    assert sentence.startswith("outgoing tcp 4444: denied by -A OUTPUT -o eth0 -p tcp -m tcp --dport 4444 -j REJECT")
    assert sentence.endswith("in iptables (table filter of iptables)")
    (published,) = _judged(inside["listener:tcp/0.0.0.0:22"])
    assert published.startswith("tcp 22: not judged, as it depends on -A PREROUTING -p tcp -m tcp --dport 22 -j DNAT")
    assert "not everybody may connect by the policy" in "".join(_judged(inside["listener:tcp/0.0.0.0:7001"]))
    assert f"outgoing tcp 4444: {_ELSEWHERE}" in outside[peer].facts["firewall"]
    assert not _judged(outside[peer])
