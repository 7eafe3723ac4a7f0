#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: findings_info
short_description: Query the findings store
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Returns findings, how many there are, how far runs looked, and what happened to findings.
  - Options that are not given limit nothing. In O(hosts), O(alerts) and O(subjects), C(*) stands for any text and
    C(?) for one character.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.store
attributes:
  platform:
    support: full
    platforms: all
options:
  gather:
    description:
      - What to return besides RV(counts).
      - V(explanations) are changes that are no findings, because a package explains them.
      - V(suppressions) are decisions about findings to come.
      - V(seals) is who accepted which changes into the baselines, when and why.
      - V(controls) are the newest results of the controls of benchmarks. V(benchmarks) is the newest score of each
        subject of a host, V(benchmark_runs) that of each run.
      - V(judgements) is what people decided about controls.
      - V(containers) is the newest inventory of containers.
    type: list
    elements: str
    choices:
      - findings
      - coverage
      - explanations
      - runs
      - history
      - suppressions
      - seals
      - controls
      - benchmarks
      - benchmark_runs
      - judgements
      - containers
    default: [findings]
  hosts:
    description: Inventory names of hosts.
    type: list
    elements: str
    default: []
  capabilities:
    description: Capabilities.
    type: list
    elements: str
    default: []
  alerts:
    description:
      - Ids of alerts. One that fits no alert of the collection, and nothing in the store, is refused; the error names
        what comes close.
    type: list
    elements: str
    default: []
  subjects:
    description: What findings and controls are about, such as paths, and the engines of containers.
    type: list
    elements: str
    default: []
  uids:
    description: Uids of findings.
    type: list
    elements: str
    default: []
  statuses:
    description: Statuses of findings as they are now.
    type: list
    elements: str
    choices: [new, open, suppressed, resolved]
    default: []
  severity:
    description: The lowest severity.
    type: str
    choices: [informational, low, medium, high, critical]
  since:
    description:
      - Only findings that a run saw at or after this. For RV(history), RV(seals) and RV(benchmark_runs), only what
        happened at or after this.
      - A number of minutes, hours, days or weeks ago (V(90m), V(12h), V(30d), V(4w)), a date, or a date and time
        (V(2026-05-31), V(2026-05-31T12:00:00Z)). Without an offset it is UTC.
    type: str
  until:
    description:
      - Only findings that a run saw at or before this, written as in O(since). For RV(history), RV(seals) and
        RV(benchmark_runs), only what happened at or before this.
    type: str
  limit:
    description:
      - How many findings, runs, controls, judgements, containers, and entries of RV(history), RV(seals), RV(benchmarks)
        and RV(benchmark_runs) to return at most. With V(0), all.
    type: int
    default: 1000
  offset:
    description: How many findings, and of all else that O(limit) limits, runs aside, to leave out first.
    type: int
    default: 0
  run:
    description:
      - Id of the run whose coverage, and which of RV(runs), to return. By default the newest coverage of each host.
      - Also limits RV(explanations) and RV(benchmark_runs), which are otherwise of all runs.
    type: str
  explained_by:
    description:
      - Only RV(explanations) by these, such as V(openssh-server *). C(*) stands for any text and C(?) for one
        character.
    type: list
    elements: str
    default: []
  benchmarks:
    description:
      - Ids of benchmarks, such as V(cis_docker). Limits RV(controls), RV(benchmarks), RV(benchmark_runs) and
        RV(judgements). One that the collection does not have is refused.
    type: list
    elements: str
    default: []
  controls:
    description:
      - Only these RV(controls), by their number in the edition (V(5.10)) or their id. C(*) stands for any text and C(?)
        for one character. Write numbers in quotes.
      - What fits no control of the collection is refused; the error names what comes close.
    type: list
    elements: str
    default: []
  control_statuses:
    description: Only RV(controls) with these statuses.
    type: list
    elements: str
    choices: [failed, manual, not_checked, excepted, passed, not_applicable]
    default: []
