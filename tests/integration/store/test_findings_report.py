# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report and the table as playbooks of several ansible-core releases use them, on a store with hostile names."""

from __future__ import annotations

import contextlib
import csv
import json
import pathlib
import stat
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import not_checked
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.support.controllers import controller
from tests.unit.plugins.plugin_utils.report import stored
from tests.unit.plugins.plugin_utils.store import benchmarks

VERSIONS = ["2.18", "2.21"]
TEMPLATE = "/etc/{{ lookup('pipe', 'id') }}"
MARKUP = "/usr/bin/<script>alert(1)</script>"

# set_fact templates what it is given, and the last task what set_fact kept: a name must come through as it is.
PLAYBOOK = """
- name: Report
  hosts: localhost
  gather_facts: false
  module_defaults:
    group/bulwark.servers.findings:
      store: "{{ store }}"
  tasks:
    - name: Say what would be written
      bulwark.servers.findings_report:
        path: "{{ folder }}/new/report.html"
      check_mode: true
      register: checked
    - name: Look for it
      ansible.builtin.stat:
        path: "{{ folder }}/new"
      register: left
    - name: Write it
      bulwark.servers.findings_report:
        path: "{{ folder }}/new/report.html"
        width: 160
      register: written
    - name: Write it again
      bulwark.servers.findings_report:
        path: "{{ folder }}/new/report.html"
        width: 160
      register: again
    - name: Write it for others
      bulwark.servers.findings_report:
        path: "{{ folder }}/new/report.html"
        mode: "0644"
        title: Others
        hosts: ["db*"]
        statuses: [resolved]
        since: 2d
        width: 60
      register: narrowed
    - name: Ask the store
      bulwark.servers.findings_info:
        gather: [findings, coverage]
      register: stored
    - name: Keep the lines
      ansible.builtin.set_fact:
        lines: "{{ stored.findings | bulwark.servers.findings_table(stored.coverage, width=160) }}"
        summary: "{{ written.summary }}"
    - name: Write down what came back
      ansible.builtin.copy:
        content: "{{ {'checked': checked, 'left': left.stat.exists, 'written': written, 'again': again,
          'narrowed': narrowed, 'lines': lines, 'kept': summary} | to_json }}"
        dest: "{{ folder }}/answers.json"
        mode: "0600"
"""

CONTROLS = """
- name: Report
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Write the report and the controls
      bulwark.servers.findings_report: "{{ options }}"
      register: written
    - name: Write them again
      bulwark.servers.findings_report: "{{ options }}"
      register: again
    - name: Write down what came back
      ansible.builtin.copy:
        content: "{{ {'written': written, 'again': again} | to_json }}"
        dest: "{{ folder }}/answers.json"
        mode: "0600"
"""

REFUSED = """
- name: Report
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Write it
      bulwark.servers.findings_report: "{{ item }}"
      loop: "{{ wrong }}"
      ignore_errors: true
      register: refused
    - name: Write down what came back
      ansible.builtin.copy:
        content: "{{ refused.results | to_json }}"
        dest: "{{ folder }}/answers.json"
        mode: "0600"
"""


@pytest.fixture
def url(tmp_path: pathlib.Path) -> str:
    url = f"sqlite:///{tmp_path}/findings.db"
    dark = not_checked("ssh", "No root.")
    with contextlib.closing(Store.open(url)) as store:
        for host in ("web1", "db1"):
            changed, replaced = stored.event(host, TEMPLATE, alert="file_modified"), stored.event(host, MARKUP)
            stored.record(store, host, [changed], 1)
            stored.record(store, host, [changed, replaced], 2, [stored.checked(), dark])
        stored.record(store, "db1", [stored.event("db1", MARKUP)], 3)
    return url


