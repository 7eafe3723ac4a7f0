# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An investigation as OCSF is valid by OCSF's own schema, whatever the host sent."""

from __future__ import annotations

import collections
import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.collect import as_data
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Investigation, Link, Node
from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation import queries, received
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import Device

from tests.unit.plugins.plugin_utils.investigation import samples
from tests.unit.plugins.plugin_utils.ocsf import schema
from tests.unit.plugins.plugin_utils.report.samples import ATTACKS

NOW = samples.BEGIN + 600


def _events(investigation: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    made = queries.events(investigation, Device("web1"), NOW)
    for event in made:
        assert schema.errors(event) == [], event
    return made


def _of_nodes(nodes: t.Sequence[Node], links: t.Sequence[Link] = ()) -> list[dict[str, t.Any]]:
    return _events(received.check(as_data(Investigation("process 1", nodes, links, [], [], []))))


def test_each_thing_is_an_event_of_its_class() -> None:
    made = _events(samples.web_shell())
    assert collections.Counter(event["class_name"] for event in made) == {
        "Process Query": 5,
        "Network Connection Query": 3,
        "File Query": 2,
        "User Query": 1,
        "Job Query": 1,
    }
    by_node = {event["unmapped"]["node"]: event for event in made if event["class_uid"] != 5012}
    miner = by_node[samples.MINER]
    assert miner["process"]["pid"] == 4713
    assert miner["process"]["parent_process"]["pid"] == 4711
    assert miner["process"]["file"]["hashes"] == [{"algorithm": "SHA-256", "algorithm_id": 3, "value": "ab" * 32}]
    assert (miner["query_result"], by_node[samples.CURL]["query_result"]) == ("Exists", "Does not exist")
    assert miner["unmapped"] == {"node": samples.MINER, "reason": "the finding is about it", "step": 1}
    assert miner["query_info"]["query_string"] == f"finding {samples.UID}"
    cron = by_node[samples.CRON]["job"]
    assert (cron["cmd_line"], cron["user"], cron["file"]["path"]) == (
        "/dev/shm/x",
        {"name": "root"},
        "/etc/cron.d/apt-cache",
    )


def test_connections_have_their_direction_state_and_peer() -> None:
    made = [event for event in _events(samples.web_shell()) if event["class_uid"] == 5012]
    assert [
        (event["process"]["pid"], event["connection_info"]["direction"], event["state"], event["unmapped"])
        for event in made
        for event["unmapped"] in [{name: event["unmapped"][name] for name in event["unmapped"] if "endpoint" in name}]
    ] == [
        (4713, "Outbound", "ESTABLISHED", {"dst_endpoint": {"ip": "203.0.113.9", "port": 443}}),
        (4712, "Outbound", "Unknown", {"dst_endpoint": {"ip": "203.0.113.9", "port": 443}}),
        (810, "Inbound", "LISTEN", {"src_endpoint": {"ip": "192.0.2.1", "port": 80}}),
    ]


@pytest.mark.parametrize(
    ("kind", "class_name", "item"),
    [
        ("at job", "Job Query", None),
        ("systemd unit", "Startup Item Query", ("Service", "Auto", "job")),
        ("loaded kernel module", "Startup Item Query", ("Kernel Extension", "Unknown", "driver")),
        ("kernel modules at boot", "Startup Item Query", ("Kernel Extension", "Boot", "driver")),
        ("shell profile", "Startup Item Query", ("Autoload", "All Logins", "job")),
        ("udev rule", "Startup Item Query", ("Autoload", "Unknown", "job")),
    ],
)
def test_what_starts_programs_is_a_job_or_a_startup_item(
    kind: str, class_name: str, item: tuple[str, str, str] | None
) -> None:
    (event,) = _of_nodes([Node("startup:/etc/x", "/etc/x", {"startup": kind, "commands": ["/opt/x"]})])
    assert event["class_name"] == class_name
    if item is not None:
        startup = event["startup_item"]
        assert (startup["type"], startup["start_type"]) == item[:2]
        assert item[2] in startup


def test_libraries_and_sessions_have_classes_of_their_own() -> None:
    process = samples.process("process:5@5", "nginx", "nginx", "/usr/sbin/nginx", 5.0)
    nodes = [
        process,
        Node("file:/opt/evil.so", "/opt/evil.so", {"type": "file"}),
        Node("session:7", "session 7", {"source": "198.51.100.7", "service": "sshd"}, 3.0),
        Node("package:nginx", "nginx"),
    ]
    made = _of_nodes(nodes, [Link(process.id, "file:/opt/evil.so", "loaded", "proc")])
    names = ["Process Query", "Module Query", "File Query", "User Session Query"]
    assert [event["class_name"] for event in made] == names
    assert made[1]["module"]["file"]["path"] == "/opt/evil.so"
    assert made[3]["session"] == {"uid": "7", "created_time": 3_000, "is_remote": True, "issuer": "sshd"}


def test_a_flood_of_connections_is_cut() -> None:
    process = samples.process("process:5@5", "x", "x", "/opt/x", 5.0)
    nodes = [process, *(Node(f"address:192.0.2.{number}", "x") for number in range(50))]
    links = [Link(process.id, node.id, "connected", "proc") for node in nodes[1:]]
    made = received.check(as_data(Investigation("process 5", nodes, links, [], [], [])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queries, "MOST_EVENTS", 20)
        assert len(queries.events(made, Device("web1"), NOW)) == 20


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_text_is_valid_too(attack: str) -> None:
    made = _events(samples.hostile(attack))
    assert made
    json.dumps(made, allow_nan=False).encode("ascii")


@pytest.mark.parametrize("value", [None, [], {}, "x", -1, 1e300, True, {"a": 1}, 2**80])
def test_facts_of_another_kind_are_left_out(value: t.Any) -> None:
    names = ("pid", "name", "command_line", "path", "uid", "user", "session", "sha256", "size", "modified", "born")
    names += ("type", "ports", "groups", "commands", "accounts", "startup", "terminal", "service", "source")
    facts = dict.fromkeys(names, value)
    kinds = ("process", "file", "address", "account", "session", "startup", "listener")
    nodes = [Node(f"{kind}:1@2", "x", facts) for kind in kinds]
    links = [Link(nodes[0].id, node.id, relation, "x") for node in nodes for relation in ("connected", "listens")]
    _of_nodes(nodes, links)
