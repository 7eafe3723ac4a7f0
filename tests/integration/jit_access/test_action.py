# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock is confirmed when Ansible comes in once more by SSH, and falls back when it does not."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.integration import _team
from tests.integration._team import until
from tests.integration.jit_access._jit import Site, site
from tests.support import paths
from tests.support.controllers import Controller

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare", "command:sshd", "command:ssh"),
    pytest.mark.xdist_group("jit_action"),
]


class Team(_team.Team):
    """It locks and opens ports."""

    def __init__(
        self, found: Site, controller: Controller, directory: pathlib.Path, sockets: str, version: int
    ) -> None:
        super().__init__(found.host, found.friend, controller, directory, sockets, version)
        self.site, self.version, self.sockets = found, version, sockets

    def lock(self, **options: t.Any) -> dict[str, t.Any]:
        fields = {"ports": [{"port": 22}], "state_dir": str(self.site.state), "confirm_within": 30, **options}
        return {"bulwark.servers.jit_access": fields, "register": "locked"}

    def grant(self, **options: t.Any) -> dict[str, t.Any]:
        fields = {"ports": [22], "state_dir": str(self.site.state), **options}
        return {"bulwark.servers.jit_grant": fields, "register": "opened"}


@pytest.fixture
def team(
    tmp_path: pathlib.Path, controller: t.Callable[[str], Controller], request: pytest.FixtureRequest
) -> t.Iterator[Team]:
    version = getattr(request, "param", 4)
    with site(tmp_path) as found, _team.sshd(found.host, found.friend, tmp_path, version) as sockets:
        yield Team(found, controller("2.20"), tmp_path, sockets, version)


@pytest.mark.parametrize("team", [4, 6], indirect=True)
def test_a_lock_that_lets_the_controller_in_is_confirmed(team: Team) -> None:
    address, stranger = team.site.friend.address[team.version], team.site.stranger.address[team.version]
    code, said = team.run(
        {"ansible.builtin.ping": None},
        team.lock(always_allow=[address]),
        team.grant(sources=[stranger], requested_for="ada", reason="a ticket"),
        team.grant(id="request-1", sources=[stranger], requested_for="bob", digest="a" * 64),
        {"bulwark.servers.jit_grant": {"state": "closed", "id": "request-1", "state_dir": str(team.site.state)}},
        {"bulwark.servers.jit_access_info": {"state_dir": str(team.site.state)}, "register": "looked"},
        team.show("looked"),
    )
    assert code == 0, said
    (ended,) = team.shown["history"]
    assert (ended["id"], ended["digest"]) == ("request-1", "a" * 64)
    assert ended["closed_by"] == ended["requested_by"], "whoever runs Ansible"
    assert "does not lead through the network" not in said
    assert team.shown["in_force"] is True
    assert team.shown["capability"] == "jit_access"
    assert [one["requested_for"] for one in team.shown["grants"]] == ["ada"]
    assert team.shown["findings"] == []
    assert team.site.stranger.connects(team.site.host, 22, team.version)
    team.site.grant(state="closed", requested_for="ada")
    assert not team.site.stranger.connects(team.site.host, 22, team.version)

    # Again nothing changes, and who tried is a finding.
    code, said = team.run(
        team.lock(always_allow=[address]),
        team.show("locked"),
        {"ansible.builtin.assert": {"that": "not locked.changed"}},
        {"bulwark.servers.jit_access_info": {"state_dir": str(team.site.state)}, "register": "looked"},
        team.show("looked"),
    )
    assert code == 0, said
    (finding,) = team.shown["findings"]
    assert finding["metadata"]["event_code"] == "jit_locked_port_attempts"
    assert finding["evidences"][0]["src_endpoint"]["ip"] == stranger


