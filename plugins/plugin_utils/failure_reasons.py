# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a task failed, in the words of the variables of the role that asked for it."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import role_variables

# The modules begin what they say of an option with its name.
_OPTION = re.compile(r"([a-z_]+)(?=:| is | has |, )")
# Ansible begins so whatever went wrong, from ansible-core 2.19 on.
_ANSIBLE = "Task failed: "


def reason(failure: t.Mapping[str, t.Any], role: str, subject: str, variables: t.Mapping[str, str]) -> str:
    """Return the reason of a failed result; raise OSError if there is no such role.

    subject: begins the sentence where the result gives none. variables: of options that are not called as the role's.
    """
    known = role_variables.names(role)
    message = _message(failure) or f"{subject} could not be checked."
    match = _OPTION.match(message)
    if match:
        option = match.group(1)
        variable = variables.get(option) or f"{role}_{option}"
        message = (variable if variable in known else option) + message[match.end() :]
    return message


def _message(failure: t.Mapping[str, t.Any]) -> str:
    # Those of ansible.builtin.validate_argument_spec; its msg says only that something is wrong.
    errors = failure.get("argument_errors")
    if isinstance(errors, list) and errors:
        return "; ".join(str(error) for error in errors)
    message = failure.get("msg")
    return message.removeprefix(_ANSIBLE) if isinstance(message, str) else ""
