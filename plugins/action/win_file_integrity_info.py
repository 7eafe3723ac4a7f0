# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a Windows host with its baseline, which must carry the seal that the store holds."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.action import file_integrity_info


class ActionModule(file_integrity_info.ActionModule):
    """Do the same as the action for all platforms, for a task that names the module of Windows."""
