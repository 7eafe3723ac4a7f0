# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The looks of the capabilities on the system, each in a process of its own there, as modules run."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control import options as control_options
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import options as audit_options
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import options as rules_options
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import options as fim_options
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import options as memory_options
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections, rule_groups
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import content as fim_content
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content as memory_content

from tests.integration.app_control._ways.host import COLLECTIONS, Host

Spec = t.Mapping[str, t.Mapping[str, t.Any]]
Detections = list[dict[str, t.Any]]

_STATE = "/run/ways-state"
# Default watches, and which of the files in them are compared; all where none are named.
_WATCHES: t.Final[t.Mapping[str, t.Sequence[str]]] = {
    "system_programs": ["/usr/bin/ways-*", "/usr/bin/nl"],
    "local_programs": ["/opt/ways/*", "/opt/ways/*/*", "/usr/local/bin/*"],
    "maintainer_scripts": ["/var/lib/dpkg/info/ways-*"],
    "preloaded_library": [],
    "cron": [],
}
_PROGRAM = """
import importlib, json, sys
module, function = sys.argv[1:]
module = importlib.import_module("ansible_collections.bulwark.servers.plugins.module_utils." + module)
json.dump(getattr(module, function)(json.load(sys.stdin), False), sys.stdout)
"""
_EVENT = re.compile(rb"^type=(\w+) msg=audit\(([^)]+)\)", re.MULTILINE)
_CALL = re.compile(rb"^type=SYSCALL msg=audit\(([^)]+)\): [^\n]*? ppid=(\d+) pid=(\d+) ", re.MULTILINE)


def look(host: Host, function: str, spec: Spec, **arguments: t.Any) -> dict[str, t.Any]:
    """Return what a function of a capability returns. function: as in ``audit.events.collect:collect``."""
    params = {name: option.get("default") for name, option in spec.items()}
    common = {"priority": "normal", "state_dir": _STATE, **arguments}
    given = json.dumps({**params, **{name: value for name, value in common.items() if name in spec}}).encode()
    environment = ["env", f"PYTHONPATH={COLLECTIONS}", "PYTHONDONTWRITEBYTECODE=1", "/usr/bin/python3", "-W", "error"]
    return t.cast(
        "dict[str, t.Any]", json.loads(host.run(*environment, "-c", _PROGRAM, *function.split(":"), given=given).stdout)
    )


def load_audit_rules(host: Host) -> None:
    """Deploy the default groups of audit rules, as protect does."""
    groups = rule_groups.chosen_groups(None, None, None)
    look(host, "audit.rules.apply:apply", rules_options.apply_spec(), _groups=groups)


def file_integrity(host: Host, compare: bool) -> Detections:
    """Make a baseline of what the scripts reach, or compare with it: all that is watched is as large as the machine."""
    watches = [
        {**watch, "include": _WATCHES[watch["name"]]}
        for watch in fim_content.load_watches()
        if watch["name"] in _WATCHES
    ]
    if not compare:
        look(host, "file_integrity.apply:apply", fim_options.apply_spec(), watches=watches)
        return []
    result = look(host, "file_integrity.collect:collect", fim_options.collect_spec(), watches=watches)
    return t.cast("Detections", result["detections"])


def memory(host: Host, processes: t.Sequence[int]) -> Detections:
    spec = memory_options.collect_spec()
    given = {"pids": list(processes), "drift": False, "_content": memory_content.load()}
    return t.cast("Detections", look(host, "memory_scan.collect:collect", spec, **given)["detections"])


def audit_events(host: Host, log: str) -> Detections:
    """Look at a log at this path on the system, with the shipped detections."""
    given = {"paths": [log], "_advance": False, "_content": detections.load().payload}
    return t.cast(
        "Detections", look(host, "audit.events.collect:collect", audit_options.collect_spec(), **given)["detections"]
    )


def as_nodes(log: bytes, marks: t.Mapping[str, t.Sequence[bytes]]) -> bytes:
    """Return the events of each way as those of a host with its name, which keeps them apart in one look.

    marks: texts in the records of events that belong to a way. What a process of such an event starts belongs to it,
    too. The sign-in that the test itself pretends is left out.
    """
    pretended = {number for kind, number in _EVENT.findall(log) if kind == b"LOGIN"}
    owners: dict[bytes, str] = {}
    for name, texts in marks.items():
        for text in texts:
            for line in re.finditer(rb"^type=\w+ msg=audit\(([^)]+)\)[^\n]*" + re.escape(text), log, re.MULTILINE):
                owners.setdefault(line.group(1), name)
    processes: dict[bytes, str] = {}
    for call in _CALL.finditer(log):
        event, parent, process = call.groups()
        owner = owners.get(event) or processes.get(parent)
        if owner is not None:
            owners[event] = processes[process] = owner
    lines = []
    for line in log.splitlines(keepends=True):
        found = _EVENT.match(line)
        if found and found.group(2) in owners and found.group(2) not in pretended:
            lines.append(b"node=%s %s" % (owners[found.group(2)].encode(), line))
    return b"".join(lines)


def programs(host: Host, content: str, token: str | None) -> dict[str, t.Any]:
    """Look at the programs since the checkpoint, and keep a new one. content: the compiled allowlist."""
    spec = control_options.look_spec()
    return look(host, "app_control.look:look", spec, _content=content, _advance=True, _token=token)
