# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question to hosts through ansible-core: it arrives, is cut off, comes back, and takes nothing foreign with it."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from tests.support import paths, sshd
from tests.support.controllers import Controller

_ACTIONS = paths.ROOT / "tests" / "integration" / "action_plugins"
_PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ask_host: &question
        looks: [{id: probe, entry: "probe:probe", params: {text: "{{ hostile }}"}, content: {rules: "{{ rules }}"}}]
        extra_code: "{{ probe }}"
        pins: "{{ directory }}/{{ inventory_hostname }}.json"
        state_dir: "{{ state_dir | default(omit) }}"
      register: first
    - ask_host: *question
      register: second
    - keep_text:
        path: "{{ directory }}/{{ inventory_hostname }}"
        text: "{{ [first, second] | to_json }}"
"""
# A host that is reached by SSH loses its connection the first time.
_PROBE = """
import os
import signal

from ansible_collections.bulwark.servers.plugins.module_utils import _process


def session():
    pid = os.getppid()
    while pid > 1:
        with open("/proc/%d/comm" % pid) as stream:
            if stream.read().startswith("sshd"):
                return pid
        pid = _process.stat(pid).parent


def probe(params, check_mode):
    note = os.path.join(os.environ["HOME"], "note")
    with open(note, "a+") as stream:
        stream.write("x")
        stream.seek(0)
        runs = len(stream.read())
    if runs == 1 and session():
        os.kill(session(), signal.SIGKILL)
    return {"text": params["text"], "rules": params["rules"], "runs": runs, "uid": os.getuid()}
"""
_RULES = "packed rules " * 1000
# ansible-core writes the variable ansible_syslog_facility, which a host's facts may hold, into the source of a module.
_HOSTILE = 'syslog.LOG_USER"""\nopen({marker!r}, "w")\nx = r"""'


@pytest.mark.requires(*sshd.NEEDS)
@pytest.mark.parametrize(("version", "connection", "pipelining"), [("2.18", "ssh", True), ("2.21", "ssh", False)])
def test_hosts_answer_through_ansible_core(
    controller: t.Callable[[str], Controller], tmp_path: pathlib.Path, version: str, connection: str, pipelining: bool
) -> None:
    marker, play, inventory = tmp_path / "ran", tmp_path / "play.yml", tmp_path / "hosts.json"
    play.write_text(_PLAY, encoding="utf-8")
    hostile = _HOSTILE.format(marker=str(marker))
    with sshd.server(tmp_path / "sshd", Subsystem="sftp internal-sftp") as server:
        hosts = {
            "local": {"ansible_connection": "local", "state_dir": str(tmp_path / "state")},
            "remote": {
                "ansible_connection": connection,
                "ansible_host": "127.0.0.1",
                "ansible_port": server.port,
                "ansible_user": sshd.ACCOUNT,
                "ansible_ssh_private_key_file": str(tmp_path / "sshd" / "right"),
                "ansible_ssh_common_args": "-F none -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no",
                "ansible_ssh_args": "-o ControlMaster=no",
                "ansible_paramiko_private_key_file": str(tmp_path / "sshd" / "right"),
                "ansible_paramiko_host_key_checking": False,
            },
        }
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
        controller(version).run_playbook(
            play,
            inventory=inventory,
            extra_vars={
                "directory": str(tmp_path),
                "hostile": hostile,
                "rules": _RULES,
                "probe": _PROBE,
                "ansible_syslog_facility": hostile,
            },
            environment={
                "ANSIBLE_ACTION_PLUGINS": str(_ACTIONS),
                "ANSIBLE_PIPELINING": str(pipelining),
                "HOME": str(tmp_path),
            },
        )

    assert not marker.exists()
    for name, uid, exchanges in (("local", 0, 1), ("remote", sshd.UID, 2)):
        first, second = json.loads((tmp_path / name).read_text(encoding="utf-8"))
        for result, runs in ((first, 1), (second, 2)):
            expected = {"text": hostile, "rules": _RULES, "runs": runs, "uid": uid}
            assert result["looks"] == {"probe": expected}
            assert (result["notes"], result["tampered"], result["problem"]) == ([], [], None)
        assert len(first["sent"]) == exchanges
        assert len(second["sent"]) == 1
        assert second["sent"][0] < first["sent"][0] / 100
