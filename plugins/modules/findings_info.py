#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: findings_info
short_description: Query the findings store
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Returns findings, their numbers and history, the coverage of runs, and everything else that the store has.
  - Options that you leave out limit nothing. In O(hosts), O(alerts) and O(subjects), C(*) stands for any text and C(?)
    for one character.
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
      - The parts to return in addition to RV(counts).
      - V(explanations) are changes that are no findings, because a package explains them.
      - V(suppressions) are decisions about future findings.
      - V(seals) are changes of baselines, with who accepted them, when and why.
      - V(controls) are the newest results of the controls of benchmarks. V(benchmarks) is the newest score of each
        subject of a host, V(benchmark_runs) that of each run.
      - V(judgements) are the decisions of people about controls.
      - V(containers) is the newest inventory of containers.
      - V(shared_observables) are the paths, digests, addresses, names and keys of the findings that findings on other
        hosts have, too.
      - V(simulations) are the attacks that were simulated on hosts.
      - V(investigations) are the investigations of the findings in O(uids), or of the hosts in O(hosts).
        V(investigation_queries) are the same investigations as events of OCSF.
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
      - shared_observables
      - simulations
      - investigations
      - investigation_queries
    default: [findings]
  hosts:
    description:
      - Inventory names of hosts. A host that neither the store nor the inventory has is an error, which names similar
        hosts.
    type: list
    elements: str
    default: []
  capabilities:
    description:
      - Names of capabilities. A name that neither the collection nor the store has is an error, which names similar
        capabilities.
    type: list
    elements: str
    default: []
  alerts:
    description:
      - Ids of alerts. An id or pattern that matches no alert of the collection or the store is an error, which names
        similar alerts.
    type: list
    elements: str
    default: []
  subjects:
    description:
      - Subjects of findings and controls, such as paths, and the engines of containers. If no finding has the subject,
        but one has a similar one, that is an error, which names the similar one.
    type: list
    elements: str
    default: []
  uids:
    description: Uids of findings, or at least their first 8 characters. An unknown uid is an error.
    type: list
    elements: str
    default: []
  statuses:
    description: Current statuses of findings.
    type: list
    elements: str
    choices: [new, open, suppressed, resolved]
    default: []
  severity:
    description: The lowest severity.
    type: str
    choices: [informational, low, medium, high, critical]
  simulated:
    description:
      - With V(true), only findings of simulated attacks, with V(false), only real ones. By default both; simulated ones
        count only in RV(counts.simulated).
    type: bool
  since:
    description:
      - Only findings that a run saw at or after this time. For RV(history), RV(seals) and RV(benchmark_runs), only
        entries of this time or later.
      - A number of minutes, hours, days or weeks ago (V(90m), V(12h), V(30d), V(4w)), a date, or a date and time
        (V(2026-05-31), V(2026-05-31T12:00:00Z)). Without an offset it is UTC.
    type: str
  until:
    description:
      - Only findings that a run saw at or before this time, written as in O(since). For RV(history), RV(seals) and
        RV(benchmark_runs), only entries of this time or earlier.
    type: str
  limit:
    description:
      - The largest number of findings, runs, controls, judgements, containers, and entries of RV(history), RV(seals),
        RV(benchmarks) and RV(benchmark_runs) to return. V(0) returns all.
    type: int
    default: 1000
  offset:
    description: The number of entries to skip at the beginning of each list that O(limit) limits, except runs.
    type: int
    default: 0
  run:
    description:
      - Id of a run. Limits RV(runs) and RV(coverage) to this run. By default the newest coverage of each host is
        returned.
      - Also limits RV(explanations) and RV(benchmark_runs), which by default have all runs.
      - A run that the store does not have is an error.
    type: str
  observables:
    description:
      - Only findings that have one of these values, on any host. A value is a file path, a digest, an address, a
        domain, a URL, an account, the name of a process or a key. Write it in full.
      - A value that nearly every host has, such as V(root) or V(/bin/bash), is refused.
    type: list
    elements: str
    default: []
  related_to:
    description:
      - Only findings on any host that share a value with one of the findings with these uids. These findings themselves
        are left out.
      - Digests, addresses, domains, URLs and keys relate any number of findings. Paths, accounts and names of processes
        relate them if at most 20 hosts have them.
    type: list
    elements: str
    default: []
  explained_by:
    description:
      - Only RV(explanations) by these packages, such as V(openssh-server *). C(*) stands for any text and C(?) for one
        character.
    type: list
    elements: str
    default: []
  benchmarks:
    description:
      - Ids of benchmarks, such as V(cis_docker). Limits RV(controls), RV(benchmarks), RV(benchmark_runs) and
        RV(judgements). An unknown benchmark is an error.
    type: list
    elements: str
    default: []
  controls:
    description:
      - Only these RV(controls), by their number in the edition (V(5.10)) or their id. C(*) stands for any text and C(?)
        for one character. Write numbers in quotes.
      - A value that matches no control of the collection is an error, which names similar controls.
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
- name: Ask for open findings of high and critical severity
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

