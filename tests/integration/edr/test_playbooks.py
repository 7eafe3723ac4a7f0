# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts of a manager and of exported files, recorded for the hosts of an inventory by real playbooks."""

from __future__ import annotations

import contextlib
import json
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding, Query, Store

from tests.support.controllers import Controller
from tests.unit.plugins.module_utils.edr.alerts.test_forms import WAZUH
from tests.unit.plugins.plugin_utils.edr.test_imports import CARBON, GRAPH, MDE

_LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}


@pytest.fixture
def inventory(tmp_path: pathlib.Path) -> pathlib.Path:
    hosts = {
        "localhost": _LOCAL,
        "wazuh1": _LOCAL,
        "web1": {"ansible_host": "192.0.2.10", "edr_ids": ["M" * 40]},
        "db2.example.com": {"ansible_host": "192.0.2.20"},
    }
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    return path


@pytest.fixture
def ansible(controller: t.Callable[[str], Controller]) -> Controller:
    return controller("2.21")


def url(tmp_path: pathlib.Path) -> str:
    return f"sqlite:///{tmp_path}/findings.db"


def findings(tmp_path: pathlib.Path) -> dict[tuple[str, str], Finding]:
    with contextlib.closing(Store.open(url(tmp_path))) as store:
        return {(each.host, each.subject): each for each in store.query(Query())}


def export(tmp_path: pathlib.Path, name: str, *records: t.Any) -> pathlib.Path:
    path = tmp_path / name
    path.write_text(json.dumps(list(records)), encoding="utf-8")
    return path


def do_import(
    ansible: Controller,
    inventory: pathlib.Path,
    tmp_path: pathlib.Path,
    *arguments: str,
    check: bool = True,
    **given: t.Any,
) -> str:
    variables = {"bulwark_store": url(tmp_path), **{f"edr_import_{name}": value for name, value in given.items()}}
    done = ansible.run_playbook(
        "bulwark.servers.edr_import", *arguments, inventory=inventory, extra_vars=variables, check=check
    )
    return done.stdout


def test_exported_alerts_become_findings_of_the_inventory(
    ansible: Controller, inventory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    stranger = {**MDE, "id": "da9", "machineId": "f" * 40, "computerDnsName": "laptop7"}
    path = export(tmp_path, "alerts.json", MDE, GRAPH, stranger)
    do_import(ansible, inventory, tmp_path, "--check", product="microsoft_defender", files=str(path))
    assert not (tmp_path / "findings.db").exists()
    said = do_import(ansible, inventory, tmp_path, product="microsoft_defender", files=[str(path)])
    found = findings(tmp_path)
    name = "Microsoft Defender for Endpoint (imported)"
    assert set(found) == {
        ("web1", f"{name}: Suspicious file: /tmp/x by /usr/bin/curl"),
        ("web1", f"{name}: Malware was prevented: /tmp/x"),
    }
    assert "The inventory does not have the hosts of 1 alert." in said
    assert "laptop7" in said
    prevented = found["web1", f"{name}: Malware was prevented: /tmp/x"]
    assert (prevented.severity, prevented.event["disposition"]) == ("low", "Blocked")
    assert prevented.event["finding_info"]["src_url"] == GRAPH["alertWebUrl"]
    # The same file again, and one in which an alert is closed.
    do_import(ansible, inventory, tmp_path, product="microsoft_defender", files=[str(path)])
    assert {finding.count for finding in findings(tmp_path).values()} == {2}
    closed = export(tmp_path, "closed.json", {**MDE, "status": "Resolved"})
    do_import(ansible, inventory, tmp_path, product="microsoft_defender", files=[str(closed)])
    assert sorted(finding.status for finding in findings(tmp_path).values()) == ["open", "resolved"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"product": "microsoft_defender", "files": ["/nowhere.json"]},
            "files: '/nowhere.json' is not a file on the controller",
        ),
        ({"product": "csv", "files": ["/x"]}, "value of edr_import_product must be one of"),
        ({"product": "microsoft_defender", "files": [], "flor": "low"}, "edr_import_flor"),
    ],
)
def test_wrong_options_are_named(
    ansible: Controller, inventory: pathlib.Path, tmp_path: pathlib.Path, given: dict[str, t.Any], words: str
) -> None:
    assert words in do_import(ansible, inventory, tmp_path, check=False, **given)
    assert not (tmp_path / "findings.db").exists()


def test_nothing_of_an_import_is_recorded_if_one_file_is_damaged(
    ansible: Controller, inventory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    damaged = tmp_path / "damaged.json"
    damaged.write_text("Time,Title", encoding="utf-8")
    files = [str(export(tmp_path, "right.json", CARBON)), str(damaged)]
    assert "is not JSON" in do_import(ansible, inventory, tmp_path, check=False, product="carbon_black", files=files)
    assert findings(tmp_path) == {}


def test_a_manager_reports_for_its_agents_hosts(
    ansible: Controller, inventory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    log = tmp_path / "alerts.json"
    own = {**WAZUH, "agent": {"id": "000", "name": "wazuh1"}}
    stranger = {**WAZUH, "agent": {"id": "009", "name": "laptop7", "ip": "192.0.2.77"}}
    log.write_text("".join(json.dumps(each) + "\n" for each in (WAZUH, own, stranger, WAZUH)), encoding="utf-8")
    play = {
        "name": "Read the alerts of the manager",
        "hosts": "wazuh1",
        "gather_facts": False,
        "vars": {"store": url(tmp_path)},
        "tasks": [
            {
                "bulwark.servers.findings_run": {"state": "started", "store": "{{ store }}", "capabilities": ["edr"]},
                "register": "run",
            },
            {
                "bulwark.servers.edr_alerts_info": {
                    "products": ["wazuh"],
                    "paths": {"wazuh": [str(log)]},
                    "first_days": 0,
                    "state_dir": str(tmp_path / "state"),
                    "store": "{{ store }}",
                    "run": "{{ run.run.id }}",
                },
                "register": "alerts",
            },
            {
                "bulwark.servers.findings_record": {
                    "store": "{{ store }}",
                    "run": "{{ run.run.id }}",
                    "capability": "edr",
                    "result": "{{ alerts }}",
                }
            },
        ],
    }
    playbook = tmp_path / "manager.yml"
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    for _run in range(2):
        ansible.run_playbook(playbook, inventory=inventory)
    found = findings(tmp_path)
    subject = "File deleted. (rule 553): /etc/shadow"
    assert set(found) == {
        ("db2.example.com", f"Wazuh (wazuh1): {subject}"),
        ("wazuh1", f"Wazuh: {subject}"),
        ("wazuh1", f"laptop7: Wazuh: {subject}"),
    }
    agent = found["db2.example.com", f"Wazuh (wazuh1): {subject}"]
    # Twice in the log, and read in one run of two.
    assert (agent.count, agent.event["count"]) == (1, 2)
    assert agent.event["unmapped"]["product"]["reporter"] == "wazuh1"
    assert agent.event["device"]["hostname"] == "db2.example.com"
