# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402 (Ansible wants the documentation above the imports)
"""Refuse a play without hosts, which Ansible skips and counts as done."""

from __future__ import annotations

DOCUMENTATION = r"""
name: hosts
short_description: Return a pattern for the hosts of a play, if it matches any
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Ansible skips a play whose pattern matches no host, and ends with 0. A scan that checks no host because of a
    misspelt group or a missing inventory must not look clean.
  - Returns the pattern unchanged, and fails if no host of the inventory matches it within C(--limit). The message names
    hosts and groups with similar names.
  - Use it only in C(hosts) of a play, except with O(similar). C(--syntax-check), C(--list-tasks) and C(--list-tags)
    need no hosts.
options:
  _terms:
    description: Patterns of hosts, as in C(hosts) of a play. Several patterns are joined.
    type: list
    elements: str
    required: true
  similar:
    description:
      - If a name in the patterns is unknown, return a question with similar names of hosts and groups, if there are
        any.
      - This does not fail, and is for messages of tasks.
    type: bool
    default: false
seealso:
  - plugin: ansible.builtin.inventory_hostnames
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Check the hosts of a group
  hosts: "{{ lookup('bulwark.servers.hosts', 'webservers') }}"
  gather_facts: false
  tasks:
    - name: Compare the files with the baseline
      bulwark.servers.file_integrity_info:
"""

RETURN = r"""
_raw:
  description: The patterns, joined to one. With O(similar) a question such as V(did you mean web1?), or an empty list.
  type: list
  elements: str
"""

import re
import typing as t

from ansible import context
from ansible.errors import AnsibleLookupError
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase
from ansible_collections.bulwark.servers.plugins.plugin_utils import spelling

_WITHOUT_HOSTS = ("syntax", "listtasks", "listtags")


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible ships no type information
    """Match as Ansible does, with what it knows before the play has its hosts."""

    def run(self, terms: t.Any, variables: t.Any = None, **options: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=options)
        pattern = ",".join(map(str, self._flatten(terms)))
        if self.get_option("similar"):
            return [advice] if (advice := _similar(pattern, variables["groups"])) else []
        if not any(context.CLIARGS.get(name) for name in _WITHOUT_HOSTS) and not self._matched(pattern, variables):
            raise AnsibleLookupError(_explanation(pattern, variables))
        return [pattern]

    def _matched(self, pattern: str, variables: t.Mapping[str, t.Any]) -> set[str]:
        matching = lookup_loader.get("ansible.builtin.inventory_hostnames", loader=self._loader, templar=self._templar)
        # While hosts is being templated, the hosts of the play are what --limit leaves of the inventory.
        within = set(variables["ansible_play_hosts_all"])
        if "localhost" in variables.get("ansible_limit", "localhost"):
            within.add("localhost")  # which Ansible makes up where an inventory hasn't it
        return within.intersection(matching.run([pattern], variables=variables))


def _explanation(pattern: str, variables: t.Mapping[str, t.Any]) -> str:
    limit = f" within the limit '{variables['ansible_limit']}'" if variables.get("ansible_limit") else ""
    sources = ", ".join(map(str, variables.get("ansible_inventory_sources") or ["that is configured"]))
    advice = _similar(pattern, variables.get("groups") or {}) or "correct inventory, limit or pattern"
    return f"no host matches '{pattern}'{limit} in the inventory {sources}; {advice}"


def _similar(pattern: str, groups: t.Mapping[str, t.Sequence[str]]) -> str:
    """Return the names that resemble an unknown one of the pattern, "" if there are none."""
    known = dict.fromkeys([*groups, *groups.get("all", ())])
    names = (part.strip(" !&") for part in re.split("[,:]", pattern))
    return next((advice for name in names if name not in known and (advice := spelling.advice(name, known, ""))), "")
