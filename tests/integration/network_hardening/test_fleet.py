# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In a real play, the hosts' results are summed up once, and each host gets what the others saw."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml

from tests.support.controllers import Controller

HOSTS = ("web1", "web2", "web3")
ADMIN, GUESSER = "192.0.2.7", "198.51.100.9"


@pytest.mark.parametrize("release", ["2.18", "2.21"])
def test_each_host_gets_what_the_others_saw(
    tmp_path: pathlib.Path, controller: t.Callable[[str], Controller], release: str
) -> None:
    inventory, play, out = tmp_path / "hosts", tmp_path / "play.yml", tmp_path / "out"
    out.mkdir()
    inventory.write_text("".join(f"{host} ansible_connection=local\n" for host in HOSTS))
    seen = {"traffic": [{"source": ADMIN, "answered": 1}, {"source": GUESSER, "answered": 5}]}
    evidence = (
        "{{ total | bulwark.servers.network_fleet_elsewhere(network_hardening_seen, network_hardening_signed_in) }}"
    )
    tasks: list[dict[str, t.Any]] = [
        {
            # As a module's result, which Ansible marks as unsafe, and a variable that can't be templated.
            "ansible.builtin.set_fact": {
                "network_hardening_seen": seen,
                "network_hardening_signed_in": {
                    "sign_ins": "{{ [] if inventory_hostname == 'web3' else [{'source': '%s'}] }}" % ADMIN,
                    "refused": [{"source": GUESSER}],
                },
            },
        },
        {
            "ansible.builtin.set_fact": {"total": "{{ hostvars | bulwark.servers.network_fleet(ansible_play_hosts) }}"},
            "run_once": True,
        },
        {"ansible.builtin.copy": {"content": "{{ found | to_json }}", "dest": f"{out}/{{{{ inventory_hostname }}}}"}}
        | {"vars": {"found": evidence}},
    ]
    variables = {"broken": "{{ there_is_no_such_variable }}"}
    play.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "vars": variables, "tasks": tasks}]))
    controller(release).run_playbook(play, inventory=inventory)
    found = {
        host: {
            one["source"]: (one["hosts_signed_in"], one["hosts_seen"], one["hosts_refused_only"])
            for one in json.loads((out / host).read_text())
        }
        for host in HOSTS
    }
    assert found["web1"] == found["web2"] == {ADMIN: (1, 2, 0), GUESSER: (0, 2, 2)}
    assert found["web3"] == {ADMIN: (2, 2, 0), GUESSER: (0, 2, 2)}