- name: Ask for all findings
  bulwark.servers.findings_info:
    limit: 0
  run_once: true
  register: all
  no_log: true # or -v shows each of them

- name: Export them as OCSF events, one on a line
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

- name: Ask which other hosts share a value with a finding
  bulwark.servers.findings_info:
    gather: [shared_observables]
    uids: ["{{ uid }}"]
  run_once: true
  register: elsewhere

- name: Ask for all findings on any host with the same digest, address or rare path as a finding
  bulwark.servers.findings_info:
    related_to: ["{{ uid }}"]
  run_once: true
  register: related

- name: Ask for all findings with a digest
  bulwark.servers.findings_info:
    observables: ["{{ sha256 }}"]
    limit: 0
  run_once: true

- name: Ask for the containers of the whole fleet
  bulwark.servers.findings_info:
    gather: [containers]
    limit: 0
  run_once: true
  register: inventory
"""

RETURN = r"""
counts:
  description: The numbers of matching findings, whatever O(limit) and O(offset) are.
  returned: always
  type: dict
  contains:
    total:
      description: All of them.
      returned: always
      type: int
    by_status:
      description: The number of findings with each status.
      returned: always
      type: dict
    open_by_severity:
      description: The number of new and open findings with each severity.
      returned: always
      type: dict
    simulated:
      description: The number of findings of simulated attacks, which no other number includes.
      returned: always
      type: int
  sample:
    total: 3
    by_status: {new: 1, open: 1, resolved: 1, suppressed: 0}
    open_by_severity: {informational: 0, low: 0, medium: 1, high: 1, critical: 0}
    simulated: 0
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
      description: V(state) if a scan resolves it when it is gone, V(event) if a person resolves it.
      returned: always
      type: str
    scope:
      description: Its coverage scope.
      returned: always
      type: str
    subject:
      description: Its subject.
      returned: always
      type: str
    severity:
      description: Its severity.
      returned: always
      type: str
    status:
      description: Its status now, V(new), V(open), V(resolved) or V(suppressed).
      returned: always
      type: str
    status_since:
      description: The time since which it has this status.
      returned: always
      type: float
    status_by:
      description: The person who set this status, or who accepted the change; none if a run set it.
      returned: always
      type: str
    status_reason:
      description: The reason.
      returned: always
      type: str
    suppressed_until:
      description: The end of its suppression; none without one.
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
      description: The number of runs that saw it.
      returned: always
      type: int
    reopened:
      description: How often it came back after it was resolved.
      returned: always
      type: int
    simulation:
      description: The id of the simulation that caused all of it; none for a real finding.
      returned: always
      type: str
    changes:
      description:
        - The ids of the changed files that this finding shows, for
          O(bulwark.servers.file_integrity#module:accept). Each id accepts exactly the state that the finding shows.
          Empty for other findings.
      returned: always
      type: list
      elements: str
    state:
      description: A digest of RV(findings[].changes), empty without any. It differs as soon as they do.
      returned: always
      type: str
      sample: 6c4e0bd38a11
    actions:
      description:
        - The commands for this finding, safe to paste into a shell. Each has C(name), C(title) and C(command).
        - Replace C(WHY) by your reason.
      returned: always
      type: list
      elements: dict
      sample:
        - name: suppress
          title: Hide it for a while
          command: >-
            ansible-playbook bulwark.servers.suppress -e bulwark_findings=1baa9c6d-8c0d-5266-82e5-3b4190cdcbeb
            -e bulwark_until=30d -e bulwark_reason=WHY
    event:
      description:
        - The finding as an event of the Open Cybersecurity Schema Framework 1.5.0, a Detection Finding, Compliance
          Finding or Vulnerability Finding (U(https://schema.ocsf.io/1.5.0/categories/findings)).
        - C(status_id) is 1 (New) until a person decides about it, even if later runs see it again. C(activity_id) and
          C(unmapped.status) distinguish new findings from those that were seen again.
      returned: always
      type: dict
coverage:
  description: The coverage of each capability on each host.
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
      description: The same for each scope, with reasons; see O(bulwark.servers.findings_record#module:coverage).
      returned: always
      type: list
      elements: dict
    recorded:
      description: When the result was recorded, or none if no result arrived.
      returned: always
      type: float
    started:
      description: When the run was opened.
      returned: always
      type: float
    last_checked:
      description: When any run last checked a part of it; none if no run ever did.
      returned: always
      type: float
explanations:
  description:
    - Explanations of changes that are therefore no findings, the newest first. Pruning removes them with their
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
      description: The scope of the changes.
      returned: always
      type: str
    explained_by:
      description: The explanation, such as a package with its version.
      returned: always
      type: str
    count:
      description: The number of changes.
      returned: always
      type: int
    examples:
      description: The first changes.
      returned: always
      type: list
      elements: str
runs:
  description: The runs, the newest first, as in RV(bulwark.servers.findings_run#module:run).
  returned: when O(gather) has V(runs)
  type: list
  elements: dict
history:
  description: The history of the findings, the newest entry first.
  returned: when O(gather) has V(history)
  type: list
  elements: dict
  contains:
    time:
      description: When it happened.
      returned: always
      type: float
    uid:
      description: The uid of the finding.
      returned: always
      type: str
    host:
      description: The host of the finding.
      returned: always
      type: str
    action:
      description: V(new), V(resolved), V(reopened), V(suppressed), V(unsuppressed) or V(severity_changed).
      returned: always
      type: str
    before:
      description: Its severity before, or none if it was not open.
      returned: always
      type: str
    after:
      description: Its severity afterwards, or none if it is not open.
      returned: always
      type: str
    actor:
      description: The person who did it, or none if a run did it.
      returned: always
      type: str
    reason:
      description: The reason.
      returned: always
      type: str
    run_id:
      description: The run that did it.
      returned: always
      type: str
seals:
  description: The history of the baselines' seals, the newest entry first.
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
        - V(proposed) before a new baseline was put in place, V(confirmed) afterwards, V(removed) with the
          baseline or its host.
      returned: always
      type: str
    digest:
      description: The SHA-256 digest of the baseline.
      returned: always
      type: str
    actor:
      description: The person who did it.
      returned: always
      type: str
    reason:
      description: The reason.
      returned: always
      type: str
    accepted:
      description:
        - With V(confirmed), the changes that came into the baseline because they were accepted; none if nothing was,
          or where it is not known.
      returned: always
      type: dict
      contains:
        capability:
          description: The capability that has the baseline.
          returned: always
          type: str
        count:
          description: The number of accepted changes.
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
              description: The subject of the change, which is the RV(findings[].subject) of findings about it.
              returned: always
              type: str
            kind:
              description: The kind of change, such as V(modified).
              returned: always
              type: str
        is_complete:
          description: Whether RV(seals[].accepted.changes) has all changes that no package explains.
          returned: always
          type: bool
suppressions:
  description: Decisions about future findings, including those that ended.
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
      description: The reason.
      returned: always
      type: str
    actor:
      description: The person who decided.
      returned: always
      type: str
    created:
      description: The time of the decision.
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
      description: The question for a person, if the control is V(manual).
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
      description: The time since which it has its status.
      returned: always
      type: float
    severity:
      description: The severity of a failure.
      returned: always
      type: str
    reason:
      description: The reason for this status.
      returned: always
      type: str
    examined:
      description: The number of examined items.
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
          description: The fact that decides.
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
      description: The number of items that your exceptions cover.
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
      description: The judgement that set the status, as in RV(judgements), or none.
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
        - The sum of the weights of controls by status. Critical weighs 10, high 7, medium 4, low 2 and
          informational 1.
      returned: always
      type: dict
    score:
      description: In percent, each control weighted by its severity.
      returned: always
      type: dict
      contains:
        of_judged:
          description: The share of passed controls in those that passed or failed; none if there are none of these.
          returned: always
          type: float
        of_applicable:
          description:
            - The share of passed controls in those that passed, failed, are excepted, manual or not checked; none if
              there are none of these.
          returned: always
          type: float
benchmark_runs:
  description: The same in each run that was not pruned, the newest first. The fields are those of RV(benchmarks).
  returned: when O(gather) has V(benchmark_runs)
  type: list
  elements: dict
judgements:
  description: Decisions of people about controls, the newest first, including those that were taken back or have ended.
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
      description: The digest of the judged evidence.
      returned: always
      type: str
    verdict:
      description: V(passed), V(failed) or V(not_applicable).
      returned: always
      type: str
    reason:
      description: The reason.
      returned: always
      type: str
    actor:
      description: The person who decided.
      returned: always
      type: str
    created:
      description: The time of the decision.
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
simulations:
  description: The simulated attacks, the newest first. Times are seconds since the epoch.
  returned: when O(gather) has V(simulations)
  type: list
  elements: dict
  contains:
    id:
      description: The id.
      returned: always
      type: str
    host:
      description: The inventory name of the host.
      returned: always
      type: str
    started:
      description: When it began.
      returned: always
      type: float
    ended:
      description: When it ended; none for one that was cut off.
      returned: always
      type: float
    by:
      description: Who simulated.
      returned: always
      type: str
    alerts:
      description: The ids of the alerts that were simulated.
      returned: always
      type: list
      elements: str
    findings:
      description: How many findings in the store are of it.
      returned: always
      type: int
shared_observables:
  description:
    - The values of the findings that findings on other hosts show, too, in the order of RV(findings).
    - Values that nearly every host has are left out, and so are paths, accounts and names of processes that more than
      20 hosts have.
  returned: when O(gather) has V(shared_observables)
  type: list
  elements: dict
  contains:
    uid:
      description: The uid of the finding.
      returned: always
      type: str
    host:
      description: The inventory name of its host.
      returned: always
      type: str
    name:
      description: The path of the attribute in its event.
      returned: always
      type: str
    type:
      description: The type of the value, as in OCSF.
      returned: always
      type: str
    value:
      description: The value.
      returned: always
      type: str
    hosts:
      description: The first 20 other hosts, by name.
      returned: always
      type: list
      elements: str
    host_count:
      description: The number of all other hosts.
      returned: always
      type: int
    finding_count:
      description: The number of findings with it on all hosts, whatever their status.
      returned: always
      type: int
  sample:
    - uid: 10b77f49-e120-54b4-a50e-bb2356ecb9ba
      host: web03
      name: evidences[0].file.hashes[0].value
      type: Hash
      value: 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
      hosts: [web07]
      host_count: 1
      finding_count: 2
investigation_queries:
  description:
    - The results of investigations as events of OCSF 1.5.0, as in C(queries) of M(bulwark.servers.investigation_info).
  returned: when O(gather) has V(investigation_queries)
  type: list
  elements: dict
investigations:
  description: Investigations, the newest first. The newest five of each finding are in the store.
  returned: when O(gather) has V(investigations)
  type: list
  elements: dict
  contains:
    id:
      description: Its id.
      returned: always
      type: str
    host:
      description: The inventory name of the host.
      returned: always
      type: str
    finding:
      description: The uid of the finding that it started from; empty without one.
      returned: always
      type: str
    subject:
      description: Its starting point.
      returned: always
      type: str
    run_id:
      description: The id of the run, or none.
      returned: always
      type: str
    at:
      description: When it was recorded.
      returned: always
      type: float
    by:
      description: The person who asked for it.
      returned: always
      type: str
    summary:
      description: The summary in sentences.
      returned: always
      type: str
    result:
      description: Its result, as M(bulwark.servers.investigation_info) returns it.
      returned: always
      type: dict
"""
