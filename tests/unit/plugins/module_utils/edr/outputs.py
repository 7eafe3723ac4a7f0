# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Outputs of products in the shape of recorded ones, written for these tests: other numbers, names and order."""

from __future__ import annotations

import json
import typing as t

# 2026-10-01 12:00:00 UTC and 2027-06-01 00:00:00 UTC in milliseconds.
CONTENT_MS = "1790856000000"
EXPIRES_MS = "1811808000000"


def mdatp(**changes: t.Any) -> str:
    """Return what ``mdatp health --output json`` writes. changes: values by key, in ``value`` where it has one."""
    state: dict[str, t.Any] = {
        "$type": "getHealthAllResult",
        "appVersion": "101.25072.0003",
        "healthy": True,
        "healthIssues": [],
        "licensed": True,
        "orgId": "0f0e0d0c-1111-2222-3333-444455556666",
        "edrMachineId": "a1b2c3",
        "engineVersion": "1.1.25070.3000",
        "definitionsVersion": "1.431.7.0",
        "definitionsUpdated": CONTENT_MS,
        "definitionsStatus": {"$type": "upToDate"},
        "productExpiration": EXPIRES_MS,
        "conflictingApplications": [],
        "realTimeProtectionAvailable": True,
        "networkProtectionStatus": "stopped",
        "releaseRing": "Production",
    }
    for name, value in {
        "realTimeProtectionEnabled": True,
        "passiveModeEnabled": False,
        "cloudEnabled": True,
        "tamperProtection": "block",
        "behaviorMonitoring": "enabled",
    }.items():
        state[name] = {"displayValue": True, "isManaged": False, "value": value}
    for name, value in changes.items():
        former = state.get(name)
        state[name] = {**former, "value": value} if isinstance(former, dict) and "value" in former else value
    return json.dumps(state)


MDATP_EXCLUSIONS = """\
=====================================
Excluded folder
Path: "/srv/database/"
Scope: ["epp"]
---
Excluded folder
Path: "/tmp/"
---
Excluded extension
Extension: ".log"
---
Excluded process
Process name: "bash"
=====================================
"""

SENTINEL = {
    "version": "Agent version: 24.2.1.8\nSentinelCTL version: 24.2.1.8\nGit hash: 00ff\n",
    "engines": "DFI engine                          Enabled\nDFI library version                 31.0.1.2\n"
    "Dynamic engine                      Enabled\n",
    "control": "Agent state      Enabled\n\nProcess Name     PID\nagent            77\n",
    "management": "Anti Tamper                      On\nConnectivity                     On\n"
    "Site-Key                         fedcba98\nURL                              https://eu-9.sentinelone.net\n"
    "UUID                             0-1-2\n",
}

BDUITOOL = """\
Product version: 7.2.0.200100
Last product update: 2026-09-30 at 08:01:02 GMT+2
New product update available: no
Engines version: 7.98123
Last security content update: 2026-10-01 at 14:00:00 GMT+2
New security content available: no
Installed scan type: Full
Features:
  - Antimalware status: On
  - NetworkMonitor status: Off
"""

CYTOOL = {
    "info": "Cortex XDR (R) supervisor tool 8.5.0.125392\n(c) Palo Alto Networks, Inc.\n\nGeneral information\n",
    "content": "Content Type: 1420\nContent Build: 125999\nContent Version: 1420-125999\nEvent Log: 1\n",
    "runtime": "              Name       PID           User                Status               Command\n"
    "               pmd      1192           root               Running               /opt/traps/bin/pmd\n"
    "              clad      1816       cortexu+               Running               /opt/traps/analyzerd/clad\n",
}

WAZUH_STATE = """\
# State file for wazuh-agentd
# Agent status:
# - pending:      waiting to get connected.
# - connected:    connection established with manager in the last 10 seconds.
status='connected'

# Last time a keepalive was sent
last_keepalive='2026-11-30 03:00:01'
"""
WAZUH_CONFIGURATION = "<ossec_config>\n <client>\n <server>\n  <address>siem.example.org</address>\n </server>\n"


def elastic(state: int = 2, fleet: int = 2, defend: int | None = 2, managed: bool = True) -> str:
    """Return what ``elastic-agent status --output json`` writes. defend: the state of Elastic Defend, None without."""
    components = [{"id": "log-default", "name": "log", "state": 2, "message": "Healthy", "units": []}]
    if defend is not None:
        components.append({"id": "endpoint-default", "name": "endpoint", "state": defend, "message": "Policy"})
    return json.dumps(
        {
            "info": {"id": "e-1", "version": "9.1.0", "commit": "00", "is_managed": managed},
            "state": state,
            "message": "Running",
            "components": components,
            "FleetState": fleet,
            "FleetMessage": "Connected",
        }
    )


AUDITCTL = "enabled 1\nfailure 1\npid 812\nrate_limit 0\nbacklog_limit 8192\nlost 0\nbacklog 0\n"
