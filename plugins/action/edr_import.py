# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record alerts that somebody exported from the console of an endpoint protection."""

from __future__ import annotations

import os
import socket
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import collection_version
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import (
    STORE_OPTION,
    StoreActionBase,
    person,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_content, import_summary, importing
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.imports.formats import FORMATS
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.known_hosts import KnownHosts
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import Device
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

_CAPABILITY = "edr"
_FLOORS = ("informational", "low", "medium", "high", "critical")
_MOST_UNKNOWN = 1_000


class ActionModule(StoreActionBase):
    """Read all files, identify the hosts, and record the alerts in one transaction."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "product": {"type": "str", "required": True, "choices": list(FORMATS)},
            "files": {"type": "list", "elements": "path", "required": True},
            "floor": {"type": "str", "choices": list(_FLOORS)},
            "hosts": {"type": "list", "elements": "str"},
        },
    }

    def check(self, options: dict[str, t.Any]) -> dict[str, t.Any]:
        if not options["files"]:
            raise ContentError("files: the list is empty; name at least one exported file")
        for path in options["files"]:
            if not os.path.isfile(path):
                raise ContentError(f"files: '{path}' is not a file on the controller")
        return options

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        now = time.time()
        hostvars = task_vars.get("hostvars") or {}
        names = options["hosts"] or list(task_vars.get("groups", {}).get("all", ()))
        imported = importing.read(options["product"], options["files"], options["floor"], KnownHosts(hostvars, names))
        received = importing.received(
            imported.known,
            lambda host: Device.from_vars({"inventory_hostname": host, **dict(hostvars.get(host) or {})}),
            f"edr_import of {options['product']}",
            now,
        )
        recorded = {}
        if received:
            run_id = store.start_run(
                hosts=[],
                capabilities=[],
                playbook="Import alerts",
                user=person(task_vars),
                controller=socket.gethostname(),
                version=collection_version.version(),
                now=now,
            )
            recorded = store.record_received(run_id, _CAPABILITY, received, now)
            store.finish_run(run_id, now, {})
        hosts = [
            {
                "host": host,
                **{name: getattr(each, name) for name in ("new", "seen_again", "resolved", "reopened", "suppressed")},
            }
            for host, each in sorted(recorded.items())
        ]
        result: dict[str, t.Any] = {
            "changed": any(each.changes for each in recorded.values()),
            "hosts": hosts,
            "unknown_hosts": [each._asdict() for each in imported.unknown[:_MOST_UNKNOWN]],
            "counts": {
                "records": imported.records,
                "alerts": imported.alerts,
                "below_floor": imported.below_floor,
                "no_alert": imported.others,
                "unknown_hosts": len(imported.unknown),
            },
        }
        title = alert_content.load()[options["product"]].to_source().name
        result["summary"] = import_summary.lines(title, imported, hosts)
        warnings = import_summary.warnings(title, imported)
        dropped = {host: each.dropped for host, each in sorted(recorded.items()) if each.dropped}
        if dropped:
            total = sum(dropped.values())
            warnings = [*warnings, f"{total} findings of {', '.join(dropped)} were dropped: the store has too many."]
        if warnings:
            result["warnings"] = warnings
        return result
