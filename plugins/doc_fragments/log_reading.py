# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that audit_events_info and sign_in_info share."""

from __future__ import annotations


class ModuleDocFragment:
    """From where logs are read, how gently, and what is looked for in them."""

    DOCUMENTATION = r"""
options:
  since:
    description:
      - Nothing before this time, in seconds since the epoch, is looked at.
    type: float
  max_findings:
    description:
      - How many findings are returned. The most severe come first, and RV(ignore:coverage) says how many are left out.
    type: int
    default: 1000
  threat_lists:
    description:
      - Lists of addresses, domains, digests and names on the controller that are known from attacks.
      - Each has a C(path), and may have a C(kind) (C(address), C(domain), C(hash), C(name) or C(pattern); without it,
        each entry is an address, a domain or a digest by its form), a C(format) (C(text), C(csv) or C(stix); without
        it, the ending of the file says which), of a CSV file a C(column) by number or name, and a C(name) for findings.
    type: list
    elements: dict
  own_rules:
    description:
      - Whether the collection's detections are used.
    type: bool
    default: true
  time_budget:
    description:
      - Seconds after which the module stops reading and returns what it has. The next run goes on there. V(0) means no
        limit.
    type: int
    default: 0
  priority:
    description:
      - V(idle) leaves processor and disk to everything else on the host (nice 19 and the idle I/O class).
    type: str
    choices: [idle, normal]
    default: idle
  _content:
    description: Set by the action plugin. The detections, compiled.
    type: str
"""
