# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the baseline of a Windows host's files and registry, and its seal in the store."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.action import file_integrity


class ActionModule(file_integrity.ActionModule):
    """Do the same as the action for all platforms, for a task that names the module of Windows."""
