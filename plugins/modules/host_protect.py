#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: host_protect
short_description: Deploy rules, recorders, locks and allowlists on a host
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Deploys audit rules, the recorder of traffic, network rules, locked ports and enforced allowlists, as the variables
    of the roles say. If the variables of a capability ask for nothing, it changes nothing.
  - Installs missing packages, unless the role's variable for that, such as C(audit_install), is false.
  - The playbook C(bulwark.servers.protect) calls it, and so do the tasks C(protect) of the roles.
extends_documentation_fragment:
  - bulwark.servers.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: partial
    details:
      - RV(differences) has the changes. M(bulwark.servers.protect_summary) shows them for all hosts together.
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  capabilities:
    description:
      - The capabilities to deploy. Their options are the variables of their roles, with the defaults of the roles.
      - By default all capabilities of the collection.
    type: list
    elements: str
seealso:
  - module: bulwark.servers.protect_summary
  - module: bulwark.servers.host_scan
"""

EXAMPLES = r"""
- name: Deploy audit rules and locked ports
  bulwark.servers.host_protect:
    capabilities: [audit, jit_access]
"""

RETURN = r"""
protected:
  description: Sentences that name what is deployed.
  type: list
  elements: str
  returned: if anything is deployed
taken_back:
  description: Sentences that name what was removed.
  type: list
  elements: str
  returned: if anything was removed
unprotected:
  description: Sentences that name what cannot be deployed on the host, and why.
  type: list
  elements: str
  returned: if anything cannot be deployed
by_role:
  description: Capabilities that the playbook must deploy by the tasks C(protect) of their roles.
  type: list
  elements: str
  returned: if there are any
differences:
  description: The changes, each with C(before), C(after) and C(after_header).
  type: list
  elements: dict
  returned: in diff mode, if anything changed
"""
