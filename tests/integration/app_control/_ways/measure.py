# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run all scripts within one session of the audit daemon, and ask every look once what it reports of them."""

from __future__ import annotations

import concurrent.futures
import pathlib
import re
import subprocess
import typing as t

import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files

from tests.fleet import images
from tests.fleet.engine import Engine
from tests.fleet.fleet import Fleet
from tests.integration.app_control._ways import host as system
from tests.integration.app_control._ways import looks, starters
from tests.integration.app_control._ways.host import SCRATCH, Host
from tests.integration.app_control._ways.table import WAYS
from tests.integration.app_control._ways.way import Way
from tests.support import audit

_NODE = re.compile(r" \(node (\w+)\)\Z")
# What is cut out of a log, and of other hosts.
_OF_THE_TEST = "audit_events_missing"
APPROVED = ("/opt/ways/tool", "/opt/ways/linked", "/opt/ways/linked_too")
_AT_ONCE = 3
# As if another test had a host that refuses a program at the path of a way, which is no part of it. $0: its directory.
_STRANGER = """
mount -t tmpfs -o noexec none /tmp; mkdir -p "$0"; cp /usr/bin/id "$0/own"
"$0/own" 2> /dev/null || test $? = 126
"""


class Measured(t.NamedTuple):
    """The alerts by way: names of alerts, those of other capabilities after the name of the capability.

    others: findings of application control about what no way accounts for, though an account of the scripts ran it.
    """

    control: dict[str, tuple[str, ...]]
    others: dict[str, tuple[str, ...]]
    unknown: list[str]


def measure(fleet: Fleet, directory: pathlib.Path) -> Measured:
    """Return what the looks report. directory: of the test."""
    engine = fleet.engine
    containers = {fleet.boot().container: starters.IN_CONTAINER}
    other = engine(
        "run", "--detach", "--network", "none", "--label", fleet.network, images.tag("trixie"), "sleep", "600"
    )
    containers[other] = starters.IN_UNKNOWN_CONTAINER
    with system.running(engine("info", "--format", "{{.DockerRootDir}}")) as host:
        host.run("/bin/sh", "-euc", starters.PREPARE)
        content = _content(host, directory)
        with audit.locked() as kernel, audit.daemon(host.shared, kernel) as daemon:
            looks.load_audit_rules(host)
            # All of the ways at once are more than a slow machine's daemon takes from the backlog of the product.
            kernel.control("-b", "65536")
            looks.file_integrity(host, compare=False)
            host.run("/bin/sh", "-euc", starters.BEFORE)
            daemon.settle()
            checkpoint = looks.programs(host, content, None)["checkpoint"]
            _start(host, engine, containers)
            subprocess.run(["unshare", "--mount", "/bin/sh", "-euc", _STRANGER, f"{SCRATCH}/git_hook"], check=True)
            daemon.settle()
            programs = looks.programs(host, content, checkpoint["token"])
            assert kernel.status()["lost"] == 0, daemon.condition()
            log = b"".join(path.read_bytes() for path in daemon.logs)
        (host.shared / "log" / "nodes.log").write_bytes(looks.as_nodes(log, _texts()))
        pids = {pid: way.name for way in WAYS if (pid := host.pid_of(way.name)) is not None}
        control, unknown = _by_subject(programs["detections"], host)
        others = [
            _by_node(looks.audit_events(host, "/var/log/audit/nodes.log")),
            _named("file_integrity", _by_subject(looks.file_integrity(host, compare=True), host)[0]),
            _by_process(looks.memory(host, list(pids)), pids),
        ]
    merged = {way.name: tuple(sorted({alert for each in others for alert in each[way.name]})) for way in WAYS}
    return Measured({name: tuple(sorted(alerts)) for name, alerts in control.items()}, merged, unknown)


def _content(host: Host, directory: pathlib.Path) -> str:
    names = host.run("dpkg-query", "--show", "--showformat=${Package}\\n").stdout.decode().split()
    digests = host.run("sha256sum", *APPROVED).stdout.decode()
    return allowlist(names, digests, ["/opt/ways/bin", "/opt/ways/open"], directory)


