# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402 (Ansible wants the documentation above the imports)
"""Find variables that nobody reads, because their names are nearly those of options."""

from __future__ import annotations

DOCUMENTATION = r"""
name: misspelt
short_description: Find variables that look like misspelt options
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Ansible accepts variables of any name, so C(bulwark_failon) in place of C(bulwark_fail_on) would have no effect, and
    no message would say so.
  - Reads the names of the host's variables that begin with O(prefix), or with the name of one of O(roles). Returns a
    sentence for each name that is similar to an option, and warns of each name that is similar to none.
  - For O(roles), also finds names with a wrong beginning, such as C(jit_acces_ports), if they have 10 characters or
    more, and at most two letters are wrong, missing, too many, or swapped.
  - The collection's playbooks and roles use it before they do anything.
options:
  _terms:
    description: Names of the options that begin with O(prefix).
    type: list
    elements: str
  prefix:
    description: The beginning of the names of these options.
    type: str
    default: ""
  shared:
    description:
      - Whether to include the options that playbooks of this collection share, such as C(bulwark_store). All of them
        begin with C(bulwark_), and O(prefix) must do so, too.
    type: bool
    default: false
  others:
    description: Names of other variables that the playbook itself sets.
    type: list
    elements: str
    default: []
  roles:
    description:
      - Roles of this collection. Their argument specifications have the options, whose names begin with the name of the
        role. Other variables that their tasks name are known, too.
    type: list
    elements: str
    default: []
  hosts:
    description: Further hosts of the inventory whose variables to check.
    type: list
    elements: str
    default: []
  spec:
    description:
      - Argument specification of options whose values to check, as in M(ansible.builtin.validate_argument_spec). An
        option that is not set is not checked. An option with an empty text counts as not set, because AWX passes an
        empty text for a question of a survey without an answer.
    type: dict
    default: {}
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
  description: A sentence for each variable with a misspelt name or a wrong value.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
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
        problems, ours = [], set[str]()
        prefix, known = self.get_option("prefix"), list(map(str, self._flatten(terms)))
        if self.get_option("shared"):
            try:
                known += misspelt.shared_options()
                ours |= misspelt.set_by_playbooks()
            except ContentError as error:
                raise AnsibleLookupError(str(error)) from None
        if known:
            problems += misspelt.among(names, known, prefix, ours | {*known, *self.get_option("others")})
        for role in self.get_option("roles"):
            problems += misspelt.of_role(names, role)
        spec = self.get_option("spec")
        given = {name: self._templar.template(variables[name]) for name in spec if name in (variables or {})}
        return problems + _wrong_values(spec, given)


def _wrong_values(spec: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> list[str]:
    values = {name: value for name, value in given.items() if value not in ("", None)}
    messages = ArgumentSpecValidator(spec).validate(values, validate_role_argument_spec=True).error_messages
    # The playbooks join them to other sentences.
    return [message if message.endswith(".") else f"{message}." for message in messages]
