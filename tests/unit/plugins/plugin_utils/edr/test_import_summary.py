# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An import of which nothing was recorded never looks like one without alerts."""

from __future__ import annotations

import json
import pathlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import import_summary, importing
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.known_hosts import KnownHosts

ALERT = {
    "output": "A shell was started",
    "priority": "Warning",
    "rule": "Terminal shell",
    "time": "2026-05-01T10:20:30.123456789Z",
    "output_fields": {"proc.name": "bash"},
    "hostname": "web7",
}
CHANGES = {"host": "web1", "new": 1, "seen_again": 2, "resolved": 0, "reopened": 0, "suppressed": 0}


def _imported(directory: pathlib.Path, *records: dict[str, t.Any]) -> importing.Imported:
    path = directory / "alerts.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    return importing.read("falco", [str(path)], None, KnownHosts({}, []))


def test_records_of_another_product_are_counted_and_warned_about(tmp_path: pathlib.Path) -> None:
    imported = _imported(tmp_path, {"threatInfo": {}}, {"threatInfo": {}})
    assert import_summary.lines("Falco", imported, []) == [
        "The files have 2 records: 0 alerts of Falco, 0 of them below the floor, and 2 other records.",
        "Nothing was recorded.",
    ]
    assert import_summary.warnings("Falco", imported) == [
        "No record is an alert of Falco: check the product and what was exported."
    ]


def test_hosts_that_the_inventory_lacks_are_listed_with_their_alerts(tmp_path: pathlib.Path) -> None:
    imported = _imported(tmp_path, ALERT, {"threatInfo": {}})
    first, second, third, fourth = import_summary.lines("Falco", imported, [CHANGES])
    assert first == "The files have 2 records: 1 alert of Falco, 0 of them below the floor, and 1 other record."
    assert second == "Findings of 1 host: 1 new, 2 seen again, 0 resolved, 0 reopened."
    assert third.startswith("The inventory does not have the hosts of 1 alert. Set edr_ids of a host")
    assert fourth.startswith("  web7: 1 alert (the inventory has no such host); medium: Terminal shell")
    assert import_summary.warnings("Falco", imported) == []


def test_an_empty_export_is_no_mistake(tmp_path: pathlib.Path) -> None:
    assert import_summary.warnings("Falco", _imported(tmp_path)) == []