@pytest.mark.parametrize("team", [6], indirect=True)
def test_a_lock_that_shuts_the_controller_out_falls_back(team: Team) -> None:
    start = time.monotonic()
    code, said = team.run(
        {"ansible.builtin.ping": None},
        {**team.lock(confirm_within=10), "ignore_errors": True},
        # Through what is open again.
        {"ansible.builtin.ping": None},
        team.show("locked"),
    )
    assert code == 0, said
    assert team.shown["failed"]
    assert not team.shown["changed"]
    assert team.shown["msg"].startswith("No new connection came through the proposed rules within 10 seconds (")
    assert team.shown["msg"].endswith(
        "put the address that Ansible comes from into always_allow "
        "(jit_access_always_allow of the role); a port that was opened for it for a while does not count."
    )
    assert time.monotonic() - start > 10
    assert team.site.stranger.connects(team.site.host, 22, team.version)
    assert team.site.info()["policy"] is None
    assert team.site.way.everything() == "", "nothing is left of the trial"
    assert not (team.site.state / "jit" / "proposed.json").exists()


def test_a_lock_that_is_confirmed_outlives_a_trial_that_fails(team: Team) -> None:
    friend = team.site.friend.address[4]
    team.site.lock(ports=[{"port": "8000"}])
    before = team.site.info()["policy"]
    code, said = team.run({**team.lock(), "ignore_errors": True}, {"ansible.builtin.ping": None})
    assert code == 0, said
    found = team.site.info()
    assert (found["policy"], found["in_force"], found["trial_seconds_left"]) == (before, True, 0)
    assert not (team.site.state / "jit" / "proposed.json").exists()
    code, said = team.run(team.lock(ports=[{"port": 22, "sources": [friend]}], always_allow=[friend]))
    assert code == 0, said
    assert team.site.info()["in_force"]
    # Whose sources are always let in is warned of.
    assert "The lock of port 22 has no effect" in " ".join(said.split())


def test_an_opening_for_the_controller_confirms_no_lock_without_it(team: Team) -> None:
    """With the opening alone the controller would be locked out when that ends."""
    address = team.site.friend.address[team.version]
    team.site.lock(ports=[{"port": "22"}], always_allow=[address])
    opened = team.grant(sources=[address], duration=300, requested_for="the controller", reason="a ticket")
    code, said = team.run(opened, {**team.lock(always_allow=[]), "ignore_errors": True}, team.show("locked"))
    assert code == 0, said
    assert team.shown["failed"]
    assert "a port that was opened for it for a while does not count" in team.shown["msg"]
    found = team.site.info()
    assert found["policy"]["always_allow"] == [address]
    assert (found["in_force"], found["grants_in_force"]) == (True, True)
    assert found["attempts"] == [], "it was let in, and is no attempt"
    code, said = team.run(team.lock(always_allow=[address], ports=[{"port": 22}, {"port": 23}]), team.show("locked"))
    assert code == 0, said
    assert (team.shown["confirmed"], team.shown["proven"]) == (True, True)


def test_a_connection_that_ssh_shares_confirms_nothing(team: Team, tmp_path: pathlib.Path) -> None:
    """The master of the user's own configuration is not Ansible's to stop; Ansible opens a connection of its own."""
    socket = f"{team.sockets}/own"
    config = tmp_path / "ssh_config"
    config.write_text(f"Host *\n ControlMaster auto\n ControlPath {socket}\n ControlPersist 60\n")
    options = f"-F {config} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=2"
    variables = {"ansible_ssh_common_args": options, "ansible_ssh_args": ""}
    code, said = team.run(
        {"ansible.builtin.ping": None},
        {**team.lock(confirm_within=10), "ignore_errors": True},
        team.show("locked"),
        **variables,
    )
    try:
        assert code == 0, said
        assert pathlib.Path(socket).exists()
        assert team.shown["failed"]
        assert team.site.info()["policy"] is None
        code, said = team.run(team.lock(always_allow=[team.site.friend.address[4]]), team.show("locked"), **variables)
        assert code == 0, said
        assert team.shown["proven"]
    finally:
        subprocess.run(["ssh", "-F", str(config), "-O", "exit", team.site.host.address[4]], check=False)


@pytest.mark.parametrize("team", [6], indirect=True)
def test_a_controller_that_vanishes_leaves_no_lock_behind(team: Team) -> None:
    process = team.start([team.lock(confirm_within=20)])
    try:
        until(lambda: not team.site.stranger.connects(team.site.host, 22, team.version))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    until(lambda: team.site.stranger.connects(team.site.host, 22, team.version))
    assert team.site.friend.connects(team.site.host, 22, team.version)
    assert team.site.info()["policy"] is None


