# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402 (Ansible wants the documentation above the imports)
"""Name the capabilities of the collection to its playbooks."""

from __future__ import annotations

DOCUMENTATION = r"""
name: capabilities
short_description: Return the names of the capabilities of the collection
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Each capability has a role of the same name. The playbook C(bulwark.servers.scan) uses all of them. Each other
    playbook uses those that have a task for it.
options:
  playbook:
    description: Return only capabilities that this playbook uses, by the task file of the same name in their role.
    type: str
    choices: [protect, learn, simulate, respond, remove_rules, remove_locks, remove]
  platform:
    description:
      - Return only capabilities that support this platform, such as C(ansible_facts.system).
      - No capability supports an empty platform, so a host that does not name its platform gets none.
    type: str
seealso:
  - module: bulwark.servers.platform_facts
"""

EXAMPLES = r"""
- name: Show the capabilities to deploy on the host
  ansible.builtin.debug:
    msg: "{{ query('bulwark.servers.capabilities', playbook='protect', platform=ansible_facts.system) }}"
"""

RETURN = r"""
_raw:
  description: Names of capabilities, in alphabetical order.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible ships no type information
    """Read the registry of capabilities."""

    def run(self, terms: t.Any, variables: t.Any = None, **options: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=options)
        try:
            return capabilities.chosen(self.get_option("playbook"), self.get_option("platform"))
        except ContentError as error:
            raise AnsibleLookupError(str(error)) from None