seealso:
  - module: bulwark.servers.findings
  - module: bulwark.servers.findings_run
"""

EXAMPLES = r"""
- name: Ask for what is serious and open
  bulwark.servers.findings_info:
    severity: high
    statuses: [new, open]
  run_once: true
  register: serious

- name: Ask which hosts could not be checked
  bulwark.servers.findings_info:
    gather: [coverage]
  run_once: true
  register: looked

- name: Show them
  ansible.builtin.debug:
    msg: "{{ looked.coverage | rejectattr('status', 'eq', 'checked') | map(attribute='host') | unique }}"
  run_once: true

- name: Ask which hosts had changes that a package explains, and when
  bulwark.servers.findings_info:
    gather: [explanations]
    explained_by: ["openssh-server *"]
    since: 30d
  run_once: true

- name: Ask for everything
  bulwark.servers.findings_info:
    limit: 0
  run_once: true
  register: all
  no_log: true # or -v shows each of them

- name: Export it as OCSF events, one on a line
  ansible.builtin.copy:
    content: "{{ all.findings | map(attribute='event') | map('to_json') | join('\n') }}\n"
    dest: "{{ playbook_dir }}/findings.jsonl"
    mode: "0600"
  run_once: true
  delegate_to: localhost

- name: Ask who accepted changes of a host in the last month, and why
  bulwark.servers.findings_info:
    gather: [seals]
    hosts: [web1.example.com]
    since: 30d
  run_once: true
  register: accepted

- name: Ask which controls of the benchmark for Docker wait for a person
  bulwark.servers.findings_info:
    gather: [controls]
    benchmarks: [cis_docker]
    control_statuses: [manual]
    limit: 0
  run_once: true
  register: waiting

- name: Ask how the scores have changed in a quarter
  bulwark.servers.findings_info:
    gather: [benchmark_runs]
    since: 13w
    limit: 0
  run_once: true
  register: scores

- name: Ask for the containers of the whole fleet
  bulwark.servers.findings_info:
    gather: [containers]
    limit: 0
  run_once: true
  register: inventory
"""

RETURN = r"""
counts:
  description: How many findings the query is for, O(limit) and O(offset) aside.
  returned: always
  type: dict
  contains:
    total:
      description: All of them.
      returned: always
      type: int
    by_status:
      description: How many have each status.
      returned: always
      type: dict
    open_by_severity:
      description: How many of the new and the open ones have each severity.
      returned: always
      type: dict
  sample:
    total: 3
    by_status: {new: 1, open: 1, resolved: 1, suppressed: 0}
    open_by_severity: {informational: 0, low: 0, medium: 1, high: 1, critical: 0}
