# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say why a task of a role failed, in the words of the role's variables."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils import failure_reasons


def failure_reason(failure: t.Any, role: str, subject: str, variables: t.Any = None) -> str:
    """Return the reason; raise AnsibleFilterError for what is no result of a task, and for no role of this one."""
    if not isinstance(failure, dict):
        raise AnsibleFilterError("failure_reason: the input is not a result of a task")
    try:
        return t.cast("str", wrap_var(failure_reasons.reason(failure, role, subject, variables or {})))
    except OSError:
        raise AnsibleFilterError(f"failure_reason: there is no role '{role}'") from None


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"failure_reason": failure_reason}
