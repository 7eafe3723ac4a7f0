# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: what is remembered of hosts, runs, findings and decisions, in SQLite or PostgreSQL."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import preload
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import (
    Destination,
    DestinationState,
    ExportFilter,
    QueuedChange,
    Settlement,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.facade import Store
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_model import (
    JitActor,
    JitChange,
    JitEntry,
    JitQuery,
    JitRequest,
    JitSeen,
    JitUse,
    JitWanted,
    shown_person,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
    Accepted,
    BenchmarkRun,
    CapabilityResult,
    Container,
    ControlState,
    Counts,
    Coverage,
    Explanation,
    Finding,
    HistoryEntry,
    Judgement,
    Query,
    RecordResult,
    Run,
    Seal,
    SealEntry,
    Selection,
    StatusChange,
    Suppression,
    TrendPoint,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.module_results import result_of_module
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.program_model import (
    HostSighting,
    HostsWith,
    ProgramHost,
    ProgramQuery,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.scope_model import (
    Elsewhere,
    Investigation,
    SharedObservable,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.simulation_model import (
    SimulatedSession,
    Simulation,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.window_model import AppWindow

__all__ = [
    "Accepted",
    "AppWindow",
    "BenchmarkRun",
    "CapabilityResult",
    "Container",
    "ControlState",
    "Counts",
    "Coverage",
    "Destination",
    "DestinationState",
    "Elsewhere",
    "Explanation",
    "ExportFilter",
    "Finding",
    "HistoryEntry",
    "HostSighting",
    "HostsWith",
    "Investigation",
    "JitActor",
    "JitChange",
    "JitEntry",
    "JitQuery",
    "JitRequest",
    "JitSeen",
    "JitUse",
    "JitWanted",
    "Judgement",
    "ProgramHost",
    "ProgramQuery",
    "Query",
    "QueuedChange",
    "RecordResult",
    "Run",
    "Seal",
    "SealEntry",
    "Selection",
    "Settlement",
    "SharedObservable",
    "SimulatedSession",
    "Simulation",
    "StatusChange",
    "Store",
    "StoreError",
    "Suppression",
    "TrendPoint",
    "result_of_module",
    "shown_person",
]

# Ansible imports an action before it forks, so that this is done once, and not by each task of each host.
preload.everything()
