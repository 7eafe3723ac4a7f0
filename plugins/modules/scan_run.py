#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: scan_run
short_description: Open a scan of a fleet in one task, and close it in another
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Combines M(bulwark.servers.findings_run), M(bulwark.servers.findings_export) and M(bulwark.servers.findings_report).
    The playbook C(bulwark.servers.scan) uses it before and after M(bulwark.servers.host_scan), so that its output is
    short.
extends_documentation_fragment:
  - bulwark.servers.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - Only the store and the report change.
  idempotent:
    support: none
    details:
      - Each call opens a new run.
  platform:
    support: full
    platforms: posix
options:
  state:
    description:
      - V(opened) registers the destinations of the export and opens a run for all hosts of the play.
      - V(closed) closes the run, exports the changes and writes the report. If the export fails, the task warns, and
        the changes wait for the next export. In check mode no report is written.
    type: str
    choices: [opened, closed]
    required: true
  store:
    description:
      - The findings store, as a URL of SQLAlchemy. By default the one that all modules of the collection use.
    type: str
  run:
    description: Id of the run. Required with O(state=closed).
    type: str
  capabilities:
    description: The capabilities of the run. By default all capabilities of the collection.
    type: list
    elements: str
  report_path:
    description: The HTML report. O(state=opened) checks that it can be written.
    type: str
    required: true
  controls_path:
    description: A CSV file with every result of the controls of each benchmark.
    type: str
  width:
    description: Columns of the lines in RV(summary).
    type: int
  reasons:
    description: The reasons why hosts returned no result, by host.
    type: dict
    default: {}
  misconfigured:
    description: Errors in the variables of hosts, as lists of sentences by host.
    type: dict
    default: {}
  destinations:
    description: Destinations of the export, as M(bulwark.servers.findings_export) takes them.
    type: raw
  time_limit:
    description: Seconds for sending.
    type: int
  behind_after:
    description: How long changes may wait before an alert is raised about that, such as V(1d).
    type: str
seealso:
  - module: bulwark.servers.findings_run
  - module: bulwark.servers.findings_export
  - module: bulwark.servers.findings_report
"""

EXAMPLES = r"""
- name: Open the run
  bulwark.servers.scan_run:
    state: opened
    report_path: report.html
  run_once: true
  register: opened

- name: Close the run
  bulwark.servers.scan_run:
    state: closed
    run: "{{ opened.run.id }}"
    report_path: report.html
  run_once: true
"""

RETURN = r"""
run:
  description: The run, as M(bulwark.servers.findings_run) returns it.
  type: dict
  returned: always
capabilities:
  description: The capabilities of the run.
  type: list
  elements: str
  returned: with O(state=opened)
counts:
  description: The numbers by which a job can fail, as M(bulwark.servers.findings_run) returns them.
  type: dict
  returned: with O(state=closed), and not in check mode
summary:
  description: The findings and the coverage as lines of text, as M(bulwark.servers.findings_report) returns them.
  type: list
  elements: str
  returned: with O(state=closed), and not in check mode
export:
  description: A line for each destination of the export.
  type: list
  elements: str
  returned: with O(state=closed)
misconfigured:
  description: Errors in variables. Hosts with the same errors share a line.
  type: list
  elements: str
  returned: with O(state=closed)
path:
  description: The report.
  type: str
  returned: with O(state=closed), and not in check mode
"""
