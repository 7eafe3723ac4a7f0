# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a task failed, in the words of the variables of the role that asked for it."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import role_variables

# Modules quote the name of an option, or begin a sentence or the part after a colon with it. A name with underscores
# is not an ordinary word, nor is one with its value.
_OPTION = re.compile(
    r"'([a-z_]+)'|(?:(?<=: )|^)([a-z_]+)(?=:| is | are | has |, )|\b([a-z]+(?:_[a-z]+)+|state(?==[a-z]))\b"
)
# A message that has the variable already stays as it is.
_TWICE = re.compile(r"\b(\w+) \(\1 of the role\)")
# Ansible begins so whatever went wrong, from ansible-core 2.19 on.
_ANSIBLE = "Task failed: "


def reason(failure: t.Mapping[str, t.Any], role: str, subject: str, variables: t.Mapping[str, str]) -> str:
    """Return the reason of a failed result; raise OSError if there is no such role.

    subject: begins the sentence where the result gives none. variables: of options that are not called as the role's.
    """
    names = {name.removeprefix(f"{role}_"): name for name in role_variables.names(role)}
    return renamed(_message(failure) or f"{subject} could not be checked.", {**names, **variables})


def renamed(message: str, names: t.Mapping[str, str]) -> str:
    """Return a message that names variables in place of options. names: the variables, by option."""
    named = _OPTION.sub(lambda match: names.get(match[1] or match[2] or match[3], match[0]), message)
    return _TWICE.sub(r"\1", named)


def _message(failure: t.Mapping[str, t.Any]) -> str:
    # Those of ansible.builtin.validate_argument_spec; its msg says only that something is wrong.
    errors = failure.get("argument_errors")
    if isinstance(errors, list) and errors:
        return "; ".join(str(error) for error in errors)
    message = failure.get("msg")
    return message.removeprefix(_ANSIBLE) if isinstance(message, str) else ""
