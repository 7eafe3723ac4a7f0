# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402 (Ansible wants the documentation above the imports)
"""Tell variables of the command line from variables of the inventory with the same names."""

from __future__ import annotations

DOCUMENTATION = r"""
name: extra_vars
short_description: Return the variables that the command line sets
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - A playbook with a variable of a short name, such as C(-e path=/tmp/x), would also use a variable C(path) of the
    inventory.
  - Returns the names that the command line sets (C(-e), extra variables of AWX).
  - If the command line sets none of the names, returns the names that are set elsewhere, such as in C(vars) of
    C(import_playbook).
options:
  _terms:
    description: Names of variables.
    type: list
    elements: str
    required: true
seealso:
  - plugin: ansible.builtin.varnames
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Show the variables of the command line
  ansible.builtin.debug:
    msg: "{{ query('bulwark.servers.extra_vars', 'path', 'user') }}"
"""

RETURN = r"""
_raw:
  description: Names, in the order of the terms.
  type: list
  elements: str
"""

import typing as t

from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible ships no type information
    """Compare names with those of the command line, without looking at values."""

    def run(self, terms: t.Any, variables: t.Any = None, **_options: t.Any) -> list[str]:
        names = [str(name) for name in self._flatten(terms)]
        extra = load_extra_vars(self._loader)
        given = [name for name in names if name in extra]
        return given or [name for name in names if name in (variables or ())]