@pytest.mark.parametrize("version", VERSIONS)
def test_a_playbook_writes_a_report_once_and_shows_names_as_they_are(
    version: str, url: str, tmp_path: pathlib.Path
) -> None:
    playbook = tmp_path / "report.yml"
    playbook.write_text(PLAYBOOK)
    controller(version).run_playbook(playbook, extra_vars={"store": url, "folder": str(tmp_path)})
    answers: dict[str, t.Any] = json.loads((tmp_path / "answers.json").read_text())
    written, report = answers["written"], tmp_path / "new" / "report.html"
    assert (answers["checked"]["changed"], answers["left"]) == (True, False)
    assert (written["changed"], written["path"], answers["again"]["changed"]) == (True, str(report), False)
    assert stat.S_IMODE(report.stat().st_mode) == 0o644
    assert written["counts"]["by_status"] == {"new": 1, "open": 2, "suppressed": 0, "resolved": 1}
    assert written["counts"]["open_at_least"] == {"critical": 2, "high": 2, "medium": 3, "low": 3, "informational": 3}
    assert written["score"] == {"score": 0, "lost_to_findings": 75, "lost_to_coverage": 25, "controls": 2}
    for lines in (written["summary"], answers["kept"], answers["lines"]):
        assert any(line.endswith(TEMPLATE) for line in lines)
        assert any(line.endswith(MARKUP) for line in lines)
    assert answers["kept"] == written["summary"]
    narrowed = answers["narrowed"]["summary"]
    assert "Limited to hosts: db*, statuses: resolved, since: " in " ".join(narrowed)
    assert "1 active finding not listed here." in narrowed
    assert not any("Nothing was found" in line for line in narrowed)
    assert max(map(len, narrowed)) <= 60


def test_a_playbook_writes_the_controls_for_auditors(tmp_path: pathlib.Path) -> None:
    url = f"sqlite:///{tmp_path}/findings.db"
    with contextlib.closing(Store.open(url)) as store:
        formula = benchmarks.control(items=("=1+1", TEMPLATE), reason="=cmd|' /C calc'!A0")
        benchmarks.record(store, 4, formula, benchmarks.manual())
    playbook, table = tmp_path / "report.yml", tmp_path / "controls.csv"
    playbook.write_text(CONTROLS)
    options = {"store": url, "path": str(tmp_path / "report.html"), "controls_path": str(table)}
    controller("2.21").run_playbook(playbook, extra_vars={"options": options, "folder": str(tmp_path)})
    answers: dict[str, t.Any] = json.loads((tmp_path / "answers.json").read_text())
    written = answers["written"]
    assert (written["changed"], answers["again"]["changed"], written["controls_path"]) == (True, False, str(table))
    statuses = {"failed": 1, "manual": 1, "not_checked": 0, "excepted": 0, "passed": 0, "not_applicable": 0}
    scores = {"of_judged": 0, "of_applicable": 0, "engines": 1}
    assert written["benchmarks"] == {"cis_docker": {**scores, "by_status": statuses}}
    assert (written["score"]["score"], written["score"]["lost_to_findings"]) == (0, 100)
    assert stat.S_IMODE(table.stat().st_mode) == 0o600
    with table.open(encoding="utf-8", newline="") as file:
        _manual, failed = csv.DictReader(file)
    assert (failed["host"], failed["number"], failed["reason"]) == ("web1", "5.10", "'=cmd|' /C calc'!A0")
    assert failed["evidence"] == f"container {TEMPLATE} network host | container =1+1 network host"


_WRONG: list[tuple[dict[str, t.Any], str]] = [
    ({"path": "/dev/null"}, "/dev/null is not a file; give the path of one that is to be written"),
    ({"path": "/dev/null/report.html"}, "the report cannot be written to /dev/null/report.html: Not a directory"),
    ({"path": "x", "controls_path": "./x"}, "controls_path is the report's own path"),
    ({"path": "x", "mode": "u=rw"}, "mode 'u=rw' is not a file mode: write three octal digits in quotes"),
    ({"path": "x", "since": "yesterday"}, "'yesterday' is not a time"),
    ({"path": "x", "statuses": ["lost"]}, "value of statuses must be one or more of: new, open, suppressed"),
    ({}, "missing required arguments: path"),
    ({"path": "x", "store": "sqlite://"}, "names no file"),
]


def test_what_cannot_be_done_is_said(url: str, tmp_path: pathlib.Path) -> None:
    playbook = tmp_path / "report.yml"
    playbook.write_text(REFUSED)
    wrong = [{"store": url, **options} for options, _message in _WRONG]
    controller("2.21").run_playbook(playbook, extra_vars={"wrong": wrong, "folder": str(tmp_path)})
    answers = json.loads((tmp_path / "answers.json").read_text())
    for (options, message), answer in zip(_WRONG, answers, strict=True):
        assert answer["failed"], options
        assert message in answer["msg"], options
