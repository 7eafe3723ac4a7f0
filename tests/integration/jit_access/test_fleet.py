# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of two hosts, locked over SSH, and opened in jobs of different people, as accounts and as AWX has them."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitQuery, JitRequest, Store

from tests.fleet import hosts
from tests.fleet.fleet import Fleet
from tests.support import paths, require
from tests.support.controllers import Controller

pytestmark = [pytest.mark.requires("root", "fleet"), pytest.mark.xdist_group("fleet")]

OPEN, CLOSE = "bulwark.servers.jit_open", "bulwark.servers.jit_close"
_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 22), timeout=1)"


# Those of this machine that people have here; AWX runs its jobs from root's.
_ACCOUNTS = {"ada": "games", "carol": "daemon"}


class Company:
    """People with one store, and two hosts: what is opened on the second is opened for the first."""

    def __init__(self, core: Controller, fleet: Fleet, directory: pathlib.Path) -> None:
        self._core, self._fleet, self._directory = core, fleet, directory
        self.client, self.host = fleet.start("trixie", "trixie")
        self.store = f"sqlite:///{directory}/store.db"
        self._variables = {
            "bulwark_store": self.store,
            # AWX keeps policies with the inventory.
            "jit_access_ports": [{"port": 22, "sources": [f"{self.client.address}/32"], "max_duration": 600}],
        }

    def run(self, who: str, playbook: str | pathlib.Path, *arguments: str, works: bool = True, **given: t.Any) -> str:
        """Run a playbook from the account of somebody, and return what it said on one line."""
        environment = {"ANSIBLE_NOCOLOR": "1", "BULWARK_STORE": ""}
        answer = self._core.run_playbook(
            playbook,
            *arguments,
            inventory=self._fleet.inventory,
            extra_vars={**self._variables, **given},
            environment=environment,
            state=self._directory,
            check=False,
            account=_ACCOUNTS.get(who),
        )
        return self._said(answer, works)

    def job(self, who: str, survey: t.Mapping[str, str], works: bool = True, **template: t.Any) -> str:
        """Run a job as AWX does: who launched it, the template's variables and the survey's answers are extra ones."""
        data = self._directory / "runner"
        for name in ("project", "env"):
            (data / name).mkdir(parents=True, exist_ok=True)
        play = [{"name": "Open ports", "ansible.builtin.import_playbook": OPEN}]
        (data / "project" / "jit_open.yml").write_text(json.dumps(play))
        extra = {**self._variables, **template, **survey, "awx_user_name": who}
        (data / "env" / "extravars").write_text(json.dumps(extra))
        programs = pathlib.Path(self._core.program("ansible-playbook")).parent
        environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(paths.COLLECTIONS),
            "ANSIBLE_NOCOLOR": "1",
            "BULWARK_STORE": "",
        }
        command = [sys.executable, "-m", "ansible_runner", "run", str(data), "--playbook", "jit_open.yml"]
        command += ["--inventory", str(self._fleet.inventory)]
        answer = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        return self._said(answer, works)

    def _said(self, answer: subprocess.CompletedProcess[str], works: bool) -> str:
        output = answer.stdout + answer.stderr
        assert (answer.returncode == 0) is works, output
        return " ".join(output.replace("\\n", " ").split())

    def requests(self, **query: t.Any) -> list[JitRequest]:
        with contextlib.closing(Store.open(self.store, mode="read")) as store:
            return store.jit_requests(JitQuery(**query))

    def reached(self, client: hosts.Host) -> bool:
        command = ("exec", client.container, "python3", "-c", _CONNECT, self.host.address)
        return self._fleet.engine.run(*command).returncode == 0


def test_ports_of_hosts_are_requested_approved_denied_opened_and_closed_by_different_people(
    fleet: Fleet, tmp_path: pathlib.Path, controller: t.Callable[[str], Controller]
) -> None:
    require("module:ansible_runner")
    company = Company(controller("2.21"), fleet, tmp_path)
    network = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}"
    here = fleet.engine("inspect", "--format", network, company.host.container)
    policy = "{{ jit_access_ports }}"
    lock = {"bulwark.servers.jit_access": {"ports": policy, "always_allow": [here], "confirm_within": 30}}
    play = tmp_path / "lock.yml"
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "become": True, "tasks": [lock]}]))
    assert company.reached(company.client)
    company.run("root", play)
    assert not company.reached(company.client)

    # Outside of the policy nothing is even stored.
    asked = {"jit_source": company.client.address, "jit_duration": "10m", "jit_justification": "CHG-4711"}
    both = f"{company.client.name},{company.host.name}"
    said = company.job("ada", {"jit_host": both, "jit_ports": "23", **asked}, works=False, jit_step="request")
    assert "the policy does not lock TCP port 23" in said
    company.job("ada", {"jit_host": both, "jit_ports": "22", **asked}, jit_step="request")
    mine, other = sorted(company.requests(), key=lambda found: found.host, reverse=True)
    assert [(found.host, found.state, found.requested_by) for found in (other, mine)] == [
        (company.client.name, "requested", "ada"),
        (company.host.name, "requested", "ada"),
    ]
    assert (mine.requested_account, mine.requested_asserted) == ("root", "AWX of ada")
    # All jobs of AWX have one account, whatever they say of who launched them.
    said = company.job("bob", {"jit_request": mine.id}, works=False, jit_step="approve")
    assert "somebody else has to approve it" in said
    said = company.job("bob", {"jit_request": mine.id}, works=False, jit_step="approve", jit_approvers="bob,carol")
    assert "is not one of the approvers, who are bob, carol" in said
    # Where AWX has somebody else approve, it is told so.
    approval = {"jit_step": "approve", "jit_self_approval": True}
    company.job("bob", {"jit_request": mine.id, "jit_reason": "known"}, **approval)
    company.run("carol", OPEN, jit_step="deny", jit_request=other.id, jit_reason="not that one", jit_approvers="daemon")
    assert not company.reached(company.client), "approved is not opened"

    company.run("ada", OPEN, jit_step="open", jit_request=mine.id)
    assert company.reached(company.client)
    said = company.run("ada", OPEN, works=False, jit_step="open", jit_request=other.id)
    assert "cannot become open" in said
    company.run("ada", CLOSE, jit_request=mine.id, jit_reason="done")
    assert not company.reached(company.client)

    mine, other = sorted(company.requests(), key=lambda found: found.host, reverse=True)
    assert (mine.state, mine.decided_by, mine.opened_by, mine.ended_by) == ("closed", "bob", "games", "games")
    assert (mine.decided_account, mine.opened_asserted) == ("root", None)
    assert (mine.justification, mine.sources, mine.end_reason) == ("CHG-4711", (company.client.address,), "done")
    assert (other.state, other.decided_by, other.decision_reason) == ("denied", "daemon", "not that one")
