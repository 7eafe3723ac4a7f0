#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: memory_scan_respond
short_description: Apply response rules to the findings of a memory scan
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Matches rules with the findings of one host and runs M(bulwark.servers.memory_response) for each process that a rule
    matches. Evidence comes first, then processes are stopped, then processes are ended.
  - Each process gets an action once, however many rules ask for it. A process whose evidence was to be kept and could
    not be is not ended. It is stopped where a rule says so, as its memory then stays.
  - The playbook C(bulwark.servers.respond) uses it. Messages name the variables of the role C(memory_scan), which are
    the options here with C(memory_scan_) before their names.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - The result says in sentences what was done.
  idempotent:
    support: partial
    details:
      - A process that is stopped, or gone, is no change. A rule with C(action=capture) keeps evidence each time.
options:
  response_rules:
    description:
      - A list of rules. Each has an C(action), which is V(capture), V(stop) or V(kill), and C(classes), C(subtypes) or
        both. The rule matches findings of one of the classes in which one of the subtypes was seen.
      - With C(dump) a rule of V(capture) keeps memory as well.
      - What is misspelt fails the task before anything is done.
    type: raw
    required: true
  findings:
    description:
      - Findings as RV(bulwark.servers.memory_scan_info#module:findings) has them.
      - Without them the rules are checked and nothing else is done, also on no host.
    type: list
    elements: dict
  max_dump:
    description: How many MiB of one process C(dump) keeps at most.
    type: int
    default: 64
  max_captures:
    description:
      - How many captures the host keeps. The oldest are removed, but none of the same O(run). When so many are of the
        same run, further processes are not captured, and none of those is ended.
    type: int
    default: 20
  run:
    description: A name for what belongs together, of letters, digits and hyphens. By default a new one is made.
    type: str
  state_dir:
    description:
      - Directory on the host below which evidence is kept, as an absolute path.
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

- name: Keep evidence of what is no mere behavior, and end miners
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
  description: Sentences that say what was done or, in check mode, would be done.
  type: list
  elements: str
  returned: when the rules are valid
failures:
  description: Sentences that say what could not be done. The task fails if there are any.
  type: list
  elements: str
  returned: when the rules are valid
responses:
  description: The actions that were taken.
  type: list
  elements: dict
  returned: when the rules are valid
  contains:
    pid:
      description: Id of the process.
      type: int
      returned: success
    started:
      description: When the process was started, in ticks after the boot.
      type: int
      returned: success
    action:
      description: The action.
      type: str
      returned: success
    dump:
      description: Whether memory was to be kept.
      type: bool
      returned: success
    message:
      description: One sentence on what was done, or would be.
      type: str
      returned: success
    capture:
      description: The evidence, as RV(bulwark.servers.memory_response#module:capture) describes it.
      type: dict
      returned: when evidence was kept
"""
