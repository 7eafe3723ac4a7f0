# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Severities and techniques of the alerts of memory scans: a subtype raises the alert of its class."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.content import CLASSES
from ansible_collections.bulwark.servers.plugins.plugin_utils import rule_facts
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import subtypes


def by_alert() -> dict[str, rule_facts.AlertFacts]:
    """Return the facts of the alert of each class of subtypes."""
    return rule_facts.joined(
        (CLASSES[subtype.kind], subtype.severity, subtype.attack) for subtype in subtypes.load().values()
    )
