#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: findings_record
short_description: Record the findings of a host in a run
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Records the findings of a capability on a host, in a run that M(bulwark.servers.findings_run) opened. Use it in your
    own plays; the playbook C(bulwark.servers.scan) records by itself. M(bulwark.servers.findings) records decisions of
    people about findings.
  - The same alert about the same subject on the same host is one finding. It is V(new) in the run that first sees it,
    V(open) if a later run sees it again, V(resolved) when it is gone, and V(open) again if it comes back.
  - Not checked is never clean. A finding about a state, such as a changed file, is resolved if the run checked its
    scope, did not find it, and skipped neither the subject nor a directory above it. If the scope was not checked, or
    the list of skipped subjects is incomplete, the finding stays as it is.
  - A finding about an event, such as a login, stays until a person resolves it. It is open again if the event happens
    again. Reading the same log again does not open it.
  - The findings belong to the host of the task, or to the one that the task is delegated to.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the findings whose status or severity changed.
  idempotent:
    support: full
    details:
      - Recording a result again in the same run changes nothing. In a later run, V(new) findings become V(open).
  platform:
    support: full
    platforms: all
options:
  run:
    description: Id of the run, as M(bulwark.servers.findings_run) returns it.
    type: str
    required: true
  capability:
    description: The capability that checked the host.
    type: str
    required: true
  result:
    description:
      - The registered result of the capability's module, unchanged.
      - The result of a failed or skipped task, or of an unreachable host, becomes coverage with this reason.
      - Give this, or O(findings) and O(coverage).
    type: dict
  findings:
    description: The findings, as the capability's module returned them.
    type: list
    elements: dict
  coverage:
    description:
      - The coverage, as the capability's module returned it. A list of mappings with C(scope), C(status) (V(checked),
        V(partial) or V(not_checked)), C(reason), C(examined), C(skipped) (a list of mappings with C(subject) and
        C(reason)) and C(skipped_count).
    type: list
    elements: dict
  checkpoint:
    description:
      - How far logs were read, as the capability's module returned it. It is stored together with the findings, and the
        next run continues from there. Without it, the next run reads the same logs again.
      - If you give O(result), the checkpoint is part of it.
    type: dict
seealso:
  - module: bulwark.servers.findings
  - module: bulwark.servers.findings_run
  - module: bulwark.servers.findings_info
"""

EXAMPLES = r"""
- name: Open a run for all hosts of this play
  bulwark.servers.findings_run:
    state: started
    capabilities:
      - file_integrity
  run_once: true
  register: opened

- name: Compare the files with the baseline
  bulwark.servers.file_integrity_info:
  register: integrity
  ignore_errors: true
  ignore_unreachable: true

- name: Record the findings, or why there are none
  bulwark.servers.findings_record:
    run: "{{ opened.run.id }}"
    capability: file_integrity
    result: "{{ integrity }}"
"""

RETURN = r"""
host:
  description: The host of the findings.
  returned: success
  type: str
  sample: web1.example.com
capability:
  description: The capability that checked the host.
  returned: success
  type: str
  sample: file_integrity
counts:
  description: The number of recorded findings, by what happened to them.
  returned: success
  type: dict
  contains:
    new:
      description: Seen for the first time.
      returned: always
      type: int
    seen_again:
      description: Seen before, and seen again.
      returned: always
      type: int
    resolved:
      description: Checked, and no longer found.
      returned: always
      type: int
    reopened:
      description: Resolved before, and back.
      returned: always
      type: int
    suppressed:
      description: Seen while suppressed; counted nowhere else.
      returned: always
      type: int
    simulated:
      description: Findings of simulated attacks, recorded as resolved; counted nowhere else.
      returned: always
      type: int
    dropped:
      description: Not stored, because the store has too many of this host; the coverage says so, too.
      returned: always
      type: int
changes:
  description: Findings whose status or severity changed, the first 100.
  returned: success
  type: list
  elements: dict
  contains:
    uid:
      description: The uid of the finding.
      returned: always
      type: str
    host:
      description: The host of the finding.
      returned: always
      type: str
    alert:
      description: The id of its alert.
      returned: always
      type: str
    subject:
      description: Its subject.
      returned: always
      type: str
    severity:
      description: Its severity now.
      returned: always
      type: str
    before:
      description: Its status before, or none if the store did not have it.
      returned: always
      type: str
    after:
      description: Its status now.
      returned: always
      type: str
changes_count:
  description: How many findings changed.
  returned: success
  type: int
"""
