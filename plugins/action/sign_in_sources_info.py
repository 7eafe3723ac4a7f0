# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from a host's logs from where sshd has let somebody in."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.options import sources_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Entry


class ActionModule(CapabilityActionBase):
    """Let a scan ask for it together with everything else."""

    capability = "audit"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": sources_spec()}
    ENTRY = Entry("audit.sign_ins.accepted:collect", sources_spec)
