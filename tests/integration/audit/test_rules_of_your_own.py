# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's rules, filters and threat lists in a real play, and what is said of those that can't be used."""

from __future__ import annotations

import json
import pathlib
import typing as t

import yaml

from tests.integration import _keep
from tests.support.controllers import controller

_LINUX = {"product": "linux", "category": "process_creation"}
_RULES: dict[str, dict[str, t.Any]] = {
    "wget.yml": {
        "title": "Fetched",
        "id": "6a3b1bb6-0a06-4a0a-8a70-0a3a3b6cf7d2",
        "level": "low",
        "tags": ["attack.t1105"],
        "logsource": _LINUX,
        "detection": {"s": {"Image|endswith": "/fetcher"}, "condition": "s"},
    },
    "not_by_root.yml": {
        "title": "Root may",
        "logsource": _LINUX,
        "filter": {
            "rules": ["6a3b1bb6-0a06-4a0a-8a70-0a3a3b6cf7d2"],
            "quiet": {"CommandLine|contains": "--quiet"},
            "condition": "not quiet",
        },
    },
    "broken.yml": {
        "title": "Of something else",
        "logsource": {"product": "linux", "category": "dns"},
        "detection": {"s": {"a": "b"}, "condition": "s"},
    },
}


def _execution(serial: int, *arguments: str) -> str:
    stamp = f"msg=audit({1_780_000_000 + serial}.123:{serial})"
    words = " ".join(f'a{number}="{argument}"' for number, argument in enumerate(arguments))
    return (
        f"type=SYSCALL {stamp}: arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=8 items=1 ppid=1 "
        f"pid={serial} auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=3 "
        f'comm="fetcher" exe="/usr/bin/fetcher" key="exec"\n'
        f"type=EXECVE {stamp}: argc={len(arguments)} {words}\n"
        f"type=PROCTITLE {stamp}: proctitle=78\n"
    )


def test_rules_filters_and_lists_of_the_user_s(tmp_path: pathlib.Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    for name, rule in _RULES.items():
        (rules / name).write_text(yaml.safe_dump(rule, sort_keys=False))
    (tmp_path / "bad.csv").write_text("seen,host\n2026-01-01,evil.example\n2026-01-01,nonsense\n")
    (tmp_path / "audit.log").write_text(
        _execution(1, "fetcher", "--quiet", "http://good.example/")
        + _execution(2, "fetcher", "http://www.evil.example/x")
    )
    (tmp_path / "hosts").write_text("one ansible_connection=local\ntwo ansible_connection=local\n")
    look = {
        "paths": [str(tmp_path / "audit.log")],
        "rule_paths": [str(rules)],
        "threat_lists": [{"path": str(tmp_path / "bad.csv"), "kind": "domain", "column": "host"}],
        "own_rules": False,
        "state_dir": f"{tmp_path}/state-{{{{ inventory_hostname }}}}",
    }
    play = {
        "name": "Look",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"bulwark.servers.audit_events_info": look, "register": "looked"},
            _keep.task("looked", f"{tmp_path}/{{{{ inventory_hostname }}}}.json"),
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = controller("2.21").run_playbook(
        tmp_path / "play.yml",
        inventory=tmp_path / "hosts",
        state=tmp_path,
        environment={
            "ANSIBLE_NOCOLOR": "1",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "COLUMNS": "400",
            **_keep.ENVIRONMENT,
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for host in ("one", "two"):
        answer = json.loads((tmp_path / f"{host}.json").read_text())
        found = {finding["metadata"]["event_code"]: finding for finding in answer["findings"]}
        assert set(found) == {"audit_sigma_match", "threat_list_domain"}
        matched, listed = found["audit_sigma_match"], found["threat_list_domain"]
        assert (matched["count"], matched["severity"], matched["message"]) == (1, "Low", "Fetched")
        assert {attack["technique"]["uid"] for attack in matched["finding_info"]["attacks"]} == {"T1105"}
        assert listed["message"] == "evil.example is on the threat list bad"
        assert listed["unmapped"]["subject"] == "evil.example"
        assert [problem.partition(": ")[0] for problem in answer["rule_problems"]] == [
            f"{tmp_path}/bad.csv, line 3",
            f"{rules}/broken.yml, line 2",
        ]
    # Once, however many hosts there are.
    assert (done.stdout + done.stderr).count("broken.yml, line 2: log source:") == 1
    assert len(list((tmp_path / "cache" / "bulwark").glob("content-*.json"))) == 1
