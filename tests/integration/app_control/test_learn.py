# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what hosts ran to allowlists that somebody reviewed, tried and approved an exception from.

The hosts are those of a store that scans have filled, and none of them answers: nothing here needs a connection.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import pathlib
import time
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store

from tests.support.controllers import Controller, controller
from tests.unit.plugins.plugin_utils.store import programs

KINDS = ("web", "db", "mail", "build")
HOSTS = {kind: [f"{kind}{number}" for number in range(4)] for kind in KINDS}
WEB = HOSTS["web"]
# They say nothing about a role: every host has them.
BASE = [programs.program(f"/usr/bin/tool-{part}", sha256=part * 64) for part in "abcdef"]
OWN = {
    kind: [programs.program(f"/usr/sbin/{kind}-{part}", sha256=f"{at}{part}" * 32) for part in "abcdef"]
    for at, kind in enumerate(KINDS)
}
ODD = programs.program("/opt/odd", package="", manager="", origin="", verification="unpackaged", sha256="d" * 64)
DAYS = 30


class Desk:
    """A store, an inventory, and plays about them."""

    def __init__(self, ansible: Controller, directory: pathlib.Path) -> None:
        self._ansible, self._directory = ansible, directory
        self.learned, self.lists = directory / "learned" / "app_control", directory / "lists"
        self.lists.mkdir()
        self._inventory = directory / "hosts"
        variables = "[all:vars]\nansible_host=127.0.0.1\nansible_port=1\n"
        self._inventory.write_text("\n".join([*itertools.chain(*HOSTS.values()), variables]))
        with self.store() as store:
            for kind, hosts in HOSTS.items():
                for host in hosts:
                    self.see(store, host, *BASE, *OWN[kind])
            self.see(store, "web0", ODD)

    def store(self) -> contextlib.closing[Store]:
        return contextlib.closing(Store.open(f"sqlite:///{self._directory}/findings.db"))

    def see(self, store: Store, host: str, *ran: Program, roles: t.Sequence[str] = ()) -> None:
        """Record that a host ran programs on all days up to now; a scan at this time would say the same."""
        now = int(time.time() // programs.DAY)
        since = float((now - DAYS) * programs.DAY)
        counts = {"first": since, "days": DAYS, "executions": 100}
        seen = [programs.sighting(each, day=now - 1, **counts) for each in ran]
        about = {"since": since, "days": DAYS, "roles": list(roles)}
        programs.record(store, *seen, day=now - 1, host=host, facts=about)

    def play(self, *tasks: t.Mapping[str, t.Any], arguments: t.Sequence[str] = (), **variables: t.Any) -> t.Any:
        """Run tasks for all hosts; return what is in their variable ``result`` in the end."""
        shown = self._directory / "shown.json"
        show = {"ansible.builtin.copy": {"content": "{{ result | to_json }}", "dest": str(shown)}, "run_once": True}
        local = {"delegate_to": "localhost", "vars": {"ansible_connection": "local"}, "check_mode": False}
        given = [*tasks, {**show, **local, "when": "result is defined"}]
        play = self._directory / "play.yml"
        play.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": given}]))
        self._ansible.run_playbook(
            str(play),
            "-i",
            str(self._inventory),
            *arguments,
            extra_vars={"bulwark_store": f"sqlite:///{self._directory}/findings.db", **variables},
            state=self._directory,
        )
        return json.loads(shown.read_text()) if shown.exists() else None

    def learn(self, *arguments: str, **variables: t.Any) -> t.Any:
        role = {"name": "bulwark.servers.app_control", "tasks_from": "learn"}
        fact = {
            "ansible.builtin.set_fact": {
                "result": "{{ app_control_learned | combine({'not_learned': bulwark_not_learned | default([])}) }}"
            }
        }
        given = {"bulwark_learn_directory": str(self.learned.parent), **variables}
        return self.play({"ansible.builtin.include_role": role}, fact, arguments=arguments, **given)

    def task(self, module: str, name: str, **options: t.Any) -> dict[str, t.Any]:
        """Return a task that registers its result under a name."""
        given = {"store": f"sqlite:///{self._directory}/findings.db", **options}
        return {f"bulwark.servers.{module}": given, "run_once": True, "register": name}


@pytest.fixture
def desk(tmp_path: pathlib.Path) -> Desk:
    return Desk(controller("2.21"), tmp_path)


def test_from_what_ran_to_an_exception(desk: Desk) -> None:
    learned = desk.learn("--diff")
    roles = {tuple(role["hosts"]): role for role in learned["roles"] if not role["distribution"]}
    assert set(roles) == {tuple(hosts) for hosts in HOSTS.values()}
    assert (learned["enough_data"], learned["not_learned"]) == (True, [])
    assert [alert["program"] for alert in learned["alerts"]] == ["/opt/odd"]
    web = yaml.safe_load(pathlib.Path(roles[tuple(WEB)]["path"]).read_text())
    assert web["hosts"] == WEB
    assert {rule["package"] for rule in web["allow"]} == {each.package for each in OWN["web"]}

    # Somebody reviews the files, and approves what is left.
    for path in desk.learned.iterdir():
        (desk.lists / path.name).write_text(path.read_text())
    given = {"allowlists": str(desk.lists)}
    tasks = [
        desk.task("app_allowlist_info", "before", **given),
        desk.task("app_allowlist", "approved", **given, approve=["/opt/odd"], reason="CHG-1"),
        desk.task("app_allowlist", "again", **given, approve=["/opt/odd"], reason="CHG-1"),
        desk.task("app_allowlist_info", "after", **given),
    ]
    fact = {"before": "{{ before }}", "approved": "{{ approved }}", "again": "{{ again }}", "after": "{{ after }}"}
    result = desk.play(*tasks, {"ansible.builtin.set_fact": {"result": fact}})
    assert (result["before"]["hosts_judged"], result["before"]["hosts_without"]) == (16, [])
    (alert,) = result["before"]["alerts"]
    assert (alert["program"], alert["hosts"], alert["users"]) == ("/opt/odd", ["web0"], ["alice"])
    assert (alert["executions"], result["before"]["alerts_count"]) == (100, 1)
    assert (result["approved"]["changed"], result["again"]["changed"]) == (True, False)
    assert (result["after"]["alerts"], result["after"]["changes"]) == ([], [])


def test_a_run_ends_with_what_concerns_all_hosts(desk: Desk) -> None:
    described = {"playbook": "Scan", "user": "alice", "controller": "control1", "version": "0.1.0"}

    def close(*variables: t.Mapping[str, t.Any]) -> list[tuple[str, str, str]]:
        """Close a run for each of some variables; return the findings about all hosts together."""
        with desk.store() as store:
            opened = {"hosts": WEB, "capabilities": ["app_control", "audit"], "now": time.time(), **described}
            runs = [store.start_run(**opened) for _each in variables]
        tasks = [
            {**desk.task("findings_run", "result", state="finished", run=run), "vars": each}
            for run, each in zip(runs, variables, strict=True)
        ]
        result = desk.play(*tasks)
        assert result["counts"]["open_at_least"]["informational"] == 0
        assert (result["run"]["hosts"], result["counts"]["not_fully_checked"]) == (len(WEB), 8)
        with desk.store() as store:
            return sorted((each.alert, each.subject, each.status) for each in store.query(Query(hosts=[FLEET])))

    missing = ("app_allowlist_missing", "allowlists")
    # What cannot be read leaves everything as it is.
    unreadable = {"app_control_allowlists": str(desk.lists / "none")}
    assert close({"app_control_minimum_days": "{{ 7 + 7 }}"}, unreadable) == [(*missing, "new")]
    (desk.lists / "web.yml").write_text(f"role: web\nhosts: {WEB}\nallow: [{{package: apache2, manager: dpkg}}]\n")
    with desk.store() as store:
        for host in WEB:
            desk.see(store, host, *OWN["web"], roles=["web"])
    found = close({"app_control_allowlists": str(desk.lists)})
    assert found == [(*missing, "resolved"), ("app_allowlist_outdated", "web", "new")]


def test_too_little_is_said(desk: Desk) -> None:
    learned = desk.learn("--limit", "web0:web1", app_control_minimum_days=60)
    assert (learned["enough_data"], learned["observed"], learned["roles"]) == (False, 2, [])
    assert set(learned["insufficient"]) == {"web0", "web1"}
    # The playbook fails with it where it is to be strict.
    assert learned["not_learned"] == learned["lines"][:1]
    assert not desk.learned.exists()
