# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host's events since the last recorded run, with the detections compiled on the controller."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.collect import NAME
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import SCOPE
from ansible_collections.bulwark.servers.plugins.module_utils.automation.options import automation_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Entry
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.platform import LINUX, WINDOWS
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit.log_action import AuditLogActionBase

_SOURCES = {LINUX: detections.EVENT_SOURCES, WINDOWS: detections.WINDOWS_EVENT_SOURCES}


class ActionModule(AuditLogActionBase):
    """Give the module the rules for events of the host's platform, and on Windows what the host records."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": collect_spec()}
    ENTRY = Entry("audit.events.collect:collect", collect_spec)
    CHECKPOINT = NAME
    RESULT_KEY = "audit_events"
    LINUX_ONLY = (*automation_spec(), "_simulated")

    @classmethod
    def load_rules(
        cls, rule_paths: t.Sequence[str], threat_lists: t.Sequence[t.Any], own_rules: bool, platform: str = LINUX
    ) -> detections.Content:
        return detections.load(rule_paths, threat_lists, own_rules, _SOURCES[platform], platform)

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return (SCOPE,)
