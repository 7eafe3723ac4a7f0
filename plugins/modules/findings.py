#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: findings
short_description: Record findings, and decide about them
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Records what a capability found on a host, in a run that M(bulwark.servers.findings_run) opened, and keeps what
    people decide about findings.
  - The same alert about the same subject on the same host is one finding. It is V(new) in the run that first sees it,
    V(open) when it is seen again, V(resolved) when it is gone, and V(open) again when it comes back.
  - Not checked is never clean. The finding of a state, such as a changed file, is resolved when the run looked at its
    scope and neither the subject nor anything above it was skipped. Where the scope was not checked, or the run's
    list of what was skipped was cut short, the finding stays as it is.
  - The finding of an event, such as a login, has happened and stays until a person resolves it. It is opened again
    when the event happens again, not when the same log is read again.
  - A suppressed finding is still recorded, but doesn't count as open. It is shown again when the suppression ends, or
    when its severity rises above what was decided about.
  - A control of a benchmark that no machine can judge is V(manual). A person judges it by the evidence that the store
    has. The judgement holds from the next scan on, and as long as the evidence stays the same.
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
      - Recording a result again in the same run changes nothing. In a later run what was V(new) becomes V(open).
  platform:
    support: full
    platforms: all
options:
  state:
    description:
      - V(recorded) keeps a host's findings and coverage.
      - V(suppressed) hides findings, V(unsuppressed) shows them again, V(resolved) says that they are dealt with. For
        these three, select findings with O(uids), or with O(alert), O(host) and O(subject); what is given must all be
        met.
      - V(judged) says whether a control that waits for a person is met, V(unjudged) takes that back. Both are about
        O(benchmark) and O(control) of one O(host).
    type: str
    required: true
    choices: [recorded, suppressed, unsuppressed, resolved, judged, unjudged]
  run:
    description: Id of the run. Required when O(state=recorded).
    type: str
  capability:
    description: The capability that looked. Required when O(state=recorded).
    type: str
  result:
    description:
      - The registered result of the capability's module, as it is.
      - One of a task that failed or was skipped, or of a host that was unreachable, becomes coverage that says so.
      - Give this, or O(findings) and O(coverage), when O(state=recorded).
    type: dict
  findings:
    description: The findings, as the capability's module returned them.
    type: list
    elements: dict
  coverage:
    description:
      - What was looked at, as the capability's module returned it. A list of mappings with C(scope), C(status)
        (V(checked), V(partial) or V(not_checked)), C(reason), C(examined), C(skipped) (a list of mappings with
        C(subject) and C(reason)) and C(skipped_count).
    type: list
    elements: dict
  checkpoint:
    description:
      - How far logs were read, as the capability's module returned it. It is kept together with the findings, and the
        next run goes on from there. Without it, the next run reads the same again.
      - Part of O(result), where that is given.
    type: dict
  uids:
    description: The uids of findings.
    type: list
    elements: str
  alert:
    description:
      - The id of an alert. C(*) stands for any text and C(?) for one character, here, in O(host) and in O(subject).
      - What fits no alert of the collection, and nothing in the store, is refused; the error names what comes close.
    type: str
  host:
    description:
      - The inventory name of a host. With O(state=judged) and O(state=unjudged) it is one name, and no pattern.
      - What O(state=recorded) records is always about the host of the task, or the one that it is delegated to.
    type: str
  subject:
    description:
      - What the finding is about, such as a path.
      - What the control is about, such as the address of an engine. With O(state=judged) it is needed if the host has
        several. With O(state=unjudged) and without it, the judgements about all of them are taken back.
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
      - The digest of the evidence that you looked at, of M(bulwark.servers.findings_info). If the evidence has changed
        since, O(state=judged) fails. Without it, the judgement is about what the last scan saw.
    type: str
  verdict:
    description:
      - The decision about the control. Required when O(state=judged).
    type: str
    choices: [passed, failed, not_applicable]
  reason:
    description: Why. Required for all states but V(recorded).
    type: str
  actor:
    description:
      - The person who decided. Defaults to the AWX user where there is one, otherwise to the account on the controller.
    type: str
  until:
    description:
      - When the suppression or the judgement ends. Without it, it doesn't.
      - A number of minutes, hours, days or weeks from now (V(90m), V(12h), V(30d), V(4w)), a date, or a date and time
        (V(2026-05-31), V(2026-05-31T12:00:00Z)). Without an offset it is UTC.
    type: str
  include_future:
    description:
      - Whether to suppress also what matches and is first seen, or comes back, before O(until). Not with O(uids).
      - O(state=unsuppressed) with the same O(alert), O(host) and O(subject) takes it back.
    type: bool
    default: false
seealso:
  - module: bulwark.servers.findings_run
  - module: bulwark.servers.findings_info
"""

EXAMPLES = r"""
- name: Compare the files with the baseline
  bulwark.servers.file_integrity_info:
  register: integrity
  ignore_errors: true
  ignore_unreachable: true

- name: Keep what was found, or why nothing could be
  bulwark.servers.findings:
    state: recorded
    run: "{{ opened.run.id }}"
    capability: file_integrity
    result: "{{ integrity }}"

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

- name: Say that an event was looked into
  bulwark.servers.findings:
    state: resolved
    uids:
      - 1baa9c6d-8c0d-5266-82e5-3b4190cdcbeb
    reason: That was the backup operator, see INC-77.
  run_once: true

- name: Say that only the right people can control the engine, until somebody is added
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
host:
  description: The host that the findings are about.
  returned: when O(state=recorded)
  type: str
  sample: web1.example.com
capability:
  description: The capability that looked.
  returned: when O(state=recorded)
  type: str
  sample: file_integrity
counts:
  description: How many findings the record was about, by what became of them.
  returned: when O(state=recorded)
  type: dict
  contains:
    new:
      description: Seen for the first time.
      returned: always
      type: int
    seen_again:
      description: Seen before, and still there.
      returned: always
      type: int
    resolved:
      description: Looked for, and gone.
      returned: always
      type: int
    reopened:
      description: Resolved before, and back.
      returned: always
      type: int
    suppressed:
      description: Seen, and suppressed; counted nowhere else.
      returned: always
      type: int
    dropped:
      description: Not kept, because the store has too many of this host; the coverage says so too.
      returned: always
      type: int
judgements:
  description: The judgement that holds now, or those that were taken back. Times are seconds since the epoch.
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
      description: Why.
      returned: always
      type: str
    actor:
      description: The person who judged.
      returned: always
      type: str
    created:
      description: When.
      returned: always
      type: float
    until:
      description: When it ends, or none.
      returned: always
      type: float
changes:
  description: Findings whose status or severity changed, the first 100.
  returned: when O(state) is none of V(judged) and V(unjudged)
  type: list
  elements: dict
  contains:
    uid:
      description: The finding's uid.
      returned: always
      type: str
    host:
      description: The host it is about.
      returned: always
      type: str
    alert:
      description: The id of its alert.
      returned: always
      type: str
    subject:
      description: What it is about.
      returned: always
      type: str
    severity:
      description: Its severity now.
      returned: always
      type: str
    before:
      description: Its status before, or none when the store did not have it.
      returned: always
      type: str
    after:
      description: Its status now.
      returned: always
      type: str
changes_count:
  description: How many findings changed.
  returned: when O(state) is none of V(judged) and V(unjudged)
  type: int
"""
