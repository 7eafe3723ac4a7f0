#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: app_allowlist_draft
short_description: Write allowlists of programs for people to review
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Recommends from the programs that scans recorded in the store which roles there are, which hosts have them, and what
    each role may run. The playbook C(bulwark.servers.learn) calls it.
  - Writes one file for each distribution (the base, which all its hosts have in common) and for each role, with the
    reason beside each rule. What a person has to decide about is listed for review, and not allowed. The files allow
    and block nothing by themselves.
  - A file that is there is never replaced unasked. If it lacks a rule, has rules that nobody uses, or does not know a
    program that needs a review, the new one is written beside it, as C(NAME.new.yml).
  - Says what would be an alert if the new files were in use, with the exceptions of O(allowlists) and what its lists of
    the same names allow.
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
      - A file that allows what is recommended is left as it is, whatever people have added to it.
  platform:
    support: full
    platforms: posix
options:
  directory:
    description:
      - The directory on the controller to write to. A relative path starts in the directory that C(ansible-playbook) is
        run in.
      - Files get the mode C(0600), and directories that are missing C(0700).
    type: str
    required: true
  hosts:
    description: Inventory names of the hosts to learn from. By default all that the store has programs of.
    type: list
    elements: str
  allowlists:
    description:
      - The directory of the allowlists that are in use. Roles keep their names, and RV(changes) says what to add to the
        lists and what nobody uses.
    type: str
    default: ''
  replace:
    description: Whether files that are there are replaced.
    type: bool
    default: false
  minimum_days:
    description: For how many days a host must have been observed before anything is learned from it.
    type: int
    default: 14
  minimum_hosts:
    description:
      - How many hosts a role must have before an allowlist is recommended for it.
      - With V(1), what a single host runs is recommended, though no other host can be compared with it.
    type: int
    default: 3
  max_review:
    description: How many programs a file lists for review at most. Further ones are counted.
    type: int
    default: 20
seealso:
  - module: bulwark.servers.app_allowlist
  - module: bulwark.servers.app_allowlist_info
"""

EXAMPLES = r"""
- name: Write allowlists from what was seen
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
  description: Whether an allowlist was recommended. Otherwise nothing is written, and RV(lines) says why.
  type: bool
  returned: success
observed:
  description: The number of hosts of which programs are known.
  type: int
  returned: success
lines:
  description: What was written, and what would be an alert, as lines of text.
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
      description: The number of packages and files that are in no list, as they ran on too few days or hosts.
      type: int
      returned: always
    path:
      description: The file that was written, or that says the same already.
      type: str
      returned: always
    preserved:
      description: Whether a file that is there was left as it is, and the new one was written beside it.
      type: bool
      returned: always
hosts:
  description: The names of the roles of each host.
  type: dict
  returned: success
insufficient:
  description: Why nothing was learned from a host, by host.
  type: dict
  returned: success
problems:
  description: Why no allowlist is recommended for a role, by role.
  type: dict
  returned: success
alerts:
  description: >-
    Programs that would be alerts if the files were in use, those of most hosts first, at most 200. The fields are those
    of RV(bulwark.servers.app_allowlist_info#module:alerts).
  type: list
  elements: dict
  returned: success
alerts_count:
  description: The number of programs that would be alerts.
  type: int
  returned: success
changes:
  description: >-
    How the allowlists that are in use differ from what is recommended. The fields are those of
    RV(bulwark.servers.app_allowlist_info#module:changes).
  type: list
  elements: dict
  returned: success
"""
