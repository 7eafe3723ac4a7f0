# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the programs that ran on a host, as its audit logs and its processes show them now."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Sighting, as_dict
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observe import observe
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record


def collect(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Return the result of app_inventory_info. Raises UsageError, HostError and StateError."""
    observed = observe(params, check_mode)
    programs = [as_dict(sighting(record)) for _identity, record in sorted(observed.records.items()) if record.has_run]
    return {
        "changed": False,
        "detections": [],
        "programs": programs,
        "program_host": observed.host,
        "coverage": [scope.entry() for scope in observed.scopes],
    }


def sighting(record: Record) -> Sighting:
    """Return all that is remembered of a program."""
    return Sighting(
        record.program,
        record.first,
        record.last,
        len(record.days),
        max(record.days, default=0),
        record.executions,
        record.explained,
        tuple(record.users),
        tuple(record.parents),
    )
