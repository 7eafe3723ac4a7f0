#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: edr_import
short_description: Record alerts that were exported from an endpoint protection
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads alerts that you exported from the console or the API of an endpoint protection, and records them as findings
    of the inventory's hosts. Connects to no host and no cloud.
  - Identifies the host of an alert by the product's id, which the variable C(edr_ids) of the host lists, then by name,
    then by address. RV(unknown_hosts) has the alerts whose host the inventory lacks, or that fit several hosts.
  - Importing the same file again changes nothing. An alert that is closed in the export resolves its finding.
  - Reads all files before it records anything, and records all findings in one transaction.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  platform:
    support: full
    platforms: all
options:
  product:
    description:
      - The product whose alerts the files have. V(microsoft_defender) is for alerts of Defender for
        Endpoint, of Microsoft Graph (C(alerts_v2)) and of advanced hunting (C(AlertInfo) with C(AlertEvidence)).
        V(crowdstrike_falcon) is for detections of the event stream, the data replicator and the API.
        V(sentinelone) is for threats, alerts and activities. V(carbon_black) is for alerts of Carbon Black Cloud.
        V(elastic_agent) is for alerts in the Elastic Common Schema, such as those of Kibana.
      - V(falco), V(wazuh) and V(osquery) are for logs of these products that were collected elsewhere.
    type: str
    required: true
    choices: [microsoft_defender, crowdstrike_falcon, sentinelone, carbon_black, elastic_agent, falco, wazuh, osquery]
  files:
    description:
      - Files on the controller, in JSON or with one JSON object a line. They may be compressed with gzip.
    type: list
    elements: path
    required: true
  floor:
    description:
      - The lowest severity that becomes a finding. RV(counts) has the number of alerts below. The default is the floor
        of the product.
    type: str
    choices: [informational, low, medium, high, critical]
  hosts:
    description: Hosts of the inventory whose alerts are recorded. By default all.
    type: list
    elements: str
seealso:
  - module: bulwark.servers.edr_alerts_info
"""

EXAMPLES = r"""
- name: Record the alerts of last week
  bulwark.servers.edr_import:
    product: microsoft_defender
    files: [/srv/exports/alerts-2026-48.json]
  register: imported

- name: Show recorded alerts, and the alerts of unknown hosts
  ansible.builtin.debug:
    msg: "{{ imported.summary }}"
"""

RETURN = r"""
hosts:
  description: How many findings of each host were C(new), C(seen_again), C(reopened), C(resolved) and C(suppressed).
  type: list
  elements: dict
  returned: success
  sample:
    - {host: web03, new: 1, seen_again: 0, reopened: 0, resolved: 0, suppressed: 0}
unknown_hosts:
  description: Hosts that the inventory lacks, with their alerts. At most 1000; RV(counts) has their number.
  type: list
  elements: dict
  returned: success
  contains:
    names:
      description: Names, addresses and ids that the product has of it.
      returned: always
      type: list
      elements: str
    reason:
      description: Why the alert has no host.
      returned: always
      type: str
    total:
      description: How many alerts it has.
      returned: always
      type: int
    alerts:
      description: A text for each of its alerts, the first 200.
      returned: always
      type: list
      elements: str
counts:
  description: Numbers of C(records), C(alerts), those C(below_floor), records of C(no_alert) and C(unknown_hosts).
  type: dict
  returned: success
summary:
  description: The same in lines for people.
  type: list
  elements: str
  returned: success
"""
