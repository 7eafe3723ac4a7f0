# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a host's files with its baseline, which must carry the seal that the store holds."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.plugin_utils.seal import SealedActionBase


class ActionModule(SealedActionBase):
    """The comparison needs nothing beyond what every sealed capability does."""
