# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the facts and variables of a host, which may be another one than the task's."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError

Variables = t.Mapping[str, t.Any]


def variable(variables: Variables, name: str) -> t.Any:
    """Return a variable, None without it.

    Another host's variables (hostvars) are templated when they are read. One whose template fails counts as missing.
    """
    try:
        return variables.get(name)
    except AnsibleError:
        return None


def facts(variables: Variables) -> Variables:
    """Return ``ansible_facts``, empty without them."""
    value = variable(variables, "ansible_facts")
    return value if isinstance(value, t.Mapping) else {}


def fact(variables: Variables, known: Variables, name: str) -> t.Any:
    """Return a fact with or without its prefix, or as a variable of its own. known: the host's ``facts``."""
    for key in (name, f"ansible_{name}"):
        if known.get(key) is not None:
            return known[key]
    return variable(variables, f"ansible_{name}")
