# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy of a host made anew after an upgrade, from the allowlist that the host keeps."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory


def renew(where: StateDirectory) -> None:
    """Write the trust and the rules of the policy for the packages that are installed now."""
    raise NotImplementedError
