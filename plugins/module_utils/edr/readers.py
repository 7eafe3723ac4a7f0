# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The readers of products' outputs, by the id of the product. A product that says nothing about itself has none."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import Outputs
from ansible_collections.bulwark.servers.plugins.module_utils.edr.products import (
    apparmor,
    auditd,
    bitdefender,
    clamav,
    cortex_xdr,
    crowdstrike_falcon,
    elastic_agent,
    falco,
    fapolicyd,
    microsoft_defender,
    osquery,
    selinux,
    sentinelone,
    wazuh,
)

Reader = t.Callable[[Outputs], Health]

# A module's name is the product's id.
READERS: t.Mapping[str, Reader] = {
    module.__name__.rpartition(".")[2]: module.read
    for module in (
        apparmor,
        auditd,
        bitdefender,
        clamav,
        cortex_xdr,
        crowdstrike_falcon,
        elastic_agent,
        falco,
        fapolicyd,
        microsoft_defender,
        osquery,
        selinux,
        sentinelone,
        wazuh,
    )
}
