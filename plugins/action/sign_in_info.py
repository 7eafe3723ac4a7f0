# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host's sign-ins since the last recorded run, with the detections compiled on the controller."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.collect import NAME
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.detect import SCOPE
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.options import collect_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Entry
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.platform import LINUX
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit.log_action import AuditLogActionBase


class ActionModule(AuditLogActionBase):
    """Give the module the rules for sign-ins, and on Linux for the lines of logs."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": collect_spec()}
    ENTRY = Entry("audit.sign_ins.collect:collect", collect_spec)
    CHECKPOINT = NAME
    RESULT_KEY = "sign_ins"
    LINUX_ONLY = ("audit_paths", "journal", "_simulated")

    @classmethod
    def load_rules(
        cls, rule_paths: t.Sequence[str], threat_lists: t.Sequence[t.Any], own_rules: bool, platform: str = LINUX
    ) -> detections.Content:
        return detections.load(rule_paths, threat_lists, own_rules, detections.SIGN_IN_SOURCES, platform)

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return (SCOPE,)
