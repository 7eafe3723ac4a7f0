# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say why a task of a role failed, in the words of the role's variables."""

from __future__ import annotations

import re
import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils import role_variables

# The modules begin what they say of an option with its name.
_OPTION = re.compile(r"([a-z_]+)(?=:| is | has |, )")
# Ansible begins so whatever went wrong, from ansible-core 2.19 on.
_ANSIBLE = "Task failed: "


def failure_reason(failure: t.Any, role: str, subject: str, variables: t.Any = None) -> str:
    """Return the reason; raise AnsibleFilterError for what is no result of a task, and for no role of this one."""
    if not isinstance(failure, dict):
        raise AnsibleFilterError("failure_reason: the input is no result of a task")
    try:
        known = role_variables.names(role)
    except OSError:
        raise AnsibleFilterError(f"failure_reason: there is no role '{role}'") from None
    message = _message(failure) or f"{subject} could not be checked."
    match = _OPTION.match(message)
    if match:
        option = match.group(1)
        variable = (variables or {}).get(option) or f"{role}_{option}"
        message = (variable if variable in known else option) + message[match.end() :]
    return t.cast("str", wrap_var(message))


def _message(failure: t.Mapping[str, t.Any]) -> str:
    # Those of ansible.builtin.validate_argument_spec; its msg says only that something is wrong.
    errors = failure.get("argument_errors")
    if isinstance(errors, list) and errors:
        return "; ".join(str(error) for error in errors)
    message = failure.get("msg")
    return message.removeprefix(_ANSIBLE) if isinstance(message, str) else ""


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"failure_reason": failure_reason}
