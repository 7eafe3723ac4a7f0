# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402 (Ansible wants the documentation above the imports)
"""Find variables that nobody reads, because their names are nearly those of options."""

from __future__ import annotations

DOCUMENTATION = r"""
name: misspelt
short_description: Name the variables that look like misspelt options
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Ansible takes a variable with any name, so that C(bulwark_failon) in place of C(bulwark_fail_on) would change
    nothing and say nothing.
  - Looks at the names of the host's variables that begin with O(prefix), or with the name of one of O(roles). Returns a
    sentence for each that is nearly one of the options, and warns of those that are like none.
  - Of O(roles), a name whose beginning is wrong as well, such as C(jit_acces_ports), is found if it has 10 characters
    or more, and at most two letters are wrong, missing, too many, or swapped.
  - The collection's playbooks and roles use it before they do anything.
options:
  _terms:
    description: Names of the options that begin with O(prefix).
    type: list
    elements: str
  prefix:
    description: What the names of these options begin with.
    type: str
    default: ""
  shared:
    description:
      - Whether the options that playbooks of this collection share count as well, such as C(bulwark_store). All of them
        begin with C(bulwark_), and so must O(prefix).
    type: bool
    default: false
  others:
    description: Names that are no options, and set by whoever asks.
    type: list
    elements: str
    default: []
  roles:
    description:
      - Roles of this collection, whose options are looked up in their argument specifications. The names of these
        begin with the name of the role. What else their tasks name is set by themselves.
    type: list
    elements: str
    default: []
  hosts:
    description: Hosts of the inventory whose variables are looked at as well.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse misspelt options
  ansible.builtin.assert:
    that: misspelt | length == 0
    fail_msg: "{{ misspelt | join(' ') }}"
  vars:
    misspelt: "{{ query('bulwark.servers.misspelt', 'shop_port', 'shop_name', prefix='shop_') }}"

- name: Refuse misspelt options of a playbook that calls playbooks of this collection
  ansible.builtin.assert:
    that: misspelt | length == 0
    fail_msg: "{{ misspelt | join(' ') }}"
  vars:
    misspelt: "{{ query('bulwark.servers.misspelt', prefix='bulwark_', shared=true) }}"

- name: Refuse misspelt variables of a role on all hosts
  ansible.builtin.assert:
    that: misspelt | length == 0
    fail_msg: "{{ misspelt | join(' ') }}"
  vars:
    misspelt: "{{ query('bulwark.servers.misspelt', roles=['jit_access'], hosts=ansible_play_hosts_all) }}"
  run_once: true
"""

RETURN = r"""
_raw:
  description: A sentence for each variable that is nearly an option; empty when there are none.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.bulwark.servers.plugins.plugin_utils import misspelt
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible ships no type information
    """Compare the names of variables, without looking at their values."""

    def run(self, terms: t.Any, variables: t.Any = None, **options: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=options)
        names = set(variables or ())
        for host in self.get_option("hosts"):
            names.update(variables["hostvars"][host])
        found = []
        prefix, known = self.get_option("prefix"), list(map(str, self._flatten(terms)))
        if self.get_option("shared"):
            try:
                known += misspelt.shared_options()
            except ContentError as error:
                raise AnsibleLookupError(str(error)) from None
        if known:
            found += misspelt.among(names, known, prefix, {*known, *self.get_option("others")})
        for role in self.get_option("roles"):
            found += misspelt.of_role(names, role)
        return found
