#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: memory_scan_respond
short_description: Apply response rules to the findings of a memory scan
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Matches rules with the findings of one host, and runs M(bulwark.servers.memory_response) for each matching process.
    It first keeps evidence, then stops processes, then ends processes.
  - Each process gets an action once, even if several rules ask for it. If a rule asks for evidence of a process and it
    can't be kept, the process is not ended. It is stopped if a rule says so, because its memory then stays.
  - The playbook C(bulwark.servers.respond) uses this module. Messages name the variables of the role C(memory_scan),
    which are the options here with the prefix C(memory_scan_).
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - The result lists the actions in sentences.
  idempotent:
    support: partial
    details:
      - A process that is already stopped, or gone, is no change. A rule with C(action=capture) keeps evidence each
        time.
options:
  response_rules:
    description:
      - A list of rules. Each has an C(action), which is V(capture), V(stop) or V(kill), and C(classes), C(subtypes) or
        both. A rule matches findings of one of the classes that have one of the subtypes.
      - With C(dump) a V(capture) rule keeps memory as well.
      - A misspelt rule fails the task before it takes any action.
    type: raw
    required: true
  findings:
    description:
      - Findings in the form of RV(bulwark.servers.memory_scan_info#module:findings).
      - Without them the module only checks the rules, and touches no host.
    type: list
    elements: dict
  max_dump:
    description: Maximum of memory of one process that C(dump) keeps, in MiB.
    type: int
    default: 64
  max_captures:
    description:
      - Number of captures that the host keeps. The module removes the oldest, but none of the same O(run). If the run
        has already made this number of captures, the module captures no further processes, and ends none of those.
    type: int
    default: 20
  run:
    description: A name that groups captures, of letters, digits and hyphens. Each task makes a new one by default.
    type: str
  state_dir:
    description:
      - Absolute path of the directory on the host for evidence.
      - Defaults to C(/var/lib/bulwark).
    type: str
  lock_timeout:
    description: Seconds to wait for another capture on the same host.
    type: int
    default: 60
seealso:
  - module: bulwark.servers.memory_response
  - module: bulwark.servers.memory_scan_info
"""

EXAMPLES = r"""
- name: Scan
  bulwark.servers.memory_scan_info:
  register: memory

- name: Keep evidence of techniques and toolkits, and end miners
  bulwark.servers.memory_scan_respond:
    findings: "{{ memory.findings }}"
    response_rules:
      - action: capture
        classes: [toolkit, technique]
        dump: true
      - action: kill
        subtypes: [known_miner]
"""

RETURN = r"""
messages:
  description: Sentences on the actions that were taken or, in check mode, would be.
  type: list
  elements: str
  returned: when the rules are valid
failures:
  description: Sentences on the actions that failed. The task fails if there are any.
  type: list
  elements: str
  returned: when the rules are valid
responses:
  description: The actions.
  type: list
  elements: dict
  returned: when the rules are valid
  contains:
    pid:
      description: Id of the process.
      type: int
      returned: success
    started:
      description: Start of the process, in ticks after the boot.
      type: int
      returned: success
    action:
      description: The action.
      type: str
      returned: success
    dump:
      description: Whether the action was to keep memory.
      type: bool
      returned: success
    message:
      description: One sentence on the action or, in check mode, on what it would do.
      type: str
      returned: success
    capture:
      description: The evidence, in the form of RV(bulwark.servers.memory_response#module:capture).
      type: dict
      returned: when evidence was kept
"""
