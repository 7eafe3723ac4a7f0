# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a policy is made of: packages, remembered programs, this connection's own way, and the installed daemon."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import Facts


def facts(params: t.Mapping[str, t.Any], content: t.Mapping[str, t.Any]) -> Facts:
    """Return the facts of this host. params: of the module; content: the allowlist as it travelled."""
    raise NotImplementedError
