# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock in iptables is confirmed when Ansible comes in once more by SSH, and falls back when it does not."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.integration import _team
from tests.integration._jit import site
from tests.integration.test_jit_action import Team
from tests.support.controllers import Controller

pytestmark = [
    pytest.mark.requires("root", "command:ip", "command:sshd", "command:ssh", "command:iptables", "command:ipset"),
    pytest.mark.xdist_group("jit_iptables_action"),
]


@pytest.fixture
def team(tmp_path: pathlib.Path, controller: t.Callable[[str], Controller]) -> t.Iterator[Team]:
    with site(tmp_path) as found, _team.sshd(found.host, found.friend, tmp_path, 6) as sockets:
        yield Team(found, controller("2.20"), tmp_path, sockets, 6)


def test_a_lock_is_confirmed_through_a_new_connection_or_falls_back(team: Team) -> None:
    code, said = team.run(
        {"ansible.builtin.ping": None},
        {**team.lock(backend="iptables"), "ignore_errors": True},
        {"ansible.builtin.ping": None},
        team.show("locked"),
    )
    assert code == 0, said
    assert team.shown["failed"]
    assert team.shown["msg"].startswith("No new connection came through the proposed rules within 10 seconds (")
    assert team.site.stranger.connects(team.site.host, 22, 6)

    role = {"name": "bulwark.servers.jit_access", "tasks_from": "protect"}
    variables = {
        "jit_access_ports": [{"port": 22}],
        "jit_access_always": [team.site.friend.address[6]],
        "jit_access_state_dir": str(team.site.state),
        "jit_access_backend": "iptables",
        "jit_access_install": False,
    }
    code, said = team.run(
        {"ansible.builtin.include_role": role},
        team.grant(sources=[team.site.stranger.address[6]], for_whom="ada", reason="a ticket"),
        {"ansible.builtin.include_role": {"name": "bulwark.servers.jit_access"}},
        team.show("jit_access_seen"),
        **variables,
    )
    assert code == 0, said
    assert (team.shown["backend"], team.shown["in_force"]) == ("iptables", True)
    assert [entry["status"] for entry in team.shown["coverage"]] == ["checked", "checked"]
    assert team.site.stranger.connects(team.site.host, 22, 6)
    team.site.grant(state="closed", for_whom="ada")
    assert not team.site.stranger.connects(team.site.host, 22, 6)
    assert team.site.nft("list", "tables").count("bulwark") == 0

    code, said = team.run({"ansible.builtin.include_role": role}, **{**variables, "jit_access_state": "absent"})
    assert code == 0, said
    assert team.site.stranger.connects(team.site.host, 22, 6)


def test_the_packages_are_those_of_the_packet_filter(team: Team) -> None:
    shown = {"ansible.builtin.debug": {"msg": "install {{ jit_access_package | join('+') }}."}}
    role = {"name": "bulwark.servers.jit_access", "tasks_from": "check", "public": True}
    for backend, packages in (("auto", "nftables"), ("iptables", "iptables+ipset")):
        code, said = team.run({"ansible.builtin.include_role": role}, shown, jit_access_backend=backend)
        assert code == 0, said
        assert f"install {packages}." in said
