#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: findings_report
short_description: Write an HTML report of what was found and what was checked
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Writes one HTML file from the findings store. It needs no network, no other file and no server, and can be mailed or
    kept as a job's artifact.
  - The report shows what needs attention first, then the severity over time, capabilities and hosts, the coverage with
    what was not checked and why, every finding with its evidence, ATT&CK techniques, remediation and history, and the
    secure score with how it is computed. Findings can be filtered and searched; the address of a filtered view can be
    shared.
  - Each benchmark has a section with its score, what to do first, what changed since the last run, and every control
    with the hosts that it was judged on.
  - What was not checked is never shown as clean, and earns nothing in the score.
  - What came from hosts is shown as text only. The file allows no script but its own (Content Security Policy).
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
    details:
      - A file that says the same, apart from when it was written, is left as it is.
  platform:
    support: full
    platforms: posix
options:
  path:
    description:
      - The file to write on the controller. A relative path starts in the directory that C(ansible-playbook) is run in.
      - It is replaced as a whole or not at all. A directory that is missing is created with mode C(0700).
      - A symbolic link in its place is replaced, not followed.
    type: str
    required: true
  controls_path:
    description:
      - A CSV file to write on the controller, for auditors, with a row for each host, engine and control of each
        benchmark. The same rules as for O(path) hold.
      - It is in UTF-8 as RFC 4180 describes it, with a header. All cells are quoted. A cell that a spreadsheet would
        take for a formula has an apostrophe before it.
    type: str
  mode:
    description:
      - The permissions of the files, as three octal digits in quotes. A report names weaknesses, so others may not read
        it unless you say so.
    type: raw
    default: "0600"
  title:
    description: What the report is called.
    type: str
    default: Security findings
  hosts:
    description:
      - Report these hosts only, by their names in the inventory. V(*) stands for any text and V(?) for one character.
    type: list
    elements: str
    default: []
  capabilities:
    description: Report these capabilities only, as in V(file_integrity).
    type: list
    elements: str
    default: []
  statuses:
    description:
      - List findings with these statuses only. Score, counts, coverage and the severity over time still count all.
    type: list
    elements: str
    choices: [new, open, suppressed, resolved]
    default: []
  since:
    description:
      - List findings that were seen since this time only. Score, counts, coverage and the severity over time still
        count all.
      - A date (V(2026-05-31)), a date and time (V(2026-05-31T12:00:00Z)), or a number of minutes, hours, days or weeks
        (V(90m), V(12h), V(30d), V(4w)).
    type: str
  width:
    description: How many columns the lines of RV(summary) may have, at least 60.
    type: int
    default: 120
  run:
    description:
      - Id of a run. RV(summary) is then about the hosts and capabilities of this run, and one line of it says what else
        the store has. The report itself has everything all the same.
    type: str
notes:
  - A file holds up to 100,000 findings, the most severe first, and says how many it leaves out. Narrow it with
    O(hosts), O(capabilities), O(statuses) and O(since), or read all with M(bulwark.servers.findings_info).
seealso:
  - module: bulwark.servers.findings_info
  - plugin: bulwark.servers.findings_table
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Write the report
  bulwark.servers.findings_report:
    path: bulwark-report.html
  run_once: true
  register: report

- name: Show the findings in the job's log
  ansible.builtin.debug:
    msg: "{{ report.summary }}"
  run_once: true

- name: Write a report of the web servers that others may read
  bulwark.servers.findings_report:
    path: /var/www/reports/web.html
    mode: "0644"
    title: Web servers
    hosts: ["web*"]
  run_once: true

- name: Write the report, and every result of every control for auditors
  bulwark.servers.findings_report:
    path: bulwark-report.html
    controls_path: bulwark-controls.csv
  run_once: true

- name: Fail when something serious is open
  ansible.builtin.assert:
    that: report.counts.open_at_least.high == 0
  run_once: true
"""

RETURN = r"""
path:
  description: The file, as an absolute path.
  type: str
  returned: success
  sample: /home/alice/bulwark-report.html
controls_path:
  description: The file of the controls, as an absolute path; V(null) if none was asked for.
  type: str
  returned: success
benchmarks:
  description:
    - The benchmarks that anything was judged by, by their ids. Each has C(of_judged) and C(of_applicable), scores from
      0 to 100 or V(null), C(engines), how many were judged, and C(by_status), how many results have each status.
  type: dict
  returned: success
  sample:
    cis_docker:
      of_judged: 71.4
      of_applicable: 55.2
      engines: 14
      by_status:
        failed: 214
        manual: 98
        not_checked: 6
        excepted: 3
        passed: 870
        not_applicable: 461
score:
  description: The secure score; V(null) when nothing has been recorded.
  type: dict
  returned: success
  contains:
    score:
      description: From 0 to 100. The report says how it is computed.
      type: float
      returned: success
    lost_to_findings:
      description: What is missing from 100 because of active findings.
      type: float
      returned: success
    lost_to_coverage:
      description: What is missing from 100 because it was not checked.
      type: float
      returned: success
    controls:
      description: Of how many controls, each one capability on one host, the score is the mean.
      type: int
      returned: success
counts:
  description:
    - How much there is of what, in the whole store unless the report is narrowed. For the hosts of one run see
      RV(bulwark.servers.findings_run#module:counts).
  type: dict
  returned: success
  contains:
    total:
      description: All findings of the report's hosts and capabilities.
      type: int
      returned: success
    by_status:
      description: Findings by status.
      type: dict
      returned: success
    open_by_severity:
      description: Findings that are new or open, by severity.
      type: dict
      returned: success
    open_at_least:
      description: For each severity, how many findings that are new or open have it or a higher one.
      type: dict
      returned: success
      sample:
        critical: 1
        high: 3
        medium: 9
        low: 20
        informational: 24
    hosts:
      description: Hosts in the report.
      type: int
      returned: success
    not_fully_checked:
      description: How many capabilities on hosts were checked only in part or not at all.
      type: int
      returned: success
summary:
  description:
    - The findings and the coverage as lines of plain text, for a terminal or a job's log. Active findings with the most
      severe first, then coverage with reasons, and last what was not checked.
  type: list
  elements: str
  returned: success
"""