findings:
  description: The findings, the most severe and most recent first. Times are seconds since the epoch.
  returned: when O(gather) has V(findings)
  type: list
  elements: dict
  contains:
    uid:
      description: The same for the same alert about the same subject on the same host.
      returned: always
      type: str
    host:
      description: The inventory name of the host.
      returned: always
      type: str
    capability:
      description: The capability that found it.
      returned: always
      type: str
    alert:
      description: The id of the alert.
      returned: always
      type: str
    title:
      description: The alert's title.
      returned: always
      type: str
    kind:
      description: V(alert), V(recommendation) or V(vulnerability).
      returned: always
      type: str
    lifecycle:
      description: V(state) is resolved when it is gone, V(event) by a person.
      returned: always
      type: str
    scope:
      description: The coverage scope it belongs to.
      returned: always
      type: str
    subject:
      description: What it is about.
      returned: always
      type: str
    severity:
      description: Its severity.
      returned: always
      type: str
    status:
      description: V(new), V(open), V(resolved) or V(suppressed), as it is now.
      returned: always
      type: str
    status_since:
      description: Since when.
      returned: always
      type: float
    status_by:
      description: Who gave it this status, or accepted what it is about; none when a run did.
      returned: always
      type: str
    status_reason:
      description: Why.
      returned: always
      type: str
    suppressed_until:
      description: When the suppression ends, if it is suppressed and it does.
      returned: always
      type: float
    first_seen:
      description: The first time that a run saw it.
      returned: always
      type: float
    last_seen:
      description: The last time that a run saw it.
      returned: always
      type: float
    last_run:
      description: The id of the run that saw it last.
      returned: always
      type: str
    count:
      description: How many runs saw it.
      returned: always
      type: int
    reopened:
      description: How often it came back after it was resolved.
      returned: always
      type: int
    event:
      description:
        - The finding as an event of the Open Cybersecurity Schema Framework 1.5.0, a Detection Finding, Compliance
          Finding or Vulnerability Finding (U(https://schema.ocsf.io/1.5.0/categories/findings)).
        - C(status_id) is 1 (New) as long as no person has looked at it, also when it was seen again; C(activity_id) and
          C(unmapped.status) tell the two apart.
      returned: always
      type: dict
coverage:
  description: How far each capability looked at each host.
  returned: when O(gather) has V(coverage)
  type: list
  elements: dict
  contains:
    run_id:
      description: The id of the run.
      returned: always
      type: str
    host:
      description: The inventory name of the host.
      returned: always
      type: str
    capability:
      description: The capability.
      returned: always
      type: str
    status:
      description: V(checked), V(partial) or V(not_checked).
      returned: always
      type: str
    entries:
      description: The same for each scope, with reasons; see O(bulwark.servers.findings#module:coverage).
      returned: always
      type: list
      elements: dict
    recorded:
      description: When the result was recorded, or none when none arrived.
      returned: always
      type: float
    started:
      description: When the run was opened.
      returned: always
      type: float
    last_checked:
      description: When a run last looked at something of it, in whichever run; none when no run ever did.
      returned: always
      type: float
explanations:
  description:
    - What explained changes on hosts, so that they are no findings, the newest first. Pruning removes them with their
      runs.
  returned: when O(gather) has V(explanations)
  type: list
  elements: dict
  contains:
    run_id:
      description: The id of the run.
      returned: always
      type: str
    time:
      description: When the result was recorded.
      returned: always
      type: float
    host:
      description: The inventory name of the host.
      returned: always
      type: str
    capability:
      description: The capability.
      returned: always
      type: str
    scope:
      description: The scope that the changes are in.
      returned: always
      type: str
    explained_by:
      description: What explains them, such as a package with its version.
      returned: always
      type: str
    count:
      description: How many changes.
      returned: always
      type: int
    examples:
      description: What changed, the first few.
      returned: always
      type: list
      elements: str
runs:
  description: The runs, the newest first, as in RV(bulwark.servers.findings_run#module:run).
  returned: when O(gather) has V(runs)
  type: list
  elements: dict
history:
  description: What happened to the findings, the newest first.
  returned: when O(gather) has V(history)
  type: list
  elements: dict
  contains:
    time:
      description: When it happened.
      returned: always
      type: float
    uid:
      description: To which finding.
      returned: always
      type: str
    host:
      description: The host that it is about.
      returned: always
      type: str
    action:
      description: V(new), V(resolved), V(reopened), V(suppressed), V(unsuppressed) or V(severity_changed).
      returned: always
      type: str
    before:
      description: Its severity before, or none when it was not open.
      returned: always
      type: str
    after:
      description: Its severity afterwards, or none when it is not open.
      returned: always
      type: str
    actor:
      description: Who did it, or none when a run did.
      returned: always
      type: str
    reason:
      description: Why.
      returned: always
      type: str
    run_id:
      description: The run that did it.
      returned: always
      type: str
seals:
  description: What happened to the baselines' seals, the newest first.
  returned: when O(gather) has V(seals)
  type: list
  elements: dict
  contains:
    time:
      description: When it happened.
      returned: always
      type: float
    host:
      description: The host that has the baseline.
      returned: always
      type: str
    name:
      description: The baseline's name.
      returned: always
      type: str
    action:
      description:
        - V(proposed) when a new baseline was about to be put in place, V(confirmed) when it was, V(removed) with the
          baseline or its host.
      returned: always
      type: str
    digest:
      description: The SHA-256 digest of the baseline.
      returned: always
      type: str
    actor:
      description: Who did it.
      returned: always
      type: str
    reason:
      description: Why.
      returned: always
      type: str
    accepted:
      description:
        - With V(confirmed), the changes that came into the baseline because they were accepted; none where nothing was,
          or where it is not known.
      returned: always
      type: dict
      contains:
        capability:
          description: The capability that has the baseline.
          returned: always
          type: str
        count:
          description: How many changes were accepted.
          returned: always
          type: int
        changes:
          description:
            - The first of them, at most 200. Changes that packages explain are only counted; RV(explanations) has
              them.
          returned: always
          type: list
          elements: dict
          contains:
            id:
              description: Id of the change, as it was accepted.
              returned: always
              type: str
            subject:
              description: What changed; the RV(findings[].subject) of findings about it.
              returned: always
              type: str
            kind:
              description: What happened to it, such as V(modified).
              returned: always
              type: str
        is_complete:
          description: Whether RV(seals[].accepted.changes) has all that no package explains.
          returned: always
          type: bool
suppressions:
  description: Decisions about findings to come, also those that ended.
  returned: when O(gather) has V(suppressions)
  type: list
  elements: dict
  contains:
    id:
      description: An id.
      returned: always
      type: str
    alert:
      description: The pattern of alerts.
      returned: always
      type: str
    host:
      description: The pattern of hosts.
      returned: always
      type: str
    subject:
      description: The pattern of subjects.
      returned: always
      type: str
    reason:
      description: Why.
      returned: always
      type: str
    actor:
      description: The person who decided.
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
controls:
  description:
    - The newest result of each control about each subject of a host, by host, benchmark, subject and id. Times are
      seconds since the epoch.
  returned: when O(gather) has V(controls)
  type: list
  elements: dict
  contains:
    host:
      description: The inventory name of the host.
      returned: always
      type: str
    capability:
      description: The capability that judged it.
      returned: always
      type: str
    benchmark:
      description: The id of the benchmark.
      returned: always
      type: str
    edition:
      description: The edition of the benchmark.
      returned: always
      type: str
    control:
      description:
        - The id of the control, which survives editions. The finding of a failed one has it as its
          RV(findings[].alert).
      returned: always
      type: str
    number:
      description: Its number in the edition.
      returned: always
      type: str
    title:
      description: The requirement. This and the next four are none for a control that this collection does not have.
      returned: always
      type: str
    section:
      description: The section of the benchmark.
      returned: always
      type: str
    level:
      description: The level, V(1) or V(2).
      returned: always
      type: int
    profile:
      description: The profile, such as V(docker) or V(swarm).
      returned: always
      type: str
    question:
      description: The question to decide, for one that is V(manual).
      returned: always
      type: str
    subject:
      description: The subject that was judged, such as the address of an engine.
      returned: always
      type: str
    status:
      description: V(passed), V(failed), V(excepted), V(manual), V(not_applicable) or V(not_checked).
      returned: always
      type: str
    previous_status:
      description: Its status in the run before, or none for the first.
      returned: always
      type: str
    since:
      description: Since when it has its status.
      returned: always
      type: float
    severity:
      description: The severity of a failure.
      returned: always
      type: str
    reason:
      description: Why it has this status.
      returned: always
      type: str
    examined:
      description: The number of things that were examined.
      returned: always
      type: int
    count:
      description: The number of those that fail it, or wait for a person.
      returned: always
      type: int
    evidences:
      description: The first 100 of these.
      returned: always
      type: list
      elements: dict
      contains:
        kind:
          description: Its kind, such as V(container), V(image) or V(file).
          returned: always
          type: str
        name:
          description: Its name.
          returned: always
          type: str
        detail:
          description: The fact that decides about it.
          returned: always
          type: str
        note:
          description: Further facts, such as an age.
          returned: always
          type: str
        is_new:
          description: Whether the run before did not have it.
          returned: always
          type: bool
    excepted_count:
      description: The number of those that an exception of the operator covers.
      returned: always
      type: int
    excepted:
      description:
        - The first 100 of these, as in RV(controls[].evidences), each with C(exception), its reason, and C(until), the
          last day of it, empty without an end.
      returned: always
      type: list
      elements: dict
    digest:
      description: The digest of the evidence. A judgement holds for this one only.
      returned: always
      type: str
    judgement:
      description: The judgement that the status comes from, as in RV(judgements), or none.
      returned: always
      type: dict
    run_id:
      description: The id of the run.
      returned: always
      type: str
    time:
      description: When its result was recorded.
      returned: always
      type: float
benchmarks:
  description: The result of each subject of a host in the newest run that judged it.
  returned: when O(gather) has V(benchmarks)
  type: list
  elements: dict
  contains:
    run_id:
      description: The id of the run.
      returned: always
      type: str
    time:
      description: When its result was recorded.
      returned: always
      type: float
    host:
      description: The inventory name of the host.
      returned: always
      type: str
    capability:
      description: The capability that judged it.
      returned: always
      type: str
    benchmark:
      description: The id of the benchmark.
      returned: always
      type: str
    edition:
      description: The edition of the benchmark.
      returned: always
      type: str
    subject:
      description: The subject that was judged, such as the address of an engine.
      returned: always
      type: str
    statuses:
      description: The number of controls by status.
      returned: always
      type: dict
    weights:
      description:
        - The sum of the weights of their severities by status. Critical weighs 10, high 7, medium 4, low 2 and
          informational 1.
      returned: always
      type: dict
    score:
      description: In percent, each control weighted by its severity.
      returned: always
      type: dict
      contains:
        of_judged:
          description: What passed of all that passed or failed; none where nothing did.
          returned: always
          type: float
        of_applicable:
          description:
            - What passed of all that passed, failed, was excepted, waits for a person or was not checked; none where
              nothing did.
          returned: always
          type: float
benchmark_runs:
  description: The same in each run that was not pruned, the newest first. The fields are those of RV(benchmarks).
  returned: when O(gather) has V(benchmark_runs)
  type: list
  elements: dict
judgements:
  description: People's decisions about controls, the newest first, also those that were taken back or have ended.
  returned: when O(gather) has V(judgements)
  type: list
  elements: dict
  contains:
    host:
      description: The inventory name of the host.
      returned: always
      type: str
    benchmark:
      description: The id of the benchmark.
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
    digest:
      description: The digest of the evidence that it is about.
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
      description: The person who decided.
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
    ended:
      description: When it was taken back or replaced, or none.
      returned: always
      type: float
    ended_by:
      description: The person who did that, or none.
      returned: always
      type: str
    ended_reason:
      description: Why, or none.
      returned: always
      type: str
containers:
  description: The containers of the newest inventory of each host.
  returned: when O(gather) has V(containers)
  type: list
  elements: dict
  contains:
    host:
      description: The inventory name of the host.
      returned: always
      type: str
    capability:
      description: The capability that listed it.
      returned: always
      type: str
    subject:
      description: The engine that has it.
      returned: always
      type: str
    container:
      description: What the capability's module returned of it, with its C(engine).
      returned: always
      type: dict
    run_id:
      description: The id of the run.
      returned: always
      type: str
    time:
      description: When its result was recorded.
      returned: always
      type: float
"""