def test_a_connection_that_proves_nothing_is_said_to(team: Team) -> None:
    with team.site.host.entered():
        command = team.prepare([team.lock()], ansible_connection="local", ansible_host="localhost")
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(paths.COLLECTIONS), "ANSIBLE_NOCOLOR": "1"}
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    said = " ".join((answer.stdout + answer.stderr).split())
    assert answer.returncode == 0, said
    assert "The connection 'local' does not lead through the network to this host's ports" in said
    assert not team.site.stranger.connects(team.site.host, 22)


def test_what_is_wrong_is_said_before_a_host_is_touched(team: Team) -> None:
    misspelt = {"bulwark.servers.jit_access": {"ports": [{"port": 22}], "alway": ["10.0.0.1"]}}
    code, said = team.run({**misspelt, "ignore_errors": True}, team.lock(ports=[{"port": "ssh"}]))
    assert code != 0
    assert "Unsupported parameters for bulwark.servers.jit_access: alway" in said
    assert "ports, item 1: 'ssh' is not a port; use a number from 1 to 65535" in said


def test_the_role_locks_in_protect_and_looks_in_a_scan(team: Team) -> None:
    role = {"name": "bulwark.servers.jit_access", "tasks_from": "protect"}
    variables = {
        "jit_access_ports": [{"port": 22, "max_duration": 600}],
        "jit_access_always_allow": [team.site.friend.address[4]],
        "jit_access_state_dir": str(team.site.state),
        "jit_access_install": False,
    }
    code, said = team.run(
        {"ansible.builtin.include_role": role},
        {"ansible.builtin.include_role": {"name": "bulwark.servers.jit_access"}},
        {"bulwark.servers.jit_access_info": {"state_dir": str(team.site.state)}, "register": "looked"},
        team.show("{'role': jit_access_scan, 'policy': looked.policy}"),
        **variables,
    )
    assert code == 0, said
    assert team.shown["policy"]["ports"][0]["max_duration"] == 600
    assert [entry["status"] for entry in team.shown["role"]["coverage"]] == ["checked"] * 3
    assert team.shown["role"]["findings"] == []
    code, said = team.run({"ansible.builtin.include_role": role}, **variables, jit_access_prts=[])
    assert code != 0
    assert "jit_access_prts" in said
    code, said = team.run({"ansible.builtin.include_role": role}, **{**variables, "jit_access_state": "absent"})
    assert code == 0, said
    assert team.site.stranger.connects(team.site.host, 22)


def test_a_scan_records_what_it_sees_and_says_what_is_wrong(
    tmp_path: pathlib.Path, controller: t.Callable[[str], Controller]
) -> None:
    store_url = f"sqlite:///{tmp_path}/findings.db"
    with site(tmp_path) as found:
        found.lock()
        assert not found.stranger.connects(found.host, 22)
        # Nobody has requested that from the store that the scan uses.
        found.grant(id="beside")

        def scan(**variables: t.Any) -> subprocess.CompletedProcess[str]:
            extra = {
                "bulwark_capabilities": "jit_access",
                "bulwark_store": store_url,
                "bulwark_report_path": str(tmp_path / "report.html"),
                "jit_access_state_dir": str(found.state),
                **variables,
            }
            with found.host.entered():
                return controller("2.21").run_playbook(
                    "bulwark.servers.scan", extra_vars=extra, state=tmp_path / "store", check=False
                )

        answer = scan()
        assert answer.returncode == 0, answer.stdout
        found.nft("delete", "table", "inet", "bulwark_jit")
        answer = scan()
        assert answer.returncode == 0, answer.stdout
        wrong = scan(jit_access_lock_timeout="many")
        assert wrong.returncode != 0
        assert "jit_access_lock_timeout" in wrong.stdout
    with contextlib.closing(Store.open(store_url, mode="read")) as store:
        stored = {(item.alert, item.subject): item.status for item in store.query()}
        last, drift, _first = [{c.status for c in store.coverage(run.id)} for run in store.runs()]
    unrecorded = stored.pop(("jit_unrecorded_grant", "beside"))
    assert unrecorded in ("new", "open")
    assert stored == {("jit_locked_port_attempts", "tcp/22"): "new", ("jit_policy_missing", "policy"): "new"}
    assert (last, drift) == ({"not_checked"}, {"partial"})
