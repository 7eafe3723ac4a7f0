#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: edr_alerts_info
short_description: Read the alerts of a host's security products
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads the alerts that Falco, ClamAV, osquery, Sysmon for Linux, Microsoft Defender for Endpoint and writers of the
    Elastic Common Schema have on the host. On a Wazuh manager it reads the alerts of all its agents.
  - Reads each alert once, even if logs are rotated or cut off, or if a run is killed. All alerts about the same threat
    in the same file become one finding.
  - The severity is a translation of the product's own one. It is one step lower if the product blocked or quarantined
    the threat. An alert that the product reports as remediated resolves the finding.
  - The module has clamd scan the files of its alerts again. A finding of ClamAV stays while clamd matches the file. The
    first run after the file is gone resolves it.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
  - bulwark.servers.checkpoint
  - bulwark.servers.checkpoint.simulated
options:
  products:
    description:
      - The products to read, by their ids V(falco), V(wazuh), V(clamav), V(osquery), V(sysmon), V(elastic_agent)
        and V(microsoft_defender). By default all that are on the host.
    type: list
    elements: str
  paths:
    description:
      - Log files that replace the default paths of a product, as a list for each id. Glob patterns are allowed. Rotated
        files in the same directory are read, too. C(%Y), C(%b) and C(%d) stand for year, month and day.
    type: dict
    default: {}
  floors:
    description:
      - The lowest severity of each product that becomes a finding, by its id. RV(coverage) counts the alerts below.
    type: dict
    default: {}
  first_days:
    description: Days of alerts that the first run reads. V(0) reads all. Alerts without a time are always read.
    type: int
    default: 7
  time_budget:
    description: Seconds after which reading stops. The next run continues there. V(0) is no limit.
    type: int
    default: 0
  priority:
    description:
      - CPU priority on the host, not the severity of findings. With V(idle), all other processes go first.
    type: str
    choices: [idle, normal]
    default: idle
  _content:
    description: Set by the action plugin. The products, and how to read them.
    type: str
seealso:
  - module: bulwark.servers.edr_import
"""

EXAMPLES = r"""
- name: Read the alerts of the host's products
  bulwark.servers.edr_alerts_info:
    floors:
      wazuh: medium
  register: alerts

- name: Show the findings
  ansible.builtin.debug:
    msg: "{{ alerts.findings | map(attribute='message') }}"
"""

RETURN = r"""
findings:
  description:
    - OCSF events, one for each threat or rule and subject. The product is C(finding_info.analytic) and
      C(metadata.product); C(unmapped.product) has its own id of the alert and its own severity.
  type: list
  elements: dict
  returned: success
coverage:
  description: One entry, V(alerts). It names lines that no reader understands, and alerts that were only counted.
  type: list
  elements: dict
  returned: success
edr_alerts:
  description: How many C(alerts) in how many C(lines) of which C(products) were read, and how many were folded.
  type: dict
  returned: success
  sample:
    alerts: 3
    below_floor: {Falco: 12}
    folded: 0
    products: [falco, clamav]
    lines: 15
    not_understood: 0
    seconds: 0.02
remediated:
  description:
    - Findings that a product has dealt with, each with C(alert), C(subject) and C(reason). C(alert_uid) is the id
      that the product gave the alert. It resolves a finding with another subject as well.
  type: list
  elements: dict
  returned: if there are any
elsewhere:
  description:
    - Findings of other hosts that a manager reports, each with C(host), C(findings) and C(remediated).
      M(bulwark.servers.findings_record) records them for those hosts.
  type: list
  elements: dict
  returned: if there are any
unknown_hosts:
  description: Agents that the inventory does not have. Their alerts are findings of the manager.
  type: list
  elements: str
  returned: if there are any
checkpoint:
  description:
    - How far the alerts were read. M(bulwark.servers.findings_record) stores it together with the findings.
  type: dict
  returned: with O(run), not in check mode
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.options import collect_spec


def main() -> None:
    module = AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True)
    run_module(module, collect)


if __name__ == "__main__":
    main()
