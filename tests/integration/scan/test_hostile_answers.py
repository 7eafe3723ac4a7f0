# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host in an attacker's hands can do to the controller by what its modules answer."""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.integration.scan import _forgery
from tests.support.controllers import Controller, controller

# Stands for a Python on the host that runs nothing it is given.
_PYTHON = """#!/bin/sh
cat <<'END'
{answer}
END
"""
_TEMPLATE = "{{ lookup('ansible.builtin.pipe', 'touch %s') }}"


@pytest.fixture(scope="module", params=["2.18", "2.21"])
def ansible(request: pytest.FixtureRequest) -> Controller:
    return controller(request.param)


def _answer(marker: pathlib.Path) -> dict[str, t.Any]:
    text = _TEMPLATE % marker
    return {
        "changed": text,
        "detections": [
            {"alert": "fim_file_created", "subject": text, "scope": "s", "evidences": [{"data": {text: text}}]}
        ],
        "coverage": [{"scope": "s", "status": "checked", "reason": text}],
        "baseline": {"exists": True, "digest": text},
        "explained": [],
        "findings": [{"finding_info": {"uid": "x"}}],
        "capability": "other",
        "ansible_facts": {"inventory_hostname": "good", "ansible_distribution": text},
        "add_host": {"host_name": "added", "groups": ["all"]},
        "diff": {"before": [text], "after": {}},
        "results": [1],
        "skipped": True,
        "unreachable": True,
    }


def _forging(directory: pathlib.Path, *answers: t.Mapping[str, t.Any], after: str = "") -> pathlib.Path:
    """Return an inventory with a host that is as it should be, and some that answer this whatever they are asked.

    Those are evil, evil2 and so on. after: what they print after that.
    """
    lines = []
    for number, answer in enumerate(answers, 1):
        name = f"evil{number if number > 1 else ''}"
        python = directory / f"{name}.sh"
        python.write_text(_PYTHON.format(answer=json.dumps(answer)) + after, encoding="utf-8")
        python.chmod(0o755)
        lines.append(f"{name} ansible_connection=local ansible_python_interpreter={python}\n")
    inventory = directory / "hosts"
    inventory.write_text("".join([*lines, "good ansible_connection=local\n"]))
    return inventory


def test_a_forged_answer_stays_its_hosts_own(ansible: Controller, tmp_path: pathlib.Path) -> None:
    marker = tmp_path / "executed"
    inventory = _forging(tmp_path, _answer(marker))
    url = f"sqlite:///{tmp_path}/findings.db"
    tasks = [
        {
            "bulwark.servers.findings_run": {"state": "started", "capabilities": ["file_integrity"]},
            "run_once": True,
            "register": "run",
        },
        {"bulwark.servers.file_integrity_info": {"state_dir": str(tmp_path / "state")}, "register": "result"},
        {
            "bulwark.servers.findings_record": {
                "run": "{{ run.run.id }}",
                "capability": "file_integrity",
                "result": "{{ result }}",
            }
        },
        {"bulwark.servers.findings_run": {"state": "finished", "run": "{{ run.run.id }}"}, "run_once": True},
    ]
    play = {"name": "Look", "hosts": "all", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    ansible.run_playbook(
        tmp_path / "play.yml", "--diff", inventory=inventory, state=tmp_path, environment={"BULWARK_STORE": url}
    )
    assert not marker.exists()
    with contextlib.closing(Store.open(url)) as store:
        assert [(found.host, found.capability, found.subject) for found in store.query()] == [
            ("evil", "file_integrity", _TEMPLATE % marker)
        ]
        assert {entry.host: entry.status for entry in store.coverage()} == {"evil": "checked", "good": "not_checked"}
        (run,) = store.runs()
        assert run.finished is not None


_CONTROLS = "\x1b[31m\x07\x9b\u202e"


_ANSWERS = [
    {"changed": False, "warnings": [_CONTROLS], "deprecations": [{"msg": _CONTROLS}], "notices": [_CONTROLS]},
    {"changed": _CONTROLS, "failed": _CONTROLS, "exception": _CONTROLS, "rules": [{_CONTROLS: _CONTROLS}]},
    {"changed": False, "rules": [{_CONTROLS: _CONTROLS}], _CONTROLS: _CONTROLS},
]


def test_a_terminal_gets_nothing_but_text(ansible: Controller, tmp_path: pathlib.Path) -> None:
    inventory = _forging(tmp_path, *_ANSWERS, after=f"echo '{_CONTROLS} after the answer'\n")
    tasks = [
        {"bulwark.servers.platform_facts": None, "ignore_errors": True},
        {"bulwark.servers.audit_events_info": {"state_dir": str(tmp_path / "state")}},
    ]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all:!good", "gather_facts": False, "tasks": tasks}]))
    environment = {"ANSIBLE_NOCOLOR": "1"}
    done = ansible.run_playbook(
        tmp_path / "play.yml", "-v", inventory=inventory, state=tmp_path, environment=environment, check=False
    )
    said = done.stdout + done.stderr
    assert "audit_events_info" in said
    assert [host for host in ("evil", "evil2", "evil3") if f"[{host}]" not in said] == []
    assert [char for char in _CONTROLS if not char.isprintable() and char in said] == []


@pytest.mark.parametrize("version", ["2.18", "2.21"])
def test_an_answer_that_is_invalid_or_does_not_come_is_recorded_with_the_reason(
    tmp_path: pathlib.Path, version: str
) -> None:
    detection = {"alert": "evil", "subject": "/x", "scope": "s", "evidences": []}
    answer = {"changed": False, "created": True, "detections": [detection], "coverage": [{"scope": "s"}]}
    inventory = _forging(tmp_path, json.loads(_forgery.answer({"file_integrity": answer})), {})
    (tmp_path / "evil2.sh").write_text("#!/bin/sh\nkill -9 $$\n")
    url = f"sqlite:///{tmp_path}/findings.db"
    started = {"state": "started", "capabilities": ["file_integrity"]}
    tasks = [
        {"bulwark.servers.findings_run": started, "run_once": True, "register": "run"},
        {
            "ansible.builtin.include_role": {"name": "bulwark.servers.file_integrity"},
            "vars": {
                "bulwark_run_id": "{{ run.run.id }}",
                "ansible_facts": {"system": "Linux"},
                "file_integrity_state_dir": str(tmp_path / "state"),
            },
        },
    ]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all:!good", "gather_facts": False, "tasks": tasks}]))
    controller(version).run_playbook(
        tmp_path / "play.yml", inventory=inventory, state=tmp_path, environment={"BULWARK_STORE": url}
    )
    with contextlib.closing(Store.open(url)) as store:
        assert store.query() == []
        covered = {entry.host: entry for entry in store.coverage()}
    assert {host: (entry.status, len(entry.entries)) for host, entry in covered.items()} == {
        "evil": ("not_checked", 1),
        "evil2": ("not_checked", 1),
    }
    invalid, killed = (str(covered[host].entries[0]["reason"]) for host in ("evil", "evil2"))
    assert invalid == (
        "the host returned an invalid result, which was discarded; check the host: "
        "a detection names alert 'evil', which this collection does not have"
    )
    assert killed.startswith(
        "it failed: the module was ended by signal 9 (SIGKILL) before it returned a result: a user of the host did "
        "that, "
    )


def test_what_a_host_says_nothing_of_was_not_checked(tmp_path: pathlib.Path) -> None:
    """A module that loses one of its watches must not look as if all had been checked."""
    answer = {"changed": False, "detections": [], "coverage": [{"scope": "shop", "status": "checked"}]}
    inventory = _forging(tmp_path, answer)
    watches = [{"name": name, "paths": [f"/srv/{name}"]} for name in ("shop", "lost")]
    tasks = [
        {
            "bulwark.servers.file_integrity_info": {"store": f"sqlite:///{tmp_path}/findings.db", "watches": watches},
            "register": "result",
        },
        {"ansible.builtin.assert": {"that": "(result.coverage | map(attribute='scope')) == ['shop', 'lost']"}},
        {"ansible.builtin.assert": {"that": "result.coverage[1].status == 'not_checked'"}},
        {"ansible.builtin.assert": {"that": "'says nothing of it' in result.coverage[1].reason"}},
    ]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "evil", "gather_facts": False, "tasks": tasks}]))
    controller("2.21").run_playbook(tmp_path / "play.yml", inventory=inventory, state=tmp_path)


