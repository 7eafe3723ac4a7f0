#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: edr_info
short_description: See which endpoint protection a host has, and whether it protects
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Detects endpoint protection by its packages, units, processes and sockets, asks each product for its health, and
    judges what it does. A product that reports itself healthy while its real-time protection is off is a finding.
  - Supports Microsoft Defender for Endpoint, CrowdStrike Falcon, SentinelOne, Cortex XDR, Bitdefender, Wazuh, Elastic
    Agent, Falco, osquery, Sysmon and ClamAV, and the audit daemon, fapolicyd, SELinux and AppArmor of the system.
  - Runs a product's own command only if root alone can change the file, and if the file is as its package shipped it.
    The command gets no environment of the user, and a time limit. A command that was replaced is a finding, and the
    module does not run it.
  - Records which products the host had at the last recorded run. A product that is gone since then is a finding.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
  - bulwark.servers.checkpoint
  - bulwark.servers.checkpoint.simulated
options:
  expected:
    description:
      - The products that the host should have, such as V(microsoft_defender) or V(falco). V(any) stands for any product
        that protects or watches the host. With an empty list, nothing is expected.
    type: list
    elements: str
    default: [any]
  content_age:
    description: Days after which signatures and other content of a product are too old. V(0) accepts any age.
    type: int
    default: 7
  expiry_days:
    description: So many days before a product expires, this becomes a finding. V(0) reports expired products only.
    type: int
    default: 30
  accepted_exclusions:
    description: Broad exclusions that you accept, as RV(products) shows their values.
    type: list
    elements: str
    default: []
  command_timeout:
    description: Seconds that each command of a product may take. RV(coverage) names commands that took longer.
    type: int
    default: 10
  time_budget:
    description: Seconds for all commands together. RV(coverage) names what was left out. V(0) is no limit.
    type: int
    default: 60
  priority:
    description: V(idle) leaves processor and disk to everything else on the host. V(normal) changes neither.
    type: str
    choices: [idle, normal]
    default: idle
  _content:
    description: Set by the action plugin. The products, and how to read their health.
    type: str
notes:
  - Root is needed. Without it, most products do not report their health, which counts as not checked.
"""

EXAMPLES = r"""
- name: See how well the host is protected
  bulwark.servers.edr_info:
  register: protection

- name: Expect Defender and fapolicyd on the host
  bulwark.servers.edr_info:
    expected: [microsoft_defender, fapolicyd]
"""

RETURN = r"""
products:
  description:
    - The products on the host with their health. A value of V(null) is not known, which is neither yes nor no.
    - Times are seconds since the epoch.
  type: list
  elements: dict
  returned: success
  contains:
    product:
      description: The id, as O(expected) takes it.
      type: str
      returned: always
      sample: microsoft_defender
    title:
      description: The name of the product.
      type: str
      returned: always
    kind:
      description:
        - V(protection) stops malware, V(scanner) finds it on demand, V(sensor) watches and reports. V(system) is part
          of the operating system.
      type: str
      returned: always
    version:
      description: The version that the product reports, or else that of its package.
      type: str
      returned: always
    running:
      description: Whether its daemon runs, or whether the kernel has it enabled.
      type: bool
      returned: always
    onboarded:
      description: Whether it belongs to a tenant or management server.
      type: bool
      returned: always
    tenant:
      description: The id of the tenant, or the address of the server.
      type: str
      returned: always
    real_time:
      description: Whether it checks files that are written, and programs that are started.
      type: bool
      returned: always
    mode:
      description: V(block), V(passive) if it only reports, or V(reduced) if the kernel does not let it see everything.
      type: str
      returned: always
    engine:
      description: The version of its engine.
      type: str
      returned: always
    content:
      description: The version of its signatures or other content.
      type: str
      returned: always
    content_time:
      description: When its content was made.
      type: float
      returned: always
    up_to_date:
      description: Whether it calls its content up to date.
      type: bool
      returned: always
    tamper_protection:
      description: Whether it keeps root from stopping it.
      type: bool
      returned: always
    cloud:
      description: Whether it is connected to its cloud or management server.
      type: bool
      returned: always
    expires:
      description: When the product stops working.
      type: float
      returned: always
    exclusions:
      description: What it does not look at, each with C(kind) and C(value).
      type: list
      elements: dict
      returned: always
    conflicts:
      description: Other products that it names as conflicting.
      type: list
      elements: str
      returned: always
    problems:
      description: What it reports to be wrong.
      type: list
      elements: str
      returned: always
    details:
      description: What else it reports, under the product's own names.
      type: dict
      returned: always
missing:
  description: The entries of O(expected) that the host lacks.
  type: list
  elements: str
  returned: success
  sample: [falco]
findings:
  description: OCSF events. The module returns C(detections), which the action plugin turns into findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - Entries of the scopes V(protection) for which products are there and run, and V(health) for what they report about
      themselves. Each says what could not be read, and why.
  type: list
  elements: dict
  returned: success
checkpoint:
  description:
    - Which products were there. M(bulwark.servers.findings) keeps it together with what was found.
  type: dict
  returned: with O(run), not in check mode
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.edr.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.edr.options import collect_spec


def main() -> None:
    module = AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True)
    run_module(module, collect)


if __name__ == "__main__":
    main()
