#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: findings_report
short_description: Write an HTML report of findings and coverage
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Writes one HTML file from the findings store. It needs no network, no other file and no server. You can mail it, or
    keep it as an artifact of a job.
  - The report begins with the findings that need attention first and what raises the secure score. Then follow the
    score and the severity over time, capabilities and hosts, the coverage with reasons, every finding with its
    evidence, ATT&CK techniques, remediation and history, and the formula of the score. You can filter and search the
    findings, save them as CSV or JSON, and share the address of a filtered view.
  - Each benchmark has a section with its score, the controls to fix first, the changes since the last run, and every
    control with the hosts that it was judged on.
  - A scope that was not checked is never shown as clean, and earns no points in the score.
  - Data from hosts is shown as text only. The file runs only its own script (Content Security Policy).
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
      - A file with the same content, apart from the time of writing, is left unchanged.
  platform:
    support: full
    platforms: posix
options:
  path:
    description:
      - The file to write on the controller. A relative path starts in the current directory of C(ansible-playbook).
      - The file is replaced as a whole or not at all. A missing directory is created with mode C(0700).
      - A symbolic link at this path is replaced, not followed.
    type: str
    required: true
  controls_path:
    description:
      - A CSV file to write on the controller, for auditors, with a row for each host, engine and control of each
        benchmark. The rules of O(path) hold here, too.
      - The format is RFC 4180 in UTF-8, with a header. All cells are quoted. A cell that a spreadsheet would run as a
        formula begins with an apostrophe.
    type: str
  mode:
    description:
      - The permissions of the files, as three octal digits in quotes. By default, only the owner can read the report,
        because it names weaknesses.
    type: raw
    default: "0600"
  title:
    description: The title of the report.
    type: str
    default: Security findings
  hosts:
    description:
      - Report only these hosts, by their names in the inventory. V(*) stands for any text and V(?) for one character.
      - A name that neither the store nor the inventory has is an error, which names similar hosts.
    type: list
    elements: str
    default: []
  capabilities:
    description:
      - Report only these capabilities, such as V(file_integrity).
      - A name that neither the collection nor the store has is an error, which names similar capabilities.
    type: list
    elements: str
    default: []
  statuses:
    description:
      - List only findings with these statuses. Score, counts, coverage and the severity over time still count all.
    type: list
    elements: str
    choices: [new, open, suppressed, resolved]
    default: []
  since:
    description:
      - List only findings that were seen since this time. Score, counts, coverage and the severity over time still
        count all.
      - A date (V(2026-05-31)), a date and time (V(2026-05-31T12:00:00Z)), or a number of minutes, hours, days or weeks
        (V(90m), V(12h), V(30d), V(4w)).
    type: str
  width:
    description: The largest width of the lines in RV(summary) in columns, at least 60.
    type: int
    default: 120
  run:
    description:
      - Id of a run. RV(summary) then has only the hosts and capabilities of this run, and one line about all others in
        the store. The report itself still has everything.
    type: str
notes:
  - A report has up to 100,000 findings, the most severe first, and shows how many it leaves out. Limit it with
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

- name: Fail if a finding of high or critical severity is open
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
    - The benchmarks with results, by their ids. Each has the scores C(of_judged) and C(of_applicable) from 0 to 100 or
      V(null), the number of judged C(engines), and C(by_status), the number of results with each status.
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
  description: The secure score; V(null) if nothing was recorded yet.
  type: dict
  returned: success
  contains:
    score:
      description: From 0 to 100. The report has the formula.
      type: float
      returned: success
    lost_to_findings:
      description: The points that active findings cost.
      type: float
      returned: success
    lost_to_coverage:
      description: The points that missing coverage costs.
      type: float
      returned: success
    controls:
      description: The number of controls, each one capability on one host. The score is their mean.
      type: int
      returned: success
counts:
  description:
    - Numbers for the whole store, unless the report is limited. For the hosts of one run see
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
      description: New and open findings, by severity.
      type: dict
      returned: success
    open_at_least:
      description: For each severity, the number of new and open findings with it or a higher one.
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
      description: The number of capabilities on hosts that were checked only in part or not at all.
      type: int
      returned: success
summary:
  description:
    - The findings and the coverage as lines of plain text, for a terminal or a job's log. Active findings come first,
      the most severe ones before the others, then the coverage, and last what was not checked and why.
  type: list
  elements: str
  returned: success
"""