def allowlist(names: t.Iterable[str], digests: str, directories: t.Sequence[str], directory: pathlib.Path) -> str:
    """Return an allowlist as people write it: all packages, of this machine with many that record no digest.

    names: of packages. digests: as of sha256sum. directories: that are allowed. directory: of the test.
    """
    allow: list[dict[str, t.Any]] = [
        {"package": name, "manager": "dpkg", "allow_unverified": True} for name in sorted(set(names))
    ]
    for entry in allow:
        if entry["package"] == "ways-signed":
            entry["origin"] = "signed"
    for line in digests.splitlines():
        digest, path = line.split()
        allow.append({"sha256": digest, "path": path})
    allow += [{"directory": each} for each in directories]
    allow.append({"directory": "/usr", "image": images.BOOTING})
    lists = directory / "allowlists"
    lists.mkdir()
    (lists / "ways.yml").write_text(yaml.safe_dump({"role": "ways", "hosts": ["ways"], "allow": allow}))
    data = allowlist_files.packed_data(allowlist_files.load(lists), "ways")
    assert data is not None
    return payload.packed(data)


def _start(host: Host, engine: Engine, containers: t.Mapping[str, t.Mapping[str, str]]) -> None:
    numbered = {name: system.FIRST_USER + number for number, name in enumerate(starters.SCRIPTS)}
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        started = [
            pool.submit(host.script, name, script, numbered[name])
            for name, script in starters.SCRIPTS.items()
            if name != starters.LAST
        ]
        for container, scripts in containers.items():
            for name, script in scripts.items():
                head = f"umask 022; D={SCRATCH}/{name}; mkdir -p $D; cd $D\n"
                engine("exec", "--interactive", container, "/bin/sh", "-eu", stdin=(head + script).encode())
        for each in started:
            each.result()
    host.script(starters.LAST, starters.SCRIPTS[starters.LAST], numbered[starters.LAST])


def _texts() -> dict[str, list[bytes]]:
    """Return what the records of a way have: the number of the sign-in, in a container the directory.

    The log is that of the whole machine: another test's host may have the same directories, but not these numbers.
    """
    texts = {name: [f"{SCRATCH}/{name}/".encode()] for name in (*starters.IN_CONTAINER, *starters.IN_UNKNOWN_CONTAINER)}
    for number, name in enumerate(starters.SCRIPTS):
        texts[name] = [b" auid=%d " % (system.FIRST_USER + number)]
    return texts


def _by_subject(found: looks.Detections, host: Host) -> tuple[dict[str, set[str]], list[str]]:
    alerts: dict[str, set[str]] = {way.name: set() for way in WAYS}
    unknown = []
    for detection in found:
        owner = next((way for way in WAYS if _is_about(detection["subject"], way, host)), None)
        if owner is not None:
            alerts[owner.name].add(detection["alert"])
        elif re.search(r" by 61\d\d\d,", str(detection["message"])):
            unknown.append(f"{detection['alert']} {detection['subject']}: {detection['message']}")
    return alerts, unknown


def _is_about(subject: str, way: Way, host: Host) -> bool:
    path = subject.rpartition(": ")[2]
    marks = [mark.replace("$S", str(host.shared)) for mark in way.marks]
    return path in marks or path.startswith(f"{SCRATCH}/{way.name}/")


def _by_node(found: looks.Detections) -> dict[str, set[str]]:
    alerts: dict[str, set[str]] = {way.name: set() for way in WAYS}
    for detection in found:
        node = _NODE.search(detection["subject"])
        if node is not None and detection["alert"] != _OF_THE_TEST:
            alerts[node.group(1)].add(detection["alert"])
    return _named("audit", alerts)


def _by_process(found: looks.Detections, pids: t.Mapping[int, str]) -> dict[str, set[str]]:
    alerts: dict[str, set[str]] = {way.name: set() for way in WAYS}
    for detection in found:
        for evidence in detection["evidences"]:
            alerts[pids[evidence["process"]["pid"]]].add(detection["alert"])
    return _named("memory_scan", alerts)


def _named(capability: str, alerts: t.Mapping[str, t.Collection[str]]) -> dict[str, set[str]]:
    return {name: {f"{capability}: {alert}" for alert in each} for name, each in alerts.items()}
