# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run tasks on a stand-in Windows host, and read the store of the controller."""

from __future__ import annotations

import json
import pathlib
import typing as t

import yaml

from tests.support.controllers import Controller
from tests.support.windows.standin.host import WindowsHost

Result = dict[str, t.Any]


def results(
    core: Controller, windows: WindowsHost, directory: pathlib.Path, tasks: t.Mapping[str, t.Mapping[str, t.Any]]
) -> tuple[dict[str, Result], str]:
    """Run tasks, and return their results by name, also of those that failed, with what Ansible printed.

    directory: of the playbook, of the results and of the store.
    """
    file = directory / "results.json"
    copied = {
        "ansible.builtin.copy": {
            "content": "{{ dict(names | zip(names | map('extract', vars))) | to_json }}",
            "dest": str(file),
            "mode": "0600",
        },
        "vars": {"names": list(tasks), "ansible_connection": "local", "ansible_shell_type": "sh"},
        "delegate_to": "localhost",
    }
    registered = [{**task, "register": name, "ignore_errors": True} for name, task in tasks.items()]
    play = directory / "play.yml"
    play.write_text(yaml.safe_dump([{"hosts": "windows", "gather_facts": False, "tasks": [*registered, copied]}]))
    ended = core.run_playbook(play, inventory=windows.inventory, state=directory / "state")
    returned: dict[str, Result] = json.loads(file.read_text(encoding="utf-8"))
    return returned, ended.stdout + ended.stderr


def stored(core: Controller, directory: pathlib.Path) -> Result:
    """Return the findings and the coverage in the store of the controller."""
    file = directory / "stored.json"
    tasks = [
        {"bulwark.servers.findings_info": {"gather": ["findings", "coverage"]}, "register": "stored"},
        {"ansible.builtin.copy": {"content": "{{ stored | to_json }}", "dest": str(file), "mode": "0600"}},
    ]
    play = directory / "stored.yml"
    play.write_text(
        yaml.safe_dump([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}])
    )
    core.run_playbook(play, state=directory / "state")
    returned: Result = json.loads(file.read_text(encoding="utf-8"))
    return returned
