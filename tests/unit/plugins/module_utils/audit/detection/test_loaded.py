# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look loads: on a host each module is compiled anew, so that one that is not needed costs processor time."""

from __future__ import annotations

import pathlib
import subprocess
import sys

from tests.support import paths

_LOOK = """
import pathlib, sys
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import collect
log = pathlib.Path(sys.argv[1], "audit.log")
log.write_bytes(b"type=DAEMON_START msg=audit(1700000000.000:1): op=start ver=4.0 res=success\\n")
params = {"paths": [str(log)], "state_dir": sys.argv[1], "priority": "normal", "time_budget": 0, "since": None}
result = collect.collect({**params, "max_findings": 9, "_content": None, "_token": None, "_advance": True}, False)
assert result["audit_events"]["events"] == 1, result
prefix = "ansible_collections.bulwark.servers.plugins.module_utils."
print(*(name[len(prefix):] for name in sys.modules if name.startswith(prefix)))
"""
# Packages and modules that are for an option, for a hit or for a deployment.
_SELDOM = (
    "_command",
    "_proc_net",
    "audit.rules.content",
    "audit.rules.places",
    "audit_rule_files.rule",
    "audit.explain.package",
    "audit_records.running_processes",
    "automation.controller",
    "automation.listeners",
    "automation.sessions",
    "automation.units",
    "firewall",
    "memory_scan",
    "packages",
)


def test_a_look_loads_no_module_that_it_does_not_need(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-c", _LOOK, str(tmp_path)]
    environment = {"PYTHONPATH": str(paths.COLLECTIONS), "PATH": "/usr/bin:/bin"}
    loaded = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.split()
    assert "audit.events.reader" in loaded
    assert [name for name in loaded if name.startswith(_SELDOM)] == []
