#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: app_allowlist_draft
short_description: Write allowlists of programs for people to review
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Recommends roles, their hosts, and the programs that each role may run, from the programs that scans recorded in the
    store. The playbook C(bulwark.servers.learn) calls this module.
  - Writes one file for each role, and one for each distribution (the base, which all its hosts have in common). Each
    rule has its reason. Programs that need a person's decision are listed for review, and not allowed. The files allow
    and block nothing by themselves.
  - An existing file is replaced only with O(replace=true). If it lacks a rule, has unused rules, or lacks a program for
    review, the new file is written beside it as C(NAME.new.yml).
  - Lists the alerts that the new files would raise. Exceptions in O(allowlists), and rules in its lists of the same
    names, count, too.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A file that allows all recommended programs stays as it is, even with additions of people.
  platform:
    support: full
    platforms: posix
options:
  directory:
    description:
      - The directory on the controller to write to. A relative path starts in the directory that C(ansible-playbook) is
        run in.
      - Files get mode C(0600), and missing directories get C(0700).
    type: str
    required: true
  hosts:
    description: Inventory names of the hosts to learn from. Defaults to all hosts with programs in the store.
    type: list
    elements: str
  allowlists:
    description:
      - The directory of the allowlists in use. Roles keep their names, and RV(changes) has the rules to add and the
        unused ones.
    type: str
    default: ''
  replace:
    description: Whether existing files are replaced.
    type: bool
    default: false
  minimum_days:
    description: Days for which a host must have been observed before its programs count.
    type: int
    default: 14
  minimum_hosts:
    description:
      - Hosts that a role must have before an allowlist is recommended for it.
      - With V(1), a single host is enough, without any comparison.
    type: int
    default: 3
  max_review:
    description: Programs that a file lists for review at most. Further ones are counted.
    type: int
    default: 20
seealso:
  - module: bulwark.servers.app_allowlist
  - module: bulwark.servers.app_allowlist_info
"""

EXAMPLES = r"""
- name: Write allowlists from observed programs
  bulwark.servers.app_allowlist_draft:
    directory: learned/app_control
    allowlists: allowlists
  run_once: true
  register: draft

- name: Show them
  ansible.builtin.debug:
    msg: "{{ draft.lines }}"
  run_once: true
"""

RETURN = r"""
enough_data:
  description: Whether an allowlist was recommended. Otherwise no file is written, and RV(lines) has the reason.
  type: bool
  returned: success
observed:
  description: The number of hosts with known programs.
  type: int
  returned: success
lines:
  description: The written files and the alerts that they would raise, as lines of text.
  type: list
  elements: str
  returned: success
roles:
  description: The bases and roles for which an allowlist is recommended.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name of the role.
      type: str
      returned: always
    distribution:
      description: The distribution of a base; empty for a role.
      type: str
      returned: always
    hosts:
      description: The hosts that have the role.
      type: list
      elements: str
      returned: always
    recommended:
      description: The number of rules.
      type: int
      returned: always
    review:
      description: The number of programs to review that the file lists.
      type: int
      returned: always
    left_out:
      description: The number of further programs to review.
      type: int
      returned: always
    undecided:
      description: The number of packages and files in no list, because they ran on too few days or hosts.
      type: int
      returned: always
    path:
      description: The written file, or the existing one with the same rules.
      type: str
      returned: always
    preserved:
      description: Whether an existing file stayed as it is, and the new one was written beside it.
      type: bool
      returned: always
hosts:
  description: The names of the roles of each host.
  type: dict
  returned: success
insufficient:
  description: The reason why nothing was learned from a host, by host.
  type: dict
  returned: success
problems:
  description: The reason why a role gets no allowlist, by role.
  type: dict
  returned: success
alerts:
  description:
    - Programs that would be alerts with the new files, at most 200, those of most hosts first. The fields are those
      of RV(bulwark.servers.app_allowlist_info#module:alerts).
  type: list
  elements: dict
  returned: success
alerts_count:
  description: The number of programs that would be alerts.
  type: int
  returned: success
changes:
  description:
    - The differences between the allowlists in use and the recommendation. The fields are those of
      RV(bulwark.servers.app_allowlist_info#module:changes).
  type: list
  elements: dict
  returned: success
"""
