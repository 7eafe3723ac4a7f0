#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: findings
short_description: Suppress, restore and resolve findings, and judge controls
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Records decisions of people about findings and about controls of benchmarks. Scans record the findings themselves,
    and so does M(bulwark.servers.findings_record).
  - The same alert about the same subject on the same host is one finding. A finding about a state, such as a changed
    file, is resolved by a run that checked and no longer found it. A finding about an event, such as a login, stays
    until a person resolves it.
  - Scans still record a suppressed finding, but it doesn't count as open. It is open again when the suppression ends,
    or when its severity rises above the one that was suppressed.
  - A control of a benchmark that no machine can judge is V(manual). A person judges it by the evidence in the store.
    The judgement holds from the next scan on, while the evidence stays the same.
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
      - The same decision again changes nothing.
  platform:
    support: full
    platforms: all
options:
  state:
    description:
      - V(suppressed) hides findings, V(unsuppressed) shows them again, V(resolved) closes them. For these three, select
        findings with O(uids), or with O(alert), O(host) and O(subject). A finding must match all options that you give.
      - V(judged) records whether a host meets a control that waits for a person, V(unjudged) takes that back. Both need
        O(benchmark), O(control) and one O(host).
    type: str
    required: true
    choices: [suppressed, unsuppressed, resolved, judged, unjudged]
  uids:
    description: The uids of findings, or how they begin, with at least 8 characters.
    type: list
    elements: str
  alert:
    description:
      - The id of an alert. C(*) stands for any text and C(?) for one character, here, in O(host) and in O(subject).
      - An id or pattern that matches no alert of the collection or the store is an error, which names similar alerts.
    type: str
  host:
    description:
      - The inventory name of a host. If no finding matches, the task fails and names a similar host or subject, except
        with O(include_future).
      - With O(state=judged) and O(state=unjudged) it is one name, and no pattern.
    type: str
  subject:
    description:
      - The subject of the finding, such as a path.
      - The subject of the control, such as the address of an engine. O(state=judged) needs it if the host has several.
        Without it, O(state=unjudged) takes back the judgements about all of them.
    type: str
  benchmark:
    description: The id of a benchmark, such as V(cis_docker). Required when O(state=judged) or O(state=unjudged).
    type: str
  control:
    description:
      - A control of the benchmark, by its number (V(5.10)) or its id. Write the number in quotes.
      - Required when O(state=judged) or O(state=unjudged).
    type: str
  digest:
    description:
      - The digest of the evidence that you looked at, from M(bulwark.servers.findings_info). If the evidence has
        changed since, O(state=judged) fails. Without this option, the judgement is about the evidence of the last scan.
    type: str
  verdict:
    description:
      - The decision about the control. Required when O(state=judged).
    type: str
    choices: [passed, failed, not_applicable]
  reason:
    description: The reason for the decision.
    type: str
    required: true
  actor:
    description:
      - The person who decided. Defaults to the AWX user, or without AWX to the account on the controller.
    type: str
  until:
    description:
      - The end of the suppression or the judgement. Without it, there is no end.
      - A number of minutes, hours, days or weeks from now (V(90m), V(12h), V(30d), V(4w)), a date, or a date and time
        (V(2026-05-31), V(2026-05-31T12:00:00Z)). Without an offset it is UTC.
    type: str
  include_future:
    description:
      - Whether to suppress also matching findings that are first seen, or come back, before O(until). Not with O(uids).
      - O(state=unsuppressed) with the same O(alert), O(host) and O(subject) takes it back.
      - A new O(host) is accepted, unless the store or the inventory has a host with a similar name.
    type: bool
    default: false
seealso:
  - module: bulwark.servers.findings_record
  - module: bulwark.servers.findings_info
"""

EXAMPLES = r"""
- name: Accept a change until it is rolled out everywhere
  bulwark.servers.findings:
    state: suppressed
    alert: fim_file_modified
    host: web*.example.com
    subject: /etc/nginx/nginx.conf
    include_future: true
    until: 14d
    reason: Rollout of CHG-1234.
  run_once: true

- name: Close an event after a review
  bulwark.servers.findings:
    state: resolved
    uids:
      - 1baa9c6d-8c0d-5266-82e5-3b4190cdcbeb
    reason: That was the backup operator, see INC-77.
  run_once: true

- name: Judge that only the right people can control the engine, until somebody is added
  bulwark.servers.findings:
    state: judged
    host: web1.example.com
    benchmark: cis_docker
    control: "1.1.2"
    verdict: passed
    until: 180d
    reason: alice and bob run this host, see OPS-12.
  run_once: true
"""

RETURN = r"""
judgements:
  description: The new judgement, or those that were taken back. Times are seconds since the epoch.
  returned: when O(state=judged) or O(state=unjudged)
  type: list
  elements: dict
  contains:
    host:
      description: The host.
      returned: always
      type: str
    benchmark:
      description: The benchmark.
      returned: always
      type: str
    control:
      description: The id of the control.
      returned: always
      type: str
    subject:
      description: The subject of the control.
      returned: always
      type: str
    verdict:
      description: V(passed), V(failed) or V(not_applicable).
      returned: always
      type: str
    reason:
      description: The reason for the judgement.
      returned: always
      type: str
    actor:
      description: The person who judged.
      returned: always
      type: str
    created:
      description: The time of the judgement.
      returned: always
      type: float
    until:
      description: The end of the judgement, or none.
      returned: always
      type: float
changes:
  description: Findings whose status or severity changed, the first 100.
  returned: when O(state) is none of V(judged) and V(unjudged)
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
messages:
  description:
    - The changes, a line for each of the first 20 findings. Of suppressions also the end and the reason.
  returned: when O(state) is none of V(judged) and V(unjudged)
  type: list
  elements: str
changes_count:
  description: How many findings changed.
  returned: when O(state) is none of V(judged) and V(unjudged)
  type: int
"""