def test_a_host_cannot_have_its_seal_forgotten(tmp_path: pathlib.Path) -> None:
    answers = [
        {
            "changed": True,
            "staged_digest": digest,
            "baseline": {"exists": False, "digest": digest},
            "detections": [],
            "coverage": [],
        }
        for digest in ("none", {"a": 1}, "0" * 63, "\x1b[2J")
    ]
    hosts = ["evil", "evil2", "evil3", "evil4"]
    inventory = _forging(tmp_path, *answers)
    url = f"sqlite:///{tmp_path}/findings.db"
    with contextlib.closing(Store.open(url)) as store:
        for host in hosts:
            store.propose_seal(host, "default", "a" * 64, by="me", reason="first", now=1)
            store.confirm_seal(host, "default", "a" * 64, now=1)
    task = {"bulwark.servers.file_integrity": {"store": url}}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all:!good", "gather_facts": False, "tasks": [task]}]))
    failed = controller("2.21").run_playbook(tmp_path / "play.yml", inventory=inventory, state=tmp_path, check=False)
    said = failed.stdout + failed.stderr
    for host in hosts:
        assert re.search(rf"\[{host}\]: FAILED! => .*a staged digest that is not a SHA-256", said), said
    with contextlib.closing(Store.open(url)) as store:
        seals = [store.seal(host, "default") for host in hosts]
    assert [(seal.digest, seal.next_digest) for seal in seals if seal is not None] == [("a" * 64, None)] * len(hosts)


def test_a_host_cannot_decide_what_the_history_of_its_seal_says(tmp_path: pathlib.Path) -> None:
    digest = "b" * 64
    named = {
        "watches_added": ["evil", "cron"],
        "watches_removed": ["\x1b[2J", {"a": 1}, "n" * 9999],
        "watches_changed": "cron",
    }
    baseline = {"exists": True, "digest": digest, "reason": "First baseline."}
    answer = {"changed": True, "created": True, "staged_digest": digest, "baseline": baseline, "coverage": [], **named}
    inventory = _forging(tmp_path, answer)
    url = f"sqlite:///{tmp_path}/findings.db"
    with contextlib.closing(Store.open(url)) as store:
        store.propose_seal("evil", "default", "a" * 64, by="me", reason="first", now=1)
        store.confirm_seal("evil", "default", "a" * 64, now=1)
    task = {"bulwark.servers.file_integrity": {"store": url}}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "evil", "gather_facts": False, "tasks": [task]}]))
    controller("2.21").run_playbook(tmp_path / "play.yml", inventory=inventory, state=tmp_path)
    with contextlib.closing(Store.open(url)) as store:
        reason = store.seal_history("evil", "default")[0].reason
    assert reason is not None
    assert reason.startswith("Watches added: cron. Watches removed: \\x1b[2J, {'a': 1}, nnn")
    assert len(reason) < 300
