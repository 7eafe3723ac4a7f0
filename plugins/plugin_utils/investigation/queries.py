# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Return an investigation as events of OCSF's discovery classes, one for each thing that one of them fits.

Processes are Process Queries (5015), connections and listeners of a process Network Connection Queries (5012), what
runs at times a Job Query (5010), what else starts programs a Startup Item Query (5022), libraries Module Queries
(5011), files File Queries (5007), accounts User Queries (5018), and sessions User Session Queries (5017); see
https://schema.ocsf.io/1.5.0/categories/discovery. Packages, containers, and addresses that no process of the host
talks to have no class.
"""

from __future__ import annotations

import itertools
import typing as t
import uuid

from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation import query_objects as objects
from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation import received
from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation.index import Index, Node
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.events import NAMESPACE, VERSION, product
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import Device

# A process with very many connections has an event for each; more would fill the controller's memory.
MOST_EVENTS = 10_000
_TEXT_LIMIT = 2_000
_LONGEST_ID = 20_000
_CLASSES = {
    5007: "File Query",
    5010: "Job Query",
    5011: "Module Query",
    5012: "Network Connection Query",
    5015: "Process Query",
    5017: "User Session Query",
    5018: "User Query",
    5022: "Startup Item Query",
}
# Startups that run at times, by the words of ``persistence.locations``.
_JOBS = frozenset(("crontab", "cron script", "at job"))
_EXISTS, _GONE = (1, "Exists"), (3, "Does not exist")
_ESTABLISHED, _LISTEN, _STATE_UNKNOWN = (1, "ESTABLISHED"), (10, "LISTEN"), (0, "Unknown")
_INBOUND, _OUTBOUND = (1, "Inbound"), (2, "Outbound")
# OCSF's type and start type of startup items.
_ITEM_KERNEL, _ITEM_SERVICE, _ITEM_AUTOLOAD = (7, "Kernel Extension"), (3, "Service"), (5, "Autoload")
_START_UNKNOWN, _START_AUTO, _START_BOOT, _START_LOGIN = (0, "Unknown"), (1, "Auto"), (2, "Boot"), (5, "All Logins")
_KERNEL = frozenset(("loaded kernel module", "kernel modules at boot", "eBPF program"))
_SERVICES = frozenset(("systemd unit", "systemd user unit", "D-Bus service", "super-server service", "init script"))
_LOGINS = frozenset(
    ("shell profile", "SSH login script", "login message script", "PAM service", "PAM module", "autostart")
)


def events(investigation: t.Mapping[str, t.Any], device: Device, now: float) -> list[dict[str, t.Any]]:
    """Return the events in the order of the nodes, at most ``MOST_EVENTS``. now: seconds since the epoch."""
    return list(itertools.islice(_events(investigation, device, now), MOST_EVENTS))


def stored(result: t.Any, device: Device, at: float) -> list[dict[str, t.Any]]:
    """Return the same of an investigation of the store, nothing for one that another version wrote otherwise.

    at: when it was recorded, in seconds since the epoch.
    """
    try:
        return events(received.check(result), device, at)
    except received.InvestigationError:
        return []


def _events(investigation: t.Mapping[str, t.Any], device: Device, now: float) -> t.Iterator[dict[str, t.Any]]:
    index = Index(investigation)
    reasons = {reason["node"]: reason for reason in investigation["reasons"]}
    for node in index.nodes.values():
        for number, (class_uid, fields) in enumerate(_queries(index, node)):
            about: dict[str, t.Any] = {"node": evidence.line(node["id"], _LONGEST_ID)}
            if node["id"] in reasons:
                reason = reasons[node["id"]]
                about.update(reason=evidence.line(reason["text"], _TEXT_LIMIT), step=reason["step"])
            common = _common(class_uid, node, number, investigation["subject"], device, now)
            yield {**common, **fields, "unmapped": {**fields.get("unmapped", {}), **about}}


def _common(class_uid: int, node: Node, number: int, subject: str, device: Device, now: float) -> dict[str, t.Any]:
    name, milliseconds = _CLASSES[class_uid], int(now * 1000)
    result_id, result = _GONE if node["gone"] else _EXISTS
    subject = evidence.line(subject, _TEXT_LIMIT)
    node_id = evidence.line(node["id"], _LONGEST_ID)
    identity = f"investigation {device.name} {subject} {node_id} {class_uid} {number} {milliseconds}"
    return {
        "category_uid": 5,
        "category_name": "Discovery",
        "class_uid": class_uid,
        "class_name": name,
        "activity_id": 1,
        "activity_name": "Query",
        "type_uid": class_uid * 100 + 1,
        "type_name": f"{name}: Query",
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 1,
        "status": "Success",
        "time": milliseconds,
        "message": evidence.line(node["label"], _TEXT_LIMIT),
        "query_info": {"name": "investigation", "query_string": subject, "query_time": milliseconds},
        "query_result_id": result_id,
        "query_result": result,
        "device": device.to_ocsf(),
        "metadata": {
            "version": VERSION,
            "product": product(),
            "profiles": ["host"],
            "uid": str(uuid.uuid5(NAMESPACE, identity)),
            "logged_time": milliseconds,
        },
    }


def _queries(index: Index, node: Node) -> t.Iterator[tuple[int, dict[str, t.Any]]]:
    """Yield the class and its own attributes for each event about a node."""
    kind = node["kind"]
    if kind == "process":
        yield from _of_process(index, node)
    elif kind == "startup":
        yield from _of_startup(node)
    elif kind in _SIMPLE:
        class_uid, name, describe = _SIMPLE[kind]
        value = describe(node)
        if value is not None:
            yield class_uid, {name: value}


def _file(node: Node) -> dict[str, t.Any] | None:
    value = objects.file_of(node["id"].partition(":")[2], node, {})
    return None if value is None else objects.fitted(value, "file")


_SIMPLE: t.Mapping[str, tuple[int, str, t.Callable[[Node], dict[str, t.Any] | None]]] = {
    "file": (5007, "file", _file),
    "account": (5018, "user", objects.user),
    "session": (5017, "session", objects.session),
}


def _of_process(index: Index, node: Node) -> t.Iterator[tuple[int, dict[str, t.Any]]]:
    process = objects.process(index, node)
    if process is None:
        return
    yield 5015, {"process": process}
    contacts = [(peer, _OUTBOUND) for peer in index.targets(node, "connected", "address")]
    contacts += [(peer, _INBOUND) for peer in index.sources(node, "connected", "address")]
    contacts += [(listener, _INBOUND) for listener in index.targets(node, "listens", "listener")]
    for peer, (direction_id, direction) in contacts:
        endpoint, protocol = objects.endpoint(peer)
        is_listener = peer["kind"] == "listener"
        state_id, state = _LISTEN if is_listener else _STATE_UNKNOWN if node["gone"] else _ESTABLISHED
        connection = {"direction_id": direction_id, "direction": direction}
        # The class has no attribute for endpoints.
        end = "src_endpoint" if is_listener or direction_id == _INBOUND[0] else "dst_endpoint"
        yield (
            5012,
            {
                "process": process,
                "connection_info": {**connection, **({"protocol_name": protocol} if protocol else {})},
                "state_id": state_id,
                "state": state,
                "unmapped": {end: endpoint, "peer": evidence.line(peer["label"], _TEXT_LIMIT)},
            },
        )
    for library in index.targets(node, "loaded", "file"):
        file = _file(library)
        if file is not None:
            yield (
                5011,
                {
                    "process": process,
                    "module": {"load_type_id": 1, "load_type": "Standard", "file": file},
                },
            )


def _of_startup(node: Node) -> t.Iterator[tuple[int, dict[str, t.Any]]]:
    kind = str(node["facts"].get("startup"))
    job = objects.job(node)
    if job is None:
        return
    if kind in _JOBS:
        yield 5010, {"job": job}
        return
    if kind in _KERNEL:
        what, start = {"driver": {"file": job["file"]}}, _START_BOOT if kind.endswith("boot") else _START_UNKNOWN
        type_id, type_name = _ITEM_KERNEL
    else:
        what = {"job": job}
        type_id, type_name = _ITEM_SERVICE if kind in _SERVICES else _ITEM_AUTOLOAD
        start = _START_AUTO if kind in _SERVICES else _START_LOGIN if kind in _LOGINS else _START_UNKNOWN
    item = {
        "name": job["name"],
        "type_id": type_id,
        "type": type_name,
        "start_type_id": start[0],
        "start_type": start[1],
        **what,
    }
    yield 5022, {"startup_item": item}
