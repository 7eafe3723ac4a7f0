#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: protect_summary
short_description: Show the results of host_protect for all hosts together
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Shows what M(bulwark.servers.host_protect) did on the hosts of a play. Hosts with the same result share a line, and
    hosts with the same difference share one difference.
  - Tasks of roles add sentences in the variables C(bulwark_protected), C(bulwark_taken_back) and
    C(bulwark_unprotected) of a host.
extends_documentation_fragment:
  - bulwark.servers.attributes
attributes:
  check_mode:
    support: full
    details:
      - It only shows what other tasks did.
  diff_mode:
    support: full
    details:
      - The first lines of each difference are shown, and all of them with C(-v).
      - In diff mode the task is V(changed) if a host is, because Ansible otherwise shows no difference.
  idempotent:
    support: full
  platform:
    support: full
    platforms: posix
options:
  hosts:
    description: The hosts to show.
    type: list
    elements: str
    required: true
  variable:
    description: The variable in which each host has the result of M(bulwark.servers.host_protect).
    type: str
    required: true
seealso:
  - module: bulwark.servers.host_protect
"""

EXAMPLES = r"""
- name: Deploy
  bulwark.servers.host_protect:
  register: deployed

- name: Show the deployment
  bulwark.servers.protect_summary:
    hosts: "{{ ansible_play_hosts_all }}"
    variable: deployed
  run_once: true
"""

RETURN = r"""
msg:
  description: The results. Hosts with the same result share a line.
  type: list
  elements: str
  returned: always
unprotected:
  description: The number of hosts on which a deployment was not possible.
  type: int
  returned: always
"""
